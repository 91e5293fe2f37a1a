//! Rate of change.

use crate::simd::{Simd, at_level, f64x8, prelude::*};
use crate::stream::past::{OfPast, Past, drive_past, past_state_len};

#[derive(Debug, Clone, Copy)]
struct RateOfChange;

impl<S: Simd> OfPast<S> for RateOfChange {
    #[inline(always)]
    fn of(simd: S, x: f64x8<S>, past: f64x8<S>) -> f64x8<S> {
        let zero = f64x8::splat(simd, 0.0);
        let change = (x / past - f64x8::splat(simd, 1.0)) * 100.0;
        past.simd_eq(zero).select(zero, change)
    }
}

/// State of [`roc`].
pub fn roc_state_len(lanes: usize, n: usize) -> usize {
    past_state_len(n, lanes)
}

/// Rate of change.
///
/// Formula: `100 (x/x₋ₙ - 1)`, 0 if `x₋ₙ` is 0. Shape: `[row][lane]` in and out. Units: per cent. Warm-up: first value
/// at index `n`. NaN: missing bar. Source: as in TA-Lib 0.8.
///
/// ```
/// use barloom_kernels::momentum::{roc, roc_state_len};
/// let x: Vec<f64> = [2.0, 3.0].iter().flat_map(|&x| [x; 8]).collect();
/// let (mut state, mut out) = (vec![0.0; roc_state_len(8, 1)], vec![0.0; x.len()]);
/// roc(&x, 8, 1, &mut state, &mut out);
/// assert_eq!(out[8], 50.0);
/// ```
pub fn roc(x: &[f64], lanes: usize, n: usize, state: &mut [f64], out: &mut [f64]) {
    at_level!(simd => drive_past(simd, Past::<RateOfChange>::new(n), x, lanes, state, out));
}
