//! The binary: `run`, `features`, `schema`, `synth`, `import`, and what their files hold (contract 1, 2, 5).

mod binary;

use std::fs;
use std::path::Path;

use barloom::reporting::METRIC_NAMES;
use binary::{arrow, barloom, cells, csv, ends_with, json, names, parquet, sample};

const CONFIG: &str = r#"
[general]
initial_capital = 20000.0
[signals]
kind = "rules"
long_entry = "cross_over(ema(close, fast), ema(close, slow))"
short_entry = "cross_under(ema(close, fast), ema(close, slow))"
stop_distance = "2 * atr(14)"
take_profit_distance = "4 * atr(14)"
[signals.params]
fast = 6
slow = 24
[sizing]
fraction = 0.2
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

/// Tables and their columns as contract 5 has them.
const TABLES: [(&str, &str); 6] = [
    (
        "equity",
        "ts wallet unrealized_pnl equity gross_exposure net_exposure initial_margin maintenance_margin \
         margin_ratio drawdown positions state",
    ),
    (
        "fills",
        "fill_id ts symbol order_id side qty price base_price notional liquidity fee slippage_bps slippage_cost \
         participation regime reason flags realized_pnl position_after avg_entry_after tag",
    ),
    (
        "trades",
        "trade_id symbol side entry_ts exit_ts bars_held max_qty entry_price exit_price gross_pnl fees funding \
         net_pnl return mae mfe exit_reason tag",
    ),
    ("ledger", "entry_id ts symbol kind amount wallet_after ref_id"),
    ("orders", "order_id ts symbol type side qty price ttl_bars status reason end_ts"),
    ("universe", "ts symbol rank score member"),
];

fn columns_of(table: &str) -> Vec<String> {
    let (_, columns) = TABLES.iter().find(|(name, _)| *name == table).expect("a table");
    columns.split_whitespace().map(str::to_owned).collect()
}

/// `run` of [`CONFIG`] over the sample with more words; gives stdout.
#[track_caller]
fn run(work: &Path, out: &str, words: &str) -> String {
    let config = work.join("rules.toml");
    fs::write(&config, CONFIG).unwrap();
    let mut command = barloom("run");
    command.arg("--config").arg(config).arg("--data").arg(sample()).arg("--store").arg(work.join("store"));
    ends_with(0, command.arg("--out").arg(work.join(out)).args(words.split_whitespace())).0
}

fn floats(rows: &[Vec<String>], names: &[String], column: &str) -> Vec<f64> {
    let at = names.iter().position(|name| name == column).expect("a column");
    rows.iter().map(|row| row[at].parse().unwrap_or_else(|_| panic!("`{}` in {column}", row[at]))).collect()
}

#[test]
fn a_run_writes_the_tables_of_the_contract() {
    let work = tempfile::tempdir().unwrap();
    let text = run(work.path(), "csv", "");
    assert!(text.contains("sharpe") && text.contains("results in"), "{text}");
    let out = work.path().join("csv");
    for (table, _) in TABLES {
        let (names, rows) = csv(&out.join(format!("{table}.csv")));
        assert_eq!(names, columns_of(table), "{table}");
        assert!(!rows.is_empty(), "{table}");
    }

    let (names, equity) = csv(&out.join("equity.csv"));
    let (_, btc) = csv(&sample().join("BTCUSDT_15m.csv"));
    assert_eq!(equity.len(), 3_200, "one row per grid bar");
    assert_eq!((&equity[0][0], &equity[3_199][0]), (&btc[0][0], &btc[btc.len() - 1][0]));
    let wallet = floats(&equity, &names, "wallet");
    let unrealized = floats(&equity, &names, "unrealized_pnl");
    for (row, equity) in floats(&equity, &names, "equity").iter().enumerate() {
        assert!((wallet[row] + unrealized[row] - equity).abs() <= 1e-9 * equity.abs());
    }

    let (names, ledger) = csv(&out.join("ledger.csv"));
    assert_eq!((ledger[0][3].as_str(), ledger[0][4].as_str()), ("DEPOSIT", "20000"));
    let mut sum = 0.0;
    let after = floats(&ledger, &names, "wallet_after");
    for (amount, after) in floats(&ledger, &names, "amount").iter().zip(&after) {
        sum += amount;
        assert!((sum - after).abs() <= 1e-9 * 20_000.0);
    }
    assert!((sum - wallet[3_199]).abs() <= 1e-9 * 20_000.0);
    for kind in ["FEE", "FUNDING", "REALIZED_PNL"] {
        assert!(ledger.iter().any(|line| line[3] == kind), "{kind}");
    }

    let metrics = json(&out.join("metrics.json"));
    assert!(METRIC_NAMES.iter().all(|name| metrics.get(name).is_some()), "{metrics}");
    let (_, fills) = csv(&out.join("fills.csv"));
    assert_eq!(metrics["fills"], fills.len());
    let manifest = json(&out.join("manifest.json"));
    for key in
        ["engine_version", "config_digest", "data_digest", "seed", "rules", "warnings", "result_digest"]
    {
        assert!(!manifest[key].is_null(), "{key}");
    }
    assert!(manifest["run"].is_object());
    assert_eq!(json(&out.join("config.resolved.json"))["sizing"]["fraction"], 0.2);
}

#[test]
fn formats_hold_the_same_cells_and_runs_the_same_bytes() {
    let work = tempfile::tempdir().unwrap();
    run(work.path(), "csv", "");
    run(work.path(), "again", "--tile-bars 7 -j 1 --json");
    for entry in fs::read_dir(work.path().join("csv")).unwrap() {
        let name = entry.unwrap().file_name();
        let read = |folder: &str| fs::read(work.path().join(folder).join(&name)).unwrap();
        if name == "manifest.json" {
            let [mut a, mut b] =
                ["csv", "again"].map(|f| serde_json::from_slice::<serde_json::Value>(&read(f)).unwrap());
            (a["run"], b["run"]) = Default::default();
            assert_eq!(a, b);
        } else {
            assert!(read("csv") == read("again"), "{name:?}");
        }
    }
    for format in ["parquet", "arrow"] {
        run(work.path(), format, &format!("--set output.format={format}"));
        for (table, _) in TABLES {
            let path = work.path().join(format).join(format!("{table}.{format}"));
            let batches = if format == "arrow" { arrow(&path) } else { vec![parquet(&path)] };
            let (header, rows) = csv(&work.path().join("csv").join(format!("{table}.csv")));
            assert_eq!(batches.len(), 1);
            assert_eq!(names(&batches[0]), header, "{table} as {format}");
            assert!(cells(&batches[0]) == rows, "{table} as {format} holds other cells");
        }
    }
    let digest = |out: &str| json(&work.path().join(out).join("manifest.json"))["result_digest"].clone();
    assert_eq!(digest("csv"), digest("arrow"));
    assert_eq!(digest("csv"), digest("parquet"));
}

/// Steps of a waterfall add up, and its net is what the account gained.
#[test]
fn the_waterfall_leads_from_gross_to_net() {
    let work = tempfile::tempdir().unwrap();
    let text = run(work.path(), "out", "--set execution.stop_overshoot=0.5");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    for shown in ["where it went", "gross", "slippage", "net", "decided by", "stop_run"] {
        assert!(text.contains(shown), "{shown} is not in\n{text}");
    }
    let metrics = json(&work.path().join("out/metrics.json"));
    let amount =
        |of: &serde_json::Value, step: &str| of[step].as_f64().unwrap_or_else(|| panic!("{step} in {of}"));
    let steps = ["gross", "fees", "slippage", "overshoot", "funding", "liquidation", "insurance"];
    let waterfall = &metrics["waterfall"];
    let symbols: Vec<_> = waterfall["symbols"].as_object().unwrap().values().collect();
    assert_eq!(symbols.len(), 6);
    for of in symbols.iter().copied().chain([&waterfall["total"]]) {
        assert_eq!(steps.iter().map(|step| amount(of, step)).sum::<f64>(), amount(of, "net"));
    }
    let total = &waterfall["total"];
    for step in steps.into_iter().chain(["net"]) {
        let sum: f64 = symbols.iter().map(|of| amount(of, step)).sum();
        assert!((sum - amount(total, step)).abs() < 1e-6, "{step}");
    }
    assert!((amount(total, "net") - (amount(&metrics, "final_equity") - 20_000.0)).abs() < 1e-6);
    assert!((amount(total, "fees") + amount(&metrics, "total_fees")).abs() < 1e-6);
    assert!((amount(total, "slippage") + amount(&metrics, "total_slippage_cost")).abs() < 1e-6);

    let (names, fills) = csv(&work.path().join("out/fills.csv"));
    let flags = names.iter().position(|name| name == "flags").unwrap();
    let carrying = |flag: &str| fills.iter().filter(|fill| fill[flags].split('|').any(|f| f == flag)).count();
    for flag in ["gapped", "stop_run", "stop_and_target", "entry_and_exit"] {
        assert_eq!(metrics[format!("flag_{flag}_fills")], carrying(flag), "{flag}");
    }
    assert!(carrying("stop_run") > 0);
}

/// Market entries of one size, with stops and targets: the fills differ and what follows does not, much.
#[test]
fn bounds_lie_on_both_sides_of_the_run() {
    let work = tempfile::tempdir().unwrap();
    let text = run(
        work.path(),
        "out",
        "--bounds --set execution.stop_overshoot=0.25 --set execution.bracket_policy=adaptive",
    );
    assert!(text.contains("pessimistic") && text.contains("optimistic"), "{text}");
    let bounds = json(&work.path().join("out/bounds.json"));
    let last = |name: &str| bounds[name]["final_equity"].as_f64().unwrap();
    assert!(last("pessimistic") < last("base") && last("base") < last("optimistic"), "{bounds}");
    for (name, overshoot) in [("pessimistic", "1"), ("base", "0.25"), ("optimistic", "0")] {
        assert_eq!(bounds[name]["choices"]["execution.stop_overshoot"], overshoot);
    }
    let (names, rows) = csv(&work.path().join("out/bounds.csv"));
    assert_eq!(names, ["ts", "pessimistic", "base", "optimistic"]);
    let (equity_names, equity) = csv(&work.path().join("out/equity.csv"));
    assert_eq!(floats(&rows, &names, "base"), floats(&equity, &equity_names, "equity"));
    for name in ["pessimistic", "base", "optimistic"] {
        assert_eq!(floats(&rows, &names, name).last(), Some(&last(name)));
    }
    let files = json(&work.path().join("out/manifest.json"))["files"].clone();
    assert!(files["bounds.csv"].is_string() && files["bounds.json"].is_string());

    let overshoot = |file: &str| json(&work.path().join(file))["total_overshoot_cost"].as_f64().unwrap();
    assert!(overshoot("out/metrics.json") > 0.0);
    run(work.path(), "none", "--set execution.stop_overshoot=0");
    // To the rounding of prices on the grid and of their differences.
    assert!(overshoot("none/metrics.json").abs() < 1e-6, "a gap is no overshoot");

    // Without the flag the run itself is the same, and there are no bounds.
    run(work.path(), "alone", "--set execution.stop_overshoot=0.25 --set execution.bracket_policy=adaptive");
    assert!(!work.path().join("alone/bounds.json").exists());
    let read = |folder: &str| fs::read(work.path().join(folder).join("metrics.json")).unwrap();
    assert!(read("out") == read("alone"));
}

#[test]
fn windows_and_sets_decide_what_is_run() {
    let work = tempfile::tempdir().unwrap();
    run(
        work.path(),
        "window",
        "--start 2023-01-10 --end 2023-01-20T12:00Z --set sizing.fraction=0.05 --set output.tables=[\"equity\",\"fills\"]",
    );
    let out = work.path().join("window");
    let (_, equity) = csv(&out.join("equity.csv"));
    assert_eq!(equity.len(), 10 * 96 + 48);
    assert_eq!(equity[0][0], "2023-01-10 00:00:00+00:00");
    assert_eq!(equity.last().unwrap()[0], "2023-01-20 11:45:00+00:00");
    let (_, fills) = csv(&out.join("fills.csv"));
    assert!(!fills.is_empty());
    assert!(fills.iter().all(|fill| fill[1] > equity[0][0] && fill[1] <= equity[equity.len() - 1][0]));
    assert_eq!(json(&out.join("config.resolved.json"))["sizing"]["fraction"], 0.05);
    assert!(!out.join("trades.csv").exists(), "a table that was not asked for");

    let config = work.path().join("rules.toml");
    let fails = |words: &str, needle: &str| {
        let mut command = barloom("run");
        command
            .arg("--config")
            .arg(&config)
            .arg("--data")
            .arg(sample())
            .arg("--out")
            .arg(work.path().join("no"));
        command.arg("--store").arg(work.path().join("store")).args(words.split_whitespace());
        let (stdout, stderr) = ends_with(2, &mut command);
        assert!(stderr.starts_with("error: ") && stderr.trim_end().lines().count() == 1, "{stderr}");
        assert!(stderr.contains(needle) && stdout.is_empty(), "{stderr}");
        assert!(!work.path().join("no").exists(), "nothing is written");
    };
    fails("--start 2023-03-01", "--start");
    fails("--start yesterday", "yesterday");
    fails("--set sizing.fracton=0.1", "sizing.fraction");
    fails("--set sizing.fraction=much", "sizing.fraction");
    fails("--set signals.long_entry=emma(close,3)", "ema");
}

#[test]
fn features_are_sorted_and_the_same_in_every_format() {
    let work = tempfile::tempdir().unwrap();
    let exprs = ["ema(close, 20)", "rsi(close, 14)"];
    let export = |file: &str| {
        let path = work.path().join(file);
        let mut command = barloom("features");
        command.arg("--data").arg(sample()).arg("--store").arg(work.path().join("store"));
        for expr in exprs {
            command.arg("--expr").arg(expr);
        }
        ends_with(0, command.arg("--out").arg(&path));
        path
    };
    let (header, rows) = csv(&export("f.csv"));
    assert_eq!(header, ["ts", "symbol", exprs[0], exprs[1]]);
    assert!(rows.is_sorted_by(|a, b| (&a[0], &a[1]) < (&b[0], &b[1])));
    let bars: usize = ["BTC", "ETH", "BNB", "XRP", "SOL", "DOGE"]
        .iter()
        .map(|name| csv(&sample().join(format!("{name}USDT_15m.csv"))).1.len())
        .sum();
    assert_eq!(rows.len(), bars, "one row per present bar");
    let btc: Vec<_> = rows.iter().filter(|row| row[1] == "BTCUSDT").collect();
    assert_eq!(btc.iter().position(|row| !row[2].is_empty()), Some(19), "the first mean of 20");

    let file = parquet(&export("f.parquet"));
    assert_eq!(names(&file), header);
    assert!(cells(&file) == rows);
    let batches = arrow(&export("f.arrow"));
    assert!(batches.iter().flat_map(cells).collect::<Vec<_>>() == rows);

    let (list, _) = ends_with(0, &mut barloom("features --list"));
    assert!(["ema(", "atr(", "cross_over"].iter().all(|name| list.contains(name)), "{list}");
    let (list, _) = ends_with(0, &mut barloom("features --list --json"));
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    assert!(list.as_array().unwrap().iter().any(|f| f["name"] == "rsi"));
}

#[test]
fn the_schema_is_the_one_in_the_repository() {
    let (text, _) = ends_with(0, &mut barloom("schema"));
    let schema: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(schema["properties"]["sizing"].is_object());
    assert_eq!(schema, json(&Path::new(env!("CARGO_MANIFEST_DIR")).join("config/schema.json")));
}

#[test]
fn synthetic_data_survive_an_import() {
    let work = tempfile::tempdir().unwrap();
    let folder = |name: &str| work.path().join(name);
    let synth = |out: &str, words: &str| {
        let mut command = barloom("synth --symbols 4 --bars 600 --seed 3 --gaps");
        ends_with(0, command.args(words.split_whitespace()).arg("--out").arg(folder(out)));
    };
    synth("made", "");
    synth("columns", "--format parquet");
    for source in ["made", "columns"] {
        let out = format!("{source}_imported");
        ends_with(0, barloom("import").arg(folder(source)).arg("--out").arg(folder(&out)));
        for entry in fs::read_dir(folder("made")).unwrap() {
            let name = entry.unwrap().file_name();
            if name.to_string_lossy().ends_with("_15m.csv")
                || name.to_string_lossy().ends_with("_funding.csv")
            {
                let read = |from: &str| fs::read_to_string(folder(from).join(&name)).unwrap();
                assert_eq!(read("made"), read(&out), "{name:?} from {source}");
            }
        }
    }
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/oracle_long.toml");
    let equity = |data: &str| {
        let out = folder(&format!("{data}_run"));
        let mut command = barloom("run");
        command.arg("--config").arg(&config).arg("--data").arg(folder(data)).arg("--out").arg(&out);
        ends_with(0, &mut command);
        fs::read(out.join("equity.csv")).unwrap()
    };
    assert!(equity("made") == equity("made_imported"));
    assert!(folder("made").join(".barloom").is_dir(), "the store lies beside the data");
}
