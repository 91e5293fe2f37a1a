//! Metamorphic relations of semantics 10.5 that concern sections 1 to 4: what must not change, or must change in a
//! known way, when a run's inputs do. Preconditions are set on random cases of fixed seeds.
//!
//! That tiles do not show is in `differential`, that threads and batches do not in `determinism`, that costs only cost in
//! `costs`, the look-ahead test in `no_look_ahead`.
#![allow(clippy::print_stdout, reason = "a failure names its case")]

mod common;
mod reference;

use barloom::config::plan::*;
use barloom::engine::api::{Attached, AttachedLevels, NO_GROUP};
use barloom::market::{Column, FundingTape, StepGrid};
use common::engine_run::{Notes, run_case};
use common::random_market::{Dice, RandomCase, Scope};
use reference::{RefFill, RefResult};

/// Cases per relation.
const CASES: u64 = 40;

fn result(case: &RandomCase) -> RefResult {
    run_case(case, 64, Notes::default()).0
}

/// Puts as many cases through a relation; `relate` gives the number of fills that it was about.
fn holds(relation: u64, scope: Scope, relate: impl Fn(RandomCase, &mut Dice) -> usize) {
    let mut fills = 0;
    for seed in relation * 1_000..relation * 1_000 + CASES {
        let mut dice = Dice::new(!seed);
        let (symbols, bars) = (dice.whole(2..12), dice.whole(40..300));
        println!("seed {seed}, {symbols} symbols, {bars} bars");
        fills += relate(RandomCase::within(scope, seed, symbols, bars), &mut dice);
    }
    assert!(fills > 20 * CASES as usize, "{fills} fills show little");
}

/// Levels of every signal and intent.
fn each_attached(case: &mut RandomCase, mut change: impl FnMut(&mut Attached)) {
    case.intents.iter_mut().for_each(|intent| change(&mut intent.attached));
    for signal in case.signals.iter_mut().flatten() {
        for levels in [&mut signal.long_levels, &mut signal.short_levels] {
            if let AttachedLevels::Prices(attached) = levels {
                change(attached);
            }
        }
    }
}

/// Sizes that do not hang on equity, and no other constraint that symbols share: no margin, no groups across symbols.
fn without_shared_constraints(case: &mut RandomCase) {
    case.plan.margin = None;
    case.plan.sizing_equity = SizingEquity::Initial;
    let symbols = case.market.symbols.len() as u32;
    for intent in &mut case.intents {
        if intent.oco_group != NO_GROUP {
            intent.oco_group = intent.oco_group * symbols + intent.symbol;
        }
    }
}

/// Draws belong to a symbol's name and an order's number, which these relations change.
fn without_draws(case: &mut RandomCase) {
    if matches!(case.plan.execution.limit_rule, LimitRule::TouchProb(_)) {
        case.plan.execution.limit_rule = LimitRule::Touch;
    }
}

/// The case with these of its symbols, in this order.
fn rearranged(case: &RandomCase, order: &[usize]) -> RandomCase {
    let mut other = case.clone();
    let place = |symbol: u32| order.iter().position(|&old| old == symbol as usize).map(|new| new as u32);
    other.market.symbols = order.iter().map(|&old| case.market.symbols[old].clone()).collect();
    other.market.lane_of = order.iter().map(|&old| case.market.lane_of[old]).collect();
    other
        .market
        .funding
        .records
        .retain_mut(|record| place(record.symbol).map(|symbol| record.symbol = symbol).is_some());
    other.market.funding = FundingTape::new(other.market.funding.records);
    other.intents.retain_mut(|intent| place(intent.symbol).map(|symbol| intent.symbol = symbol).is_some());
    for (row, before) in other.signals.iter_mut().zip(&case.signals) {
        *row = order.iter().map(|&old| before[old]).collect();
    }
    other
}

/// What a fill is, whatever its symbol and order are called.
fn same_fill(a: &RefFill, b: &RefFill) -> bool {
    (a.bar, a.side, a.reason, a.flags, a.regime) == (b.bar, b.side, b.reason, b.flags, b.regime)
        && (a.qty, a.price, a.base_px, a.position_after) == (b.qty, b.price, b.base_px, b.position_after)
        && a.liquidity == b.liquidity
}

#[track_caller]
fn assert_fills_of(symbol: usize, found: &RefResult, before: usize, expected: &RefResult) {
    let of = |result: &RefResult, symbol: usize| -> Vec<RefFill> {
        result.fills.iter().filter(|fill| fill.symbol == symbol).cloned().collect()
    };
    let (found, expected) = (of(found, symbol), of(expected, before));
    assert_eq!(found.len(), expected.len(), "fills of symbol {before}");
    for (found, expected) in found.iter().zip(&expected) {
        assert!(same_fill(found, expected), "{found:#?}\n expected {expected:#?}");
    }
}

#[track_caller]
fn assert_curve(what: &str, found: &[f64], expected: impl ExactSizeIterator<Item = f64>, scale: f64) {
    assert_eq!(found.len(), expected.len());
    for (bar, (&found, expected)) in found.iter().zip(expected).enumerate() {
        let off = (found - expected).abs();
        assert!(off <= 1e-9 * scale.max(expected.abs()), "{what} of bar {bar}: {found}, expected {expected}");
    }
}

#[track_caller]
fn assert_same_bits(what: &str, found: &[f64], expected: &[f64]) {
    let bits = |curve: &[f64]| curve.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(found), bits(expected), "{what}");
}

/// Prices and ticks × c, quantities and steps / c, for a power of two that keeps decimal grids decimal.
fn in_other_units(case: &RandomCase, c: f64) -> RandomCase {
    let mut other = case.clone();
    let by = |column: &Column, c: f64| Column::from(column.iter().map(|x| x * c).collect::<Vec<_>>());
    let panels = &mut other.market.panels;
    for column in [&mut panels.open, &mut panels.high, &mut panels.low, &mut panels.close] {
        *column = by(column, c);
    }
    panels.volume = by(&panels.volume, 1.0 / c);
    panels.mark = panels.mark.as_ref().map(|mark| by(mark, c));
    other.market.funding.records.iter_mut().for_each(|record| record.mark_px *= c);
    for symbol in &mut other.market.symbols {
        let contract = &mut symbol.contract;
        contract.tick = contract.tick.map(|tick| StepGrid::new(tick.size * c));
        contract.step = StepGrid::new(contract.step.size / c);
        for qty in [&mut contract.min_qty, &mut contract.max_qty, &mut contract.market_max_qty] {
            *qty /= c;
        }
    }
    for intent in &mut other.intents {
        intent.qty /= c;
        intent.price_px *= c;
        intent.limit_px *= c;
    }
    each_attached(&mut other, |levels| {
        for px in [
            &mut levels.stop_loss_px,
            &mut levels.take_profit_px,
            &mut levels.trail_px,
            &mut levels.activation_px,
        ] {
            *px *= c;
        }
    });
    other
}

#[test]
fn units_of_price_do_not_show() {
    holds(1, Scope::WithRegimes, units_do_not_show);
    holds(7, Scope::Isolated, units_do_not_show);
}

fn units_do_not_show(case: RandomCase, dice: &mut Dice) -> usize {
    let c = dice.pick(&[2.0, 0.5]);
    let (expected, found) = (result(&case), result(&in_other_units(&case, c)));
    assert_eq!(found.fills.len(), expected.fills.len());
    for (found, expected) in found.fills.iter().zip(&expected.fills) {
        let in_old_units = RefFill {
            qty: found.qty * c,
            price: found.price / c,
            base_px: found.base_px / c,
            position_after: found.position_after * c,
            avg_entry_after: found.avg_entry_after / c,
            ..found.clone()
        };
        assert_eq!(format!("{in_old_units:?}"), format!("{expected:?}"));
    }
    assert_eq!(format!("{:?}", found.funding), format!("{:?}", expected.funding));
    assert_eq!(found.insurance, expected.insurance);
    for (what, found, expected) in [
        ("wallet", &found.wallet, &expected.wallet),
        ("equity", &found.equity, &expected.equity),
        ("gross", &found.gross, &expected.gross),
        ("net", &found.net, &expected.net),
        ("initial margin", &found.initial_margin, &expected.initial_margin),
        ("maintenance margin", &found.maintenance_margin, &expected.maintenance_margin),
        ("largest margin ratio", &found.isolated_ratio, &expected.isolated_ratio),
    ] {
        assert_same_bits(what, found, expected);
    }
    expected.fills.len()
}

#[test]
fn an_account_of_other_size_earns_as_much_more() {
    holds(2, Scope::WithRegimes, size_does_not_show);
    holds(8, Scope::Isolated, size_does_not_show);
}

/// Brackets grow along, so that the precondition of flat ones is not needed.
fn size_does_not_show(mut case: RandomCase, dice: &mut Dice) -> usize {
    (case.plan.slippage.b_bps, case.plan.slippage.vol_scale) = (0.0, None);
    case.plan.execution.participation_cap_frac = 0.0;
    // Factors that keep decimal steps decimal, so that the largest quantity is on their grid.
    let k = dice.pick(&[2.0, 10.0]);
    let mut other = case.clone();
    other.plan.initial_capital_usdt *= k;
    if let Sizing::FixedNotional { notional_usdt } = &mut other.plan.sizing {
        *notional_usdt *= k;
    }
    for symbol in &mut other.market.symbols {
        let contract = &mut symbol.contract;
        contract.step = StepGrid::new(contract.step.size * k);
        contract.min_notional_usdt *= k;
        for qty in [&mut contract.min_qty, &mut contract.max_qty, &mut contract.market_max_qty] {
            *qty *= k;
        }
        for bracket in symbol.brackets.iter_mut().flat_map(|table| &mut table.brackets) {
            bracket.floor_usdt *= k;
            bracket.cap_usdt *= k;
            bracket.cum_usdt *= k;
        }
    }
    other.intents.iter_mut().for_each(|intent| intent.qty *= k);
    let (expected, found) = (result(&case), result(&other));
    let scale = other.plan.initial_capital_usdt;
    assert_eq!(found.fills.len(), expected.fills.len());
    assert_curve("equity", &found.equity, expected.equity.iter().map(|e| e * k), scale);
    assert_curve("wallet", &found.wallet, expected.wallet.iter().map(|w| w * k), scale);
    expected.fills.len()
}

#[test]
fn names_of_symbols_do_not_show() {
    holds(3, Scope::WithRegimes, |mut case, dice| {
        without_shared_constraints(&mut case);
        without_draws(&mut case);
        let symbols = case.market.symbols.len();
        let mut order: Vec<usize> = (0..symbols).collect();
        for i in (1..symbols).rev() {
            order.swap(i, dice.whole(0..i + 1));
        }
        let mut other = rearranged(&case, &order);
        for (symbol, before) in other.market.symbols.iter_mut().zip(&case.market.symbols) {
            symbol.name.clone_from(&before.name);
        }
        let (expected, found) = (result(&case), result(&other));
        for (symbol, &before) in order.iter().enumerate() {
            assert_fills_of(symbol, &found, before, &expected);
        }
        let scale = case.plan.initial_capital_usdt;
        assert_curve("equity", &found.equity, expected.equity.iter().copied(), scale);
        expected.fills.len()
    });
}

#[test]
fn what_two_halves_of_a_universe_earn_adds_up() {
    holds(4, Scope::WithRegimes, |mut case, dice| {
        without_shared_constraints(&mut case);
        without_draws(&mut case);
        let symbols = case.market.symbols.len();
        let (some, others): (Vec<usize>, Vec<usize>) = (0..symbols).partition(|_| dice.chance(0.5));
        let (whole, capital) = (result(&case), case.plan.initial_capital_usdt);
        let halves = [&some, &others].map(|order| {
            let half = result(&rearranged(&case, order));
            for (symbol, &before) in order.iter().enumerate() {
                assert_fills_of(symbol, &half, before, &whole);
            }
            half
        });
        let sum = halves[0].equity.iter().zip(&halves[1].equity).map(|(a, b)| a + b - capital);
        assert_curve("equity", &whole.equity, sum, capital);
        whole.fills.len()
    });
}

#[test]
fn a_symbol_that_nobody_trades_does_not_show() {
    holds(5, Scope::WithRegimes, |mut case, dice| {
        case.plan.margin = None;
        let symbols = case.market.symbols.len();
        let unrelated = dice.whole(0..symbols);
        case.intents.retain(|intent| intent.symbol as usize != unrelated);
        case.signals.iter_mut().for_each(|row| row[unrelated] = Default::default());
        let order: Vec<usize> = (0..symbols).filter(|&symbol| symbol != unrelated).collect();
        let (with, without) = (result(&case), result(&rearranged(&case, &order)));
        assert_eq!(with.fills.len(), without.fills.len());
        for (symbol, &before) in order.iter().enumerate() {
            assert_fills_of(symbol, &without, before, &with);
        }
        let scale = case.plan.initial_capital_usdt;
        assert_curve("equity", &with.equity, without.equity.iter().copied(), scale);
        with.fills.len()
    });
}

/// Regimes that the engine computes itself, from volumes.
fn with_computed_regimes(case: &mut RandomCase, dice: &mut Dice) {
    case.market.panels.regime = None;
    case.plan.liquidity.regimes = RegimePlan {
        seasonality: dice.pick(&[Seasonality::TimeOfWeek, Seasonality::TimeOfDay, Seasonality::None]),
        min_obs: 1,
        fallback_min_bars: dice.pick(&[4, 20]),
        smooth_bars: dice.pick(&[1, 3]),
        ..case.plan.liquidity.regimes
    };
}

#[test]
fn the_week_does_not_show() {
    holds(6, Scope::WithRegimes, |mut case, dice| {
        if dice.chance(0.5) {
            with_computed_regimes(&mut case, dice);
        }
        let mut other = case.clone();
        let later_ms = dice.whole(1..200) as i64 * 7 * 86_400_000;
        other.market.grid.start_ms += later_ms;
        other.market.funding.records.iter_mut().for_each(|record| record.time_ms += later_ms);
        other.plan.fee_table.iter_mut().for_each(|row| row.from_ms += later_ms);
        for symbol in &mut other.market.symbols {
            let contract = &mut symbol.contract;
            let tables = symbol.brackets.iter_mut().map(|table| &mut table.valid_from_ms);
            let dates = tables.chain([&mut contract.listed_ms, &mut contract.delisted_ms]);
            dates.flatten().for_each(|ms| *ms += later_ms);
        }
        let (expected, found) = (result(&case), result(&other));
        assert_eq!(format!("{found:?}"), format!("{expected:?}"));
        expected.fills.len()
    });
}
