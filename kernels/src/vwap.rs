//! Volume-weighted average prices: rolling, anchored to rows, anchored to swings.

mod anchored;
mod swing;
mod windowed;

pub use anchored::*;
pub use swing::*;
pub use windowed::*;
