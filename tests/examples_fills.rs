//! Worked examples of single rules, held against the reference engine: EX-01, 05, 07, 08, 09.

mod common;
mod reference;

use barloom::config::plan::{Slippage, SlippageShape, VolumeRef};
use barloom::engine::api::{OrderStatus, Side};
use barloom::market::{Contract, StepGrid};
use common::{SymbolBars, assert_near, bare_plan, example, market_from_bars, market_order, num, side_of};
use reference::account::{Money, Position};
use reference::chart::Bar;
use reference::decimal::Grid;
use reference::prices::{PriceGrid, StopTouch, slippage, slipped, stop_touch};
use reference::{RefInput, RefSignals, run};

fn ticks(tick: f64) -> PriceGrid {
    PriceGrid { tick: Some(Grid::of(tick)) }
}

#[test]
fn example_01_stop_fills() {
    let (inputs, expected) = example("01_stop_fills");
    let grid = ticks(num(&inputs["tick"]));
    for (case, expected) in
        inputs["cases"].as_array().unwrap().iter().zip(expected["cases"].as_array().unwrap())
    {
        let ohlc: Vec<f64> = case["bar_ohlc"].as_array().unwrap().iter().map(num).collect();
        let bar = Bar { open: ohlc[0], high: ohlc[1], low: ohlc[2], close: ohlc[3], volume: 1.0 };
        let side = side_of(&case["side"]);
        let touch = stop_touch(&grid, side, num(&case["stop"]), &bar, num(&case["kappa"]));
        assert_eq!(touch.is_some(), expected["triggered"].as_bool().unwrap(), "{}", case["name"]);
        let (kind, base_px) = match touch {
            None => continue,
            Some(StopTouch::Gap { base_px }) => ("gap", base_px),
            Some(StopTouch::Intrabar { base_px }) => ("intrabar", base_px),
        };
        assert_eq!(kind, expected["kind"], "{}", case["name"]);
        assert_eq!(base_px, num(&expected["base_price"]), "{}", case["name"]);
        let fill_px = grid.round_fill(side, slipped(side, base_px, num(&case["slippage_bps"])));
        assert_eq!(fill_px, num(&expected["fill_price"]), "{}", case["name"]);
    }
}

#[test]
fn example_05_participation_slippage() {
    let (inputs, expected) = example("05_participation_slippage");
    let config = &inputs["config"];
    let grid = ticks(num(&inputs["tick"]));
    let plan = |shape, regime: &str| Slippage {
        shape,
        a_bps: num(&config["a_bps"]),
        b_bps: num(&config["b_bps"]),
        min_bps: num(&config["min_bps"]),
        max_bps: num(&config["max_bps"]),
        stop_mult: 1.0,
        volume_ref: VolumeRef::ExecBar,
        regime_mult_normal: num(&config["mult"][regime]),
    };
    for (case, expected) in
        inputs["cases"].as_array().unwrap().iter().zip(expected["cases"].as_array().unwrap())
    {
        let shape = if case["model"] == "linear" { SlippageShape::Linear } else { SlippageShape::Sqrt };
        let plan = plan(shape, case["regime"].as_str().unwrap());
        let slip = slippage(&plan, num(&case["qty"]), num(&case["volume_ref"]), None);
        match expected["participation"].as_f64() {
            Some(participation) => assert_near("participation", slip.participation, participation),
            None => assert!(slip.participation.is_nan()),
        }
        assert_near("bps", slip.bps, num(&expected["bps"]));
        let side = side_of(&case["side"]);
        let fill_px = grid.round_fill(side, slipped(side, num(&case["base_price"]), slip.bps));
        assert_eq!(fill_px, num(&expected["fill_price"]), "{}", case["name"]);
    }
    let case = &inputs["cumulative_case"];
    let mut consumed_qty = 0.0;
    for (i, qty) in case["orders"].as_array().unwrap().iter().enumerate() {
        consumed_qty += num(qty);
        let plan = plan(SlippageShape::Sqrt, "NORMAL");
        let slip = slippage(&plan, consumed_qty, num(&case["volume_ref"]), None);
        assert_near("bps", slip.bps, num(&expected["cumulative_bps"][i]));
        let side = side_of(&case["side"]);
        let fill_px = grid.round_fill(side, slipped(side, num(&case["base_price"]), slip.bps));
        assert_eq!(fill_px, num(&expected["cumulative_fill_prices"][i]));
    }
}

#[test]
fn the_reference_volume_is_exec_trailing_or_the_smaller() {
    let mut plan = bare_plan().slippage;
    (plan.b_bps, plan.max_bps, plan.shape) = (100.0, 200.0, SlippageShape::Square);
    for (volume_ref, participation) in
        [(VolumeRef::ExecBar, 0.5), (VolumeRef::Trailing, 0.25), (VolumeRef::MinExecTrailing, 0.5)]
    {
        plan.volume_ref = volume_ref;
        let slip = slippage(&plan, 10.0, 20.0, Some(40.0));
        assert_eq!((slip.participation, slip.bps), (participation, 100.0 * participation * participation));
    }
}

#[test]
fn example_07_tick_step_rounding() {
    let (inputs, expected) = example("07_tick_step_rounding");
    for (case, expected) in
        inputs["fills"].as_array().unwrap().iter().zip(expected["fill_prices"].as_array().unwrap())
    {
        let grid = ticks(num(&case["tick"]));
        assert_eq!(grid.round_fill(side_of(&case["side"]), num(&case["raw"])), num(expected), "{case}");
    }
    let limits = expected["limit_prices"].as_array().unwrap();
    for (case, expected) in inputs["limit_prices"].as_array().unwrap().iter().zip(limits) {
        let grid = ticks(num(&case["tick"]));
        assert_eq!(grid.round_limit(side_of(&case["side"]), num(&case["raw"])), num(expected), "{case}");
    }
    let quantities = expected["quantities"].as_array().unwrap();
    for (case, expected) in inputs["quantities"].as_array().unwrap().iter().zip(quantities) {
        let grid = Grid::of(num(&case["step"]));
        assert_eq!(grid.value(grid.toward_zero(num(&case["raw"]))), num(expected), "{case}");
    }
}

/// EX-07, admission: each order meets a flat market at its price; the reduce-only one has a position to reduce.
#[test]
fn example_07_admission() {
    let (inputs, expected) = example("07_tick_step_rounding");
    let rules = &inputs["admission"];
    let contract = Contract {
        step: StepGrid::new(num(&rules["step"])),
        min_qty: num(&rules["min_qty"]),
        min_notional_usdt: num(&rules["min_notional"]),
        ..Contract::default()
    };
    let orders = rules["orders"].as_array().unwrap();
    for (order, reason) in orders.iter().zip(expected["admission_reject_reason"].as_array().unwrap()) {
        let px = num(&order["price"]);
        let bars = vec![Some([px, px, px, px, 1e6]); 6];
        let market =
            market_from_bars(&[SymbolBars { name: "AAA".into(), contract: contract.clone(), bars }], &[]);
        let mut tested = market_order(1, 2, 0, Side::Sell, num(&order["qty"]));
        tested.reduce_only = order["reduce_only"].as_bool().unwrap();
        let mut intents = vec![market_order(0, 0, 0, Side::Buy, 10.0), tested];
        if !tested.reduce_only {
            intents.remove(0);
        }
        let plan = bare_plan();
        let input = RefInput {
            market: &market,
            run: 0..6,
            plan: &plan,
            signals: &RefSignals::new(),
            intents: &intents,
        };
        let result = run(&input);
        let end = result.orders.iter().find(|end| end.order_id == 1).expect("the tested order ends");
        match reason.as_str() {
            Some(reason) => {
                assert_eq!((end.status, end.reason, end.end_bar), (OrderStatus::Rejected, reason, 2))
            }
            None => assert_eq!((end.status, end.end_bar), (OrderStatus::Filled, 3), "{order}"),
        }
    }
}

#[test]
fn example_08_partial_close_fees_flip() {
    let (inputs, expected) = example("08_partial_close_fees_flip");
    let step = Grid::of(1.0);
    let mut money = Money { initial: num(&inputs["initial_wallet"]), ..Money::default() };
    let mut position = Position::default();
    for (fill, expected) in
        inputs["fills"].as_array().unwrap().iter().zip(expected["rows"].as_array().unwrap())
    {
        let (dq, px) = (num(&fill["dq"]), num(&fill["price"]));
        let realized = position.book(dq as i128, px, &step);
        let fee = dq.abs() * px * num(&inputs["fee_rate"]);
        money.realized += realized;
        money.fees += fee;
        money.bought += dq * px;
        let qty = step.value(position.steps);
        let unrealized = qty * (px - position.avg_entry_px);
        assert_near("realised", realized, num(&expected["realised"]));
        assert_near("fee", fee, num(&expected["fee"]));
        assert_near("qty", qty, num(&expected["qty"]));
        assert_near("avg_entry", position.avg_entry_px, num(&expected["avg_entry"]));
        assert_near("wallet", money.wallet(), num(&expected["wallet"]));
        assert_near("unrealised", unrealized, num(&expected["unrealised"]));
        assert_near("equity", money.wallet() + unrealized, num(&expected["equity"]));
        assert_near("cash_form", money.cash(), num(&expected["cash_form"]));
        assert_near("cash_form equity", money.cash() + qty * px, num(&expected["equity"]));
    }
}

/// EX-09 as a run: every fill happens at an open, every funding record settles at the open of a bar between fills.
#[test]
fn example_09_funding_with_flips() {
    let (inputs, expected) = example("09_funding_with_flips");
    let (mut bars, mut intents, mut funding) =
        (vec![Some([100.0, 100.0, 100.0, 100.0, 1e6])], vec![], vec![]);
    for event in inputs["events"].as_array().unwrap() {
        let bar = bars.len();
        if event["kind"] == "fill" {
            let (dq, px) = (num(&event["dq"]), num(&event["price"]));
            intents.push(market_order(intents.len() as u32, bar - 1, 0, side_of(&event["dq"]), dq.abs()));
            bars.push(Some([px, px, px, px, 1e6]));
        } else {
            funding.push((bar, 0, num(&event["mark"]), num(&event["rate"])));
            bars.push(bars[bar - 1]);
        }
    }
    let contract = Contract { step: StepGrid::new(1.0), ..Contract::default() };
    let count = bars.len();
    let market = market_from_bars(&[SymbolBars { name: "AAA".into(), contract, bars }], &funding);
    let mut plan = bare_plan();
    plan.initial_capital_usdt = num(&inputs["initial_wallet"]);
    let input = RefInput {
        market: &market,
        run: 0..count,
        plan: &plan,
        signals: &RefSignals::new(),
        intents: &intents,
    };
    let result = run(&input);
    let (mut fills, mut payments) = (result.fills.iter(), result.funding.iter());
    for row in expected["rows"].as_array().unwrap() {
        if row["kind"] == "fill" {
            let fill = fills.next().unwrap();
            assert_near("realised", fill.realized_usdt, num(&row["realised"]));
            assert_near("qty", fill.position_after, num(&row["qty"]));
        } else if num(&row["qty"]) != 0.0 {
            assert_near("cash", payments.next().unwrap().cash_usdt, num(&row["cash"]));
        }
    }
    assert!(fills.next().is_none() && payments.next().is_none());
    assert_near("total", result.funding.iter().map(|f| f.cash_usdt).sum(), num(&expected["total_funding"]));
    assert_near("wallet", *result.wallet.last().unwrap(), num(&expected["wallet"]));
}

/// EX-09, timing: opened at the open of bar τ: pays nothing; closed there: pays.
#[test]
fn example_09_who_pays_at_the_boundary() {
    let bars = vec![Some([100.0, 100.0, 100.0, 100.0, 1e6]); 6];
    let contract = Contract { step: StepGrid::new(1.0), ..Contract::default() };
    let market =
        market_from_bars(&[SymbolBars { name: "AAA".into(), contract, bars }], &[(3, 0, 100.0, 0.01)]);
    let plan = bare_plan();
    let pays = |opened: usize, closed: usize| {
        let mut exit = market_order(1, closed - 1, 0, Side::Sell, 1.0);
        exit.reduce_only = true;
        let intents = [market_order(0, opened - 1, 0, Side::Buy, 1.0), exit];
        let input = RefInput {
            market: &market,
            run: 0..6,
            plan: &plan,
            signals: &RefSignals::new(),
            intents: &intents,
        };
        let result = run(&input);
        assert_eq!(result.fills.len(), 2);
        result.funding.iter().map(|f| f.cash_usdt).sum::<f64>()
    };
    assert_eq!(pays(3, 4), 0.0);
    assert_eq!(pays(2, 3), -1.0);
    assert_eq!(pays(2, 5), -1.0);
    assert_eq!(pays(1, 2), 0.0);
}
