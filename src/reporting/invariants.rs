//! The accounting invariants of semantics 4.9, checked over a recorded run by another way than the engine's.

use super::recorder::{Event, RunRecorder};
use super::tables::ledger_lines;
use super::trades::trades;
use crate::market::Market;
use crate::portfolio::Money;

/// Where an account stands, rebuilt from events alone.
struct Replay {
    position: Vec<Money>,
    /// Position and average entry as the last fill reported them.
    reported: Vec<(f64, f64)>,
    /// Realised − fees + funding per symbol.
    pnl: Vec<Money>,
    /// `W0 − Σ dq·p − Σ fees + Σ funding` (semantics 4.4).
    cash: Money,
}

struct Findings {
    tolerance_usdt: f64,
    found: Vec<String>,
}

impl Findings {
    fn money(&mut self, rule: &str, what: &str, found_usdt: f64, expected_usdt: f64) {
        // Written so that a `NaN` on either side is a finding.
        let agrees = (found_usdt - expected_usdt).abs() <= self.tolerance_usdt;
        if !agrees {
            self.found.push(format!("{rule}: {what} is {found_usdt}, expected {expected_usdt}"));
        }
    }
}

/// Checks I1–I6 and I10 of semantics 4.9; gives back what is violated, one line each.
///
/// `use_mark`: positions were marked at the mark column where there is one (`general.mark_source`). Every bar's wallet
/// and equity is held against the ledger, and the last bar's equity against positions and marks. The tolerance is
/// `1e-9·max(1, E0) + 1e-6` USDT.
pub fn check_invariants(recorder: &RunRecorder, market: &Market, use_mark: bool) -> Vec<String> {
    let e0 = recorder.initial_capital_usdt();
    let mut findings = Findings { tolerance_usdt: 1e-9 * e0.max(1.0) + 1e-6, found: Vec::new() };
    let replay = replay(recorder, market.symbols.len(), &mut findings);
    check_bars(recorder, &mut findings);
    check_trades(recorder, market, &mut findings);
    if let (Some(&equity), Some(&unrealized)) =
        (recorder.bar_marks().equity_usdt.last(), recorder.bar_marks().unrealized_usdt.last())
    {
        let last_bar = recorder.run().start + recorder.bar_marks().equity_usdt.len() - 1;
        let (mut marked, mut value, mut pnl) = (0.0, replay.cash, Money::default());
        for (symbol, &(position, average)) in replay.reported.iter().enumerate() {
            let open_usdt = if position == 0.0 {
                0.0
            } else {
                let mark = last_mark(market, symbol, last_bar, use_mark);
                value.add(position * mark);
                position * (mark - average)
            };
            marked += open_usdt;
            pnl.add(replay.pnl[symbol].value());
            pnl.add(open_usdt);
        }
        findings.money("I1", "the last unrealised PnL", unrealized, marked);
        findings.money("I2", "the last equity in the cash form", equity, value.value());
        findings.money("I10", "the sum of the symbols' PnL", pnl.value(), equity - e0);
    }
    findings.found
}

fn replay(recorder: &RunRecorder, symbols: usize, findings: &mut Findings) -> Replay {
    let mut replay = Replay {
        position: vec![Money::default(); symbols],
        reported: vec![(0.0, 0.0); symbols],
        pnl: vec![Money::default(); symbols],
        cash: Money::new(recorder.initial_capital_usdt()),
    };
    for event in recorder.events() {
        match event {
            Event::Funding(payment) => {
                replay.cash.add(payment.cash_usdt);
                replay.pnl[payment.symbol as usize].add(payment.cash_usdt);
            }
            Event::Fill(fill) => {
                let symbol = fill.symbol as usize;
                let signed_qty = fill.side.sign() * fill.qty;
                let at = |what: &str| format!("{what} of symbol {symbol} in bar {}", fill.bar);
                if fill.position_before != replay.reported[symbol].0 {
                    let (found, expected) = (fill.position_before, replay.reported[symbol].0);
                    let what = at("the position before the fill");
                    findings.found.push(format!("I3: {what} is {found}, expected {expected}"));
                }
                replay.position[symbol].add(signed_qty);
                let expected = replay.position[symbol].value();
                let agrees = (fill.position_after - expected).abs() <= 1e-9 * expected.abs().max(fill.qty);
                if !agrees {
                    let what = at("the position after the fill");
                    findings
                        .found
                        .push(format!("I3: {what} is {}, expected {expected}", fill.position_after));
                }
                replay.reported[symbol] = (fill.position_after, fill.avg_entry_after);
                replay.pnl[symbol].add(fill.realized_usdt);
                replay.pnl[symbol].add(-fill.fee_usdt);
                replay.cash.add(-(signed_qty * fill.price));
                replay.cash.add(-fill.fee_usdt);
            }
        }
    }
    replay
}

/// I1, I4 and I5 at every bar: wallet = deposits + lines so far, equity = wallet + unrealised, flat is worth nothing.
fn check_bars(recorder: &RunRecorder, findings: &mut Findings) {
    let (marks, lines) = (recorder.bar_marks(), ledger_lines(recorder));
    let mut wallet_usdt = recorder.initial_capital_usdt();
    let mut next = 1; // Line 0 is the deposit, booked before the first bar.
    for row in 0..marks.equity_usdt.len() {
        let bar = recorder.run().start + row;
        while let Some(line) = lines.get(next).filter(|line| line.bar <= bar) {
            wallet_usdt = line.wallet_after_usdt;
            next += 1;
        }
        let known = findings.found.len();
        let equity = marks.wallet_usdt[row] + marks.unrealized_usdt[row];
        findings.money("I5", &format!("the wallet at bar {bar}"), marks.wallet_usdt[row], wallet_usdt);
        findings.money("I1", &format!("the equity at bar {bar}"), marks.equity_usdt[row], equity);
        if marks.positions[row] == 0 {
            let what = format!("the unrealised PnL of a flat account at bar {bar}");
            findings.money("I4", &what, marks.unrealized_usdt[row], 0.0);
        }
        if findings.found.len() > known {
            return; // What follows a broken bar is broken too; the first one is the news.
        }
    }
    if next < lines.len() {
        findings.found.push(format!("I5: {} ledger lines lie after the last mark", lines.len() - next));
    }
}

/// I6: closed trades and open episodes hold all the money that moved.
fn check_trades(recorder: &RunRecorder, market: &Market, findings: &mut Findings) {
    let mut moved = Money::default();
    for line in ledger_lines(recorder).iter().skip(1) {
        moved.add(line.amount_usdt);
    }
    let mut held = Money::default();
    trades(recorder, market).iter().for_each(|trade| held.add(trade.net_usdt));
    recorder.stats().episodes().open_episodes().iter().for_each(|open| held.add(open.net_usdt()));
    findings.money("I6", "the PnL of trades and open episodes", held.value(), moved.value());
}

/// Price a position is marked at: mark, else close, of the last bar that has one (semantics 1.4).
fn last_mark(market: &Market, symbol: usize, bar: usize, use_mark: bool) -> f64 {
    let at = |column: &[f64], bar: usize| {
        column[(market.first_row + bar) * market.panels.lanes + market.lane_of[symbol]]
    };
    let price = |bar: usize| {
        let mark = market.panels.mark.as_ref().filter(|_| use_mark).map_or(f64::NAN, |m| at(m, bar));
        if mark.is_nan() { at(&market.panels.close, bar) } else { mark }
    };
    (0..=bar).rev().map(price).find(|price| !price.is_nan()).unwrap_or(f64::NAN)
}
