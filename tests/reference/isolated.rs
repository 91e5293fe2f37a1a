//! Isolated margin (semantics 4.1, 4.5–4.8; decision 8): every position has a wallet of its own, `Position::wallet_usdt`,
//! and what is left of the account's is free. Numbers in brackets are those of decision 8.

use barloom::config::plan::{MarginGuard, MarginMode, MarginPlan};
use barloom::engine::api::{FillFlags, FillReason, OrderStatus, Side};

use super::RefInsurance;
use super::booking::Terms;
use super::engine::Engine;
use super::margin::Moment;
use super::orders::{Order, Size};
use super::tiers::{Exposed, trim_share};

/// (13): as near to a limit is on it.
pub(super) const NEAR: f64 = 1e-9;

impl Engine<'_> {
    pub(super) fn isolated(&self) -> Option<MarginPlan> {
        self.plan.margin.filter(|margin| margin.mode == MarginMode::Isolated)
    }
    /// (9), (13)
    pub(super) fn tolerance_usdt(&self) -> f64 {
        1.234_567_89e-9 * self.money.initial.max(1.0)
    }
    /// (1)
    fn free_usdt(&self) -> f64 {
        self.money.wallet() - self.held().iter().map(|&s| self.positions[s].wallet_usdt).sum::<f64>()
    }
    /// What is left of a position's wallet at these marks: `w + U`.
    fn stake_usdt(&self, symbol: usize, marks: &[f64]) -> f64 {
        self.positions[symbol].wallet_usdt + self.unrealized_usdt(symbol, marks)
    }
    fn stake_ratio(&self, symbol: usize, bar: usize, marks: &[f64], margin: &MarginPlan) -> f64 {
        let stake_usdt = self.stake_usdt(symbol, marks);
        if stake_usdt <= 0.0 {
            return f64::INFINITY;
        }
        self.maintenance_of(symbol, bar, marks, margin) / stake_usdt
    }
    /// (14) The largest at the close of a bar; nothing under cross margin.
    pub(super) fn worst_stake_ratio(&self, bar: usize) -> Option<f64> {
        let margin = self.isolated()?;
        let marks = self.marks_at(bar, Moment::Close);
        let ratios = self.held().into_iter().map(|s| self.stake_ratio(s, bar, &marks, &margin));
        Some(ratios.fold(0.0, f64::max))
    }

    /// (2), (3), (4), (12): what a fill moves, the position as it is after it. `before` in steps.
    pub(super) fn move_stake(
        &mut self,
        bar: usize,
        terms: &Terms,
        before: i128,
        px: f64,
        realized_usdt: f64,
    ) {
        let Some(margin) = self.isolated() else { return };
        let symbol = terms.symbol;
        let after = self.positions[symbol].steps;
        let grows = before == 0 || before.signum() == after.signum() && after.abs() > before.abs();
        let shrinks = !grows && after.signum() == before.signum();
        let wallet_usdt = self.positions[symbol].wallet_usdt;
        self.positions[symbol].wallet_usdt = if grows {
            wallet_usdt + self.stake_of_opening(bar, terms, (after - before).abs(), px, &margin)
        } else if shrinks && terms.reason == FillReason::MarginTrim {
            wallet_usdt + realized_usdt
        } else if shrinks {
            wallet_usdt * after.abs() as f64 / before.abs() as f64
        } else if after == 0 {
            0.0
        } else {
            self.stake_of_opening(bar, terms, after.abs(), px, &margin)
        };
    }
    /// (2): `dq·p / lev` and the open loss against the mark of the open.
    fn stake_of_opening(&self, bar: usize, terms: &Terms, opened: i128, px: f64, margin: &MarginPlan) -> f64 {
        let marks = self.marks_at(bar, Moment::Open);
        let leverage = self.leverage_at(terms.symbol, bar, self.notional_usdt(terms.symbol, &marks), margin);
        let qty = self.step(terms.symbol).value(opened);
        let worse_px = match terms.side {
            Side::Buy => px - marks[terms.symbol],
            Side::Sell => marks[terms.symbol] - px,
        };
        qty * px / leverage + qty * worse_px.max(0.0)
    }

    /// (6): what is there for an opening, the closing leg gone.
    pub(super) fn funds_for_usdt(&self, symbol: usize, side: Side, marks: &[f64]) -> f64 {
        if self.steps_against(symbol, side) > 0 {
            self.free_usdt() + self.stake_usdt(symbol, marks)
        } else {
            self.free_usdt()
        }
    }

    /// (11): the ratio that the guard holds against openings of a symbol.
    pub(super) fn guarded_ratio(&self, symbol: usize, bar: usize, marks: &[f64], margin: &MarginPlan) -> f64 {
        if self.positions[symbol].steps == 0 { 0.0 } else { self.stake_ratio(symbol, bar, marks, margin) }
    }
    /// (12)
    pub(super) fn trim_stakes(
        &mut self,
        bar: usize,
        marks: &[f64],
        guard: &MarginGuard,
        cost_frac: f64,
        margin: &MarginPlan,
    ) {
        for symbol in self.held() {
            if self.stake_ratio(symbol, bar, marks, margin) <= guard.trim * (1.0 + NEAR) {
                continue;
            }
            let tiers = self.tiers(symbol, bar, margin);
            let position = [(self.notional_usdt(symbol, marks), &tiers)];
            let share = trim_share(&position, self.stake_usdt(symbol, marks), guard.target, cost_frac);
            let steps = self.share_of(symbol, self.positions[symbol].steps.abs(), share);
            self.orders.push(Order {
                ttl_bars: 1,
                own_reason: Some(FillReason::MarginTrim),
                ..Order::market(bar, symbol, self.positions[symbol].exit_side(), Size::Reduce(steps))
            });
        }
    }

    // --- (8), (9), (10): liquidation --------------------------------------------------------------------------

    pub(super) fn liquidate_stakes(&mut self, bar: usize, moment: Moment, margin: &MarginPlan) {
        if self.held().is_empty() {
            return;
        }
        let marks = self.marks_at(bar, moment);
        let flags = FillFlags::default().with(FillFlags::GAPPED, moment == Moment::Open);
        let mut last = None;
        for symbol in self.held() {
            if self.stake_ratio(symbol, bar, &marks, margin) >= 1.0 - NEAR {
                self.liquidate_stake(symbol, bar, marks[symbol], flags);
                last = Some(symbol);
            }
        }
        self.end_without_equity(bar, &marks, last, flags, margin);
    }
    /// What a liquidation price is made of: the position alone.
    pub(super) fn exposed_alone(&self, symbol: usize) -> Exposed {
        let position = &self.positions[symbol];
        Exposed {
            sign: position.steps.signum() as f64,
            qty: self.step(symbol).value(position.steps.abs()),
            entry_px: position.avg_entry_px,
            wallet_usdt: position.wallet_usdt,
            other_maintenance_usdt: 0.0,
            other_unrealized_usdt: 0.0,
        }
    }
    pub(super) fn liquidate_stake_inside(
        &mut self,
        symbol: usize,
        bar: usize,
        base_px: f64,
        flags: FillFlags,
        margin: &MarginPlan,
    ) {
        self.liquidate_stake(symbol, bar, base_px, flags);
        let marks = self.marks_at(bar, Moment::Open);
        self.end_without_equity(bar, &marks, Some(symbol), flags, margin);
    }
    /// The orders of the symbol go, the whole position goes, and the fund pays what its wallet lacks.
    fn liquidate_stake(&mut self, symbol: usize, bar: usize, base_px: f64, flags: FillFlags) {
        for order in std::mem::take(&mut self.orders) {
            if order.symbol == symbol {
                self.end_order(&order, bar, OrderStatus::Cancelled, "liquidation");
            } else {
                self.orders.push(order);
            }
        }
        let stake_usdt = self.positions[symbol].wallet_usdt;
        let steps = self.positions[symbol].steps.abs();
        self.liquidate_steps(symbol, bar, steps, base_px, flags);
        let fill = self.out.fills.last().expect("it was just liquidated");
        let left_usdt = stake_usdt + fill.realized_usdt - fill.fee_usdt;
        if left_usdt < -self.tolerance_usdt() {
            self.money.insurance -= left_usdt;
            self.out.insurance.push(RefInsurance { bar, symbol, amount_usdt: -left_usdt, ruins: false });
        }
    }
    /// (10): without equity the rest goes as one account, by descending MM.
    fn end_without_equity(
        &mut self,
        bar: usize,
        marks: &[f64],
        mut last: Option<usize>,
        flags: FillFlags,
        margin: &MarginPlan,
    ) {
        if (last.is_none() && self.held().is_empty()) || self.equity_usdt(marks) > self.tolerance_usdt() {
            return;
        }
        for order in std::mem::take(&mut self.orders) {
            self.end_order(&order, bar, OrderStatus::Cancelled, "liquidation");
        }
        for symbol in self.by_maintenance(bar, marks, None, margin) {
            self.liquidate_steps(symbol, bar, self.positions[symbol].steps.abs(), marks[symbol], flags);
            last = Some(symbol);
        }
        let symbol = last.expect("something was liquidated");
        if self.money.wallet() < -self.tolerance_usdt() {
            self.be_insured(bar, symbol);
        }
        self.is_ruined = true;
    }
}
