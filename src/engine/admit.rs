//! What may open at a close, and how much of it: instants, sizes, filters, margin (semantics 2.10, 3.4, 4.5, 5.8, 7.3).
//!
//! The order of the tests is that of docs/decisions/0007, 25.

use super::account::{Account, Bar};
use crate::events::Regime;
use crate::execution::orders::{Extra, PendingOrder, Role};
use crate::risk::{Balances, opening_notional_usdt};

impl Account {
    /// Whether anything may open when orders of this close act: funding windows, then liquidity (semantics 3.4, 7.3).
    #[inline]
    pub(super) fn admit_instant(&self, bar: &Bar<'_>, symbol: usize) -> Result<(), &'static str> {
        if self.in_funding_window(bar, symbol) {
            return Err("funding_window");
        }
        let blocks = self.plan.liquidity.vacuum_blocks_entries;
        if blocks && bar.regime(symbol) == Some(Regime::Vacuum) { Err("vacuum") } else { Ok(()) }
    }
    /// The close an opening refers to, or why there can be none (semantics 1.6, 1.7).
    #[inline]
    pub(super) fn opening_price(&self, bar: &Bar<'_>, symbol: usize) -> Result<f64, &'static str> {
        let close = self.close_px(bar, symbol);
        if close.is_nan() {
            Err("not_listed")
        } else if self.is_stale(bar, symbol) {
            Err("stale")
        } else {
            Ok(close)
        }
    }
    /// Steps that sizing gives at the decision's close, toward zero.
    #[inline(always)]
    pub(super) fn sized_steps(
        &self,
        bar: &Bar<'_>,
        symbol: usize,
        close_px: f64,
        balances: Balances,
    ) -> Result<f64, &'static str> {
        let notional = opening_notional_usdt(&self.plan, balances);
        if notional <= 0.0 {
            return Err("zero_size");
        }
        Ok(bar.venue.rules[symbol].step.steps_toward_zero(notional / close_px))
    }
    /// An opening decided in THIN is smaller, toward zero (semantics 7.3).
    #[inline]
    pub(super) fn thinned(&self, bar: &Bar<'_>, symbol: usize, steps: f64) -> f64 {
        if bar.regime(symbol) != Some(Regime::Thin) {
            return steps;
        }
        let grid = bar.venue.rules[symbol].step;
        grid.steps_toward_zero(grid.value(steps) * self.plan.liquidity.thin_size_mult)
    }
    /// Filters of an opening leg with the close as its reference price, the position limit, the guard, and margin, which
    /// may cut it (semantics 2.10, 4.5, 4.8).
    #[inline]
    pub(super) fn admit_opening(
        &self,
        bar: &Bar<'_>,
        order: &PendingOrder,
        extra: &Extra,
        steps: f64,
        close_px: f64,
    ) -> Result<f64, &'static str> {
        let rules = &bar.venue.rules[order.symbol as usize];
        let splits = self.plan.execution.split_large;
        match rules.opening_rejection(rules.step.value(steps), close_px, order.kind, splits) {
            Some(reason) => Err(reason),
            None => self.admit_margin_at_decision(bar, order, extra, steps, close_px),
        }
    }
    /// Bounds what waiting openings may need, before new ones are decided.
    #[inline]
    pub(super) fn bound_waiting_orders(&mut self, bar: &Bar<'_>) {
        if self.plan.margin.is_some() {
            let orders = (0..self.orders.len()).filter_map(|at| self.orders.live(at));
            self.waiting_usdt = orders.map(|order| self.waiting_notional_at_most_usdt(bar, order)).sum();
        }
    }
    /// More than `max_stale_bars` bars missing up to and including this one (semantics 1.6).
    pub(super) fn is_stale(&self, bar: &Bar<'_>, symbol: usize) -> bool {
        let limit = self.plan.max_stale_bars as usize;
        if limit == 0 || !bar.px(bar.tile.close, symbol).is_nan() {
            return false;
        }
        let market = bar.venue.market;
        let (panels, lane) = (&market.panels, market.lane_of[symbol]);
        let oldest = bar.bar.saturating_sub(limit);
        (oldest..bar.bar).all(|bar| panels.close[(market.first_row + bar) * panels.lanes + lane].is_nan())
    }
    /// Sizes an explicit order and tests it (semantics 2.10): what opens must pass everything, a partial reduction the
    /// quantity filters, the closing of a whole position nothing.
    pub(super) fn admit(
        &self,
        bar: &Bar<'_>,
        order: &mut PendingOrder,
        extra: &Extra,
        balances: Balances,
    ) -> Result<(), &'static str> {
        let symbol = order.symbol as usize;
        let rules = &bar.venue.rules[symbol];
        order.steps = if order.qty.is_nan() {
            let sized = self.opening_price(bar, symbol);
            let sized = sized.and_then(|close| self.sized_steps(bar, symbol, close, balances));
            // What has no size would open: the instant is asked first.
            sized.map_err(|reason| self.admit_instant(bar, symbol).err().unwrap_or(reason))?
        } else {
            rules.step.steps_toward_zero(order.qty)
        };
        let against = self.steps_against(order.lane(), order.side);
        let (closing, opening) = match order.role {
            Role::Exit => (order.steps, 0.0),
            Role::Entry => (order.steps.min(against), order.steps - order.steps.min(against)),
        };
        if opening > 0.0 {
            self.admit_instant(bar, symbol)?;
            let opening = self.thinned(bar, symbol, opening);
            let close = self.opening_price(bar, symbol)?;
            order.steps = closing + self.admit_opening(bar, order, extra, opening, close)?;
            return Ok(());
        }
        if against > 0.0 && closing >= against {
            return Ok(());
        }
        let splits = self.plan.execution.split_large;
        rules.quantity_rejection(rules.step.value(order.steps), order.kind, splits).map_or(Ok(()), Err)
    }
}
