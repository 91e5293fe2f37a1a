//! Cases a reader can check by hand where no worked example exists: brackets (2.6, 2.12), two-leg orders (2.11),
//! settlements (1.7), end of run (1.8), gaps (1.6), and rules as levels (contract 4). All on the reference engine.

mod common;
mod reference;

use barloom::config::plan::*;
use barloom::engine::api::{
    Attached, AttachedLevels, FillFlags, FillReason, OrderIntent, OrderStatus, Regime, Side,
};
use barloom::market::{Contract, Market, StepGrid};
use common::{BAR_MS, Ohlcv, START_MS, SymbolBars, bare_plan, flat_slippage, market_from_bars, market_order};
use reference::{RefInput, RefResult, RefSignal, RefSignals, run};

const FLAT: Option<Ohlcv> = Some([100.0, 100.0, 100.0, 100.0, 1e6]);

fn bar(open: f64, high: f64, low: f64, close: f64) -> Option<Ohlcv> {
    Some([open, high, low, close, 1e6])
}

fn contract() -> Contract {
    Contract { tick: Some(StepGrid::new(0.1)), step: StepGrid::new(1.0), ..Contract::default() }
}

fn market(contract: Contract, bars: Vec<Option<Ohlcv>>) -> Market {
    market_from_bars(&[SymbolBars { name: "AAA".into(), contract, bars }], &[])
}

fn run_with(market: &Market, plan: &EnginePlan, signals: &RefSignals, intents: &[OrderIntent]) -> RefResult {
    run(&RefInput { market, run: 0..market.grid.bars, plan, signals, regimes: &[], intents })
}

fn run_orders(bars: Vec<Option<Ohlcv>>, plan: &EnginePlan, intents: &[OrderIntent]) -> RefResult {
    run_with(&market(contract(), bars), plan, &RefSignals::new(), intents)
}

fn long_with(stop_loss_px: f64, take_profit_px: f64) -> OrderIntent {
    OrderIntent {
        attached: Attached { stop_loss_px, take_profit_px, ..Attached::NONE },
        ..market_order(0, 0, 0, Side::Buy, 1.0)
    }
}

/// `(bar, reason, price)` of every fill after the entry.
fn exits(result: &RefResult) -> Vec<(usize, FillReason, f64)> {
    result.fills[1..].iter().map(|f| (f.bar, f.reason, f.price)).collect()
}

const NONE: f64 = f64::NAN;

#[test]
fn a_take_profit_needs_to_be_traded_through() {
    let bars = |high| vec![FLAT, FLAT, bar(100.0, high, 100.0, 100.0)];
    let mut plan = bare_plan();
    assert_eq!(exits(&run_orders(bars(102.0), &plan, &[long_with(NONE, 102.0)])), []);
    let through = exits(&run_orders(bars(102.1), &plan, &[long_with(NONE, 102.0)]));
    assert_eq!(through, [(2, FillReason::TakeProfit, 102.0)]);
    plan.execution.limit_rule = LimitRule::Touch;
    let touched = exits(&run_orders(bars(102.0), &plan, &[long_with(NONE, 102.0)]));
    assert_eq!(touched, [(2, FillReason::TakeProfit, 102.0)]);
}

#[test]
fn a_resting_take_profit_fills_at_its_price_and_a_market_one_at_the_open() {
    let bars = |open| vec![FLAT, FLAT, bar(open, 103.0, 100.0, 101.0)];
    let mut plan = bare_plan();
    plan.slippage = flat_slippage(10.0);
    let run_tp = |plan: &EnginePlan, open| exits(&run_orders(bars(open), plan, &[long_with(NONE, 102.0)]));
    assert_eq!(run_tp(&plan, 102.5), [(2, FillReason::TakeProfitOpen, 102.0)]);
    // the open is on the limit: it needs its trade-through inside the bar (2.14)
    assert_eq!(run_tp(&plan, 102.0), [(2, FillReason::TakeProfit, 102.0)]);
    plan.execution.tp_kind = TakeProfitKind::Market;
    // 102.5·0.999 = 102.3975, 102·0.999 = 101.898; down to the tick
    assert_eq!(run_tp(&plan, 102.5), [(2, FillReason::TakeProfitOpen, 102.3)]);
    assert_eq!(run_tp(&plan, 101.0), [(2, FillReason::TakeProfit, 101.8)]);
}

#[test]
fn an_entry_beyond_its_own_levels_is_out_at_the_open() {
    let mut plan = bare_plan();
    plan.slippage = flat_slippage(10.0);
    let entry_bar = vec![FLAT, bar(100.0, 101.0, 99.0, 100.0)];
    // 100.1 bought; the stop at 100.5 is already passed: 100·0.999 = 99.9
    let stopped = run_orders(entry_bar.clone(), &plan, &[long_with(100.5, NONE)]);
    assert_eq!(exits(&stopped), [(1, FillReason::StopLossEntryBar, 99.9)]);
    // the target at 99.95 rounds up to 100 and is marketable: slippage is capped at its price
    let taken = run_orders(entry_bar.clone(), &plan, &[long_with(NONE, 99.95)]);
    assert_eq!(exits(&taken), [(1, FillReason::TakeProfitMarketable, 100.0)]);
    let deeper = run_orders(entry_bar, &plan, &[long_with(NONE, 98.0)]);
    assert_eq!(exits(&deeper), [(1, FillReason::TakeProfitMarketable, 99.9)]);
}

#[test]
fn both_levels_in_one_bar_follow_the_bracket_policy() {
    // H−O = 3 > O−L = 2: the path goes low first; with the low at 97 they tie and it goes high first
    for (low, adaptive) in [(98.0, FillReason::StopLoss), (97.0, FillReason::TakeProfit)] {
        let bars = vec![FLAT, FLAT, bar(100.0, 103.0, low, 100.0)];
        let mut plan = bare_plan();
        let orders = [long_with(98.5, 102.0)];
        assert_eq!(exits(&run_orders(bars.clone(), &plan, &orders))[0].1, FillReason::StopLoss);
        plan.execution.bracket_policy = BracketPolicy::Adaptive;
        assert_eq!(exits(&run_orders(bars.clone(), &plan, &orders))[0].1, adaptive);
        plan.execution.bracket_policy = BracketPolicy::Optimistic;
        assert_eq!(exits(&run_orders(bars, &plan, &orders))[0].1, FillReason::TakeProfit);
    }
}

#[test]
fn the_latest_increase_sets_the_levels_it_carries() {
    // The add carries a stop only: the target of the first entry is kept, its stop replaced.
    let add = OrderIntent {
        attached: Attached { stop_loss_px: 99.0, ..Attached::NONE },
        ..market_order(1, 1, 0, Side::Buy, 1.0)
    };
    let orders = [long_with(95.0, 105.0), add];
    let stopped = run_orders(vec![FLAT, FLAT, FLAT, bar(100.0, 100.0, 98.0, 98.0)], &bare_plan(), &orders);
    assert_eq!(exits(&stopped)[1..], [(3, FillReason::StopLoss, 99.0)]);
    assert_eq!(stopped.fills[2].qty, 2.0);
    let taken = run_orders(vec![FLAT, FLAT, FLAT, bar(100.0, 106.0, 100.0, 106.0)], &bare_plan(), &orders);
    assert_eq!(exits(&taken)[1..], [(3, FillReason::TakeProfit, 105.0)]);
}

#[test]
fn a_flip_clears_the_levels_and_is_one_fill() {
    let flip = market_order(1, 1, 0, Side::Sell, 3.0);
    let result = run_orders(
        vec![FLAT, FLAT, FLAT, bar(100.0, 110.0, 90.0, 100.0)],
        &bare_plan(),
        &[long_with(95.0, 105.0), flip],
    );
    assert_eq!(exits(&result), [(2, FillReason::MarketEntry, 100.0)]);
    assert_eq!((result.fills[1].qty, result.fills[1].position_after), (3.0, -2.0));
}

#[test]
fn an_opening_leg_that_fails_leaves_the_closing_leg() {
    let min_notional = Contract { min_notional_usdt: 150.0, ..contract() };
    let market = market(min_notional, vec![FLAT; 5]);
    let orders = [market_order(0, 0, 0, Side::Buy, 5.0), market_order(1, 1, 0, Side::Sell, 6.0)];
    let result = run_with(&market, &bare_plan(), &RefSignals::new(), &orders);
    assert_eq!((result.fills[1].qty, result.fills[1].position_after), (5.0, 0.0));
    assert_eq!(result.fills[1].reason, FillReason::MarketExit);
    assert_eq!((result.orders[1].status, result.orders[1].reason), (OrderStatus::Cancelled, "min_notional"));
}

#[test]
fn orders_wait_over_untradable_bars_within_their_life() {
    let no_volume = Some([100.0, 100.0, 100.0, 100.0, 0.0]);
    let bars = vec![FLAT, None, no_volume, bar(103.0, 103.0, 103.0, 103.0), FLAT];
    let with_ttl = |ttl_bars| OrderIntent { ttl_bars, ..market_order(0, 0, 0, Side::Buy, 1.0) };
    let patient = run_orders(bars.clone(), &bare_plan(), &[with_ttl(3)]);
    assert_eq!((patient.fills[0].bar, patient.fills[0].price), (3, 103.0));
    let hasty = run_orders(bars, &bare_plan(), &[with_ttl(2)]);
    assert!(hasty.fills.is_empty());
    assert_eq!((hasty.orders[0].status, hasty.orders[0].end_bar), (OrderStatus::Expired, 2));
}

#[test]
fn a_stop_waits_over_a_gap_and_fills_at_the_open_after_it() {
    let bars = vec![FLAT, FLAT, None, bar(90.0, 99.0, 89.0, 95.0)];
    let result = run_orders(bars, &bare_plan(), &[long_with(95.0, NONE)]);
    assert_eq!(exits(&result), [(3, FillReason::StopLossGap, 90.0)]);
    assert_eq!(result.equity[2], 10_000.0); // marked at the last close
}

#[test]
fn a_series_that_ends_is_settled_with_a_haircut() {
    let mut plan = bare_plan();
    plan.execution.delist_after_missing_bars = 3;
    plan.taker_fee_frac = 0.001;
    let mut bars = vec![FLAT, FLAT, bar(100.0, 110.0, 100.0, 110.0)];
    bars.extend([None; 5]);
    let result = run_orders(bars, &plan, &[market_order(0, 0, 0, Side::Buy, 10.0)]);
    // 110·0.995 = 109.45, down to 109.4, at the close of the third missing bar
    assert_eq!(exits(&result), [(5, FillReason::SeriesEnd, 109.4)]);
    assert_eq!(result.equity[4], 10_000.0 + 100.0 - 1.0);
    assert_eq!(result.fills[1].fee_usdt, 1.094);
    assert!((result.equity[5] - (10_000.0 + 94.0 - 1.0 - 1.094)).abs() < 1e-9);
}

/// Silence before a known delisting is no end of the series: the position settles at `D`, without a haircut.
#[test]
fn a_silent_symbol_with_a_known_delisting_waits_for_it() {
    let mut plan = bare_plan();
    plan.execution.delist_after_missing_bars = 2;
    let delisted = Contract { delisted_ms: Some(START_MS + 6 * BAR_MS), ..contract() };
    let market = market(delisted, [FLAT, FLAT].into_iter().chain([None; 6]).collect());
    let result = run_with(&market, &plan, &RefSignals::new(), &[market_order(0, 0, 0, Side::Buy, 1.0)]);
    assert_eq!(exits(&result), [(6, FillReason::Delist, 100.0)]);
}

/// 2.8: the mean of the last 96 present bars through the bar before the fill; a missing bar is none of them.
#[test]
fn trailing_volume_is_the_mean_of_96_present_bars() {
    let mut plan = bare_plan();
    plan.slippage = Slippage { volume_ref: VolumeRef::Trailing, b_bps: 30.0, ..flat_slippage(1.0) };
    let with_volume = |volume| Some([100.0, 100.0, 100.0, 100.0, volume]);
    // one bar too old, 48 of 1000, a gap, 48 of 3000 (mean 2000), and the bar of the fill
    let mut bars = vec![with_volume(1e9)];
    bars.extend([with_volume(1_000.0); 48]);
    bars.push(None);
    bars.extend([with_volume(3_000.0); 48]);
    let decided = bars.len() - 1;
    bars.push(with_volume(7.0));
    let result = run_orders(bars, &plan, &[market_order(0, decided, 0, Side::Buy, 20.0)]);
    assert_eq!(result.fills[0].participation, 0.01);
}

#[test]
fn before_a_known_delisting_orders_only_reduce() {
    let delisted = Contract { delisted_ms: Some(START_MS + 6 * BAR_MS), ..contract() };
    let market = market(delisted, vec![FLAT; 6].into_iter().chain([None; 3]).collect());
    let reduce = OrderIntent { reduce_only: true, ..market_order(2, 4, 0, Side::Sell, 4.0) };
    let orders = [
        market_order(0, 2, 0, Side::Buy, 10.0), // active at T_3 = D − 45 min
        market_order(1, 3, 0, Side::Buy, 1.0),  // active at T_4 = D − 30 min
        reduce,
        market_order(3, 4, 0, Side::Sell, 20.0), // closes what is left, must not open
        market_order(4, 6, 0, Side::Buy, 1.0),
    ];
    let result = run_with(&market, &bare_plan(), &RefSignals::new(), &orders);
    let quantities: Vec<_> = result.fills.iter().map(|f| (f.bar, f.order_id, f.qty)).collect();
    assert_eq!(quantities, [(3, 0, 10.0), (5, 2, 4.0), (5, 3, 6.0)]);
    let mut ends: Vec<_> =
        result.orders.iter().map(|e| (e.order_id, e.end_bar, e.status, e.reason)).collect();
    ends.sort_by_key(|end| end.0);
    assert_eq!(ends[1], (1, 4, OrderStatus::Rejected, "delisting"));
    assert_eq!(ends[3], (3, 5, OrderStatus::Cancelled, "delisting"));
    assert_eq!(ends[4], (4, 7, OrderStatus::Rejected, "delisting"));
}

#[test]
fn the_end_of_the_run_marks_or_closes() {
    let bars = vec![FLAT, FLAT, bar(100.0, 120.0, 100.0, 120.0)];
    let orders = [market_order(0, 0, 0, Side::Buy, 1.0), market_order(1, 2, 0, Side::Buy, 1.0)];
    let mut plan = bare_plan();
    let marked = run_orders(bars.clone(), &plan, &orders);
    assert_eq!((marked.fills.len(), marked.equity[2], marked.wallet[2]), (1, 10_020.0, 10_000.0));
    assert_eq!(marked.orders[1].status, OrderStatus::NeverActive);
    plan.execution.end_of_run = EndOfRun::Close;
    plan.slippage = flat_slippage(100.0); // 100·1.01 = 101, 120·0.99 = 118.8
    let closed = run_orders(bars, &plan, &orders);
    assert_eq!(exits(&closed), [(2, FillReason::EndOfRun, 118.8)]);
    assert!((closed.wallet[2] - 10_017.8).abs() < 1e-9);
}

#[test]
fn stale_symbols_get_no_new_entry() {
    let mut plan = bare_plan();
    plan.max_stale_bars = 2;
    let bars = vec![FLAT, None, None, None, FLAT, FLAT];
    let order = |id, bar| OrderIntent { ttl_bars: 0, ..market_order(id, bar, 0, Side::Buy, 1.0) };
    let result = run_orders(bars, &plan, &[order(0, 2), order(1, 3), order(2, 4)]);
    assert_eq!((result.orders[0].order_id, result.orders[0].reason), (1, "stale"));
    assert_eq!(result.fills.iter().map(|f| (f.bar, f.order_id)).collect::<Vec<_>>(), [(4, 0), (5, 2)]);
}

/// One symbol on a flat market, fixed notional 1000 at 100: 10 units. `L`/`S` entries, `l`/`s` exits, per close.
fn run_rules(plan: &EnginePlan, bars: &[Option<Ohlcv>], rules: &[&str]) -> RefResult {
    let signal = |text: &str| RefSignal {
        long_entry: text.contains('L'),
        short_entry: text.contains('S'),
        long_exit: text.contains('l'),
        short_exit: text.contains('s'),
        ..RefSignal::default()
    };
    let signals: RefSignals = rules.iter().map(|text| vec![signal(text)]).collect();
    run_with(&market(contract(), bars.to_vec()), plan, &signals, &[])
}

/// `(bar, order id, position after)` of every fill.
fn path(result: &RefResult) -> Vec<(usize, u32, f64)> {
    result.fills.iter().map(|f| (f.bar, f.order_id, f.position_after)).collect()
}

#[test]
fn rules_are_levels() {
    let plan = bare_plan();
    let run_flat = |rules: &[&str]| path(&run_rules(&plan, &vec![FLAT; rules.len()], rules));
    // a level that stays true enters once, an entry on the held side does nothing
    assert_eq!(run_flat(&["L", "L", "L", ""]), [(1, 0, 10.0)]);
    // an entry on the other side flips in one order
    assert_eq!(run_flat(&["L", "S", "", ""]), [(1, 0, 10.0), (2, 1, -10.0)]);
    // both entries true: neither acts, held or not
    assert_eq!(run_flat(&["LS", "", "L", "LS", ""]), [(3, 0, 10.0)]);
    // an exit goes before an entry on the held side; the level enters again at the next close
    assert_eq!(run_flat(&["L", "Ll", "Ll", ""]), [(1, 0, 10.0), (2, 1, 0.0), (3, 2, 10.0)]);
    // exits while flat, and of the other side, do nothing
    assert_eq!(run_flat(&["ls", "L", "s", ""]), [(2, 0, 10.0)]);
    // an exit together with an entry on the other side is a flip
    assert_eq!(run_flat(&["L", "lS", "", ""]), [(1, 0, 10.0), (2, 1, -10.0)]);
    // decided at the last close: never active
    assert_eq!(run_flat(&["", "", "L"]), []);
}

#[test]
fn a_pending_entry_suppresses_its_side_and_yields_to_the_other() {
    let mut plan = bare_plan();
    plan.execution.entry_ttl_bars = 5;
    let bars = [FLAT, None, None, FLAT, FLAT];
    let waits = run_rules(&plan, &bars, &["L", "L", "L", "", ""]);
    assert_eq!(path(&waits), [(3, 0, 10.0)]);
    assert_eq!(waits.orders.len(), 1);
    let yields = run_rules(&plan, &bars, &["L", "S", "", "", ""]);
    assert_eq!(path(&yields), [(3, 1, -10.0)]);
    let end = &yields.orders[0];
    assert_eq!((end.order_id, end.end_bar, end.status), (0, 1, OrderStatus::Cancelled));
    assert_eq!(end.reason, "opposite_signal");
}

#[test]
fn a_refused_distance_rejects_the_entry_and_still_closes_a_flip() {
    let mut signals: RefSignals = vec![vec![RefSignal::default()]; 4];
    signals[0][0].long_entry = true;
    signals[1][0].short_entry = true;
    signals[1][0].short_levels = AttachedLevels::Rejected("stop_distance");
    signals[2][0] = signals[1][0];
    let result = run_with(&market(contract(), vec![FLAT; 4]), &bare_plan(), &signals, &[]);
    assert_eq!(path(&result), [(1, 0, 10.0), (2, 1, 0.0)]);
    let ends: Vec<_> = result.orders.iter().map(|e| (e.order_id, e.status, e.reason)).collect();
    assert_eq!(ends[1], (1, OrderStatus::Cancelled, "stop_distance"));
    assert_eq!(ends[2], (2, OrderStatus::Rejected, "stop_distance"));
}

#[test]
fn a_stopped_position_does_not_swell_the_flip() {
    let mut signals: RefSignals = vec![vec![RefSignal::default()]; 4];
    signals[0][0].long_entry = true;
    signals[0][0].long_levels =
        AttachedLevels::Prices(Attached { stop_loss_px: 95.0, take_profit_px: NONE, ..Attached::NONE });
    signals[1][0].short_entry = true;
    let bars = vec![FLAT, FLAT, bar(90.0, 92.0, 88.0, 91.0), FLAT];
    let result = run_with(&market(contract(), bars), &bare_plan(), &signals, &[]);
    // the gap takes the stop first (1.5); the new size is 1000/100 from the close of the decision
    assert_eq!(path(&result), [(1, 0, 10.0), (2, u32::MAX, 0.0), (2, 1, -10.0)]);
}

#[test]
fn fixed_fraction_sizes_with_the_equity_of_the_decision() {
    let mut plan = bare_plan();
    plan.sizing = Sizing::FixedFraction { fraction: 0.5 };
    let doubled = bar(200.0, 200.0, 200.0, 200.0);
    let sizes = |plan: &EnginePlan| {
        let result = run_rules(plan, &[FLAT, FLAT, doubled, doubled], &["L", "", "S", ""]);
        path(&result)
    };
    // 50 units; 15000·0.5/200 = 37.5 down to 37
    assert_eq!(sizes(&plan), [(1, 0, 50.0), (3, 1, -37.0)]);
    plan.sizing_equity = SizingEquity::Wallet;
    assert_eq!(sizes(&plan), [(1, 0, 50.0), (3, 1, -25.0)]);
    plan.sizing_equity = SizingEquity::Initial;
    assert_eq!(sizes(&plan), [(1, 0, 50.0), (3, 1, -25.0)]);
}

/// 7.3: the regime of the decision's bar drives slippage in the next, halves openings in THIN and blocks them in VACUUM.
#[test]
fn regimes_drive_slippage_and_openings() {
    let mut plan = bare_plan();
    plan.slippage = Slippage { a_bps: 10.0, max_bps: 200.0, min_bps: 0.0, ..flat_slippage(10.0) };
    plan.liquidity.enabled = true;
    let regimes = [Regime::Normal, Regime::Thin, Regime::Vacuum, Regime::Vacuum, Regime::Normal];
    let regimes: Vec<Vec<Regime>> = regimes.iter().map(|&regime| vec![regime]).collect();
    let orders = [
        market_order(0, 0, 0, Side::Buy, 10.0),
        market_order(1, 1, 0, Side::Buy, 5.0),
        market_order(2, 2, 0, Side::Buy, 1.0),
        market_order(3, 3, 0, Side::Sell, 20.0),
    ];
    let market = market(contract(), vec![FLAT; 5]);
    let signals = RefSignals::new();
    let run = |plan: &EnginePlan| {
        run(&RefInput {
            market: &market,
            run: 0..5,
            plan,
            signals: &signals,
            regimes: &regimes,
            intents: &orders,
        })
    };
    let result = run(&plan);
    let lines: Vec<_> = result.fills.iter().map(|f| (f.order_id, f.qty, f.price, f.regime)).collect();
    assert_eq!(
        lines,
        [
            (0, 10.0, 100.1, Some(Regime::Normal)),
            (1, 2.0, 100.2, Some(Regime::Thin)),
            (3, 12.0, 99.6, Some(Regime::Vacuum)), // its closing leg alone
        ]
    );
    assert!(result.fills[1].flags.has(FillFlags::THIN) && result.fills[2].flags.has(FillFlags::VACUUM));
    assert_eq!((result.orders[2].status, result.orders[2].reason), (OrderStatus::Rejected, "vacuum"));
    plan.liquidity.enabled = false;
    assert!(run(&plan).fills.iter().all(|fill| fill.regime.is_none() && fill.slippage_bps == 10.0));
}
