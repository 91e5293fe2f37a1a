//! Funding as the account settles it: at the open, before or after the fills there; windows and exits before it
//! (semantics 3.3, 3.4).

use super::account::{Account, Bar};
use crate::config::plan::FundingBoundary;
use crate::events::{FillReason, FundingPayment, Recorder};
use crate::execution::orders::{PendingOrder, Role};
use crate::execution::pricing::slippage_bps;
use crate::execution::volatility::volatility_at;
use crate::execution::volume::trailing_mean_at;
use crate::portfolio::Lane;

impl Account {
    /// Settles what is due at this open on what was held before it, or remembers it until after the fills there.
    #[inline]
    pub(super) fn settle_funding<R: Recorder>(&mut self, bar: &Bar<'_>, recorder: &mut R) {
        while let Some(at) = self.next_settlement(bar.bar) {
            let qty = self.book.qty[self.schedule.tape[at].record.symbol as usize];
            if self.pays_held_before() {
                self.pay_funding(bar.bar, at, qty).inspect(|payment| recorder.funding(payment));
            } else {
                self.late_funding.push((at, qty));
            }
        }
    }
    /// Place on the schedule of the next settlement that is due at the open of a bar.
    #[inline]
    pub(super) fn next_settlement(&mut self, bar: usize) -> Option<usize> {
        let at = self.funding_at;
        let due = self.schedule.tape.get(at).filter(|due| due.record.bar as usize == bar);
        self.funding_at += usize::from(due.is_some());
        due.map(|_| at)
    }
    /// First bar with a settlement that is still to come.
    #[inline]
    pub(super) fn next_funding_bar(&self) -> usize {
        self.schedule.tape.get(self.funding_at).map_or(usize::MAX, |due| due.record.bar as usize)
    }
    /// Whether what was held before the open pays, and no fill there matters.
    pub(super) fn pays_held_before(&self) -> bool {
        self.plan.funding.boundary == FundingBoundary::HeldBefore
    }
    /// Settles what waited for the fills of the open.
    #[inline]
    pub(super) fn settle_late_funding<R: Recorder>(&mut self, bar: &Bar<'_>, recorder: &mut R) {
        for at in 0..self.late_funding.len() {
            let (due, before) = self.late_funding[at];
            let settlement = self.schedule.tape[due];
            let after = self.book.qty[settlement.record.symbol as usize];
            let cash = |qty: f64| settlement.payment(bar.bar, qty).cash_usdt;
            let pessimistic = self.plan.funding.boundary == FundingBoundary::Pessimistic;
            let qty = if pessimistic && cash(before) <= cash(after) { before } else { after };
            self.pay_funding(bar.bar, due, qty).inspect(|payment| recorder.funding(payment));
        }
        self.late_funding.clear();
    }
    /// Pays a settlement on a quantity, if there is any.
    #[inline]
    pub(super) fn pay_funding(&mut self, bar: usize, at: usize, qty: f64) -> Option<FundingPayment> {
        if qty == 0.0 || self.ruined {
            return None;
        }
        let payment = self.schedule.tape[at].payment(bar, qty);
        self.book.book_cash(payment.cash_usdt);
        // What margin is bounded by until the next close has paid it too.
        self.last_equity_usdt += payment.cash_usdt;
        let symbol = payment.symbol as usize;
        if self.is_isolated() && self.book.steps[symbol] != 0.0 {
            self.isolated_usdt[symbol] += payment.cash_usdt;
        }
        Some(payment)
    }
    /// Whether an opening decided here would act inside a funding window (semantics 3.4).
    #[inline]
    pub(super) fn in_funding_window(&self, bar: &Bar<'_>, symbol: usize) -> bool {
        let Some(window_ms) = self.plan.funding.window_ms.filter(|_| self.plan.funding.enabled) else {
            return false;
        };
        let acts_ms = bar.venue.market.grid.open_ms(bar.bar + 1);
        let last = self.schedule.last_known(symbol, bar.bar);
        last.is_some_and(|last| last.blocks(acts_ms, window_ms))
    }
    /// Closes positions at the last open before a settlement that is predicted to cost more than the threshold and
    /// than a round trip (semantics 3.4); the prediction is the last settled rate.
    pub(super) fn close_before_funding(&mut self, bar: &Bar<'_>) {
        let threshold = self.plan.funding.close_before_frac;
        if !self.plan.funding.enabled || threshold == 0.0 || bar.is_last || self.ruined {
            return;
        }
        let grid = bar.venue.market.grid;
        for symbol in 0..bar.tile.symbols {
            let steps = self.book.steps[symbol];
            let Some(last) = self.schedule.last_known(symbol, bar.bar).filter(|_| steps != 0.0) else {
                continue;
            };
            let Some(next_ms) = last.next_ms() else { continue };
            let is_last_open = grid.open_ms(bar.bar + 1) < next_ms && next_ms <= grid.open_ms(bar.bar + 2);
            let cost = steps.signum() * last.record.rate_frac;
            if is_last_open && cost > threshold && cost > self.round_trip_frac(bar, symbol) {
                self.reduce_at_next_open(bar, symbol, None, FillReason::FundingExit);
            }
        }
    }
    /// Twice the taker fee of the next open and the slippage of the whole position against the trailing volume.
    fn round_trip_frac(&self, bar: &Bar<'_>, symbol: usize) -> f64 {
        let model = &self.plan.slippage;
        let volume = trailing_mean_at(bar.venue.market, symbol, bar.bar);
        let mult = model.regime_mult(bar.regime(symbol));
        let market = bar.venue.market;
        let scaled = model
            .vol_scale
            .map(|scale| model.at_volatility(volatility_at(market, symbol, bar.bar, scale.window_bars)));
        let model = scaled.as_ref().unwrap_or(model);
        let (bps, _) = slippage_bps(model, self.book.qty[symbol].abs(), volume, mult);
        2.0 * (self.taker_fee_from(bar.open_ms() + bar.venue.market.grid.step_ms) + bps / 1e4)
    }
    /// A market order of the engine's own that only reduces, for the next open alone: all of a position, or some steps.
    pub(super) fn reduce_at_next_open(
        &mut self,
        bar: &Bar<'_>,
        symbol: usize,
        steps: Option<f64>,
        reason: FillReason,
    ) {
        let (side, held) = self.closing(Lane::of(symbol));
        let order = PendingOrder {
            order_id: crate::events::NO_ORDER,
            decided_bar: bar.bar as u32,
            ttl_bars: 1,
            closes_opposite: steps.is_none(),
            steps: steps.unwrap_or(held),
            reason: Some(reason),
            ..PendingOrder::blank(symbol, side, Role::Exit)
        };
        self.orders.push(order);
    }
}
