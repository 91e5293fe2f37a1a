//! Margins of one cross-margined account and what they let open (semantics 4.5, 4.6; decision 7, 23 and 24). The formulas
//! are in `tiers`, what happens when they fall short in `liquidation`.

use barloom::config::plan::{MarginPlan, OnMarginShort};
use barloom::engine::api::{Liquidity, Side};

use super::engine::Engine;
use super::isolated::NEAR;
use super::orders::{Form, Offer, Order};
use super::tiers::Tiers;

/// Whose marks: 4.7 looks at the open and at the close of a bar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Moment {
    Open,
    Close,
}

/// An opening whose margin is asked for.
struct Opening {
    symbol: usize,
    side: Side,
    /// Steps of the position on its side once the closing leg is through.
    kept: i128,
    price_px: f64,
    fee_frac: f64,
}

impl Engine<'_> {
    /// Clearance fee of a symbol (3.2).
    pub(super) fn liquidation_fee_frac(&self, symbol: usize) -> f64 {
        let fallback = self.plan.margin.map_or(0.0, |margin| margin.liq_fee_frac);
        self.contract(symbol).liquidation_fee_frac.unwrap_or(fallback)
    }

    /// Brackets in force at the open of a bar. Choice: its close belongs to it, new tables come with the next open.
    pub(super) fn tiers(&self, symbol: usize, bar: usize, margin: &MarginPlan) -> Tiers {
        let opens_ms = self.input.market.grid.open_ms(bar);
        let tables = &self.input.market.symbols[symbol].brackets;
        let in_force =
            tables.iter().rev().find(|t| t.valid_from_ms.is_none_or(|from_ms| from_ms <= opens_ms));
        let in_force = in_force.or(tables.first());
        in_force.map_or_else(|| Tiers::single(margin.max_leverage), |table| Tiers(table.brackets.clone()))
    }
    /// Choice: the contract's own limit binds too.
    fn max_leverage(&self, symbol: usize, margin: &MarginPlan) -> f64 {
        self.contract(symbol).max_leverage.map_or(margin.max_leverage, |own| own.min(margin.max_leverage))
    }

    /// The mark of a symbol. Choice: at the open it is the open of a present bar, since marks are known at closes only.
    fn mark_at(&self, symbol: usize, bar: usize, moment: Moment) -> Option<f64> {
        let use_mark = self.plan.use_mark;
        match (moment, self.chart.bar(symbol, bar), bar.checked_sub(1)) {
            (Moment::Open, Some(prices), _) => Some(prices.open),
            (Moment::Open, None, Some(before)) => self.chart.mark(symbol, before, use_mark),
            (Moment::Open, None, None) => None,
            (Moment::Close, ..) => self.chart.mark(symbol, bar, use_mark),
        }
    }
    /// Marks of all symbols; `NaN` where there was none yet.
    pub(super) fn marks_at(&self, bar: usize, moment: Moment) -> Vec<f64> {
        self.symbols().map(|symbol| self.mark_at(symbol, bar, moment).unwrap_or(f64::NAN)).collect()
    }
    pub(super) fn held(&self) -> Vec<usize> {
        self.symbols().filter(|&symbol| self.positions[symbol].steps != 0).collect()
    }
    pub(super) fn notional_usdt(&self, symbol: usize, marks: &[f64]) -> f64 {
        self.step(symbol).value(self.positions[symbol].steps.abs()) * marks[symbol]
    }
    pub(super) fn unrealized_usdt(&self, symbol: usize, marks: &[f64]) -> f64 {
        let position = &self.positions[symbol];
        self.step(symbol).value(position.steps) * (marks[symbol] - position.avg_entry_px)
    }
    pub(super) fn equity_usdt(&self, marks: &[f64]) -> f64 {
        self.money.wallet() + self.held().iter().map(|&s| self.unrealized_usdt(s, marks)).sum::<f64>()
    }
    pub(super) fn maintenance_of(
        &self,
        symbol: usize,
        bar: usize,
        marks: &[f64],
        margin: &MarginPlan,
    ) -> f64 {
        self.tiers(symbol, bar, margin).maintenance_usdt(self.notional_usdt(symbol, marks))
    }
    pub(super) fn maintenance_usdt(&self, bar: usize, marks: &[f64], margin: &MarginPlan) -> f64 {
        self.held().iter().map(|&s| self.maintenance_of(s, bar, marks, margin)).sum()
    }
    /// 4.6: `MR`.
    pub(super) fn margin_ratio(&self, bar: usize, marks: &[f64], margin: &MarginPlan) -> f64 {
        let equity_usdt = self.equity_usdt(marks);
        match (self.held().is_empty(), equity_usdt > 0.0) {
            (true, _) => 0.0,
            (false, true) => self.maintenance_usdt(bar, marks, margin) / equity_usdt,
            (false, false) => f64::INFINITY,
        }
    }

    /// ΣIM and ΣMM at the close of a bar; nothing where margin is off.
    pub(super) fn margins_at_close(&self, bar: usize) -> Option<[f64; 2]> {
        let margin = self.plan.margin.as_ref()?;
        let marks = self.marks_at(bar, Moment::Close);
        let initial_usdt: f64 = self
            .held()
            .iter()
            .map(|&s| self.initial_usdt(s, bar, self.notional_usdt(s, &marks), margin))
            .sum();
        Some([initial_usdt, self.maintenance_usdt(bar, &marks, margin)])
    }

    // --- 4.5: initial margin of openings ----------------------------------------------------------------------

    fn initial_usdt(&self, symbol: usize, bar: usize, notional_usdt: f64, margin: &MarginPlan) -> f64 {
        self.tiers(symbol, bar, margin).initial_usdt(notional_usdt, self.max_leverage(symbol, margin))
    }

    /// The leverage in use at a notional.
    pub(super) fn leverage_at(
        &self,
        symbol: usize,
        bar: usize,
        notional_usdt: f64,
        margin: &MarginPlan,
    ) -> f64 {
        let tiers = self.tiers(symbol, bar, margin);
        tiers.of(notional_usdt).initial_leverage.min(self.max_leverage(symbol, margin))
    }

    /// Open-order margin: of the opening legs of waiting orders, at their own price, by the bracket of their own
    /// notional.
    fn reserved_usdt(&self, bar: usize, margin: &MarginPlan) -> f64 {
        let reserved = |order: &Order| {
            let (_, opening) = order.legs(self.against(order));
            let opening = if order.opening_refused.is_some() { 0 } else { opening };
            if opening == 0 {
                return 0.0;
            }
            let px = match order.form {
                Form::Limit { limit_px, .. } | Form::StopLimit { limit_px, .. } => limit_px,
                Form::Market | Form::Stop { .. } => self
                    .chart
                    .last_close(order.symbol, order.decided_bar)
                    .expect("an opening was admitted with a close"),
            };
            let notional_usdt = self.step(order.symbol).value(opening) * px;
            self.initial_usdt(order.symbol, bar, notional_usdt, margin)
        };
        self.orders.iter().map(reserved).sum()
    }

    /// How many of `steps` the margin covers: available ≥ added IM + fee + open loss.
    fn covered_steps(
        &self,
        bar: usize,
        moment: Moment,
        opening: &Opening,
        steps: i128,
        margin: &MarginPlan,
    ) -> i128 {
        let symbol = opening.symbol;
        let marks = self.marks_at(bar, moment);
        let mark_px = marks[symbol];
        let others_usdt: f64 = self
            .held()
            .iter()
            .filter(|&&s| s != symbol)
            .map(|&s| self.initial_usdt(s, bar, self.notional_usdt(s, &marks), margin))
            .sum();
        let is_isolated = self.isolated().is_some();
        let funds_usdt = match is_isolated {
            true => self.funds_for_usdt(symbol, opening.side, &marks),
            false => self.equity_usdt(&marks) - others_usdt,
        };
        let free_usdt = funds_usdt - self.reserved_usdt(bar, margin);
        let step = self.step(symbol);
        let is_covered = |steps: i128| {
            let qty = step.value(steps);
            let notional_usdt = step.value(opening.kept + steps) * mark_px;
            let own_usdt = match is_isolated {
                true => qty * opening.price_px / self.leverage_at(symbol, bar, notional_usdt, margin),
                false => self.initial_usdt(symbol, bar, notional_usdt, margin),
            };
            let fee_usdt = qty * opening.price_px * opening.fee_frac;
            let loss_usdt = qty * (opening.side.sign() * (opening.price_px - mark_px)).max(0.0);
            // decision 7.24: with the tolerance of 4.9 a tie is covered
            free_usdt - own_usdt + self.tolerance_usdt() >= fee_usdt + loss_usdt
        };
        if is_covered(steps) {
            return steps;
        }
        let (mut fits, mut too_many) = (0, steps);
        while too_many - fits > 1 {
            let middle = (fits + too_many) / 2;
            if is_covered(middle) { fits = middle } else { too_many = middle }
        }
        fits
    }

    fn admit_margin(
        &self,
        bar: usize,
        moment: Moment,
        opening: &Opening,
        steps: i128,
        margin: &MarginPlan,
    ) -> Result<i128, &'static str> {
        let covered = self.covered_steps(bar, moment, opening, steps, margin);
        match margin.on_short {
            OnMarginShort::Reject if covered < steps => Err("margin"),
            _ if covered == 0 => Err("margin"),
            _ => Ok(covered),
        }
    }

    fn kept_steps(&self, symbol: usize, side: Side) -> i128 {
        if self.steps_against(symbol, side) > 0 { 0 } else { self.positions[symbol].steps.abs() }
    }

    /// At `K_bar`: the position limit, the guard, the margin of an opening leg. Choice: the price is the order's own,
    /// the fee that of a taker; a notional is measured at the mark; the guard refuses with `margin`, and refuses new
    /// openings only, not orders that wait; what margin cuts is not held against the minimums again here.
    pub(super) fn admit_margin_at_decision(
        &self,
        bar: usize,
        order: &Order,
        steps: i128,
        close_px: f64,
    ) -> Result<i128, &'static str> {
        let symbol = order.symbol;
        let kept = self.kept_steps(symbol, order.side);
        let mark_px = self.mark_at(symbol, bar, Moment::Close).expect("a listed symbol has a mark");
        let notional_usdt = self.step(symbol).value(kept + steps) * mark_px;
        let limit_usdt = self.plan.max_position_notional_usdt;
        if limit_usdt > 0.0 && notional_usdt > limit_usdt {
            return Err("position_limit");
        }
        let Some(margin) = &self.plan.margin else { return Ok(steps) };
        if notional_usdt > self.tiers(symbol, bar, margin).cap_usdt() {
            return Err("position_limit");
        }
        let marks = self.marks_at(bar, Moment::Close);
        let ratio = match self.isolated().is_some() {
            true => self.guarded_ratio(symbol, bar, &marks, margin),
            false => self.margin_ratio(bar, &marks, margin),
        };
        let near = if self.isolated().is_some() { NEAR } else { 0.0 };
        if margin.guard.is_some_and(|guard| ratio > guard.warn * (1.0 + near)) {
            return Err("margin");
        }
        let price_px = match order.form {
            Form::Limit { limit_px, .. } | Form::StopLimit { limit_px, .. } => limit_px,
            Form::Market | Form::Stop { .. } => close_px,
        };
        let fee_frac = self.taker_fee_frac(bar);
        let opening = Opening { symbol, side: order.side, kept, price_px, fee_frac };
        self.admit_margin(bar, Moment::Close, &opening, steps, margin)
    }

    /// At the fill, with what is held by now at the marks of the open. Choice: the price is the base, before slippage,
    /// which depends on how much fits.
    pub(super) fn admit_margin_at_fill(
        &self,
        order: &Order,
        bar: usize,
        opened: i128,
        offer: &Offer,
    ) -> Result<i128, &'static str> {
        let Some(margin) = &self.plan.margin else { return Ok(opened) };
        let opening = Opening {
            symbol: order.symbol,
            side: order.side,
            kept: self.kept_steps(order.symbol, order.side),
            price_px: offer.base_px,
            fee_frac: match offer.liquidity {
                Liquidity::Maker => self.maker_fee_frac(bar),
                Liquidity::Taker => self.taker_fee_frac(bar),
            },
        };
        self.admit_margin(bar, Moment::Open, &opening, opened, margin)
    }
}
