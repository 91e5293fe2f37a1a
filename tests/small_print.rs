//! The small print of semantics 2.14, a test for each sentence, by the engine and by the reference.

mod common;
mod reference;

use barloom::config::plan::SlippageShape;
use barloom::engine::api::{Attached, FillFlags, FillReason, OrderIntent, OrderKind, OrderStatus, Side};
use barloom::market::{Contract, Market, StepGrid};
use common::engine_run::run_orders;
use common::example_runs::Engine;
use common::{Ohlcv, SymbolBars, bare_plan, flat_slippage, market_from_bars, market_order};
use reference::{RefInput, RefResult, RefSignals, run};

const REFERENCE: Engine = |market, plan, intents| {
    run(&RefInput {
        market,
        run: 0..market.grid.bars,
        plan,
        signals: &RefSignals::new(),
        regimes: &[],
        intents,
    })
};
const ENGINES: [Engine; 2] = [run_orders, REFERENCE];

const FLAT: Option<Ohlcv> = Some([100.0, 100.0, 100.0, 100.0, 1e6]);

fn bar(open: f64, high: f64, low: f64, close: f64) -> Option<Ohlcv> {
    Some([open, high, low, close, 1e6])
}

fn with_volume(bar: Option<Ohlcv>, volume: f64) -> Option<Ohlcv> {
    bar.map(|[o, h, l, c, _]| [o, h, l, c, volume])
}

/// One symbol with ticks of 0.1 and steps of 1.
fn market(bars: &[Option<Ohlcv>]) -> Market {
    let contract =
        Contract { tick: Some(StepGrid::new(0.1)), step: StepGrid::new(1.0), ..Contract::default() };
    market_from_bars(&[SymbolBars { name: "AAA".into(), contract, bars: bars.to_vec() }], &[])
}

/// An order that waits for ever.
fn waiting(id: u32, bar: usize, kind: OrderKind, side: Side, qty: f64, price_px: f64) -> OrderIntent {
    OrderIntent { kind, price_px, ttl_bars: 0, ..market_order(id, bar, 0, side, qty) }
}

fn carrying(attached: Attached, order: OrderIntent) -> OrderIntent {
    OrderIntent { attached, ..order }
}

/// `(bar, reason, quantity, price)` of every fill.
fn lines(result: &RefResult) -> Vec<(usize, FillReason, f64, f64)> {
    result.fills.iter().map(|f| (f.bar, f.reason, f.qty, f.price)).collect()
}

use FillReason::{LimitMaker, LimitTaker, MarketEntry, StopEntry, StopLossEntryBar, Trail};
use OrderKind::{Limit, Stop};
use Side::{Buy, Sell};

#[test]
fn consumed_includes_maker_fills() {
    let mut plan = bare_plan();
    plan.slippage = flat_slippage(0.0);
    plan.slippage.shape = SlippageShape::Linear;
    (plan.slippage.b_bps, plan.slippage.max_bps) = (1_000.0, 1_000.0);
    let bars = [FLAT, with_volume(bar(100.0, 102.0, 98.0, 100.0), 100.0)];
    let maker = waiting(0, 0, Limit, Buy, 10.0, 99.0);
    let stop = waiting(1, 0, Stop, Buy, 10.0, 101.0);
    for run in ENGINES {
        let result = run(&market(&bars), &plan, &[maker, stop]);
        // (10 + 10)/100 of the bar: 200 bps on 101 are 103.02, bought a tick up
        assert_eq!(lines(&result), [(1, LimitMaker, 10.0, 99.0), (1, StopEntry, 10.0, 103.1)]);
        assert_eq!((result.fills[1].participation, result.fills[1].slippage_bps), (0.2, 200.0));
        let alone = run(&market(&bars), &plan, &[stop]);
        assert_eq!((alone.fills[0].participation, alone.fills[0].slippage_bps), (0.1, 100.0));
    }
}

#[test]
fn of_a_flip_only_the_opening_leg_counts_against_the_cap() {
    let mut plan = bare_plan();
    plan.execution.participation_cap_frac = 0.1;
    let bars = [FLAT, FLAT, with_volume(FLAT, 100.0)];
    let orders = [
        market_order(0, 0, 0, Buy, 20.0),
        market_order(1, 1, 0, Sell, 24.0),
        market_order(2, 1, 0, Sell, 8.0),
    ];
    for run in ENGINES {
        let result = run(&market(&bars), &plan, &orders);
        // 20 close and 4 open; 6 of the bar's 10 are left
        let found: Vec<_> =
            result.fills.iter().map(|f| (f.bar, f.order_id, f.qty, f.position_after)).collect();
        assert_eq!(found, [(1, 0, 20.0, 20.0), (2, 1, 24.0, -4.0), (2, 2, 6.0, -10.0)]);
        let capped = result.fills.iter().map(|f| f.flags.has(FillFlags::VOLUME_CAPPED));
        assert_eq!(capped.collect::<Vec<_>>(), [false, false, true]);
    }
}

#[test]
fn a_limit_order_arrives_in_its_first_tradable_active_bar() {
    let bars = [FLAT, None, with_volume(FLAT, 0.0), bar(98.0, 98.5, 97.0, 98.0)];
    let limit = waiting(0, 0, Limit, Buy, 1.0, 99.0);
    for run in ENGINES {
        // had it come to rest before, it would be made at 99
        let taken = run(&market(&bars), &bare_plan(), &[limit]);
        assert_eq!(lines(&taken), [(3, LimitTaker, 1.0, 98.0)]);
        let refused =
            run(&market(&bars), &bare_plan(), &[OrderIntent { post_only: true, ..limit }]).orders.remove(0);
        assert_eq!(
            (refused.end_bar, refused.status, refused.reason),
            (3, OrderStatus::Rejected, "post_only")
        );
    }
}

#[test]
fn a_bar_without_volume_updates_no_trailing_stop() {
    let trail = Attached { trail_px: 3.0, ..Attached::NONE };
    let entry = carrying(trail, market_order(0, 0, 0, Buy, 1.0));
    let last = bar(104.0, 104.0, 100.5, 102.0);
    for (volume, exit) in [(0.0, (4, Trail, 1.0, 101.0)), (1.0, (3, Trail, 1.0, 104.0))] {
        let quiet = with_volume(bar(110.0, 110.0, 110.0, 110.0), volume);
        let bars = [FLAT, FLAT, quiet, bar(104.0, 104.0, 104.0, 104.0), last];
        for run in ENGINES {
            // with volume the stop is at 107 from bar 3 on, which opens beyond it; without, at 101 from bar 4 on
            assert_eq!(lines(&run(&market(&bars), &bare_plan(), &[entry]))[1..], [exit]);
        }
    }
}

#[test]
fn the_last_stop_check_follows_adds_too() {
    let stop = Attached { stop_loss_px: 98.0, ..Attached::NONE };
    let held = market_order(0, 0, 0, Buy, 1.0);
    let dip = [FLAT, FLAT, bar(100.0, 100.0, 97.5, 99.5)];
    let add = carrying(stop, waiting(1, 1, Limit, Buy, 1.0, 99.0));
    let rally = [FLAT, FLAT, bar(100.0, 102.0, 97.5, 101.0)];
    let stop_add = carrying(stop, waiting(1, 1, Stop, Buy, 1.0, 101.0));
    for run in ENGINES {
        let made = run(&market(&dip), &bare_plan(), &[held, add]);
        assert_eq!(lines(&made)[1..], [(2, LimitMaker, 1.0, 99.0), (2, StopLossEntryBar, 2.0, 98.0)]);
        let triggered = run(&market(&rally), &bare_plan(), &[held, stop_add]);
        assert_eq!(lines(&triggered)[1..], [(2, StopEntry, 1.0, 101.0), (2, StopLossEntryBar, 2.0, 98.0)]);
    }
}

#[test]
fn a_resting_limit_at_the_open_needs_its_trade_through() {
    let touched = bar(99.0, 99.5, 99.0, 99.0);
    let bars = [FLAT, FLAT, touched, bar(99.0, 99.5, 98.9, 99.0)];
    let sells = [FLAT, FLAT, bar(101.0, 101.0, 100.5, 101.0), bar(101.0, 101.1, 101.0, 101.0)];
    for run in ENGINES {
        let bought = run(&market(&bars), &bare_plan(), &[waiting(0, 0, Limit, Buy, 1.0, 99.0)]);
        assert_eq!(lines(&bought), [(3, LimitMaker, 1.0, 99.0)]);
        let sold = run(&market(&sells), &bare_plan(), &[waiting(0, 0, Limit, Sell, 1.0, 101.0)]);
        assert_eq!(lines(&sold), [(3, LimitMaker, 1.0, 101.0)]);
        // an order that arrives there is marketable instead
        let arrived = run(&market(&bars[1..]), &bare_plan(), &[waiting(0, 0, Limit, Buy, 1.0, 99.0)]);
        assert_eq!(lines(&arrived), [(1, LimitTaker, 1.0, 99.0)]);
    }
}

#[test]
fn an_order_may_be_decided_on_a_bar_its_symbol_lacks() {
    let bars = [FLAT, None, bar(103.0, 103.0, 103.0, 103.0), FLAT];
    for run in ENGINES {
        let result = run(&market(&bars), &bare_plan(), &[market_order(0, 1, 0, Buy, 2.0)]);
        assert_eq!(lines(&result), [(2, MarketEntry, 2.0, 103.0)]);
    }
}

/// Semantics 1.7: openings end 30 minutes before a delisting, also where the data end before it.
#[test]
fn a_delisting_just_beyond_the_data_is_known() {
    let mut market = market(&[FLAT; 3]);
    market.symbols[0].contract.delisted_ms = Some(market.grid.open_ms(3));
    for run in ENGINES {
        let result = run(&market, &bare_plan(), &[market_order(0, 0, 0, Buy, 1.0)]);
        let end = &result.orders[0];
        assert_eq!((end.end_bar, end.status, end.reason), (1, OrderStatus::Rejected, "delisting"));
    }
}

/// `risk.max_position_notional` holds for what a position would be, and only against what enlarges it.
#[test]
fn no_opening_makes_a_position_larger_than_its_limit() {
    let market = market(&[FLAT; 8]);
    let mut plan = bare_plan();
    plan.max_position_notional_usdt = 1_000.0;
    let orders = [
        market_order(1, 0, 0, Buy, 10.0),
        market_order(2, 1, 0, Buy, 1.0),
        market_order(3, 2, 0, Sell, 20.0),
        market_order(4, 3, 0, Sell, 1.0),
        market_order(5, 4, 0, Buy, 3.0),
    ];
    for engine in ENGINES {
        let result = engine(&market, &plan, &orders);
        let filled: Vec<(u32, f64)> =
            result.fills.iter().map(|fill| (fill.order_id, fill.position_after)).collect();
        assert_eq!(filled, [(1, 10.0), (3, -10.0), (5, -7.0)]);
        let refused: Vec<(u32, &str)> = result
            .orders
            .iter()
            .filter(|order| order.status == OrderStatus::Rejected)
            .map(|order| (order.order_id, order.reason))
            .collect();
        assert_eq!(refused, [(2, "position_limit"), (4, "position_limit")]);
    }
}
