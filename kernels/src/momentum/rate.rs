//! Rate of change.

use crate::simd::{Simd, f64x8, prelude::*};
use crate::stream::window::Delay;
use crate::stream::{Bar, Kernel, Layout, Ring, run, state_len};

#[derive(Debug, Clone, Copy)]
struct RateOfChange {
    history: Delay,
    n: usize,
}

impl RateOfChange {
    fn new(n: usize) -> Self {
        Self { history: Delay::new(n, 0), n }
    }
}

impl Layout for RateOfChange {
    fn warm_bars(&self) -> usize {
        self.n + 1
    }
    fn ring_slots(&self) -> usize {
        self.history.slots()
    }
    fn rings(&self, visit: &mut dyn FnMut(Ring)) {
        visit(self.history.ring());
    }
}

impl<S: Simd> Kernel<S, 1, 1, 0> for RateOfChange {
    #[inline(always)]
    fn row<const HOT: bool>(
        &self,
        bar: &mut Bar<'_, S>,
        [x]: [f64x8<S>; 1],
        _: &mut [f64x8<S>; 0],
    ) -> [f64x8<S>; 1] {
        let zero = bar.splat(0.0);
        let before = self.history.push::<S, HOT>(bar, x);
        let change = (x / before - bar.splat(1.0)) * 100.0;
        [bar.starting_at::<HOT>(self.n + 1, before.simd_eq(zero).select(zero, change))]
    }
}

/// State of [`roc`].
pub fn roc_state_len(lanes: usize, n: usize) -> usize {
    state_len(RateOfChange::new(n), 0, lanes)
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
    run!(RateOfChange::new(n), [x], lanes, state, [out]);
}
