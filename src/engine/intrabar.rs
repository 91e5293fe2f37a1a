//! Stops and targets of positions, at the open and inside the bar (semantics 2.4, 2.6, phases 3 and 4 of 1.5).

use super::account::{Account, Bar, for_each_bit};
use super::fill::{Execution, Impact, Origin};
use crate::config::plan::{BracketPolicy, LimitRule, TakeProfitKind};
use crate::events::{FillReason, Liquidity, Recorder, Side};
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
    /// Semantics 2.6, `adaptive`; in whole ticks, so that equal distances are equal.
    fn high_comes_first(&self, rules: &SymbolRules) -> bool {
        let (open, high, low) =
            (rules.in_ticks(self.open), rules.in_ticks(self.high), rules.in_ticks(self.low));
        high - open <= open - low
    }
}

/// What happens first to a position in a bar.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Hit {
    /// Its stop loss.
    Stop { base_px: f64, gapped: bool },
    /// Its take profit, which the open has already passed. `arrives`: it was set at this very open.
    TargetAtOpen { arrives: bool },
    /// Its take profit, inside the bar.
    TargetInside,
}

/// Whether a price reaches a take profit.
fn target_reached(rules: &SymbolRules, side: Side, target_px: f64, price_px: f64, rule: LimitRule) -> bool {
    let beyond = side.sign() * (rules.in_ticks(target_px) - rules.in_ticks(price_px));
    match rule {
        LimitRule::Touch => beyond >= 0.0,
        LimitRule::Through | LimitRule::TouchProb(_) if rules.tick.is_some() => beyond >= 1.0,
        LimitRule::Through | LimitRule::TouchProb(_) => beyond > 0.0,
    }
}

impl Account {
    /// What happens first (semantics 2.6): (a) the open beyond the stop, (b) the open beyond the target, (c) inside
    /// the bar, where the policy decides if both are reachable.
    fn first_hit(&self, bar: &Bar<'_>, lane: Lane, ohlc: &Ohlc) -> Option<Hit> {
        if self.book.steps[lane.index] == 0.0 {
            return None;
        }
        let (side, _) = self.closing(lane);
        let rules = &bar.venue.rules[lane.symbol];
        let execution = &self.plan.execution;
        let stop_px = self.levels.stop_loss_px[lane.index];
        let stop = if stop_px.is_nan() {
            StopHit::No
        } else {
            stop_hit(rules, side, stop_px, ohlc.open, ohlc.high, ohlc.low, execution.stop_overshoot)
        };
        if let StopHit::Gap { base_px } = stop {
            return Some(Hit::Stop { base_px, gapped: true });
        }
        let target = self.levels.take_profit_px[lane.index];
        let resting_rule = match execution.tp_kind {
            TakeProfitKind::Limit => execution.limit_rule,
            TakeProfitKind::Market => LimitRule::Touch,
        };
        let reached =
            |price_px, rule| !target.is_nan() && target_reached(rules, side, target, price_px, rule);
        // A limit order that arrives at this open is marketable at O = P; a resting one needs its trade-through.
        let arrives = self.fresh_target[lane.word] & lane.bit != 0;
        if reached(ohlc.open, if arrives { LimitRule::Touch } else { resting_rule }) {
            return Some(Hit::TargetAtOpen { arrives });
        }
        let target_inside = reached(ohlc.favourable(side), resting_rule);
        match (stop, target_inside) {
            (StopHit::Through { base_px }, target) => {
                let target_first = match execution.bracket_policy {
                    BracketPolicy::Pessimistic => false,
                    BracketPolicy::Adaptive => ohlc.high_comes_first(rules) == (side == Side::Sell),
                };
                Some(if target && target_first {
                    Hit::TargetInside
                } else {
                    Hit::Stop { base_px, gapped: false }
                })
            }
            (_, true) => Some(Hit::TargetInside),
            (_, false) => None,
        }
    }
    /// Phase 3, first and second: carried stops, then carried targets, that the open has already passed. With
    /// `stops_first_bar` carried stops see the whole bar here.
    pub(super) fn levels_at_open<R: Recorder>(&mut self, bar: &Bar<'_>, recorder: &mut R) {
        let whole_bar = self.stops_come_first();
        self.for_each_touched(
            bar,
            recorder,
            |hit| matches!(hit, Hit::Stop { gapped, .. } if whole_bar || gapped),
        );
        self.for_each_touched(bar, recorder, |hit| matches!(hit, Hit::TargetAtOpen { .. }));
    }
    /// Phase 4: stops and targets inside the bar, of carried positions and of those opened at this open.
    #[inline]
    pub(super) fn intrabar<R: Recorder>(&mut self, bar: &Bar<'_>, recorder: &mut R) {
        if self.levels.any() {
            for (touched, increased) in self.touched.iter_mut().zip(&self.increased) {
                *touched |= increased;
            }
            self.for_each_touched(bar, recorder, |_| true);
        }
        self.touched.fill(0);
        self.increased.fill(0);
        self.opened.fill(0);
        self.fresh_target.fill(0);
    }
    fn for_each_touched<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        recorder: &mut R,
        fires: impl Fn(Hit) -> bool,
    ) {
        for word in 0..self.touched.len() {
            for_each_bit(self.touched[word], |bit| {
                let lane = self.book.lane_of_bit(word, bit);
                if self.levels.has(lane) {
                    let ohlc = Ohlc::of(bar, lane.symbol);
                    if let Some(hit) = self.first_hit(bar, lane, &ohlc).filter(|&hit| fires(hit)) {
                        self.close_by_level(bar, lane, &ohlc, hit, recorder);
                    }
                }
            });
        }
    }
    /// Closes a position by its stop loss or take profit.
    fn close_by_level<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        lane: Lane,
        ohlc: &Ohlc,
        hit: Hit,
        recorder: &mut R,
    ) {
        let target = self.levels.take_profit_px[lane.index];
        let as_limit = self.plan.execution.tp_kind == TakeProfitKind::Limit;
        match hit {
            Hit::Stop { base_px, gapped } => {
                let reason = if self.opened[lane.word] & lane.bit != 0 {
                    FillReason::StopLossEntryBar
                } else if gapped {
                    FillReason::StopLossGap
                } else {
                    FillReason::StopLoss
                };
                self.close_taker(bar, lane, base_px, Impact::Stop, reason, recorder);
            }
            Hit::TargetAtOpen { arrives: true } => {
                self.close_marketable_target(bar, lane, ohlc.open, recorder)
            }
            Hit::TargetAtOpen { arrives: false } if as_limit => {
                self.close_at_limit(bar, lane, target, FillReason::TakeProfitOpen, recorder);
            }
            Hit::TargetAtOpen { arrives: false } => {
                self.close_taker(bar, lane, ohlc.open, Impact::Market, FillReason::TakeProfitOpen, recorder);
            }
            Hit::TargetInside if as_limit => {
                self.close_at_limit(bar, lane, target, FillReason::TakeProfit, recorder);
            }
            // A market target triggered inside the bar: the open has not passed it, so its base is the level.
            Hit::TargetInside => {
                self.close_taker(bar, lane, target, Impact::Market, FillReason::TakeProfit, recorder);
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
        let qty = self.book.qty[lane.index].abs();
        let priced = Priced { price_px, slippage_bps: 0.0, participation: f64::NAN };
        let (liquidity, origin) = (Liquidity::Maker, Origin::ENGINE);
        let execution =
            Execution { lane, side, steps, qty, base_px: price_px, priced, liquidity, reason, origin };
        self.book_fill(bar, execution, recorder);
    }
    /// A target that was marketable when it arrived: out at the open as taker, a limit order never beyond its price.
    fn close_marketable_target<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        lane: Lane,
        open_px: f64,
        recorder: &mut R,
    ) {
        let (side, steps) = self.closing(lane);
        let target = self.levels.take_profit_px[lane.index];
        let qty = self.book.qty[lane.index].abs();
        let mut priced = self.price_taker(bar, lane, side, open_px, qty, Impact::Market);
        if self.plan.execution.tp_kind == TakeProfitKind::Limit {
            priced.price_px = match side {
                Side::Sell => priced.price_px.max(target),
                Side::Buy => priced.price_px.min(target),
            };
        }
        let (liquidity, reason) = (Liquidity::Taker, FillReason::TakeProfitMarketable);
        let origin = Origin::ENGINE;
        let execution =
            Execution { lane, side, steps, qty, base_px: open_px, priced, liquidity, reason, origin };
        self.book_fill(bar, execution, recorder);
    }
}
