//! Rolling statistics of two series: correlation and beta.

use crate::simd::{Simd, f64x8, prelude::*};
use crate::stream::fold::CoMoments;
use crate::stream::window::Tree;
use crate::stream::{Bar, Kernel, Layout, Ring, run, state_len};

#[derive(Debug, Clone, Copy)]
struct Correlation {
    tree: Tree<5>,
    n: usize,
}

impl Correlation {
    fn new(n: usize) -> Self {
        Self { tree: Tree::new(n, 0), n }
    }
}

impl Layout for Correlation {
    fn warm_bars(&self) -> usize {
        self.n
    }
    fn ring_slots(&self) -> usize {
        self.tree.slots()
    }
    fn rings(&self, visit: &mut dyn FnMut(Ring)) {
        self.tree.rings(visit);
    }
}

impl<S: Simd> Kernel<S, 2, 1, 0> for Correlation {
    #[inline(always)]
    fn row<const HOT: bool>(
        &self,
        bar: &mut Bar<'_, S>,
        x: [f64x8<S>; 2],
        _: &mut [f64x8<S>; 0],
    ) -> [f64x8<S>; 1] {
        let (zero, one) = (bar.splat(0.0), bar.splat(1.0));
        let [_, _, xx, yy, xy] = self.tree.push::<S, CoMoments, HOT>(bar, [x[0], x[1], zero, zero, zero]);
        // Root by root: the product of two variances may overflow or vanish.
        let scale = xx.sqrt() * yy.sqrt();
        let r = xy / scale;
        let r = r.simd_gt(one).select(one, r.simd_lt(-one).select(-one, r));
        [bar.starting_at::<HOT>(self.n, scale.simd_gt(zero).select(r, zero))]
    }
}

/// State of [`correl`].
pub fn correl_state_len(lanes: usize, n: usize) -> usize {
    state_len(Correlation::new(n), 0, lanes)
}

/// Rolling Pearson correlation of levels.
///
/// Formula: covariance over the product of standard deviations of the last `n` values, 0 when either is flat. Shape:
/// `[row][lane]` in and out. Units: -1 to 1. Warm-up: first value at index `n-1`. NaN: missing bar, of both. Source:
/// as in TA-Lib 0.8.
///
/// ```
/// use barloom_kernels::rolling::{correl, correl_state_len};
/// let x: Vec<f64> = [1.0, 5.0].iter().flat_map(|&x| [x; 8]).collect();
/// let y: Vec<f64> = [4.0, 2.0].iter().flat_map(|&x| [x; 8]).collect();
/// let (mut state, mut out) = (vec![0.0; correl_state_len(8, 2)], vec![0.0; 16]);
/// correl(&x, &y, 8, 2, &mut state, &mut out);
/// assert!((out[8] + 1.0).abs() < 1e-15);
/// ```
pub fn correl(x: &[f64], y: &[f64], lanes: usize, n: usize, state: &mut [f64], out: &mut [f64]) {
    run!(Correlation::new(n), [x, y], lanes, state, [out]);
}

#[derive(Debug, Clone, Copy)]
struct Beta {
    tree: Tree<5>,
    n: usize,
}

impl Beta {
    fn new(n: usize) -> Self {
        Self { tree: Tree::new(n, 0), n }
    }
}

impl Layout for Beta {
    fn warm_bars(&self) -> usize {
        self.n + 1
    }
    fn ring_slots(&self) -> usize {
        self.tree.slots()
    }
    fn rings(&self, visit: &mut dyn FnMut(Ring)) {
        self.tree.rings(visit);
    }
}

/// `now/before - 1`, 0 where `before` is 0.
#[inline(always)]
fn simple_return<S: Simd>(bar: &Bar<'_, S>, now: f64x8<S>, before: f64x8<S>) -> f64x8<S> {
    let zero = bar.splat(0.0);
    before.simd_eq(zero).select(zero, (now - before) / before)
}

/// Registers: previous asset price, previous benchmark price.
impl<S: Simd> Kernel<S, 2, 1, 2> for Beta {
    #[inline(always)]
    fn row<const HOT: bool>(
        &self,
        bar: &mut Bar<'_, S>,
        x: [f64x8<S>; 2],
        r: &mut [f64x8<S>; 2],
    ) -> [f64x8<S>; 1] {
        let zero = bar.splat(0.0);
        let asset = simple_return(bar, x[0], r[0]);
        let benchmark = simple_return(bar, x[1], r[1]);
        bar.set::<HOT>(&mut r[0], x[0]);
        bar.set::<HOT>(&mut r[1], x[1]);
        let [_, _, _, yy, xy] =
            self.tree.push::<S, CoMoments, HOT>(bar, [asset, benchmark, zero, zero, zero]);
        [bar.starting_at::<HOT>(self.n + 1, yy.simd_gt(zero).select(xy / yy, zero))]
    }
}

/// State of [`beta`].
pub fn beta_state_len(lanes: usize, n: usize) -> usize {
    state_len(Beta::new(n), 2, lanes)
}

/// Rolling beta of an asset to a benchmark.
///
/// Formula: slope of the least-squares line of the asset's on the benchmark's last `n` simple returns, 0 when the
/// benchmark is flat. Shape: prices `[row][lane]` in. Units: none. Warm-up: first value at index `n`. NaN: missing bar,
/// of both. Source: as in TA-Lib 0.8.
///
/// ```
/// use barloom_kernels::rolling::{beta, beta_state_len};
/// let asset: Vec<f64> = [100.0, 120.0, 120.0].iter().flat_map(|&x| [x; 8]).collect();
/// let benchmark: Vec<f64> = [100.0, 110.0, 110.0].iter().flat_map(|&x| [x; 8]).collect();
/// let (mut state, mut out) = (vec![0.0; beta_state_len(8, 2)], vec![0.0; 24]);
/// beta(&asset, &benchmark, 8, 2, &mut state, &mut out);
/// assert!((out[16] - 2.0).abs() < 1e-14);
/// ```
pub fn beta(asset: &[f64], benchmark: &[f64], lanes: usize, n: usize, state: &mut [f64], out: &mut [f64]) {
    run!(Beta::new(n), [asset, benchmark], lanes, state, [out]);
}
