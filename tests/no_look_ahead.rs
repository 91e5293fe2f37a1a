//! The look-ahead test of semantics 10.5: whatever becomes of the data after `K_t`, decisions, fills and equity up to
//! `K_t` are the same bits. Orders, signals, given and computed regimes, every rule of funding, margin.

mod common;
mod reference;

use barloom::config::plan::*;
use barloom::engine::api::Side;
use barloom::market::{Column, FundingTape};
use common::engine_run::{Notes, run_case};
use common::random_market::{Dice, RandomCase, Scope};
use reference::RefResult;

/// Cases, and bars of each at which the future is changed.
const CASES: u64 = 200;
const CUTS: usize = 4;

fn result(case: &RandomCase) -> RefResult {
    run_case(case, 64, Notes::default()).0
}

/// A case whose run only marks at its end.
fn case_of(seed: u64, dice: &mut Dice) -> RandomCase {
    let (symbols, bars) = (dice.whole(1..12), dice.whole(40..300));
    let scope = if seed.is_multiple_of(4) { Scope::Isolated } else { Scope::WithOptions };
    let mut case = RandomCase::within(scope, seed, symbols, bars);
    case.plan.execution.end_of_run = EndOfRun::Mark;
    if dice.chance(0.5) {
        case.market.panels.regime = None;
        case.plan.liquidity.regimes = RegimePlan {
            seasonality: dice.pick(&[Seasonality::TimeOfDay, Seasonality::None]),
            min_obs: 1,
            fallback_min_bars: dice.pick(&[4, 20]),
            smooth_bars: dice.pick(&[1, 3]),
            ..case.plan.liquidity.regimes
        };
    }
    case
}

/// Where the bars of every symbol begin and end, as a loader would find them.
fn find_ends(case: &mut RandomCase) {
    let (panels, bars) = (&case.market.panels, case.market.grid.bars);
    for (id, symbol) in case.market.symbols.iter_mut().enumerate() {
        let is_present = |bar: &usize| !panels.close[bar * panels.lanes + id].is_nan();
        symbol.first_bar = (0..bars).find(is_present);
        symbol.last_bar = (0..bars).rev().find(is_present);
    }
}

/// The case as if its data ended at the close of bar `t`.
fn truncated(case: &RandomCase, t: usize) -> RandomCase {
    let mut other = case.clone();
    other.market.grid.bars = t + 1;
    other.market.funding.records.retain(|record| record.bar as usize <= t);
    other.run.end = other.run.end.min(t + 1);
    other.signals.truncate(t + 1);
    other.intents.retain(|intent| intent.bar as usize <= t);
    find_ends(&mut other);
    other
}

/// The case with another future: later bars are bars of any time, gaps included; later signals, orders and funding are
/// others.
fn with_another_future(case: &RandomCase, t: usize, dice: &mut Dice) -> RandomCase {
    let mut other = case.clone();
    let (bars, symbols) = (case.market.grid.bars, case.market.symbols.len());
    let lanes = case.market.panels.lanes;
    let from: Vec<usize> = (0..bars * lanes)
        .map(|cell| {
            let (bar, lane) = (cell / lanes, cell % lanes);
            let source = if bar > t && lane < symbols { dice.whole(0..bars) } else { bar };
            source * lanes + lane
        })
        .collect();
    // After its delisting a symbol has no bars.
    let is_delisted = |cell: usize| {
        let delisted_ms = case.market.symbols.get(cell % lanes).and_then(|s| s.contract.delisted_ms);
        delisted_ms.is_some_and(|ms| case.market.grid.open_ms(cell / lanes) >= ms)
    };
    let moved = |column: &Column| {
        let value = |(cell, &source): (usize, &usize)| {
            if cell / lanes > t && is_delisted(cell) { f64::NAN } else { column[source] }
        };
        Column::from(from.iter().enumerate().map(value).collect::<Vec<f64>>())
    };
    let panels = &mut other.market.panels;
    for column in [&mut panels.open, &mut panels.high, &mut panels.low, &mut panels.close] {
        *column = moved(column);
    }
    panels.volume = moved(&panels.volume);
    panels.mark = panels.mark.as_ref().map(moved);
    panels.regime = panels.regime.as_ref().map(moved);
    find_ends(&mut other);

    let is_later = |bar: u32| bar as usize > t;
    // A settlement inside bar t, or at its very close, is known at the close, though booked at the next open.
    let known_ms = case.market.grid.open_ms(t + 1);
    let mut records = std::mem::take(&mut other.market.funding.records);
    records.retain_mut(|record| {
        let is_later = record.time_ms > known_ms;
        record.rate_frac = if is_later { dice.between(-0.01, 0.01) } else { record.rate_frac };
        !is_later || dice.chance(0.7)
    });
    other.market.funding = FundingTape::new(records);
    other.intents.retain_mut(|intent| {
        if is_later(intent.bar) {
            intent.side = dice.pick(&[Side::Buy, Side::Sell]);
        }
        !is_later(intent.bar) || dice.chance(0.8)
    });
    for signal in other.signals.iter_mut().skip(t + 1).flatten() {
        std::mem::swap(&mut signal.long_entry, &mut signal.short_entry);
        signal.long_exit = dice.chance(0.2);
    }
    other
}

/// Everything up to the close of bar `t`. Ends of orders only before it where bar `t` is the last: what is decided there
/// never becomes active.
fn until(result: &RefResult, case: &RandomCase, t: usize, last_ends: bool) -> String {
    let closes = t + 1 - case.run.start;
    let fills: Vec<_> = result.fills.iter().filter(|fill| fill.bar <= t).collect();
    let funding: Vec<_> = result
        .funding
        .iter()
        .filter(|payment| payment.bar <= t)
        .map(|payment| (payment.bar, payment.symbol, payment.cash_usdt))
        .collect();
    let insurance: Vec<_> = result.insurance.iter().filter(|payment| payment.bar <= t).collect();
    let ends: Vec<_> = result.orders.iter().filter(|end| end.end_bar < t + usize::from(last_ends)).collect();
    let curves = [&result.equity, &result.wallet, &result.unrealized, &result.gross, &result.net];
    let curves = curves.map(|curve| &curve[..closes]);
    let margins = [&result.initial_margin, &result.maintenance_margin, &result.isolated_ratio];
    let margins = margins.map(|curve| &curve[..closes.min(curve.len())]);
    format!(
        "{fills:#?}\n{funding:#?}\n{insurance:#?}\n{ends:#?}\nequity and its parts {curves:?}\nmargins {margins:?}"
    )
}

#[track_caller]
fn assert_same_past(what: &str, found: &str, expected: &str) {
    let lines = found.lines().zip(expected.lines()).enumerate();
    if let Some((at, (found, expected))) = lines.into_iter().find(|(_, (found, expected))| found != expected)
    {
        panic!("{what}, line {at}: {found}\n expected {expected}");
    }
    assert_eq!(found.len(), expected.len(), "{what}");
}

#[test]
fn the_future_does_not_show() {
    let mut fills = 0;
    for seed in 0..CASES {
        let mut dice = Dice::new(!seed);
        let case = case_of(seed, &mut dice);
        let expected = result(&case);
        for _ in 0..CUTS {
            let t = dice.whole(case.run.clone());
            let what = format!("seed {seed}, {:?}, cut at {t}, {:#?}", case.run, case.plan);
            let cut = result(&truncated(&case, t));
            let (found, before) = (until(&cut, &case, t, false), until(&expected, &case, t, false));
            assert_same_past(&format!("truncated {what}"), &found, &before);
            let changed = result(&with_another_future(&case, t, &mut dice));
            let (found, before) = (until(&changed, &case, t, true), until(&expected, &case, t, true));
            assert_same_past(&format!("changed {what}"), &found, &before);
            fills += expected.fills.iter().filter(|fill| fill.bar <= t).count();
        }
    }
    assert!(fills > 10_000, "{fills} fills show little");
}
