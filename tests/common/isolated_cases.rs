//! Isolated margin as cases a reader can check by hand; any engine can be put through them. The numbers in brackets are
//! those of decision 8. Where nothing else is said: 10 units at 100 with ten times leverage are 100 USDT of margin, and
//! maintenance is 2.5 %.

use barloom::config::plan::*;
use barloom::engine::api::{FillFlags, FillReason, OrderIntent, OrderKind, OrderStatus, Side};
use barloom::market::{Bracket, BracketTable, Contract, Market, StepGrid};

use super::example_runs::{Engine, margin_plan};
use super::order_cases::{Case, bar, buy, end, fills, order, stop_at};
use super::{Ohlcv, SymbolBars, assert_near, bare_plan, flat_slippage, market_from_bars, market_order};
use crate::reference::RefResult;

/// Every case.
pub(crate) const CASES: &[Case] = &[
    a_long,
    a_short,
    brackets_up_to_the_liquidation_price,
    a_larger_notional_takes_more_margin,
    funding_drains_a_margin,
    funding_beyond_a_margin,
    an_increase,
    a_reduction,
    unrealised_profit_opens_nothing,
    a_flip,
    a_flip_has_what_it_closes,
    a_fill_beyond_the_mark,
    only_one_is_liquidated,
    a_stop_nearer_to_the_open,
    checked_at_the_close_alone,
    the_guard_of_a_symbol,
    without_equity_all_goes,
];

const FLAT: Option<Ohlcv> = Some([100.0, 100.0, 100.0, 100.0, 1e6]);

fn at(px: f64) -> Option<Ohlcv> {
    bar(px, px, px, px)
}

fn symbol(name: &str, bars: &[Option<Ohlcv>]) -> SymbolBars {
    let contract =
        Contract { tick: Some(StepGrid::new(0.1)), step: StepGrid::new(1.0), ..Contract::default() };
    SymbolBars { name: name.into(), contract, bars: bars.to_vec() }
}

/// Two brackets that part at a notional of 1000: 1 % and ten times, 5 % and five times.
fn with_brackets(mut market: Market) -> Market {
    let brackets = vec![
        Bracket {
            floor_usdt: 0.0,
            cap_usdt: 1_000.0,
            maintenance_frac: 0.01,
            cum_usdt: 0.0,
            initial_leverage: 10.0,
        },
        Bracket {
            floor_usdt: 1_000.0,
            cap_usdt: 1e6,
            maintenance_frac: 0.05,
            cum_usdt: 40.0,
            initial_leverage: 5.0,
        },
    ];
    market.symbols[0].brackets = vec![BracketTable { valid_from_ms: None, brackets }];
    market
}

fn one(bars: &[Option<Ohlcv>], funding: &[(usize, f64)]) -> Market {
    let records: Vec<_> = funding.iter().map(|&(bar, rate)| (bar, 0, 100.0, rate)).collect();
    market_from_bars(&[symbol("AAA", bars)], &records)
}

fn plan(capital_usdt: f64) -> EnginePlan {
    let mut plan = bare_plan();
    plan.initial_capital_usdt = capital_usdt;
    plan.margin = Some(MarginPlan { mode: MarginMode::Isolated, ..margin_plan(10.0) });
    plan
}

fn sell(id: u32, bar: usize, qty: f64) -> OrderIntent {
    market_order(id, bar, 0, Sell, qty)
}

/// `(bar, base, quantity)` of the only liquidation.
#[track_caller]
fn liquidation(result: &RefResult) -> (usize, f64, f64) {
    let mut all = result.fills.iter().filter(|fill| fill.reason == Liquidation);
    let fill = all.next().expect("a liquidation");
    assert!(all.next().is_none(), "one liquidation");
    (fill.bar, fill.base_px, fill.qty)
}

#[track_caller]
fn assert_liquidated(result: &RefResult, expected: (usize, f64, f64)) {
    let (bar, base_px, qty) = liquidation(result);
    assert_eq!((bar, qty), (expected.0, expected.2));
    assert_near("the liquidation price", base_px, expected.1);
}

fn last_wallet(result: &RefResult) -> f64 {
    *result.wallet.last().expect("bars")
}

use FillReason::*;
use Side::{Buy, Sell};

/// LP = (100 − 1000)/(10·(0.025 − 1)) = 92.30…, sold at 92.3; of the 100 are left 100 − 77 − 0.0125·923.
fn a_long(run: Engine) {
    let market = one(&[FLAT, FLAT, bar(100.0, 100.0, 90.0, 95.0)], &[]);
    let result = run(&market, &plan(10_000.0), &[buy(0, 0, 10.0)]);
    assert_liquidated(&result, (2, 900.0 / 9.75, 10.0));
    assert_near("wallet", last_wallet(&result), 10_000.0 - 77.0 - 11.537_5);
    assert!(result.insurance.is_empty());
    // at the close before: MM of 25 against a margin of 100
    assert_eq!(result.isolated_ratio, [0.0, 0.25, 0.0]);
}

/// LP = (100 + 1000)/(10·1.025) = 107.31…, bought at 107.4.
fn a_short(run: Engine) {
    let market = one(&[FLAT, FLAT, bar(100.0, 110.0, 100.0, 105.0)], &[]);
    let result = run(&market, &plan(10_000.0), &[sell(0, 0, 10.0)]);
    assert_liquidated(&result, (2, 1_100.0 / 10.25, 10.0));
    assert_near("wallet", last_wallet(&result), 10_000.0 - 74.0 - 13.425);
}

/// 4.7: 10 short at 95 lie in the first bracket (margin 95), at their LP in the second: (95 + 40 + 950)/(10·1.05).
fn brackets_up_to_the_liquidation_price(run: Engine) {
    let bars = [at(95.0), at(95.0), bar(95.0, 103.0, 95.0, 103.0), bar(103.0, 104.0, 103.0, 103.0)];
    let result = run(&with_brackets(one(&bars, &[])), &plan(10_000.0), &[sell(0, 0, 10.0)]);
    assert_liquidated(&result, (3, 1_085.0 / 10.5, 10.0));
}

/// (2): 8 at ten times are 80; 4 more make a notional of 1200, and take 400/5. LP = (160 + 40 − 1200)/(12·(0.05 − 1)).
fn a_larger_notional_takes_more_margin(run: Engine) {
    let bars = [FLAT, FLAT, FLAT, bar(100.0, 100.0, 85.0, 90.0)];
    let orders = [buy(0, 0, 8.0), buy(1, 1, 4.0)];
    let result = run(&with_brackets(one(&bars, &[])), &plan(10_000.0), &orders);
    assert_liquidated(&result, (3, 1_000.0 / 11.4, 12.0));
}

/// (5): 50 of the 100 are paid away, LP = (50 − 1000)/(−9.75) = 97.43…; what is received lies behind the position too.
fn funding_drains_a_margin(run: Engine) {
    let bars = [FLAT, FLAT, FLAT, bar(100.0, 100.0, 97.0, 98.0), bar(98.0, 98.0, 88.0, 90.0)];
    let funded = |rate: f64| run(&one(&bars, &[(2, rate)]), &plan(10_000.0), &[buy(0, 0, 10.0)]);
    assert_liquidated(&funded(0.05), (3, 950.0 / 9.75, 10.0));
    assert_liquidated(&funded(0.0), (4, 900.0 / 9.75, 10.0));
    assert_liquidated(&funded(-0.02), (4, 880.0 / 9.75, 10.0));
}

/// (5), (9): after 80 the 20 left are less than MM; after 200 the margin owes 100, and with the fee of 12.5 the fund
/// pays 112.5, so that the account has lost its 100 and no more.
fn funding_beyond_a_margin(run: Engine) {
    let funded = |rate: f64| run(&one(&[FLAT; 4], &[(2, rate)]), &plan(10_000.0), &[buy(0, 0, 10.0)]);
    let result = funded(0.08);
    assert_liquidated(&result, (2, 100.0, 10.0));
    assert_near("wallet", last_wallet(&result), 10_000.0 - 80.0 - 12.5);
    assert!(result.insurance.is_empty());
    let result = funded(0.2);
    assert_liquidated(&result, (2, 100.0, 10.0));
    assert_near("insurance", result.insurance[0].amount_usdt, 112.5);
    assert_near("wallet", last_wallet(&result), 9_900.0);
}

/// (2): 100 and 110 of margin, average entry 105: LP = (210 − 2100)/(20·(0.025 − 1)) = 96.92…
fn an_increase(run: Engine) {
    let bars = [FLAT, at(100.0), at(110.0), bar(110.0, 110.0, 95.0, 100.0)];
    let result = run(&one(&bars, &[]), &plan(10_000.0), &[buy(0, 0, 10.0), buy(1, 1, 10.0)]);
    assert_liquidated(&result, (3, 1_890.0 / 19.5, 20.0));
}

/// (3): 4 of 10 sold at 105 give back 40 and the 20 they made; 10 + 60 cover 6 more at 10.5 each. The LP of the rest
/// stays where it was.
fn a_reduction(run: Engine) {
    let bars = [FLAT, FLAT, at(105.0), at(105.0), at(105.0)];
    let mut of_110 = plan(110.0);
    of_110.margin.as_mut().unwrap().on_short = OnMarginShort::Scale;
    let orders = [buy(0, 0, 10.0), sell(1, 1, 4.0), buy(2, 2, 9.0)];
    let result = run(&one(&bars, &[]), &of_110, &orders);
    let expected =
        [(1, 0, MarketEntry, 10.0, 100.0), (2, 1, MarketExit, 4.0, 105.0), (3, 2, MarketEntry, 6.0, 105.0)];
    assert_eq!(fills(&result), expected);
    let falls = [FLAT, FLAT, at(105.0), bar(105.0, 105.0, 90.0, 95.0)];
    let result = run(&one(&falls, &[]), &of_110, &orders[..2]);
    assert_liquidated(&result, (3, 900.0 / 9.75, 6.0));
}

/// (6): at 200 the position has made 1000, and the free 10 do not cover the 20 for one more.
fn unrealised_profit_opens_nothing(run: Engine) {
    let bars = [FLAT, FLAT, at(200.0), at(200.0)];
    let orders = [buy(0, 0, 10.0), buy(1, 2, 1.0)];
    let result = run(&one(&bars, &[]), &plan(110.0), &orders);
    assert_eq!(end(&result, 1), (2, OrderStatus::Rejected, "margin"));
    let mut cross = plan(110.0);
    cross.margin.as_mut().unwrap().mode = MarginMode::Cross;
    assert_eq!(end(&run(&one(&bars, &[]), &cross, &orders), 1).1, OrderStatus::Filled);
}

/// (4): 15 sold at 104 close 10 and open 5 with a margin of 52: LP = (52 + 520)/(5·1.025) = 111.60…
fn a_flip(run: Engine) {
    let bars = [FLAT, FLAT, at(104.0), bar(104.0, 112.0, 104.0, 110.0)];
    let result = run(&one(&bars, &[]), &plan(1_000.0), &[buy(0, 0, 10.0), sell(1, 1, 15.0)]);
    assert_liquidated(&result, (3, 572.0 / 5.125, 5.0));
    // bought back at 111.7
    assert_near("wallet", last_wallet(&result), 1_000.0 + 40.0 - 38.5 - 0.0125 * 558.5);
}

/// (6): nothing is free, but the closing leg leaves 100 and 40 behind, enough for 13 at 10.4 each.
fn a_flip_has_what_it_closes(run: Engine) {
    let mut plan = plan(100.0);
    plan.margin.as_mut().unwrap().on_short = OnMarginShort::Scale;
    let bars = [FLAT, FLAT, at(104.0), at(104.0)];
    let result = run(&one(&bars, &[]), &plan, &[buy(0, 0, 10.0), sell(1, 2, 40.0)]);
    assert_eq!(fills(&result)[1..], [(3, 1, MarketEntry, 23.0, 104.0)]);
}

/// (2): bought at 101 where the mark is 100: 101 and a loss of 10 are behind it. LP = (111 − 1010)/(−9.75) = 92.20…
fn a_fill_beyond_the_mark(run: Engine) {
    let mut plan = plan(10_000.0);
    plan.slippage = flat_slippage(100.0);
    let bars = [FLAT, FLAT, bar(100.0, 100.0, 92.0, 95.0)];
    let result = run(&one(&bars, &[]), &plan, &[buy(0, 0, 10.0)]);
    assert_liquidated(&result, (2, 899.0 / 9.75, 10.0));
}

/// (8), (9): AAA opens at 80, where its 100 are 200 short of nothing: 110 with the fee. BBB, its order and the account go
/// on, whatever `liq_mode` is.
fn only_one_is_liquidated(run: Engine) {
    let gap = [FLAT, FLAT, at(80.0), at(80.0), at(80.0)];
    let market = market_from_bars(&[symbol("AAA", &gap), symbol("BBB", &[FLAT; 5])], &[]);
    let waits = |id: u32, symbol: usize| OrderIntent {
        ttl_bars: 0,
        kind: OrderKind::Limit,
        price_px: 70.0,
        ..market_order(id, 1, symbol, Buy, 1.0)
    };
    for liq_mode in [LiqMode::LargestMm, LiqMode::All, LiqMode::ProRata] {
        let mut plan = plan(10_000.0);
        plan.margin.as_mut().unwrap().liq_mode = liq_mode;
        let orders = [
            buy(0, 0, 10.0),
            market_order(1, 0, 1, Buy, 10.0),
            waits(2, 0),
            waits(3, 1),
            market_order(4, 3, 0, Buy, 5.0),
        ];
        let result = run(&market, &plan, &orders);
        assert_liquidated(&result, (2, 80.0, 10.0));
        assert_eq!(result.fills[2].flags, FillFlags::GAPPED);
        let paid: Vec<_> = result.insurance.iter().map(|i| (i.bar, i.symbol, i.ruins)).collect();
        assert_eq!(paid, [(2, 0, false)]);
        assert_near("insurance", result.insurance[0].amount_usdt, 110.0);
        assert_near("wallet", result.wallet[2], 9_900.0);
        assert_eq!(end(&result, 2), (2, OrderStatus::Cancelled, "liquidation"));
        assert_eq!(end(&result, 3).1, OrderStatus::Open);
        assert_eq!(end(&result, 4), (4, OrderStatus::Filled, ""));
        assert_near("margins of BBB and of AAA anew", result.initial_margin[4], 100.0 + 40.0);
    }
}

/// 4.7: the stop at 93 lies before the LP of 92.30…, the one at 92 behind it.
fn a_stop_nearer_to_the_open(run: Engine) {
    let market = one(&[FLAT, FLAT, bar(100.0, 100.0, 90.0, 95.0)], &[]);
    let reason = |px: f64| run(&market, &plan(10_000.0), &[stop_at(px, buy(0, 0, 10.0))]).fills[1].reason;
    assert_eq!([reason(93.0), reason(92.0)], [StopLoss, Liquidation]);
}

/// `liq_check = close`: beyond the LP inside bar 2, and beyond it at the close of bar 3, where it goes at the mark.
fn checked_at_the_close_alone(run: Engine) {
    let mut plan = plan(10_000.0);
    plan.margin.as_mut().unwrap().liq_check = LiqCheck::Close;
    let bars = [FLAT, FLAT, bar(100.0, 100.0, 90.0, 95.0), bar(95.0, 95.0, 85.0, 92.0)];
    let result = run(&one(&bars, &[]), &plan, &[buy(0, 0, 10.0)]);
    assert_liquidated(&result, (3, 92.0, 10.0));
}

/// (11), (12): at 95 MM is 23.75 of 50. AAA is trimmed to 0.2·50 = 10 of MM, a share of 0.5789…, up to 6, whose loss its
/// margin bears: 70 − 20 against 9.5. BBB may open meanwhile, at exactly 0.25.
fn the_guard_of_a_symbol(run: Engine) {
    let mut plan = plan(10_000.0);
    let guard = MarginGuard { warn: 0.3, trim: 0.4, target: 0.2, order: TrimOrder::LargestLoss };
    plan.margin.as_mut().unwrap().guard = Some(guard);
    let falls = [FLAT, FLAT, at(95.0), at(95.0)];
    let market = market_from_bars(&[symbol("AAA", &falls), symbol("BBB", &[FLAT; 4])], &[]);
    let orders = [buy(0, 0, 10.0), buy(1, 2, 1.0), market_order(2, 2, 1, Buy, 3.0)];
    let result = run(&market, &plan, &orders);
    assert_eq!(fills(&result)[1..], [(3, -1, MarginTrim, 6.0, 95.0), (3, 2, MarketEntry, 3.0, 100.0)]);
    assert_eq!(end(&result, 1), (2, OrderStatus::Rejected, "margin"));
    assert_near("the ratio before", result.isolated_ratio[2], 0.475);
    // that of BBB is 0.25
    assert_near("the ratio after", result.isolated_ratio[3], 0.25);
    let alone = run(&one(&falls, &[]), &plan, &orders[..1]);
    assert_near("the ratio of AAA after", alone.isolated_ratio[3], 0.19);
}

/// (10): the stop of AAA fills at 75 and takes 250 of 210. BBB is sound by itself, but there is no equity: it goes at the
/// mark of the close, its fee of 12.5 on top of the 40.
fn without_equity_all_goes(run: Engine) {
    let mut plan = plan(210.0);
    plan.margin.as_mut().unwrap().liq_check = LiqCheck::Close;
    let gap = [FLAT, FLAT, at(75.0), at(75.0)];
    let market = market_from_bars(&[symbol("AAA", &gap), symbol("BBB", &[FLAT; 4])], &[]);
    let orders = [
        stop_at(95.0, buy(0, 0, 10.0)),
        market_order(1, 0, 1, Buy, 10.0),
        OrderIntent { symbol: 1, ..order(2, 1, OrderKind::Limit, Buy, 1.0, 70.0) },
        market_order(3, 2, 1, Buy, 1.0),
    ];
    let result = run(&market, &plan, &orders);
    let lines: Vec<_> = result.fills[2..].iter().map(|f| (f.bar, f.symbol, f.reason)).collect();
    assert_eq!(lines, [(2, 0, StopLossGap), (2, 1, Liquidation)]);
    let paid: Vec<_> = result.insurance.iter().map(|i| (i.bar, i.symbol, i.ruins)).collect();
    assert_eq!(paid, [(2, 1, true)]);
    assert_near("insurance", result.insurance[0].amount_usdt, 52.5);
    assert_near("wallet", last_wallet(&result), 0.0);
    assert_eq!(end(&result, 2), (2, OrderStatus::Cancelled, "liquidation"));
    assert_eq!(end(&result, 3), (2, OrderStatus::Rejected, "ruined"));
}
