//! Averages and plain history: SMA, WMA, EMA, Wilder's RMA, pandas' `ewm`, lag and difference.

use crate::simd::{Simd, at_level, f64x8, prelude::*};
use crate::stream::block::{Blocks, Values};
use crate::stream::fold::WeightedSum;
use crate::stream::past::{OfPast, Past, drive_past, past_state_len};
use crate::stream::smooth::Smooth;
use crate::stream::window::Tree;
use crate::stream::{Bar, Kernel, Layout, Ring, run, state_len};

#[derive(Debug, Clone, Copy)]
struct Average {
    sums: Blocks<1, 1>,
    n: usize,
}

impl Layout for Average {
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
impl<S: Simd> Kernel<S, 1, 1, 1> for Average {
    #[inline(always)]
    fn row<const HOT: bool>(
        &self,
        bar: &mut Bar<'_, S>,
        x: [f64x8<S>; 1],
        block: &mut [f64x8<S>; 1],
    ) -> [f64x8<S>; 1] {
        let [sum] = self.sums.push::<S, Values, HOT>(bar, block, x);
        [bar.starting_at::<HOT>(self.n, sum * (1.0 / self.n as f64))]
    }
}

impl Average {
    fn new(n: usize) -> Self {
        Self { sums: Blocks::new(n, 0), n }
    }
}

/// State of [`sma`].
pub fn sma_state_len(lanes: usize, n: usize) -> usize {
    state_len(Average::new(n), 1, lanes)
}

/// Simple moving average.
///
/// Formula: mean of the last `n` values. Shape: `[row][lane]` in and out. Units: those of the input. Warm-up: first
/// value at index `n-1`. NaN: missing bar. Source: as in TA-Lib 0.8.
///
/// ```
/// use barloom_kernels::moving::{sma, sma_state_len};
/// let x: Vec<f64> = [1.0, 2.0, 6.0].iter().flat_map(|&x| [x; 8]).collect();
/// let (mut state, mut out) = (vec![0.0; sma_state_len(8, 2)], vec![0.0; x.len()]);
/// sma(&x, 8, 2, &mut state, &mut out);
/// assert!(out[0].is_nan());
/// assert_eq!((out[8], out[16]), (1.5, 4.0));
/// ```
pub fn sma(x: &[f64], lanes: usize, n: usize, state: &mut [f64], out: &mut [f64]) {
    run!(Average::new(n), [x], lanes, state, [out]);
}

#[derive(Debug, Clone, Copy)]
struct Weighted {
    sums: Tree<2>,
    n: usize,
}

impl Layout for Weighted {
    fn warm_bars(&self) -> usize {
        self.n
    }
    fn ring_slots(&self) -> usize {
        self.sums.slots()
    }
    fn rings(&self, visit: &mut dyn FnMut(Ring)) {
        self.sums.rings(visit);
    }
}

impl<S: Simd> Kernel<S, 1, 1, 0> for Weighted {
    #[inline(always)]
    fn row<const HOT: bool>(
        &self,
        bar: &mut Bar<'_, S>,
        x: [f64x8<S>; 1],
        _: &mut [f64x8<S>; 0],
    ) -> [f64x8<S>; 1] {
        let [_, weighted] = self.sums.push::<S, WeightedSum, HOT>(bar, [x[0], x[0]]);
        let weights = 0.5 * self.n as f64 * (self.n as f64 + 1.0);
        [bar.starting_at::<HOT>(self.n, weighted * (1.0 / weights))]
    }
}

impl Weighted {
    fn new(n: usize) -> Self {
        Self { sums: Tree::new(n, 0), n }
    }
}

/// State of [`wma`].
pub fn wma_state_len(lanes: usize, n: usize) -> usize {
    state_len(Weighted::new(n), 0, lanes)
}

/// Linearly weighted moving average.
///
/// Formula: weights 1 (oldest) to `n` (newest), divided by their sum. Shape: `[row][lane]` in and out. Units: those of
/// the input. Warm-up: first value at index `n-1`. NaN: missing bar. Source: as in TA-Lib 0.8.
///
/// ```
/// use barloom_kernels::moving::{wma, wma_state_len};
/// let x: Vec<f64> = [1.0, 4.0].iter().flat_map(|&x| [x; 8]).collect();
/// let (mut state, mut out) = (vec![0.0; wma_state_len(8, 2)], vec![0.0; x.len()]);
/// wma(&x, 8, 2, &mut state, &mut out);
/// assert_eq!(out[8], 3.0);
/// ```
pub fn wma(x: &[f64], lanes: usize, n: usize, state: &mut [f64], out: &mut [f64]) {
    run!(Weighted::new(n), [x], lanes, state, [out]);
}

/// EMA and RMA: they differ in the weight alone.
#[derive(Debug, Clone, Copy)]
struct Smoothed(Smooth);

impl Layout for Smoothed {
    fn warm_bars(&self) -> usize {
        self.0.first_bar()
    }
}

impl<S: Simd> Kernel<S, 1, 1, 1> for Smoothed {
    #[inline(always)]
    fn row<const HOT: bool>(
        &self,
        bar: &mut Bar<'_, S>,
        x: [f64x8<S>; 1],
        r: &mut [f64x8<S>; 1],
    ) -> [f64x8<S>; 1] {
        [self.0.push::<S, HOT>(bar, &mut r[0], x[0])]
    }
}

/// State of [`ema`].
pub fn ema_state_len(lanes: usize, n: usize) -> usize {
    state_len(Smoothed(Smooth::ema(n, 1)), 1, lanes)
}

/// Exponential moving average.
///
/// Formula: seed = mean of the first `n` values, then `e += 2/(n+1) (x - e)`. Shape: `[row][lane]` in and out. Units:
/// those of the input. Warm-up: first value at index `n-1`. NaN: missing bar. Source: as in TA-Lib 0.8.
///
/// ```
/// use barloom_kernels::moving::{ema, ema_state_len};
/// let x: Vec<f64> = [1.0, 2.0, 3.0, 5.0].iter().flat_map(|&x| [x; 8]).collect();
/// let (mut state, mut out) = (vec![0.0; ema_state_len(8, 3)], vec![0.0; x.len()]);
/// ema(&x, 8, 3, &mut state, &mut out);
/// assert!(out[8].is_nan());
/// assert_eq!((out[16], out[24]), (2.0, 3.5));
/// ```
pub fn ema(x: &[f64], lanes: usize, n: usize, state: &mut [f64], out: &mut [f64]) {
    run!(Smoothed(Smooth::ema(n, 1)), [x], lanes, state, [out]);
}

/// State of [`rma`].
pub fn rma_state_len(lanes: usize, n: usize) -> usize {
    state_len(Smoothed(Smooth::wilder(n, 1)), 1, lanes)
}

/// Wilder's moving average.
///
/// Formula: seed = mean of the first `n` values, then `e += (x - e)/n`. Shape: `[row][lane]` in and out. Units: those
/// of the input. Warm-up: first value at index `n-1`. NaN: missing bar. Source: Wilder 1978.
///
/// ```
/// use barloom_kernels::moving::{rma, rma_state_len};
/// let x: Vec<f64> = [1.0, 3.0, 4.0].iter().flat_map(|&x| [x; 8]).collect();
/// let (mut state, mut out) = (vec![0.0; rma_state_len(8, 2)], vec![0.0; x.len()]);
/// rma(&x, 8, 2, &mut state, &mut out);
/// assert_eq!((out[8], out[16]), (2.0, 3.0));
/// ```
pub fn rma(x: &[f64], lanes: usize, n: usize, state: &mut [f64], out: &mut [f64]) {
    run!(Smoothed(Smooth::wilder(n, 1)), [x], lanes, state, [out]);
}

#[derive(Debug, Clone, Copy)]
struct Ewm(Smooth);

impl Layout for Ewm {
    fn warm_bars(&self) -> usize {
        1
    }
}

impl<S: Simd> Kernel<S, 1, 1, 1> for Ewm {
    #[inline(always)]
    fn row<const HOT: bool>(
        &self,
        bar: &mut Bar<'_, S>,
        x: [f64x8<S>; 1],
        r: &mut [f64x8<S>; 1],
    ) -> [f64x8<S>; 1] {
        if !HOT {
            let first = bar.count.simd_eq(bar.splat(1.0));
            r[0] = (bar.present & first).select(x[0], r[0]);
        }
        let next = r[0] + (x[0] - r[0]) * self.0.weight();
        bar.set::<HOT>(&mut r[0], next);
        [next]
    }
}

/// State of [`ewm`].
pub fn ewm_state_len(lanes: usize, n: usize) -> usize {
    state_len(Ewm(Smooth::ema(n, 1)), 1, lanes)
}

/// Exponential average without warm-up.
///
/// Formula: `e0 = x0`, then `e += 2/(n+1) (x - e)`. Shape: `[row][lane]` in and out. Units: those of the input.
/// Warm-up: none. NaN: missing bar. Source: pandas `ewm(span=n, adjust=False, ignore_na=True).mean()`.
///
/// ```
/// use barloom_kernels::moving::{ewm, ewm_state_len};
/// let x: Vec<f64> = [1.0, 3.0].iter().flat_map(|&x| [x; 8]).collect();
/// let (mut state, mut out) = (vec![0.0; ewm_state_len(8, 3)], vec![0.0; x.len()]);
/// ewm(&x, 8, 3, &mut state, &mut out);
/// assert_eq!((out[0], out[8]), (1.0, 2.0));
/// ```
pub fn ewm(x: &[f64], lanes: usize, n: usize, state: &mut [f64], out: &mut [f64]) {
    run!(Ewm(Smooth::ema(n, 1)), [x], lanes, state, [out]);
}

/// The past value itself.
#[derive(Debug, Clone, Copy)]
struct Itself;

impl<S: Simd> OfPast<S> for Itself {
    #[inline(always)]
    fn of(_: S, _: f64x8<S>, past: f64x8<S>) -> f64x8<S> {
        past
    }
}

/// What has been added since.
#[derive(Debug, Clone, Copy)]
struct Difference;

impl<S: Simd> OfPast<S> for Difference {
    #[inline(always)]
    fn of(_: S, x: f64x8<S>, past: f64x8<S>) -> f64x8<S> {
        x - past
    }
}

/// State of [`lag`] and [`diff`].
pub fn lag_state_len(lanes: usize, k: usize) -> usize {
    past_state_len(k, lanes)
}

/// The value `k` present bars ago, `k` at least 1.
///
/// Formula: `x[t-k]`. Shape: `[row][lane]` in and out. Units: those of the input. Warm-up: first value at index `k`.
/// NaN: missing bar, not counted. Source: pandas `shift(k)`.
///
/// ```
/// use barloom_kernels::moving::{lag, lag_state_len};
/// let x: Vec<f64> = [1.0, f64::NAN, 3.0].iter().flat_map(|&x| [x; 8]).collect();
/// let (mut state, mut out) = (vec![0.0; lag_state_len(8, 1)], vec![0.0; x.len()]);
/// lag(&x, 8, 1, &mut state, &mut out);
/// assert!(out[0].is_nan() && out[8].is_nan());
/// assert_eq!(out[16], 1.0);
/// ```
pub fn lag(x: &[f64], lanes: usize, k: usize, state: &mut [f64], out: &mut [f64]) {
    at_level!(simd => drive_past(simd, Past::<Itself>::new(k), x, lanes, state, out));
}

/// Change over `k` present bars.
///
/// Formula: `x[t] - x[t-k]`. Shape: `[row][lane]` in and out. Units: those of the input. Warm-up: first value at index
/// `k`. NaN: missing bar, not counted. Source: pandas `diff(k)`. State: [`lag_state_len`].
///
/// ```
/// use barloom_kernels::moving::{diff, lag_state_len};
/// let x: Vec<f64> = [1.0, 4.0].iter().flat_map(|&x| [x; 8]).collect();
/// let (mut state, mut out) = (vec![0.0; lag_state_len(8, 1)], vec![0.0; x.len()]);
/// diff(&x, 8, 1, &mut state, &mut out);
/// assert_eq!(out[8], 3.0);
/// ```
pub fn diff(x: &[f64], lanes: usize, k: usize, state: &mut [f64], out: &mut [f64]) {
    at_level!(simd => drive_past(simd, Past::<Difference>::new(k), x, lanes, state, out));
}
