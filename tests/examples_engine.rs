//! Worked examples through the engine itself and its pricing functions: EX-01 to 09, 26, 27, 29, 31; and the
//! rules of orders, trails, funding and margin, case by case.

mod common;
mod reference;

use barloom::config::plan::{Slippage, SlippageShape, VolumeRef};
use barloom::engine::api::Side;
use barloom::execution::pricing::{StopHit, slippage_bps, stop_hit, taker_price};
use barloom::execution::rules::SymbolRules;
use barloom::market::{Contract, StepGrid};
use barloom::portfolio::{Book, Lane};
use common::engine_run::run_orders;
use common::isolated_cases;
use common::order_cases::CASES;
use common::{assert_near, example, example_runs, num, side_of};

fn rules(tick: f64) -> SymbolRules {
    SymbolRules::new(&Contract { tick: Some(StepGrid::new(tick)), ..Contract::default() })
}

#[test]
fn example_01_stop_fills() {
    let (inputs, expected) = example("01_stop_fills");
    let rules = rules(num(&inputs["tick"]));
    let cases = inputs["cases"].as_array().unwrap();
    assert_eq!(cases.len(), expected["cases"].as_array().unwrap().len());
    for (case, expected) in cases.iter().zip(expected["cases"].as_array().unwrap()) {
        let px = |i: usize| num(&case["bar_ohlc"][i]);
        let side = side_of(&case["side"]);
        let hit = stop_hit(&rules, side, num(&case["stop"]), px(0), px(1), px(2), num(&case["kappa"]));
        assert_eq!(hit != StopHit::No, expected["triggered"].as_bool().unwrap(), "{}", case["name"]);
        let (kind, base_px) = match hit {
            StopHit::No => continue,
            StopHit::Gap { base_px } => ("gap", base_px),
            StopHit::Through { base_px } => ("intrabar", base_px),
        };
        assert_eq!(kind, expected["kind"], "{}", case["name"]);
        assert_near("base", base_px, num(&expected["base_price"]));
        let fill_px = taker_price(&rules, side, base_px, num(&case["slippage_bps"]), true, None);
        assert_eq!(fill_px, num(&expected["fill_price"]), "{}", case["name"]);
    }
}

#[test]
fn example_05_participation_slippage() {
    let (inputs, expected) = example("05_participation_slippage");
    let config = &inputs["config"];
    let rules = rules(num(&inputs["tick"]));
    let model = |shape| Slippage {
        shape,
        a_bps: num(&config["a_bps"]),
        b_bps: num(&config["b_bps"]),
        vol_scale: None,
        min_bps: num(&config["min_bps"]),
        max_bps: num(&config["max_bps"]),
        stop_mult: 1.0,
        volume_ref: VolumeRef::ExecBar,
        regime_mult_normal: 1.0,
        regime_mult_thin: 2.0,
        regime_mult_vacuum: 4.0,
    };
    let cases = inputs["cases"].as_array().unwrap();
    for (case, expected) in cases.iter().zip(expected["cases"].as_array().unwrap()) {
        let shape = if case["model"] == "linear" { SlippageShape::Linear } else { SlippageShape::Sqrt };
        let mult = num(&config["mult"][case["regime"].as_str().unwrap()]);
        let (bps, participation) =
            slippage_bps(&model(shape), num(&case["qty"]), num(&case["volume_ref"]), mult);
        match expected["participation"].as_f64() {
            Some(expected) => assert_near("participation", participation, expected),
            None => assert!(participation.is_nan()),
        }
        assert_near("bps", bps, num(&expected["bps"]));
        let fill_px = taker_price(&rules, side_of(&case["side"]), num(&case["base_price"]), bps, true, None);
        assert_eq!(fill_px, num(&expected["fill_price"]), "{}", case["name"]);
    }
    let case = &inputs["cumulative_case"];
    let mut consumed_qty = 0.0;
    for (i, qty) in case["orders"].as_array().unwrap().iter().enumerate() {
        consumed_qty += num(qty);
        let (bps, _) = slippage_bps(&model(SlippageShape::Sqrt), consumed_qty, num(&case["volume_ref"]), 1.0);
        assert_near("bps", bps, num(&expected["cumulative_bps"][i]));
        let fill_px = taker_price(&rules, side_of(&case["side"]), num(&case["base_price"]), bps, true, None);
        assert_eq!(fill_px, num(&expected["cumulative_fill_prices"][i]));
    }
}

#[test]
fn example_07_tick_step_rounding() {
    let (inputs, expected) = example("07_tick_step_rounding");
    let pairs = |cases: &str, results: &str| {
        let (cases, results) = (inputs[cases].as_array().unwrap(), expected[results].as_array().unwrap());
        assert_eq!(cases.len(), results.len());
        cases.iter().cloned().zip(results.iter().cloned()).collect::<Vec<_>>()
    };
    for (case, expected) in pairs("fills", "fill_prices") {
        let rules = rules(num(&case["tick"]));
        assert_eq!(rules.round_fill(num(&case["raw"]), side_of(&case["side"])), num(&expected), "{case}");
    }
    for (case, expected) in pairs("limit_prices", "limit_prices") {
        let rules = rules(num(&case["tick"]));
        assert_eq!(rules.round_limit(num(&case["raw"]), side_of(&case["side"])), num(&expected), "{case}");
    }
    for (case, expected) in pairs("quantities", "quantities") {
        let grid = StepGrid::new(num(&case["step"]));
        assert_eq!(grid.value(grid.steps_toward_zero(num(&case["raw"]))), num(&expected), "{case}");
    }
}

#[test]
fn example_08_partial_close_fees_flip() {
    let (inputs, expected) = example("08_partial_close_fees_flip");
    let mut book = Book::new(1, 8, num(&inputs["initial_wallet"]));
    let lane = Lane::of(0);
    let fills = inputs["fills"].as_array().unwrap();
    for (fill, expected) in fills.iter().zip(expected["rows"].as_array().unwrap()) {
        let (dq, px) = (num(&fill["dq"]), num(&fill["price"]));
        let fee = dq.abs() * px * num(&inputs["fee_rate"]);
        let qty = book.qty[0] + dq;
        let booked = book.book_fill(lane, dq, dq, qty, px, fee);
        let unrealized = qty * (px - booked.avg_entry_after);
        assert_near("realised", booked.realized_usdt, num(&expected["realised"]));
        assert_near("fee", fee, num(&expected["fee"]));
        assert_near("qty", booked.position_after, num(&expected["qty"]));
        assert_near("avg_entry", booked.avg_entry_after, num(&expected["avg_entry"]));
        assert_near("wallet", book.wallet.value(), num(&expected["wallet"]));
        assert_near("unrealised", unrealized, num(&expected["unrealised"]));
        assert_near("equity", book.wallet.value() + unrealized, num(&expected["equity"]));
        assert_near("cash_form", book.cash.value(), num(&expected["cash_form"]));
        assert_near("cash_form equity", book.cash.value() + qty * px, num(&expected["equity"]));
        let side = if qty > 0.0 { Side::Buy } else { Side::Sell };
        let held = if side == Side::Buy { &book.held_long } else { &book.held_short };
        assert_eq!(held[0], u64::from(qty != 0.0));
        book.check(|_| px);
    }
}

#[test]
fn example_07_admission() {
    example_runs::example_07_admission(run_orders);
}

#[test]
fn example_09_funding_with_flips() {
    example_runs::example_09_funding_with_flips(run_orders);
}

#[test]
fn example_09_who_pays_at_the_boundary() {
    example_runs::example_09_who_pays_at_the_boundary(run_orders);
}

#[test]
fn example_26_toy_oracles() {
    example_runs::example_26_toy_oracles(run_orders);
}

#[test]
fn example_27_held_positions() {
    example_runs::example_27_held_positions(run_orders);
}

#[test]
fn example_27_stopped_in_the_entry_bar() {
    example_runs::example_27_stopped_in_the_entry_bar(run_orders);
}

#[test]
fn example_02_trailing_stop() {
    example_runs::example_02_trailing_stop(run_orders);
}

#[test]
fn example_03_limit_fills() {
    example_runs::example_03_limit_fills(run_orders);
}

#[test]
fn example_04_sl_tp_same_bar() {
    example_runs::example_04_sl_tp_same_bar(run_orders);
}

#[test]
fn example_06_partial_fill_ttl() {
    example_runs::example_06_partial_fill_ttl(run_orders);
}

#[test]
fn example_27_entry_bar() {
    example_runs::example_27_entry_bar(run_orders);
}

#[test]
fn example_29_golden_run() {
    example_runs::example_29_golden_run(run_orders);
}

#[test]
fn example_29_golden_run_reduced() {
    example_runs::example_29_golden_run_reduced(run_orders);
}

#[test]
fn example_31_liquidation_event() {
    example_runs::example_31_liquidation_event(run_orders);
}

#[test]
fn rules_of_orders_funding_and_margin() {
    for case in CASES {
        case(run_orders);
    }
}

#[test]
fn isolated_margin() {
    for case in isolated_cases::CASES {
        case(run_orders);
    }
}
