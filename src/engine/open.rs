//! The open of a bar: funding and calendar, then everything that happens at the open price (semantics 1.5, 1 and 3).

use super::account::{Account, Bar};
use super::calendar::last_close_before;
use super::fill::{Execution, Origin};
use super::margin::Moment;
use crate::config::plan::TrailMode;
use crate::events::{FillFlags, FillReason, Liquidity, NO_ORDER, OrderStatus, Recorder, Side};
use crate::execution::orders::{PendingOrder, Role, Stage};
use crate::execution::pricing::Priced;
use crate::portfolio::Lane;

impl Account {
    /// Phases 1 and 2: funding on positions held just before this instant, delistings, orders that a delisting ends;
    /// then liquidation at the marks of the open.
    ///
    /// A symbol delisted at `D` pays no funding at `D` or after (semantics 3.3).
    #[inline]
    pub(super) fn open_phase<R: Recorder>(&mut self, bar: &Bar<'_>, recorder: &mut R) {
        self.queue_next_open(bar);
        self.update_fees(bar.open_ms());
        self.settle_funding(bar, recorder);
        let delistings = &bar.venue.listings.delistings;
        while let Some(&(_, symbol)) = delistings.get(self.delistings_at).filter(|(due, _)| *due == bar.bar) {
            self.delistings_at += 1;
            let price = last_close_before(bar.venue.market, symbol, bar.bar);
            self.settle(bar, symbol, price, 0.0, FillReason::Delist, recorder);
        }
        if !self.orders.is_empty() && bar.bar >= bar.venue.listings.first_reduce_only {
            self.refuse_before_delisting(bar, recorder);
        }
        if self.liquidates(true) && !self.is_safe(bar) {
            self.liquidate_by_ratio(bar, Moment::Open, recorder);
        }
    }
    /// From 30 minutes before a delisting on every order only reduces; from the delisting on there is nothing to trade.
    fn refuse_before_delisting<R: Recorder>(&mut self, bar: &Bar<'_>, recorder: &mut R) {
        for at in 0..self.orders.len() {
            let Some(order) = self.orders.get(at) else { continue };
            let symbol = order.symbol as usize;
            if bar.bar < bar.venue.listings.reduce_only_from[symbol] {
                continue;
            }
            let delisted = bar.bar >= bar.venue.listings.delisted_from[symbol];
            let refused = order.role == Role::Entry;
            if delisted || (refused && self.steps_against(order.lane(), order.side) == 0.0) {
                let first = order.decided_bar as usize + 1 == bar.bar;
                let status = if first { OrderStatus::Rejected } else { OrderStatus::Cancelled };
                self.end_order(at, &order, bar, status, "delisting", recorder);
            } else if refused {
                self.orders.change(at, |order| order.opening_refused = "delisting");
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
        let lane = Lane::of(symbol);
        if self.book.steps[lane.symbol] == 0.0 {
            return;
        }
        let (side, steps) = self.closing(lane);
        let price = last_close_px * (1.0 + side.sign() * haircut_frac);
        let qty = self.book.qty[lane.symbol].abs();
        let rules = &bar.venue.rules[symbol];
        let price_px = if self.plan.execution.round_to_tick { rules.round_fill(price, side) } else { price };
        let priced = Priced { price_px, slippage_bps: 0.0, participation: f64::NAN };
        let (liquidity, origin) = (Liquidity::Taker, Origin::ENGINE);
        let flags = FillFlags::default().with(FillFlags::STALE_MARK, bar.px(bar.tile.close, symbol).is_nan());
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
    /// Steps of the position that stand against an order on `side`.
    #[inline]
    pub(super) fn steps_against(&self, lane: Lane, side: Side) -> f64 {
        (-side.sign() * self.book.steps[lane.symbol]).max(0.0)
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
        if R::WANTS_ORDERS && order.order_id != NO_ORDER {
            let price_px = self.orders.extra(order).price_px;
            recorder.order_end(&order.end(price_px, bar.bar, status, reason));
        }
    }
    /// Phase 3, all at the open: stops already gapped through, targets already gapped through, reduce-only market
    /// orders, market entries and flips, marketable limits.
    #[inline]
    pub(super) fn open_instant<R: Recorder>(&mut self, bar: &Bar<'_>, recorder: &mut R) {
        if self.levels.any() {
            self.find_touched(bar);
            self.levels_at_open(bar, recorder);
        }
        if !self.orders.is_empty() {
            if self.orders.has_special() {
                self.trigger_at_open(bar);
            }
            let roles = if self.orders.has_exits() { &[Role::Exit, Role::Entry][..] } else { &[Role::Entry] };
            for &role in roles {
                for at in 0..self.orders.len() {
                    let acts = |order: &&PendingOrder| {
                        order.role == role && matches!(order.stage, Stage::Market | Stage::Triggered)
                    };
                    if let Some(order) = self.orders.live(at).filter(acts).copied() {
                        self.act_at_open(bar, at, &order, recorder);
                    }
                }
            }
            if self.orders.has_special() {
                self.arrive(bar, recorder);
            }
            self.orders.compact();
        }
    }
    /// Bits of the tradable lanes whose levels this bar may touch.
    pub(super) fn find_touched(&mut self, bar: &Bar<'_>) {
        let (low, high) = (bar.tile.row(bar.tile.low, bar.row), bar.tile.row(bar.tile.high, bar.row));
        let (below, above) = self.levels.triggers();
        barloom_kernels::account::touched(low, high, below, above, &mut self.touched);
        if self.plan.execution.trail_mode == TrailMode::FavourableFirst {
            // The bar itself moves these stops before they are tested.
            for (word, trailing) in self.touched.iter_mut().zip(&self.levels.trailing) {
                *word |= trailing;
            }
        }
        let tradable = &bar.tile.tradable[bar.row * bar.tile.words..][..bar.tile.words];
        for (word, tradable) in self.touched.iter_mut().zip(tradable) {
            *word &= tradable;
        }
    }
}
