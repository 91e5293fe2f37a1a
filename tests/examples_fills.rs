//! Worked examples of single rules, held against the reference engine: EX-01, 05, 07, 08, 10, 11.

mod common;
mod reference;

use barloom::config::plan::{Slippage, SlippageShape, VolumeRef};
use barloom::engine::api::Regime;
use barloom::market::Bracket;
use common::{assert_near, bare_plan, example, num, side_of};
use reference::account::{Money, Position};
use reference::chart::Bar;
use reference::decimal::Grid;
use reference::prices::{PriceGrid, StopTouch, regime_mult, slippage, slipped, stop_touch};
use reference::tiers::{Exposed, Liquidation, Tiers, trim_share};

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
    let plan = |shape| Slippage {
        shape,
        a_bps: num(&config["a_bps"]),
        b_bps: num(&config["b_bps"]),
        vol_scale: None,
        min_bps: num(&config["min_bps"]),
        max_bps: num(&config["max_bps"]),
        stop_mult: 1.0,
        volume_ref: VolumeRef::ExecBar,
        regime_mult_normal: num(&config["mult"]["NORMAL"]),
        regime_mult_thin: num(&config["mult"]["THIN"]),
        regime_mult_vacuum: num(&config["mult"]["VACUUM"]),
    };
    let mult = |plan: &Slippage, name: &serde_json::Value| {
        let all = [Regime::Normal, Regime::Thin, Regime::Vacuum];
        regime_mult(plan, all.into_iter().find(|regime| *name == regime.as_str()))
    };
    for (case, expected) in
        inputs["cases"].as_array().unwrap().iter().zip(expected["cases"].as_array().unwrap())
    {
        let shape = if case["model"] == "linear" { SlippageShape::Linear } else { SlippageShape::Sqrt };
        let plan = plan(shape);
        let mult = mult(&plan, &case["regime"]);
        let slip = slippage(&plan, num(&case["qty"]), num(&case["volume_ref"]), None, None, mult);
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
        let slip =
            slippage(&plan(SlippageShape::Sqrt), consumed_qty, num(&case["volume_ref"]), None, None, 1.0);
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
        let slip = slippage(&plan, 10.0, 20.0, Some(40.0), None, 1.0);
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

/// The brackets of EX-10, with `cum_k` by its recursion.
fn example_10_tiers() -> Tiers {
    let (inputs, expected) = example("10_margin_tiers_liquidation");
    let rows =
        inputs["tiers"].as_array().unwrap().iter().zip(expected["maintenance_amounts"].as_array().unwrap());
    Tiers(
        rows.map(|(tier, cum)| Bracket {
            floor_usdt: num(&tier["floor"]),
            cap_usdt: num(&tier["cap"]),
            maintenance_frac: num(&tier["rate"]),
            cum_usdt: num(cum),
            initial_leverage: num(&tier["max_leverage"]),
        })
        .collect(),
    )
}

#[test]
fn example_10_margin_tiers_liquidation() {
    let (inputs, expected) = example("10_margin_tiers_liquidation");
    let tiers = example_10_tiers();
    for pair in tiers.0.windows(2) {
        let step = pair[1].floor_usdt * (pair[1].maintenance_frac - pair[0].maintenance_frac);
        assert_near("cum", pair[1].cum_usdt, pair[0].cum_usdt + step);
    }
    let notionals = inputs["notionals"].as_array().unwrap();
    for (notional, margin) in notionals.iter().zip(expected["maintenance_margin"].as_array().unwrap()) {
        assert_near("maintenance", tiers.maintenance_usdt(num(notional)), num(margin));
    }
    let cases = inputs["liquidation_cases"].as_array().unwrap();
    for (case, expected) in cases.iter().zip(expected["liquidation"].as_array().unwrap()) {
        let exposed = Exposed {
            sign: num(&case["side"]),
            qty: num(&case["qty"]),
            entry_px: num(&case["entry"]),
            wallet_usdt: num(&case["wallet"]),
            other_maintenance_usdt: num(&case["tmm_other"]),
            other_unrealized_usdt: num(&case["upnl_other"]),
        };
        match (exposed.liquidation(&tiers), expected["liquidation_price"].as_f64()) {
            (Liquidation::Never, None) => {}
            (Liquidation::At(px), Some(expected_px)) => {
                assert_near("liquidation price", px, expected_px);
                let bracket = tiers.of(exposed.qty * px);
                assert_eq!(bracket.floor_usdt, num(&expected["bracket"][0]), "{}", case["name"]);
                assert_near("bankruptcy", exposed.bankruptcy_px(), num(&expected["bankruptcy_price"]));
            }
            (found, expected) => panic!("{}: {found:?}, expected {expected:?}", case["name"]),
        }
    }
}

#[test]
fn example_11_margin_trim_pro_rata() {
    let (inputs, expected) = example("11_margin_trim_pro_rata");
    let tiers = example_10_tiers();
    let (mut equity, mut positions) = (num(&inputs["wallet"]), vec![]);
    for position in inputs["positions"].as_array().unwrap() {
        let (qty, mark) = (num(&position["qty"]), num(&position["mark"]));
        equity += num(&position["side"]) * qty * (mark - num(&position["entry"]));
        positions.push((qty * mark, &tiers));
    }
    let maintenance =
        |x: f64| -> f64 { positions.iter().map(|(n, t)| t.maintenance_usdt(n * (1.0 - x))).sum() };
    assert_near("equity", equity, num(&expected["equity"]));
    assert_near("maintenance", maintenance(0.0), num(&expected["maintenance_before"]));
    assert_near("ratio", maintenance(0.0) / equity, num(&expected["ratio_before"]));
    let (target, cost) = (num(&inputs["target_ratio"]), num(&inputs["cost_fraction"]));
    let share = trim_share(&positions, equity, target, cost);
    assert_near("share", share, num(&expected["trim_fraction"]));
    let gross: f64 = positions.iter().map(|(n, _)| n).sum();
    let after = maintenance(share) / (equity - cost * share * gross);
    assert_near("ratio after", after, num(&expected["ratio_after"]));
    // 4.8: a reduction that costs more margin than it frees closes everything
    assert_eq!(trim_share(&positions, equity, target, 0.01), 1.0);
    assert_eq!(trim_share(&positions, 100.0, target, cost), 1.0);
}
