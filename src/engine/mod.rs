//! The order of events in a bar, and nothing else (semantics 1.5).
//!
//! It must not know where signals come from nor what is done with the results. [`api`] is what goes in and comes out.

pub mod api;
