//! Oscillators: RSI, rate of change, stochastic, CCI, MFI. MACD is in [`crate::macd`].

mod channel;
mod money_flow;
mod rate;
mod relative_strength;

pub use channel::*;
pub use money_flow::*;
pub use rate::*;
pub use relative_strength::*;
