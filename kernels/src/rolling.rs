//! Statistics of the last `n` present bars. A value depends on the bars of its window alone: what was before them changes
//! sums, means, variances and scores by rounding at most (1e-12 of the window's root mean square), all others not by a bit.

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
