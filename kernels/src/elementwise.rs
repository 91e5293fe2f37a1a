//! Arithmetic, comparisons and masks, value by value and without state.
//!
//! Panels in, panels out. A result is a finite number or NaN: what has no finite value (`1/0`, `log(0)`, overflow) is
//! missing, so that it cannot lodge in a recurrence downstream.
//!
//! A mask is `[row][word]`, bit = lane, at least `lanes / 64` words (rounded up) per row; unused bits are 0. A condition
//! is false where a value it reads is NaN. Negation needs to know that too: take [`valid_mask`] of every value read,
//! [`and_mask`] them, and use [`not_mask`], which is `valid & !x`.

mod arithmetic;
mod masks;

pub use arithmetic::*;
pub use masks::*;

pub(crate) use arithmetic::ln;
pub(crate) use masks::check_mask;
