//! Realised volatility of log returns.

use crate::elementwise::ln;
use crate::simd::{Simd, f64x8, prelude::*};
use crate::stream::fold::Moments;
use crate::stream::window::Tree;
use crate::stream::{Bar, Kernel, Layout, Ring, run, state_len};

/// What returns deviate from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReturnMean {
    /// Zero: `√(ppy/n Σr²)`.
    Zero,
    /// Their mean: `√(ppy/(n-1) Σ(r-r̄)²)`.
    Sample,
}

#[derive(Debug, Clone, Copy)]
struct RealizedVol {
    tree: Tree<2>,
    n: usize,
    periods_per_year: f64,
    about: ReturnMean,
}

impl RealizedVol {
    fn new(n: usize, periods_per_year: f64, about: ReturnMean) -> Self {
        Self { tree: Tree::new(n, 0), n, periods_per_year, about }
    }
}

impl Layout for RealizedVol {
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

/// Register: previous price.
impl<S: Simd> Kernel<S, 1, 1, 1> for RealizedVol {
    #[inline(always)]
    fn row<const HOT: bool>(
        &self,
        bar: &mut Bar<'_, S>,
        x: [f64x8<S>; 1],
        r: &mut [f64x8<S>; 1],
    ) -> [f64x8<S>; 1] {
        let zero = bar.splat(0.0);
        let mut ratio = (x[0] / r[0]).to_array();
        bar.set::<HOT>(&mut r[0], x[0]);
        for ratio in &mut ratio {
            *ratio = ln(*ratio);
        }
        let log_return = f64x8::load_array(bar.simd, ratio);
        let n = self.n as f64;
        let variance = match self.about {
            // The mean of r² is all that is wanted of its moments.
            ReturnMean::Zero => {
                let [mean_square, _] =
                    self.tree.push::<S, Moments, HOT>(bar, [log_return * log_return, zero]);
                mean_square
            }
            ReturnMean::Sample => {
                let [_, squares] = self.tree.push::<S, Moments, HOT>(bar, [log_return, zero]);
                squares / bar.splat(n - 1.0)
            }
        };
        [bar.starting_at::<HOT>(self.n + 1, (variance * self.periods_per_year).sqrt())]
    }
}

/// State of [`realized_vol`].
pub fn realized_vol_state_len(lanes: usize, n: usize) -> usize {
    state_len(RealizedVol::new(n, 1.0, ReturnMean::Zero), 1, lanes)
}

/// Realised volatility, annualised.
///
/// Formula: `√(ppy/n Σr²)` over the last `n` log returns, or about their mean with ddof 1 (`n` at least 2). Shape:
/// prices `[row][lane]` in. Units: fraction per year; `periods_per_year` is 35 040 for bars of 15 minutes. Warm-up:
/// first value at index `n`. NaN: missing bar; a price of 0 or below leaves the windows that contain its returns
/// without a value. Source: definition.
///
/// ```
/// use barloom_kernels::rolling::{realized_vol, realized_vol_state_len, ReturnMean};
/// let x: Vec<f64> = [1.0, 1.1].iter().flat_map(|&x| [x; 8]).collect();
/// let (mut state, mut out) = (vec![0.0; realized_vol_state_len(8, 1)], vec![0.0; x.len()]);
/// realized_vol(&x, 8, 1, 4.0, ReturnMean::Zero, &mut state, &mut out);
/// assert!((out[8] - 2.0 * 1.1_f64.ln()).abs() < 1e-15);
/// ```
pub fn realized_vol(
    x: &[f64],
    lanes: usize,
    n: usize,
    periods_per_year: f64,
    about: ReturnMean,
    state: &mut [f64],
    out: &mut [f64],
) {
    run!(RealizedVol::new(n, periods_per_year, about), [x], lanes, state, [out]);
}
