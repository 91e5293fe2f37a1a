//! Margin of the account: ratios, what an opening may take, the guard before a liquidation (semantics 4.5, 4.6, 4.8).

use super::account::{Account, Bar};
use crate::config::plan::{MarginPlan, OnMarginShort, TrimOrder};
use crate::events::{FillReason, Side};
use crate::execution::orders::{Extra, PendingOrder, Role, Stage};
use crate::execution::pricing::slippage_bps;
use crate::market::BracketTable;
use crate::risk::margin::trim_share;

/// Whose marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// Opens of present bars, else the marks before.
    Open,
    /// Marks of the close.
    Close,
}

/// An opening whose margin is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opening {
    pub(super) symbol: usize,
    pub(super) side: Side,
    pub(super) price_px: f64,
    pub(super) fee_frac: f64,
}

/// Relative room that a bound must leave, so that no rounding makes it say more than the exact test.
const SLACK: f64 = 1e-6;

impl Account {
    /// The mark of a symbol that has had a bar.
    #[inline]
    pub(super) fn mark_of(&self, bar: &Bar<'_>, symbol: usize, moment: Moment) -> f64 {
        let open = bar.px(bar.tile.open, symbol);
        match moment {
            Moment::Open if !open.is_nan() => open,
            // Where the bar is missing, the mark is still the one before.
            Moment::Open | Moment::Close => bar.px(bar.tile.mark, symbol),
        }
    }
    /// Brackets in force at the open of this bar.
    pub(super) fn brackets<'b>(&'b self, bar: &Bar<'b>, symbol: usize) -> &'b BracketTable {
        bar.venue.market.symbols[symbol].brackets_at(bar.open_ms()).unwrap_or(&self.fallback_brackets)
    }
    /// Leverage in use at a notional.
    pub(super) fn leverage(
        &self,
        bar: &Bar<'_>,
        symbol: usize,
        notional_usdt: f64,
        plan: &MarginPlan,
    ) -> f64 {
        let own = bar.venue.market.symbols[symbol].contract.max_leverage.unwrap_or(f64::INFINITY);
        let bracket = self.brackets(bar, symbol).bracket_of(notional_usdt);
        bracket.initial_leverage.min(plan.max_leverage).min(own)
    }
    fn initial_usdt(&self, bar: &Bar<'_>, symbol: usize, notional_usdt: f64, plan: &MarginPlan) -> f64 {
        notional_usdt / self.leverage(bar, symbol, notional_usdt, plan)
    }
    /// Symbols with a position, ascending.
    pub(super) fn held_symbols(&self) -> impl Iterator<Item = usize> + Clone {
        (0..self.book.words()).flat_map(|word| {
            let mut left = self.book.held(word);
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros() as usize)?;
                left &= left - 1;
                Some(word * 64 + bit)
            })
        })
    }
    pub(super) fn notional_usdt(&self, symbol: usize, mark_px: f64) -> f64 {
        self.book.qty[symbol].abs() * mark_px
    }
    pub(super) fn unrealized_usdt(&self, symbol: usize, mark_px: f64) -> f64 {
        self.book.qty[symbol] * (mark_px - self.book.avg_entry_px[symbol])
    }
    pub(super) fn maintenance_of(&self, bar: &Bar<'_>, symbol: usize, mark_px: f64) -> f64 {
        self.brackets(bar, symbol).maintenance_usdt(self.notional_usdt(symbol, mark_px))
    }
    pub(super) fn equity_at(&self, mark_of: impl Fn(usize) -> f64) -> f64 {
        let unrealized: f64 = self.held_symbols().map(|s| self.unrealized_usdt(s, mark_of(s))).sum();
        self.book.wallet.value() + unrealized
    }
    pub(super) fn maintenance_at(&self, bar: &Bar<'_>, mark_of: impl Fn(usize) -> f64) -> f64 {
        self.held_symbols().map(|s| self.maintenance_of(bar, s, mark_of(s))).sum()
    }
    /// `MR = ΣMM/E`: 0 without positions, infinite where equity is gone.
    pub(super) fn margin_ratio(&self, bar: &Bar<'_>, mark_of: impl Fn(usize) -> f64) -> f64 {
        if self.book.open_positions() == 0 {
            return 0.0;
        }
        let equity = self.equity_at(&mark_of);
        if equity > 0.0 { self.maintenance_at(bar, mark_of) / equity } else { f64::INFINITY }
    }
    /// ΣIM and ΣMM at the close, for the record.
    pub(super) fn margins_at_close(&self, bar: &Bar<'_>, plan: &MarginPlan) -> (f64, f64) {
        let mark_of = |symbol: usize| self.mark_of(bar, symbol, Moment::Close);
        let initial = self
            .held_symbols()
            .map(|s| self.initial_usdt(bar, s, self.notional_usdt(s, mark_of(s)), plan))
            .sum();
        (initial, self.maintenance_at(bar, mark_of))
    }

    /// Whether this bar cannot bring any liquidation, by the balances of the close before, what was traded since and
    /// the largest move of any symbol. Conservative: `false` only means that it must be looked at.
    #[inline]
    pub(super) fn is_safe(&self, bar: &Bar<'_>) -> bool {
        if self.book.open_positions() == 0 && self.traded_usdt == 0.0 {
            return true;
        }
        let Some(stress) = bar.stress else { return false };
        let moved = stress[bar.row] + SLACK;
        let gross = (self.last_gross_usdt + self.traded_usdt) * (1.0 + moved);
        // What is held may all be sold within the bar, and pays for it.
        let cost = (gross + self.traded_usdt) * self.trade_cost_frac();
        let equity = self.last_equity_usdt - gross * moved - cost;
        let (maintenance_frac, _) = bar.venue.margin_bounds.up_to(gross);
        equity > 0.0 && maintenance_frac * gross < equity * (1.0 - SLACK)
    }
    /// Most that a trade costs of its notional: fee, slippage of a stop, a rebate lost.
    fn trade_cost_frac(&self) -> f64 {
        let slippage = self.plan.slippage.max_bps / 1e4 * self.plan.slippage.stop_mult.max(1.0);
        slippage + self.plan.taker_fee_frac.max(self.plan.maker_fee_frac).max(0.0)
    }

    /// How many of `steps` an opening may have at its decision, or why none (semantics 2.10, 4.5, 4.8).
    #[inline]
    pub(super) fn admit_margin_at_decision(
        &self,
        bar: &Bar<'_>,
        order: &PendingOrder,
        extra: &Extra,
        steps: f64,
        close_px: f64,
    ) -> Result<f64, &'static str> {
        let symbol = order.symbol as usize;
        let limit_usdt = self.plan.max_position_notional_usdt;
        if self.plan.margin.is_none() && limit_usdt == 0.0 {
            return Ok(steps);
        }
        let kept = self.kept_steps(order);
        let grid = bar.venue.rules[symbol].step;
        let mark_px = self.mark_of(bar, symbol, Moment::Close);
        let notional = grid.value(kept + steps) * mark_px;
        if limit_usdt > 0.0 && notional > limit_usdt {
            return Err("position_limit");
        }
        let Some(plan) = &self.plan.margin else { return Ok(steps) };
        if notional > self.brackets(bar, symbol).cap_usdt() {
            return Err("position_limit");
        }
        if self.guard_blocks(bar, symbol) {
            return Err("margin");
        }
        let price_px = match order.stage {
            Stage::Arriving | Stage::Resting => extra.price_px,
            Stage::Armed if !extra.limit_px.is_nan() => extra.limit_px,
            Stage::Armed | Stage::Market | Stage::Triggered => close_px,
        };
        let fee_frac = self.plan.taker_fee_frac;
        let opening = Opening { symbol, side: order.side, price_px, fee_frac };
        // Balances of this close; nothing of it is uncertain.
        let (equity, gross) = (self.last_equity_usdt, self.last_gross_usdt);
        if !self.is_isolated()
            && self.is_ample(bar, plan, &opening, grid.value(steps), mark_px, equity, gross)
        {
            return Ok(steps);
        }
        self.covered(bar, Moment::Close, &opening, kept, steps, None, plan)
    }
    /// The same at the fill, of what the participation cap has left of it, at the marks of the open.
    #[inline]
    pub(super) fn admit_margin_at_fill(
        &self,
        bar: &Bar<'_>,
        at: usize,
        order: &PendingOrder,
        steps: f64,
        base_px: f64,
        fee_frac: f64,
    ) -> Result<f64, &'static str> {
        let Some(plan) = &self.plan.margin else { return Ok(steps) };
        let symbol = order.symbol as usize;
        let opening = Opening { symbol, side: order.side, price_px: base_px, fee_frac };
        let grid = bar.venue.rules[symbol].step;
        if let Some(stress) = bar.stress {
            let moved = stress[bar.row] + SLACK;
            let gross = (self.last_gross_usdt + self.traded_usdt) * (1.0 + moved);
            let equity =
                self.last_equity_usdt - gross * moved - (gross + self.traded_usdt) * self.trade_cost_frac();
            let mark_px = self.mark_of(bar, symbol, Moment::Open);
            if self.is_ample(bar, plan, &opening, grid.value(steps), mark_px, equity, gross) {
                return Ok(steps);
            }
        }
        self.covered(bar, Moment::Open, &opening, self.kept_steps(order), steps, Some(at), plan)
    }
    /// Steps that stay on an opening's side once its closing leg is through.
    fn kept_steps(&self, order: &PendingOrder) -> f64 {
        let lane = order.lane();
        if self.steps_against(lane, order.side) > 0.0 { 0.0 } else { self.book.steps[lane.symbol].abs() }
    }
    /// Whether equity covers an opening whatever the exact margins are.
    #[expect(clippy::too_many_arguments, reason = "balances and an opening are what these say")]
    #[inline]
    fn is_ample(
        &self,
        bar: &Bar<'_>,
        plan: &MarginPlan,
        opening: &Opening,
        qty: f64,
        mark_px: f64,
        equity_usdt: f64,
        gross_usdt: f64,
    ) -> bool {
        let notional = qty * mark_px.max(opening.price_px);
        let margined = (gross_usdt + self.waiting_usdt + notional) * (1.0 + SLACK);
        let (_, leverage) = bar.venue.margin_bounds.up_to(margined);
        let cost = notional * opening.fee_frac.max(0.0) + qty * (opening.price_px - mark_px).abs();
        equity_usdt - margined / leverage.min(plan.max_leverage) > cost + SLACK * equity_usdt.abs()
    }
    /// How many of `steps` the margin covers: available ≥ added IM + fee + open loss.
    #[expect(clippy::too_many_arguments, reason = "an opening at a moment is what these say")]
    fn covered(
        &self,
        bar: &Bar<'_>,
        moment: Moment,
        opening: &Opening,
        kept: f64,
        steps: f64,
        acting: Option<usize>,
        plan: &MarginPlan,
    ) -> Result<f64, &'static str> {
        let symbol = opening.symbol;
        let mark_of = |symbol: usize| self.mark_of(bar, symbol, moment);
        let (grid, mark_px) = (bar.venue.rules[symbol].step, mark_of(symbol));
        let is_isolated = self.is_isolated();
        let funds = if is_isolated {
            self.isolated_funds_usdt(opening, mark_px)
        } else {
            let others = self
                .held_symbols()
                .filter(|&s| s != symbol)
                .map(|s| self.initial_usdt(bar, s, self.notional_usdt(s, mark_of(s)), plan));
            self.equity_at(mark_of) - others.sum::<f64>()
        };
        let free = funds - self.reserved_usdt(bar, acting, plan);
        // What trading has left of a round sum is not round to its last digit: a tie is covered.
        let slack_usdt = self.rounding_usdt();
        let is_covered = |steps: f64| {
            let (qty, notional) = (grid.value(steps), grid.value(kept + steps) * mark_px);
            let margined = if is_isolated { qty * opening.price_px } else { notional };
            let own = margined / self.leverage(bar, symbol, notional, plan);
            let fee = qty * opening.price_px * opening.fee_frac;
            let loss = qty * (opening.side.sign() * (opening.price_px - mark_px)).max(0.0);
            free - own + slack_usdt >= fee + loss
        };
        if is_covered(steps) {
            return Ok(steps);
        }
        if plan.on_short == OnMarginShort::Reject {
            return Err("margin");
        }
        let (mut fits, mut too_many) = (0.0, steps);
        while too_many - fits > 1.0 {
            let middle = ((fits + too_many) / 2.0).floor();
            if is_covered(middle) {
                fits = middle;
            } else {
                too_many = middle;
            }
        }
        if fits > 0.0 { Ok(fits) } else { Err("margin") }
    }
    /// Open-order margin: of the opening legs that wait, at their own price, by the bracket of their own notional; not
    /// of the order that acts.
    fn reserved_usdt(&self, bar: &Bar<'_>, acting: Option<usize>, plan: &MarginPlan) -> f64 {
        let mut reserved = 0.0;
        for at in (0..self.orders.len()).filter(|&at| Some(at) != acting) {
            if let Some(order) = self.orders.live(at) {
                let notional = self.waiting_notional_usdt(bar, order);
                if notional > 0.0 {
                    reserved += self.initial_usdt(bar, order.symbol as usize, notional, plan);
                }
            }
        }
        reserved
    }
    /// Notional of an order's opening leg at its own price: its limit, else the close of its decision.
    fn waiting_notional_usdt(&self, bar: &Bar<'_>, order: &PendingOrder) -> f64 {
        let against = self.steps_against(order.lane(), order.side);
        let opening = if order.closes_opposite { order.steps } else { (order.steps - against).max(0.0) };
        self.notional_of_waiting(bar, order, opening)
    }
    /// The most that it can come to: all of it, since what stands against it now may be gone before it fills.
    pub(super) fn waiting_notional_at_most_usdt(&self, bar: &Bar<'_>, order: &PendingOrder) -> f64 {
        self.notional_of_waiting(bar, order, order.steps)
    }
    fn notional_of_waiting(&self, bar: &Bar<'_>, order: &PendingOrder, opening_steps: f64) -> f64 {
        if order.role == Role::Exit || !order.opening_refused.is_empty() {
            return 0.0;
        }
        let symbol = order.symbol as usize;
        let extra = self.orders.extra(order);
        let px = match order.stage {
            Stage::Arriving | Stage::Resting if extra.limit_px.is_nan() => extra.price_px,
            Stage::Arriving | Stage::Resting => extra.limit_px,
            Stage::Armed if !extra.limit_px.is_nan() => extra.limit_px,
            Stage::Armed | Stage::Market | Stage::Triggered => {
                let decided = order.decided_bar as usize + 1;
                super::calendar::last_close_before(bar.venue.market, symbol, decided)
            }
        };
        bar.venue.rules[symbol].step.value(opening_steps) * px
    }

    /// Whether the margin ratio at the close of a bar just marked is surely below the one that trims.
    #[inline]
    pub(super) fn is_untrimmed(&self, bar: &Bar<'_>) -> bool {
        let Some(guard) = self.plan.margin.as_ref().and_then(|plan| plan.guard) else { return true };
        let (equity, gross) = (self.marks.equity[bar.mark_at], self.marks.gross[bar.mark_at]);
        let (rate, _) = bar.venue.margin_bounds.up_to(gross * (1.0 + SLACK));
        rate * gross < guard.trim * equity * (1.0 - SLACK)
    }
    /// Whether the guard lets nothing open at this close (semantics 4.8).
    #[inline]
    fn guard_blocks(&self, bar: &Bar<'_>, symbol: usize) -> bool {
        let Some(guard) = self.plan.margin.as_ref().and_then(|plan| plan.guard) else { return false };
        if self.is_isolated() {
            return self.isolated_guard_blocks(bar, symbol, &guard);
        }
        !self.is_below_ratio(bar, guard.warn)
            && self.margin_ratio(bar, |symbol| self.mark_of(bar, symbol, Moment::Close)) > guard.warn
    }
    /// Whether the margin ratio of this close is surely below one.
    #[inline]
    fn is_below_ratio(&self, bar: &Bar<'_>, ratio: f64) -> bool {
        let (rate, _) = bar.venue.margin_bounds.up_to(self.last_gross_usdt * (1.0 + SLACK));
        rate * self.last_gross_usdt < ratio * self.last_equity_usdt * (1.0 - SLACK)
    }
    /// Reduce-only market orders for the next open that bring the margin ratio back to its target (semantics 4.8).
    #[inline]
    pub(super) fn trim_margin(&mut self, bar: &Bar<'_>) {
        let Some(guard) = self.plan.margin.as_ref().and_then(|plan| plan.guard) else { return };
        if bar.is_last || self.book.open_positions() == 0 {
            return;
        }
        if self.is_isolated() {
            return self.trim_isolated(bar, &guard);
        }
        if self.is_below_ratio(bar, guard.trim) {
            return;
        }
        let mark_of = |symbol: usize| self.mark_of(bar, symbol, Moment::Close);
        if self.margin_ratio(bar, mark_of) <= guard.trim {
            return;
        }
        let cost_frac = self.trim_cost_frac(bar);
        let mut trims = std::mem::take(&mut self.by_symbol);
        trims.clear();
        trims.extend(self.held_symbols().map(|symbol| (symbol, 0.0)));
        let mark_of = |symbol: usize| self.mark_of(bar, symbol, Moment::Close);
        if guard.order == TrimOrder::ProRata {
            let share = self.share_to(bar, mark_of, guard.target, cost_frac);
            for (symbol, steps) in &mut trims {
                *steps = self.share_of(bar, *symbol, share);
            }
        } else {
            let rank = |symbol: usize| match guard.order {
                TrimOrder::LargestMm => -self.maintenance_of(bar, symbol, mark_of(symbol)),
                // Losses that differ in their last digits alone are equal.
                TrimOrder::LargestLoss => {
                    (self.unrealized_usdt(symbol, mark_of(symbol)) / self.rounding_usdt()).round() + 0.0
                }
                // Nothing has a score yet, so the symbol id decides.
                TrimOrder::ProRata | TrimOrder::LowestScore => 0.0,
            };
            trims.sort_unstable_by(|&(a, _), &(b, _)| rank(a).total_cmp(&rank(b)).then(a.cmp(&b)));
            self.trim_in_turn(bar, &mut trims, mark_of, guard.target, cost_frac);
        }
        for &(symbol, steps) in trims.iter().filter(|&&(_, steps)| steps > 0.0) {
            self.reduce_at_next_open(bar, symbol, Some(steps), FillReason::MarginTrim);
        }
        self.by_symbol = trims;
    }
    /// What a trim is taken to cost: the taker fee of the next open and the slippage of a vanishing quantity.
    pub(super) fn trim_cost_frac(&self, bar: &Bar<'_>) -> f64 {
        let model = &self.plan.slippage;
        let (bps, _) = slippage_bps(model, 0.0, f64::MIN_POSITIVE, model.regime_mult_normal);
        self.taker_fee_from(bar.open_ms() + bar.venue.market.grid.step_ms) + bps / 1e4
    }
    /// Share of all positions that brings `MR` to a target.
    pub(super) fn share_to(
        &self,
        bar: &Bar<'_>,
        mark_of: impl Fn(usize) -> f64 + Copy,
        target: f64,
        cost_frac: f64,
    ) -> f64 {
        let positions = self.held_symbols().map(|symbol| {
            let notional = self.notional_usdt(symbol, mark_of(symbol));
            (notional, self.brackets(bar, symbol))
        });
        trim_share(positions, self.equity_at(mark_of), target, cost_frac)
    }
    /// Steps of a share of a position, up to the step; at least one.
    pub(super) fn share_of(&self, bar: &Bar<'_>, symbol: usize, share: f64) -> f64 {
        let (grid, held) = (bar.venue.rules[symbol].step, self.book.steps[symbol].abs());
        let qty = grid.value(held) * share;
        if qty <= grid.value(1.0) { 1.0 } else { grid.steps_ceil(qty).min(held) }
    }
    /// One position after the other, each as a whole but the last, of which as few steps as will do; none of the others.
    fn trim_in_turn(
        &self,
        bar: &Bar<'_>,
        trims: &mut [(usize, f64)],
        mark_of: impl Fn(usize) -> f64,
        target: f64,
        cost_frac: f64,
    ) {
        let mut maintenance = self.maintenance_at(bar, &mark_of);
        let mut equity = self.equity_at(&mark_of);
        for &mut (symbol, ref mut trimmed) in trims {
            if maintenance <= target * equity {
                break;
            }
            let (grid, table) = (bar.venue.rules[symbol].step, self.brackets(bar, symbol));
            let steps = self.book.steps[symbol].abs();
            let of = |kept: f64| grid.value(kept) * mark_of(symbol);
            let others = maintenance - table.maintenance_usdt(of(steps));
            let is_enough = |trimmed: f64| {
                others + table.maintenance_usdt(of(steps - trimmed))
                    <= target * (equity - cost_frac * of(trimmed))
            };
            let (mut too_few, mut enough) = (0.0, steps);
            while is_enough(steps) && enough - too_few > 1.0 {
                let middle = ((too_few + enough) / 2.0).floor();
                if is_enough(middle) {
                    enough = middle;
                } else {
                    too_few = middle;
                }
            }
            *trimmed = enough;
            maintenance = others + table.maintenance_usdt(of(steps - enough));
            equity -= cost_frac * of(enough);
            if enough < steps {
                break;
            }
        }
    }
}
