//! The open of a bar: calendar and funding, then everything that happens at the open price (semantics 1.5, 1 and 3).

use super::account::{Account, Bar, for_each_bit};
use super::api::{FillReason, FundingPayment, Liquidity, OrderStatus, Recorder, Side};
use super::calendar::{Settlement, SettlementKind};
use super::fill::{Execution, Impact, Origin};
use crate::execution::orders::{PendingOrder, Role};
use crate::execution::pricing::Priced;
use crate::portfolio::Lane;

impl Account {
    /// Phase 1: delistings known for this instant, then funding on positions held just before it.
    #[inline]
    pub(super) fn open_phase<R: Recorder>(&mut self, bar: &Bar<'_>, recorder: &mut R) {
        self.settle_symbols(bar, SettlementKind::Delist, recorder);
        let records = &bar.venue.market.funding.records;
        while let Some(record) = records.get(self.funding_at).filter(|record| record.bar as usize == bar.bar)
        {
            if self.settles_funding() {
                let lane = self.book.lane(record.symbol as usize, 0);
                let qty = self.book.qty[lane.index];
                if qty != 0.0 {
                    let cash = -qty * record.mark_px * record.rate_frac;
                    self.book.book_cash(lane.account, cash);
                    let record = self.funding_at as u32;
                    let (bar, symbol) = (bar.bar as u32, lane.symbol as u32);
                    recorder.funding(&FundingPayment { bar, symbol, record, cash_usdt: cash });
                }
            }
            self.funding_at += 1;
        }
    }
    /// Settles the positions of symbols that leave the market in this bar.
    #[inline]
    pub(super) fn settle_symbols<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        kind: SettlementKind,
        recorder: &mut R,
    ) {
        while let Some(&due) = self.calendar.settlements.get(self.calendar_at) {
            if due.bar != bar.bar || due.kind != kind {
                return;
            }
            self.calendar_at += 1;
            self.settle(bar, due, recorder);
        }
    }
    fn settle<R: Recorder>(&mut self, bar: &Bar<'_>, due: Settlement, recorder: &mut R) {
        let lane = self.book.lane(due.symbol, 0);
        self.cancel_orders_of(lane, bar, "delisting", recorder);
        if self.book.steps[lane.index] == 0.0 {
            return;
        }
        let (side, steps) = self.closing(lane);
        let (price, reason) = match due.kind {
            SettlementKind::Delist => (due.last_close_px, FillReason::Delist),
            SettlementKind::SeriesEnd => {
                let haircut = self.plan.execution.delist_haircut_frac;
                let price = due.last_close_px * (1.0 + side.sign() * haircut);
                let rules = &bar.venue.rules[lane.symbol];
                let price =
                    if self.plan.execution.round_to_tick { rules.round_fill(price, side) } else { price };
                (price, FillReason::SeriesEnd)
            }
        };
        // A settlement price is what it is: no slippage, and the haircut is inside it.
        let priced = Priced { price_px: price, slippage_bps: 0.0, participation: f64::NAN };
        let (liquidity, origin) = (Liquidity::Taker, Origin::ENGINE);
        let execution = Execution { lane, side, steps, base_px: price, priced, liquidity, reason, origin };
        self.book_fill(bar, execution, recorder);
    }
    fn cancel_orders_of<R: Recorder>(
        &mut self,
        lane: Lane,
        bar: &Bar<'_>,
        reason: &'static str,
        recorder: &mut R,
    ) {
        for at in 0..self.orders.len() {
            let Some(order) = self.orders.get(at).filter(|order| order.lane == lane) else { continue };
            self.end_order(at, &order, bar, OrderStatus::Cancelled, reason, recorder);
        }
        self.orders.compact();
    }
    #[inline]
    pub(super) fn end_order<R: Recorder>(
        &mut self,
        at: usize,
        order: &PendingOrder,
        bar: &Bar<'_>,
        status: OrderStatus,
        reason: &'static str,
        recorder: &mut R,
    ) {
        self.orders.finish(at);
        if R::WANTS_ORDERS {
            recorder.order_end(&order.end(bar.bar, status, reason));
        }
    }
    /// Phase 3, all at the open: stops already gapped through, targets already gapped through, reduce-only market
    /// orders, market entries and flips.
    #[inline]
    pub(super) fn open_instant<R: Recorder>(&mut self, bar: &Bar<'_>, recorder: &mut R) {
        if self.levels.any() {
            self.find_touched(bar);
            self.gapped_levels(bar, recorder);
        }
        if !self.orders.is_empty() {
            for role in [Role::Exit, Role::Entry] {
                for at in 0..self.orders.len() {
                    if let Some(order) =
                        self.orders.get(at).filter(|order| order.role == role && !order.ended)
                    {
                        self.execute_market(bar, at, &order, recorder);
                    }
                }
            }
            self.orders.compact();
        }
    }
    /// Bits of the tradable lanes whose levels this bar may touch.
    fn find_touched(&mut self, bar: &Bar<'_>) {
        let (low, high) = (bar.tile.row(bar.tile.low, bar.row), bar.tile.row(bar.tile.high, bar.row));
        let (below, above) = self.levels.triggers();
        barloom_kernels::account::touched(low, high, below, above, &mut self.touched);
        let tradable = &bar.tile.tradable[bar.row * bar.tile.words..][..bar.tile.words];
        for (word, tradable) in self.touched.iter_mut().zip(tradable) {
            *word &= tradable;
        }
    }
    fn gapped_levels<R: Recorder>(&mut self, bar: &Bar<'_>, recorder: &mut R) {
        for word in 0..self.touched.len() {
            for_each_bit(self.touched[word], |bit| {
                let lane = self.book.lane_of_bit(word, bit);
                if self.stops_come_first() {
                    self.stop_carried(bar, lane, recorder);
                } else {
                    self.stop_at_open(bar, lane, recorder);
                }
            });
        }
        for word in 0..self.touched.len() {
            for_each_bit(self.touched[word], |bit| {
                let lane = self.book.lane_of_bit(word, bit);
                self.target_at_open(bar, lane, recorder);
            });
        }
    }
    /// Executes a market order at the open of its first tradable bar; what cannot execute waits, or ends.
    #[inline]
    fn execute_market<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        at: usize,
        order: &PendingOrder,
        recorder: &mut R,
    ) {
        let lane = order.lane;
        let held = self.book.steps[lane.index];
        let reducible = if held * order.side.sign() < 0.0 { held.abs() } else { 0.0 };
        if order.role == Role::Exit && reducible == 0.0 {
            return self.end_order(at, order, bar, OrderStatus::Cancelled, "nothing_to_reduce", recorder);
        }
        let may_open = order.role == Role::Entry && bar.bar < self.calendar.no_openings_from_bar[lane.symbol];
        if reducible == 0.0 && !may_open {
            return self.end_order(at, order, bar, OrderStatus::Rejected, "delisting", recorder);
        }
        if !bar.is_tradable(lane.symbol) {
            return;
        }
        let asked = if order.close_position { reducible } else { order.steps };
        let closing = asked.min(reducible);
        let mut opening = if may_open { asked - closing } else { 0.0 };
        let mut dropped =
            if asked > closing && order.role == Role::Entry && !may_open { "delisting" } else { "" };
        let base = bar.px(bar.tile.open, lane.symbol);
        let rules = &bar.venue.rules[lane.symbol];
        if opening > 0.0 && !rules.meets_min_notional(rules.step.value(opening), base) {
            (opening, dropped) = (0.0, "min_notional");
        }
        let steps = closing + opening;
        if steps == 0.0 {
            return self.end_order(at, order, bar, OrderStatus::Rejected, dropped, recorder);
        }
        let priced = self.price_taker(bar, lane, order.side, base, rules.step.value(steps), Impact::Market);
        let reason = if opening > 0.0 { FillReason::MarketEntry } else { FillReason::MarketExit };
        let origin = Origin { order_id: order.order_id, tag: order.tag };
        let (liquidity, side) = (Liquidity::Taker, order.side);
        let execution = Execution { lane, side, steps, base_px: base, priced, liquidity, reason, origin };
        self.book_fill(bar, execution, recorder);
        if opening > 0.0 {
            self.attach_levels(bar, lane, order);
            self.opened[lane.word] |= lane.bit;
        }
        let status = if dropped.is_empty() { OrderStatus::Filled } else { OrderStatus::Cancelled };
        self.end_order(at, order, bar, status, dropped, recorder);
    }
    fn attach_levels(&mut self, bar: &Bar<'_>, lane: Lane, order: &PendingOrder) {
        if order.stop_loss_px.is_nan() && order.take_profit_px.is_nan() {
            return;
        }
        let exit_side = order.side.opposite();
        let rules = &bar.venue.rules[lane.symbol];
        // NaN passes through the rounding, and keeps what is there.
        let stop_loss = rules.round_stop(order.stop_loss_px, exit_side);
        let take_profit = rules.round_limit(order.take_profit_px, exit_side);
        self.levels.attach(lane, order.side == Side::Buy, stop_loss, take_profit);
    }
}
