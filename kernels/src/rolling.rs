//! Statistics of the last `n` present bars. A value depends on the bars of its window alone, bit for bit.

mod extremes;
mod moments;
mod order;
mod pairs;
mod returns;
mod sums;

pub use extremes::*;
pub use moments::*;
pub use order::*;
pub use pairs::*;
pub use returns::*;
pub use sums::*;
