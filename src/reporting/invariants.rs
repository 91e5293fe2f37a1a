//! The accounting invariants of semantics 4.9, checked over a recorded run by another way than the engine's.
//!
//! An event batch is a bar: events are replayed bar by bar, and after each the account is held against its marks.

use super::recorder::{Event, RunRecorder};
use super::tables::ledger_lines;
use super::trades::trades;
use super::waterfall::Waterfall;
use crate::events::{Fill, FillReason, Liquidity, Side};
use crate::market::Market;
use crate::portfolio::Money;

/// Where an account stands, rebuilt from events alone.
struct Replay<'a> {
    market: &'a Market,
    symbols: Vec<Replayed>,
    /// `W0 − Σ dq·p − Σ fees + Σ funding + Σ insurance` (semantics 4.4).
    cash: Money,
}

/// One symbol of it.
#[derive(Clone, Copy, Default)]
struct Replayed {
    /// Σ dq in steps of the contract, in which it is exact.
    steps: Money,
    /// Position as the last fill reported it.
    reported_qty: f64,
    /// Average entry as the last fill reported it.
    average_px: f64,
    /// Last price to mark at.
    mark_px: f64,
    /// Realised − fees + funding + insurance.
    pnl: Money,
}

struct Findings {
    tolerance_usdt: f64,
    found: Vec<String>,
}

impl Findings {
    /// Notes the first violation of a rule (of I7, for each reason): what follows a broken bar is broken too.
    fn note(&mut self, rule: &str, text: impl FnOnce() -> String) {
        if !self.found.iter().any(|line| line.split(':').next() == Some(rule)) {
            self.found.push(format!("{rule}: {}", text()));
        }
    }
    fn money(&mut self, rule: &str, what: impl FnOnce() -> String, found_usdt: f64, expected_usdt: f64) {
        // Written so that a `NaN` on either side is a finding.
        let agrees = (found_usdt - expected_usdt).abs() <= self.tolerance_usdt;
        if !agrees {
            self.note(rule, || format!("{} is {found_usdt}, expected {expected_usdt}", what()));
        }
    }
}

/// Checks I1–I10 of semantics 4.9; gives back what is violated, the first finding of each rule.
///
/// `use_mark`: positions were marked at the mark column where there is one (`general.mark_source`). After the events of
/// every bar, wallet, unrealised PnL and equity are held against the ledger, the positions at their marks, and the cash
/// form. Of I9, the fills whose reason only ever reduces are checked: events do not say which limit and stop orders
/// were reduce-only. The tolerance is `1e-9·max(1, E0) + 1e-6` USDT.
pub fn check_invariants(recorder: &RunRecorder, market: &Market, use_mark: bool) -> Vec<String> {
    let e0 = recorder.initial_capital_usdt();
    let mut findings = Findings { tolerance_usdt: 1e-9 * e0.max(1.0) + 1e-6, found: Vec::new() };
    check_bars(recorder, market, use_mark, &mut findings);
    check_trades(recorder, market, &mut findings);
    if let Some(&equity) = recorder.bar_marks().equity_usdt.last() {
        let net = Waterfall::of(recorder, market, use_mark).total.net_usdt();
        findings.money("I10", || "the net of all symbols' costs and gains".to_owned(), net, equity - e0);
    }
    findings.found
}

/// Replays the run bar by bar: I3, I7, I8 and I9 at every fill, I1, I2, I4, I5 and I10 at every close.
fn check_bars(recorder: &RunRecorder, market: &Market, use_mark: bool, findings: &mut Findings) {
    let (marks, lines) = (recorder.bar_marks(), ledger_lines(recorder));
    let e0 = recorder.initial_capital_usdt();
    let mut replay = Replay::new(market, e0);
    let mut wallet_usdt = e0;
    let mut events = recorder.events().iter().peekable();
    let mut next = 1; // Line 0 is the deposit, booked before the first bar.
    if let Some(before) = recorder.run().start.checked_sub(1) {
        replay.see_marks(before, use_mark, true);
    }
    for row in 0..marks.equity_usdt.len() {
        let bar = recorder.run().start + row;
        while let Some(event) = events.next_if(|event| event.bar() <= bar) {
            replay.apply(event, findings);
        }
        while let Some(line) = lines.get(next).filter(|line| line.bar <= bar) {
            wallet_usdt = line.wallet_after_usdt;
            next += 1;
        }
        replay.see_marks(bar, use_mark, false);
        let (unrealized, equity) = (marks.unrealized_usdt[row], marks.equity_usdt[row]);
        let (open_usdt, value_usdt, pnl_usdt) = replay.worth();
        let at = |what: &str| format!("{what} at bar {bar}");
        findings.money("I5", || at("the wallet"), marks.wallet_usdt[row], wallet_usdt);
        findings.money("I1", || at("the equity"), equity, marks.wallet_usdt[row] + unrealized);
        findings.money("I1", || at("the unrealised PnL"), unrealized, open_usdt);
        findings.money("I2", || at("the equity in the cash form"), equity, value_usdt);
        findings.money("I10", || at("the sum of the symbols' PnL"), pnl_usdt, equity - e0);
        if marks.positions[row] == 0 {
            findings.money("I4", || at("the unrealised PnL of a flat account"), unrealized, 0.0);
        }
        let held = replay.symbols.iter().filter(|of| of.reported_qty != 0.0).count();
        if held != marks.positions[row] as usize {
            findings
                .note("I3", || format!("{} positions at bar {bar}, expected {held}", marks.positions[row]));
        }
    }
    if next < lines.len() {
        findings.note("I5", || format!("{} ledger lines lie after the last mark", lines.len() - next));
    }
}

impl<'a> Replay<'a> {
    fn new(market: &'a Market, initial_usdt: f64) -> Self {
        let symbols = vec![Replayed { mark_px: f64::NAN, ..Replayed::default() }; market.symbols.len()];
        Self { market, symbols, cash: Money::new(initial_usdt) }
    }
    /// Takes the marks of a bar, and where there is none of the bars before it, if `back`.
    fn see_marks(&mut self, bar: usize, use_mark: bool, back: bool) {
        for symbol in 0..self.symbols.len() {
            let px = if back {
                last_mark(self.market, symbol, bar, use_mark)
            } else {
                mark_at(self.market, symbol, bar, use_mark)
            };
            if !px.is_nan() {
                self.symbols[symbol].mark_px = px;
            }
        }
    }
    /// Unrealised PnL, equity in the cash form, and the sum of the symbols' PnL.
    fn worth(&self) -> (f64, f64, f64) {
        let (mut open, mut value, mut pnl) = (Money::default(), self.cash, Money::default());
        for of in &self.symbols {
            pnl.add(of.pnl.value());
            if of.reported_qty != 0.0 {
                open.add(of.reported_qty * (of.mark_px - of.average_px));
                value.add(of.reported_qty * of.mark_px);
            }
        }
        pnl.add(open.value());
        (open.value(), value.value(), pnl.value())
    }
    fn apply(&mut self, event: &Event, findings: &mut Findings) {
        let (symbol, amount_usdt) = match event {
            Event::Funding(payment) => (payment.symbol, payment.cash_usdt),
            Event::Insurance(payment) => (payment.symbol, payment.amount_usdt),
            Event::Fill(fill) => return self.apply_fill(fill, findings),
        };
        self.cash.add(amount_usdt);
        self.symbols[symbol as usize].pnl.add(amount_usdt);
    }
    fn apply_fill(&mut self, fill: &Fill, findings: &mut Findings) {
        let symbol = fill.symbol as usize;
        let of = &mut self.symbols[symbol];
        let signed_qty = fill.side.sign() * fill.qty;
        let at = |what: &str| format!("{what} of symbol {symbol} in bar {}", fill.bar);
        if fill.position_before != of.reported_qty {
            let (found, expected) = (fill.position_before, of.reported_qty);
            findings.note("I3", || {
                format!("{} is {found}, expected {expected}", at("the position before the fill"))
            });
        }
        let grid = self.market.symbols[symbol].contract.step;
        of.steps.add(fill.side.sign() * grid.in_steps(fill.qty));
        let (found, steps) = (fill.position_after, of.steps.value());
        let expected = grid.value(steps);
        let agrees = (grid.in_steps(found) - steps).abs() <= 1e-9 * steps.abs().max(1.0);
        if !agrees {
            findings.note("I3", || {
                format!("{} is {found}, expected {expected}", at("the position after the fill"))
            });
        }
        if grid.in_steps(found).fract() != 0.0 {
            findings.note("I8", || format!("{} is {found}, no multiple of the step", at("the position")));
        }
        let grows = found.abs() > fill.position_before.abs() || found * fill.position_before < 0.0;
        if only_reduces(fill.reason) && grows {
            let (reason, before) = (fill.reason.as_str(), fill.position_before);
            findings
                .note("I9", || format!("{} goes from {before} to {found} by {reason}", at("the position")));
        }
        (of.reported_qty, of.average_px) = (fill.position_after, fill.avg_entry_after);
        of.pnl.add(fill.realized_usdt);
        of.pnl.add(-fill.fee_usdt);
        self.cash.add(-(signed_qty * fill.price));
        self.cash.add(-fill.fee_usdt);
        self.check_price(fill, findings);
    }
    /// I7: no base outside the bar's range, no fill where nothing trades; with the exceptions it names.
    fn check_price(&self, fill: &Fill, findings: &mut Findings) {
        if at_any_price(fill.reason) {
            return;
        }
        let (panels, symbol) = (&self.market.panels, fill.symbol as usize);
        let row = (self.market.first_row + fill.bar as usize) * panels.lanes + self.market.lane_of[symbol];
        let (low, high, volume) = (panels.low[row], panels.high[row], panels.volume[row]);
        let rule = format!("I7 {}", fill.reason.as_str());
        let what = || format!("a fill of symbol {symbol} in bar {}", fill.bar);
        let trades = volume > 0.0;
        if !trades {
            findings.note(&rule, || format!("{} where the volume is {volume}", what()));
        }
        // A resting order that the bar opened beyond is hit at its own price, outside the bar on its adverse side.
        let rested = fill.liquidity == Liquidity::Maker;
        let slack = 1e-9 * fill.base_px.abs();
        let above = fill.base_px > high + slack && !(rested && fill.side == Side::Buy);
        let below = fill.base_px < low - slack && !(rested && fill.side == Side::Sell);
        if above || below || fill.base_px.is_nan() {
            findings.note(&rule, || format!("{} has base {}, the bar {low} to {high}", what(), fill.base_px));
        }
    }
}

/// Settlements and liquidations: not bound to the bar's prices, nor to trading in it.
fn at_any_price(reason: FillReason) -> bool {
    matches!(
        reason,
        FillReason::Liquidation | FillReason::Delist | FillReason::SeriesEnd | FillReason::EndOfRun
    )
}

/// Reasons of fills that can only make a position smaller.
fn only_reduces(reason: FillReason) -> bool {
    match reason {
        FillReason::MarketEntry
        | FillReason::LimitMaker
        | FillReason::LimitTaker
        | FillReason::StopEntry
        | FillReason::StopEntryGap => false,
        FillReason::MarketExit
        | FillReason::StopLoss
        | FillReason::StopLossGap
        | FillReason::StopLossEntryBar
        | FillReason::Trail
        | FillReason::TakeProfit
        | FillReason::TakeProfitOpen
        | FillReason::TakeProfitMarketable
        | FillReason::Liquidation
        | FillReason::MarginTrim
        | FillReason::FundingExit
        | FillReason::Delist
        | FillReason::SeriesEnd
        | FillReason::EndOfRun => true,
    }
}

/// I6: closed trades and open episodes hold all the money that moved.
fn check_trades(recorder: &RunRecorder, market: &Market, findings: &mut Findings) {
    let mut moved = Money::default();
    // The insurance fund pays for an account, not for a trade.
    for line in ledger_lines(recorder).iter().skip(1).filter(|line| line.kind != "INSURANCE") {
        moved.add(line.amount_usdt);
    }
    let mut held = Money::default();
    trades(recorder, market).iter().for_each(|trade| held.add(trade.net_usdt));
    recorder.stats().episodes().open_episodes().iter().for_each(|open| held.add(open.net_usdt()));
    findings.money("I6", || "the PnL of trades and open episodes".to_owned(), held.value(), moved.value());
}

/// Price of a bar to mark at: mark, else close (semantics 1.4); `NaN` where the bar is missing.
fn mark_at(market: &Market, symbol: usize, bar: usize, use_mark: bool) -> f64 {
    let at = |column: &[f64]| column[(market.first_row + bar) * market.panels.lanes + market.lane_of[symbol]];
    let mark = market.panels.mark.as_ref().filter(|_| use_mark).map_or(f64::NAN, |mark| at(mark));
    if mark.is_nan() { at(&market.panels.close) } else { mark }
}

/// Price a position is marked at: that of the last bar that has one.
pub(super) fn last_mark(market: &Market, symbol: usize, bar: usize, use_mark: bool) -> f64 {
    let price = |bar| mark_at(market, symbol, bar, use_mark);
    (0..=bar).rev().map(price).find(|price| !price.is_nan()).unwrap_or(f64::NAN)
}
