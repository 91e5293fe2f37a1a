//! The equity curve bar by bar: one small step per mark, no history kept.
//!
//! What flows: 3 numbers and a count per bar come in; 20 sums stay in registers. One division per bar, `1/E`, serves
//! the return, the drawdown and both exposures; it is not on the dependency chain, so bars overlap. State carries over
//! from call to call, so the tile size cannot show.

use super::stats::is_zero_variance;

/// Running state of an account's equity curve (semantics 9.1, 9.4, 9.5).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Curve {
    equity: f64,
    inverse: f64,
    peak: f64,
    peak_inverse: f64,
    peak_at: u64,
    drawdown: f64,
    /// Largest drawdown so far, a negative fraction.
    pub max_drawdown: f64,
    /// Longest time from a peak to its recovery, or to now, in bars.
    pub longest_underwater_bars: u64,
    /// Σ(100·dd)², the start counted with 0.
    ulcer_sum: f64,
    /// Bars seen; after ruin none is counted.
    pub bars: u64,
    /// Bars with a position.
    pub exposed_bars: u64,
    equity_sum: f64,
    gross_sum: f64,
    net_sum: f64,
    /// First return; sums of returns are taken around it.
    shift: f64,
    shifted_sum: f64,
    shifted_squares: f64,
    downside_squares: f64,
    max_abs_return: f64,
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
        let inverse = 1.0 / initial_equity_usdt;
        Self {
            equity: initial_equity_usdt,
            inverse,
            peak: initial_equity_usdt,
            peak_inverse: inverse,
            peak_at: 0,
            drawdown: 0.0,
            max_drawdown: 0.0,
            longest_underwater_bars: 0,
            ulcer_sum: 0.0,
            bars: 0,
            exposed_bars: 0,
            equity_sum: 0.0,
            gross_sum: 0.0,
            net_sum: 0.0,
            shift: 0.0,
            shifted_sum: 0.0,
            shifted_squares: 0.0,
            downside_squares: 0.0,
            max_abs_return: 0.0,
            ruined: false,
        }
    }

    /// Adds the mark of the next bar. After ruin nothing changes any more.
    #[inline]
    pub fn step(&mut self, equity_usdt: f64, gross_usdt: f64, net_usdt: f64, positions: u32) {
        if self.ruined {
            return;
        }
        self.ruined = equity_usdt <= 0.0;
        let equity = if self.ruined { 0.0 } else { equity_usdt };
        self.bars += 1;
        self.exposed_bars += u64::from(positions > 0);
        self.equity_sum += equity;

        let change = (equity - self.equity) * self.inverse;
        if self.bars == 1 {
            self.shift = change;
        }
        let shifted = change - self.shift;
        self.shifted_sum += shifted;
        self.shifted_squares += shifted * shifted;
        let short = change.min(0.0);
        self.downside_squares += short * short;
        self.max_abs_return = self.max_abs_return.max(change.abs());

        let inverse = if self.ruined { 0.0 } else { 1.0 / equity };
        self.gross_sum += gross_usdt * inverse;
        self.net_sum += net_usdt * inverse;
        let since_peak = self.bars - self.peak_at;
        let below = equity < self.peak;
        if below || since_peak > 1 {
            self.longest_underwater_bars = self.longest_underwater_bars.max(since_peak);
        }
        if !below {
            (self.peak, self.peak_inverse, self.peak_at) = (equity, inverse, self.bars);
        }
        self.drawdown = if self.ruined { -1.0 } else { (equity - self.peak) * self.peak_inverse };
        self.max_drawdown = self.max_drawdown.min(self.drawdown);
        let percent = 100.0 * self.drawdown;
        self.ulcer_sum += percent * percent;
        (self.equity, self.inverse) = (equity, inverse);
    }

    /// Equity of the last mark; 0 after ruin.
    pub fn equity_usdt(&self) -> f64 {
        self.equity
    }
    /// Drawdown of the last mark, a negative fraction.
    pub fn drawdown(&self) -> f64 {
        self.drawdown
    }
    /// Mean equity over the bars.
    pub fn mean_equity_usdt(&self) -> Option<f64> {
        (self.bars > 0).then(|| self.equity_sum / self.bars as f64)
    }
    /// Bars that ended with equity left: those over which exposure is averaged.
    fn live_bars(&self) -> u64 {
        self.bars - u64::from(self.ruined)
    }
    /// Mean of `Σ|x|/E`.
    pub fn gross_exposure_mean(&self) -> Option<f64> {
        (self.live_bars() > 0).then(|| self.gross_sum / self.live_bars() as f64)
    }
    /// Mean of `Σx/E`.
    pub fn net_exposure_mean(&self) -> Option<f64> {
        (self.live_bars() > 0).then(|| self.net_sum / self.live_bars() as f64)
    }
    /// Share of bars with a position.
    pub fn exposure_time(&self) -> Option<f64> {
        (self.bars > 0).then(|| self.exposed_bars as f64 / self.bars as f64)
    }
    /// Ulcer index in percent over the start and every bar.
    pub fn ulcer_index(&self) -> f64 {
        (self.ulcer_sum / (self.bars + 1) as f64).sqrt()
    }
    /// Ratios of the bar returns, not annualised.
    pub fn bar_ratios(&self) -> BarRatios {
        if self.bars < 2 {
            return BarRatios::default();
        }
        let n = self.bars as f64;
        let mean_shifted = self.shifted_sum / n;
        let variance = (self.shifted_squares - self.shifted_sum * mean_shifted) / (n - 1.0);
        let deviation = variance.max(0.0).sqrt();
        let mean = self.shift + mean_shifted;
        let varies = !is_zero_variance(deviation, self.max_abs_return);
        let downside = (self.downside_squares / n).sqrt();
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
        assert!(near(curve.max_drawdown, stats::max_drawdown(&equity).unwrap()));
        assert!(near(curve.ulcer_index(), stats::ulcer_index(&equity).unwrap()));
        let longest = stats::longest_underwater(&equity).periods;
        assert_eq!(curve.longest_underwater_bars, longest as u64);
        assert!(near(curve.gross_exposure_mean().unwrap(), 2.0));
        assert!(near(curve.net_exposure_mean().unwrap(), -0.5));
    }

    #[test]
    fn ruin_ends_the_curve_at_zero() {
        let ruined = curve(&[100.0, 50.0, -20.0, 300.0]);
        assert!(ruined.ruined);
        assert_eq!((ruined.equity_usdt(), ruined.max_drawdown, ruined.bars), (0.0, -1.0, 2));
        assert_eq!(ruined, curve(&[100.0, 50.0, 0.0]));
    }

    #[test]
    fn a_flat_curve_has_no_ratios() {
        let flat = curve(&[100.0; 50]);
        let ratios = flat.bar_ratios();
        assert_eq!((ratios.deviation, ratios.sharpe, ratios.sortino), (Some(0.0), None, None));
        assert_eq!((flat.max_drawdown, flat.longest_underwater_bars), (0.0, 0));
    }
}
