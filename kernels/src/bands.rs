//! Bands around a price: Bollinger, Donchian, Keltner.

use crate::simd::{Simd, f64x8, prelude::*};
use crate::stream::block::MeanAndVariance;
use crate::stream::fold::{Largest, Smallest};
use crate::stream::smooth::Smooth;
use crate::stream::window::Tree;
use crate::stream::{Bar, Kernel, Layout, Ring, run, state_len};
use crate::volatility::true_range;

#[derive(Debug, Clone, Copy)]
struct Bollinger {
    spread: MeanAndVariance,
    k: f64,
}

impl Bollinger {
    fn new(n: usize, k: f64) -> Self {
        Self { spread: MeanAndVariance::new(n, 0), k }
    }
}

impl Layout for Bollinger {
    fn warm_bars(&self) -> usize {
        self.spread.bars()
    }
    fn block_bars(&self) -> usize {
        self.spread.bars()
    }
    fn ring_slots(&self) -> usize {
        self.spread.slots()
    }
    fn rings(&self, visit: &mut dyn FnMut(Ring)) {
        self.spread.rings(visit);
    }
}

/// Registers: sums of the block so far.
impl<S: Simd> Kernel<S, 1, 3, 2> for Bollinger {
    #[inline(always)]
    fn row<const HOT: bool>(
        &self,
        bar: &mut Bar<'_, S>,
        [x]: [f64x8<S>; 1],
        sums: &mut [f64x8<S>; 2],
    ) -> [f64x8<S>; 3] {
        let [mid, variance] = self.spread.push::<S, HOT>(bar, sums, x);
        let width = variance.sqrt() * self.k;
        let mid = bar.starting_at::<HOT>(self.spread.bars(), mid);
        [mid + width, mid, mid - width]
    }
}

/// State of [`bbands`].
pub fn bbands_state_len(lanes: usize, n: usize) -> usize {
    state_len(Bollinger::new(n, 1.0), 2, lanes)
}

/// Bollinger bands: upper, mid, lower.
///
/// Formula: SMA ± `k` population standard deviations of the last `n` values. Shape: `[row][lane]` in, three panels out.
/// Units: those of the input. Warm-up: first value at index `n-1`. NaN: missing bar. Source: as in TA-Lib
/// 0.8.
///
/// ```
/// use barloom_kernels::bands::{bbands, bbands_state_len};
/// let x: Vec<f64> = [1.0, 3.0].iter().flat_map(|&x| [x; 8]).collect();
/// let mut state = vec![0.0; bbands_state_len(8, 2)];
/// let (mut upper, mut mid, mut lower) = (vec![0.0; 16], vec![0.0; 16], vec![0.0; 16]);
/// bbands(&x, 8, 2, 2.0, &mut state, &mut upper, &mut mid, &mut lower);
/// assert_eq!((upper[8], mid[8], lower[8]), (4.0, 2.0, 0.0));
/// ```
#[allow(clippy::too_many_arguments, reason = "inputs, parameters, state and outputs of one indicator")]
pub fn bbands(
    x: &[f64],
    lanes: usize,
    n: usize,
    k: f64,
    state: &mut [f64],
    upper: &mut [f64],
    mid: &mut [f64],
    lower: &mut [f64],
) {
    run!(Bollinger::new(n, k), [x], lanes, state, [upper, mid, lower]);
}

#[derive(Debug, Clone, Copy)]
struct Donchian {
    highest: Tree<1>,
    lowest: Tree<1>,
    n: usize,
}

impl Donchian {
    fn new(n: usize) -> Self {
        let highest = Tree::new(n, 0);
        Self { highest, lowest: Tree::new(n, highest.slots()), n }
    }
}

impl Layout for Donchian {
    fn warm_bars(&self) -> usize {
        self.n
    }
    fn ring_slots(&self) -> usize {
        2 * self.highest.slots()
    }
    fn rings(&self, visit: &mut dyn FnMut(Ring)) {
        self.highest.rings(visit);
        self.lowest.rings(visit);
    }
}

impl<S: Simd> Kernel<S, 2, 3, 0> for Donchian {
    #[inline(always)]
    fn row<const HOT: bool>(
        &self,
        bar: &mut Bar<'_, S>,
        x: [f64x8<S>; 2],
        _: &mut [f64x8<S>; 0],
    ) -> [f64x8<S>; 3] {
        let [upper] = self.highest.push::<S, Largest, HOT>(bar, [x[0]]);
        let [lower] = self.lowest.push::<S, Smallest, HOT>(bar, [x[1]]);
        let (upper, lower) = (bar.starting_at::<HOT>(self.n, upper), bar.starting_at::<HOT>(self.n, lower));
        [upper, (upper + lower) * 0.5, lower]
    }
}

/// State of [`donchian`].
pub fn donchian_state_len(lanes: usize, n: usize) -> usize {
    state_len(Donchian::new(n), 0, lanes)
}

/// Donchian channel: upper, mid, lower.
///
/// Formula: highest high, mean of the two, lowest low of the last `n` bars, this one included (a breakout rule compares
/// with the bar before: `lag` it). Shape: `[row][lane]` in, three panels out. Units: price. Warm-up: first value at
/// index `n-1`. NaN: missing bar. Source: Donchian.
///
/// ```
/// use barloom_kernels::bands::{donchian, donchian_state_len};
/// let high: Vec<f64> = [5.0, 4.0].iter().flat_map(|&x| [x; 8]).collect();
/// let low: Vec<f64> = [3.0, 1.0].iter().flat_map(|&x| [x; 8]).collect();
/// let mut state = vec![0.0; donchian_state_len(8, 2)];
/// let (mut upper, mut mid, mut lower) = (vec![0.0; 16], vec![0.0; 16], vec![0.0; 16]);
/// donchian(&high, &low, 8, 2, &mut state, &mut upper, &mut mid, &mut lower);
/// assert_eq!((upper[8], mid[8], lower[8]), (5.0, 3.0, 1.0));
/// ```
#[allow(clippy::too_many_arguments, reason = "inputs, parameters, state and outputs of one indicator")]
pub fn donchian(
    high: &[f64],
    low: &[f64],
    lanes: usize,
    n: usize,
    state: &mut [f64],
    upper: &mut [f64],
    mid: &mut [f64],
    lower: &mut [f64],
) {
    run!(Donchian::new(n), [high, low], lanes, state, [upper, mid, lower]);
}

#[derive(Debug, Clone, Copy)]
struct Keltner {
    mid: Smooth,
    atr: Smooth,
    k: f64,
}

impl Keltner {
    /// Both averages are seeded at index `max(n-1, m)` with the values up to there.
    fn new(n: usize, m: usize, k: f64) -> Self {
        assert!(n > 0 && m > 0, "a period is at least 1");
        let first = n.max(m + 1);
        Self { mid: Smooth::ema(n, first - n + 1), atr: Smooth::wilder(m, first - m + 1), k }
    }
}

impl Layout for Keltner {
    fn warm_bars(&self) -> usize {
        self.mid.first_bar()
    }
}

/// Registers: previous close, mid line, ATR.
impl<S: Simd> Kernel<S, 4, 3, 3> for Keltner {
    #[inline(always)]
    fn row<const HOT: bool>(
        &self,
        bar: &mut Bar<'_, S>,
        x: [f64x8<S>; 4],
        r: &mut [f64x8<S>; 3],
    ) -> [f64x8<S>; 3] {
        let [high, low, close, source] = x;
        let [previous_close, mid, atr] = r;
        let range = true_range(high, low, *previous_close);
        bar.set::<HOT>(previous_close, close);
        let mid = self.mid.push::<S, HOT>(bar, mid, source);
        let width = self.atr.push::<S, HOT>(bar, atr, range) * self.k;
        [mid + width, mid, mid - width]
    }
}

/// State of [`keltner`].
pub fn keltner_state_len(lanes: usize, n: usize, m: usize) -> usize {
    state_len(Keltner::new(n, m, 1.0), 3, lanes)
}

/// Keltner channel: upper, mid, lower.
///
/// Formula: EMA(source, `n`) ± `k` ATR(`m`), both seeded at index `s = max(n-1, m)` with the mean of their last `n`, `m`
/// values. Shape: `[row][lane]` in, three panels out; `source` is the typical price ([`crate::elementwise::hlc3`]) or
/// the close. Units: price. Warm-up: first value at index `s`. NaN: missing bar. Source: Keltner 1960, with the ATR for its width.
///
/// ```
/// use barloom_kernels::bands::{keltner, keltner_state_len};
/// let high: Vec<f64> = [5.0, 6.0].iter().flat_map(|&x| [x; 8]).collect();
/// let low: Vec<f64> = [3.0, 4.0].iter().flat_map(|&x| [x; 8]).collect();
/// let mut state = vec![0.0; keltner_state_len(8, 2, 1)];
/// let (mut upper, mut mid, mut lower) = (vec![0.0; 16], vec![0.0; 16], vec![0.0; 16]);
/// keltner(&high, &low, &low, &low, 8, 2, 1, 2.0, &mut state, &mut upper, &mut mid, &mut lower);
/// assert_eq!((upper[8], mid[8], lower[8]), (9.5, 3.5, -2.5));
/// ```
#[allow(clippy::too_many_arguments, reason = "inputs, parameters, state and outputs of one indicator")]
pub fn keltner(
    high: &[f64],
    low: &[f64],
    close: &[f64],
    source: &[f64],
    lanes: usize,
    n: usize,
    m: usize,
    k: f64,
    state: &mut [f64],
    upper: &mut [f64],
    mid: &mut [f64],
    lower: &mut [f64],
) {
    run!(Keltner::new(n, m, k), [high, low, close, source], lanes, state, [upper, mid, lower]);
}
