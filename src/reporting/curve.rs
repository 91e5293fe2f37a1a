//! The equity curve bar by bar: one small step per mark, no history kept.
//!
//! What flows: 3 numbers and a count per bar come in; 7 sums of 8 accumulators each stay. One division per bar, `1/E`,
//! serves the return, the drawdown and both exposures. Runs of bars go through the blocks of
//! [`barloom_kernels::curve`], what is left over through [`Curve::step`], and both add bar `n` to accumulator `n mod 8`:
//! state carries over from call to call, and neither the tile size nor the CPU can show.

use barloom_kernels::curve::{CurveState, add_blocks};
use barloom_kernels::simd::LANE_CHUNK;
use barloom_kernels::sum::tree;

use super::stats::is_zero_variance;

/// Running state of an account's equity curve (semantics 9.1, 9.4, 9.5).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Curve {
    state: CurveState,
    /// Equity reached 0: the curve ends there.
    pub ruined: bool,
}

/// Sums of the bar returns, as ratios.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct BarRatios {
    /// Deviation of one bar's return.
    pub deviation: Option<f64>,
    /// Mean over deviation.
    pub sharpe: Option<f64>,
    /// Mean over downside deviation.
    pub sortino: Option<f64>,
}

impl Curve {
    /// A curve that starts at this equity, its first peak.
    pub fn new(initial_equity_usdt: f64) -> Self {
        Self { state: CurveState::new(initial_equity_usdt), ruined: false }
    }

    /// Adds the mark of the next bar. After ruin nothing changes any more.
    #[inline]
    pub fn step(&mut self, equity_usdt: f64, gross_usdt: f64, net_usdt: f64, positions: u32) {
        if self.ruined {
            return;
        }
        self.ruined = equity_usdt <= 0.0;
        let (equity, inverse) = if self.ruined { (0.0, 0.0) } else { (equity_usdt, 1.0 / equity_usdt) };
        let state = &mut self.state;
        let change = (equity - state.equity) * state.inverse;
        if state.bars == 0 {
            state.shift = change;
        }
        let at = (state.bars % LANE_CHUNK as u64) as usize;
        state.bars += 1;
        state.exposed_bars += u64::from(positions > 0);
        let drawdown = state.peak.step(equity, inverse, state.bars);
        let drawdown = if self.ruined { -1.0 } else { drawdown };
        let (shifted, short, percent) = (change - state.shift, change.min(0.0), 100.0 * drawdown);
        let sums = &mut state.sums;
        sums.equity[at] += equity;
        sums.gross[at] += gross_usdt * inverse;
        sums.net[at] += net_usdt * inverse;
        sums.shifted[at] += shifted;
        sums.shifted_squares[at] += shifted * shifted;
        sums.downside_squares[at] += short * short;
        sums.ulcer[at] += percent * percent;
        state.max_abs_return = state.max_abs_return.max(change.abs());
        state.max_drawdown = state.max_drawdown.min(drawdown);
        (state.equity, state.inverse) = (equity, inverse);
    }

    /// Adds the marks of the next bars: [`Curve::step`] for each, with the same bits, and fast.
    pub fn step_rows(
        &mut self,
        equity_usdt: &[f64],
        gross_usdt: &[f64],
        net_usdt: &[f64],
        positions: &[u32],
    ) {
        let mut row = 0;
        while row < equity_usdt.len() && !self.ruined {
            if self.state.bars > 0 && self.state.bars.is_multiple_of(LANE_CHUNK as u64) {
                row += add_blocks(
                    &equity_usdt[row..],
                    &gross_usdt[row..],
                    &net_usdt[row..],
                    &positions[row..],
                    &mut self.state,
                );
            }
            // To the next block: the bars after the last whole one, or those around ruin.
            let single = LANE_CHUNK - (self.state.bars % LANE_CHUNK as u64) as usize;
            for at in row..equity_usdt.len().min(row + single) {
                self.step(equity_usdt[at], gross_usdt[at], net_usdt[at], positions[at]);
            }
            row += single;
        }
    }

    /// Bars seen; after ruin none is counted.
    pub fn bars(&self) -> u64 {
        self.state.bars
    }
    /// Largest drawdown so far, a negative fraction.
    pub fn max_drawdown(&self) -> f64 {
        self.state.max_drawdown
    }
    /// Longest time from a peak to its recovery, or to now, in bars.
    pub fn longest_underwater_bars(&self) -> u64 {
        self.state.peak.longest_underwater_bars
    }
    /// Equity of the last mark; 0 after ruin.
    pub fn equity_usdt(&self) -> f64 {
        self.state.equity
    }
    /// Drawdown of the last mark, a negative fraction.
    pub fn drawdown(&self) -> f64 {
        let peak = &self.state.peak;
        if self.ruined { -1.0 } else { (self.state.equity - peak.equity) * peak.inverse }
    }
    /// Mean equity over the bars.
    pub fn mean_equity_usdt(&self) -> Option<f64> {
        (self.bars() > 0).then(|| tree(&self.state.sums.equity) / self.bars() as f64)
    }
    /// Bars that ended with equity left: those over which exposure is averaged.
    fn live_bars(&self) -> u64 {
        self.bars() - u64::from(self.ruined)
    }
    /// Mean of `Σ|x|/E`.
    pub fn gross_exposure_mean(&self) -> Option<f64> {
        (self.live_bars() > 0).then(|| tree(&self.state.sums.gross) / self.live_bars() as f64)
    }
    /// Mean of `Σx/E`.
    pub fn net_exposure_mean(&self) -> Option<f64> {
        (self.live_bars() > 0).then(|| tree(&self.state.sums.net) / self.live_bars() as f64)
    }
    /// Share of bars with a position.
    pub fn exposure_time(&self) -> Option<f64> {
        (self.bars() > 0).then(|| self.state.exposed_bars as f64 / self.bars() as f64)
    }
    /// Ulcer index in percent over the start and every bar.
    pub fn ulcer_index(&self) -> f64 {
        (tree(&self.state.sums.ulcer) / (self.bars() + 1) as f64).sqrt()
    }
    /// Ratios of the bar returns, not annualised.
    pub fn bar_ratios(&self) -> BarRatios {
        if self.bars() < 2 {
            return BarRatios::default();
        }
        let (n, sums) = (self.bars() as f64, &self.state.sums);
        let shifted_sum = tree(&sums.shifted);
        let mean_shifted = shifted_sum / n;
        let variance = (tree(&sums.shifted_squares) - shifted_sum * mean_shifted) / (n - 1.0);
        let deviation = variance.max(0.0).sqrt();
        let mean = self.state.shift + mean_shifted;
        let varies = !is_zero_variance(deviation, self.state.max_abs_return);
        let downside = (tree(&sums.downside_squares) / n).sqrt();
        BarRatios {
            deviation: Some(deviation),
            sharpe: varies.then_some(mean / deviation),
            sortino: (varies && downside > 0.0).then_some(mean / downside),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reporting::stats;
    use proptest::prelude::*;

    fn curve(equity: &[f64]) -> Curve {
        let mut curve = Curve::new(equity[0]);
        for &e in &equity[1..] {
            curve.step(e, 2.0 * e, -0.5 * e, u32::from(e < 100.0));
        }
        curve
    }

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-12 * b.abs().max(1.0)
    }

    #[test]
    fn streaming_agrees_with_the_whole_series() {
        let equity: Vec<f64> =
            (0..500u32).map(|i| 100.0 + 7.0 * f64::from(i * i % 97) / 97.0 - 0.01 * f64::from(i)).collect();
        let curve = curve(&equity);
        let returns = stats::simple_returns(&equity);
        let ratios = curve.bar_ratios();
        assert!(near(ratios.deviation.unwrap(), stats::standard_deviation(&returns).unwrap()));
        assert!(near(ratios.sharpe.unwrap(), stats::sharpe_per_period(&returns, 0.0).unwrap()));
        assert!(near(ratios.sortino.unwrap(), stats::sortino(&returns, 0.0, 1.0).unwrap()));
        assert!(near(curve.max_drawdown(), stats::max_drawdown(&equity).unwrap()));
        assert!(near(curve.ulcer_index(), stats::ulcer_index(&equity).unwrap()));
        let longest = stats::longest_underwater(&equity).periods;
        assert_eq!(curve.longest_underwater_bars(), longest as u64);
        assert!(near(curve.gross_exposure_mean().unwrap(), 2.0));
        assert!(near(curve.net_exposure_mean().unwrap(), -0.5));
    }

    #[test]
    fn ruin_ends_the_curve_at_zero() {
        let ruined = curve(&[100.0, 50.0, -20.0, 300.0]);
        assert!(ruined.ruined);
        assert_eq!((ruined.equity_usdt(), ruined.max_drawdown(), ruined.bars()), (0.0, -1.0, 2));
        assert_eq!(ruined, curve(&[100.0, 50.0, 0.0]));
    }

    #[test]
    fn a_flat_curve_has_no_ratios() {
        let flat = curve(&[100.0; 50]);
        let ratios = flat.bar_ratios();
        assert_eq!((ratios.deviation, ratios.sharpe, ratios.sortino), (Some(0.0), None, None));
        assert_eq!((flat.max_drawdown(), flat.longest_underwater_bars()), (0.0, 0));
    }

    proptest! {
        #[test]
        fn rows_give_the_bits_of_single_steps_wherever_they_are_cut(
            moves in proptest::collection::vec((-40i32..40, -1e3..1e3f64, 0u32..3, 0u8..4), 0..150),
            ruin_at in proptest::option::of(0usize..150),
            cuts in proptest::collection::vec(0usize..150, 0..6),
        ) {
            let mut level = 1000;
            let mut equity: Vec<f64> = moves.iter().map(|m| {
                // Bars on which nothing happens repeat a peak.
                if m.3 > 0 { level += m.0; }
                f64::from(level.max(1)) / 3.0
            }).collect();
            if let Some(equity) = ruin_at.and_then(|at| equity.get_mut(at)) {
                *equity = -1.0;
            }
            let net: Vec<f64> = moves.iter().map(|m| m.1).collect();
            let gross: Vec<f64> = net.iter().map(|x| x.abs()).collect();
            let positions: Vec<u32> = moves.iter().map(|m| m.2).collect();
            let (mut one, mut rows) = (Curve::new(1000.0 / 3.0), Curve::new(1000.0 / 3.0));
            for i in 0..moves.len() {
                one.step(equity[i], gross[i], net[i], positions[i]);
            }
            let mut cuts: Vec<usize> = cuts.iter().map(|&cut| cut.min(moves.len())).collect();
            cuts.push(moves.len());
            cuts.sort_unstable();
            let mut from = 0;
            for to in cuts {
                rows.step_rows(&equity[from..to], &gross[from..to], &net[from..to], &positions[from..to]);
                from = to;
            }
            // Shortest round-trip text tells any two bit patterns of numbers apart, the sign of zero included.
            prop_assert_eq!(format!("{rows:?}"), format!("{one:?}"));
        }
    }
}
