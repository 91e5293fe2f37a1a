//! Statistics of the last `n` present bars. A value depends on the bars of its window alone, bit for bit.

mod sums;

pub use sums::*;
