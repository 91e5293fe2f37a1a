//! Stops and targets of positions, at the open and inside the bar (semantics 2.4, 2.6, phases 3 and 4 of 1.5).

use super::account::{Account, Bar, for_each_bit};
use super::api::{FillReason, Liquidity, Recorder, Side};
use super::fill::{Execution, Impact, Origin};
use crate::config::plan::{BracketPolicy, LimitRule, TakeProfitKind};
use crate::execution::pricing::{Priced, StopHit, stop_hit};
use crate::execution::rules::SymbolRules;
use crate::portfolio::Lane;

/// A bar's prices for one symbol.
#[derive(Debug, Clone, Copy)]
struct Ohlc {
    open: f64,
    high: f64,
    low: f64,
}

impl Ohlc {
    fn of(bar: &Bar<'_>, symbol: usize) -> Self {
        let px = |column| bar.px(column, symbol);
        Self { open: px(bar.tile.open), high: px(bar.tile.high), low: px(bar.tile.low) }
    }
    /// The extreme that favours an order on `side` (the high for sells).
    fn favourable(&self, side: Side) -> f64 {
        match side {
            Side::Buy => self.low,
            Side::Sell => self.high,
        }
    }
}

/// Whether a price reaches a take profit that rests as a limit order.
fn target_reached(rules: &SymbolRules, side: Side, target_px: f64, price_px: f64, rule: LimitRule) -> bool {
    let beyond = side.sign() * (rules.in_ticks(target_px) - rules.in_ticks(price_px));
    match rule {
        LimitRule::Touch => beyond >= 0.0,
        LimitRule::Through if rules.tick.is_some() => beyond >= 1.0,
        LimitRule::Through => beyond > 0.0,
    }
}

impl Account {
    fn stop_of(&self, bar: &Bar<'_>, ohlc: &Ohlc, lane: Lane) -> Option<StopHit> {
        let stop = self.levels.stop_loss_px[lane.index];
        if stop.is_nan() || self.book.steps[lane.index] == 0.0 {
            return None;
        }
        let (side, _) = self.closing(lane);
        let overshoot = self.plan.execution.stop_overshoot;
        Some(stop_hit(&bar.venue.rules[lane.symbol], side, stop, ohlc.open, ohlc.high, ohlc.low, overshoot))
    }
    /// A carried stop that the open gapped through.
    pub(super) fn stop_at_open<R: Recorder>(&mut self, bar: &Bar<'_>, lane: Lane, recorder: &mut R) {
        if let Some(StopHit::Gap { base_px }) = self.stop_of(bar, &Ohlc::of(bar, lane.symbol), lane) {
            self.close_taker(bar, lane, base_px, Impact::Stop, FillReason::StopLossGap, recorder);
        }
    }
    /// A carried stop over the whole bar.
    pub(super) fn stop_carried<R: Recorder>(&mut self, bar: &Bar<'_>, lane: Lane, recorder: &mut R) {
        match self.stop_of(bar, &Ohlc::of(bar, lane.symbol), lane) {
            Some(StopHit::Gap { base_px }) => {
                self.close_taker(bar, lane, base_px, Impact::Stop, FillReason::StopLossGap, recorder);
            }
            Some(StopHit::Through { base_px }) => {
                self.close_taker(bar, lane, base_px, Impact::Stop, FillReason::StopLoss, recorder);
            }
            Some(StopHit::No) | None => {}
        }
    }
    /// A carried target that the open has already passed: certain, whatever the rest of the bar does.
    pub(super) fn target_at_open<R: Recorder>(&mut self, bar: &Bar<'_>, lane: Lane, recorder: &mut R) {
        let target = self.levels.take_profit_px[lane.index];
        if target.is_nan() || self.book.steps[lane.index] == 0.0 {
            return;
        }
        let open = bar.px(bar.tile.open, lane.symbol);
        let (side, _) = self.closing(lane);
        let rules = &bar.venue.rules[lane.symbol];
        match self.plan.execution.tp_kind {
            TakeProfitKind::Limit
                if target_reached(rules, side, target, open, self.plan.execution.limit_rule) =>
            {
                self.close_at_limit(bar, lane, target, FillReason::TakeProfitOpen, recorder);
            }
            TakeProfitKind::Market if target_reached(rules, side, target, open, LimitRule::Touch) => {
                self.close_taker(bar, lane, open, Impact::Market, FillReason::TakeProfitOpen, recorder);
            }
            TakeProfitKind::Limit | TakeProfitKind::Market => {}
        }
    }
    /// Phase 4: stops and targets inside the bar, of carried positions and of those opened at this open.
    #[inline]
    pub(super) fn intrabar<R: Recorder>(&mut self, bar: &Bar<'_>, recorder: &mut R) {
        if self.levels.any() {
            for word in 0..self.touched.len() {
                let opened = self.opened[word];
                for_each_bit(self.touched[word] | opened, |bit| {
                    let lane = self.book.lane_of_bit(word, bit);
                    if self.book.steps[lane.index] != 0.0 && self.levels.has(lane) {
                        self.levels_inside(bar, lane, opened >> bit & 1 != 0, recorder);
                    }
                });
            }
        }
        self.touched.fill(0);
        self.opened.fill(0);
    }
    fn levels_inside<R: Recorder>(&mut self, bar: &Bar<'_>, lane: Lane, opened_here: bool, recorder: &mut R) {
        let ohlc = Ohlc::of(bar, lane.symbol);
        let (side, _) = self.closing(lane);
        let stop = self.stop_of(bar, &ohlc, lane);
        let stop_base = match stop {
            Some(StopHit::Gap { base_px } | StopHit::Through { base_px }) => Some(base_px),
            Some(StopHit::No) | None => None,
        };
        let gapped = matches!(stop, Some(StopHit::Gap { .. }));
        let target = self.target_inside(bar, &ohlc, lane, side, opened_here);
        match (stop_base, target) {
            // Beyond its own stop at the open, or the stop first on the path through the bar.
            (Some(base_px), other)
                if gapped || other.is_none() || self.stop_comes_first(&ohlc, side, other) =>
            {
                let reason = if opened_here { FillReason::StopLossEntryBar } else { FillReason::StopLoss };
                self.close_taker(bar, lane, base_px, Impact::Stop, reason, recorder);
            }
            (_, Some(TargetHit::Rests { price_px })) => {
                self.close_at_limit(bar, lane, price_px, FillReason::TakeProfit, recorder);
            }
            (_, Some(TargetHit::Triggers { base_px })) => {
                self.close_taker(bar, lane, base_px, Impact::Market, FillReason::TakeProfit, recorder);
            }
            (_, Some(TargetHit::MarketableAtOpen)) => {
                self.close_marketable_target(bar, lane, &ohlc, recorder)
            }
            (_, None) => {}
        }
    }
    fn target_inside(
        &self,
        bar: &Bar<'_>,
        ohlc: &Ohlc,
        lane: Lane,
        side: Side,
        opened_here: bool,
    ) -> Option<TargetHit> {
        let target = self.levels.take_profit_px[lane.index];
        if target.is_nan() {
            return None;
        }
        let rules = &bar.venue.rules[lane.symbol];
        if opened_here && target_reached(rules, side, target, ohlc.open, LimitRule::Touch) {
            return Some(TargetHit::MarketableAtOpen);
        }
        let extreme = ohlc.favourable(side);
        match self.plan.execution.tp_kind {
            TakeProfitKind::Limit => {
                target_reached(rules, side, target, extreme, self.plan.execution.limit_rule)
                    .then_some(TargetHit::Rests { price_px: target })
            }
            TakeProfitKind::Market => {
                target_reached(rules, side, target, extreme, LimitRule::Touch).then(|| {
                    let base_px = match side {
                        Side::Sell => target.max(ohlc.open),
                        Side::Buy => target.min(ohlc.open),
                    };
                    TargetHit::Triggers { base_px }
                })
            }
        }
    }
    /// Both are reachable: the policy decides (semantics 2.6 c). A target marketable at the open is certain.
    fn stop_comes_first(&self, ohlc: &Ohlc, exit_side: Side, target: Option<TargetHit>) -> bool {
        if target == Some(TargetHit::MarketableAtOpen) {
            return false;
        }
        match self.plan.execution.bracket_policy {
            BracketPolicy::Pessimistic => true,
            BracketPolicy::Adaptive => {
                let high_first = ohlc.high - ohlc.open <= ohlc.open - ohlc.low;
                match exit_side {
                    Side::Sell => !high_first,
                    Side::Buy => high_first,
                }
            }
        }
    }
    fn close_at_limit<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        lane: Lane,
        price_px: f64,
        reason: FillReason,
        recorder: &mut R,
    ) {
        let (side, steps) = self.closing(lane);
        let priced = Priced { price_px, slippage_bps: 0.0, participation: f64::NAN };
        let (liquidity, origin) = (Liquidity::Maker, Origin::ENGINE);
        let execution = Execution { lane, side, steps, base_px: price_px, priced, liquidity, reason, origin };
        self.book_fill(bar, execution, recorder);
    }
    /// A target that was marketable when it arrived: out at the open as taker, a limit order never beyond its price.
    fn close_marketable_target<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        lane: Lane,
        ohlc: &Ohlc,
        recorder: &mut R,
    ) {
        let (side, steps) = self.closing(lane);
        let target = self.levels.take_profit_px[lane.index];
        let qty = bar.venue.rules[lane.symbol].step.value(steps);
        let mut priced = self.price_taker(bar, lane, side, ohlc.open, qty, Impact::Market);
        if self.plan.execution.tp_kind == TakeProfitKind::Limit {
            priced.price_px = match side {
                Side::Sell => priced.price_px.max(target),
                Side::Buy => priced.price_px.min(target),
            };
        }
        let (liquidity, reason) = (Liquidity::Taker, FillReason::TakeProfitMarketable);
        let base_px = ohlc.open;
        let execution =
            Execution { lane, side, steps, base_px, priced, liquidity, reason, origin: Origin::ENGINE };
        self.book_fill(bar, execution, recorder);
    }
}

/// How a bar reaches a take profit.
#[derive(Debug, Clone, Copy, PartialEq)]
enum TargetHit {
    /// A resting limit order is hit at its price.
    Rests { price_px: f64 },
    /// A market order is triggered.
    Triggers { base_px: f64 },
    /// Already marketable at the open at which the position was opened.
    MarketableAtOpen,
}
