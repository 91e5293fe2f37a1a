//! The config: the spec as written, the plan as run, and the one place where defaults live.

pub mod plan;
