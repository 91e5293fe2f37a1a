//! Wilder's directional movement system: ±DI, DX, ADX.

use crate::simd::{Simd, f64x8, prelude::*};
use crate::stream::smooth::Smooth;
use crate::stream::{Bar, Kernel, Layout, run, state_len};
use crate::volatility::true_range;

/// Directional movement over `n` bars; its outputs are made from the same registers.
#[derive(Debug, Clone, Copy)]
struct Directional {
    n: usize,
    average: Smooth,
}

impl Directional {
    fn new(n: usize) -> Self {
        Self { n, average: Smooth::wilder(n, n + 1) }
    }
}

impl Layout for Directional {
    fn warm_bars(&self) -> usize {
        self.average.first_bar()
    }
}

/// Wilder's sum: plain for the bars `1..n`, then `S = S - S/n + x`.
#[inline(always)]
fn wilder_sum<S: Simd, const HOT: bool>(bar: &Bar<'_, S>, n: usize, sum: &mut f64x8<S>, x: f64x8<S>) {
    let run = *sum - *sum * (1.0 / n as f64) + x;
    if HOT {
        *sum = run;
        return;
    }
    let next = bar.at_least(n + 1).select(run, *sum + x);
    let started = bar.present & bar.at_least(2);
    *sum = started.select(next, *sum);
}

/// Registers: previous high, low and close; sums of the true range, of + and − movement; DX, ADX.
/// Outputs: +DI, −DI, DX, ADX.
impl<S: Simd> Kernel<S, 3, 4, 8> for Directional {
    #[inline(always)]
    fn row<const HOT: bool>(
        &self,
        bar: &mut Bar<'_, S>,
        x: [f64x8<S>; 3],
        r: &mut [f64x8<S>; 8],
    ) -> [f64x8<S>; 4] {
        let [high, low, close] = x;
        let [last_high, last_low, last_close, ranges, ups, downs, dx, adx] = r;
        let zero = bar.splat(0.0);
        let (up, down) = (high - *last_high, *last_low - low);
        let is_up = up.simd_gt(zero) & up.simd_gt(down);
        let is_down = down.simd_gt(zero) & down.simd_gt(up);
        let range = true_range(high, low, *last_close);
        bar.set::<HOT>(last_high, high);
        bar.set::<HOT>(last_low, low);
        bar.set::<HOT>(last_close, close);
        wilder_sum::<S, HOT>(bar, self.n, ranges, range);
        wilder_sum::<S, HOT>(bar, self.n, ups, is_up.select(up, zero));
        wilder_sum::<S, HOT>(bar, self.n, downs, is_down.select(down, zero));
        let flat = ranges.simd_eq(zero);
        let plus = flat.select(zero, *ups * 100.0 / *ranges);
        let minus = flat.select(zero, *downs * 100.0 / *ranges);
        let sum = plus + minus;
        let next_dx = sum.simd_eq(zero).select(*dx, (plus - minus).abs() * 100.0 / sum);
        let next_dx = if HOT { next_dx } else { bar.at_least(self.n + 1).select(next_dx, zero) };
        bar.set::<HOT>(dx, next_dx);
        let adx = self.average.push::<S, HOT>(bar, adx, next_dx);
        let first = self.n + 1;
        [
            bar.starting_at::<HOT>(first, plus),
            bar.starting_at::<HOT>(first, minus),
            bar.starting_at::<HOT>(first, next_dx),
            adx,
        ]
    }
}

/// State of [`directional`].
pub fn directional_state_len(lanes: usize, n: usize) -> usize {
    state_len(Directional::new(n), 8, lanes)
}

/// Wilder's directional movement: +DI, −DI, DX and ADX in one pass.
///
/// Formula: Wilder sums of true range and of movement, seeded with the `n-1` terms of bars `1..n`, then `S = S - S/n +
/// x`; `DI = 100 S(±DM)/S(TR)`; `DX = 100 |+DI − −DI|/(+DI + −DI)`, the previous one when the sum is 0 (at first: 0);
/// ADX = mean of the first `n` DX, then Wilder. Shape: `[row][lane]` in, four panels out. Units: 0 to 100. Warm-up: DI
/// and DX from index `n`, ADX from `2n-1`. NaN: missing bar. Source: Wilder 1978; as in TA-Lib 0.8.
///
/// ```
/// use barloom_kernels::trend::{directional, directional_state_len};
/// let high: Vec<f64> = [5.0, 7.0].iter().flat_map(|&x| [x; 8]).collect();
/// let low: Vec<f64> = [3.0, 4.0].iter().flat_map(|&x| [x; 8]).collect();
/// let mut state = vec![0.0; directional_state_len(8, 1)];
/// let mut out = vec![vec![0.0; 16]; 4];
/// let [plus, minus, dx, adx] = &mut out[..] else { unreachable!() };
/// directional(&high, &low, &low, 8, 1, &mut state, plus, minus, dx, adx);
/// assert_eq!((plus[8], minus[8], dx[8], adx[8]), (50.0, 0.0, 100.0, 100.0));
/// ```
#[allow(clippy::too_many_arguments, reason = "inputs, parameters, state and outputs of one indicator")]
pub fn directional(
    high: &[f64],
    low: &[f64],
    close: &[f64],
    lanes: usize,
    n: usize,
    state: &mut [f64],
    plus_di: &mut [f64],
    minus_di: &mut [f64],
    dx: &mut [f64],
    adx: &mut [f64],
) {
    run!(Directional::new(n), [high, low, close], lanes, state, [plus_di, minus_di, dx, adx]);
}
