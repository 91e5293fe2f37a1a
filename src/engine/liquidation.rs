//! Liquidation: when it is due, and the event (semantics 4.7).

use super::account::{Account, Bar};
use super::fill::{Execution, Origin};
use super::intrabar::Ohlc;
use super::isolated::ON_THE_LIMIT;
use super::margin::Moment;
use crate::config::plan::{LiqCheck, LiqMode};
use crate::events::{FillFlags, FillReason, Insurance, Liquidity, OrderStatus, Recorder};
use crate::execution::orders::PendingOrder;
use crate::execution::pricing::{Priced, rounded_price, slippage_factor};
use crate::portfolio::{Lane, Money};
use crate::risk::margin::{Exposed, LiquidationPrice};

impl Account {
    /// Whether positions are liquidated at all, and also before the close.
    #[inline]
    pub(super) fn liquidates(&self, before_the_close: bool) -> bool {
        self.plan.margin.as_ref().is_some_and(|plan| {
            plan.liquidation && (!before_the_close || plan.liq_check == LiqCheck::OpenIntrabarClose)
        })
    }
    /// Phase 2 and the end of a bar: `MR ≥ 1` at the marks of a moment.
    pub(super) fn liquidate_by_ratio<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        moment: Moment,
        recorder: &mut R,
    ) {
        if self.book.open_positions() == 0 {
            return;
        }
        if self.is_isolated() {
            return self.liquidate_isolated(bar, moment, recorder);
        }
        if self.margin_ratio(bar, |symbol| self.mark_of(bar, symbol, moment)) >= 1.0 {
            self.take_marks(bar, moment);
            let flags = FillFlags::default().with(FillFlags::GAPPED, moment == Moment::Open);
            self.liquidate(bar, None, flags, recorder);
        }
    }
    /// Phase 4: whether the bar's extreme reaches the liquidation price of a position, the others (none, where it is
    /// isolated) at their marks of the open, before a stop that lies nearer to the open. A target that the open has passed comes first.
    pub(super) fn liquidate_inside<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        lane: Lane,
        ohlc: &Ohlc,
        recorder: &mut R,
    ) {
        let symbol = lane.symbol;
        if self.book.steps[symbol] == 0.0 || self.target_passed(bar, lane, ohlc) {
            return;
        }
        let mark_of = |symbol: usize| self.mark_of(bar, symbol, Moment::Open);
        let is_isolated = self.is_isolated();
        let others = || self.held_symbols().filter(|&s| !is_isolated && s != symbol);
        let exposed = Exposed {
            qty: self.book.qty[symbol],
            entry_px: self.book.avg_entry_px[symbol],
            wallet_usdt: if is_isolated { self.isolated_usdt[symbol] } else { self.book.wallet.value() },
            other_maintenance_usdt: others().map(|s| self.maintenance_of(bar, s, mark_of(s))).sum(),
            other_unrealized_usdt: others().map(|s| self.unrealized_usdt(s, mark_of(s))).sum(),
        };
        let liquidation_px = match exposed.liquidation_px(self.brackets(bar, symbol)) {
            LiquidationPrice::Never => return,
            LiquidationPrice::At(px) => px,
            LiquidationPrice::Already => ohlc.open,
        };
        let is_long = exposed.qty > 0.0;
        let slack = if is_isolated { ON_THE_LIMIT } else { 0.0 };
        let is_beyond = |px: f64, level_px: f64| match is_long {
            true => px <= level_px * (1.0 + slack),
            false => px >= level_px * (1.0 - slack),
        };
        let worst = if is_long { ohlc.low } else { ohlc.high };
        if !is_beyond(worst, liquidation_px) {
            return;
        }
        let gapped = is_beyond(ohlc.open, liquidation_px);
        let base_px = if gapped { ohlc.open } else { liquidation_px };
        if self.stop_that_fires(bar, lane, ohlc).is_some_and(|stop_px| is_beyond(base_px, stop_px)) {
            return;
        }
        let flags = FillFlags::default().with(FillFlags::GAPPED, gapped);
        if is_isolated {
            return self.liquidate_isolated_inside(bar, lane, base_px, liquidation_px, flags, recorder);
        }
        self.take_marks(bar, Moment::Open);
        self.liquidation_marks[symbol] = base_px;
        self.liquidate(bar, Some((symbol, liquidation_px)), flags, recorder);
    }
    pub(super) fn take_marks(&mut self, bar: &Bar<'_>, moment: Moment) {
        let mut marks = std::mem::take(&mut self.liquidation_marks);
        for (symbol, mark) in marks.iter_mut().enumerate() {
            *mark = self.mark_of(bar, symbol, moment);
        }
        self.liquidation_marks = marks;
    }
    /// The event, at the marks taken for it: orders go, positions are liquidated by descending MM, the one that
    /// triggered first, until `MR < 1`; what then is missing in the wallet the insurance fund pays.
    fn liquidate<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        triggering: Option<(usize, f64)>,
        flags: FillFlags,
        recorder: &mut R,
    ) {
        let Some(plan) = self.plan.margin else { return };
        self.cancel_for_liquidation(bar, None, recorder);
        let share = match plan.liq_mode {
            LiqMode::LargestMm | LiqMode::All => 1.0,
            LiqMode::ProRata => self.liquidated_share(bar),
        };
        let mut last = triggering.map(|(symbol, _)| symbol);
        self.liquidation_trigger = triggering;
        self.liquidate_share(bar, share, plan.liq_mode == LiqMode::LargestMm, &mut last, flags, recorder);
        if plan.liq_mode == LiqMode::ProRata && self.liquidation_ratio(bar) >= 1.0 {
            self.liquidate_share(bar, 1.0, false, &mut last, flags, recorder);
        }
        let wallet = self.book.wallet.value();
        if let (0, true, Some(symbol)) = (self.book.open_positions(), wallet < 0.0, last) {
            self.end_account(bar, symbol, true, recorder);
        }
    }
    /// Cancels all orders, or those of one symbol.
    pub(super) fn cancel_for_liquidation<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        of_symbol: Option<usize>,
        recorder: &mut R,
    ) {
        for at in 0..self.orders.len() {
            let concerned =
                |order: &&PendingOrder| of_symbol.is_none_or(|symbol| order.symbol as usize == symbol);
            if let Some(order) = self.orders.live(at).filter(concerned).copied() {
                self.end_order(at, &order, bar, OrderStatus::Cancelled, "liquidation", recorder);
            }
        }
        self.orders.compact();
    }
    /// The end: the fund fills the wallet up to nothing, and not to a rounding error.
    pub(super) fn end_account<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        symbol: usize,
        has_debt: bool,
        recorder: &mut R,
    ) {
        let wallet = self.book.wallet.value();
        self.book.book_cash(-wallet);
        self.book.wallet = Money::default();
        self.ruined = true;
        if has_debt {
            let (bar, symbol) = (bar.bar as u32, symbol as u32);
            recorder.insurance(&Insurance { bar, symbol, amount_usdt: -wallet, ruins: true });
        }
    }
    fn liquidation_ratio(&self, bar: &Bar<'_>) -> f64 {
        self.margin_ratio(bar, |symbol| self.liquidation_marks[symbol])
    }
    pub(super) fn liquidate_share<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        share: f64,
        until_sound: bool,
        last: &mut Option<usize>,
        flags: FillFlags,
        recorder: &mut R,
    ) {
        let triggering = self.liquidation_trigger.map(|(symbol, _)| symbol);
        let mut held = std::mem::take(&mut self.by_symbol);
        self.rank_by_maintenance(bar, triggering, &mut held);
        for &(symbol, _) in &held {
            let is_first = *last == Some(symbol);
            if until_sound && !is_first && self.liquidation_ratio(bar) < 1.0 {
                break;
            }
            let held = self.book.steps[symbol].abs();
            let steps = if share < 1.0 { self.share_of(bar, symbol, share) } else { held };
            self.liquidate_steps(bar, Lane::of(symbol), steps, flags, recorder);
            *last = Some(symbol);
        }
        self.by_symbol = held;
    }
    /// Held symbols by descending MM, the one that triggered first.
    fn rank_by_maintenance(&self, bar: &Bar<'_>, triggering: Option<usize>, held: &mut Vec<(usize, f64)>) {
        let maintenance = |symbol: usize| self.maintenance_of(bar, symbol, self.liquidation_marks[symbol]);
        held.clear();
        held.extend(self.held_symbols().map(|symbol| (symbol, maintenance(symbol))));
        held.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        if let Some(at) = held.iter().position(|&(symbol, _)| Some(symbol) == triggering) {
            held[..=at].rotate_right(1);
        }
    }
    /// `pro_rata`: as the guard trims, to `MR = 1`, at the cost of the largest slippage and clearance fee.
    fn liquidated_share(&self, bar: &Bar<'_>) -> f64 {
        let fee = self.held_symbols().map(|s| self.liquidation_fee_frac(bar, s)).fold(0.0, f64::max);
        let cost_frac = fee + self.plan.slippage.max_bps / 1e4;
        self.share_to(bar, |symbol| self.liquidation_marks[symbol], 1.0, cost_frac)
    }
    fn liquidation_fee_frac(&self, bar: &Bar<'_>, symbol: usize) -> f64 {
        let fallback = self.plan.margin.as_ref().map_or(0.0, |plan| plan.liq_fee_frac);
        bar.venue.market.symbols[symbol].contract.liquidation_fee_frac.unwrap_or(fallback)
    }
    /// One position goes at its mark, with the largest slippage and the clearance fee instead of a commission.
    pub(super) fn liquidate_steps<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        lane: Lane,
        steps: f64,
        flags: FillFlags,
        recorder: &mut R,
    ) {
        if self.liquidation_trigger.is_some() {
            // Inside the bar, also where another symbol's price brought it about.
            self.changed_inside[lane.word] |= lane.bit;
        }
        let (side, _) = self.closing(lane);
        let rules = &bar.venue.rules[lane.symbol];
        let base_px = self.liquidation_marks[lane.symbol];
        let triggered = self.liquidation_trigger.filter(|(symbol, _)| *symbol == lane.symbol);
        let trigger_px = triggered.map_or(f64::NAN, |(_, px)| px);
        let bps = self.plan.slippage.max_bps;
        let execution = &self.plan.execution;
        let (low, high) = (bar.px(bar.tile.low, lane.symbol), bar.px(bar.tile.high, lane.symbol));
        let clamp = (execution.clamp_to_bar && !low.is_nan()).then_some((low, high));
        let slipped = base_px * slippage_factor(side, bps);
        let price_px = rounded_price(rules, side, slipped, execution.round_to_tick, clamp);
        let priced = Priced { price_px, slippage_bps: bps, participation: f64::NAN };
        let qty = rules.step.value(steps);
        let (liquidity, reason, origin) = (Liquidity::Taker, FillReason::Liquidation, Origin::ENGINE);
        let execution = Execution {
            lane,
            side,
            steps,
            qty,
            base_px,
            trigger_px,
            priced,
            liquidity,
            reason,
            flags,
            origin,
        };
        let fee_frac = self.liquidation_fee_frac(bar, lane.symbol);
        self.book_fill_at(bar, execution, fee_frac, recorder);
    }
}
