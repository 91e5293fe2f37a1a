//! Costs only cost (semantics 10.5): with the same fills, fees never raise equity; with the same orders, slippage and
//! overshoot never do. And what mirrored prices do to opposite orders.

mod common;
mod reference;

use barloom::config::plan::*;
use barloom::engine::api::{Attached, AttachedLevels, OrderKind, Side};
use barloom::market::Column;
use common::engine_run::{Notes, run_case};
use common::random_market::{Dice, RandomCase, Scope};
use reference::RefResult;

/// Cases per relation.
const CASES: u64 = 40;

fn result(case: &RandomCase) -> RefResult {
    run_case(case, 64, Notes::default()).0
}

/// Cases whose sizes hang on no equity: no margin, no exits that weigh costs.
fn cases(relation: u64, scope: Scope) -> impl Iterator<Item = (u64, RandomCase)> {
    (relation * 1_000..relation * 1_000 + CASES).map(move |seed| {
        let mut dice = Dice::new(!seed);
        let (symbols, bars) = (dice.whole(1..12), dice.whole(40..300));
        let mut case = RandomCase::within(scope, seed, symbols, bars);
        case.plan.margin = None;
        case.plan.sizing_equity = SizingEquity::Initial;
        case.plan.funding.close_before_frac = 0.0;
        (seed, case)
    })
}

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

/// No close is worth more, and where anything was traded as taker the last is worth less.
#[track_caller]
fn assert_costs(what: &str, dear: &RefResult, cheap: &RefResult, capital: f64) {
    for (bar, (dear, cheap)) in dear.equity.iter().zip(&cheap.equity).enumerate() {
        assert!(*dear <= cheap + 1e-9 * capital.max(cheap.abs()), "{what}, bar {bar}: {dear} > {cheap}");
    }
}

/// Bar, symbol, side, quantity: what fixed orders do, whatever it costs.
fn trades(result: &RefResult) -> Vec<(usize, usize, Side, u64)> {
    result.fills.iter().map(|f| (f.bar, f.symbol, f.side, f.qty.to_bits())).collect()
}

#[test]
fn fees_never_raise_equity() {
    let mut cost_something = 0;
    for (seed, case) in cases(1, Scope::WithRegimes) {
        let with = |maker_fee_frac, taker_fee_frac| {
            let mut case = case.clone();
            case.plan.fee_table.clear();
            (case.plan.maker_fee_frac, case.plan.taker_fee_frac) = (maker_fee_frac, taker_fee_frac);
            result(&case)
        };
        let (free, some, more) = (with(0.0, 0.0), with(0.0, 5e-4), with(2e-4, 5e-4));
        assert_eq!((trades(&free), trades(&free)), (trades(&some), trades(&more)), "seed {seed}");
        let capital = case.plan.initial_capital_usdt;
        assert_costs(&format!("taker, seed {seed}"), &some, &free, capital);
        assert_costs(&format!("maker, seed {seed}"), &more, &some, capital);
        cost_something += usize::from(more.equity.last() < free.equity.last());
    }
    assert!(cost_something > CASES as usize / 2);
}

#[test]
fn slippage_and_overshoot_never_raise_equity() {
    let mut cost_something = [0; 3];
    for (seed, mut case) in cases(2, Scope::WithRegimes) {
        // Trails start at the fill; the base price of an opening decides about its minimum.
        each_attached(&mut case, |levels| (levels.trail_px, levels.activation_px) = (f64::NAN, f64::NAN));
        for symbol in &mut case.market.symbols {
            symbol.contract.min_notional_usdt = 0.0;
        }
        // An overshoot beyond its limit makes a stop-limit order rest, to be filled better or not at all.
        for intent in case.intents.iter_mut().filter(|intent| intent.kind == OrderKind::StopLimit) {
            (intent.kind, intent.limit_px) = (OrderKind::Stop, f64::NAN);
        }
        let with = |change: &dyn Fn(&mut EnginePlan)| {
            let mut case = case.clone();
            case.plan.execution.stop_overshoot = 0.0;
            change(&mut case.plan);
            result(&case)
        };
        let base = with(&|_| ());
        let dearer: [&dyn Fn(&mut EnginePlan); 3] =
            [&|plan| plan.execution.stop_overshoot = 0.7, &|plan| plan.slippage.stop_mult *= 2.0, &|plan| {
                plan.slippage.a_bps += 10.0;
                plan.slippage.b_bps *= 2.0;
                plan.slippage.max_bps *= 2.0;
            }];
        for (at, dearer) in dearer.into_iter().enumerate() {
            let what = format!("change {at}, seed {seed}");
            let dear = with(dearer);
            assert_eq!(trades(&dear), trades(&base), "{what}");
            assert_costs(&what, &dear, &base, case.plan.initial_capital_usdt);
            cost_something[at] += usize::from(dear.equity.last() < base.equity.last());
        }
    }
    assert!(cost_something.iter().all(|&cases| cases > 8), "{cost_something:?}");
}

/// Semantics 10.5: on the path `2P₀ − p`, opposite orders of fixed quantities earn the same gross PnL.
#[test]
fn mirrored_prices_pay_the_opposite_orders() {
    let mut fills = 0;
    for (seed, mut case) in cases(3, Scope::AllOrders) {
        let plan = &mut case.plan;
        (plan.maker_fee_frac, plan.taker_fee_frac) = (0.0, 0.0);
        plan.fee_table.clear();
        plan.slippage = common::flat_slippage(0.0);
        plan.funding.enabled = false;
        plan.execution.delist_haircut_frac = 0.0;
        // O-H-L-C where both extremes are as near to the open: not a mirrored choice; nor are moves in percent.
        plan.execution.bracket_policy = BracketPolicy::Pessimistic;
        plan.execution.stale_move_frac = 0.0;
        case.intents.retain(|intent| !intent.qty.is_nan());
        case.signals.clear();
        for symbol in &mut case.market.symbols {
            symbol.contract.min_notional_usdt = 0.0;
        }
        let mut other = case.clone();
        // Twice P₀ on the tick grid of every symbol, and beyond the prices of all bars.
        let panels = &case.market.panels;
        let twice_px: Vec<f64> = (0..panels.lanes)
            .map(|lane| {
                let highs = panels.high.iter().skip(lane).step_by(panels.lanes);
                let highest = highs.fold(0.0_f64, |highest, &high| highest.max(high));
                let tick = case.market.symbols.get(lane).and_then(|symbol| symbol.contract.tick);
                tick.map_or(2.0 * highest, |tick| tick.value(tick.steps_ceil(2.0 * highest)))
            })
            .collect();
        let on_grid = |px: f64, symbol: usize| {
            let tick = case.market.symbols.get(symbol).and_then(|symbol| symbol.contract.tick);
            tick.map_or(px, |tick| tick.value(tick.in_steps(px)))
        };
        let mirrored = |column: &Column| {
            let cells = column.iter().enumerate();
            let value =
                |(cell, px): (usize, &f64)| on_grid(twice_px[cell % panels.lanes] - px, cell % panels.lanes);
            Column::from(cells.map(value).collect::<Vec<f64>>())
        };
        let to = &mut other.market.panels;
        (to.open, to.close) = (mirrored(&panels.open), mirrored(&panels.close));
        (to.high, to.low) = (mirrored(&panels.low), mirrored(&panels.high));
        to.mark = panels.mark.as_ref().map(mirrored);
        for intent in &mut other.intents {
            let symbol = intent.symbol as usize;
            intent.side = intent.side.opposite();
            for px in [
                &mut intent.price_px,
                &mut intent.limit_px,
                &mut intent.attached.stop_loss_px,
                &mut intent.attached.take_profit_px,
            ] {
                *px = on_grid(twice_px[symbol] - *px, symbol);
            }
        }
        let (found, expected) = (result(&other), result(&case));
        let opposite = |result: &RefResult| -> Vec<_> {
            trades(result)
                .into_iter()
                .map(|(bar, symbol, side, qty)| (bar, symbol, side.opposite(), qty))
                .collect()
        };
        assert_eq!(opposite(&found), trades(&expected), "seed {seed}");
        let capital = case.plan.initial_capital_usdt;
        for (bar, (found, expected)) in found.equity.iter().zip(&expected.equity).enumerate() {
            let off = (found - expected).abs();
            assert!(off <= 1e-9 * capital.max(expected.abs()), "seed {seed}, bar {bar}: {found}, {expected}");
        }
        fills += found.fills.len();
    }
    assert!(fills > 1_000, "{fills} fills show little");
}
