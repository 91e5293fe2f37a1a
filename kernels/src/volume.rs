//! Volume flow: OBV.

use crate::simd::{Simd, f64x8, prelude::*};
use crate::stream::{Bar, Kernel, Layout, run, state_len};

#[derive(Debug, Clone, Copy)]
struct OnBalance;

impl Layout for OnBalance {
    fn warm_bars(&self) -> usize {
        1
    }
}

/// Registers: previous close, balance.
impl<S: Simd> Kernel<S, 2, 1, 2> for OnBalance {
    #[inline(always)]
    fn row<const HOT: bool>(
        &self,
        bar: &mut Bar<'_, S>,
        x: [f64x8<S>; 2],
        r: &mut [f64x8<S>; 2],
    ) -> [f64x8<S>; 1] {
        let [close, volume] = x;
        let zero = bar.splat(0.0);
        let change = close.simd_gt(r[0]).select(volume, close.simd_lt(r[0]).select(-volume, zero));
        let change = if HOT { change } else { bar.count.simd_eq(bar.splat(1.0)).select(volume, change) };
        let balance = r[1] + change;
        bar.set::<HOT>(&mut r[0], close);
        bar.set::<HOT>(&mut r[1], balance);
        [balance]
    }
}

/// State of [`obv`].
pub fn obv_state_len(lanes: usize) -> usize {
    state_len(OnBalance, 2, lanes)
}

/// On-balance volume.
///
/// Formula: starts at `V₀`; then plus `V` when the close rises, minus `V` when it falls. Shape: `[row][lane]` in and out.
/// Units: those of the volume. Warm-up: none. NaN: missing bar. Source: Granville 1963; as in TA-Lib 0.8.
///
/// ```
/// use barloom_kernels::volume::{obv, obv_state_len};
/// let close: Vec<f64> = [1.0, 3.0, 2.0].iter().flat_map(|&x| [x; 8]).collect();
/// let volume: Vec<f64> = [10.0, 5.0, 1.0].iter().flat_map(|&x| [x; 8]).collect();
/// let (mut state, mut out) = (vec![0.0; obv_state_len(8)], vec![0.0; 24]);
/// obv(&close, &volume, 8, &mut state, &mut out);
/// assert_eq!((out[0], out[8], out[16]), (10.0, 15.0, 14.0));
/// ```
pub fn obv(close: &[f64], volume: &[f64], lanes: usize, state: &mut [f64], out: &mut [f64]) {
    run!(OnBalance, [close, volume], lanes, state, [out]);
}
