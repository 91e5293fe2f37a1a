//! Where the close stands among recent prices: stochastic and CCI.

use crate::simd::{Simd, f64x8, prelude::*};
use crate::stream::fold::{Largest, Smallest, Sum};
use crate::stream::window::{Delay, Tree};
use crate::stream::{Bar, Kernel, Layout, Ring, run, state_len};

#[derive(Debug, Clone, Copy)]
struct Stochastic {
    highest: Tree<1>,
    lowest: Tree<1>,
    slow_k: Tree<1>,
    slow_d: Tree<1>,
    slots: usize,
    k_bars: f64,
    d_bars: f64,
    warm_bars: usize,
}

impl Stochastic {
    fn new(fast_k: usize, slow_k: usize, slow_d: usize) -> Self {
        let highest = Tree::new(fast_k, 0);
        let lowest = Tree::new(fast_k, highest.slots());
        let k = Tree::new(slow_k, 2 * highest.slots());
        let d = Tree::new(slow_d, 2 * highest.slots() + k.slots());
        Self {
            highest,
            lowest,
            slow_k: k,
            slow_d: d,
            slots: 2 * highest.slots() + k.slots() + d.slots(),
            k_bars: slow_k as f64,
            d_bars: slow_d as f64,
            warm_bars: fast_k + slow_k + slow_d - 2,
        }
    }
}

impl Layout for Stochastic {
    fn warm_bars(&self) -> usize {
        self.warm_bars
    }
    fn ring_slots(&self) -> usize {
        self.slots
    }
    fn rings(&self, visit: &mut dyn FnMut(Ring)) {
        self.highest.rings(visit);
        self.lowest.rings(visit);
        self.slow_k.rings(visit);
        self.slow_d.rings(visit);
    }
}

impl<S: Simd> Kernel<S, 3, 2, 0> for Stochastic {
    #[inline(always)]
    fn row<const HOT: bool>(
        &self,
        bar: &mut Bar<'_, S>,
        x: [f64x8<S>; 3],
        _: &mut [f64x8<S>; 0],
    ) -> [f64x8<S>; 2] {
        let [high, low, close] = x;
        let zero = bar.splat(0.0);
        let [highest] = self.highest.push::<S, Largest, HOT>(bar, [high]);
        let [lowest] = self.lowest.push::<S, Smallest, HOT>(bar, [low]);
        let range = highest - lowest;
        let raw = range.simd_eq(zero).select(zero, (close - lowest) * 100.0 / range);
        let [sum] = self.slow_k.push::<S, Sum, HOT>(bar, [raw]);
        let k = sum / bar.splat(self.k_bars);
        let [sum] = self.slow_d.push::<S, Sum, HOT>(bar, [k]);
        let d = sum / bar.splat(self.d_bars);
        [bar.starting_at::<HOT>(self.warm_bars, k), bar.starting_at::<HOT>(self.warm_bars, d)]
    }
}

/// State of [`stoch`].
pub fn stoch_state_len(lanes: usize, fast_k: usize, slow_k: usize, slow_d: usize) -> usize {
    state_len(Stochastic::new(fast_k, slow_k, slow_d), 0, lanes)
}

/// Slow stochastic.
///
/// Formula: raw = `100 (C-LL)/(HH-LL)` over `fast_k` bars, 0 if `HH = LL`; `K` = SMA(raw, `slow_k`), `D` = SMA(K,
/// `slow_d`). Shape: `[row][lane]` in, two panels out. Units: 0 to 100. Warm-up: both from index
/// `fast_k+slow_k+slow_d-3`. NaN: missing bar. Source: as in TA-Lib 0.8.
///
/// ```
/// use barloom_kernels::momentum::{stoch, stoch_state_len};
/// let high: Vec<f64> = [4.0, 5.0].iter().flat_map(|&x| [x; 8]).collect();
/// let low: Vec<f64> = [1.0, 3.0].iter().flat_map(|&x| [x; 8]).collect();
/// let (mut state, mut k, mut d) = (vec![0.0; stoch_state_len(8, 2, 1, 1)], vec![0.0; 16], vec![0.0; 16]);
/// stoch(&high, &low, &low, 8, 2, 1, 1, &mut state, &mut k, &mut d);
/// assert_eq!((k[8], d[8]), (50.0, 50.0));
/// ```
#[allow(clippy::too_many_arguments, reason = "inputs, parameters, state and outputs of one indicator")]
pub fn stoch(
    high: &[f64],
    low: &[f64],
    close: &[f64],
    lanes: usize,
    fast_k: usize,
    slow_k: usize,
    slow_d: usize,
    state: &mut [f64],
    k: &mut [f64],
    d: &mut [f64],
) {
    run!(Stochastic::new(fast_k, slow_k, slow_d), [high, low, close], lanes, state, [k, d]);
}

#[derive(Debug, Clone, Copy)]
struct CommodityChannel {
    history: Delay,
    n: usize,
}

impl CommodityChannel {
    fn new(n: usize) -> Self {
        Self { history: Delay::new(n, 0), n }
    }
}

impl Layout for CommodityChannel {
    fn warm_bars(&self) -> usize {
        self.n
    }
    fn ring_slots(&self) -> usize {
        self.history.slots()
    }
    fn rings(&self, visit: &mut dyn FnMut(Ring)) {
        visit(self.history.ring());
    }
}

impl<S: Simd> Kernel<S, 3, 1, 0> for CommodityChannel {
    #[inline(always)]
    fn row<const HOT: bool>(
        &self,
        bar: &mut Bar<'_, S>,
        x: [f64x8<S>; 3],
        _: &mut [f64x8<S>; 0],
    ) -> [f64x8<S>; 1] {
        let (zero, n) = (bar.splat(0.0), bar.splat(self.n as f64));
        let typical = (x[0] + x[1] + x[2]) / bar.splat(3.0);
        self.history.put::<S, HOT>(bar, typical);
        // The mean is taken about the newest value, so that a flat window deviates by exactly 0.
        let mut sum = zero;
        for back in (0..self.n).rev() {
            sum += self.history.back(bar, back) - typical;
        }
        let offset = sum / n;
        let mut deviation = zero;
        for back in (0..self.n).rev() {
            deviation += (self.history.back(bar, back) - typical - offset).abs();
        }
        let value = (zero - offset) / (deviation / n * 0.015);
        [bar.starting_at::<HOT>(self.n, deviation.simd_eq(zero).select(zero, value))]
    }
}

/// State of [`cci`].
pub fn cci_state_len(lanes: usize, n: usize) -> usize {
    state_len(CommodityChannel::new(n), 0, lanes)
}

/// Commodity channel index.
///
/// Formula: `(tp - SMA(tp))/(0.015 mean|tp - SMA(tp)|)`, `tp = (H+L+C)/3`, 0 when flat. Shape: `[row][lane]` in and out.
/// Units: none. Warm-up: first value at index `n-1`. NaN: missing bar. Source: Lambert 1980; as in
/// TA-Lib 0.8. Time: two passes over the window, eight lanes at once.
///
/// ```
/// use barloom_kernels::momentum::{cci, cci_state_len};
/// let x: Vec<f64> = [1.0, 3.0].iter().flat_map(|&x| [x; 8]).collect();
/// let (mut state, mut out) = (vec![0.0; cci_state_len(8, 2)], vec![0.0; x.len()]);
/// cci(&x, &x, &x, 8, 2, &mut state, &mut out);
/// assert!((out[8] - 1.0 / 0.015).abs() < 1e-12);
/// ```
pub fn cci(
    high: &[f64],
    low: &[f64],
    close: &[f64],
    lanes: usize,
    n: usize,
    state: &mut [f64],
    out: &mut [f64],
) {
    run!(CommodityChannel::new(n), [high, low, close], lanes, state, [out]);
}
