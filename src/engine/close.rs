//! The close of a bar: settlements of ended series, marks, expiry, then the decisions for the next bar
//! (semantics 1.5, 5; contract 4 for what signals mean).

use super::account::{Account, Bar, for_each_bit};
use super::api::{
    AttachedLevels, FillReason, NO_TAG, OrderEnd, OrderIntent, OrderKind, OrderStatus, Recorder, Side,
    SignalTile,
};
use super::calendar::{SettlementKind, last_close_before};
use super::fill::Impact;
use crate::execution::orders::{PendingOrder, Role, blank_order};
use crate::portfolio::Lane;
use crate::risk::{Balances, opening_notional_usdt};

/// What an opening order is asked for with.
#[derive(Debug, Clone, Copy)]
struct Ask {
    side: Side,
    order_id: u32,
    ttl_bars: u32,
    tag: u32,
    stop_loss_px: f64,
    take_profit_px: f64,
}

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
        self.settle_symbols(bar, SettlementKind::SeriesEnd, recorder);
        if bar.is_last && self.closes_at_end() {
            self.close_all(bar, recorder);
        }
        let balances = self.mark(bar);
        if self.checks(bar.is_last) {
            self.book.check(0, |symbol| bar.px(bar.tile.mark, symbol));
        }
        self.expire(bar, recorder);
        self.decide_masks(bar, signals, balances, recorder);
        while let Some((intent, rest)) =
            intents.split_first().filter(|(intent, _)| intent.bar as usize <= bar.bar)
        {
            *intents = rest;
            if intent.bar as usize == bar.bar {
                self.decide_intent(bar, intent, balances, recorder);
            }
        }
    }
    /// Marks all positions and remembers the bar's balances.
    #[inline]
    fn mark(&mut self, bar: &Bar<'_>) -> Balances {
        let held: u32 =
            self.book.held_long.iter().zip(&self.book.held_short).map(|(l, s)| (l | s).count_ones()).sum();
        let wallet = self.book.wallet[0].value();
        let row = if held == 0 {
            barloom_kernels::account::RowMarks::default()
        } else {
            let mark = bar.tile.row(bar.tile.mark, bar.row);
            barloom_kernels::account::mark_row(&self.book.qty, &self.book.avg_entry_px, mark)
        };
        let equity = wallet + row.unrealized;
        let marks = &mut self.marks;
        marks.wallet.push(wallet);
        marks.unrealized.push(row.unrealized);
        marks.equity.push(equity);
        marks.gross.push(row.gross);
        marks.net.push(row.net);
        marks.positions.push(held);
        Balances { equity_usdt: equity, wallet_usdt: wallet }
    }
    /// Ends orders whose time is over, and all of them when the run ends.
    #[inline]
    fn expire<R: Recorder>(&mut self, bar: &Bar<'_>, recorder: &mut R) {
        if self.orders.is_empty() {
            return;
        }
        for at in 0..self.orders.len() {
            let Some(order) = self.orders.get(at) else { continue };
            if order.expires_at_close_of(bar.bar) {
                self.end_order(at, &order, bar, OrderStatus::Expired, "ttl", recorder);
            } else if bar.is_last {
                self.end_order(at, &order, bar, OrderStatus::Open, "end_of_run", recorder);
            }
        }
        self.orders.compact();
    }
    /// `end_of_run = close`: every position at its last close, taker fee and slippage.
    fn close_all<R: Recorder>(&mut self, bar: &Bar<'_>, recorder: &mut R) {
        for word in 0..self.book.words() {
            for_each_bit(self.book.held_long[word] | self.book.held_short[word], |bit| {
                let lane = self.book.lane_of_bit(word, bit);
                let base = self.close_px(bar, lane.symbol);
                self.close_taker(bar, lane, base, Impact::Market, FillReason::EndOfRun, recorder);
            });
        }
    }
    /// Close of this bar, or the last one before it; `NaN` before the symbol's first bar.
    #[inline]
    fn close_px(&self, bar: &Bar<'_>, symbol: usize) -> f64 {
        let close = bar.px(bar.tile.close, symbol);
        if close.is_nan() { last_close_before(bar.venue.market, symbol, bar.bar) } else { close }
    }
    /// Turns level signals into orders. Nearly every bar of nearly every symbol leaves here at once.
    #[inline]
    fn decide_masks<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        signals: &SignalTile<'_>,
        balances: Balances,
        recorder: &mut R,
    ) {
        for word in 0..self.book.words() {
            let at = bar.row * self.book.words() + word;
            let read = |mask: Option<&[u64]>| mask.map_or(0, |mask| mask[at]);
            let (long, short) = (read(signals.long_entry), read(signals.short_entry));
            let (held_long, held_short) = (self.book.held_long[word], self.book.held_short[word]);
            // Both entries true: neither acts.
            let (long, short) = (long & !short, short & !long);
            let enter_long = long & !held_long;
            let enter_short = short & !held_short;
            // A flip closes by itself; otherwise an exit of the held side stands for itself.
            let exit = (read(signals.long_exit) & held_long & !enter_short)
                | (read(signals.short_exit) & held_short & !enter_long);
            let queue = &self.orders;
            let withdrawn = (queue.long_entry[word] & enter_short) | (queue.short_entry[word] & enter_long);
            let act = (exit & !queue.exit[word])
                | (enter_long & !queue.long_entry[word])
                | (enter_short & !queue.short_entry[word]);
            if act == 0 {
                continue;
            }
            if withdrawn != 0 {
                self.withdraw(bar, word, withdrawn, recorder);
            }
            for_each_bit(act, |bit| {
                let lane = self.book.lane_of_bit(word, bit);
                if exit & lane.bit != 0 {
                    self.decide_exit(bar, lane, recorder);
                } else {
                    let side = if enter_long & lane.bit != 0 { Side::Buy } else { Side::Sell };
                    self.decide_entry(bar, lane, side, signals, balances, recorder);
                }
            });
        }
    }
    /// A waiting entry is cancelled by a signal on the other side.
    fn withdraw<R: Recorder>(&mut self, bar: &Bar<'_>, word: usize, bits: u64, recorder: &mut R) {
        for at in 0..self.orders.len() {
            let Some(order) = self.orders.get(at) else { continue };
            if order.role == Role::Entry && order.lane.word == word && order.lane.bit & bits != 0 {
                self.end_order(at, &order, bar, OrderStatus::Cancelled, "opposite_signal", recorder);
            }
        }
        self.orders.compact();
    }
    #[inline]
    fn decide_exit<R: Recorder>(&mut self, bar: &Bar<'_>, lane: Lane, recorder: &mut R) {
        let (side, steps) = self.closing(lane);
        let order_id = self.orders.take_id(lane.account);
        let order = PendingOrder {
            order_id,
            decided_bar: bar.bar as u32,
            close_position: true,
            steps,
            qty: self.book.qty[lane.index].abs(),
            ..blank_order(lane, side, Role::Exit)
        };
        self.submit(bar, order, recorder);
    }
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
        let levels = match signals.values {
            None => AttachedLevels::Prices { stop_loss_px: f64::NAN, take_profit_px: f64::NAN },
            Some(values) => values.attached_levels(bar.tile, bar.row, lane.symbol, side),
        };
        let order_id = self.orders.take_id(lane.account);
        let ttl_bars = self.plan.execution.entry_ttl_bars;
        let mut ask =
            Ask { side, order_id, ttl_bars, tag: NO_TAG, stop_loss_px: f64::NAN, take_profit_px: f64::NAN };
        let sized = match levels {
            AttachedLevels::Prices { stop_loss_px, take_profit_px } => {
                (ask.stop_loss_px, ask.take_profit_px) = (stop_loss_px, take_profit_px);
                self.size_opening(bar, lane, f64::NAN, balances)
            }
            AttachedLevels::Rejected(reason) => Err((f64::NAN, reason)),
        };
        let held = self.book.steps[lane.index];
        let closing = if held * side.sign() < 0.0 { held.abs() } else { 0.0 };
        let grid = bar.venue.rules[lane.symbol].step;
        let sized = sized.and_then(|steps| {
            // A flip is one order of both legs, and the maximum holds for the order.
            let qty = grid.value(steps + closing);
            if bar.venue.rules[lane.symbol].within_max(qty) { Ok(steps) } else { Err((qty, "max_qty")) }
        });
        match sized {
            Ok(steps) => {
                self.submit_entry(bar, lane, ask, steps + closing, grid.value(steps + closing), recorder)
            }
            Err((qty, reason)) => {
                self.reject(bar, lane, ask, qty, reason, recorder);
                // The opening leg fails, the closing leg stands.
                if closing > 0.0 && self.orders.exit[lane.word] & lane.bit == 0 {
                    self.decide_exit(bar, lane, recorder);
                }
            }
        }
    }
    /// Steps of a new opening leg, or the quantity it would have had and why it is not admitted.
    #[inline]
    fn size_opening(
        &self,
        bar: &Bar<'_>,
        lane: Lane,
        asked_qty: f64,
        balances: Balances,
    ) -> Result<f64, (f64, &'static str)> {
        let rules = &bar.venue.rules[lane.symbol];
        let close = self.close_px(bar, lane.symbol);
        if close.is_nan() {
            return Err((asked_qty, "no_price"));
        }
        if self.is_stale(bar, lane.symbol) {
            return Err((asked_qty, "stale"));
        }
        let qty =
            if asked_qty.is_nan() { opening_notional_usdt(&self.plan, balances) / close } else { asked_qty };
        let steps = rules.step.steps_toward_zero(qty);
        let qty = rules.step.value(steps);
        rules.opening_rejection(qty, close).map_or(Ok(steps), |reason| Err((qty, reason)))
    }
    /// More than `max_stale_bars` bars missing up to and including this one (semantics 1.6).
    fn is_stale(&self, bar: &Bar<'_>, symbol: usize) -> bool {
        let limit = self.plan.max_stale_bars as usize;
        if limit == 0 || !bar.px(bar.tile.close, symbol).is_nan() {
            return false;
        }
        let market = bar.venue.market;
        let (panels, lane) = (&market.panels, market.lane_of[symbol]);
        let oldest = bar.bar.saturating_sub(limit);
        (oldest..bar.bar).all(|bar| panels.close[(market.first_row + bar) * panels.lanes + lane].is_nan())
    }
    #[inline]
    fn submit_entry<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        lane: Lane,
        ask: Ask,
        steps: f64,
        qty: f64,
        recorder: &mut R,
    ) {
        let order = PendingOrder {
            order_id: ask.order_id,
            decided_bar: bar.bar as u32,
            ttl_bars: ask.ttl_bars,
            steps,
            qty,
            stop_loss_px: ask.stop_loss_px,
            take_profit_px: ask.take_profit_px,
            tag: ask.tag,
            ..blank_order(lane, ask.side, Role::Entry)
        };
        self.submit(bar, order, recorder);
    }
    /// Puts an order into the queue; on the last bar it can never become active.
    #[inline]
    fn submit<R: Recorder>(&mut self, bar: &Bar<'_>, order: PendingOrder, recorder: &mut R) {
        if !bar.is_last {
            self.orders.push(order);
        } else if R::WANTS_ORDERS {
            recorder.order_end(&order.end(bar.bar, OrderStatus::NeverActive, "end_of_run"));
        }
    }
    fn reject<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        lane: Lane,
        ask: Ask,
        qty: f64,
        reason: &'static str,
        recorder: &mut R,
    ) {
        if R::WANTS_ORDERS {
            recorder.order_end(&OrderEnd {
                order_id: ask.order_id,
                bar: bar.bar as u32,
                end_bar: bar.bar as u32,
                symbol: lane.symbol as u32,
                kind: OrderKind::Market,
                side: ask.side,
                qty,
                ttl_bars: ask.ttl_bars,
                status: OrderStatus::Rejected,
                reason,
                tag: ask.tag,
            });
        }
    }
    /// Admits an explicit order (semantics 2.10): what would open must pass, what only reduces may.
    fn decide_intent<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        intent: &OrderIntent,
        balances: Balances,
        recorder: &mut R,
    ) {
        let OrderKind::Market = intent.kind;
        let lane = self.book.lane(intent.symbol as usize, 0);
        let ask = Ask {
            side: intent.side,
            order_id: intent.order_id,
            ttl_bars: intent.ttl_bars,
            tag: intent.tag,
            stop_loss_px: intent.stop_loss_px,
            take_profit_px: intent.take_profit_px,
        };
        let grid = bar.venue.rules[lane.symbol].step;
        if intent.reduce_only || intent.close_position {
            let whole = intent.close_position || intent.qty.is_nan();
            let steps = if whole { f64::INFINITY } else { grid.steps_toward_zero(intent.qty) };
            if steps == 0.0 {
                return self.reject(bar, lane, ask, 0.0, "min_qty", recorder);
            }
            let order = PendingOrder {
                order_id: ask.order_id,
                decided_bar: bar.bar as u32,
                ttl_bars: ask.ttl_bars,
                close_position: whole,
                steps,
                qty: if whole { self.book.qty[lane.index].abs() } else { grid.value(steps) },
                tag: ask.tag,
                ..blank_order(lane, ask.side, Role::Exit)
            };
            return self.submit(bar, order, recorder);
        }
        let held = self.book.steps[lane.index];
        let reducible = if held * ask.side.sign() < 0.0 { held.abs() } else { 0.0 };
        let asked = grid.steps_toward_zero(intent.qty);
        if asked > 0.0 && asked <= reducible {
            // Only reduces: no opening leg to test.
            return self.submit_entry(bar, lane, ask, asked, grid.value(asked), recorder);
        }
        match self.size_opening(bar, lane, intent.qty, balances) {
            Ok(steps) => self.submit_entry(bar, lane, ask, steps, grid.value(steps), recorder),
            Err((qty, reason)) => self.reject(bar, lane, ask, qty, reason, recorder),
        }
    }
}
