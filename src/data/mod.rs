//! Room `data`.

pub mod import;
pub mod synth;
