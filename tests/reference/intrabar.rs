//! Stop and limit orders: at the open and inside the bar (semantics 1.5, 2.4, 2.5; decision 7, 1–7).

use barloom::config::plan::LimitRule;
use barloom::engine::api::{FillFlags, FillReason, Liquidity, OrderStatus, Side};

use super::chart::Bar;
use super::draws::draw;
use super::engine::Engine;
use super::orders::{Form, Offer, Order};
use super::prices::{StopTouch, stop_touch};

impl Engine<'_> {
    /// Phase 3, third (`exits`) and fourth: market orders, and stop orders that the open has passed.
    pub(super) fn execute_at_open(&mut self, bar: usize, exits: bool) {
        let due = self.due(|order| order.only_reduces() == exits && self.acts_at_open(order, bar));
        for key in due {
            let Some(mut order) = self.take_order(key) else { continue };
            let prices = self.tradable_bar(order.symbol, bar).expect("a tradable bar");
            let mut offer = Offer::market_at(prices.open);
            if let Form::Stop { .. } = order.form {
                order.form = Form::Market;
                offer.reason = Some(FillReason::StopEntryGap);
                offer.flags = FillFlags::GAPPED;
            }
            self.execute(order, bar, &prices, offer);
        }
    }
    fn acts_at_open(&self, order: &Order, bar: usize) -> bool {
        let Some(prices) = self.tradable_bar(order.symbol, bar) else { return false };
        match order.form {
            Form::Market => true,
            Form::Stop { trigger_px } => self.is_gapped(order, trigger_px, &prices),
            Form::Limit { .. } | Form::StopLimit { .. } => false,
        }
    }
    fn is_gapped(&self, order: &Order, trigger_px: f64, prices: &Bar) -> bool {
        self.price_grid(order.symbol).reaches_stop(order.side, prices.open, trigger_px)
    }

    /// Phase 3, last: limit orders arrive at their first tradable bar, and so do stop-limit orders that the open has
    /// passed (2.5).
    pub(super) fn receive_limits(&mut self, bar: usize) {
        let due = self.due(|order| match (order.form, self.tradable_bar(order.symbol, bar)) {
            (Form::Limit { arrived, .. }, Some(_)) => !arrived,
            (Form::StopLimit { trigger_px, .. }, Some(prices)) => self.is_gapped(order, trigger_px, &prices),
            _ => false,
        });
        for key in due {
            let Some(mut order) = self.take_order(key) else { continue };
            let prices = self.tradable_bar(order.symbol, bar).expect("a tradable bar");
            let (Form::Limit { limit_px, .. } | Form::StopLimit { limit_px, .. }) = order.form else {
                unreachable!("a limit order")
            };
            let flags =
                FillFlags::default().with(FillFlags::GAPPED, matches!(order.form, Form::StopLimit { .. }));
            order.form = Form::Limit { limit_px, arrived: true };
            let offer = Offer { at_open: true, flags, ..taker_of_limit(prices.open, limit_px) };
            self.arrive(order, bar, &prices, offer);
        }
    }

    /// 2.5: taker where it is marketable at the base, refused there with `post_only`; else it rests. Choice: a
    /// stop-limit order is by then a limit order, its reason `limit_taker` and without `stop_slippage_mult`. Returns
    /// whether the position was opened or increased.
    fn arrive(&mut self, order: Order, bar: usize, prices: &Bar, offer: Offer) -> bool {
        let limit_px = offer.limit_px.expect("a limit order has a limit");
        if !self.price_grid(order.symbol).reaches_limit(order.side, offer.base_px, limit_px) {
            self.orders.push(order);
            return false;
        }
        if order.post_only {
            self.end_order(&order, bar, OrderStatus::Rejected, "post_only");
            return false;
        }
        self.execute(order, bar, prices, offer)
    }

    /// Phase 4, one symbol: explicit orders by id, whatever their type. Returns whether any opened or increased the
    /// position.
    pub(super) fn execute_intrabar(&mut self, symbol: usize, bar: usize, prices: &Bar) -> bool {
        let mut increased = false;
        for key in self.due(|order| order.symbol == symbol) {
            let Some(mut order) = self.take_order(key) else { continue };
            let kappa = self.plan.execution.stop_overshoot;
            let touch = |trigger_px| {
                match stop_touch(&self.price_grid(symbol), order.side, trigger_px, prices, kappa) {
                    Some(StopTouch::Intrabar { base_px }) => Some(base_px),
                    _ => None, // a gap was seen at the open
                }
            };
            increased |= match order.form {
                Form::Limit { limit_px, arrived: true } if self.limit_fills(&order, limit_px, prices) => {
                    self.execute(order, bar, prices, maker_at(limit_px))
                }
                Form::Stop { trigger_px } if touch(trigger_px).is_some() => {
                    let base_px = touch(trigger_px).expect("touched");
                    order.form = Form::Market;
                    let offer = Offer {
                        reason: Some(FillReason::StopEntry),
                        at_open: false,
                        flags: FillFlags::STOP_RUN,
                        ..Offer::market_at(base_px)
                    };
                    self.execute(order, bar, prices, offer)
                }
                Form::StopLimit { trigger_px, limit_px } if touch(trigger_px).is_some() => {
                    let base_px = touch(trigger_px).expect("touched");
                    order.form = Form::Limit { limit_px, arrived: true };
                    let flags = FillFlags::STOP_RUN;
                    let offer = Offer { at_open: false, flags, ..taker_of_limit(base_px, limit_px) };
                    self.arrive(order, bar, prices, offer)
                }
                _ => {
                    self.orders.push(order);
                    false
                }
            };
        }
        increased
    }

    fn limit_fills(&self, order: &Order, limit_px: f64, prices: &Bar) -> bool {
        let best_px = prices.best_for_limit(order.side);
        self.resting_limit_fills(order.symbol, u64::from(order.id), order.side, limit_px, best_px)
    }

    /// 2.5, `limit_rule`: whether a resting limit order of this number fills where the price gets to `price`.
    pub(super) fn resting_limit_fills(
        &self,
        symbol: usize,
        number: u64,
        side: Side,
        limit_px: f64,
        price: f64,
    ) -> bool {
        let grid = self.price_grid(symbol);
        if grid.trades_through(side, price, limit_px) {
            return true;
        }
        let touched = grid.reaches_limit(side, price, limit_px);
        match self.plan.execution.limit_rule {
            LimitRule::Through => false,
            LimitRule::Touch => touched,
            LimitRule::TouchProb(probability) => {
                let name = &self.input.market.symbols[symbol].name;
                touched && draw(self.plan.seed, name, number) < probability
            }
        }
    }
}

fn taker_of_limit(base_px: f64, limit_px: f64) -> Offer {
    Offer { reason: Some(FillReason::LimitTaker), limit_px: Some(limit_px), ..Offer::market_at(base_px) }
}

/// A resting order is hit at its own price, also where the bar opens beyond it. Choice: that is no `gapped`.
fn maker_at(limit_px: f64) -> Offer {
    Offer {
        reason: Some(FillReason::LimitMaker),
        liquidity: Liquidity::Maker,
        at_open: false,
        ..Offer::market_at(limit_px)
    }
}
