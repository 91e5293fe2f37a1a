//! Rolling sums and means.

use crate::moving::{sma, sma_state_len};
use crate::simd::{Simd, f64x8, prelude::*};
use crate::stream::block::{Blocks, Values};
use crate::stream::{Bar, Kernel, Layout, Ring, run, state_len};

/// The sum of the last `n`, or with `MEAN_SO_FAR` the mean of the last up to `n`.
#[derive(Debug, Clone, Copy)]
struct Total<const MEAN_SO_FAR: bool> {
    sums: Blocks<1, 1>,
    n: usize,
}

impl<const MEAN_SO_FAR: bool> Total<MEAN_SO_FAR> {
    fn new(n: usize) -> Self {
        Self { sums: Blocks::new(n, 0), n }
    }
}

impl<const MEAN_SO_FAR: bool> Layout for Total<MEAN_SO_FAR> {
    fn warm_bars(&self) -> usize {
        self.n
    }
    fn block_bars(&self) -> usize {
        self.n
    }
    fn ring_slots(&self) -> usize {
        self.sums.slots()
    }
    fn rings(&self, visit: &mut dyn FnMut(Ring)) {
        self.sums.rings(visit);
    }
}

/// Register: the sum of the block so far.
impl<S: Simd, const MEAN_SO_FAR: bool> Kernel<S, 1, 1, 1> for Total<MEAN_SO_FAR> {
    #[inline(always)]
    fn row<const HOT: bool>(
        &self,
        bar: &mut Bar<'_, S>,
        x: [f64x8<S>; 1],
        block: &mut [f64x8<S>; 1],
    ) -> [f64x8<S>; 1] {
        let [sum] = self.sums.push::<S, Values, HOT>(bar, block, x);
        if !MEAN_SO_FAR {
            return [bar.starting_at::<HOT>(self.n, sum)];
        }
        let n = bar.splat(self.n as f64);
        if HOT {
            return [sum / n];
        }
        [sum / bar.at_least(self.n).select(n, bar.count)]
    }
}

/// State of [`sum`].
pub fn sum_state_len(lanes: usize, n: usize) -> usize {
    state_len(Total::<false>::new(n), 1, lanes)
}

/// Rolling sum.
///
/// Formula: sum of the last `n` values. Shape: `[row][lane]` in and out. Units: those of the input. Warm-up: first
/// value at index `n-1`. NaN: missing bar. Source: as in TA-Lib 0.8, `SUM`.
///
/// ```
/// use barloom_kernels::rolling::{sum, sum_state_len};
/// let x: Vec<f64> = [1e12, 2.0, 6.0].iter().flat_map(|&x| [x; 8]).collect();
/// let (mut state, mut out) = (vec![0.0; sum_state_len(8, 2)], vec![0.0; x.len()]);
/// sum(&x, 8, 2, &mut state, &mut out);
/// assert_eq!(out[16], 8.0);
/// ```
pub fn sum(x: &[f64], lanes: usize, n: usize, state: &mut [f64], out: &mut [f64]) {
    run!(Total::<false>::new(n), [x], lanes, state, [out]);
}

/// State of [`mean`].
pub fn mean_state_len(lanes: usize, n: usize) -> usize {
    sma_state_len(lanes, n)
}

/// Rolling mean: [`sma`] under the name of its family.
///
/// Formula: mean of the last `n` values. Shape: `[row][lane]` in and out. Units: those of the input. Warm-up: first
/// value at index `n-1`. NaN: missing bar. Source: as in TA-Lib 0.8, `SMA`.
///
/// ```
/// use barloom_kernels::rolling::{mean, mean_state_len};
/// let x: Vec<f64> = [1.0, 2.0, 6.0].iter().flat_map(|&x| [x; 8]).collect();
/// let (mut state, mut out) = (vec![0.0; mean_state_len(8, 2)], vec![0.0; x.len()]);
/// mean(&x, 8, 2, &mut state, &mut out);
/// assert_eq!((out[8], out[16]), (1.5, 4.0));
/// ```
pub fn mean(x: &[f64], lanes: usize, n: usize, state: &mut [f64], out: &mut [f64]) {
    sma(x, lanes, n, state, out);
}

/// State of [`mean_upto`].
pub fn mean_upto_state_len(lanes: usize, n: usize) -> usize {
    state_len(Total::<true>::new(n), 1, lanes)
}

/// Mean of the last up to `n` values.
///
/// Formula: mean of the last `min(n, present bars)` values. Shape: `[row][lane]` in and out. Units: those of the input.
/// Warm-up: none. NaN: missing bar. Source: pandas `rolling(n, min_periods=1).mean()`.
///
/// ```
/// use barloom_kernels::rolling::{mean_upto, mean_upto_state_len};
/// let x: Vec<f64> = [1.0, 2.0, 6.0].iter().flat_map(|&x| [x; 8]).collect();
/// let (mut state, mut out) = (vec![0.0; mean_upto_state_len(8, 2)], vec![0.0; x.len()]);
/// mean_upto(&x, 8, 2, &mut state, &mut out);
/// assert_eq!((out[0], out[8], out[16]), (1.0, 1.5, 4.0));
/// ```
pub fn mean_upto(x: &[f64], lanes: usize, n: usize, state: &mut [f64], out: &mut [f64]) {
    run!(Total::<true>::new(n), [x], lanes, state, [out]);
}
