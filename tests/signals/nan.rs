//! When a rule is false because something is missing, case by case.

use std::collections::BTreeMap;

use barloom::market::{FundingRecord, FundingTape, Market};
use barloom::signals::{RuleTexts, compile, feature_columns, parse_expr, parse_rules};

use super::market::{START_MS, STEP_MS, bar, bars_of, closes, market, masks};

const GAP: f64 = f64::NAN;

/// Bars at which `text` is true for the first symbol.
fn true_at(market: &Market, text: &str) -> Vec<usize> {
    let texts = RuleTexts {
        long_entry: Some(text.into()),
        params: BTreeMap::from([("on".to_owned(), 1.0), ("off".to_owned(), 0.0)]),
        ..RuleTexts::default()
    };
    let rules = parse_rules(&texts, None).unwrap_or_else(|error| panic!("{error}"));
    let mut program = compile(&rules, &[BTreeMap::new()], market).unwrap();
    bars_of(&masks(&mut program, 0, market, 3)[0], market, 0)
}

fn feature(market: &Market, text: &str) -> Vec<f64> {
    let mut out = Vec::new();
    feature_columns(market, &[parse_expr(text).unwrap()], 4, &mut |tile, panels| {
        out.extend(panels[0].chunks_exact(tile.lanes).map(|row| row[0]));
        Ok(())
    })
    .unwrap();
    out
}

#[test]
fn a_rule_is_false_wherever_it_reads_a_missing_value() {
    // Bars:              0    1    2    3    4    5    6
    let market = closes(&[1.0, 2.0, GAP, 3.0, 2.0, 2.0, 5.0]);
    for (text, expected) in [
        ("close > 1.5", vec![1, 3, 4, 5, 6]),
        ("not close > 2", vec![0, 1, 4, 5]),
        ("not (not close > 2)", vec![3, 6]),
        ("close != 2", vec![0, 3, 6]),
        ("close == 2", vec![1, 4, 5]),
        // The warm-up of the slowest value is the rule's, also where the other side of `or` is true.
        ("close > 0 or sma(close, 3) > 100", vec![3, 4, 5, 6]),
        ("not (close < 0 and sma(close, 3) < 0)", vec![3, 4, 5, 6]),
        ("close > 0 and not sma(close, 3) > 100", vec![3, 4, 5, 6]),
        // `lag` counts present bars: bar 3 follows bar 1.
        ("close > lag(close)", vec![1, 3, 6]),
        ("close != lag(close, 2)", vec![3, 5, 6]),
        ("diff(close) == 1", vec![1, 3]),
        ("cross_over(close, 2)", vec![3, 6]),
        ("cross_over(close, 1)", vec![1]),
        ("cross_under(close, 2.5)", vec![4]),
        ("not cross_over(close, 2)", vec![1, 4, 5]),
        // What is not chosen is not read; what chooses is.
        ("where(close > 2, close, log(0 * close)) > 0", vec![3, 6]),
        ("where(lag(close) > 0, 1, 1) == 1", vec![1, 3, 4, 5, 6]),
        // No finite value is no value.
        ("not 1 / (close - 2) > 100", vec![0, 3, 6]),
        ("not 1 / 0 > close", vec![]),
        ("close > 0 or 1 / 0 > 1", vec![]),
        ("sqrt(close - 2) >= 0", vec![1, 3, 4, 5, 6]),
        // A window longer than the data never has a value.
        ("not sma(close, 8) > 0", vec![]),
        ("not lag(close, 1000000000000) > 0", vec![]),
        // Without a column a rule holds wherever there is a bar.
        ("1 < 2", vec![0, 1, 3, 4, 5, 6]),
        ("on > 0 and close > 2", vec![3, 6]),
        ("off > 0 and close > 2", vec![]),
        ("off > 0 or close > 2", vec![3, 6]),
        ("on > 0 or close > 2", vec![0, 1, 3, 4, 5, 6]),
        ("on > 0 or sma(close, 3) > 2", vec![3, 4, 5, 6]),
        ("not off > 0", vec![0, 1, 3, 4, 5, 6]),
        ("where(on > 0, close, open) > where(off > 0, 9, 2)", vec![3, 6]),
        ("ema(where(on > 0, 2, close), 2) == 2", vec![1, 3, 4, 5, 6]),
    ] {
        assert_eq!(true_at(&market, text), expected, "{text}");
    }
}

#[test]
fn crossings_compare_one_and_the_same_earlier_bar() {
    // (close - open) / (high - low) has no value at bar 1, whose bar is flat, so nothing crosses at bar 2.
    let bars = [bar(10.0, 9.0, 0.0, 1.0), bar(9.0, 9.0, 0.0, 1.0), bar(9.0, 10.0, 0.0, 1.0)];
    let market = market(&[bars.map(Some).to_vec()]);
    assert_eq!(true_at(&market, "cross_over((close - open) / (high - low), 0)"), Vec::<usize>::new());
    assert_eq!(feature(&market, "sma((close - open) / (high - low), 2)")[2], 0.0);
}

#[test]
fn a_boolean_feature_is_one_zero_or_missing() {
    let market = closes(&[1.0, 2.0, GAP, 3.0, 2.0]);
    let found = feature(&market, "close > lag(close)");
    assert!(found[0].is_nan() && found[2].is_nan());
    assert_eq!([found[1], found[3], found[4]], [1.0, 1.0, 0.0]);
    assert_eq!(feature(&market, "1 < 2")[..2], [1.0, 1.0]);
    assert_eq!(feature(&market, "close")[3], 3.0);
}

#[test]
fn the_funding_rate_is_the_last_one_settled_by_the_close() {
    let mut market = closes(&[1.0, 1.0, GAP, 1.0, 1.0]);
    let record = |bar: u32, time_ms: i64, rate_frac: f64| FundingRecord {
        bar,
        symbol: 0,
        time_ms,
        rate_frac,
        mark_px: 1.0,
        interval_ms: 0,
    };
    // Settled exactly at the close of bar 0, inside bar 2 (a gap), and at the end of the data.
    market.funding = FundingTape::new(vec![
        record(1, START_MS + STEP_MS, 0.25),
        record(3, START_MS + 2 * STEP_MS + 1, 0.5),
        record(5, START_MS + 5 * STEP_MS, 0.75),
    ]);
    let found = feature(&market, "funding_rate");
    assert!(found[2].is_nan());
    assert_eq!([found[0], found[1], found[3], found[4]], [0.25, 0.25, 0.5, 0.75]);
    assert_eq!(true_at(&market, "funding_rate > lag(funding_rate)"), [3, 4]);
}

#[test]
fn equal_expressions_of_all_trials_are_computed_once() {
    let market = closes(&[1.0; 50]);
    let texts = RuleTexts {
        long_entry: Some("ema(close, fast) > ema(close, slow)".into()),
        long_exit: Some("ema(close, fast) < ema(close, slow)".into()),
        short_entry: Some("ema(close, slow) > ema(close, fast)".into()),
        short_exit: Some("ema(close, slow) < ema(close, 2 * fast / 2)".into()),
        params: BTreeMap::from([("fast".to_owned(), 4.0), ("slow".to_owned(), 26.0)]),
        ..RuleTexts::default()
    };
    let mut trials = Vec::new();
    for fast in (4..=22).step_by(2) {
        for slow in (26..=44).step_by(2) {
            let params = [("fast", f64::from(fast)), ("slow", f64::from(slow))];
            trials.push(params.map(|(name, value)| (name.to_owned(), value)).into());
        }
    }
    let program = compile(&parse_rules(&texts, None).unwrap(), &trials, &market).unwrap();
    // 20 averages, and per trial one pass that gives both comparisons.
    assert_eq!(program.computed_nodes(), 20 + 100);
}
