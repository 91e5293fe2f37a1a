//! Barloom: a columnar batch backtester for perpetual futures.
//!
//! One [`market::Market`] of `[bar][lane]` panels, one exact account, thousands of parameter sets. The library is
//! complete without the command line: it never prints and never exits.

pub mod config;
pub mod data;
pub mod engine;
pub mod error;
pub mod events;
pub mod execution;
pub mod liquidity;
pub mod market;
pub mod portfolio;
pub mod reporting;
pub mod risk;
pub mod signals;
pub mod sweep;

pub use error::{Error, Result};
