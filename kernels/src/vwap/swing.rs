//! VWAP anchored to swing points.

use super::anchored::West;
use crate::simd::{Simd, f64x8, mask64x8, prelude::*};
use crate::stream::window::Delay;
use crate::stream::{Bar, Kernel, Layout, Ring, run, state_len};

/// Which turning points anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swing {
    /// Lows.
    Low,
    /// Highs.
    High,
}

#[derive(Debug, Clone, Copy)]
struct SwingVwap {
    extremes: Delay,
    prices: Delay,
    volumes: Delay,
    left: usize,
    right: usize,
    swing: Swing,
}

impl SwingVwap {
    fn new(left: usize, right: usize, swing: Swing) -> Self {
        let extremes = Delay::new(left + right + 1, 0);
        let prices = Delay::new(right + 1, extremes.slots());
        let volumes = Delay::new(right + 1, extremes.slots() + prices.slots());
        Self { extremes, prices, volumes, left, right, swing }
    }

    /// Lanes whose bar `right` bars ago turned: beyond the `left` before it, not exceeded by the `right` after it.
    #[inline(always)]
    fn turned<S: Simd>(&self, bar: &Bar<'_, S>) -> mask64x8<S> {
        let pivot = self.extremes.back(bar, self.right);
        let mut turned = bar.at_least(self.left + self.right + 1);
        for back in 0..self.right {
            turned &= pivot.simd_le(self.extremes.back(bar, back));
        }
        for back in self.right + 1..=self.right + self.left {
            turned &= pivot.simd_lt(self.extremes.back(bar, back));
        }
        turned
    }
}

impl Layout for SwingVwap {
    fn warm_bars(&self) -> usize {
        self.left + self.right + 1
    }
    fn ring_slots(&self) -> usize {
        self.extremes.slots() + 2 * self.prices.slots()
    }
    fn rings(&self, visit: &mut dyn FnMut(Ring)) {
        visit(self.extremes.ring());
        visit(self.prices.ring());
        visit(self.volumes.ring());
    }
}

/// Registers: weight, mean, squares; deviation last shown; 1 once there is an anchor, 2 once there is a value.
impl<S: Simd> Kernel<S, 3, 2, 5> for SwingVwap {
    #[inline(always)]
    fn row<const HOT: bool>(
        &self,
        bar: &mut Bar<'_, S>,
        x: [f64x8<S>; 3],
        r: &mut [f64x8<S>; 5],
    ) -> [f64x8<S>; 2] {
        let [extreme, price, volume] = x;
        let simd = bar.simd;
        let (zero, missing) = (bar.splat(0.0), bar.splat(f64::NAN));
        let extreme = if self.swing == Swing::High { -extreme } else { extreme };
        self.extremes.put::<S, HOT>(bar, extreme);
        self.prices.put::<S, HOT>(bar, price);
        self.volumes.put::<S, HOT>(bar, volume);
        let present = bar.present;
        let turned = present & self.turned(bar);
        let mut sums = West { weight: r[0], mean: r[1], squares: r[2] };
        let (shown, stage) = (r[3], r[4]);
        // Lanes with a new anchor take their sums from its bar on; the others add this bar.
        let mut anew = West { weight: zero, mean: sums.mean, squares: sums.squares };
        if turned.any_true() {
            for back in (0..=self.right).rev() {
                anew.add(simd, turned, self.prices.back(bar, back), self.volumes.back(bar, back));
            }
        }
        sums.add(simd, present & stage.simd_gt(zero), price, volume);
        sums.weight = turned.select(anew.weight, sums.weight);
        sums.mean = turned.select(anew.mean, sums.mean);
        sums.squares = turned.select(anew.squares, sums.squares);
        let stage = (turned & stage.simd_eq(zero)).select(bar.splat(1.0), stage);
        let traded = sums.weight.simd_gt(zero);
        let stage = traded.select(bar.splat(2.0), stage);
        let shown = traded.select((sums.squares / sums.weight).sqrt(), shown);
        *r = [sums.weight, sums.mean, sums.squares, shown, stage];
        let show = stage.simd_eq(bar.splat(2.0));
        [show.select(sums.mean, missing), show.select(shown, missing)]
    }
}

/// State of [`avwap_swing`].
pub fn avwap_swing_state_len(lanes: usize, left: usize, right: usize) -> usize {
    state_len(SwingVwap::new(left, right, Swing::Low), 5, lanes)
}

/// VWAP anchored to the last confirmed swing, with its standard deviation.
///
/// Formula: bar `p` is a swing low if its low is below those of the `left` bars before and not above those of the
/// `right` bars after it (a swing high mirrored); that is known at `p + right`. The line is the volume-weighted mean
/// since `p`, published from `p + right` on; until then the line of the previous swing goes on. Shape: `[row][lane]` in
/// (`extreme` = lows or highs), two panels out. Units: price. Warm-up: NaN until a swing is known. NaN: missing bar.
/// Source: definition; West 1979. A band is `vwap ± k·stddev`.
///
/// ```
/// use barloom_kernels::vwap::{avwap_swing, avwap_swing_state_len, Swing};
/// let low: Vec<f64> = [3.0, 1.0, 2.0, 5.0].iter().flat_map(|&x| [x; 8]).collect();
/// let mut state = vec![0.0; avwap_swing_state_len(8, 1, 1)];
/// let (mut line, mut stddev) = (vec![0.0; 32], vec![0.0; 32]);
/// avwap_swing(&low, &low, &[1.0; 32], 8, 1, 1, Swing::Low, &mut state, &mut line, &mut stddev);
/// assert!(line[8].is_nan());
/// assert_eq!((line[16], stddev[16]), (1.5, 0.5));
/// ```
#[allow(clippy::too_many_arguments, reason = "inputs, parameters, state and outputs of one indicator")]
pub fn avwap_swing(
    extreme: &[f64],
    price: &[f64],
    volume: &[f64],
    lanes: usize,
    left: usize,
    right: usize,
    swing: Swing,
    state: &mut [f64],
    line: &mut [f64],
    stddev: &mut [f64],
) {
    run!(SwingVwap::new(left, right, swing), [extreme, price, volume], lanes, state, [line, stddev]);
}
