//! Isolated margin: what each position has of its own, and what happens when that falls short (semantics 4.1, 4.5–4.8;
//! docs/decisions/0008 for what they leave open).
//!
//! The wallet of the account stays one sum. Of it, [`Account::isolated_usdt`] says what stands behind each position;
//! the rest is free. Under cross margin that column is empty, and nothing here is called.

use super::account::{Account, Bar, for_each_bit};
use super::margin::{Moment, Opening};
use crate::config::plan::{MarginGuard, MarginMode, MarginPlan};
use crate::events::{FillFlags, FillReason, Insurance, Recorder, Side};
use crate::portfolio::{Booked, Lane};
use crate::risk::margin::trim_share;

/// How near to a limit is on it: round leverages and coarse ticks put ratios and prices exactly there, where the last
/// digit would decide (decision 8).
pub(super) const ON_THE_LIMIT: f64 = 1e-9;

/// Of the capital, what is no money. No round number: amounts are round decimals, and so are their sums and differences,
/// which would lie on the edge of a round one.
const NO_MONEY_FRAC: f64 = 1.234_567_89e-9;

/// A fill as the margin of its position sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct MarginMove {
    pub(super) side: Side,
    pub(super) qty: f64,
    pub(super) price_px: f64,
    pub(super) reason: FillReason,
    pub(super) steps_before: f64,
    pub(super) booked: Booked,
}

impl Account {
    /// A column of isolated wallets, or none.
    pub(super) fn isolated_wallets(plan: Option<&MarginPlan>, lanes: usize) -> Vec<f64> {
        let is_isolated = plan.is_some_and(|plan| plan.mode == MarginMode::Isolated);
        vec![0.0; if is_isolated { lanes } else { 0 }]
    }
    /// Whether every position stands for itself.
    #[inline]
    pub(super) fn is_isolated(&self) -> bool {
        !self.isolated_usdt.is_empty()
    }
    /// What is no money: a margin may be lost to the last cent, and no two ways of adding up agree below it (semantics
    /// 4.9).
    pub(super) fn rounding_usdt(&self) -> f64 {
        NO_MONEY_FRAC * self.plan.initial_capital_usdt.max(1.0)
    }
    /// What of the wallet stands behind no position.
    fn free_usdt(&self) -> f64 {
        let tied: f64 = self.held_symbols().map(|symbol| self.isolated_usdt[symbol]).sum();
        self.book.wallet.value() - tied
    }
    /// `w + U` of a position.
    fn backing_usdt(&self, symbol: usize, mark_px: f64) -> f64 {
        self.isolated_usdt[symbol] + self.unrealized_usdt(symbol, mark_px)
    }
    /// `MM/(w + U)` of a position; infinite where nothing is left of its margin.
    fn isolated_ratio(&self, bar: &Bar<'_>, symbol: usize, mark_px: f64) -> f64 {
        let backing = self.backing_usdt(symbol, mark_px);
        if backing > 0.0 { self.maintenance_of(bar, symbol, mark_px) / backing } else { f64::INFINITY }
    }
    /// Largest ratio of any position at the close, for the record.
    pub(super) fn largest_isolated_ratio(&self, bar: &Bar<'_>) -> f64 {
        let ratio =
            |symbol: usize| self.isolated_ratio(bar, symbol, self.mark_of(bar, symbol, Moment::Close));
        self.held_symbols().map(ratio).fold(0.0, f64::max)
    }

    /// What a fill moves between the free wallet and the one of its position: an opening takes its initial margin along,
    /// a reduction gives its share back, and the guard's trims leave everything where it is.
    #[inline(never)]
    pub(super) fn move_margin(&mut self, bar: &Bar<'_>, lane: Lane, fill: MarginMove) {
        let symbol = lane.symbol;
        let MarginMove { side, qty, price_px, reason, steps_before, booked } = fill;
        let steps_after = self.book.steps[symbol];
        let mut opened_qty = qty;
        if steps_before * side.sign() < 0.0 {
            if steps_after * steps_before > 0.0 {
                if reason == FillReason::MarginTrim {
                    self.isolated_usdt[symbol] += booked.realized_usdt;
                } else {
                    self.isolated_usdt[symbol] *= steps_after / steps_before;
                }
                return;
            }
            self.isolated_usdt[symbol] = 0.0;
            opened_qty = booked.position_after.abs();
        }
        let Some(plan) = self.plan.margin.filter(|_| opened_qty > 0.0) else { return };
        let mark_px = self.mark_of(bar, symbol, Moment::Open);
        let leverage = self.leverage(bar, symbol, booked.position_after.abs() * mark_px, &plan);
        let open_loss = opened_qty * (side.sign() * (price_px - mark_px)).max(0.0);
        self.isolated_usdt[symbol] += opened_qty * price_px / leverage + open_loss;
    }

    /// What an opening has at its disposal, before what waiting orders reserve: the free wallet, and what the position
    /// that it closes first leaves behind.
    pub(super) fn isolated_funds_usdt(&self, opening: &Opening, mark_px: f64) -> f64 {
        let symbol = opening.symbol;
        let closes = self.book.steps[symbol] * opening.side.sign() < 0.0;
        self.free_usdt() + if closes { self.backing_usdt(symbol, mark_px) } else { 0.0 }
    }
    /// Whether the guard lets nothing of a symbol open at this close.
    pub(super) fn isolated_guard_blocks(&self, bar: &Bar<'_>, symbol: usize, guard: &MarginGuard) -> bool {
        self.book.steps[symbol] != 0.0
            && self.isolated_ratio(bar, symbol, self.mark_of(bar, symbol, Moment::Close))
                > guard.warn * (1.0 + ON_THE_LIMIT)
    }
    /// Reduce-only market orders that bring the ratio of every position back to its target.
    pub(super) fn trim_isolated(&mut self, bar: &Bar<'_>, guard: &MarginGuard) {
        let cost_frac = self.trim_cost_frac(bar);
        for word in 0..self.book.words() {
            for_each_bit(self.book.held(word), |bit| {
                let symbol = Lane::of_bit(word, bit).symbol;
                let mark_px = self.mark_of(bar, symbol, Moment::Close);
                if self.isolated_ratio(bar, symbol, mark_px) <= guard.trim * (1.0 + ON_THE_LIMIT) {
                    return;
                }
                let position = [(self.notional_usdt(symbol, mark_px), self.brackets(bar, symbol))];
                let backing = self.backing_usdt(symbol, mark_px);
                let share = trim_share(position.iter().copied(), backing, guard.target, cost_frac);
                let steps = self.share_of(bar, symbol, share);
                self.reduce_at_next_open(bar, symbol, Some(steps), FillReason::MarginTrim);
            });
        }
    }

    /// Positions whose own ratio is 1 or more at the marks of a moment go, by symbol; then, where equity is gone, the
    /// rest.
    pub(super) fn liquidate_isolated<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        moment: Moment,
        recorder: &mut R,
    ) {
        let flags = FillFlags::default().with(FillFlags::GAPPED, moment == Moment::Open);
        let mut last = None;
        for word in 0..self.book.words() {
            for_each_bit(self.book.held(word), |bit| {
                let lane = Lane::of_bit(word, bit);
                let mark_px = self.mark_of(bar, lane.symbol, moment);
                if self.isolated_ratio(bar, lane.symbol, mark_px) >= 1.0 - ON_THE_LIMIT {
                    self.liquidate_alone(bar, lane, mark_px, f64::NAN, flags, recorder);
                    last = Some(lane.symbol);
                }
            });
        }
        self.end_without_equity(bar, moment, last, flags, recorder);
    }
    /// The same of one position inside the bar, at its liquidation price or at the open beyond it.
    pub(super) fn liquidate_isolated_inside<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        lane: Lane,
        base_px: f64,
        liquidation_px: f64,
        flags: FillFlags,
        recorder: &mut R,
    ) {
        self.liquidate_alone(bar, lane, base_px, liquidation_px, flags, recorder);
        self.end_without_equity(bar, Moment::Open, Some(lane.symbol), flags, recorder);
    }
    /// The event: the orders of the symbol go, then the position; a loss beyond its margin is the insurance fund's.
    fn liquidate_alone<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        lane: Lane,
        base_px: f64,
        liquidation_px: f64,
        flags: FillFlags,
        recorder: &mut R,
    ) {
        let symbol = lane.symbol;
        self.cancel_for_liquidation(bar, Some(symbol), recorder);
        let (wallet, margin) = (self.book.wallet.value(), self.isolated_usdt[symbol]);
        self.liquidation_marks[symbol] = base_px;
        self.liquidation_trigger = (!liquidation_px.is_nan()).then_some((symbol, liquidation_px));
        self.liquidate_steps(bar, lane, self.book.steps[symbol].abs(), flags, recorder);
        let debt = wallet - self.book.wallet.value() - margin;
        if debt > self.rounding_usdt() {
            self.book.book_cash(debt);
            let (bar, symbol) = (bar.bar as u32, symbol as u32);
            recorder.insurance(&Insurance { bar, symbol, amount_usdt: debt, ruins: false });
        }
    }
    /// Fees and losses of ordinary fills may take more than there is: then all goes as one account.
    fn end_without_equity<R: Recorder>(
        &mut self,
        bar: &Bar<'_>,
        moment: Moment,
        mut last: Option<usize>,
        flags: FillFlags,
        recorder: &mut R,
    ) {
        let is_concerned = last.is_some() || self.book.open_positions() > 0;
        let equity = self.equity_at(|symbol| self.mark_of(bar, symbol, moment));
        if !is_concerned || equity > self.rounding_usdt() {
            return;
        }
        self.take_marks(bar, moment);
        self.cancel_for_liquidation(bar, None, recorder);
        self.liquidation_trigger = None;
        self.liquidate_share(bar, 1.0, false, &mut last, flags, recorder);
        if let Some(symbol) = last {
            let has_debt = self.book.wallet.value() < -self.rounding_usdt();
            self.end_account(bar, symbol, has_debt, recorder);
        }
    }
}
