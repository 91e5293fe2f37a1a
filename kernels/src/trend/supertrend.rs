//! Supertrend.

use crate::simd::{Simd, f64x8, prelude::*};
use crate::stream::smooth::Smooth;
use crate::stream::{Bar, Kernel, Layout, run, state_len};
use crate::volatility::true_range;

#[derive(Debug, Clone, Copy)]
struct Supertrend {
    atr: Smooth,
    k: f64,
}

impl Supertrend {
    fn new(n: usize, k: f64) -> Self {
        Self { atr: Smooth::wilder(n, 2), k }
    }
}

impl Layout for Supertrend {
    // One bar more than the first value, which the bands start from.
    fn warm_bars(&self) -> usize {
        self.atr.first_bar() + 1
    }
}

/// Registers: previous close, ATR, upper band, lower band, direction (1 or -1).
impl<S: Simd> Kernel<S, 3, 2, 5> for Supertrend {
    #[inline(always)]
    fn row<const HOT: bool>(
        &self,
        bar: &mut Bar<'_, S>,
        x: [f64x8<S>; 3],
        r: &mut [f64x8<S>; 5],
    ) -> [f64x8<S>; 2] {
        let [high, low, close] = x;
        let [last_close, atr, last_upper, last_lower, last_direction] = r;
        let (one, zero) = (bar.splat(1.0), bar.splat(0.0));
        let range = true_range(high, low, *last_close);
        let width = self.atr.push::<S, HOT>(bar, atr, range) * self.k;
        let mid = (high + low) * 0.5;
        let (basic_upper, basic_lower) = (mid + width, mid - width);
        let lower_it = basic_upper.simd_lt(*last_upper) | last_close.simd_gt(*last_upper);
        let raise_it = basic_lower.simd_gt(*last_lower) | last_close.simd_lt(*last_lower);
        let mut upper = lower_it.select(basic_upper, *last_upper);
        let mut lower = raise_it.select(basic_lower, *last_lower);
        let to_down = last_direction.simd_gt(zero) & close.simd_lt(lower);
        let to_up = last_direction.simd_lt(zero) & close.simd_gt(upper);
        let mut direction = to_down.select(-one, to_up.select(one, *last_direction));
        if !HOT {
            let first = bar.count.simd_le(bar.splat(self.atr.first_bar() as f64));
            upper = first.select(basic_upper, upper);
            lower = first.select(basic_lower, lower);
            direction = first.select(one, direction);
        }
        bar.set::<HOT>(last_close, close);
        bar.set::<HOT>(last_upper, upper);
        bar.set::<HOT>(last_lower, lower);
        bar.set::<HOT>(last_direction, direction);
        let line = direction.simd_gt(zero).select(lower, upper);
        let first = self.atr.first_bar();
        [bar.starting_at::<HOT>(first, line), bar.starting_at::<HOT>(first, direction)]
    }
}

/// State of [`supertrend`].
pub fn supertrend_state_len(lanes: usize, n: usize) -> usize {
    state_len(Supertrend::new(n, 1.0), 5, lanes)
}

/// Supertrend: line and direction (1 up, -1 down).
///
/// Formula: bands `(H+L)/2 ± k ATR(n)`; the final upper band is the basic one if that is lower than the previous final
/// or the previous close was above it, else the previous (the lower band mirrored). It starts up and flips when the
/// close breaks the band strictly; the line is the lower band when up. Shape: `[row][lane]` in, two panels out. Units:
/// price. Warm-up: first value at index `n`. NaN: missing bar. Source: Seban; as charting platforms draw it.
///
/// ```
/// use barloom_kernels::trend::{supertrend, supertrend_state_len};
/// let high: Vec<f64> = [5.0, 6.0, 2.0].iter().flat_map(|&x| [x; 8]).collect();
/// let low: Vec<f64> = [4.0, 5.0, 1.0].iter().flat_map(|&x| [x; 8]).collect();
/// let (mut state, mut line, mut direction) = (vec![0.0; supertrend_state_len(8, 1)], vec![0.0; 24], vec![0.0; 24]);
/// supertrend(&high, &low, &low, 8, 1, 0.5, &mut state, &mut line, &mut direction);
/// assert_eq!((line[8], direction[8]), (4.5, 1.0));
/// assert_eq!((line[16], direction[16]), (3.5, -1.0));
/// ```
#[allow(clippy::too_many_arguments, reason = "inputs, parameters, state and outputs of one indicator")]
pub fn supertrend(
    high: &[f64],
    low: &[f64],
    close: &[f64],
    lanes: usize,
    n: usize,
    k: f64,
    state: &mut [f64],
    line: &mut [f64],
    direction: &mut [f64],
) {
    run!(Supertrend::new(n, k), [high, low, close], lanes, state, [line, direction]);
}
