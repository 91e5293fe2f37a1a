//! From signals and intents to admitted orders, at the close of a bar (contract 4; semantics 1.6, 2.10, 5.8).

use barloom::config::plan::{Sizing, SizingEquity};
use barloom::engine::api::{Attached, AttachedLevels, OrderIntent, OrderKind, OrderStatus, Regime, Side};

use super::decimal::Decimal;
use super::engine::Engine;
use super::orders::{Carried, Form, Order, Size};

/// A price that may be missing, rounded.
fn grid_px(px: f64, round: impl Fn(f64) -> f64) -> f64 {
    if px.is_nan() { px } else { round(px) }
}

impl Engine<'_> {
    /// All decisions at `K_bar`: signals by symbol id, intents by order id.
    pub(super) fn decide(&mut self, bar: usize, equity: f64) {
        if let Some(row) = self.input.signals.get(bar) {
            // A pending entry is cancelled by an opposite signal. Choice: of all symbols before anything new is decided.
            for symbol in 0..row.len() {
                if let Some(side) = self.signalled(bar, symbol) {
                    self.cancel_pending_entries(bar, symbol, side.opposite());
                }
            }
            for symbol in 0..row.len() {
                self.decide_from_signal(bar, symbol, equity);
            }
        }
        for intent in self.input.intents.iter().filter(|intent| intent.bar as usize == bar) {
            self.decide_from_intent(bar, intent, equity);
        }
    }

    fn signalled(&self, bar: usize, symbol: usize) -> Option<Side> {
        let signal = &self.input.signals[bar][symbol];
        match (signal.long_entry, signal.short_entry) {
            // both entries true: neither acts
            (true, true) | (false, false) => None,
            (true, false) => Some(Side::Buy),
            (false, true) => Some(Side::Sell),
        }
    }

    /// Contract 4, "Rules are levels, read at each close".
    fn decide_from_signal(&mut self, bar: usize, symbol: usize, equity: f64) {
        let signal = &self.input.signals[bar][symbol];
        let entry = self.signalled(bar, symbol);
        let held = match self.positions[symbol].steps.signum() {
            1 => Some(Side::Buy),
            -1 => Some(Side::Sell),
            _ => None,
        };
        // an entry on the side already held does nothing; a pending entry suppresses another on its side
        let entry =
            entry.filter(|&side| held != Some(side)).filter(|&side| !self.has_pending_entry(symbol, side));
        // an exit is applied before an entry on the held side; exits while flat do nothing
        let exit = match held {
            Some(Side::Buy) => signal.long_exit,
            Some(Side::Sell) => signal.short_exit,
            None => false,
        };
        match (entry, held, exit) {
            // An entry on the other side flips, which is also the exit.
            (Some(side), ..) => self.submit_signal_entry(bar, symbol, side, equity),
            (None, Some(held), true) if !self.has_pending_exit(symbol) => {
                self.submit_signal_exit(bar, symbol, held.opposite());
            }
            _ => {}
        }
    }

    fn has_pending_entry(&self, symbol: usize, side: Side) -> bool {
        self.orders.iter().any(|o| o.symbol == symbol && o.side == side && !o.only_reduces())
    }
    fn has_pending_exit(&self, symbol: usize) -> bool {
        self.orders.iter().any(|o| o.symbol == symbol && o.only_reduces())
    }
    fn cancel_pending_entries(&mut self, bar: usize, symbol: usize, side: Side) {
        for order in std::mem::take(&mut self.orders) {
            if order.symbol == symbol && order.side == side && !order.only_reduces() {
                self.end_order(&order, bar, OrderStatus::Cancelled, "opposite_signal");
            } else {
                self.orders.push(order);
            }
        }
    }
    fn take_signal_order_id(&mut self) -> u32 {
        self.next_signal_order += 1;
        self.next_signal_order - 1
    }

    fn submit_signal_exit(&mut self, bar: usize, symbol: usize, side: Side) {
        let asked_qty = self.step(symbol).value(self.steps_against(symbol, side));
        let order = Order {
            id: self.take_signal_order_id(),
            asked_qty,
            ..Order::market(bar, symbol, side, Size::CloseAll)
        };
        self.submit(bar, order, Ok(()));
    }

    fn submit_signal_entry(&mut self, bar: usize, symbol: usize, side: Side, equity: f64) {
        let signal = &self.input.signals[bar][symbol];
        let levels = if side == Side::Buy { signal.long_levels } else { signal.short_levels };
        let ttl_bars = self.plan.execution.entry_ttl_bars as usize;
        let mut order = Order {
            id: self.take_signal_order_id(),
            ttl_bars,
            ..Order::market(bar, symbol, side, Size::Entry(0))
        };
        let admitted = self.size_signal_entry(bar, &mut order, levels, equity);
        self.submit(bar, order, admitted);
    }

    fn size_signal_entry(
        &self,
        bar: usize,
        order: &mut Order,
        levels: AttachedLevels,
        equity: f64,
    ) -> Result<(), &'static str> {
        self.admit_time(bar, order.symbol)?;
        self.admit_liquidity(bar, order.symbol)?;
        self.admit_symbol(bar, order.symbol)?;
        match levels {
            AttachedLevels::Rejected(reason) => return Err(reason),
            AttachedLevels::Prices(levels) => {
                order.carried = self.carried(order.symbol, order.side, &levels);
            }
        }
        let steps = self.thinned(bar, order.symbol, self.sized_steps(bar, order.symbol, equity)?);
        let close_px = self.chart.last_close(order.symbol, bar).expect("a listed symbol has a close");
        order.asked_qty = self.step(order.symbol).value(self.against(order) + steps);
        order.size = Size::Entry(self.admit_opening(bar, order, steps, close_px)?);
        Ok(())
    }

    fn decide_from_intent(&mut self, bar: usize, intent: &OrderIntent, equity: f64) {
        let symbol = intent.symbol as usize;
        let grid = self.price_grid(symbol);
        // 2.10: triggers adversely, limits never more aggressive than asked
        let trigger_px = grid_px(intent.price_px, |px| grid.round_stop(intent.side, px));
        let limit_of = |px: f64| grid_px(px, |px| grid.round_limit(intent.side, px));
        let form = match intent.kind {
            OrderKind::Market => Form::Market,
            OrderKind::Limit => Form::Limit { limit_px: limit_of(intent.price_px), arrived: false },
            OrderKind::Stop => Form::Stop { trigger_px },
            OrderKind::StopLimit => Form::StopLimit { trigger_px, limit_px: limit_of(intent.limit_px) },
        };
        let mut order = Order {
            id: intent.order_id,
            kind: intent.kind,
            price_px: match form {
                Form::Market => f64::NAN,
                Form::Limit { limit_px, .. } => limit_px,
                Form::Stop { trigger_px } | Form::StopLimit { trigger_px, .. } => trigger_px,
            },
            form,
            asked_qty: intent.qty,
            ttl_bars: intent.ttl_bars as usize,
            carried: self.carried(symbol, intent.side, &intent.attached),
            post_only: intent.post_only,
            oco_group: intent.oco_group,
            ..Order::market(bar, symbol, intent.side, Size::CloseAll)
        };
        let admitted =
            if intent.close_position { Ok(()) } else { self.size_intent(bar, &mut order, intent, equity) };
        self.submit(bar, order, admitted);
    }

    fn size_intent(
        &self,
        bar: usize,
        order: &mut Order,
        intent: &OrderIntent,
        equity: f64,
    ) -> Result<(), &'static str> {
        let symbol = order.symbol;
        let steps = if intent.qty.is_nan() {
            let sized = self.admit_symbol(bar, symbol).and_then(|()| self.sized_steps(bar, symbol, equity));
            match sized {
                Ok(steps) => steps,
                // what has no size would open: the window sees it first
                Err(reason) => {
                    let earlier =
                        self.admit_time(bar, symbol).and_then(|()| self.admit_liquidity(bar, symbol));
                    return Err(earlier.err().unwrap_or(reason));
                }
            }
        } else {
            self.step(symbol).toward_zero(intent.qty)
        };
        let against = self.against(order);
        let (closing, opening) = if intent.reduce_only {
            order.size = Size::Reduce(steps);
            (steps, 0)
        } else {
            order.size = Size::Steps(steps);
            (steps.min(against), steps - steps.min(against))
        };
        // 2.10: closing a whole position is always allowed; a part of it obeys the quantity filters
        let closes_whole_position = against > 0 && closing >= against;
        if opening == 0 && !closes_whole_position {
            return self.admit_quantity(order, steps);
        }
        if opening > 0 {
            self.admit_time(bar, symbol)?;
            self.admit_liquidity(bar, symbol)?;
            let opening = self.thinned(bar, symbol, opening);
            self.admit_symbol(bar, symbol)?;
            let close_px = self.chart.last_close(symbol, bar).expect("a listed symbol has a close");
            order.size = Size::Steps(closing + self.admit_opening(bar, order, opening, close_px)?);
        }
        Ok(())
    }

    /// Files an order. Decided on the last bar: never active. Refused as a whole where it opens only; where it also
    /// closes, its opening leg is refused and its closing leg goes on (2.11).
    fn submit(&mut self, bar: usize, mut order: Order, admitted: Result<(), &'static str>) {
        if bar + 1 == self.input.run.end {
            return self.end_order(&order, bar, OrderStatus::NeverActive, "last_bar");
        }
        if self.is_ruined {
            return self.end_order(&order, bar, OrderStatus::Rejected, "ruined");
        }
        if let Err(reason) = admitted {
            let opens_too = match order.size {
                Size::Steps(steps) => steps > self.against(&order),
                Size::Entry(_) => true,
                Size::Reduce(_) | Size::CloseAll => false,
            };
            if !(opens_too && self.against(&order) > 0) {
                return self.end_order(&order, bar, OrderStatus::Rejected, reason);
            }
            order.opening_refused = Some(reason);
        }
        self.orders.push(order);
    }

    /// 2.10: stop triggers buys up, sells down; limit prices buys down, sells up. The levels exit the position.
    fn carried(&self, symbol: usize, side: Side, levels: &Attached) -> Carried {
        let (grid, exit_side) = (self.price_grid(symbol), side.opposite());
        let given = |px: f64| Some(px).filter(|px| !px.is_nan());
        Carried {
            stop_loss_px: given(levels.stop_loss_px).map(|px| grid.round_stop(exit_side, px)),
            take_profit_px: given(levels.take_profit_px).map(|px| grid.round_limit(exit_side, px)),
            trail_px: given(levels.trail_px),
            activation_px: given(levels.activation_px),
        }
    }

    /// 3.4: no opening where it would first act inside a funding window.
    fn admit_time(&self, bar: usize, symbol: usize) -> Result<(), &'static str> {
        if self.is_in_funding_window(bar, symbol) { Err("funding_window") } else { Ok(()) }
    }

    /// 7.3: no opening decided in VACUUM.
    fn admit_liquidity(&self, bar: usize, symbol: usize) -> Result<(), &'static str> {
        let blocks = self.plan.liquidity.enabled && self.plan.liquidity.vacuum_blocks_entries;
        let is_vacuum = self.regime_at(symbol, bar) == Some(Regime::Vacuum);
        if blocks && is_vacuum { Err("vacuum") } else { Ok(()) }
    }
    /// 7.3: an opening decided in THIN is smaller, toward zero to the step.
    fn thinned(&self, bar: usize, symbol: usize, steps: i128) -> i128 {
        match self.regime_at(symbol, bar) {
            Some(Regime::Thin) => {
                let step = self.step(symbol);
                let qty =
                    Decimal::of(step.value(steps)).times(Decimal::of(self.plan.liquidity.thin_size_mult));
                step.toward_zero(qty.to_f64())
            }
            _ => steps,
        }
    }

    /// 1.7: a symbol exists from its first present bar. 1.6: no new entry after too many missing bars.
    fn admit_symbol(&self, bar: usize, symbol: usize) -> Result<(), &'static str> {
        let missing = self.chart.missing_bars(symbol, bar).ok_or("not_listed")?;
        let limit = self.plan.max_stale_bars as usize;
        if limit > 0 && missing > limit { Err("stale") } else { Ok(()) }
    }

    /// 5.8 with `P_ref = C_t` and the equity at `K_t`; toward zero to the step.
    fn sized_steps(&self, bar: usize, symbol: usize, equity: f64) -> Result<i128, &'static str> {
        let sizing_equity = match self.plan.sizing_equity {
            SizingEquity::Equity => equity,
            SizingEquity::Wallet => self.money.wallet(),
            SizingEquity::Initial => self.money.initial,
        };
        let notional = match self.plan.sizing {
            Sizing::FixedNotional { notional_usdt } => notional_usdt,
            Sizing::FixedFraction { fraction } => fraction * sizing_equity,
        };
        if sizing_equity <= 0.0 || notional <= 0.0 {
            return Err("zero_size"); // E ≤ 0 ⇒ 0, whatever the method
        }
        let close_px = self.chart.last_close(symbol, bar).expect("a listed symbol has a close");
        Ok(self.step(symbol).toward_zero(notional / close_px))
    }

    /// 2.10, LOT_SIZE and MARKET_LOT_SIZE. A quantity that rounded to nothing is below any minimum (EX-07, EX-29).
    /// Choice: what trades as a market order obeys both, a limit and a stop-limit order LOT_SIZE alone.
    fn admit_quantity(&self, order: &Order, steps: i128) -> Result<(), &'static str> {
        let contract = self.contract(order.symbol);
        let qty = Decimal::of(self.step(order.symbol).value(steps));
        if steps == 0 || qty.compare(Decimal::of(contract.min_qty)).is_lt() {
            return Err("min_qty");
        }
        let max_qty = self.max_qty(order);
        if max_qty.is_finite() && qty.compare(Decimal::of(max_qty)).is_gt() {
            // decision 7.30: up to a thousand slices, where a slice is at least a step
            let most = Decimal::of(max_qty).times(Decimal::of(1000.0));
            let is_split = self.plan.execution.split_large
                && self.step(order.symbol).floor(max_qty) > 0
                && qty.compare(most).is_le();
            if !is_split {
                return Err("max_qty");
            }
        }
        Ok(())
    }

    pub(super) fn max_qty(&self, order: &Order) -> f64 {
        let contract = self.contract(order.symbol);
        match order.kind {
            OrderKind::Market | OrderKind::Stop => contract.max_qty.min(contract.market_max_qty),
            OrderKind::Limit | OrderKind::StopLimit => contract.max_qty,
        }
    }

    /// 2.10 for an opening leg, with the reference price `C_t`.
    /// Then the position limit and margin, which may cut it: how many of its steps pass.
    fn admit_opening(
        &self,
        bar: usize,
        order: &Order,
        steps: i128,
        close_px: f64,
    ) -> Result<i128, &'static str> {
        self.admit_quantity(order, steps)?;
        if self.is_below_min_notional(order.symbol, steps, close_px) {
            return Err("min_notional");
        }
        self.admit_margin_at_decision(bar, order, steps, close_px)
    }
}
