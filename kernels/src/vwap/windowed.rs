//! Rolling VWAP.

use crate::simd::{Simd, f64x8, prelude::*};
use crate::stream::fold::Sum;
use crate::stream::window::Tree;
use crate::stream::{Bar, Kernel, Layout, Ring, run, state_len};

#[derive(Debug, Clone, Copy)]
struct Vwap {
    sums: Tree<2>,
    n: usize,
}

impl Vwap {
    fn new(n: usize) -> Self {
        Self { sums: Tree::new(n, 0), n }
    }
}

impl Layout for Vwap {
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

/// Register: the last value, NaN after a bar that had none.
impl<S: Simd> Kernel<S, 2, 1, 1> for Vwap {
    #[inline(always)]
    fn row<const HOT: bool>(
        &self,
        bar: &mut Bar<'_, S>,
        x: [f64x8<S>; 2],
        r: &mut [f64x8<S>; 1],
    ) -> [f64x8<S>; 1] {
        let [price, volume] = x;
        let [traded, total] = self.sums.push::<S, Sum, HOT>(bar, [price * volume, volume]);
        let last = if HOT { r[0] } else { bar.at_least(2).select(r[0], bar.splat(f64::NAN)) };
        let value = total.simd_gt(bar.splat(0.0)).select(traded / total, last);
        let value = bar.starting_at::<HOT>(self.n, value);
        bar.set::<HOT>(&mut r[0], value);
        [value]
    }
}

/// State of [`vwap`].
pub fn vwap_state_len(lanes: usize, n: usize) -> usize {
    state_len(Vwap::new(n), 1, lanes)
}

/// Rolling volume-weighted average price.
///
/// Formula: `Σ price·volume / Σ volume` over the last `n` bars; the previous value while nothing traded. Shape:
/// `[row][lane]` in and out; `price` is [`crate::elementwise::hlc3`], the close or quote volume over volume. Units:
/// price. Warm-up: first value at index `n-1`; NaN until something has traded. NaN: missing bar. Source: definition.
///
/// ```
/// use barloom_kernels::vwap::{vwap, vwap_state_len};
/// let price: Vec<f64> = [1.0, 4.0].iter().flat_map(|&x| [x; 8]).collect();
/// let volume: Vec<f64> = [2.0, 1.0].iter().flat_map(|&x| [x; 8]).collect();
/// let (mut state, mut out) = (vec![0.0; vwap_state_len(8, 2)], vec![0.0; 16]);
/// vwap(&price, &volume, 8, 2, &mut state, &mut out);
/// assert_eq!(out[8], 2.0);
/// ```
pub fn vwap(price: &[f64], volume: &[f64], lanes: usize, n: usize, state: &mut [f64], out: &mut [f64]) {
    run!(Vwap::new(n), [price, volume], lanes, state, [out]);
}
