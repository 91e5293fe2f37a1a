//! Moving average convergence/divergence.

use crate::simd::{Simd, f64x8};
use crate::stream::smooth::Smooth;
use crate::stream::{Bar, Kernel, Layout, run, state_len};

#[derive(Debug, Clone, Copy)]
struct Macd {
    fast: Smooth,
    slow: Smooth,
    signal: Smooth,
}

impl Macd {
    /// Both averages are seeded at the slow one's first bar, the fast one with the `fast` values up to there.
    fn new(fast: usize, slow: usize, signal: usize) -> Self {
        let (fast, slow) = (fast.min(slow), fast.max(slow));
        Self {
            fast: Smooth::ema(fast, slow - fast + 1),
            slow: Smooth::ema(slow, 1),
            signal: Smooth::ema(signal, slow),
        }
    }
}

impl Layout for Macd {
    fn warm_bars(&self) -> usize {
        self.signal.first_bar()
    }
}

/// Registers: fast, slow, signal.
impl<S: Simd> Kernel<S, 1, 3, 3> for Macd {
    #[inline(always)]
    fn row<const HOT: bool>(
        &self,
        bar: &mut Bar<'_, S>,
        [x]: [f64x8<S>; 1],
        r: &mut [f64x8<S>; 3],
    ) -> [f64x8<S>; 3] {
        let [fast, slow, signal] = r;
        let line = self.fast.push::<S, HOT>(bar, fast, x) - self.slow.push::<S, HOT>(bar, slow, x);
        let signal = self.signal.push::<S, HOT>(bar, signal, line);
        let first = self.signal.first_bar();
        [bar.starting_at::<HOT>(first, line), signal, bar.starting_at::<HOT>(first, line - signal)]
    }
}

/// State of [`macd`].
pub fn macd_state_len(lanes: usize, fast: usize, slow: usize, signal: usize) -> usize {
    state_len(Macd::new(fast, slow, signal), 3, lanes)
}

/// Moving average convergence/divergence: line, signal, histogram.
///
/// Formula: EMA(`fast`) minus EMA(`slow`), both seeded at index `slow-1` (the fast one with the mean of the `fast`
/// values up to there); signal = EMA of the line, seeded with the mean of its first values; histogram = line minus
/// signal. Periods given the wrong way round are exchanged. Shape: `[row][lane]` in, three panels out. Units: those of
/// the input. Warm-up: all three from index `slow+signal-2`. NaN: missing bar. Source: as in TA-Lib 0.8.
///
/// ```
/// use barloom_kernels::macd::{macd, macd_state_len};
/// let x: Vec<f64> = [1.0, 3.0].iter().flat_map(|&x| [x; 8]).collect();
/// let mut state = vec![0.0; macd_state_len(8, 1, 2, 1)];
/// let (mut line, mut signal, mut histogram) = (vec![0.0; 16], vec![0.0; 16], vec![0.0; 16]);
/// macd(&x, 8, 1, 2, 1, &mut state, &mut line, &mut signal, &mut histogram);
/// assert_eq!((line[8], signal[8], histogram[8]), (1.0, 1.0, 0.0));
/// ```
#[allow(clippy::too_many_arguments, reason = "inputs, parameters, state and outputs of one indicator")]
pub fn macd(
    x: &[f64],
    lanes: usize,
    fast: usize,
    slow: usize,
    signal: usize,
    state: &mut [f64],
    line_out: &mut [f64],
    signal_out: &mut [f64],
    histogram_out: &mut [f64],
) {
    run!(Macd::new(fast, slow, signal), [x], lanes, state, [line_out, signal_out, histogram_out]);
}
