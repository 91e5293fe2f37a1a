//! Relative strength.

use crate::simd::{Simd, f64x8, prelude::*};
use crate::stream::smooth::Smooth;
use crate::stream::{Bar, Kernel, Layout, run, state_len};

#[derive(Debug, Clone, Copy)]
struct Rsi(Smooth);

impl Layout for Rsi {
    fn warm_bars(&self) -> usize {
        self.0.first_bar()
    }
}

/// Registers: previous value, mean gain, mean loss.
impl<S: Simd> Kernel<S, 1, 1, 3> for Rsi {
    #[inline(always)]
    fn row<const HOT: bool>(
        &self,
        bar: &mut Bar<'_, S>,
        [x]: [f64x8<S>; 1],
        r: &mut [f64x8<S>; 3],
    ) -> [f64x8<S>; 1] {
        let zero = bar.splat(0.0);
        let [previous, gain, loss] = r;
        let change = x - *previous;
        let rise = change.simd_gt(zero).select(change, zero);
        let fall = change.simd_lt(zero).select(-change, zero);
        let mean_gain = self.0.push::<S, HOT>(bar, gain, rise);
        let mean_loss = self.0.push::<S, HOT>(bar, loss, fall);
        bar.set::<HOT>(previous, x);
        let moved = mean_gain + mean_loss;
        // Before the first value `moved` is NaN, and so is the result.
        [moved.simd_eq(zero).select(zero, mean_gain * 100.0 / moved)]
    }
}

/// State of [`rsi`].
pub fn rsi_state_len(lanes: usize, n: usize) -> usize {
    state_len(Rsi(Smooth::wilder(n, 2)), 3, lanes)
}

/// Wilder's relative strength index.
///
/// Formula: mean gain `g` and mean loss `l` of the first `n` changes, then Wilder's smoothing; `100 g/(g+l)`, 0 for a
/// flat series. Shape: `[row][lane]` in and out. Units: 0 to 100. Warm-up: first value at index `n`. NaN: missing bar.
/// Source: Wilder 1978; as in TA-Lib 0.8.
///
/// ```
/// use barloom_kernels::momentum::{rsi, rsi_state_len};
/// let x: Vec<f64> = [1.0, 4.0, 3.0].iter().flat_map(|&x| [x; 8]).collect();
/// let (mut state, mut out) = (vec![0.0; rsi_state_len(8, 2)], vec![0.0; x.len()]);
/// rsi(&x, 8, 2, &mut state, &mut out);
/// assert!(out[8].is_nan());
/// assert_eq!(out[16], 75.0);
/// ```
pub fn rsi(x: &[f64], lanes: usize, n: usize, state: &mut [f64], out: &mut [f64]) {
    run!(Rsi(Smooth::wilder(n, 2)), [x], lanes, state, [out]);
}
