//! Trend: Wilder's directional movement, Supertrend.

mod directional;
mod supertrend;

pub use directional::*;
pub use supertrend::*;
