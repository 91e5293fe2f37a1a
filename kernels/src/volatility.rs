//! Ranges and their averages: true range, ATR, NATR.

use crate::simd::{Simd, f64x8, prelude::*};
use crate::stream::smooth::Smooth;
use crate::stream::{Bar, Kernel, Layout, run, state_len};

/// `max(H-L, |H-C₋₁|, |L-C₋₁|)`.
#[inline(always)]
pub(crate) fn true_range<S: Simd>(high: f64x8<S>, low: f64x8<S>, previous_close: f64x8<S>) -> f64x8<S> {
    // None is NaN where it matters and none is -0, so that every CPU's maximum is the same.
    (high - low).max((high - previous_close).abs().max((low - previous_close).abs()))
}

#[derive(Debug, Clone, Copy)]
struct TrueRange;

impl Layout for TrueRange {
    fn warm_bars(&self) -> usize {
        2
    }
}

/// Register: previous close.
impl<S: Simd> Kernel<S, 3, 1, 1> for TrueRange {
    #[inline(always)]
    fn row<const HOT: bool>(
        &self,
        bar: &mut Bar<'_, S>,
        x: [f64x8<S>; 3],
        r: &mut [f64x8<S>; 1],
    ) -> [f64x8<S>; 1] {
        let range = true_range(x[0], x[1], r[0]);
        bar.set::<HOT>(&mut r[0], x[2]);
        [bar.starting_at::<HOT>(2, range)]
    }
}

/// State of [`trange`].
pub fn trange_state_len(lanes: usize) -> usize {
    state_len(TrueRange, 1, lanes)
}

/// True range.
///
/// Formula: `max(H-L, |H-C₋₁|, |L-C₋₁|)`. Shape: `[row][lane]` in and out. Units: price. Warm-up: first value at index
/// 1. NaN: missing bar. Source: Wilder 1978; as in TA-Lib 0.8.
///
/// ```
/// use barloom_kernels::volatility::{trange, trange_state_len};
/// let high: Vec<f64> = [5.0, 9.0].iter().flat_map(|&x| [x; 8]).collect();
/// let low: Vec<f64> = [4.0, 8.0].iter().flat_map(|&x| [x; 8]).collect();
/// let (mut state, mut out) = (vec![0.0; trange_state_len(8)], vec![0.0; 16]);
/// trange(&high, &low, &low, 8, &mut state, &mut out);
/// assert!(out[0].is_nan());
/// assert_eq!(out[8], 5.0);
/// ```
pub fn trange(high: &[f64], low: &[f64], close: &[f64], lanes: usize, state: &mut [f64], out: &mut [f64]) {
    run!(TrueRange, [high, low, close], lanes, state, [out]);
}

/// ATR, or with `PER_CENT` the same as a percentage of the close.
#[derive(Debug, Clone, Copy)]
struct Atr<const PER_CENT: bool>(Smooth);

impl<const PER_CENT: bool> Layout for Atr<PER_CENT> {
    fn warm_bars(&self) -> usize {
        self.0.first_bar()
    }
}

/// Registers: previous close, average.
impl<S: Simd, const PER_CENT: bool> Kernel<S, 3, 1, 2> for Atr<PER_CENT> {
    #[inline(always)]
    fn row<const HOT: bool>(
        &self,
        bar: &mut Bar<'_, S>,
        x: [f64x8<S>; 3],
        r: &mut [f64x8<S>; 2],
    ) -> [f64x8<S>; 1] {
        let [high, low, close] = x;
        let [previous_close, average] = r;
        let range = true_range(high, low, *previous_close);
        let atr = self.0.push::<S, HOT>(bar, average, range);
        bar.set::<HOT>(previous_close, close);
        [if PER_CENT { atr * 100.0 / close } else { atr }]
    }
}

/// State of [`atr`] and [`natr`].
pub fn atr_state_len(lanes: usize, n: usize) -> usize {
    state_len(Atr::<false>(Smooth::wilder(n, 2)), 2, lanes)
}

/// Average true range.
///
/// Formula: mean of the first `n` true ranges, then `e += (tr - e)/n`. Shape: `[row][lane]` in and out. Units: price.
/// Warm-up: first value at index `n`. NaN: missing bar. Source: Wilder 1978; as in TA-Lib 0.8.
///
/// ```
/// use barloom_kernels::volatility::{atr, atr_state_len};
/// let high: Vec<f64> = [5.0, 9.0, 9.0].iter().flat_map(|&x| [x; 8]).collect();
/// let low: Vec<f64> = [4.0, 8.0, 8.0].iter().flat_map(|&x| [x; 8]).collect();
/// let (mut state, mut out) = (vec![0.0; atr_state_len(8, 2)], vec![0.0; 24]);
/// atr(&high, &low, &low, 8, 2, &mut state, &mut out);
/// assert!(out[8].is_nan());
/// assert_eq!(out[16], 3.0);
/// ```
pub fn atr(
    high: &[f64],
    low: &[f64],
    close: &[f64],
    lanes: usize,
    n: usize,
    state: &mut [f64],
    out: &mut [f64],
) {
    run!(Atr::<false>(Smooth::wilder(n, 2)), [high, low, close], lanes, state, [out]);
}

/// Average true range as a percentage of the close.
///
/// Formula: `100 ATR/C`. Shape: `[row][lane]` in and out. Units: per cent. Warm-up: first value at index `n`. NaN:
/// missing bar. Source: as in TA-Lib 0.8. State: [`atr_state_len`].
///
/// ```
/// use barloom_kernels::volatility::{atr_state_len, natr};
/// let high: Vec<f64> = [5.0, 9.0].iter().flat_map(|&x| [x; 8]).collect();
/// let close: Vec<f64> = [4.0, 8.0].iter().flat_map(|&x| [x; 8]).collect();
/// let (mut state, mut out) = (vec![0.0; atr_state_len(8, 1)], vec![0.0; 16]);
/// natr(&high, &close, &close, 8, 1, &mut state, &mut out);
/// assert_eq!(out[8], 62.5);
/// ```
pub fn natr(
    high: &[f64],
    low: &[f64],
    close: &[f64],
    lanes: usize,
    n: usize,
    state: &mut [f64],
    out: &mut [f64],
) {
    run!(Atr::<true>(Smooth::wilder(n, 2)), [high, low, close], lanes, state, [out]);
}
