//! [`TrialStats`]: the metrics of one trial, streamed.
//!
//! Runs inside sweeps: called per fill and once per tile of marks, allocates at construction alone, and keeps no
//! events. What flows per bar is in [`super::curve`]; what flows per fill is an [`Episode`](super::episodes::Episode)
//! and a handful of sums. [`TrialStats::finish`] turns the state into [`Metrics`] and may be called at any time.

use std::ops::Range;

use super::curve::Curve;
use super::episodes::EpisodeBook;
use super::metrics::{Metric, Metrics};
use super::overfit::{SharpeSample, min_track_record, probabilistic_sharpe};
use super::stats::{self, DAY_MS, DAYS_PER_YEAR};
use super::waterfall::{CostSteps, overshoot_usdt, slippage_usdt};
use crate::events::{Fill, FillReason, FundingPayment, Insurance, Liquidity, MarkRows, OrderEnd, Recorder};
use crate::market::TimeGrid;
use crate::portfolio::{Money, MoneyColumns};

/// Tail probability of the daily value at risk and expected shortfall.
const TAIL_ALPHA: f64 = 0.05;
/// Confidence of the minimum track record length.
const TRACK_CONFIDENCE: f64 = 0.95;

/// Bars of a run whose close ends a UTC day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct DayCloses {
    first: usize,
    stride: usize,
}

impl DayCloses {
    fn new(grid: &TimeGrid, from: usize) -> Self {
        let (mut a, mut b) = (DAY_MS, grid.step_ms);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        let stride = (DAY_MS / a) as usize;
        let first = (from..from + stride).find(|&bar| grid.closes_day(bar)).unwrap_or(usize::MAX);
        Self { first, stride }
    }
    fn bars(self, end: usize) -> impl Iterator<Item = usize> {
        (self.first..end).step_by(self.stride)
    }
}

fn starts_at_midnight(grid: &TimeGrid, run: &Range<usize>) -> bool {
    grid.open_ms(run.start).rem_euclid(DAY_MS) == 0
}

/// Stamps (UTC epoch ms) of the points of [`TrialStats::daily_equity`]: every midnight from the run's start to its end.
///
/// The start itself is a point when it is midnight; a partial first or last day has none (semantics 9.1).
pub fn day_stamps(grid: TimeGrid, run: Range<usize>) -> Vec<i64> {
    let start = starts_at_midnight(&grid, &run).then(|| grid.open_ms(run.start));
    let closes = DayCloses::new(&grid, run.start).bars(run.end).map(|bar| grid.close_ms(bar));
    start.into_iter().chain(closes).collect()
}

/// Trade aggregates over closed episodes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct TradeSums {
    closed: u64,
    wins: u64,
    losses: u64,
    bars_held: u64,
}

/// Money moved by fills and funding.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct CashSums {
    fills: u64,
    of_fills: MoneyColumns<9>,
    funding: Money,
    liquidations: u64,
    insurance: Money,
    /// Unrealised PnL at the last mark.
    unrealized_usdt: f64,
}

/// Columns of [`CashSums::of_fills`].
#[derive(Debug, Clone, Copy)]
enum OfFills {
    Realized,
    MakerFees,
    TakerFees,
    LiquidationFees,
    Slippage,
    Overshoot,
    Notional,
    GrossProfit,
    GrossLoss,
}

impl CashSums {
    fn of_fills(&self, column: OfFills) -> f64 {
        self.of_fills.value(column as usize)
    }
    fn waterfall(&self) -> CostSteps {
        CostSteps {
            price_pnl_usdt: self.of_fills(OfFills::Realized) + self.unrealized_usdt,
            fees_usdt: self.of_fills(OfFills::MakerFees) + self.of_fills(OfFills::TakerFees),
            slippage_usdt: self.of_fills(OfFills::Slippage),
            overshoot_usdt: self.of_fills(OfFills::Overshoot),
            funding_usdt: self.funding.value(),
            liquidation_usdt: self.of_fills(OfFills::LiquidationFees),
            insurance_usdt: self.insurance.value(),
        }
    }
}

/// Streams one account into its metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct TrialStats {
    grid: TimeGrid,
    run: Range<usize>,
    initial_usdt: f64,
    curve: Curve,
    episodes: EpisodeBook,
    trades: TradeSums,
    cash: CashSums,
    closes: DayCloses,
    next_close: usize,
    daily: Vec<f64>,
    /// Bar in which the insurance fund paid what the account owed: nothing is left from there on.
    ruined_bar: usize,
}

impl TrialStats {
    /// An account that starts `run` with this capital. All memory is taken here.
    pub fn new(symbols: usize, grid: TimeGrid, run: Range<usize>, initial_capital_usdt: f64) -> Self {
        let closes = DayCloses::new(&grid, run.start);
        let days = closes.bars(run.end).count() + 1;
        let mut stats = Self {
            grid,
            run,
            initial_usdt: initial_capital_usdt,
            curve: Curve::new(initial_capital_usdt),
            episodes: EpisodeBook::new(symbols),
            trades: TradeSums::default(),
            cash: CashSums::default(),
            closes,
            next_close: closes.first,
            daily: Vec::with_capacity(days),
            ruined_bar: usize::MAX,
        };
        stats.reset(initial_capital_usdt);
        stats
    }

    /// Starts over with another account, in the same memory.
    pub fn reset(&mut self, initial_capital_usdt: f64) {
        self.initial_usdt = initial_capital_usdt;
        self.curve = Curve::new(initial_capital_usdt);
        self.episodes.reset();
        self.trades = TradeSums::default();
        self.cash = CashSums::default();
        self.next_close = self.closes.first;
        self.daily.clear();
        self.ruined_bar = usize::MAX;
        if starts_at_midnight(&self.grid, &self.run) {
            self.daily.push(initial_capital_usdt);
        }
    }

    /// Equity at every midnight seen so far, stamped by [`day_stamps`]: 0 on the day of ruin, `NaN` after it.
    pub fn daily_equity(&self) -> &[f64] {
        &self.daily
    }
    /// Whether equity reached 0.
    pub fn ruined(&self) -> bool {
        self.curve.ruined
    }
    /// The open episodes, for the accounting checks.
    pub(super) fn episodes(&self) -> &EpisodeBook {
        &self.episodes
    }

    /// The metrics of what was seen so far.
    pub fn finish(&self) -> Metrics {
        let mut metrics = Metrics::default();
        self.curve_metrics(&mut metrics);
        self.daily_metrics(&mut metrics);
        self.trade_metrics(&mut metrics);
        self.cash_metrics(&mut metrics);
        metrics
    }

    fn years(&self) -> f64 {
        (self.curve.bars() as f64 * self.grid.step_ms as f64) / (DAYS_PER_YEAR * DAY_MS as f64)
    }

    fn curve_metrics(&self, metrics: &mut Metrics) {
        let curve = &self.curve;
        let final_usdt = curve.equity_usdt();
        let cagr = stats::cagr(self.initial_usdt, final_usdt, self.years());
        metrics.set(Metric::FinalEquity, final_usdt);
        metrics.set(Metric::TotalReturn, final_usdt / self.initial_usdt - 1.0);
        metrics.set(Metric::Cagr, cagr);
        metrics.set(Metric::MaxDrawdown, curve.max_drawdown());
        metrics.set(Metric::Calmar, cagr.and_then(|cagr| stats::calmar(cagr, curve.max_drawdown())));
        let underwater_ms = curve.longest_underwater_bars() as f64 * self.grid.step_ms as f64;
        metrics.set(Metric::MaxDrawdownDurationDays, underwater_ms / DAY_MS as f64);
        metrics.set(Metric::UlcerIndex, curve.ulcer_index());
        metrics.set(Metric::ExposureTime, curve.exposure_time());
        metrics.set(Metric::GrossExposureMean, curve.gross_exposure_mean());
        metrics.set(Metric::NetExposureMean, curve.net_exposure_mean());
        let annual = (DAYS_PER_YEAR * DAY_MS as f64 / self.grid.step_ms as f64).sqrt();
        let bars = curve.bar_ratios();
        metrics.set(Metric::VolatilityBars, bars.deviation.map(|x| x * annual));
        metrics.set(Metric::SharpeBars, bars.sharpe.map(|x| x * annual));
        metrics.set(Metric::SortinoBars, bars.sortino.map(|x| x * annual));
        metrics.set(Metric::Bars, curve.bars() as f64);
    }

    fn daily_metrics(&self, metrics: &mut Metrics) {
        let live = self.daily.iter().position(|e| e.is_nan()).unwrap_or(self.daily.len());
        let returns = stats::simple_returns(&self.daily[..live]);
        let ascending = stats::sorted(&returns);
        metrics.set(Metric::Days, returns.len() as f64);
        metrics.set(Metric::Volatility, stats::volatility(&returns, DAYS_PER_YEAR));
        metrics.set(Metric::Sharpe, stats::sharpe(&returns, 0.0, DAYS_PER_YEAR));
        metrics.set(Metric::Sortino, stats::sortino(&returns, 0.0, DAYS_PER_YEAR));
        metrics.set(Metric::ValueAtRisk, stats::value_at_risk(&ascending, TAIL_ALPHA));
        metrics.set(Metric::ExpectedShortfall, stats::expected_shortfall(&ascending, TAIL_ALPHA));
        metrics.set(Metric::TailRatio, stats::tail_ratio(&ascending));
        metrics.set(Metric::Omega, stats::omega(&returns, 0.0));
        metrics.set(Metric::WorstDay, ascending.first().copied());
        metrics.set(Metric::BestDay, ascending.last().copied());
        let (skew, kurtosis) = (stats::skewness(&returns), stats::kurtosis(&returns));
        metrics.set(Metric::Skew, skew);
        metrics.set(Metric::Kurtosis, kurtosis);
        if let (Some(sharpe), Some(skew), Some(kurtosis)) =
            (stats::sharpe_per_period(&returns, 0.0), skew, kurtosis)
        {
            let sample = SharpeSample { sharpe, observations: returns.len() as f64, skew, kurtosis };
            metrics.set(Metric::Psr, probabilistic_sharpe(&sample, 0.0));
            metrics.set(Metric::MinTrackRecordDays, min_track_record(&sample, 0.0, TRACK_CONFIDENCE));
        }
    }

    fn trade_metrics(&self, metrics: &mut Metrics) {
        let trades = &self.trades;
        let (profit, loss) =
            (self.cash.of_fills(OfFills::GrossProfit), self.cash.of_fills(OfFills::GrossLoss));
        let per = |sum: f64, count: u64| (count > 0).then(|| sum / count as f64);
        let (avg_win, avg_loss) = (per(profit, trades.wins), per(loss, trades.losses));
        metrics.set(Metric::Trades, trades.closed as f64);
        metrics.set(Metric::Wins, trades.wins as f64);
        metrics.set(Metric::Losses, trades.losses as f64);
        metrics.set(Metric::GrossProfit, profit);
        metrics.set(Metric::GrossLoss, loss);
        metrics.set(Metric::WinRate, per(trades.wins as f64, trades.closed));
        metrics.set(Metric::ProfitFactor, (trades.losses > 0).then(|| profit / -loss));
        metrics.set(Metric::Expectancy, per(profit + loss, trades.closed));
        metrics.set(Metric::AvgWin, avg_win);
        metrics.set(Metric::AvgLoss, avg_loss);
        metrics.set(Metric::PayoffRatio, avg_win.zip(avg_loss).map(|(win, loss)| win / -loss));
        metrics.set(Metric::AvgBarsHeld, per(trades.bars_held as f64, trades.closed));
    }

    fn cash_metrics(&self, metrics: &mut Metrics) {
        let cash = &self.cash;
        let (maker, taker) = (cash.of_fills(OfFills::MakerFees), cash.of_fills(OfFills::TakerFees));
        metrics.set(Metric::Fills, cash.fills as f64);
        metrics.set(Metric::TotalRealizedPnl, cash.of_fills(OfFills::Realized));
        metrics.set(Metric::TotalFees, maker + taker);
        metrics.set(Metric::TotalMakerFees, maker);
        metrics.set(Metric::TotalTakerFees, taker);
        metrics.set(Metric::TotalFunding, cash.funding.value());
        metrics.set(Metric::TotalSlippageCost, cash.of_fills(OfFills::Slippage));
        metrics.set(Metric::TotalOvershootCost, cash.of_fills(OfFills::Overshoot));
        metrics.set(Metric::Liquidations, cash.liquidations as f64);
        metrics.set(Metric::TotalLiquidationFees, cash.of_fills(OfFills::LiquidationFees));
        metrics.set(Metric::TotalInsurance, cash.insurance.value());
        let waterfall = cash.waterfall();
        metrics.set(Metric::GrossPnl, waterfall.gross_usdt());
        metrics.set(Metric::NetPnl, waterfall.net_usdt());
        let mean_equity = self.curve.mean_equity_usdt().filter(|&mean| mean > 0.0);
        metrics.set(
            Metric::Turnover,
            mean_equity.map(|mean| cash.of_fills(OfFills::Notional) / mean / self.years()),
        );
    }
}

impl Recorder for TrialStats {
    /// Inlined, so that what it does not read is never made.
    #[inline(always)]
    fn fill(&mut self, fill: &Fill) {
        let liquidation = fill.reason == FillReason::Liquidation;
        let fee = |is: bool| if is { fill.fee_usdt } else { 0.0 };
        let mut net_usdt = 0.0;
        if let Some(closed) = self.episodes.fill(fill) {
            net_usdt = closed.episode.net_usdt();
            let trades = &mut self.trades;
            trades.closed += 1;
            trades.bars_held += u64::from(closed.exit_bar - closed.episode.entry_bar);
            // A win or a loss cannot be predicted.
            trades.wins += u64::from(net_usdt > 0.0);
            trades.losses += u64::from(net_usdt < 0.0);
        }
        let cash = &mut self.cash;
        cash.fills += 1;
        cash.liquidations += u64::from(liquidation);
        // In the order of `OfFills`.
        cash.of_fills.add([
            fill.realized_usdt,
            fee(!liquidation && fill.liquidity == Liquidity::Maker),
            fee(!liquidation && fill.liquidity == Liquidity::Taker),
            fee(liquidation),
            slippage_usdt(fill),
            overshoot_usdt(fill),
            fill.qty * fill.price,
            net_usdt.max(0.0),
            net_usdt.min(0.0),
        ]);
    }

    #[inline]
    fn funding(&mut self, payment: &FundingPayment) {
        self.cash.funding.add(payment.cash_usdt);
        self.episodes.funding(payment);
    }

    fn insurance(&mut self, payment: &Insurance) {
        self.cash.insurance.add(payment.amount_usdt);
        if payment.ruins {
            self.ruined_bar = self.ruined_bar.min(payment.bar as usize);
        }
    }

    fn order_end(&mut self, _end: &OrderEnd) {}

    fn marks(&mut self, rows: &MarkRows<'_>) {
        // Marks of bars before the run (warm-up inside its first tile) are not part of the curve.
        let from = self.run.start.saturating_sub(rows.bar0).min(rows.equity_usdt.len());
        let equity = &rows.equity_usdt[from..];
        let bars_before = self.curve.bars();
        if let Some(&last) = rows.unrealized_usdt.last() {
            self.cash.unrealized_usdt = last;
        }
        // A wallet that was topped up to 0 is ruined, whatever a rounding error left in it.
        let insured = self.ruined_bar.saturating_sub(rows.bar0 + from).min(equity.len());
        let to = from + insured;
        self.curve.step_rows(
            &equity[..insured],
            &rows.gross_usdt[from..to],
            &rows.net_usdt[from..to],
            &rows.positions[from..to],
        );
        if insured < equity.len() {
            self.curve.step(0.0, 0.0, 0.0, 0);
        }
        let counted = (self.curve.bars() - bars_before) as usize;
        let live = if self.curve.ruined { counted.saturating_sub(1) } else { counted };
        let (first, end) = (rows.bar0 + from, rows.bar0 + rows.equity_usdt.len());
        while (first..end).contains(&self.next_close) {
            let at = self.next_close - first;
            self.next_close += self.closes.stride;
            let cut = self.daily.last().is_some_and(|last| last.is_nan() || *last <= 0.0);
            let after_ruin = if cut { f64::NAN } else { 0.0 };
            self.daily.push(if at < live { equity[at] } else { after_ruin });
        }
    }

    const WANTS_ORDERS: bool = false;
    const READS_ORDER_IDS: bool = false;
}

#[cfg(test)]
mod tests {
    use super::*;

    const BAR_MS: i64 = 900_000;

    fn grid(start_bar_of_day: i64, bars: usize) -> TimeGrid {
        TimeGrid { start_ms: 1_704_067_200_000 + start_bar_of_day * BAR_MS, step_ms: BAR_MS, bars }
    }

    fn feed(stats: &mut TrialStats, bar0: usize, equity: &[f64], tile: usize) {
        for (i, chunk) in equity.chunks(tile).enumerate() {
            let zeros = vec![0.0; chunk.len()];
            stats.marks(&MarkRows {
                bar0: bar0 + i * tile,
                wallet_usdt: chunk,
                unrealized_usdt: &zeros,
                equity_usdt: chunk,
                gross_usdt: &zeros,
                net_usdt: &zeros,
                positions: &vec![0; chunk.len()],
                initial_margin_usdt: &[],
                maintenance_margin_usdt: &[],
                isolated_ratio: &[],
            });
        }
    }

    #[test]
    fn days_close_at_midnight_and_partial_days_have_no_point() {
        let whole = grid(0, 192);
        assert_eq!(day_stamps(whole, 0..192), [0, 1, 2].map(|d| 1_704_067_200_000 + d * DAY_MS));
        let late = grid(4, 192);
        assert_eq!(day_stamps(late, 0..192), [1, 2].map(|d| 1_704_067_200_000 + d * DAY_MS));
        assert_eq!(day_stamps(whole, 1..95), [0i64; 0]);
        let daily = TimeGrid { start_ms: 1_704_067_200_000, step_ms: DAY_MS, bars: 3 };
        assert_eq!(day_stamps(daily, 0..3).len(), 4);
        let odd = TimeGrid { start_ms: 1_704_067_200_000 + 420_000, step_ms: BAR_MS, bars: 300 };
        assert_eq!(day_stamps(odd, 0..300), [0i64; 0]);
    }

    #[test]
    fn the_tile_size_does_not_show() {
        let equity: Vec<f64> = (0..500u32).map(|i| 1000.0 + f64::from(i * 7919 % 613) / 7.0).collect();
        let run = 13..513;
        let mut whole = TrialStats::new(1, grid(0, 600), run.clone(), 1000.0);
        feed(&mut whole, 13, &equity, 500);
        assert_eq!(whole.daily_equity().len(), day_stamps(grid(0, 600), run.clone()).len());
        assert_eq!(whole.daily_equity()[0], equity[95 - 13]);
        for tile in [1, 7, 96, 256] {
            let mut tiled = TrialStats::new(1, grid(0, 600), run.clone(), 1000.0);
            feed(&mut tiled, 13, &equity, tile);
            assert_eq!(tiled, whole);
        }
        let mut reused = whole.clone();
        reused.reset(1000.0);
        feed(&mut reused, 13, &equity, 64);
        assert_eq!(reused, whole);
    }

    #[test]
    fn marks_before_the_run_are_not_counted() {
        let mut stats = TrialStats::new(1, grid(0, 96), 10..20, 1000.0);
        feed(&mut stats, 0, &[1.0; 10], 10);
        feed(&mut stats, 8, &[1.0, 1.0, 1010.0, 1020.0], 4);
        assert_eq!(stats.finish().get(Metric::Bars), Some(2.0));
        assert_eq!(stats.finish().get(Metric::MaxDrawdown), Some(0.0));
    }

    #[test]
    fn after_ruin_days_are_undefined_and_the_loss_is_total() {
        let mut equity = vec![1000.0; 96 * 4];
        equity[100..].fill(-5.0);
        let mut stats = TrialStats::new(1, grid(0, 96 * 4), 0..96 * 4, 1000.0);
        feed(&mut stats, 0, &equity, 50);
        assert!(stats.ruined());
        assert_eq!(stats.daily_equity()[..3], [1000.0, 1000.0, 0.0]);
        assert!(stats.daily_equity()[3..].iter().all(|e| e.is_nan()));
        let metrics = stats.finish();
        for metric in [Metric::TotalReturn, Metric::Cagr, Metric::MaxDrawdown, Metric::WorstDay] {
            assert_eq!(metrics.get(metric), Some(-1.0), "{metric:?}");
        }
        assert_eq!(metrics.get(Metric::FinalEquity), Some(0.0));
        assert_eq!(metrics.get(Metric::Days), Some(2.0));
    }

    #[test]
    fn an_account_that_did_nothing_has_counts_and_nulls() {
        let mut stats = TrialStats::new(2, grid(0, 192), 0..192, 1000.0);
        feed(&mut stats, 0, &[1000.0; 192], 64);
        let metrics = stats.finish();
        for metric in
            [Metric::Trades, Metric::Fills, Metric::TotalFees, Metric::TotalReturn, Metric::Volatility]
        {
            assert_eq!(metrics.get(metric), Some(0.0), "{metric:?}");
        }
        for metric in [Metric::Sharpe, Metric::Sortino, Metric::Calmar, Metric::WinRate, Metric::ProfitFactor]
        {
            assert_eq!(metrics.get(metric), None, "{metric:?}");
        }
    }
}
