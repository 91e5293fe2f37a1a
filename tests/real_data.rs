//! Buy and hold of real symbols, end to end through the library, against a closed form over the raw files.
//!
//! The parser here is its own and as simple as can be. Without the data the test prints so and passes.
#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]

use std::fs;
use std::path::{Path, PathBuf};

use barloom::config::load;
use barloom::data::{LoadOptions, open_market};
use barloom::engine::{RunOptions, run_account};
use barloom::reporting::RunRecorder;
use barloom::sweep::read_source;

const NOTIONAL_USDT: f64 = 10_000.0;
const FEE_FRAC: f64 = 0.0005;
const SLIPPAGE_BPS: f64 = 3.0;
const CONFIG: &str = r#"
[general]
initial_capital = 100000.0
taker_fee_bps = 5.0
oracle_mode = "always_long"
check_invariants = "every_bar"
[sizing]
method = "fixed_notional"
notional = 10000.0
[slippage_costs]
a_bps = 3.0
b_bps = 0.0
[execution]
participation_cap = 0.0
[funding]
window_blocks_entries = false
[margin]
liquidation = false
guard = false
[liquidity_regimes]
enabled = false
"#;

fn long_data() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    ["../shared/data/long", "../../shared/data/long"].iter().map(|p| root.join(p)).find(|p| p.is_dir())
}

/// Rows of a CSV file without its header, split at commas.
fn rows(path: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

/// A number inside the filter of a contract.
fn filter(contract: &serde_json::Value, kind: &str, key: &str) -> f64 {
    let filters = contract["filters"].as_array().unwrap();
    let filter = filters.iter().find(|f| f["filterType"] == kind).unwrap();
    filter[key].as_str().unwrap().parse().unwrap()
}

/// Whole steps of a value, a value within a billionth of a step of one being on it.
fn steps(value: f64, size: f64) -> f64 {
    let k = value / size;
    if (k - k.round()).abs() < 1e-9 * k.abs().max(1.0) { k.round() } else { k }
}

/// Final equity of buying at the second open and selling at the last.
fn closed_form(dir: &Path, symbol: &str) -> f64 {
    let contract = fs::read_to_string(dir.join(format!("{symbol}_contract.json"))).unwrap();
    let contract: serde_json::Value = serde_json::from_str(&contract).unwrap();
    let tick = filter(&contract, "PRICE_FILTER", "tickSize");
    let step = filter(&contract, "LOT_SIZE", "stepSize");

    let bars = rows(&dir.join(format!("{symbol}_15m.csv")));
    let px = |bar: usize, column: usize| bars[bar][column].parse::<f64>().unwrap();
    let last = bars.len() - 1;
    let qty = steps(NOTIONAL_USDT / px(0, 4), step).floor() * step;
    let entry_px = steps(px(1, 1) * (1.0 + SLIPPAGE_BPS / 1e4), tick).ceil() * tick;
    let exit_px = steps(px(last, 1) * (1.0 - SLIPPAGE_BPS / 1e4), tick).floor() * tick;

    // Stamps of one form compare as text. Held just before τ: after the entry's open, up to the exit's.
    let (entered, left) = (&bars[1][0], &bars[last][0]);
    let mut funding = 0.0;
    for record in rows(&dir.join(format!("{symbol}_funding.csv"))) {
        assert_eq!(record[0].len(), entered.len(), "one form of stamps");
        if record[0] > *entered && record[0] <= *left {
            let mark = record[2].parse().unwrap_or_else(|_| {
                let bar = bars.binary_search_by(|bar| bar[0].cmp(&record[0])).expect("no gaps");
                px(bar, 1)
            });
            funding += mark * record[1].parse::<f64>().unwrap();
        }
    }
    assert!(funding != 0.0);
    100_000.0 + qty * (exit_px - entry_px) - FEE_FRAC * qty * (entry_px + exit_px) - qty * funding
}

#[test]
fn always_long_on_real_data_is_the_closed_form() {
    let Some(dir) = long_data() else {
        println!("skipped: no real market data beside the project (../shared/data/long)");
        return;
    };
    let work = tempfile::tempdir().unwrap();
    let config = work.path().join("long.toml");
    fs::write(&config, CONFIG).unwrap();
    let spec = load(&config, &[], false).unwrap().spec;
    let plan = spec.plan().unwrap();
    let options = LoadOptions { store_dir: Some(work.path().join("store")), ..LoadOptions::default() };
    for symbol in ["BTCUSDT", "ETHUSDT", "LTCUSDT", "SUIUSDT", "1000PEPEUSDT"] {
        let market = open_market(&dir, &[symbol.to_owned()], &options, &mut |_| ()).unwrap();
        let run = 0..market.grid.bars;
        let (source, _) = read_source(&spec, Some(&config), None, &market).unwrap();
        let mut signals = source.bind(&[Default::default()], 1, &market, run.clone()).unwrap();
        let mut recorder = RunRecorder::new(1, market.grid, run.clone(), plan.initial_capital_usdt);
        let tiles = RunOptions { tile_bars: 256, quotes: false, on_tile: &mut |_| true };
        run_account(&market, run, &plan, &mut *signals, &mut recorder, tiles).unwrap();

        let found = *recorder.bar_marks().equity_usdt.last().unwrap();
        let expected = closed_form(&dir, symbol);
        assert_eq!(recorder.fills().count(), 2, "{symbol}");
        assert!((found - expected).abs() <= 1e-9 * expected, "{symbol}: {found}, expected {expected}");
    }
}
