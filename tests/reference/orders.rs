//! Orders that wait, and what happens when one meets the market (semantics 2.1, 2.3–2.5, 2.9–2.11; decision 7).

use barloom::config::plan::{CapAppliesTo, EntryBeyondStop};
use barloom::engine::api::{
    FillFlags, FillReason, Liquidity, NO_GROUP, NO_ORDER, OrderKind, OrderStatus, Side,
};

use super::account::Level;
use super::booking::Terms;
use super::chart::Bar;
use super::decimal::Decimal;
use super::engine::Engine;

/// How much an order trades once it meets the market.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Size {
    /// Closes what stands against it up to this many steps and opens the rest.
    Steps(i128),
    /// Reduce-only (2.11): at most this many steps of what stands against it.
    Reduce(i128),
    /// `close_position`: all that stands against it.
    CloseAll,
    /// An entry from signals (contract 4): all that stands against it, plus a new position of this many steps.
    /// Choice: where the position was stopped out before the flip fills, only the new size is opened.
    Entry(i128),
}

/// What an order is by now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Form {
    /// A market order, from the start or what a triggered stop left over.
    Market,
    /// A limit order; `arrived` after its first tradable bar.
    Limit {
        limit_px: f64,
        arrived: bool,
    },
    Stop {
        trigger_px: f64,
    },
    StopLimit {
        trigger_px: f64,
        limit_px: f64,
    },
}

/// What a fill that increases the position sets (2.12), rounded; `None`: what is there is kept.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Carried {
    pub(super) stop_loss_px: Option<f64>,
    pub(super) take_profit_px: Option<f64>,
    pub(super) trail_px: Option<f64>,
    pub(super) activation_px: Option<f64>,
}

/// An order that waits.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) id: u32,
    pub(super) decided_bar: usize,
    pub(super) symbol: usize,
    pub(super) side: Side,
    pub(super) kind: OrderKind,
    /// Limit or trigger as rounded; `NaN` for a market order.
    pub(super) price_px: f64,
    pub(super) form: Form,
    pub(super) size: Size,
    pub(super) asked_qty: f64,
    /// 0: unlimited.
    pub(super) ttl_bars: usize,
    pub(super) carried: Carried,
    pub(super) post_only: bool,
    pub(super) oco_group: u32,
    /// Why its opening leg must not execute (2.11); the closing leg still may.
    pub(super) opening_refused: Option<&'static str>,
    /// Whether anything of it was filled.
    pub(super) filled: bool,
    /// Whether anything of its opening leg was filled.
    pub(super) opened: bool,
    /// What the engine's own orders give as reason.
    pub(super) own_reason: Option<FillReason>,
}

impl Order {
    /// A market order of the engine itself, for ever and without levels: what other orders differ from.
    pub(super) fn market(bar: usize, symbol: usize, side: Side, size: Size) -> Self {
        Self {
            id: NO_ORDER,
            decided_bar: bar,
            symbol,
            side,
            kind: OrderKind::Market,
            price_px: f64::NAN,
            form: Form::Market,
            size,
            asked_qty: f64::NAN,
            ttl_bars: 0,
            carried: Carried::default(),
            post_only: false,
            oco_group: NO_GROUP,
            opening_refused: None,
            filled: false,
            opened: false,
            own_reason: None,
        }
    }
    /// Reduce-only orders go before entries at the open (1.5, phase 3).
    pub(super) fn only_reduces(&self) -> bool {
        matches!(self.size, Size::Reduce(_) | Size::CloseAll)
    }
    /// Closing and opening steps against a position of `against` steps on the other side (2.11).
    pub(super) fn legs(&self, against: i128) -> (i128, i128) {
        match self.size {
            Size::Steps(steps) => (steps.min(against), steps - steps.min(against)),
            Size::Reduce(steps) => (steps.min(against), 0),
            Size::CloseAll => (against, 0),
            Size::Entry(steps) => (against, steps),
        }
    }
    /// Its size after some of both legs was filled and the participation cap held back the rest. Choice: what is left
    /// of an opening leg is a plain quantity.
    fn rest(&self, [closing, opening]: [i128; 2], [closed, opened]: [i128; 2]) -> Size {
        match self.size {
            // Of what there was to reduce when it acted, not of what it asked for.
            Size::Reduce(_) => Size::Reduce(closing - closed),
            Size::CloseAll => Size::CloseAll,
            Size::Entry(steps) if closed < closing => Size::Entry(steps),
            Size::Entry(_) | Size::Steps(_) => Size::Steps(closing - closed + opening - opened),
        }
    }
}

/// What the market offers an order that acts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offer {
    pub(super) base_px: f64,
    /// `None`: that of a market order, entry or exit.
    pub(super) reason: Option<FillReason>,
    pub(super) liquidity: Liquidity,
    /// A taker's price is not beyond this.
    pub(super) limit_px: Option<f64>,
    pub(super) at_open: bool,
    pub(super) flags: FillFlags,
}

impl Offer {
    pub(super) fn market_at(open_px: f64) -> Self {
        Self {
            base_px: open_px,
            reason: None,
            liquidity: Liquidity::Taker,
            limit_px: None,
            at_open: true,
            flags: FillFlags::default(),
        }
    }
}

impl Engine<'_> {
    /// Steps of the position that stand against an order.
    pub(super) fn against(&self, order: &Order) -> i128 {
        self.steps_against(order.symbol, order.side)
    }
    pub(super) fn steps_against(&self, symbol: usize, side: Side) -> i128 {
        let steps = self.positions[symbol].steps;
        match side {
            Side::Buy => (-steps).max(0),
            Side::Sell => steps.max(0),
        }
    }

    /// Ids of the waiting orders of a kind, by symbol id, then order id (2.13). An order is taken from the queue only
    /// when it acts, since one of its group may cancel it before.
    pub(super) fn due(&self, is_due: impl Fn(&Order) -> bool) -> Vec<(usize, u32)> {
        let mut due: Vec<_> = self.orders.iter().filter(|o| is_due(o)).map(|o| (o.symbol, o.id)).collect();
        due.sort_unstable();
        due
    }
    pub(super) fn take_order(&mut self, (symbol, id): (usize, u32)) -> Option<Order> {
        let at = self.orders.iter().position(|order| (order.symbol, order.id) == (symbol, id))?;
        Some(self.orders.remove(at))
    }

    /// 2.9: steps that the participation cap still lets through; `None`: no cap.
    fn cap_left(&self, symbol: usize, prices: &Bar) -> Option<i128> {
        let cap_frac = self.plan.execution.participation_cap_frac;
        (cap_frac > 0.0).then(|| {
            let cap_qty = Decimal::of(cap_frac).times(Decimal::of(prices.volume)).to_f64();
            (self.step(symbol).floor(cap_qty) - self.capped_steps[symbol]).max(0)
        })
    }

    /// Steps of the two legs that the cap lets through. It counts opening quantities; under `all` every quantity, of
    /// which the closing leg comes first.
    fn under_cap(&self, symbol: usize, prices: &Bar, [closing, opening]: [i128; 2]) -> [i128; 2] {
        let Some(left) = self.cap_left(symbol, prices) else { return [closing, opening] };
        match self.plan.execution.cap_applies_to {
            CapAppliesTo::Entries => [closing, opening.min(left)],
            CapAppliesTo::All => [closing.min(left), opening.min(left - closing.min(left))],
        }
    }
    fn count_under_cap(&mut self, symbol: usize, [closed, opened]: [i128; 2]) {
        self.capped_steps[symbol] += match self.plan.execution.cap_applies_to {
            CapAppliesTo::Entries => opened,
            CapAppliesTo::All => closed + opened,
        };
    }
    /// Steps that an exit by a level may take, which counts under `all`.
    pub(super) fn exit_under_cap(&mut self, symbol: usize, prices: &Bar, steps: i128) -> i128 {
        let legs = self.under_cap(symbol, prices, [steps, 0]);
        self.count_under_cap(symbol, legs);
        legs[0]
    }

    /// One order meets the market: a fill of a closing and an opening leg (2.11), or several where it is split (2.10;
    /// decision 7.30). What the cap holds back waits on in the order's present form. Returns whether the position was opened or increased.
    pub(super) fn execute(&mut self, mut order: Order, bar: usize, prices: &Bar, offer: Offer) -> bool {
        let symbol = order.symbol;
        let (closing, wanted) = order.legs(self.against(&order));
        let mut refused = order.opening_refused;
        let wanted = if refused.is_some() { 0 } else { wanted };
        if closing + wanted == 0 {
            if order.only_reduces() {
                self.end_order(&order, bar, OrderStatus::Cancelled, "reduce_only");
            } else {
                self.refuse(&order, bar, refused.expect("an order of no size was not admitted"));
            }
            return false;
        }
        let [closed, mut opened] = self.under_cap(symbol, prices, [closing, wanted]);
        let is_cut = closed + opened < closing + wanted;
        // Choice: margin that cuts the opening leg ends the order with this fill.
        let mut scaled = false;
        if opened > 0 {
            match self.admit_at_fill(&order, bar, prices, wanted, opened, &offer) {
                Ok(fits) => (scaled, opened) = (fits < opened, fits),
                Err(reason) => (refused, opened) = (Some(reason), 0),
            }
        }
        if closed + opened == 0 {
            match refused {
                Some(reason) => self.refuse(&order, bar, reason),
                None => self.orders.push(order),
            }
            return false;
        }
        let largest = self.largest_slice(&order).unwrap_or(closed + opened);
        let (mut to_close, mut to_open) = (closed, opened);
        while to_close + to_open > 0 {
            let closes = to_close.min(largest);
            let opens = to_open.min(largest - closes);
            let market_reason = if opens > 0 { FillReason::MarketEntry } else { FillReason::MarketExit };
            let terms = Terms {
                symbol,
                order_id: order.id,
                side: order.side,
                steps: closes + opens,
                base_px: offer.base_px,
                reason: order.own_reason.or(offer.reason).unwrap_or(market_reason),
                liquidity: offer.liquidity,
                limit_px: offer.limit_px,
                flags: offer.flags.with(FillFlags::VOLUME_CAPPED, is_cut),
            };
            self.trade(bar, Some(prices), &terms);
            if opens > 0 {
                self.set_levels(symbol, bar, &order.carried);
            }
            (to_close, to_open) = (to_close - closes, to_open - opens);
        }
        self.count_under_cap(symbol, [closed, opened]);
        let is_first_fill = !std::mem::replace(&mut order.filled, true);
        order.opened |= opened > 0;
        if is_first_fill {
            self.cancel_group(&order, bar);
        }
        match refused {
            Some(reason) => self.end_order(&order, bar, OrderStatus::Cancelled, reason),
            None if is_cut && !scaled => {
                order.size = order.rest([closing, wanted], [closed, opened]);
                self.orders.push(order);
            }
            None => self.end_order(&order, bar, OrderStatus::Filled, ""),
        }
        opened > 0
    }

    /// 2.10, `split_large`: steps of a fill of this order at most; `None`: any number.
    fn largest_slice(&self, order: &Order) -> Option<i128> {
        let max_qty = self.max_qty(order);
        let is_split = self.plan.execution.split_large && max_qty.is_finite();
        is_split.then(|| self.step(order.symbol).floor(max_qty)).filter(|&steps| steps > 0)
    }

    /// The end of an order whose opening leg may not execute and that has nothing (more) to close.
    fn refuse(&mut self, order: &Order, bar: usize, reason: &'static str) {
        let status = if order.filled { OrderStatus::Cancelled } else { OrderStatus::Rejected };
        self.end_order(order, bar, status, reason);
    }

    /// Tests of an opening leg at the fill; how many of its `opened` steps fit, or why none may (2.10, 2.12, 4.5).
    fn admit_at_fill(
        &self,
        order: &Order,
        bar: usize,
        prices: &Bar,
        wanted: i128,
        opened: i128,
        offer: &Offer,
    ) -> Result<i128, &'static str> {
        let symbol = order.symbol;
        // the whole opening leg, at its first fill only
        if !order.opened && self.is_below_min_notional(symbol, wanted, offer.base_px) {
            return Err("min_notional");
        }
        let grid = self.price_grid(symbol);
        let is_beyond = |stop_px: f64| match order.side {
            Side::Buy => grid.at_or_below(prices.open, stop_px),
            Side::Sell => grid.at_or_above(prices.open, stop_px),
        };
        let rejects = self.plan.execution.entry_beyond_stop == EntryBeyondStop::Reject;
        if rejects && offer.at_open && order.carried.stop_loss_px.is_some_and(is_beyond) {
            return Err("beyond_stop");
        }
        self.admit_margin_at_fill(order, bar, opened, offer)
    }

    /// 2.12: the latest fill that increases the position sets the levels its order carries; the rest is kept. Choice:
    /// every slice of an order does, and distance and activation are two things: each is kept where it is not carried.
    fn set_levels(&mut self, symbol: usize, bar: usize, carried: &Carried) {
        let position = &mut self.positions[symbol];
        let level = |px: Option<f64>| px.map(|px| Level { px, set_bar: bar });
        position.stop = level(carried.stop_loss_px).or(position.stop);
        position.had_stop_loss |= carried.stop_loss_px.is_some();
        position.take_profit = level(carried.take_profit_px).or(position.take_profit);
        position.trail_px = carried.trail_px.or(position.trail_px);
        position.activation_px = carried.activation_px.or(position.activation_px);
    }

    /// The first fill of an order cancels the others of its group. Choice: those that wait by now, of any symbol; one
    /// decided later lives.
    fn cancel_group(&mut self, filled: &Order, bar: usize) {
        if filled.oco_group == NO_GROUP {
            return;
        }
        for order in std::mem::take(&mut self.orders) {
            if order.oco_group == filled.oco_group {
                self.end_order(&order, bar, OrderStatus::Cancelled, "oco");
            } else {
                self.orders.push(order);
            }
        }
    }

    /// The engine's own orders have no number, and nobody asks how they ended.
    pub(super) fn end_order(&mut self, order: &Order, bar: usize, status: OrderStatus, reason: &'static str) {
        if order.id == NO_ORDER {
            return;
        }
        self.out.orders.push(super::RefOrderEnd {
            order_id: order.id,
            bar: order.decided_bar,
            end_bar: bar,
            symbol: order.symbol,
            side: order.side,
            kind: order.kind,
            price: order.price_px,
            qty: order.asked_qty,
            status,
            reason,
        });
    }
}
