//! An equity curve in blocks of eight bars: the sums its metrics are made of.
//!
//! The bars of one account are the lanes here, so this is the one place where a series is summed along time. Bar `n`
//! (the first is 0) goes to accumulator `n mod 8`, in ascending order, and [`crate::sum::tree`] adds the eight in the
//! end: a caller that adds single bars in the same places gets the same bits, wherever it cuts the series.

use crate::simd::{LANE_CHUNK, Simd, SimdBase, dispatch, f64x8, level, prelude::*};

/// Sums over the bars, eight accumulators each.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CurveSums {
    /// Σ E.
    pub equity: [f64; LANE_CHUNK],
    /// Σ gross/E.
    pub gross: [f64; LANE_CHUNK],
    /// Σ net/E.
    pub net: [f64; LANE_CHUNK],
    /// Σ (r − shift).
    pub shifted: [f64; LANE_CHUNK],
    /// Σ (r − shift)².
    pub shifted_squares: [f64; LANE_CHUNK],
    /// Σ min(0, r)².
    pub downside_squares: [f64; LANE_CHUNK],
    /// Σ (100·drawdown)².
    pub ulcer: [f64; LANE_CHUNK],
}

/// The highest equity so far and the time spent below it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    /// Highest equity.
    pub equity: f64,
    /// 1 / highest equity.
    pub inverse: f64,
    /// Bars counted when it was last reached; 0 is the start.
    pub at_bars: u64,
    /// Longest time from a peak to its recovery, or to now, in bars.
    pub longest_underwater_bars: u64,
}

impl Peak {
    /// Takes the equity of bar number `bars` (the first is 1) and gives its drawdown.
    ///
    /// ```
    /// use barloom_kernels::curve::Peak;
    /// let mut peak = Peak { equity: 100.0, inverse: 0.01, at_bars: 0, longest_underwater_bars: 0 };
    /// assert_eq!(peak.step(75.0, 1.0 / 75.0, 1), -0.25);
    /// assert_eq!(peak.step(128.0, 1.0 / 128.0, 2), 0.0);
    /// assert_eq!((peak.equity, peak.longest_underwater_bars), (128.0, 2));
    /// ```
    #[inline(always)]
    pub fn step(&mut self, equity: f64, inverse: f64, bars: u64) -> f64 {
        let since_peak = bars - self.at_bars;
        let below = equity < self.equity;
        if below || since_peak > 1 {
            self.longest_underwater_bars = self.longest_underwater_bars.max(since_peak);
        }
        if !below {
            (self.equity, self.inverse, self.at_bars) = (equity, inverse, bars);
        }
        (equity - self.equity) * self.inverse
    }
}

/// Running state of a curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CurveState {
    /// Equity of the last bar.
    pub equity: f64,
    /// 1 / equity of the last bar.
    pub inverse: f64,
    /// Bars counted.
    pub bars: u64,
    /// Bars with a position.
    pub exposed_bars: u64,
    /// First return; sums of returns are taken around it.
    pub shift: f64,
    /// Largest |r|.
    pub max_abs_return: f64,
    /// Largest drawdown, a negative fraction.
    pub max_drawdown: f64,
    /// The peak.
    pub peak: Peak,
    /// The sums.
    pub sums: CurveSums,
}

impl CurveState {
    /// A curve that starts at this equity, its first peak.
    pub fn new(initial_equity: f64) -> Self {
        let inverse = 1.0 / initial_equity;
        Self {
            equity: initial_equity,
            inverse,
            bars: 0,
            exposed_bars: 0,
            shift: 0.0,
            max_abs_return: 0.0,
            max_drawdown: 0.0,
            peak: Peak { equity: initial_equity, inverse, at_bars: 0, longest_underwater_bars: 0 },
            sums: CurveSums::default(),
        }
    }
}

/// Adds whole blocks of eight bars to a curve, and says how many bars it took.
///
/// It stops before the first block in which equity is not positive throughout, and before a last block that is not
/// whole; what remains is added bar by bar.
///
/// Formula: `r = (E − E₋₁)·(1/E₋₁)`, drawdown `(E − peak)·(1/peak)`, the sums of [`CurveSums`]. Shape: one value per bar.
/// Units: USDT in, fractions in the sums. NaN: equity that is NaN ends the blocks. Warm-up: the first eight bars of a
/// curve, which fix the shift. Source: definition.
///
/// ```
/// use barloom_kernels::curve::{CurveState, add_blocks};
/// let mut state = CurveState { bars: 8, ..CurveState::new(100.0) };
/// let equity = [100.0, 50.0, 50.0, 50.0, 50.0, 50.0, 50.0, 100.0, 7.0];
/// let taken = add_blocks(&equity, &[50.0; 9], &[0.0; 9], &[1; 9], &mut state);
/// assert_eq!((taken, state.bars, state.exposed_bars), (8, 16, 8));
/// assert_eq!((state.equity, state.max_drawdown, state.max_abs_return), (100.0, -0.5, 1.0));
/// assert_eq!(state.sums.gross, [0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5]);
/// ```
///
/// # Panics
/// When the rows differ in length, or the bars so far are not one or more whole blocks.
pub fn add_blocks(
    equity: &[f64],
    gross: &[f64],
    net: &[f64],
    positions: &[u32],
    state: &mut CurveState,
) -> usize {
    assert!(gross.len() == equity.len() && net.len() == equity.len() && positions.len() == equity.len());
    assert!(state.bars > 0 && state.bars.is_multiple_of(LANE_CHUNK as u64), "blocks follow whole blocks");
    dispatch!(level(), simd => add_blocks_simd(simd, equity, gross, net, positions, state))
}

#[inline(always)]
fn add_blocks_simd<S: Simd>(
    simd: S,
    equity: &[f64],
    gross: &[f64],
    net: &[f64],
    positions: &[u32],
    state: &mut CurveState,
) -> usize {
    let load = |values: &[f64]| f64x8::from_slice(simd, values);
    let splat = |value: f64| f64x8::splat(simd, value);
    let (zero, one, hundred, shift) = (splat(0.0), splat(1.0), splat(100.0), splat(state.shift));
    let (mut before, mut inverse_before) = (splat(state.equity), splat(state.inverse));
    let (mut max_abs_return, mut max_drawdown) = (splat(state.max_abs_return), splat(state.max_drawdown));
    let (mut bars, mut peak) = (state.bars, state.peak);
    let sums = &mut state.sums;
    let (mut equity_sum, mut gross_sum, mut net_sum) =
        (load(&sums.equity), load(&sums.gross), load(&sums.net));
    let (mut shifted_sum, mut shifted_squares) = (load(&sums.shifted), load(&sums.shifted_squares));
    let (mut downside_squares, mut ulcer) = (load(&sums.downside_squares), load(&sums.ulcer));

    let blocks = equity.chunks_exact(LANE_CHUNK).zip(gross.chunks_exact(LANE_CHUNK));
    for ((equity, gross), net) in blocks.zip(net.chunks_exact(LANE_CHUNK)) {
        let now = load(equity);
        if !now.simd_gt(zero).all_true() {
            break;
        }
        let inverse = one / now;
        let change = (now - before.slide::<7>(now)) * inverse_before.slide::<7>(inverse);
        equity_sum += now;
        gross_sum += load(gross) * inverse;
        net_sum += load(net) * inverse;
        let shifted = change - shift;
        shifted_sum += shifted;
        shifted_squares += shifted * shifted;
        let short = change.min(zero);
        downside_squares += short * short;
        max_abs_return = max_abs_return.max(change.abs());

        let drawdown = if now.simd_lt(splat(peak.equity)).all_true() {
            let since_peak = bars + LANE_CHUNK as u64 - peak.at_bars;
            peak.longest_underwater_bars = peak.longest_underwater_bars.max(since_peak);
            (now - splat(peak.equity)) * splat(peak.inverse)
        } else {
            let inverse: [f64; LANE_CHUNK] = inverse.into();
            let mut drawdown = [0.0; LANE_CHUNK];
            for (i, drawdown) in drawdown.iter_mut().enumerate() {
                *drawdown = peak.step(equity[i], inverse[i], bars + 1 + i as u64);
            }
            load(&drawdown)
        };
        max_drawdown = max_drawdown.min(drawdown);
        let percent = hundred * drawdown;
        ulcer += percent * percent;
        (before, inverse_before) = (now, inverse);
        bars += LANE_CHUNK as u64;
    }

    let taken = (bars - state.bars) as usize;
    *sums = CurveSums {
        equity: equity_sum.into(),
        gross: gross_sum.into(),
        net: net_sum.into(),
        shifted: shifted_sum.into(),
        shifted_squares: shifted_squares.into(),
        downside_squares: downside_squares.into(),
        ulcer: ulcer.into(),
    };
    state.exposed_bars += u64::from(positions[..taken].iter().map(|&n| u32::from(n > 0)).sum::<u32>());
    state.max_abs_return = lanes(max_abs_return).into_iter().fold(0.0, f64::max);
    state.max_drawdown = lanes(max_drawdown).into_iter().fold(0.0, f64::min);
    (state.equity, state.inverse) = (lanes(before)[LANE_CHUNK - 1], lanes(inverse_before)[LANE_CHUNK - 1]);
    (state.bars, state.peak) = (bars, peak);
    taken
}

#[inline(always)]
fn lanes<S: Simd>(vector: f64x8<S>) -> [f64; LANE_CHUNK] {
    vector.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every number from the whole series, one after the other.
    fn naive(start: f64, equity: &[f64], gross: &[f64], net: &[f64], positions: &[u32]) -> CurveState {
        let mut state = CurveState::new(start);
        (state.bars, state.shift) = (8, 0.001);
        state.peak.at_bars = 8;
        let mut series = vec![start];
        for (i, &e) in equity.iter().enumerate() {
            let change = (e - series[i]) * (1.0 / series[i]);
            series.push(e);
            let top = series.iter().copied().fold(0.0, f64::max);
            let drawdown = (e - top) * (1.0 / top);
            let (shifted, short, percent) = (change - 0.001, change.min(0.0), 100.0 * drawdown);
            let sums = &mut state.sums;
            sums.equity[i % 8] += e;
            sums.gross[i % 8] += gross[i] * (1.0 / e);
            sums.net[i % 8] += net[i] * (1.0 / e);
            sums.shifted[i % 8] += shifted;
            sums.shifted_squares[i % 8] += shifted * shifted;
            sums.downside_squares[i % 8] += short * short;
            sums.ulcer[i % 8] += percent * percent;
            state.max_abs_return = state.max_abs_return.max(change.abs());
            state.max_drawdown = state.max_drawdown.min(drawdown);
            state.exposed_bars += u64::from(positions[i] > 0);
            // From the last bar that was at the top before this one.
            let top_before = series[..=i].iter().copied().fold(0.0, f64::max);
            let peak_at = series[..=i].iter().rposition(|&e| e == top_before).unwrap();
            let longest = &mut state.peak.longest_underwater_bars;
            if e < top_before || i > peak_at {
                *longest = (*longest).max((i + 1 - peak_at) as u64);
            }
        }
        let top = series.iter().copied().fold(0.0, f64::max);
        let at = series.iter().rposition(|&e| e == top).unwrap();
        (state.peak.equity, state.peak.inverse, state.peak.at_bars) = (top, 1.0 / top, 8 + at as u64);
        let last = series[series.len() - 1];
        (state.equity, state.inverse, state.bars) = (last, 1.0 / last, 8 + equity.len() as u64);
        state
    }

    proptest! {
        #[test]
        fn blocks_equal_the_naive_series(
            moves in proptest::collection::vec((-40i32..40, -1e3..1e3f64, 0u32..3, 0u8..4), 0..90),
            bad in proptest::option::of((0usize..90, prop_oneof![Just(0.0), Just(-3.0), Just(f64::NAN)])),
            cut in 0usize..12,
        ) {
            let mut level = 1000;
            let mut equity: Vec<f64> = moves.iter().map(|m| {
                // Many bars on which nothing happens, so that peaks repeat.
                if m.3 > 0 { level += m.0; }
                f64::from(level.max(1)) / 3.0
            }).collect();
            let net: Vec<f64> = moves.iter().map(|m| m.1).collect();
            let gross: Vec<f64> = net.iter().map(|x| x.abs()).collect();
            let positions: Vec<u32> = moves.iter().map(|m| m.2).collect();
            let mut whole = equity.len();
            if let Some((at, value)) = bad && at < whole {
                equity[at] = value;
                whole = at;
            }
            let end = whole / 8 * 8;
            let mut state = CurveState { bars: 8, shift: 0.001, ..CurveState::new(1000.0 / 3.0) };
            state.peak.at_bars = 8;
            let mut taken = 0;
            let cut = (cut * 8).min(equity.len());
            for piece in [0..cut, cut..equity.len()] {
                if taken == piece.start {
                    taken += add_blocks(
                        &equity[piece.clone()], &gross[piece.clone()], &net[piece.clone()], &positions[piece],
                        &mut state,
                    );
                }
            }
            prop_assert_eq!(taken, end);
            let naive = naive(1000.0 / 3.0, &equity[..end], &gross, &net, &positions);
            // Shortest round-trip text tells any two bit patterns of numbers apart, the sign of zero included.
            prop_assert_eq!(format!("{state:?}"), format!("{naive:?}"));
        }
    }
}
