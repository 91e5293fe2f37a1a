//! Columnar, SIMD-vectorised trading kernels over `[bar][lane]` panels.
//!
//! Free functions over slices: inputs, then parameters, then state, then outputs. The caller owns every buffer. No
//! I/O, no threads, no clock, no allocation (but of [`buffer`], for who wants it). The same bits on SSE2, AVX2 and AVX-512: no fused multiply-add, no
//! reordering, sums across lanes through one fixed tree ([`sum`]).
//!
//! # Conventions
//!
//! * A panel is `[row][lane]`, one row per bar, contiguous; `lanes` is a multiple of 8 ([`simd::LANE_CHUNK`]), unused
//!   lanes are NaN throughout.
//! * Indicators are *streams*: `name_state_len(lanes, …)` says how many `f64` of state to provide, zeroed state is the
//!   start of the series, and the next call continues with the rows that follow. Where the rows are cut changes no bit.
//! * NaN is a missing bar of that lane alone: the output is NaN there, the lane's state stays, and the indicator runs on
//!   the series of present bars. With several inputs a lane is missing where any of them is.
//! * What has left a window is not in its value: no running sum that subtracts. Most windows are a function of their
//!   bars and of nothing else, bit for bit; sums and moments depend on where their blocks begin by at most 1e-12 of the
//!   value or of the window's root mean square. Read [`stream`] for how.
//! * Conditions are bit masks, `[row][word]`, bit = lane ([`elementwise`], [`cross`], [`bits`]).
//!
//! Lengths and parameters that do not fit are bugs of the caller and panic; a caller that takes them from a user checks
//! them first.

pub mod account;
pub mod bands;
pub mod bits;
pub mod buffer;
pub mod cross;
pub mod cross_section;
pub mod curve;
pub mod elementwise;
pub mod fills;
pub mod grid;
pub mod liquidity;
pub mod macd;
pub mod momentum;
pub mod moving;
pub mod rolling;
pub mod simd;
pub mod stream;
pub mod sum;
pub mod trend;
pub mod volatility;
pub mod volume;
pub mod vwap;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
