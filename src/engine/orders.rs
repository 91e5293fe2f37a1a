//! Explicit orders meet a bar: triggers, arrivals, fills and what is left of an order afterwards (semantics 2.3–2.5, 2.9,
//! 2.11; docs/decisions/0007 for what they leave open).

use super::account::{Account, Bar};
use super::fill::{Execution, Impact, Origin, bounded};
use super::intrabar::Ohlc;
use crate::config::plan::{EntryBeyondStop, LimitRule};
use crate::events::{FillFlags, FillReason, Liquidity, NO_GROUP, OrderKind, OrderStatus, Recorder, Side};
use crate::execution::draw::draw;
use crate::execution::orders::{Extra, NO_EXTRA, PendingOrder, Role, Stage};
use crate::execution::pricing::{Priced, StopHit, stop_hit};
use crate::portfolio::Lane;

/// How an order executes.
#[derive(Debug, Clone, Copy)]
struct Act {
    base_px: f64,
    /// Trigger of a stop order; `NaN`: none.
    trigger_px: f64,
    /// Price as it stands and maker; `None`: slippage from the base, taker.
    maker: bool,
    impact: Impact,
    /// A taker price is not beyond this; `NaN`: no bound.
    bound_px: f64,
    reason: Option<FillReason>,
    flags: FillFlags,
    /// Inside the bar, and not at its open.
    inside: bool,
}

impl Act {
    /// As a market order at the open.
    fn market(open_px: f64) -> Self {
        Self {
            base_px: open_px,
            trigger_px: f64::NAN,
            maker: false,
            impact: Impact::Market,
            bound_px: f64::NAN,
            reason: None,
            flags: FillFlags::default(),
            inside: false,
        }
    }
}

/// What fills now of an order, in whole steps.
#[derive(Debug, Clone, Copy)]
struct Legs {
    closing: f64,
    opening: f64,
    /// The participation cap holds back the rest.
    is_cut: bool,
}

impl Account {
    /// Stops whose trigger the open has passed act now: as market orders, or as limit orders that arrive.
    pub(super) fn trigger_at_open(&mut self, bar: &Bar<'_>) {
        for at in 0..self.orders.len() {
            let Some(order) = self.orders.live(at).filter(|order| order.stage == Stage::Armed).copied()
            else {
                continue;
            };
            let symbol = order.symbol as usize;
            if !bar.is_tradable(symbol) {
                continue;
            }
            let open = bar.px(bar.tile.open, symbol);
            let trigger = self.orders.extra(&order).price_px;
            let rules = &bar.venue.rules[symbol];
            if matches!(stop_hit(rules, order.side, trigger, open, open, open, 0.0), StopHit::Gap { .. }) {
                let stage = if order.kind == OrderKind::Stop { Stage::Triggered } else { Stage::Arriving };
                self.orders.change(at, |order| order.stage = stage);
            }
        }
    }
    /// Executes a market order, or a stop that was triggered, at the open of its first tradable bar.
    #[inline]
    pub(super) fn act_at_open<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        at: usize,
        order: &PendingOrder,
        recorder: &mut R,
    ) {
        let symbol = order.symbol as usize;
        if !bar.is_tradable(symbol) {
            return;
        }
        let mut act = Act::market(bar.px(bar.tile.open, symbol));
        if order.stage == Stage::Triggered {
            // What the participation cap leaves of it is a market order.
            self.orders.change(at, |order| order.stage = Stage::Market);
            act.impact = Impact::Stop;
            act.trigger_px = self.orders.extra(order).price_px;
            act.reason = Some(FillReason::StopEntryGap);
            act.flags = FillFlags::GAPPED;
        }
        self.act(bar, at, order, act, recorder);
    }
    /// Limit orders meet their first tradable bar: marketable ones take, the others rest (semantics 2.5).
    pub(super) fn arrive<R: Recorder>(&mut self, bar: &Bar<'_>, recorder: &mut R) {
        for at in 0..self.orders.len() {
            let Some(order) = self.orders.live(at).filter(|order| order.stage == Stage::Arriving).copied()
            else {
                continue;
            };
            let symbol = order.symbol as usize;
            if !bar.is_tradable(symbol) {
                continue;
            }
            let extra = self.orders.extra(&order);
            let limit_px = limit_of(&order, &extra);
            let open = bar.px(bar.tile.open, symbol);
            self.orders.change(at, |order| order.stage = Stage::Resting);
            if bar.venue.rules[symbol].limit_reached(order.side, limit_px, open, true) {
                let gapped = order.kind == OrderKind::StopLimit;
                let flags = FillFlags::default().with(FillFlags::GAPPED, gapped);
                let act = Act { bound_px: limit_px, flags, ..Act::market(open) };
                self.take(bar, at, &order, &extra, act, recorder);
            }
        }
    }
    /// A limit order that is marketable: taker, unless it must not be.
    fn take<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        at: usize,
        order: &PendingOrder,
        extra: &Extra,
        act: Act,
        recorder: &mut R,
    ) {
        if extra.post_only {
            return self.end_order(at, order, bar, OrderStatus::Rejected, "post_only", recorder);
        }
        self.act(bar, at, order, Act { reason: Some(FillReason::LimitTaker), ..act }, recorder);
    }
    /// Phase 4: the explicit orders of a symbol, inside the bar, by their ids.
    pub(super) fn orders_inside<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        lane: Lane,
        ohlc: &Ohlc,
        recorder: &mut R,
    ) {
        let rules = &bar.venue.rules[lane.symbol];
        for at in self.orders.of_symbol(lane.symbol) {
            let Some(order) = self.orders.live(at).copied() else { continue };
            let extra = self.orders.extra(&order);
            match order.stage {
                Stage::Market | Stage::Triggered | Stage::Arriving => {}
                Stage::Resting => {
                    let limit_px = limit_of(&order, &extra);
                    let touches = self.touch_fills(bar, lane, u64::from(order.order_id));
                    let best = ohlc.favourable(order.side);
                    if rules.limit_reached(order.side, limit_px, best, touches) {
                        let act = Act {
                            maker: true,
                            inside: true,
                            reason: Some(FillReason::LimitMaker),
                            ..Act::market(limit_px)
                        };
                        self.act(bar, at, &order, act, recorder);
                    }
                }
                Stage::Armed => {
                    let overshoot = self.plan.execution.stop_overshoot;
                    let hit = stop_hit(
                        rules,
                        order.side,
                        extra.price_px,
                        ohlc.open,
                        ohlc.high,
                        ohlc.low,
                        overshoot,
                    );
                    let (StopHit::Through { base_px } | StopHit::Gap { base_px }) = hit else { continue };
                    let act = Act { impact: Impact::Stop, inside: true, ..Act::market(base_px) };
                    let act = Act { flags: FillFlags::STOP_RUN, ..act };
                    if order.kind == OrderKind::Stop {
                        self.orders.change(at, |order| order.stage = Stage::Market);
                        let act =
                            Act { reason: Some(FillReason::StopEntry), trigger_px: extra.price_px, ..act };
                        self.act(bar, at, &order, act, recorder);
                        continue;
                    }
                    self.orders.change(at, |order| order.stage = Stage::Resting);
                    if rules.limit_reached(order.side, extra.limit_px, base_px, true) {
                        let act = Act { bound_px: extra.limit_px, impact: Impact::Market, ..act };
                        self.take(bar, at, &order, &extra, act, recorder);
                    }
                }
            }
        }
    }
    /// Whether touching fills a resting order (semantics 2.5); `number` is the order's in the draw.
    pub(super) fn touch_fills(&self, bar: &Bar<'_>, lane: Lane, number: u64) -> bool {
        match self.plan.execution.limit_rule {
            LimitRule::Touch => true,
            LimitRule::Through => false,
            LimitRule::TouchProb(p) => {
                draw(self.plan.seed, &bar.venue.market.symbols[lane.symbol].name, number) < p
            }
        }
    }
    /// Executes an order: one fill of a closing and an opening leg, each as large as it may be, and what is left waits.
    #[inline]
    fn act<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        at: usize,
        order: &PendingOrder,
        act: Act,
        recorder: &mut R,
    ) {
        let lane = order.lane();
        let against = self.steps_against(lane, order.side);
        let closing = if order.closes_opposite { against } else { order.steps.min(against) };
        let wanted = match (order.role, order.closes_opposite) {
            (Role::Exit, _) => 0.0,
            (Role::Entry, true) => order.steps,
            (Role::Entry, false) => order.steps - closing,
        };
        let mut refused = order.opening_refused;
        let wanted = if refused.is_empty() { wanted } else { 0.0 };
        if closing + wanted == 0.0 {
            return match order.role {
                Role::Exit => self.end_order(at, order, bar, OrderStatus::Cancelled, "reduce_only", recorder),
                Role::Entry => self.refuse(at, order, bar, refused, recorder),
            };
        }
        let (closing_now, mut opening) = self.cut_by_cap(bar, lane, closing, wanted);
        let left = (closing - closing_now) + (wanted - opening);
        // What margin cuts off does not wait.
        let mut scaled = false;
        if opening > 0.0 {
            match self.admit_at_fill(bar, at, order, &act, wanted, opening) {
                Ok(fits) => (scaled, opening) = (fits < opening, fits),
                Err(reason) => (refused, opening) = (reason, 0.0),
            }
        }
        let steps = closing_now + opening;
        if steps == 0.0 {
            // Cut to nothing by the cap alone, the order waits for a bar with more volume.
            if !refused.is_empty() {
                self.refuse(at, order, bar, refused, recorder);
            }
            return;
        }
        self.count_legs(bar, lane, closing_now, opening);
        let legs = Legs { closing: closing_now, opening, is_cut: left > 0.0 };
        if self.plan.execution.split_large {
            self.fill_in_slices(bar, order, &act, legs, recorder);
        } else {
            self.fill_legs(bar, order, &act, legs, recorder);
        }
        if order.extra != NO_EXTRA && !order.has_filled {
            self.cancel_group(bar, order, recorder);
        }
        if !refused.is_empty() {
            self.end_order(at, order, bar, OrderStatus::Cancelled, refused, recorder);
        } else if left > 0.0 && !scaled {
            self.keep_rest(at, left, closing_now == closing, opening > 0.0);
        } else {
            self.end_order(at, order, bar, OrderStatus::Filled, "", recorder);
        }
    }
    /// One fill of what fills now of both legs, priced, booked, and its levels set. A part of `act` for all orders but
    /// those that are split.
    #[inline(always)]
    fn fill_legs<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        order: &PendingOrder,
        act: &Act,
        legs: Legs,
        recorder: &mut R,
    ) {
        let lane = order.lane();
        let Legs { closing, opening, is_cut } = legs;
        let steps = closing + opening;
        let qty = bar.venue.rules[lane.symbol].step.value(steps);
        let (priced, liquidity) = self.priced(bar, lane, order.side, qty, act);
        let reason = order.reason.or(act.reason).unwrap_or(match opening > 0.0 {
            true => FillReason::MarketEntry,
            false => FillReason::MarketExit,
        });
        let origin = Origin { order_id: order.order_id, tag: order.tag };
        let began = self.book.steps[lane.symbol] == 0.0 || (closing > 0.0 && opening > 0.0);
        let flags = act.flags.with(FillFlags::VOLUME_CAPPED, is_cut);
        let (side, base_px, trigger_px) = (order.side, act.base_px, act.trigger_px);
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
        self.book_fill_at(bar, execution, self.fee_frac(liquidity), recorder);
        if act.inside {
            self.changed_inside[lane.word] |= lane.bit;
        }
        if opening > 0.0 {
            self.increased_by(bar, lane, order, act, priced.price_px, began);
        }
    }
    /// The same in fills of at most the largest quantity of the order's type, one after the other, the last the rest:
    /// what each takes of the bar's volume makes the next more costly (semantics 2.8, 2.10).
    #[cold]
    fn fill_in_slices<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        order: &PendingOrder,
        act: &Act,
        mut legs: Legs,
        recorder: &mut R,
    ) {
        let most = bar.venue.rules[order.symbol as usize].slice_steps(order.kind);
        while legs.closing + legs.opening > 0.0 {
            let closing = legs.closing.min(most);
            let slice = Legs { closing, opening: legs.opening.min(most - closing), ..legs };
            self.fill_legs(bar, order, act, slice, recorder);
            legs.closing -= slice.closing;
            legs.opening -= slice.opening;
        }
    }
    /// The end of an order whose opening leg may not execute and that has nothing more to close.
    fn refuse<R: Recorder>(
        &mut self,
        at: usize,
        order: &PendingOrder,
        bar: &Bar<'_>,
        reason: &'static str,
        recorder: &mut R,
    ) {
        let status = if order.has_filled { OrderStatus::Cancelled } else { OrderStatus::Rejected };
        self.end_order(at, order, bar, status, reason, recorder);
    }
    /// Tests of an opening leg at its fill: how many of the `opening` steps that the cap leaves of `wanted` may fill, or
    /// why none (semantics 2.10, 2.12, 4.5).
    #[inline]
    fn admit_at_fill(
        &self,
        bar: &Bar<'_>,
        at: usize,
        order: &PendingOrder,
        act: &Act,
        wanted: f64,
        opening: f64,
    ) -> Result<f64, &'static str> {
        let rules = &bar.venue.rules[order.symbol as usize];
        if !order.has_opened && !rules.meets_min_notional(rules.step.value(wanted), act.base_px) {
            return Err("min_notional");
        }
        let rejects = self.plan.execution.entry_beyond_stop == EntryBeyondStop::Reject;
        if rejects && !act.inside && !order.stop_loss_px.is_nan() {
            let exit_side = order.side.opposite();
            let stop = rules.round_stop(order.stop_loss_px, exit_side);
            let open = act.base_px;
            if matches!(stop_hit(rules, exit_side, stop, open, open, open, 0.0), StopHit::Gap { .. }) {
                return Err("beyond_stop");
            }
        }
        let fee_frac = if act.maker { self.plan.maker_fee_frac } else { self.plan.taker_fee_frac };
        self.admit_margin_at_fill(bar, at, order, opening, act.base_px, fee_frac)
    }
    /// The parts of the two legs that the participation cap lets through now.
    #[inline]
    fn cut_by_cap(&self, bar: &Bar<'_>, lane: Lane, closing: f64, opening: f64) -> (f64, f64) {
        if self.capped.is_empty() {
            return (closing, opening);
        }
        let left = self.cap_left(bar, lane).max(0.0);
        if self.cap_covers_exits() {
            let closing_now = closing.min(left);
            (closing_now, opening.min(left - closing_now))
        } else {
            (closing, opening.min(left))
        }
    }
    /// Counts the legs of a fill against the cap, as far as it covers them.
    #[inline]
    fn count_legs(&mut self, bar: &Bar<'_>, lane: Lane, closing: f64, opening: f64) {
        if !self.capped.is_empty() {
            let counted = if self.cap_covers_exits() { closing } else { 0.0 };
            self.count_against_cap(bar, lane, counted + opening);
        }
    }
    /// Price of an act for this quantity.
    #[inline]
    fn priced(&self, bar: &Bar<'_>, lane: Lane, side: Side, qty: f64, act: &Act) -> (Priced, Liquidity) {
        if act.maker {
            let priced = Priced { price_px: act.base_px, slippage_bps: 0.0, participation: f64::NAN };
            return (priced, Liquidity::Maker);
        }
        let mut priced = self.price_taker(bar, lane, side, act.base_px, qty, act.impact);
        if !act.bound_px.is_nan() {
            priced.price_px = bounded(priced.price_px, side, act.bound_px);
        }
        (priced, Liquidity::Taker)
    }
    /// What is left of an order after a partial fill: a plain quantity, that has passed its minimums; an order that
    /// closes whatever stands against it and has not come to the end of that stays what it is.
    fn keep_rest(&mut self, at: usize, steps: f64, closed: bool, opened: bool) {
        self.orders.change(at, |rest| {
            rest.has_filled = true;
            rest.has_opened |= opened;
            if closed || !rest.closes_opposite {
                rest.steps = steps;
                rest.closes_opposite &= rest.role == Role::Exit;
            }
        });
    }
    /// A fill that increased the position: levels, masks, the start of an episode.
    #[inline]
    fn increased_by(
        &mut self,
        bar: &Bar<'_>,
        lane: Lane,
        order: &PendingOrder,
        act: &Act,
        price_px: f64,
        began: bool,
    ) {
        if act.inside {
            self.entered_inside[lane.word] |= lane.bit;
        } else {
            self.increased[lane.word] |= lane.bit;
            if began {
                self.opened[lane.word] |= lane.bit;
                // What happened to the position before is none of this one's.
                self.changed_inside[lane.word] &= !lane.bit;
            }
        }
        if began {
            self.levels.begin_episode(lane, price_px);
        }
        let extra = self.orders.extra(order);
        let attached = order.attached(&extra);
        if !attached.any() {
            return;
        }
        if !attached.take_profit_px.is_nan() && !act.inside {
            self.fresh_target[lane.word] |= lane.bit;
        }
        self.attach_rounded(bar, lane, order.side, attached.stop_loss_px, attached.take_profit_px);
        if !attached.trail_px.is_nan() {
            self.levels.attach_trail(lane, attached.trail_px, attached.activation_px);
        }
    }
    /// The first fill of an order cancels the others of its group.
    fn cancel_group<R: Recorder>(&mut self, bar: &Bar<'_>, filled: &PendingOrder, recorder: &mut R) {
        let group = self.orders.extra(filled).oco_group;
        if group == NO_GROUP {
            return;
        }
        for at in 0..self.orders.len() {
            let Some(order) = self.orders.live(at).copied() else { continue };
            if order.order_id != filled.order_id && self.orders.extra(&order).oco_group == group {
                self.end_order(at, &order, bar, OrderStatus::Cancelled, "oco", recorder);
            }
        }
    }
}

/// The limit price of a limit or a stop-limit order.
fn limit_of(order: &PendingOrder, extra: &Extra) -> f64 {
    if order.kind == OrderKind::StopLimit { extra.limit_px } else { extra.price_px }
}
