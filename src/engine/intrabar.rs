//! Stops and targets of positions, at the open and inside the bar (semantics 2.4, 2.6, phases 3 and 4 of 1.5).

use super::account::{Account, Bar, for_each_bit};
use super::fill::{Execution, Impact, Origin, TakerClose};
use crate::config::plan::{BracketPolicy, TakeProfitKind, TrailMode, TrailSource};
use crate::events::{FillFlags, FillReason, Liquidity, Recorder, Side};
use crate::execution::draw::target_number;
use crate::execution::pricing::{Priced, StopHit, stop_hit};
use crate::execution::rules::SymbolRules;
use crate::portfolio::Lane;

/// A bar's prices for one symbol.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ohlc {
    pub(super) open: f64,
    pub(super) high: f64,
    pub(super) low: f64,
}

impl Ohlc {
    pub(super) fn of(bar: &Bar<'_>, symbol: usize) -> Self {
        let px = |column| bar.px(column, symbol);
        Self { open: px(bar.tile.open), high: px(bar.tile.high), low: px(bar.tile.low) }
    }
    /// The extreme that favours an order on `side` (the high for sells).
    pub(super) fn favourable(&self, side: Side) -> f64 {
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

/// Price of a stop's fill before slippage, and the level it stood at.
type StopPx = (f64, f64);

/// A take profit has neither.
const NO_STOP: StopPx = (f64::NAN, f64::NAN);

/// What happens first to a position in a bar.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Hit {
    /// Its stop loss. `contested`: its take profit could be reached too.
    Stop { gapped: bool, contested: bool },
    /// Its take profit, which the open has already passed. `arrives`: it was set at this very open.
    TargetAtOpen { arrives: bool },
    /// Its take profit, inside the bar.
    TargetInside { contested: bool },
}

impl Account {
    /// How a position's stop meets the bar: the one in force, or the one the bar's own favourable extreme gives
    /// (semantics 2.7, `favourable_first`).
    fn stop_meets(&self, bar: &Bar<'_>, lane: Lane, side: Side, ohlc: &Ohlc) -> (StopHit, f64) {
        let rules = &bar.venue.rules[lane.symbol];
        let overshoot = self.plan.execution.stop_overshoot;
        let in_force = self.levels.stop_loss_px[lane.symbol];
        let hit = |stop_px: f64, open: f64| match stop_px.is_nan() {
            true => StopHit::No,
            false => stop_hit(rules, side, stop_px, open, ohlc.high, ohlc.low, overshoot),
        };
        let first = hit(in_force, ohlc.open);
        if matches!(first, StopHit::Gap { .. }) || !self.ratchets_inside(lane) {
            return (first, in_force);
        }
        let s = -side.sign();
        let mut trail = self.levels.trails[lane.symbol];
        let extreme = ohlc.favourable(side);
        trail.water_px = if s * (extreme - trail.water_px) > 0.0 { extreme } else { trail.water_px };
        let raised = rules.round_stop(trail.stop_px(s, rules), side);
        if raised.is_nan() || s * (raised - in_force) <= 0.0 {
            return (first, in_force);
        }
        // The open lies before the extreme: beyond the raised level it is no gap.
        (hit(raised, s * f64::INFINITY), raised)
    }
    /// Whether this bar's favourable extreme moves the stop before its adverse extreme is tested.
    fn ratchets_inside(&self, lane: Lane) -> bool {
        let execution = &self.plan.execution;
        execution.trail_mode == TrailMode::FavourableFirst
            && execution.trail_source == TrailSource::Extreme
            && lane.is_in(&self.levels.trailing)
            && !lane.is_in(&self.changed_inside)
    }
    /// What happens first (semantics 2.6): (a) the open beyond the stop, (b) the open beyond the target, (c) inside
    /// the bar, where the policy decides if both are reachable.
    ///
    /// Prices stand apart from what they are of and stay in registers: the pair is read at once otherwise, and a processor
    /// waits for what it has just written in two.
    #[inline(always)]
    fn first_hit(&self, bar: &Bar<'_>, lane: Lane, ohlc: &Ohlc) -> Option<(Hit, StopPx)> {
        if self.book.steps[lane.symbol] == 0.0 {
            return None;
        }
        let (side, _) = self.closing(lane);
        let rules = &bar.venue.rules[lane.symbol];
        let execution = &self.plan.execution;
        let (stop, level_px) = self.stop_meets(bar, lane, side, ohlc);
        if let StopHit::Gap { base_px } = stop {
            return Some((Hit::Stop { gapped: true, contested: false }, (base_px, level_px)));
        }
        let target = self.levels.take_profit_px[lane.symbol];
        let touches = match execution.tp_kind {
            TakeProfitKind::Market => true,
            TakeProfitKind::Limit if target.is_nan() => false,
            TakeProfitKind::Limit => {
                self.touch_fills(bar, lane, target_number(self.levels.target_bar[lane.symbol]))
            }
        };
        let reached =
            |price_px, touches| !target.is_nan() && rules.limit_reached(side, target, price_px, touches);
        // A limit order that arrives at this open is marketable at O = P; a resting one needs its trade-through.
        let arrives = lane.is_in(&self.fresh_target);
        if reached(ohlc.open, touches || arrives) {
            return Some((Hit::TargetAtOpen { arrives }, NO_STOP));
        }
        let target_inside = reached(ohlc.favourable(side), touches);
        match (stop, target_inside) {
            (StopHit::Through { base_px }, target) => {
                let target_first = match execution.bracket_policy {
                    BracketPolicy::Pessimistic => false,
                    BracketPolicy::Adaptive => ohlc.high_comes_first(rules) == (side == Side::Sell),
                    BracketPolicy::Optimistic => true,
                };
                Some(if target && target_first {
                    (Hit::TargetInside { contested: true }, NO_STOP)
                } else {
                    (Hit::Stop { gapped: false, contested: target }, (base_px, level_px))
                })
            }
            (_, true) => Some((Hit::TargetInside { contested: false }, NO_STOP)),
            (_, false) => None,
        }
    }
    /// Whether the open has passed the take profit, so that it fills before anything inside the bar.
    pub(super) fn target_passed(&self, bar: &Bar<'_>, lane: Lane, ohlc: &Ohlc) -> bool {
        matches!(self.first_hit(bar, lane, ohlc), Some((Hit::TargetAtOpen { .. }, _)))
    }
    /// The level at which this bar touches the position's stop: liquidation asks which lies nearer to the open.
    pub(super) fn stop_that_fires(&self, bar: &Bar<'_>, lane: Lane, ohlc: &Ohlc) -> Option<f64> {
        let (side, _) = self.closing(lane);
        match self.stop_meets(bar, lane, side, ohlc) {
            (StopHit::No, _) => None,
            (StopHit::Gap { .. } | StopHit::Through { .. }, level_px) => Some(level_px),
        }
    }
    /// Phase 3, first and second: carried stops, then carried targets, that the open has already passed. With
    /// `stops_first_bar` carried stops see the whole bar here.
    pub(super) fn levels_at_open<R: Recorder>(&mut self, bar: &Bar<'_>, recorder: &mut R) {
        let whole_bar = self.stops_come_first();
        if !whole_bar && !self.opens_beyond_a_level(bar) {
            return;
        }
        let stops = |hit| matches!(hit, Hit::Stop { gapped, .. } if whole_bar || gapped);
        self.for_each_touched(bar, false, recorder, stops);
        self.for_each_touched(bar, false, recorder, |hit| matches!(hit, Hit::TargetAtOpen { .. }));
    }
    /// Phase 4, symbol by symbol: stop and target of the position, explicit orders, the stop of what they opened.
    #[inline]
    pub(super) fn intrabar<R: Recorder>(&mut self, bar: &Bar<'_>, recorder: &mut R) {
        if self.levels.any() {
            // Levels set at this open: nearly all of them lie beyond the bar.
            let ratchets = self.plan.execution.trail_mode == TrailMode::FavourableFirst;
            for word in 0..self.touched.len() {
                for_each_bit(self.increased[word], |bit| {
                    let lane = Lane::of_bit(word, bit);
                    let (low, high) = (bar.px(bar.tile.low, lane.symbol), bar.px(bar.tile.high, lane.symbol));
                    if ratchets || self.levels.may_touch(lane, low, high) {
                        self.touched[word] |= lane.bit;
                    }
                });
            }
        }
        // Explicit orders may open positions that no bound has seen.
        let watches = self.liquidates(true) && (self.orders.has_special() || !self.is_safe(bar));
        if watches || self.orders.has_special() {
            for word in 0..self.touched.len() {
                let tradable = bar.tile.tradable[bar.row * bar.tile.words + word];
                let watched = if watches { self.book.held(word) } else { 0 };
                for_each_bit((self.touched[word] | self.orders.working[word] | watched) & tradable, |bit| {
                    self.symbol_inside(bar, Lane::of_bit(word, bit), watches, recorder);
                });
            }
            self.orders.compact();
        } else if self.levels.any() {
            self.for_each_touched(bar, true, recorder, |_| true);
        }
    }
    /// Phase 4 of one symbol: liquidation or stop, whichever lies nearer to the open, target, orders, the stop of what
    /// they opened.
    fn symbol_inside<R: Recorder>(&mut self, bar: &Bar<'_>, lane: Lane, watches: bool, recorder: &mut R) {
        let ohlc = Ohlc::of(bar, lane.symbol);
        if watches {
            let before = self.book.steps[lane.symbol];
            self.liquidate_inside(bar, lane, &ohlc, recorder);
            if self.book.steps[lane.symbol] != before {
                self.changed_inside[lane.word] |= lane.bit;
            }
        }
        if lane.is_in(&self.touched) {
            self.meet_levels(bar, lane, &ohlc, true, |_| true, recorder);
        }
        self.orders_inside(bar, lane, &ohlc, recorder);
        if lane.is_in(&self.entered_inside) {
            self.stop_after_entry(bar, lane, &ohlc, recorder);
        }
    }
    /// Forgets what only the bar that ends needed.
    #[inline]
    pub(super) fn forget_bar(&mut self) {
        for mask in [
            &mut self.touched,
            &mut self.increased,
            &mut self.opened,
            &mut self.fresh_target,
            &mut self.changed_inside,
            &mut self.entered_inside,
        ] {
            match mask.as_mut_slice() {
                // Nearly always; a call to clear memory costs more than it clears.
                [word] => *word = 0,
                words => words.fill(0),
            }
        }
    }
    /// Whether the open alone may touch a level of a carried position.
    #[inline]
    fn opens_beyond_a_level(&self, bar: &Bar<'_>) -> bool {
        let mut any = false;
        for word in 0..self.touched.len() {
            for_each_bit(self.touched[word], |bit| {
                let lane = Lane::of_bit(word, bit);
                let open = bar.px(bar.tile.open, lane.symbol);
                any |= self.levels.may_touch(lane, open, open);
            });
        }
        any
    }
    fn for_each_touched<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        inside: bool,
        recorder: &mut R,
        fires: impl Fn(Hit) -> bool,
    ) {
        for word in 0..self.touched.len() {
            for_each_bit(self.touched[word], |bit| {
                let lane = Lane::of_bit(word, bit);
                let ohlc = Ohlc::of(bar, lane.symbol);
                self.meet_levels(bar, lane, &ohlc, inside, &fires, recorder);
            });
        }
    }
    fn meet_levels<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        lane: Lane,
        ohlc: &Ohlc,
        inside: bool,
        fires: impl Fn(Hit) -> bool,
        recorder: &mut R,
    ) {
        if self.levels.has(lane)
            && let Some((hit, stop)) = self.first_hit(bar, lane, ohlc)
            && fires(hit)
        {
            let before = self.book.steps[lane.symbol];
            self.close_by_level(bar, lane, ohlc, hit, stop, recorder);
            let changes_inside = inside || matches!(hit, Hit::Stop { gapped: false, .. });
            if changes_inside && self.book.steps[lane.symbol] != before {
                self.changed_inside[lane.word] |= lane.bit;
            }
        }
    }
    /// A position that was entered inside the bar meets its stop alone; the open lies before it (semantics 2.12).
    fn stop_after_entry<R: Recorder>(&mut self, bar: &Bar<'_>, lane: Lane, ohlc: &Ohlc, recorder: &mut R) {
        let stop_px = self.levels.stop_loss_px[lane.symbol];
        if stop_px.is_nan() || self.book.steps[lane.symbol] == 0.0 {
            return;
        }
        let (side, _) = self.closing(lane);
        let rules = &bar.venue.rules[lane.symbol];
        let (overshoot, before) = (self.plan.execution.stop_overshoot, -side.sign() * f64::INFINITY);
        if let StopHit::Through { base_px } =
            stop_hit(rules, side, stop_px, before, ohlc.high, ohlc.low, overshoot)
        {
            let reason = match lane.is_in(&self.levels.stop_losses) {
                true => FillReason::StopLossEntryBar,
                false => FillReason::Trail,
            };
            let impact = Impact::Stop;
            let (flags, bound_px) = (FillFlags::STOP_RUN, f64::NAN);
            let trigger_px = stop_px;
            let close = TakerClose { base_px, trigger_px, impact, reason, flags, bound_px, capped: true };
            self.close_taker_apart(bar, lane, close, recorder);
        }
    }
    /// Closes a position by its stop loss or take profit.
    fn close_by_level<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        lane: Lane,
        ohlc: &Ohlc,
        hit: Hit,
        (base_px, level_px): StopPx,
        recorder: &mut R,
    ) {
        let target = self.levels.take_profit_px[lane.symbol];
        let as_limit = self.plan.execution.tp_kind == TakeProfitKind::Limit;
        let none = FillFlags::default();
        let market = |base_px, reason, flags| TakerClose {
            base_px,
            trigger_px: f64::NAN,
            impact: Impact::Market,
            reason,
            flags,
            bound_px: f64::NAN,
            capped: true,
        };
        let (close, limit) = match hit {
            Hit::Stop { gapped, contested } => {
                let reason = if !lane.is_in(&self.levels.stop_losses) {
                    FillReason::Trail
                } else if lane.is_in(&self.opened) {
                    FillReason::StopLossEntryBar
                } else if gapped {
                    FillReason::StopLossGap
                } else {
                    FillReason::StopLoss
                };
                let flags = none
                    .with(FillFlags::GAPPED, gapped)
                    .with(FillFlags::STOP_RUN, !gapped)
                    .with(FillFlags::STOP_AND_TARGET, contested);
                let close = market(base_px, reason, flags);
                (TakerClose { impact: Impact::Stop, trigger_px: level_px, ..close }, false)
            }
            // A target that was marketable when it arrived: a limit order is never filled beyond its price.
            Hit::TargetAtOpen { arrives: true } => {
                let close = market(ohlc.open, FillReason::TakeProfitMarketable, FillFlags::GAPPED);
                let bound_px = if as_limit { target } else { f64::NAN };
                (TakerClose { bound_px, ..close }, false)
            }
            Hit::TargetAtOpen { arrives: false } => {
                (market(ohlc.open, FillReason::TakeProfitOpen, FillFlags::GAPPED), as_limit)
            }
            // As a market order triggered inside the bar: the open has not passed it, so its base is the level.
            Hit::TargetInside { contested } => {
                let flags = none.with(FillFlags::STOP_AND_TARGET, contested);
                (market(target, FillReason::TakeProfit, flags), as_limit)
            }
        };
        if limit {
            self.close_at_limit(bar, lane, target, close.reason, close.flags, recorder);
        } else {
            self.close_taker(bar, lane, close, recorder);
        }
    }
    fn close_at_limit<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        lane: Lane,
        price_px: f64,
        reason: FillReason,
        flags: FillFlags,
        recorder: &mut R,
    ) {
        let Some((side, steps, qty, flags)) = self.closing_leg(bar, lane, true, flags) else { return };
        let priced = Priced { price_px, slippage_bps: 0.0, participation: f64::NAN };
        let (liquidity, origin) = (Liquidity::Maker, Origin::ENGINE);
        let (base_px, trigger_px) = (price_px, f64::NAN);
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
        self.book_fill(bar, execution, recorder);
    }
    /// Phase 5: water marks follow the bar from the first fill of an episode on, and trailing stops follow them; the
    /// level they give is in force from the next bar (semantics 2.7, 2.12).
    pub(super) fn update_trails(&mut self, bar: &Bar<'_>) {
        let tradable = &bar.tile.tradable[bar.row * bar.tile.words..][..bar.tile.words];
        for (word, tradable) in tradable.iter().enumerate() {
            for_each_bit(self.book.held(word) & tradable, |bit| {
                let lane = Lane::of_bit(word, bit);
                let (side, _) = self.closing(lane);
                let (ohlc, s) = (Ohlc::of(bar, lane.symbol), -side.sign());
                let whole_bar = self.plan.execution.trail_source == TrailSource::Extreme
                    && !lane.is_in(&self.changed_inside);
                let reached =
                    if whole_bar { ohlc.favourable(side) } else { bar.px(bar.tile.close, lane.symbol) };
                let trail = &mut self.levels.trails[lane.symbol];
                if s * (reached - trail.water_px) > 0.0 {
                    trail.water_px = reached;
                }
                if lane.is_in(&self.levels.trailing) {
                    let rules = &bar.venue.rules[lane.symbol];
                    let stop_px = rules.round_stop(trail.stop_px(s, rules), side);
                    self.levels.ratchet(lane, s > 0.0, stop_px);
                }
            });
        }
    }
}
