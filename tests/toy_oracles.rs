//! Oracles whose result is a closed form (semantics 10.1): `s·q(p₂−p₁) − fee·q(p₁+p₂) − s·q·ΣM·r`.

mod common;
mod reference;

use barloom::config::plan::{EnginePlan, Sizing};
use barloom::data::synth::{SynthSpec, universe};
use barloom::data::{Bar, MemorySymbol, market_from_memory};
use barloom::engine::{RunOptions, run_account};
use barloom::market::{Contract, Market, StepGrid};
use barloom::reporting::RunRecorder;
use barloom::signals::{OracleMode, oracle};
use common::{SymbolBars, bare_plan, example, flat_slippage, market_from_bars, num};

fn run(market: &Market, plan: &EnginePlan, mode: OracleMode) -> RunRecorder {
    let bars = 0..market.grid.bars;
    let mut signals = oracle(mode, 1, market, bars.clone());
    let mut recorder =
        RunRecorder::new(market.symbols.len(), market.grid, bars.clone(), plan.initial_capital_usdt);
    let options = RunOptions { tile_bars: 256, quotes: false, on_tile: &mut |_| true };
    run_account(market, bars, plan, &mut signals, &mut recorder, options).expect("nobody interrupts it");
    recorder
}

fn final_equity(recorder: &RunRecorder) -> f64 {
    *recorder.bar_marks().equity_usdt.last().expect("a bar")
}

#[track_caller]
fn assert_relative(what: &str, found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-9 * expected.abs(), "{what}: {found}, expected {expected}");
}

/// Price, quantity and funding of one symbol, whatever its contract says of ticks and steps: it says nothing.
#[test]
fn long_and_short_are_the_closed_form() {
    for seed in 1..6 {
        let spec = SynthSpec { symbols: 1, bars: 1_500, seed, ..SynthSpec::default() };
        let symbol = universe(&spec).remove(0);
        let rows = &symbol.bars;
        let bars = (0..rows.ts_ms.len()).map(|i| Bar {
            ts_ms: rows.ts_ms[i],
            open: rows.open[i],
            high: rows.high[i],
            low: rows.low[i],
            close: rows.close[i],
            volume: rows.volume[i],
            quote_volume: None,
            mark: None,
        });
        let memory = MemorySymbol {
            name: "AAAUSDT".into(),
            contract: Contract::default(),
            brackets: Vec::new(),
            bars: bars.collect(),
            funding: symbol.funding.clone(),
        };
        let market = market_from_memory(spec.bar_ms, vec![memory]).unwrap();
        let (notional, fee, slip) = (25_000.0, 0.0005, 0.0003);
        let mut plan = bare_plan();
        plan.initial_capital_usdt = 40_000.0;
        plan.taker_fee_frac = fee;
        plan.sizing = Sizing::FixedNotional { notional_usdt: notional };
        plan.slippage = flat_slippage(slip * 1e4);

        let last = rows.ts_ms.len() - 1;
        let (entry_ms, exit_ms) = (rows.ts_ms[1], rows.ts_ms[last]);
        let qty = (notional / rows.close[0] * 1e8).floor() / 1e8;
        let paid: f64 = symbol
            .funding
            .iter()
            .filter(|record| record.0 > entry_ms && record.0 <= exit_ms)
            .map(|&(time_ms, rate, mark)| {
                let open = || rows.open[rows.ts_ms.iter().position(|&ts| ts == time_ms).expect("no gaps")];
                mark.unwrap_or_else(open) * rate
            })
            .sum();
        assert!(paid != 0.0, "a run without funding shows nothing about it");
        for (mode, s) in [(OracleMode::AlwaysLong, 1.0), (OracleMode::AlwaysShort, -1.0)] {
            let entry_px = rows.open[1] * (1.0 + s * slip);
            let exit_px = rows.open[last] * (1.0 - s * slip);
            let expected =
                40_000.0 + s * qty * (exit_px - entry_px) - fee * qty * (entry_px + exit_px) - s * qty * paid;
            let recorder = run(&market, &plan, mode);
            assert_eq!(recorder.fills().count(), 2);
            assert_relative(&format!("seed {seed}, {mode:?}"), final_equity(&recorder), expected);
        }
    }
}

/// EX-26, decided by the oracles themselves and sized by notional: 10 units at a first close of `C` are `10·C` USDT.
#[test]
fn example_26_by_the_oracles() {
    let (inputs, expected) = example("26_toy_oracles");
    let mut plan = bare_plan();
    plan.initial_capital_usdt = num(&inputs["initial_wallet"]);
    plan.taker_fee_frac = num(&inputs["taker_fee"]);
    plan.slippage = flat_slippage(num(&inputs["slippage_fraction"]) * 1e4);
    let mut checked = 0;
    for (name, columns) in inputs["bars"].as_object().unwrap() {
        let px = |column: &str, bar: usize| num(&columns[column][bar]);
        let count = columns["open"].as_array().unwrap().len();
        let bars =
            (0..count).map(|i| Some([px("open", i), px("high", i), px("low", i), px("close", i), 1e6]));
        let funding: Vec<_> = inputs["funding"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(bar, rate)| {
                let bar: usize = bar.parse().unwrap();
                (bar, 0, px("open", bar), num(rate))
            })
            .collect();
        let contract = Contract { step: StepGrid::new(0.001), ..Contract::default() };
        let symbol = SymbolBars { name: "AAA".into(), contract, bars: bars.collect() };
        let market = market_from_bars(&[symbol], &funding);
        // Half a step on top: what the division loses must not cost a whole one.
        let notional_usdt = (num(&inputs["qty"]) + 0.0005) * px("close", 0);
        plan.sizing = Sizing::FixedNotional { notional_usdt };
        for (key, mode) in
            [("always_long", OracleMode::AlwaysLong), ("always_short", OracleMode::AlwaysShort)]
        {
            let recorder = run(&market, &plan, mode);
            let curve = expected[format!("{name}/{key}")]["equity_curve"].as_array().unwrap();
            let equity = &recorder.bar_marks().equity_usdt;
            assert_eq!(equity.len(), curve.len());
            for (bar, (found, expected)) in equity.iter().zip(curve).enumerate() {
                assert_relative(&format!("{name}/{key}, bar {bar}"), *found, num(expected));
                checked += 1;
            }
        }
    }
    assert!(checked > 50, "{checked} points");
}

#[test]
fn always_flat_keeps_its_capital_to_the_bit() {
    let spec = SynthSpec { symbols: 1, bars: 600, ..SynthSpec::default() };
    let rows = universe(&spec).remove(0).bars;
    let bars =
        (0..600).map(|i| Some([rows.open[i], rows.high[i], rows.low[i], rows.close[i], rows.volume[i]]));
    let symbol = SymbolBars { name: "AAA".into(), contract: Contract::default(), bars: bars.collect() };
    let market = market_from_bars(&[symbol], &[(32, 0, 1.0, 0.01)]);
    let mut plan = bare_plan();
    plan.initial_capital_usdt = 12_345.678_9;
    let recorder = run(&market, &plan, OracleMode::Flat);
    let marks = recorder.bar_marks();
    assert_eq!(marks.equity_usdt.len(), 600);
    for column in [&marks.equity_usdt, &marks.wallet_usdt] {
        assert!(column.iter().all(|value| value.to_bits() == 12_345.678_9_f64.to_bits()));
    }
    assert!(recorder.events().is_empty());
}

/// Prices and quantities here are short binary fractions, so that no rounding hides a cent: equity is exact.
#[test]
fn a_flat_market_loses_exactly_its_costs() {
    let bars = vec![Some([128.0, 128.0, 128.0, 128.0, 1e6]); 40];
    let contract = Contract { step: StepGrid::new(1.0), ..Contract::default() };
    let market = market_from_bars(
        &[SymbolBars { name: "AAA".into(), contract, bars }],
        &[(10, 0, 128.0, 0.0078125), (20, 0, 128.0, -0.001953125)],
    );
    let mut plan = bare_plan();
    plan.taker_fee_frac = 1.0 / 2048.0;
    plan.sizing = Sizing::FixedNotional { notional_usdt: 2048.0 };
    // 16 units, 2048 USDT, 1 USDT of fee for each of two fills; funding 16 − 4 USDT.
    for (mode, funding) in [(OracleMode::AlwaysLong, -12.0), (OracleMode::AlwaysShort, 12.0)] {
        assert_eq!(final_equity(&run(&market, &plan, mode)), 10_000.0 - 2.0 + funding);
    }
    // A slippage of 1/64 is 2 USDT a unit: 32 for each fill; the fees are of 130 and 126.
    plan.slippage = flat_slippage(1e4 / 64.0);
    plan.funding.enabled = false;
    for mode in [OracleMode::AlwaysLong, OracleMode::AlwaysShort] {
        let fees = 16.0 * (130.0 + 126.0) / 2048.0;
        assert_eq!(final_equity(&run(&market, &plan, mode)), 10_000.0 - 64.0 - fees);
    }
}
