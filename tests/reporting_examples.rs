//! Worked examples 23, 24 and 25: performance metrics, PSR/DSR and PBO, by the pure functions and by the recorder.

use barloom::engine::api::{
    Fill, FillFlags, FillReason, Liquidity, MarkRows, NO_ORDER, NO_TAG, Recorder, Side,
};
use barloom::market::TimeGrid;
use barloom::reporting::overfit::{
    SharpeSample, deflated_sharpe, expected_max_sharpe, min_track_record, pbo_cscv, probabilistic_sharpe,
};
use barloom::reporting::{Metrics, TrialStats, stats};
use serde_json::Value;

struct Example {
    json: Value,
    abs: f64,
    rel: f64,
}

impl Example {
    fn load(name: &str) -> Self {
        let path = format!("{}/tests/examples/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        let json: Value = serde_json::from_str(&text).unwrap();
        let tolerance = |key: &str| json["tolerance"][key].as_f64().unwrap();
        let (abs, rel) = (tolerance("abs"), tolerance("rel"));
        Self { json, abs, rel }
    }
    fn input(&self, key: &str) -> f64 {
        self.json["inputs"][key].as_f64().unwrap()
    }
    fn floats(&self, key: &str) -> Vec<f64> {
        self.json["inputs"][key].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
    }
    /// A number passes within the example's tolerance; null means not defined.
    fn check(&self, what: &str, found: Option<f64>, expected: &Value) {
        assert!(expected.is_null() || expected.is_number(), "{what}: no such expectation");
        match (found, expected.as_f64()) {
            (Some(found), Some(expected)) => assert!(
                (found - expected).abs() <= self.abs + self.rel * expected.abs(),
                "{what}: {found}, expected {expected}"
            ),
            (found, expected) => assert_eq!(found, expected, "{what}"),
        }
    }
}

const DAY_MS: i64 = 86_400_000;

/// An account marked once a day.
fn daily_account(equity: &[f64], trade_pnl: &[f64]) -> Metrics {
    let bars = equity.len() - 1;
    let grid = TimeGrid { start_ms: 1_704_067_200_000, step_ms: DAY_MS, bars };
    let mut stats = TrialStats::new(1, grid, 0..bars, equity[0]);
    for &pnl in trade_pnl {
        let (open, close) = (round_trip_fill(0.0, 1.0, 0.0), round_trip_fill(1.0, 0.0, pnl));
        stats.fill(&open);
        stats.fill(&close);
    }
    let zeros = vec![0.0; bars];
    stats.marks(&MarkRows {
        bar0: 0,
        wallet_usdt: &equity[1..],
        unrealized_usdt: &zeros,
        equity_usdt: &equity[1..],
        gross_usdt: &zeros,
        net_usdt: &zeros,
        positions: &vec![0; bars],
        initial_margin_usdt: &[],
        maintenance_margin_usdt: &[],
        isolated_ratio: &[],
    });
    stats.finish()
}

fn round_trip_fill(before: f64, after: f64, realized_usdt: f64) -> Fill {
    Fill {
        bar: 0,
        symbol: 0,
        order_id: NO_ORDER,
        side: if after > before { Side::Buy } else { Side::Sell },
        qty: 1.0,
        price: 1.0,
        base_px: 1.0,
        trigger_px: f64::NAN,
        liquidity: Liquidity::Taker,
        fee_usdt: 0.0,
        slippage_bps: 0.0,
        participation: f64::NAN,
        reason: FillReason::MarketEntry,
        flags: FillFlags::default(),
        regime: None,
        realized_usdt,
        position_before: before,
        position_after: after,
        avg_entry_before: before,
        avg_entry_after: after,
        tag: NO_TAG,
    }
}

fn metric(metrics: &Metrics, name: &str) -> Option<f64> {
    metrics.at(barloom::reporting::metric_index(name).unwrap_or_else(|| panic!("no metric {name}")))
}

#[test]
fn example_23_by_the_pure_functions() {
    let example = Example::load("23_metrics");
    let equity = example.floats("equity_daily");
    let expected = &example.json["expected"]["equity_metrics"];
    let ppy = example.input("periods_per_year");
    let returns = stats::simple_returns(&equity);
    let ascending = stats::sorted(&returns);
    let (first, last) = (equity[0], equity[equity.len() - 1]);
    let cagr = stats::cagr(first, last, example.input("elapsed_years"));
    let drawdown = stats::max_drawdown(&equity);
    let underwater = stats::longest_underwater(&equity).points as f64;
    for (name, found) in [
        ("total_return", Some(last / first - 1.0)),
        ("cagr", cagr),
        ("volatility", stats::volatility(&returns, ppy)),
        ("sharpe", stats::sharpe(&returns, example.input("risk_free"), ppy)),
        ("sortino", stats::sortino(&returns, 0.0, ppy)),
        ("max_drawdown", drawdown),
        ("calmar", stats::calmar(cagr.unwrap(), drawdown.unwrap())),
        ("longest_underwater_periods", Some(underwater)),
        ("ulcer_index_percent", stats::ulcer_index(&equity)),
        ("skew", stats::skewness(&returns)),
        ("kurtosis", stats::kurtosis(&returns)),
        ("omega_0", stats::omega(&returns, 0.0)),
        ("tail_ratio", stats::tail_ratio(&ascending)),
        ("var_5pct", stats::value_at_risk(&ascending, 0.05)),
        ("es_5pct", stats::expected_shortfall(&ascending, 0.05)),
    ] {
        example.check(name, found, &expected[name]);
    }
}

#[test]
fn example_23_by_the_recorder() {
    let example = Example::load("23_metrics");
    let metrics = daily_account(&example.floats("equity_daily"), &example.floats("trade_pnl"));
    let expected = &example.json["expected"]["equity_metrics"];
    for name in [
        "total_return",
        "cagr",
        "volatility",
        "sharpe",
        "sortino",
        "max_drawdown",
        "calmar",
        "skew",
        "kurtosis",
        "tail_ratio",
    ] {
        example.check(name, metric(&metrics, name), &expected[name]);
    }
    for (name, theirs) in [
        ("ulcer_index", "ulcer_index_percent"),
        ("omega", "omega_0"),
        ("value_at_risk", "var_5pct"),
        ("expected_shortfall", "es_5pct"),
        ("sharpe_bars", "sharpe"),
        ("sortino_bars", "sortino"),
        ("volatility_bars", "volatility"),
    ] {
        example.check(name, metric(&metrics, name), &expected[theirs]);
    }
    let trades = &example.json["expected"]["trade_metrics"];
    example.check("trades", metric(&metrics, "trades"), &trades["n"]);
    for name in ["win_rate", "profit_factor", "expectancy", "avg_win", "avg_loss", "payoff_ratio"] {
        example.check(name, metric(&metrics, name), &trades[name]);
    }
}

#[test]
fn example_23_degenerate_cases_are_null() {
    let example = Example::load("23_metrics");
    let degenerate = &example.json["expected"]["degenerate"];
    let constant = daily_account(&[100.0; 20], &[]);
    for (name, expected) in degenerate["constant_equity"].as_object().unwrap() {
        example.check(name, metric(&constant, name), expected);
    }
    for (name, expected) in degenerate["no_trades"].as_object().unwrap() {
        example.check(name, metric(&constant, name), expected);
    }
    let winners = daily_account(&[100.0; 3], &[5.0, 7.0]);
    example.check(
        "profit_factor",
        metric(&winners, "profit_factor"),
        &degenerate["no_losing_trades"]["profit_factor"],
    );
    assert_eq!((metric(&winners, "losses"), metric(&winners, "gross_profit")), (Some(0.0), Some(12.0)));
    let ruin = daily_account(&[100.0, 50.0, 0.0], &[]);
    for name in ["total_return", "cagr", "max_drawdown"] {
        example.check(name, metric(&ruin, name), &degenerate["ruin"][name]);
    }
    let single = daily_account(&[100.0, 101.0], &[]);
    for (name, expected) in degenerate["single_sample"].as_object().unwrap() {
        example.check(name, metric(&single, name), expected);
    }
}

#[test]
fn example_24_psr_dsr_and_track_record() {
    let example = Example::load("24_psr_dsr");
    let expected = &example.json["expected"];
    let sample = SharpeSample {
        sharpe: example.input("sharpe_per_period"),
        observations: example.input("n_periods"),
        skew: example.input("skew"),
        kurtosis: example.input("kurtosis_raw"),
    };
    let (trials, variance) =
        (example.input("n_trials"), example.input("variance_of_trial_sharpes_per_period"));
    let normal = SharpeSample { skew: 0.0, kurtosis: 3.0, ..sample };
    let mintrl = &example.json["inputs"]["mintrl"];
    let given = |key: &str| mintrl[key].as_f64().unwrap();
    let short = SharpeSample {
        sharpe: given("sr"),
        observations: 0.0,
        skew: given("skew"),
        kurtosis: given("kurtosis_raw"),
    };
    for (name, found) in [
        ("sr0", expected_max_sharpe(trials, variance)),
        ("psr_vs_zero", probabilistic_sharpe(&sample, 0.0)),
        ("dsr", deflated_sharpe(&sample, trials, variance)),
        ("sr0_46_trials", expected_max_sharpe(46.0, variance)),
        ("dsr_46_trials", deflated_sharpe(&sample, 46.0, variance)),
        ("dsr_88_trials_normal_returns", deflated_sharpe(&normal, 88.0, variance)),
        ("min_track_record_length", min_track_record(&short, given("benchmark"), given("confidence"))),
    ] {
        example.check(name, found, &expected[name]);
    }
}

#[test]
fn example_25_pbo_by_cscv() {
    let example = Example::load("25_pbo_cscv");
    let rows = example.json["inputs"]["returns_T_by_N"].as_array().unwrap();
    let column = |k: usize| rows.iter().map(|row| row[k].as_f64().unwrap()).collect::<Vec<f64>>();
    let trials: Vec<Vec<f64>> = (0..rows[0].as_array().unwrap().len()).map(column).collect();
    let slices: Vec<&[f64]> = trials.iter().map(Vec::as_slice).collect();
    let cscv = pbo_cscv(&slices, example.input("S") as usize).unwrap();
    example.check("pbo", Some(cscv.pbo), &example.json["expected"]["pbo"]);
    let combinations = example.json["expected"]["combinations"].as_array().unwrap();
    assert_eq!(cscv.splits.len(), combinations.len());
    for (split, expected) in cscv.splits.iter().zip(combinations) {
        let blocks = expected["is_blocks"].as_array().unwrap();
        let mask = blocks.iter().fold(0u32, |mask, b| mask | 1 << b.as_u64().unwrap());
        assert_eq!((split.in_sample, split.best as u64), (mask, expected["best"].as_u64().unwrap()));
        example.check("oos_rank", Some(split.oos_rank), &expected["oos_rank"]);
        example.check("omega", Some(split.omega), &expected["omega"]);
        example.check("logit", Some(split.logit), &expected["logit"]);
    }
}

#[test]
fn equal_trials_share_the_middle_rank() {
    let returns: Vec<f64> = (0..32).map(|i| f64::from(i % 5) * 0.01 - 0.015).collect();
    let cscv = pbo_cscv(&[&returns, &returns, &returns], 4).unwrap();
    assert!(cscv.splits.iter().all(|s| s.best == 0 && s.oos_rank == 2.0 && s.omega == 0.5 && s.logit == 0.0));
    assert_eq!(cscv.pbo, 1.0);
}
