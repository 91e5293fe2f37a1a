//! Rolling variance, standard deviation and z-score (population, ddof 0).

use crate::simd::{Simd, f64x8, prelude::*};
use crate::stream::block::MeanAndVariance;
use crate::stream::{Bar, Kernel, Layout, Ring, run, state_len};

/// What is made of mean and squared deviations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Variance,
    Deviation,
    ZScore,
}

#[derive(Debug, Clone, Copy)]
struct Spread {
    window: MeanAndVariance,
    of: Of,
}

impl Spread {
    fn new(n: usize, of: Of) -> Self {
        Self { window: MeanAndVariance::new(n, 0), of }
    }
}

impl Layout for Spread {
    fn warm_bars(&self) -> usize {
        self.window.bars()
    }
    fn block_bars(&self) -> usize {
        self.window.bars()
    }
    fn ring_slots(&self) -> usize {
        self.window.slots()
    }
    fn rings(&self, visit: &mut dyn FnMut(Ring)) {
        self.window.rings(visit);
    }
}

/// Registers: sums of the block so far.
impl<S: Simd> Kernel<S, 1, 1, 2> for Spread {
    #[inline(always)]
    fn row<const HOT: bool>(
        &self,
        bar: &mut Bar<'_, S>,
        [x]: [f64x8<S>; 1],
        sums: &mut [f64x8<S>; 2],
    ) -> [f64x8<S>; 1] {
        let [mean, variance] = self.window.push::<S, HOT>(bar, sums, x);
        let zero = bar.splat(0.0);
        let value = match self.of {
            Of::Variance => variance,
            Of::Deviation => variance.sqrt(),
            Of::ZScore => variance.simd_eq(zero).select(zero, (x - mean) / variance.sqrt()),
        };
        [bar.starting_at::<HOT>(self.window.bars(), value)]
    }
}

/// State of [`var`], [`stddev`] and [`zscore`].
pub fn var_state_len(lanes: usize, n: usize) -> usize {
    state_len(Spread::new(n, Of::Variance), 2, lanes)
}

/// Rolling variance.
///
/// Formula: mean squared deviation from the mean of the last `n` values (ddof 0). Shape: `[row][lane]` in and out.
/// Units: those of the input, squared. Warm-up: first value at index `n-1`. NaN: missing bar. Source: as
/// in TA-Lib 0.8.
///
/// ```
/// use barloom_kernels::rolling::{var, var_state_len};
/// let x: Vec<f64> = [1.0, 3.0].iter().flat_map(|&x| [x; 8]).collect();
/// let (mut state, mut out) = (vec![0.0; var_state_len(8, 2)], vec![0.0; x.len()]);
/// var(&x, 8, 2, &mut state, &mut out);
/// assert_eq!(out[8], 1.0);
/// ```
pub fn var(x: &[f64], lanes: usize, n: usize, state: &mut [f64], out: &mut [f64]) {
    run!(Spread::new(n, Of::Variance), [x], lanes, state, [out]);
}

/// Rolling standard deviation.
///
/// Formula: square root of [`var`]. Shape: `[row][lane]` in and out. Units: those of the input. Warm-up: first value at
/// index `n-1`. NaN: missing bar. Source: as in TA-Lib 0.8. State: [`var_state_len`].
///
/// ```
/// use barloom_kernels::rolling::{stddev, var_state_len};
/// let x: Vec<f64> = [1.0, 5.0].iter().flat_map(|&x| [x; 8]).collect();
/// let (mut state, mut out) = (vec![0.0; var_state_len(8, 2)], vec![0.0; x.len()]);
/// stddev(&x, 8, 2, &mut state, &mut out);
/// assert_eq!(out[8], 2.0);
/// ```
pub fn stddev(x: &[f64], lanes: usize, n: usize, state: &mut [f64], out: &mut [f64]) {
    run!(Spread::new(n, Of::Deviation), [x], lanes, state, [out]);
}

/// Rolling z-score.
///
/// Formula: `(x - mean)/stddev` over the last `n` values, 0 when flat. Shape: `[row][lane]` in and out. Units: standard
/// deviations. Warm-up: first value at index `n-1`. NaN: missing bar. Source: definition. State:
/// [`var_state_len`].
///
/// ```
/// use barloom_kernels::rolling::{var_state_len, zscore};
/// let x: Vec<f64> = [1.0, 5.0, 5.0].iter().flat_map(|&x| [x; 8]).collect();
/// let (mut state, mut out) = (vec![0.0; var_state_len(8, 2)], vec![0.0; x.len()]);
/// zscore(&x, 8, 2, &mut state, &mut out);
/// assert_eq!((out[8], out[16]), (1.0, 0.0));
/// ```
pub fn zscore(x: &[f64], lanes: usize, n: usize, state: &mut [f64], out: &mut [f64]) {
    run!(Spread::new(n, Of::ZScore), [x], lanes, state, [out]);
}
