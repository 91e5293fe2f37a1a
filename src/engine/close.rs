//! The close of a bar: settlements of ended series, marks, expiry, then the decisions for the next bar
//! (semantics 1.5, 5; contract 4 for what signals mean).

use barloom_kernels::account::{RowMarks, mark_row};
use barloom_kernels::fills::{Acts, Held};

use super::account::{Account, Bar, for_each_bit};
use super::calendar::last_close_before;
use super::fill::{Impact, TakerClose};
use super::margin::Moment;
use crate::events::{
    AttachedLevels, EntryOrder, FillFlags, FillReason, NO_GROUP, OrderIntent, OrderKind, OrderStatus,
    PointValues, Recorder, Side, SignalTile,
};
use crate::execution::orders::{Extra, PendingOrder, Role, Stage};
use crate::portfolio::Lane;
use crate::risk::Balances;

impl Account {
    /// Phase 5.
    #[inline]
    pub(super) fn close_phase<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        signals: &SignalTile<'_>,
        intents: &mut &[OrderIntent],
        recorder: &mut R,
    ) {
        if !signals.never_trails {
            self.update_trails(bar);
        }
        self.expire(bar, recorder);
        while let Some(end) = self.next_series_end(bar.bar) {
            let haircut = self.plan.execution.delist_haircut_frac;
            self.settle(bar, end.symbol, end.last_close_px, haircut, FillReason::SeriesEnd, recorder);
        }
        if self.liquidates(false) && !self.is_safe(bar) {
            self.liquidate_by_ratio(bar, Moment::Close, recorder);
        }
        self.forget_bar();
        let balances = self.mark(bar);
        if self.checks(bar.is_last) {
            self.book.check(|symbol| bar.px(bar.tile.mark, symbol));
        }
        self.bound_waiting_orders(bar);
        self.decide_masks(bar, signals, balances, recorder);
        while let Some((intent, rest)) =
            intents.split_first().filter(|(intent, _)| intent.bar as usize <= bar.bar)
        {
            *intents = rest;
            if intent.bar as usize == bar.bar {
                self.decide_intent(bar, intent, balances, recorder);
            }
        }
        self.close_before_funding(bar);
        self.trim_margin(bar);
        if bar.is_last {
            self.end_run(bar, recorder);
        }
        if let (true, Some(plan)) = (R::WANTS_ORDERS, self.plan.margin) {
            let (initial, maintenance) = self.margins_at_close(bar, &plan);
            self.marks.initial_margin[bar.mark_at] = initial;
            self.marks.maintenance_margin[bar.mark_at] = maintenance;
            if self.is_isolated() {
                self.marks.isolated_ratio[bar.mark_at] = self.largest_isolated_ratio(bar);
            }
        }
    }
    /// Marks all positions and remembers the bar's balances.
    #[inline]
    pub(super) fn mark(&mut self, bar: &Bar<'_>) -> Balances {
        let wallet = self.book.wallet.value();
        let positions = self.book.open_positions();
        let row = if positions == 0 {
            RowMarks::default()
        } else {
            let mark = bar.tile.row(bar.tile.mark, bar.row);
            mark_row(&self.book.qty, &self.book.avg_entry_px, mark)
        };
        let equity = wallet + row.unrealized;
        let (marks, at) = (&mut self.marks, bar.mark_at);
        marks.wallet[at] = wallet;
        marks.unrealized[at] = row.unrealized;
        marks.equity[at] = equity;
        marks.gross[at] = row.gross;
        marks.net[at] = row.net;
        marks.positions[at] = positions;
        (self.last_equity_usdt, self.last_gross_usdt, self.traded_usdt) = (equity, row.gross, 0.0);
        Balances { equity_usdt: equity, wallet_usdt: wallet }
    }
    /// Ends orders whose time is over.
    #[inline]
    pub(super) fn expire<R: Recorder>(&mut self, bar: &Bar<'_>, recorder: &mut R) {
        if self.orders.is_empty() {
            return;
        }
        for at in 0..self.orders.len() {
            let Some(order) = self.orders.get(at) else { continue };
            if order.expires_at_close_of(bar.bar) {
                self.end_order(at, &order, bar, OrderStatus::Expired, "ttl", recorder);
            } else if self.has_moved_away(bar, &order) {
                self.end_order(at, &order, bar, OrderStatus::Cancelled, "stale_move", recorder);
            }
        }
        self.orders.compact();
    }
    /// Whether price has moved too far from the close of an opening order's decision (semantics 2.9).
    #[inline]
    fn has_moved_away(&self, bar: &Bar<'_>, order: &PendingOrder) -> bool {
        let limit = self.plan.execution.stale_move_frac;
        if limit == 0.0 || order.role == Role::Exit {
            return false;
        }
        let symbol = order.symbol as usize;
        let close = bar.px(bar.tile.close, symbol);
        let reference = last_close_before(bar.venue.market, symbol, order.decided_bar as usize + 1);
        (close / reference - 1.0).abs() > limit
    }
    /// What still waits stays open; with `end_of_run = close` every position is closed at its last close, with taker
    /// fee and slippage, and marked again.
    fn end_run<R: Recorder>(&mut self, bar: &Bar<'_>, recorder: &mut R) {
        for at in 0..self.orders.len() {
            if let Some(order) = self.orders.get(at) {
                self.end_order(at, &order, bar, OrderStatus::Open, "end_of_run", recorder);
            }
        }
        self.orders.compact();
        if !self.closes_at_end() {
            return;
        }
        for word in 0..self.book.words() {
            for_each_bit(self.book.held(word), |bit| {
                let lane = Lane::of_bit(word, bit);
                let base = self.close_px(bar, lane.symbol);
                let (impact, reason, bound_px) = (Impact::Market, FillReason::EndOfRun, f64::NAN);
                let flags = FillFlags::default()
                    .with(FillFlags::STALE_MARK, bar.px(bar.tile.close, lane.symbol).is_nan());
                let close = TakerClose {
                    base_px: base,
                    trigger_px: f64::NAN,
                    impact,
                    reason,
                    flags,
                    bound_px,
                    capped: false,
                };
                self.close_taker_apart(bar, lane, close, recorder);
            });
        }
        self.mark(bar);
        if self.checks(true) {
            self.book.check(|symbol| bar.px(bar.tile.mark, symbol));
        }
    }
    /// Close of this bar, or the last one before it; `NaN` before the symbol's first bar.
    #[inline]
    pub(super) fn close_px(&self, bar: &Bar<'_>, symbol: usize) -> f64 {
        let close = bar.px(bar.tile.close, symbol);
        if close.is_nan() { last_close_before(bar.venue.market, symbol, bar.bar) } else { close }
    }
    /// Turns level signals into orders. Nearly every bar of nearly every symbol leaves here at once.
    #[inline]
    pub(super) fn decide_masks<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        signals: &SignalTile<'_>,
        balances: Balances,
        recorder: &mut R,
    ) {
        let words = self.book.words();
        if !self.orders.is_empty() {
            // First of all symbols, so that what is withdrawn stands in no other's way.
            for word in 0..words {
                let withdrawn = self.acts(signals, bar.row * words + word, word).withdrawn;
                if withdrawn != 0 {
                    self.withdraw(bar, word, withdrawn, recorder);
                }
            }
        }
        let plans = self.plans_for_next_open::<R>(bar, signals);
        for word in 0..words {
            let at = bar.row * words + word;
            let Acts { exit, enter_long, enter_short, .. } = self.acts(signals, at, word);
            let act = exit | enter_long | enter_short;
            for_each_bit(act, |bit| {
                let lane = Lane::of_bit(word, bit);
                let side = if enter_long & lane.bit != 0 { Side::Buy } else { Side::Sell };
                match (exit & lane.bit != 0, plans && asks_for_market(bar, lane, side, signals)) {
                    (true, true) => self.plan_exit(lane),
                    (true, false) => self.decide_exit(bar, lane, recorder),
                    (false, true) => self.plan_entry(bar, lane, side, signals, balances),
                    (false, false) => self.decide_entry(bar, lane, side, signals, balances, recorder),
                }
            });
        }
    }
    /// What the signals of one mask word ask for, given what is held and what waits.
    #[inline]
    pub(super) fn acts(&self, signals: &SignalTile<'_>, at: usize, word: usize) -> Acts {
        let held = Held { long: self.book.held_long[word], short: self.book.held_short[word] };
        let orders = &self.orders;
        let waiting = Acts {
            exit: orders.exit[word],
            enter_long: orders.long_entry[word],
            enter_short: orders.short_entry[word],
            withdrawn: 0,
        };
        Acts::of(signals.masks().word(at), held, waiting)
    }
    /// A waiting entry is cancelled by a signal on the other side.
    fn withdraw<R: Recorder>(&mut self, bar: &Bar<'_>, word: usize, bits: u64, recorder: &mut R) {
        for at in 0..self.orders.len() {
            let Some(order) = self.orders.get(at) else { continue };
            let lane = order.lane();
            if order.role == Role::Entry && lane.word == word && lane.bit & bits != 0 {
                self.end_order(at, &order, bar, OrderStatus::Cancelled, "opposite_signal", recorder);
            }
        }
        self.orders.compact();
    }
    #[inline]
    fn decide_exit<R: Recorder>(&mut self, bar: &Bar<'_>, lane: Lane, recorder: &mut R) {
        let (side, steps) = self.closing(lane);
        let order = PendingOrder {
            order_id: self.orders.take_id(),
            decided_bar: bar.bar as u32,
            closes_opposite: true,
            steps,
            qty: self.book.qty[lane.symbol].abs(),
            ..PendingOrder::blank(lane.symbol, side, Role::Exit)
        };
        self.submit(bar, order, Extra::NONE, None, recorder);
    }
    /// An entry of a level signal: closes what stands against it, and opens a new position on top.
    #[inline]
    fn decide_entry<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        lane: Lane,
        side: Side,
        signals: &SignalTile<'_>,
        balances: Balances,
        recorder: &mut R,
    ) {
        let mut order = PendingOrder {
            order_id: self.orders.take_id(),
            decided_bar: bar.bar as u32,
            ttl_bars: self.plan.execution.entry_ttl_bars,
            closes_opposite: true,
            ..PendingOrder::blank(lane.symbol, side, Role::Entry)
        };
        let mut extra = Extra::NONE;
        let levels = match signals.values {
            None => Ok(()),
            Some(values) => {
                order.tag = values.tag(bar.tile, bar.row, lane.symbol);
                if let EntryOrder::Limit(limit_px) = values.entry_order(bar.tile, bar.row, lane.symbol, side)
                {
                    (order.kind, order.stage) = (OrderKind::Limit, Stage::Arriving);
                    extra.price_px = bar.venue.rules[lane.symbol].round_limit(limit_px, side);
                }
                match values.attached_levels(bar.tile, bar.row, lane.symbol, side) {
                    AttachedLevels::Rejected(reason) => Err(reason),
                    AttachedLevels::Prices(levels) => {
                        (order.stop_loss_px, order.take_profit_px) =
                            (levels.stop_loss_px, levels.take_profit_px);
                        (extra.trail_px, extra.activation_px) = (levels.trail_px, levels.activation_px);
                        Ok(())
                    }
                }
            }
        };
        let grid = bar.venue.rules[lane.symbol].step;
        let sized = self.admit_instant(bar, lane.symbol).and_then(|()| {
            let close = self.opening_price(bar, lane.symbol)?;
            levels?;
            let steps = self.sized_steps(bar, lane.symbol, close, balances)?;
            let steps = self.thinned(bar, lane.symbol, steps);
            self.admit_opening(bar, &order, &extra, steps, close)
        });
        if let Ok(steps) = sized {
            order.steps = steps;
            if R::WANTS_ORDERS {
                order.qty = grid.value(steps + self.steps_against(lane, side));
            }
        }
        self.submit(bar, order, extra, sized.err(), recorder);
    }
    /// Files an order. Decided on the last bar: it can never become active. Refused as a whole where it only opens;
    /// where it also closes, the closing leg goes on (semantics 2.11).
    #[inline]
    fn submit<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        mut order: PendingOrder,
        extra: Extra,
        refused: Option<&'static str>,
        recorder: &mut R,
    ) {
        let (status, reason) = match refused {
            _ if bar.is_last => (OrderStatus::NeverActive, "end_of_run"),
            _ if self.ruined => (OrderStatus::Rejected, "ruined"),
            None => return self.push(bar, order, extra),
            Some(reason) => {
                let against = self.steps_against(order.lane(), order.side);
                let opens_too = order.closes_opposite || order.steps > against;
                if order.role == Role::Entry && opens_too && against > 0.0 {
                    order.opening_refused = reason;
                    return self.push(bar, order, extra);
                }
                (OrderStatus::Rejected, reason)
            }
        };
        if R::WANTS_ORDERS {
            recorder.order_end(&order.end(extra.price_px, bar.bar, status, reason));
        }
    }
    #[inline]
    fn push(&mut self, bar: &Bar<'_>, mut order: PendingOrder, extra: Extra) {
        // NaN is not equal to itself: what differs from nothing is a number somewhere.
        let plain = order.kind == OrderKind::Market && extra.trail_px.is_nan() && extra.oco_group == NO_GROUP;
        if !plain {
            order.extra = self.orders.keep_extra(extra);
        }
        if self.plan.margin.is_some() {
            self.waiting_usdt += self.waiting_notional_at_most_usdt(bar, &order);
        }
        self.orders.push(order);
    }
    /// An explicit order, whose quantity is meant as it stands.
    fn decide_intent<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        intent: &OrderIntent,
        balances: Balances,
        recorder: &mut R,
    ) {
        let symbol = intent.symbol as usize;
        let rules = &bar.venue.rules[symbol];
        let role = if intent.reduce_only || intent.close_position { Role::Exit } else { Role::Entry };
        let mut order = PendingOrder {
            order_id: intent.order_id,
            decided_bar: bar.bar as u32,
            ttl_bars: intent.ttl_bars,
            closes_opposite: intent.close_position,
            kind: intent.kind,
            stage: match intent.kind {
                OrderKind::Market => Stage::Market,
                OrderKind::Limit => Stage::Arriving,
                OrderKind::Stop | OrderKind::StopLimit => Stage::Armed,
            },
            qty: intent.qty,
            stop_loss_px: intent.attached.stop_loss_px,
            take_profit_px: intent.attached.take_profit_px,
            tag: intent.tag,
            ..PendingOrder::blank(symbol, intent.side, role)
        };
        let price_px = match intent.kind {
            OrderKind::Limit => rules.round_limit(intent.price_px, intent.side),
            _ => rules.round_stop(intent.price_px, intent.side),
        };
        let extra = Extra {
            price_px,
            limit_px: rules.round_limit(intent.limit_px, intent.side),
            trail_px: intent.attached.trail_px,
            activation_px: intent.attached.activation_px,
            oco_group: intent.oco_group,
            post_only: intent.post_only,
        };
        let refused =
            if intent.close_position { None } else { self.admit(bar, &mut order, &extra, balances).err() };
        self.submit(bar, order, extra, refused, recorder);
    }
}

/// Whether an entry decided here would be a market order.
#[inline]
fn asks_for_market(bar: &Bar<'_>, lane: Lane, side: Side, signals: &SignalTile<'_>) -> bool {
    let order = |values: &dyn PointValues| values.entry_order(bar.tile, bar.row, lane.symbol, side);
    signals.values.is_none_or(|values| order(values) == EntryOrder::Market)
}
