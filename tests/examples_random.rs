//! The reference engine on random markets: what must hold whatever happens (semantics 4.9, 10.5, 10.6).
//!
//! That both forms of equity agree is asserted inside the reference at every bar (4.3, 4.4).

mod common;
mod reference;

use barloom::config::plan::{CapAppliesTo, EndOfRun, MarginMode};
use barloom::engine::api::{FillReason, Liquidity, OrderKind, OrderStatus, Side};
use barloom::market::{FundingTape, Market};
use common::random_market::{RandomCase, Scope};
use proptest::prelude::*;
use reference::decimal::Grid;
use reference::{RefInput, RefResult, run};
use std::collections::HashMap;

/// Bookkeeping, which asks for no tradable bar; so does a liquidation at a mark that was carried.
fn is_settlement(reason: FillReason) -> bool {
    use FillReason::{Delist, EndOfRun, Liquidation, SeriesEnd};
    matches!(reason, Delist | SeriesEnd | EndOfRun | Liquidation)
}

/// I3, I4, I7, I8 and the place of every fill.
fn check_fills(case: &RandomCase, result: &RefResult) {
    let market = &case.market;
    let mut steps = vec![0_i128; market.symbols.len()];
    for fill in &result.fills {
        let symbol = fill.symbol;
        let grid = Grid::of(market.symbols[symbol].contract.step.size);
        let size = grid.floor(fill.qty);
        assert!(size > 0 && grid.value(size) == fill.qty, "whole steps: {fill:?}");
        steps[symbol] += if fill.side == Side::Buy { size } else { -size };
        assert_eq!(grid.value(steps[symbol]), fill.position_after, "{fill:?}");
        assert_eq!(steps[symbol] == 0, fill.avg_entry_after == 0.0, "{fill:?}");
        assert!(fill.price > 0.0 && fill.price.is_finite(), "{fill:?}");
        if is_settlement(fill.reason) {
            continue;
        }
        let row = |column: &[f64]| column[fill.bar * market.panels.lanes + symbol];
        assert!(row(&market.panels.volume) > 0.0, "a tradable bar: {fill:?}");
        // I7: a resting limit is hit at its price wherever the bar opens
        if !matches!(fill.reason, FillReason::TakeProfitOpen | FillReason::LimitMaker) {
            let (low, high) = (row(&market.panels.low), row(&market.panels.high));
            let slack = 1e-12 * high;
            assert!(
                low - slack <= fill.base_px && fill.base_px <= high + slack,
                "base within the bar: {fill:?}"
            );
        }
        if fill.liquidity == Liquidity::Maker {
            assert_eq!(fill.price, fill.base_px, "{fill:?}");
        } else {
            let worse = fill.side.sign() * (fill.price - fill.base_px);
            assert!(case.plan.execution.clamp_to_bar || worse >= -1e-12 * fill.base_px, "adverse: {fill:?}");
        }
    }
}

/// Every order ends exactly once, after it was decided and within its life.
fn check_orders(case: &RandomCase, result: &RefResult) {
    let mut seen: HashMap<u32, usize> = HashMap::new();
    for end in &result.orders {
        *seen.entry(end.order_id).or_default() += 1;
        assert!(end.bar <= end.end_bar && end.end_bar < case.run.end, "{end:?}");
        assert_eq!(end.reason.is_empty(), end.status == OrderStatus::Filled, "{end:?}");
    }
    assert!(seen.values().all(|&ends| ends == 1));
    if !case.intents.is_empty() {
        assert_eq!(seen.len(), case.intents.len());
        for intent in case.intents.iter().filter(|intent| intent.ttl_bars > 0) {
            let end = result.orders.iter().find(|end| end.order_id == intent.order_id).unwrap();
            assert!(end.end_bar <= (intent.bar + intent.ttl_bars) as usize, "{end:?}");
        }
    }
    for fill in result.fills.iter().filter(|fill| fill.order_id != u32::MAX) {
        let end =
            result.orders.iter().find(|end| end.order_id == fill.order_id).expect("a filled order ends");
        assert!(!matches!(end.status, OrderStatus::Rejected | OrderStatus::NeverActive), "{end:?}");
        assert!(end.bar < fill.bar && fill.bar <= end.end_bar, "{fill:?} {end:?}");
    }
}

/// 10.6: a limit order never trades worse than its limit, a stop order never from a better base than its trigger.
fn check_prices(result: &RefResult) {
    let ends: HashMap<u32, _> = result.orders.iter().map(|end| (end.order_id, end)).collect();
    for fill in result.fills.iter().filter(|fill| fill.order_id != u32::MAX) {
        let end = ends[&fill.order_id];
        match (end.kind, fill.reason) {
            (OrderKind::Limit, _) => {
                assert!(fill.side.sign() * (fill.price - end.price) <= 0.0, "{fill:?} {end:?}");
            }
            (OrderKind::Stop, FillReason::StopEntry | FillReason::StopEntryGap) => {
                let better = fill.side.sign() * (end.price - fill.base_px);
                assert!(better <= 1e-9 * end.price, "{fill:?} {end:?}");
            }
            _ => {}
        }
    }
}

/// 2.9: what the participation cap counts stays under it, in every bar and symbol.
fn check_cap(case: &RandomCase, result: &RefResult) {
    let execution = &case.plan.execution;
    if execution.participation_cap_frac == 0.0 {
        return;
    }
    let lanes = case.market.panels.lanes;
    let mut taken: HashMap<(usize, usize), f64> = HashMap::new();
    for fill in result.fills.iter().filter(|fill| !is_settlement(fill.reason)) {
        let before = fill.position_after - fill.side.sign() * fill.qty;
        let opened = if before * fill.position_after < 0.0 {
            fill.position_after.abs()
        } else {
            (fill.position_after.abs() - before.abs()).max(0.0)
        };
        let counted = if execution.cap_applies_to == CapAppliesTo::All { fill.qty } else { opened };
        *taken.entry((fill.bar, fill.symbol)).or_default() += counted;
    }
    for ((bar, symbol), taken) in taken {
        let cap = execution.participation_cap_frac * case.market.panels.volume[bar * lanes + symbol];
        assert!(taken <= cap * (1.0 + 1e-9), "bar {bar}, symbol {symbol}: {taken} of {cap}");
    }
}

/// 4.7: no bar closes with a margin ratio of 1 or more; a ruined account is at 0 and stays there.
fn check_margin(case: &RandomCase, result: &RefResult) {
    let Some(margin) = case.plan.margin.filter(|margin| margin.liquidation) else { return };
    assert_eq!(result.maintenance_margin.len(), result.equity.len());
    for (equity, maintenance) in result.equity.iter().zip(&result.maintenance_margin) {
        assert!(*maintenance == 0.0 || maintenance < equity, "{maintenance} of {equity}: {margin:?}");
    }
    assert!(result.insurance.iter().all(|payment| payment.amount_usdt > 0.0));
    // Of isolated margin insurance also pays what one position owes, and the account goes on.
    let ruins: Vec<_> = result.insurance.iter().filter(|payment| payment.ruins).collect();
    assert!(
        ruins.len() <= 1 && (margin.mode == MarginMode::Isolated || ruins.len() == result.insurance.len())
    );
    if let Some(insurance) = ruins.first() {
        assert!(result.fills.iter().all(|fill| fill.bar <= insurance.bar));
        assert!(result.wallet.last().unwrap().abs() <= 1e-9 * case.plan.initial_capital_usdt);
    }
}

/// The market as it was known at the close of bar `bars − 1`.
fn truncated(market: &Market, bars: usize) -> Market {
    let mut known = market.clone();
    known.grid.bars = bars;
    let cells = bars * known.panels.lanes;
    for column in [
        &mut known.panels.open,
        &mut known.panels.high,
        &mut known.panels.low,
        &mut known.panels.close,
        &mut known.panels.volume,
    ] {
        *column = column.slice(0, cells);
    }
    known.panels.mark = known.panels.mark.map(|column| column.slice(0, cells));
    known.funding =
        FundingTape::new(known.funding.records.into_iter().filter(|r| (r.bar as usize) < bars).collect());
    known
}

fn scopes() -> impl Strategy<Value = Scope> {
    prop::sample::select(&Scope::ALL[..])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn invariants_hold_on_random_markets(
        scope in scopes(),
        seed: u64,
        symbols in 1_usize..=20,
        bars in 20_usize..=300,
    ) {
        let case = RandomCase::within(scope, seed, symbols, bars);
        let result = run(&case.input());
        prop_assert_eq!(result.equity.len(), case.run.len());
        check_fills(&case, &result);
        check_orders(&case, &result);
        check_prices(&result);
        check_cap(&case, &result);
        check_margin(&case, &result);
        let fees: f64 = result.fills.iter().map(|f| f.fee_usdt).sum();
        let realized: f64 = result.fills.iter().map(|f| f.realized_usdt).sum();
        let funding: f64 = result.funding.iter().map(|f| f.cash_usdt).sum();
        let initial = case.plan.initial_capital_usdt;
        let insurance: f64 = result.insurance.iter().map(|i| i.amount_usdt).sum();
        let wallet = initial + realized - fees + funding + insurance;
        prop_assert!((wallet - result.wallet.last().unwrap()).abs() <= 1e-9 * initial.max(1.0));
    }

    /// 10.5, the look-ahead test: what comes after `K_t` changes nothing up to `t`.
    #[test]
    fn the_future_changes_nothing(
        scope in scopes(),
        seed: u64,
        symbols in 1_usize..=6,
        bars in 20_usize..=200,
        cut in 0.1..0.9_f64,
    ) {
        let mut case = RandomCase::within(scope, seed, symbols, bars);
        case.plan.execution.end_of_run = EndOfRun::Mark;
        let end = case.run.start + 1 + ((case.run.len() - 1) as f64 * cut) as usize;
        let whole = run(&case.input());
        let market = truncated(&case.market, end);
        let intents: Vec<_> = case.intents.iter().filter(|i| (i.bar as usize) < end).copied().collect();
        let early = run(&RefInput { market: &market, run: case.run.start..end, intents: &intents, ..case.input() });
        prop_assert_eq!(&early.equity[..], &whole.equity[..early.equity.len()]);
        // field by field in text, where a participation that was not read equals itself
        prop_assert_eq!(format!("{:?}", early.fills), format!("{:?}", &whole.fills[..early.fills.len()]));
        prop_assert_eq!(&early.funding[..], &whole.funding[..early.funding.len()]);
        prop_assert!(whole.fills.get(early.fills.len()).is_none_or(|fill| fill.bar >= end));
    }
}

/// The random cases do reach what they are for.
#[test]
fn random_cases_reach_every_reason() {
    let mut fills: HashMap<&str, usize> = HashMap::new();
    let mut ends: HashMap<String, usize> = HashMap::new();
    for seed in 0..240 {
        let scope = [Scope::MarketOrders, Scope::WithMargin, Scope::WithRegimes][seed as usize % 3];
        let case = RandomCase::within(scope, seed, 1 + seed as usize % 20, 20 + seed as usize / 2);
        let result = run(&case.input());
        for fill in &result.fills {
            *fills.entry(fill.reason.as_str()).or_default() += 1;
        }
        for end in &result.orders {
            *ends.entry(format!("{} {}", end.status.as_str(), end.reason)).or_default() += 1;
        }
    }
    for reason in [
        "market_entry",
        "market_exit",
        "sl",
        "sl_gap",
        "sl_entry_bar",
        "tp",
        "tp_open",
        "tp_marketable",
        "limit_maker",
        "limit_taker",
        "stop_entry",
        "stop_entry_gap",
        "trail",
        "funding_exit",
        "liquidation",
        "margin_trim",
        "delist",
        "series_end",
        "end_of_run",
    ] {
        assert!(fills.contains_key(reason), "no fill with {reason}: {fills:?}");
    }
    for end in [
        "filled ",
        "rejected min_qty",
        "rejected max_qty",
        "rejected min_notional",
        "rejected delisting",
        "rejected stale",
        "rejected not_listed",
        "rejected zero_size",
        "rejected stop_distance",
        "rejected take_profit_distance",
        "cancelled reduce_only",
        "cancelled opposite_signal",
        "cancelled min_notional",
        "cancelled delisting",
        "cancelled oco",
        "cancelled stale_move",
        "rejected post_only",
        "rejected beyond_stop",
        "rejected funding_window",
        "rejected margin",
        "rejected position_limit",
        "rejected vacuum",
        "rejected ruined",
        "cancelled margin",
        "cancelled liquidation",
        "expired ttl",
        "never_active last_bar",
        "open end_of_run",
    ] {
        assert!(ends.contains_key(end), "no order with {end:?}: {ends:?}");
    }
}
