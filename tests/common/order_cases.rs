//! Rules of orders, trails, funding and margin as cases a reader can check by hand; any engine can be put through them.
//! The numbers in the comments are those of decision 7 and sections of the semantics.

use barloom::config::plan::*;
use barloom::engine::api::{Attached, FillFlags, FillReason, OrderIntent, OrderKind, OrderStatus, Side};
use barloom::market::{Contract, Market, StepGrid};

use super::example_runs::{Engine, margin_plan};
use super::{BAR_MS, Ohlcv, START_MS, SymbolBars, bare_plan, flat_slippage, market_from_bars, market_order};
use crate::reference::RefResult;

/// A rule, as a run of an engine that must come out as worked out.
pub(crate) type Case = fn(Engine);

/// Every case.
pub(crate) const CASES: &[Case] = &[
    gapped_stops_go_with_their_kind,
    orders_inside_a_bar_act_by_id,
    limit_orders_arrive,
    a_capped_limit_order_rests,
    stop_limit_orders,
    the_rest_of_a_stop_is_a_market_order,
    the_closing_leg_is_not_capped,
    the_cap_for_all,
    groups,
    trails_have_reasons,
    activation,
    trails_of_intrabar_entries,
    favourable_first_gaps,
    reductions,
    entries_beyond_their_stop,
    stale_moves,
    dated_fees,
    slippage_by_volatility,
    large_orders_are_split,
    funding_boundaries,
    missing_funding,
    funding_windows,
    closing_before_funding,
    flags,
    openings_without_margin,
    the_guard_trims,
    stops_before_liquidation,
    funding_can_liquidate,
    liquidation_modes,
];

const NONE: f64 = f64::NAN;
const FLAT: Option<Ohlcv> = Some([100.0, 100.0, 100.0, 100.0, 1e6]);

pub(super) fn bar(open: f64, high: f64, low: f64, close: f64) -> Option<Ohlcv> {
    Some([open, high, low, close, 1e6])
}

fn with_volume(bar: Option<Ohlcv>, volume: f64) -> Option<Ohlcv> {
    bar.map(|[o, h, l, c, _]| [o, h, l, c, volume])
}

fn market(bars: &[Option<Ohlcv>]) -> Market {
    funded(bars, &[])
}

/// Funding: `(bar, rate)` at a mark of 100.
fn funded(bars: &[Option<Ohlcv>], funding: &[(usize, f64)]) -> Market {
    let contract =
        Contract { tick: Some(StepGrid::new(0.1)), step: StepGrid::new(1.0), ..Contract::default() };
    let records: Vec<_> = funding.iter().map(|&(bar, rate)| (bar, 0, 100.0, rate)).collect();
    market_from_bars(&[SymbolBars { name: "AAA".into(), contract, bars: bars.to_vec() }], &records)
}

pub(super) fn order(
    id: u32,
    bar: usize,
    kind: OrderKind,
    side: Side,
    qty: f64,
    price_px: f64,
) -> OrderIntent {
    OrderIntent { kind, price_px, ttl_bars: 0, ..market_order(id, bar, 0, side, qty) }
}

pub(super) fn buy(id: u32, bar: usize, qty: f64) -> OrderIntent {
    market_order(id, bar, 0, Buy, qty)
}

pub(super) fn stop_at(stop_loss_px: f64, order: OrderIntent) -> OrderIntent {
    OrderIntent { attached: Attached { stop_loss_px, ..order.attached }, ..order }
}

fn trail(trail_px: f64, activation_px: f64, order: OrderIntent) -> OrderIntent {
    OrderIntent { attached: Attached { trail_px, activation_px, ..order.attached }, ..order }
}

/// `(bar, order id, reason, quantity, price)` of every fill; what comes from a level has id `-1`.
pub(super) type Line = (usize, i64, FillReason, f64, f64);

pub(super) fn fills(result: &RefResult) -> Vec<Line> {
    let id = |id: u32| if id == u32::MAX { -1 } else { i64::from(id) };
    result.fills.iter().map(|f| (f.bar, id(f.order_id), f.reason, f.qty, f.price)).collect()
}

/// `(end bar, status, reason)` of an order.
pub(super) fn end(result: &RefResult, id: u32) -> (usize, OrderStatus, &'static str) {
    let end = result.orders.iter().find(|end| end.order_id == id).expect("the order ends");
    (end.end_bar, end.status, end.reason)
}

use FillReason::*;
use OrderKind::{Limit, Stop, StopLimit};
use Side::{Buy, Sell};

/// 7.2
fn gapped_stops_go_with_their_kind(run: Engine) {
    let reducing = OrderIntent { reduce_only: true, ..order(2, 1, Stop, Sell, 2.0, 99.0) };
    let orders = [buy(0, 0, 2.0), buy(1, 1, 3.0), reducing];
    let result = run(&market(&[FLAT, FLAT, bar(98.0, 98.0, 98.0, 98.0)]), &bare_plan(), &orders);
    let expected =
        [(1, 0, MarketEntry, 2.0, 100.0), (2, 2, StopEntryGap, 2.0, 98.0), (2, 1, MarketEntry, 3.0, 98.0)];
    assert_eq!(fills(&result), expected);
    let entering = order(2, 1, Stop, Sell, 2.0, 99.0);
    let orders = [buy(0, 0, 2.0), buy(1, 1, 3.0), entering];
    let result = run(&market(&[FLAT, FLAT, bar(98.0, 98.0, 98.0, 98.0)]), &bare_plan(), &orders);
    assert_eq!(fills(&result)[1].1, 1);
}

/// 7.3, 7.4
fn orders_inside_a_bar_act_by_id(run: Engine) {
    let orders = [
        order(0, 0, Stop, Buy, 1.0, 102.0),
        stop_at(98.0, order(1, 0, Limit, Buy, 1.0, 99.0)),
        OrderIntent { reduce_only: true, ..order(2, 0, Limit, Sell, 1.0, 102.5) },
    ];
    let bars = [FLAT, bar(100.0, 103.0, 97.9, 101.0)];
    let mut plan = bare_plan();
    let expected = [
        (1, 0, StopEntry, 1.0, 102.0),
        (1, 1, LimitMaker, 1.0, 99.0),
        (1, 2, LimitMaker, 1.0, 102.5),
        (1, -1, StopLossEntryBar, 1.0, 98.0),
    ];
    assert_eq!(fills(&run(&market(&bars), &plan, &orders)), expected);
    // bases 102 + 0.5·1 and 98 + 0.5·(97.9 − 98) = 97.95, sold a tick down
    plan.execution.stop_overshoot = 0.5;
    let result = run(&market(&bars), &plan, &orders);
    assert_eq!((result.fills[0].base_px, result.fills[3].price), (102.5, 97.9));
}

/// 7.5
fn limit_orders_arrive(run: Engine) {
    let mut plan = bare_plan();
    plan.slippage = flat_slippage(100.0);
    let bars = [FLAT, bar(100.0, 101.0, 99.0, 100.0)];
    let limit = |price_px| order(0, 0, Limit, Buy, 1.0, price_px);
    let post_only = |price_px| OrderIntent { post_only: true, ..limit(price_px) };
    // 100·1.01 = 101, but not beyond the limit
    let taken = run(&market(&bars), &plan, &[limit(100.57)]);
    assert_eq!(fills(&taken), [(1, 0, LimitTaker, 1.0, 100.5)]);
    let refused = run(&market(&bars), &plan, &[post_only(100.0)]);
    assert_eq!(end(&refused, 0), (1, OrderStatus::Rejected, "post_only"));
    // it rests and is traded through in the bar of its arrival
    let made = run(&market(&bars), &plan, &[post_only(99.1)]);
    assert_eq!(fills(&made), [(1, 0, LimitMaker, 1.0, 99.1)]);
    assert_eq!(fills(&run(&market(&bars), &plan, &[limit(99.0)])), []);
}

/// 7.5, 7.9
fn a_capped_limit_order_rests(run: Engine) {
    let mut plan = bare_plan();
    plan.execution.participation_cap_frac = 0.1;
    let bars = [FLAT, with_volume(bar(99.5, 101.0, 99.0, 100.0), 57.0), bar(101.0, 101.0, 99.8, 100.0)];
    let result = run(&market(&bars), &plan, &[order(0, 0, Limit, Buy, 10.0, 100.0)]);
    assert_eq!(fills(&result), [(1, 0, LimitTaker, 5.0, 99.5), (2, 0, LimitMaker, 5.0, 100.0)]);
}

/// 7.6
fn stop_limit_orders(run: Engine) {
    let plan = bare_plan();
    let with = |trigger_px: f64, limit_px: f64| OrderIntent {
        limit_px,
        ..order(0, 0, StopLimit, Buy, 1.0, trigger_px)
    };
    let lines = |bars: &[Option<Ohlcv>], intent| fills(&run(&market(bars), &plan, &[intent]));
    // gapped at the open: arrives, taker at the open where that is within the limit
    let gap = bar(102.0, 103.0, 100.5, 102.0);
    assert_eq!(lines(&[FLAT, gap], with(101.0, 102.0)), [(1, 0, LimitTaker, 1.0, 102.0)]);
    // beyond the limit: rests, and is traded through in the same bar
    assert_eq!(lines(&[FLAT, gap], with(101.0, 101.5)), [(1, 0, LimitMaker, 1.0, 101.5)]);
    // triggered inside the bar: taker at the trigger
    let inside = bar(100.0, 103.0, 99.0, 102.0);
    assert_eq!(lines(&[FLAT, inside], with(101.0, 101.0)), [(1, 0, LimitTaker, 1.0, 101.0)]);
    // or resting from the next bar on
    let next = bar(102.0, 102.0, 100.3, 102.0);
    assert_eq!(lines(&[FLAT, inside, next], with(101.0, 100.5)), [(2, 0, LimitMaker, 1.0, 100.5)]);
    let post_only = OrderIntent { post_only: true, ..with(101.0, 101.0) };
    let refused = run(&market(&[FLAT, inside]), &plan, &[post_only]);
    assert_eq!(end(&refused, 0), (1, OrderStatus::Rejected, "post_only"));
}

/// 7.11
fn the_rest_of_a_stop_is_a_market_order(run: Engine) {
    let mut plan = bare_plan();
    plan.execution.participation_cap_frac = 0.1;
    let bars = [FLAT, with_volume(bar(100.0, 102.0, 100.0, 100.0), 50.0), bar(99.0, 99.0, 99.0, 99.0)];
    let result = run(&market(&bars), &plan, &[order(0, 0, Stop, Buy, 8.0, 101.0)]);
    assert_eq!(fills(&result), [(1, 0, StopEntry, 5.0, 101.0), (2, 0, MarketEntry, 3.0, 99.0)]);
    assert_eq!(end(&result, 0).1, OrderStatus::Filled);
}

/// 7.10, 2.14
fn the_closing_leg_is_not_capped(run: Engine) {
    let mut plan = bare_plan();
    plan.execution.participation_cap_frac = 0.1;
    let flip = OrderIntent { ttl_bars: 2, ..market_order(1, 1, 0, Sell, 30.0) };
    let bars = [FLAT, FLAT, with_volume(FLAT, 50.0), FLAT];
    let result = run(&market(&bars), &plan, &[buy(0, 0, 20.0), flip]);
    let sizes: Vec<_> = result.fills.iter().map(|f| (f.bar, f.qty, f.position_after)).collect();
    assert_eq!(sizes, [(1, 20.0, 20.0), (2, 25.0, -5.0), (3, 5.0, -10.0)]);
}

/// 7.9
fn the_cap_for_all(run: Engine) {
    let mut plan = bare_plan();
    plan.execution.participation_cap_frac = 0.1;
    plan.execution.cap_applies_to = CapAppliesTo::All;
    let low = bar(97.0, 97.0, 96.0, 96.0);
    let bars = [FLAT, FLAT, with_volume(low, 50.0), low];
    let result = run(&market(&bars), &plan, &[stop_at(98.0, buy(0, 0, 8.0))]);
    assert_eq!(fills(&result)[1..], [(2, -1, StopLossGap, 5.0, 97.0), (3, -1, StopLossGap, 3.0, 97.0)]);
}

/// 7.13
fn groups(run: Engine) {
    let grouped = |order: OrderIntent| OrderIntent { oco_group: 7, ..order };
    let orders = [
        grouped(order(0, 0, Limit, Buy, 1.0, 99.0)),
        grouped(order(1, 0, Stop, Buy, 1.0, 101.0)),
        order(2, 0, Limit, Buy, 1.0, 98.0),
    ];
    let result = run(&market(&[FLAT, bar(100.0, 102.0, 98.5, 100.0)]), &bare_plan(), &orders);
    assert_eq!(fills(&result), [(1, 0, LimitMaker, 1.0, 99.0)]);
    assert_eq!(end(&result, 1), (1, OrderStatus::Cancelled, "oco"));
    assert_eq!(end(&result, 2).1, OrderStatus::Open);
    // an order that ends without a fill cancels nobody
    let refused = OrderIntent { post_only: true, ..grouped(order(0, 0, Limit, Buy, 1.0, 100.0)) };
    let result = run(&market(&[FLAT, bar(100.0, 102.0, 98.5, 100.0)]), &bare_plan(), &[refused, orders[1]]);
    assert_eq!(fills(&result), [(1, 1, StopEntry, 1.0, 101.0)]);
}

/// 7.14
fn trails_have_reasons(run: Engine) {
    // W = 104 at the close of bar 1: the level is 101
    let bars = [FLAT, bar(100.0, 104.0, 100.0, 103.0), bar(103.0, 103.0, 100.5, 101.0)];
    let plan = bare_plan();
    let alone = run(&market(&bars), &plan, &[trail(3.0, NONE, buy(0, 0, 1.0))]);
    assert_eq!(fills(&alone)[1..], [(2, -1, Trail, 1.0, 101.0)]);
    let with_stop = run(&market(&bars), &plan, &[trail(3.0, NONE, stop_at(95.0, buy(0, 0, 1.0)))]);
    assert_eq!(fills(&with_stop)[1..], [(2, -1, StopLoss, 1.0, 101.0)]);
    let gapped = [bars[0], bars[1], bar(100.0, 100.0, 99.0, 99.0)];
    let gapped = run(&market(&gapped), &plan, &[trail(3.0, NONE, buy(0, 0, 1.0))]);
    assert_eq!(fills(&gapped)[1..], [(2, -1, Trail, 1.0, 100.0)]);
}

/// 2.7, 7.15
fn activation(run: Engine) {
    let bars = |high| [FLAT, bar(100.0, high, 100.0, 102.0), bar(102.0, 102.0, 100.0, 101.0)];
    let orders = [trail(2.0, 4.0, buy(0, 0, 1.0))];
    assert_eq!(run(&market(&bars(103.9)), &bare_plan(), &orders).fills.len(), 1);
    let active = run(&market(&bars(104.0)), &bare_plan(), &orders);
    assert_eq!(fills(&active)[1..], [(2, -1, Trail, 1.0, 102.0)]); // opens on the level: at the open
}

/// 2.7, 2.12: bought at 99 inside a bar whose high is 104 and whose close is 101.
fn trails_of_intrabar_entries(run: Engine) {
    let bars = [FLAT, bar(100.0, 104.0, 98.5, 101.0), bar(100.5, 101.0, 98.0, 99.0)];
    for mode in [TrailMode::NextBar, TrailMode::FavourableFirst] {
        let mut plan = bare_plan();
        plan.execution.trail_mode = mode;
        let entry = trail(2.0, NONE, order(0, 0, Limit, Buy, 1.0, 99.0));
        let result = run(&market(&bars), &plan, &[entry]);
        assert_eq!(fills(&result)[1..], [(2, -1, Trail, 1.0, 99.0)]);
    }
    // entered at the open the high counts: 104 − 2 = 102 is gapped through
    let result = run(&market(&bars), &bare_plan(), &[trail(2.0, NONE, buy(0, 0, 1.0))]);
    assert_eq!(fills(&result)[1..], [(2, -1, Trail, 1.0, 100.5)]);
}

/// 7.16: the level in force is 98; the bar's own high of 103 gives 101, above its open.
fn favourable_first_gaps(run: Engine) {
    let mut plan = bare_plan();
    plan.execution.trail_mode = TrailMode::FavourableFirst;
    let bars = [FLAT, FLAT, bar(100.0, 103.0, 99.0, 100.0)];
    let orders = [trail(2.0, NONE, stop_at(90.0, buy(0, 0, 1.0)))];
    assert_eq!(fills(&run(&market(&bars), &plan, &orders))[1..], [(2, -1, StopLoss, 1.0, 101.0)]);
    let gapped = [FLAT, FLAT, bar(97.0, 103.0, 96.0, 100.0)];
    assert_eq!(fills(&run(&market(&gapped), &plan, &orders))[1..], [(2, -1, StopLossGap, 1.0, 97.0)]);
}

/// 7.17
fn reductions(run: Engine) {
    let closing = OrderIntent { close_position: true, ..order(1, 0, Limit, Sell, NONE, 102.0) };
    let late = OrderIntent { reduce_only: true, ..order(2, 0, Limit, Sell, 1.0, 104.0) };
    let bars = [FLAT, FLAT, bar(100.0, 103.0, 100.0, 100.0), FLAT, bar(100.0, 105.0, 100.0, 100.0)];
    let result = run(&market(&bars), &bare_plan(), &[buy(0, 0, 3.0), closing, late, buy(3, 1, 4.0)]);
    assert_eq!(fills(&result)[2..], [(2, 1, LimitMaker, 7.0, 102.0)]);
    assert_eq!(end(&result, 2), (4, OrderStatus::Cancelled, "reduce_only"));
}

/// 7.18
fn entries_beyond_their_stop(run: Engine) {
    let mut plan = bare_plan();
    plan.execution.entry_beyond_stop = EntryBeyondStop::Reject;
    let run_with = |stop_loss_px: f64, held: f64| {
        let orders = [market_order(0, 0, 0, Sell, held), stop_at(stop_loss_px, buy(1, 1, held + 1.0))];
        run(&market(&[FLAT; 3]), &plan, &orders[usize::from(held == 0.0)..])
    };
    assert_eq!(end(&run_with(100.0, 0.0), 1), (2, OrderStatus::Rejected, "beyond_stop"));
    assert_eq!(end(&run_with(99.9, 0.0), 1).1, OrderStatus::Filled);
    let flip = run_with(100.0, 2.0);
    assert_eq!(fills(&flip)[1..], [(2, 1, MarketExit, 2.0, 100.0)]);
    assert_eq!(end(&flip, 1), (2, OrderStatus::Cancelled, "beyond_stop"));
}

/// 7.19
fn stale_moves(run: Engine) {
    let mut plan = bare_plan();
    plan.execution.stale_move_frac = 0.02;
    let reducing = OrderIntent { reduce_only: true, ..order(1, 0, Limit, Sell, 1.0, 110.0) };
    let bars = [FLAT, bar(100.0, 102.0, 100.0, 101.9), bar(102.0, 102.5, 101.0, 102.1), FLAT];
    let result = run(&market(&bars), &plan, &[order(0, 0, Limit, Buy, 1.0, 99.0), reducing]);
    assert_eq!(end(&result, 0), (2, OrderStatus::Cancelled, "stale_move"));
    assert_eq!(end(&result, 1).1, OrderStatus::Open);
}

/// 7.20
fn dated_fees(run: Engine) {
    let mut plan = bare_plan();
    plan.taker_fee_frac = 0.001;
    let row = |from_ms, taker_frac| FeeRow { from_ms, maker_frac: 0.0, taker_frac };
    plan.fee_table = vec![row(START_MS + 2 * BAR_MS, 0.002), row(START_MS + 3 * BAR_MS + 1, 0.003)];
    let orders: Vec<_> = (0..4).map(|i| buy(i as u32, i, 1.0)).collect();
    let fees: Vec<_> =
        run(&market(&[FLAT; 5]), &plan, &orders).fills.iter().map(|f| (f.fee_usdt * 1e3).round()).collect();
    assert_eq!(fees, [100.0, 200.0, 200.0, 300.0]);
}

/// 2.8: returns of +25 % and −20 % through bar 2 have a root mean square of √(0.1025/2); 1 of 400 is a share of 1/400
/// and its square root 1/20. Before two returns are known, `b_bps` stands.
fn slippage_by_volatility(run: Engine) {
    let mut plan = bare_plan();
    plan.slippage = Slippage { b_bps: 40.0, max_bps: 9_000.0, min_bps: 0.0, ..flat_slippage(2.0) };
    plan.slippage.vol_scale = Some(VolScale { y: 2.0, window_bars: 2 });
    let at = |px: f64| Some([px, px, px, px, 400.0]);
    // a missing bar and one whose price jumps after the decision change nothing
    let bars = [at(100.0), at(125.0), at(100.0), None, at(300.0)];
    let orders = [buy(0, 0, 1.0), buy(1, 1, 1.0), OrderIntent { ttl_bars: 2, ..buy(2, 2, 1.0) }];
    let result = run(&market(&bars), &plan, &orders);
    let slipped: Vec<_> = result.fills.iter().map(|f| (f.bar, f.slippage_bps)).collect();
    let by_volatility = 2.0 + 2.0 * (0.1025_f64 / 2.0).sqrt() * 1e4 / 20.0;
    let expected = [(1, 2.0 + 40.0 / 20.0), (2, 2.0 + 40.0 / 20.0), (4, by_volatility)];
    for (found, expected) in slipped.iter().zip(expected) {
        assert!(found.0 == expected.0 && (found.1 - expected.1).abs() < 1e-9, "{slipped:?} {expected:?}");
    }
    assert_eq!(slipped.len(), expected.len());
}

/// 2.10, 7.30: market orders of at most 10 and limits of at most 40; 1000 bps times the share of 100 traded.
fn large_orders_are_split(run: Engine) {
    let mut plan = bare_plan();
    plan.execution.split_large = true;
    plan.slippage = Slippage { b_bps: 1_000.0, max_bps: 9_000.0, min_bps: 0.0, ..flat_slippage(0.0) };
    plan.slippage.shape = SlippageShape::Linear;
    let at = |bars: &[Option<Ohlcv>]| {
        let mut market = market(&bars.iter().map(|&bar| with_volume(bar, 100.0)).collect::<Vec<_>>());
        (market.symbols[0].contract.market_max_qty, market.symbols[0].contract.max_qty) = (10.5, 40.0);
        market
    };
    // each fill meets what the ones before it took
    let result = run(&at(&[FLAT; 3]), &plan, &[buy(0, 0, 25.0)]);
    let expected =
        [(1, 0, MarketEntry, 10.0, 101.0), (1, 0, MarketEntry, 10.0, 102.0), (1, 0, MarketEntry, 5.0, 102.5)];
    assert_eq!(fills(&result), expected);
    assert_eq!((result.orders.len(), end(&result, 0)), (1, (1, OrderStatus::Filled, "")));
    assert_eq!(result.orders[0].qty, 25.0);
    // a flip: the second of three crosses zero
    let flip = run(&at(&[FLAT; 4]), &plan, &[buy(0, 0, 15.0), market_order(1, 1, 0, Sell, 25.0)]);
    let sells: Vec<_> = flip.fills[2..].iter().map(|f| (f.reason, f.qty, f.position_after)).collect();
    assert_eq!(sells, [(MarketExit, 10.0, 5.0), (MarketEntry, 10.0, -5.0), (MarketEntry, 5.0, -10.0)]);
    // what a participation cap lets through now is split, and so is what waits
    let mut capped = plan.clone();
    capped.execution.participation_cap_frac = 0.12;
    let waits = OrderIntent { ttl_bars: 2, ..buy(0, 0, 25.0) };
    let lines = fills(&run(&at(&[FLAT; 3]), &capped, &[waits]));
    assert_eq!(
        lines.iter().map(|f| (f.0, f.3)).collect::<Vec<_>>(),
        [(1, 10.0), (1, 2.0), (2, 10.0), (2, 2.0)]
    );
    // limits by their own quantity, at their own price
    let dips = at(&[FLAT, bar(100.0, 100.0, 98.0, 99.0)]);
    let made = run(&dips, &plan, &[order(0, 0, Limit, Buy, 50.0, 99.0)]);
    assert_eq!(fills(&made), [(1, 0, LimitMaker, 40.0, 99.0), (1, 0, LimitMaker, 10.0, 99.0)]);
    // the whole position by an order in slices, by its stop loss at once
    let closing = OrderIntent { close_position: true, ..market_order(1, 1, 0, Sell, NONE) };
    let closed = run(&at(&[FLAT; 3]), &plan, &[buy(0, 0, 15.0), closing]);
    assert_eq!(closed.fills[2..].iter().map(|f| f.qty).collect::<Vec<_>>(), [10.0, 5.0]);
    let stopped = [FLAT, FLAT, bar(100.0, 100.0, 97.0, 99.0)];
    let stopped = run(&at(&stopped), &plan, &[stop_at(98.0, buy(0, 0, 15.0))]);
    assert_eq!(stopped.fills[2..].iter().map(|f| (f.reason, f.qty)).collect::<Vec<_>>(), [(StopLoss, 15.0)]);
    // more than a thousand slices, or no splitting at all
    let too_large = run(&at(&[FLAT; 2]), &plan, &[buy(0, 0, 10_501.0)]);
    assert_eq!(end(&too_large, 0).2, "max_qty");
    plan.execution.split_large = false;
    assert_eq!(end(&run(&at(&[FLAT; 3]), &plan, &[buy(0, 0, 25.0)]), 0).2, "max_qty");
}

/// 3.3, 7.21: opened or closed at the open of bar 2, where longs pay 1 % or are paid it.
fn funding_boundaries(run: Engine) {
    let paid = |boundary, rate: f64, opens: usize, closes: usize| {
        let mut plan = bare_plan();
        plan.funding.boundary = boundary;
        let exit = OrderIntent { reduce_only: true, ..market_order(1, closes - 1, 0, Sell, 1.0) };
        let result = run(&funded(&[FLAT; 5], &[(2, rate)]), &plan, &[buy(0, opens - 1, 1.0), exit]);
        result.funding.iter().map(|f| f.cash_usdt).sum::<f64>()
    };
    use FundingBoundary::{HeldBefore, IncludeOpenFills, Pessimistic};
    for (boundary, rate, opened_there, closed_there) in [
        (HeldBefore, 0.01, 0.0, -1.0),
        (IncludeOpenFills, 0.01, -1.0, 0.0),
        (Pessimistic, 0.01, -1.0, -1.0),
        (HeldBefore, -0.01, 0.0, 1.0),
        (IncludeOpenFills, -0.01, 1.0, 0.0),
        (Pessimistic, -0.01, 0.0, 0.0),
    ] {
        assert_eq!(paid(boundary, rate, 2, 4), opened_there, "{boundary:?} {rate}");
        assert_eq!(paid(boundary, rate, 1, 2), closed_there, "{boundary:?} {rate}");
        assert_eq!(paid(boundary, rate, 1, 4), -100.0 * rate);
    }
}

/// 3.3: records at bars 2 and 4, none at 6 and 8, one at 9.
fn missing_funding(run: Engine) {
    let market = funded(&[FLAT; 12], &[(2, 0.01), (4, 0.02), (9, 0.04)]);
    let paid = |missing| {
        let mut plan = bare_plan();
        plan.funding.missing = missing;
        let result = run(&market, &plan, &[buy(0, 0, 1.0)]);
        result.funding.iter().map(|f| (f.bar, f.cash_usdt)).collect::<Vec<_>>()
    };
    assert_eq!(paid(FundingMissing::None), [(2, -1.0), (4, -2.0), (9, -4.0)]);
    let last_rate = paid(FundingMissing::LastRate);
    assert_eq!(last_rate, [(2, -1.0), (4, -2.0), (6, -2.0), (8, -2.0), (9, -4.0)]);
    let constant = paid(FundingMissing::Constant(0.05));
    assert_eq!(constant, [(2, -1.0), (4, -2.0), (6, -5.0), (8, -5.0), (9, -4.0)]);
}

/// 3.4, 7.22: settlements at bars 4 and 8, so the next is expected at bar 12.
fn funding_windows(run: Engine) {
    let mut plan = bare_plan();
    plan.funding.window_ms = Some((BAR_MS, 0));
    let market = funded(&[FLAT; 16], &[(4, 0.0), (8, 0.0)]);
    let orders: Vec<_> = (7..13).map(|bar| buy(bar as u32, bar, 1.0)).collect();
    let result = run(&market, &plan, &orders);
    // first active at bars 8 to 13: 8 settles, 11 and 12 lie before the expected one
    let bars: Vec<_> = result.fills.iter().map(|f| f.bar).collect();
    assert_eq!(bars, [9, 10, 13]);
    assert_eq!(end(&result, 7), (7, OrderStatus::Rejected, "funding_window"));
    // the closing leg of a flip passes
    let result = run(&market, &plan, &[buy(0, 8, 1.0), market_order(1, 10, 0, Sell, 2.0)]);
    assert_eq!(fills(&result)[1..], [(11, 1, MarketExit, 1.0, 100.0)]);
}

/// 3.4: the next settlement is expected at bar 6; the last open before it is that of bar 5.
fn closing_before_funding(run: Engine) {
    let mut plan = bare_plan();
    plan.taker_fee_frac = 0.001;
    let exits = |rate: f64, threshold_frac: f64| {
        let mut plan = plan.clone();
        plan.funding.close_before_frac = threshold_frac;
        let result = run(&funded(&[FLAT; 8], &[(2, 0.0), (4, rate)]), &plan, &[buy(0, 0, 1.0)]);
        fills(&result)[1..].iter().map(|fill| (fill.0, fill.2)).collect::<Vec<_>>()
    };
    assert_eq!(exits(0.003, 0.0025), [(5, FundingExit)]);
    assert_eq!(exits(0.003, 0.0035), []);
    assert_eq!(exits(0.0015, 0.001), []); // a round trip costs 0.002
    assert_eq!(exits(0.003, 0.0), []);
    assert_eq!(exits(-0.003, 0.001), []);
}

/// What a reader of the fills wants to know of each.
fn flags(run: Engine) {
    let flags_of = |bars: &[Option<Ohlcv>], orders: &[OrderIntent]| -> Vec<FillFlags> {
        let mut plan = bare_plan();
        plan.execution.participation_cap_frac = 0.1;
        run(&market(bars), &plan, orders).fills.iter().map(|fill| fill.flags).collect()
    };
    let none = FillFlags::default();
    let run_inside = FillFlags::STOP_RUN;
    let held = stop_at(98.0, buy(0, 0, 1.0));
    let both = OrderIntent { attached: Attached { take_profit_px: 102.0, ..held.attached }, ..held };
    let wild = bar(100.0, 103.0, 97.0, 100.0);
    assert_eq!(flags_of(&[FLAT, FLAT, bar(97.0, 97.0, 97.0, 97.0)], &[held])[1], FillFlags::GAPPED);
    assert_eq!(flags_of(&[FLAT, FLAT, wild], &[held]), [none, run_inside]);
    let by_policy = run_inside.with(FillFlags::STOP_AND_TARGET, true);
    assert_eq!(flags_of(&[FLAT, FLAT, wild], &[both]), [none, by_policy]);
    let at_once = run_inside.with(FillFlags::ENTRY_AND_EXIT, true);
    assert_eq!(flags_of(&[FLAT, wild], &[held]), [none, at_once]);
    let capped =
        flags_of(&[FLAT, with_volume(FLAT, 50.0), FLAT], &[OrderIntent { ttl_bars: 2, ..buy(0, 0, 8.0) }]);
    assert_eq!(capped, [FillFlags::VOLUME_CAPPED, none]);
    let stops = [order(0, 0, Stop, Buy, 1.0, 101.0), order(1, 0, Stop, Sell, 1.0, 101.0)];
    assert_eq!(flags_of(&[FLAT, wild], &stops), [FillFlags::GAPPED, at_once]);
}

/// 4.5, 7.23: 1000 USDT at 5 times cover 5000, with a fee of 1 % some less.
fn openings_without_margin(run: Engine) {
    let mut plan = bare_plan();
    plan.initial_capital_usdt = 1_000.0;
    plan.margin = Some(margin_plan(5.0));
    let opened = |plan: &EnginePlan, qty: f64| {
        let result = run(&market(&[FLAT; 3]), plan, &[buy(0, 0, qty)]);
        (result.fills.first().map(|fill| fill.qty), end(&result, 0))
    };
    assert_eq!(opened(&plan, 50.0), (Some(50.0), (1, OrderStatus::Filled, "")));
    assert_eq!(opened(&plan, 51.0), (None, (0, OrderStatus::Rejected, "margin")));
    plan.margin.as_mut().unwrap().on_short = OnMarginShort::Scale;
    assert_eq!(opened(&plan, 51.0), (Some(50.0), (1, OrderStatus::Filled, "")));
    plan.taker_fee_frac = 0.01; // 20 + 1 USDT for each unit
    assert_eq!(opened(&plan, 51.0), (Some(47.0), (1, OrderStatus::Filled, "")));
    // a waiting order has its margin reserved at its own price: 20 of 80 leave 16 USDT each for 30 more
    plan.taker_fee_frac = 0.0;
    let waiting = OrderIntent { ttl_bars: 0, ..order(0, 0, Limit, Buy, 20.0, 90.0) };
    let result = run(&market(&[FLAT; 3]), &plan, &[waiting, buy(1, 0, 50.0)]);
    assert_eq!(fills(&result), [(1, 1, MarketEntry, 32.0, 100.0)]); // 1000 − 20·90/5 = 640
}

/// 4.8: 100 long with 2000 USDT at 2.5 %; at 85 the equity is 500 and MM 212.5.
fn the_guard_trims(run: Engine) {
    let mut plan = bare_plan();
    plan.initial_capital_usdt = 2_000.0;
    let guard = MarginGuard { warn: 0.3, trim: 0.4, target: 0.2, order: TrimOrder::ProRata };
    plan.margin = Some(MarginPlan { guard: Some(guard), ..margin_plan(10.0) });
    let fall = bar(85.0, 85.0, 85.0, 85.0);
    let result = run(&market(&[FLAT, FLAT, fall, fall]), &plan, &[buy(0, 0, 100.0), buy(1, 2, 1.0)]);
    // MR = 0.425: back to 0.2 · 500 = 100 of 212.5, a share of 0.5294…, up to 53
    assert_eq!(fills(&result)[1..], [(3, -1, MarginTrim, 53.0, 85.0)]);
    assert_eq!(end(&result, 1), (2, OrderStatus::Rejected, "margin"));
}

/// 4.7: 100 long with 2000 USDT at 2.5 %: LP = (2000 − 10000)/(100·(0.025 − 1)) = 82.05…
fn stops_before_liquidation(run: Engine) {
    let mut plan = bare_plan();
    plan.initial_capital_usdt = 2_000.0;
    plan.margin = Some(margin_plan(10.0));
    let crash = [FLAT, FLAT, bar(100.0, 100.0, 70.0, 75.0)];
    let reasons = |stop_loss_px: f64| {
        let result = run(&market(&crash), &plan, &[stop_at(stop_loss_px, buy(0, 0, 100.0))]);
        assert_eq!(result.fills.len(), 2);
        (result.fills[1].reason, result.fills[1].base_px)
    };
    assert_eq!(reasons(82.1), (StopLoss, 82.1));
    let (reason, base_px) = reasons(82.0);
    assert_eq!(reason, Liquidation);
    assert!((base_px - 8_000.0 / 97.5).abs() < 1e-9);
}

/// 1.5, phases 1 and 2: on flat prices, funding of 1000 leaves 100 USDT for a maintenance margin of 250.
fn funding_can_liquidate(run: Engine) {
    let mut plan = bare_plan();
    plan.initial_capital_usdt = 1_100.0;
    plan.margin = Some(margin_plan(10.0));
    let result = run(&funded(&[FLAT; 6], &[(3, 0.1)]), &plan, &[buy(0, 0, 100.0)]);
    let lines: Vec<_> = result.fills.iter().map(|f| (f.bar, f.reason)).collect();
    assert_eq!(lines, [(1, MarketEntry), (3, Liquidation)]);
}

/// 4.7: AAA falls to its LP, where 8205 of 10000 USDT are left; BBB stands still. The wallet keeps some 102 USDT after
/// AAA is gone, which is enough for BBB's MM of 2.5.
fn liquidation_modes(run: Engine) {
    let contract = Contract { step: StepGrid::new(1.0), ..Contract::default() };
    let series = |name: &str, last| SymbolBars {
        name: name.into(),
        contract: contract.clone(),
        bars: vec![FLAT, FLAT, last],
    };
    let falls = bar(100.0, 100.0, 80.0, 82.0);
    let market = market_from_bars(&[series("AAA", falls), series("BBB", FLAT)], &[]);
    let liquidated = |liq_mode| {
        let mut plan = bare_plan();
        plan.initial_capital_usdt = 2_000.0;
        plan.margin = Some(MarginPlan { liq_mode, ..margin_plan(10.0) });
        let orders = [buy(0, 0, 100.0), market_order(1, 0, 1, Buy, 1.0)];
        let result = run(&market, &plan, &orders);
        assert!(result.insurance.is_empty());
        result.fills[2..].iter().map(|f| (f.symbol, f.reason, f.qty)).collect::<Vec<_>>()
    };
    assert_eq!(liquidated(LiqMode::LargestMm), [(0, Liquidation, 100.0)]);
    assert_eq!(liquidated(LiqMode::All), [(0, Liquidation, 100.0), (1, Liquidation, 1.0)]);
    // at the very LP a step of each is enough; the close at 82 asks again, as little beyond it
    let pro_rata = liquidated(LiqMode::ProRata);
    assert_eq!(pro_rata[..2], [(0, Liquidation, 1.0), (1, Liquidation, 1.0)]);
    assert!(pro_rata[2..].iter().all(|&(symbol, _, qty)| symbol == 0 && qty < 99.0), "{pro_rata:?}");
}
