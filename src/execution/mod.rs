//! Orders and fills: rounding, admission, slippage, stop runs, attached levels, pending orders (semantics 2).
//!
//! It must not know who decided an order, nor in which order the events of a bar come: that is the engine's.
//! Read next: [`pricing`] for the price chain, [`levels`] for stops and targets, [`orders`] for what waits.

pub mod draw;
pub mod funding;
pub mod levels;
pub mod orders;
pub mod pricing;
pub mod quotes;
pub mod rules;
pub mod stop_quotes;
pub mod volatility;
pub mod volume;
