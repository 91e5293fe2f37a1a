//! Worked examples of single rules, held against the reference engine: EX-01, 05, 07, 08.

mod common;
mod reference;

use barloom::config::plan::{Slippage, SlippageShape, VolumeRef};
use common::{assert_near, bare_plan, example, num, side_of};
use reference::account::{Money, Position};
use reference::chart::Bar;
use reference::decimal::Grid;
use reference::prices::{PriceGrid, StopTouch, slippage, slipped, stop_touch};

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
        regime_mult_thin: 2.0,
        regime_mult_vacuum: 4.0,
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
