//! The open of a bar: funding and calendar, then everything that happens at the open price (semantics 1.5, 1 and 3).

use super::account::{Account, Bar};
use super::calendar::last_close_before;
use super::fill::{Execution, Impact, Origin};
use crate::events::{FillReason, FundingPayment, Liquidity, OrderStatus, Recorder, Side};
use crate::execution::orders::{PendingOrder, Role};
use crate::execution::pricing::Priced;
use crate::portfolio::Lane;

impl Account {
    /// Phase 1: funding on positions held just before this instant, delistings, orders that a delisting ends.
    ///
    /// A symbol delisted at `D` pays no funding at `D` or after (semantics 3.3).
    #[inline]
    pub(super) fn open_phase<R: Recorder>(&mut self, bar: &Bar<'_>, recorder: &mut R) {
        let records = &bar.venue.market.funding.records;
        while let Some(record) = records.get(self.funding_at).filter(|record| record.bar as usize == bar.bar)
        {
            let delisted_ms = bar.venue.market.symbols[record.symbol as usize].contract.delisted_ms;
            if self.settles_funding() && delisted_ms.is_none_or(|delisted| record.time_ms < delisted) {
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
        let delistings = &bar.venue.listings.delistings;
        while let Some(&(_, symbol)) = delistings.get(self.delistings_at).filter(|(due, _)| *due == bar.bar) {
            self.delistings_at += 1;
            let price = last_close_before(bar.venue.market, symbol, bar.bar);
            self.settle(bar, symbol, price, 0.0, FillReason::Delist, recorder);
        }
        if !self.orders.is_empty() && !delistings.is_empty() {
            self.refuse_before_delisting(bar, recorder);
        }
    }
    /// From 30 minutes before a delisting on every order only reduces; from the delisting on there is nothing to trade.
    fn refuse_before_delisting<R: Recorder>(&mut self, bar: &Bar<'_>, recorder: &mut R) {
        for at in 0..self.orders.len() {
            let Some(order) = self.orders.get(at) else { continue };
            let symbol = order.lane.symbol;
            if bar.bar < bar.venue.listings.reduce_only_from[symbol] {
                continue;
            }
            let delisted = bar.bar >= bar.venue.listings.delisted_from[symbol];
            let refused = order.role == Role::Entry;
            if delisted || (refused && self.steps_against(order.lane, order.side) == 0.0) {
                let first = order.decided_bar as usize + 1 == bar.bar;
                let status = if first { OrderStatus::Rejected } else { OrderStatus::Cancelled };
                self.end_order(at, &order, bar, status, "delisting", recorder);
            } else if refused {
                self.orders.refuse_opening(at, "delisting");
            }
        }
        self.orders.compact();
    }
    /// Settles a position at a price that is given: no slippage, a haircut is inside it.
    pub(super) fn settle<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        symbol: usize,
        last_close_px: f64,
        haircut_frac: f64,
        reason: FillReason,
        recorder: &mut R,
    ) {
        let lane = self.book.lane(symbol, 0);
        if self.book.steps[lane.index] == 0.0 {
            return;
        }
        let (side, steps) = self.closing(lane);
        let price = last_close_px * (1.0 + side.sign() * haircut_frac);
        let qty = self.book.qty[lane.index].abs();
        let rules = &bar.venue.rules[symbol];
        let price_px = if self.plan.execution.round_to_tick { rules.round_fill(price, side) } else { price };
        let priced = Priced { price_px, slippage_bps: 0.0, participation: f64::NAN };
        let (liquidity, origin) = (Liquidity::Taker, Origin::ENGINE);
        let execution =
            Execution { lane, side, steps, qty, base_px: price_px, priced, liquidity, reason, origin };
        self.book_fill(bar, execution, recorder);
    }
    /// Steps of the position that stand against an order on `side`.
    #[inline]
    pub(super) fn steps_against(&self, lane: Lane, side: Side) -> f64 {
        (-side.sign() * self.book.steps[lane.index]).max(0.0)
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
            self.levels_at_open(bar, recorder);
        }
        if !self.orders.is_empty() {
            let roles = if self.orders.has_exits() { &[Role::Exit, Role::Entry][..] } else { &[Role::Entry] };
            for &role in roles {
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
    /// Executes a market order at the open of its first tradable bar: one fill of a closing and an opening leg.
    #[inline]
    fn execute_market<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        at: usize,
        order: &PendingOrder,
        recorder: &mut R,
    ) {
        let lane = order.lane;
        if !bar.is_tradable(lane.symbol) {
            return;
        }
        let against = self.steps_against(lane, order.side);
        let closing = if order.closes_opposite { against } else { order.steps.min(against) };
        let wanted = match (order.role, order.closes_opposite) {
            (Role::Exit, _) => 0.0,
            (Role::Entry, true) => order.steps,
            (Role::Entry, false) => order.steps - closing,
        };
        let base = bar.px(bar.tile.open, lane.symbol);
        let rules = &bar.venue.rules[lane.symbol];
        let mut refused = order.opening_refused;
        if refused.is_empty() && wanted > 0.0 && !rules.meets_min_notional(rules.step.value(wanted), base) {
            refused = "min_notional";
        }
        let opening = if refused.is_empty() { wanted } else { 0.0 };
        let steps = closing + opening;
        if steps == 0.0 {
            let (status, reason) = match order.role {
                Role::Exit => (OrderStatus::Cancelled, "reduce_only"),
                Role::Entry => (OrderStatus::Rejected, refused),
            };
            return self.end_order(at, order, bar, status, reason, recorder);
        }
        let qty = rules.step.value(steps);
        let priced = self.price_taker(bar, lane, order.side, base, qty, Impact::Market);
        let reason = if opening > 0.0 { FillReason::MarketEntry } else { FillReason::MarketExit };
        let origin = Origin { order_id: order.order_id, tag: order.tag };
        let began = self.book.steps[lane.index] == 0.0 || closing > 0.0;
        let (liquidity, side) = (Liquidity::Taker, order.side);
        let execution =
            Execution { lane, side, steps, qty, base_px: base, priced, liquidity, reason, origin };
        self.book_fill(bar, execution, recorder);
        if opening > 0.0 {
            self.attach_levels(bar, lane, order, began);
        }
        let status = if refused.is_empty() { OrderStatus::Filled } else { OrderStatus::Cancelled };
        self.end_order(at, order, bar, status, refused, recorder);
    }
    /// The latest fill that increases the position sets the levels its order carries (semantics 2.12).
    #[inline]
    fn attach_levels(&mut self, bar: &Bar<'_>, lane: Lane, order: &PendingOrder, began: bool) {
        self.increased[lane.word] |= lane.bit;
        if began {
            self.opened[lane.word] |= lane.bit;
        }
        if order.stop_loss_px.is_nan() && order.take_profit_px.is_nan() {
            return;
        }
        if !order.take_profit_px.is_nan() {
            self.fresh_target[lane.word] |= lane.bit;
        }
        let exit_side = order.side.opposite();
        let rules = &bar.venue.rules[lane.symbol];
        // NaN passes through the rounding, and keeps what is there.
        let stop_loss = rules.round_stop(order.stop_loss_px, exit_side);
        let take_profit = rules.round_limit(order.take_profit_px, exit_side);
        self.levels.attach(lane, order.side == Side::Buy, stop_loss, take_profit);
    }
}
