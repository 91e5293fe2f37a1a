//! Money flow.

use crate::simd::{Simd, f64x8, prelude::*};
use crate::stream::fold::Sum;
use crate::stream::window::Tree;
use crate::stream::{Bar, Kernel, Layout, Ring, run, state_len};

#[derive(Debug, Clone, Copy)]
struct MoneyFlow {
    flows: Tree<2>,
    n: usize,
}

impl MoneyFlow {
    fn new(n: usize) -> Self {
        Self { flows: Tree::new(n, 0), n }
    }
}

impl Layout for MoneyFlow {
    fn warm_bars(&self) -> usize {
        self.n + 1
    }
    fn ring_slots(&self) -> usize {
        self.flows.slots()
    }
    fn rings(&self, visit: &mut dyn FnMut(Ring)) {
        self.flows.rings(visit);
    }
}

/// Register: previous typical price.
impl<S: Simd> Kernel<S, 4, 1, 1> for MoneyFlow {
    #[inline(always)]
    fn row<const HOT: bool>(
        &self,
        bar: &mut Bar<'_, S>,
        x: [f64x8<S>; 4],
        r: &mut [f64x8<S>; 1],
    ) -> [f64x8<S>; 1] {
        let zero = bar.splat(0.0);
        let typical = (x[0] + x[1] + x[2]) / bar.splat(3.0);
        let flow = typical * x[3];
        let inflow = typical.simd_gt(r[0]).select(flow, zero);
        let outflow = typical.simd_lt(r[0]).select(flow, zero);
        bar.set::<HOT>(&mut r[0], typical);
        let [inflow, outflow] = self.flows.push::<S, Sum, HOT>(bar, [inflow, outflow]);
        let total = inflow + outflow;
        let value = total.simd_eq(zero).select(zero, inflow * 100.0 / total);
        [bar.starting_at::<HOT>(self.n + 1, value)]
    }
}

/// State of [`mfi`].
pub fn mfi_state_len(lanes: usize, n: usize) -> usize {
    state_len(MoneyFlow::new(n), 1, lanes)
}

/// Money flow index.
///
/// Formula: `100 pos/(pos+neg)` over `n` flows `tp·V`, by the sign of the change of `tp = (H+L+C)/3`; 0 without any
/// flow. Shape: `[row][lane]` in and out. Units: 0 to 100. Warm-up: first value at index `n`. NaN: missing bar. Source:
/// as in TA-Lib 0.8, but without its threshold on the total flow.
///
/// ```
/// use barloom_kernels::momentum::{mfi, mfi_state_len};
/// let x: Vec<f64> = [2.0, 3.0, 1.0].iter().flat_map(|&x| [x; 8]).collect();
/// let (mut state, mut out) = (vec![0.0; mfi_state_len(8, 2)], vec![0.0; x.len()]);
/// mfi(&x, &x, &x, &[1.0; 24], 8, 2, &mut state, &mut out);
/// assert_eq!(out[16], 75.0);
/// ```
#[allow(clippy::too_many_arguments, reason = "inputs, parameters, state and outputs of one indicator")]
pub fn mfi(
    high: &[f64],
    low: &[f64],
    close: &[f64],
    volume: &[f64],
    lanes: usize,
    n: usize,
    state: &mut [f64],
    out: &mut [f64],
) {
    run!(MoneyFlow::new(n), [high, low, close, volume], lanes, state, [out]);
}
