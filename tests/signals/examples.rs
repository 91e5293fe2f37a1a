//! Every indicator through the language, on the worked example of semantics 8.3 and on anchors of semantics 8.5.

use barloom::market::Market;
use barloom::signals::{feature_columns, function_list, parse_expr};
use serde_json::Value;

use super::market::{Bar, START_MS, bar, market};

/// Expression and the example's series; the benchmark takes the place of `open`.
const INDICATORS: &[(&str, &str)] = &[
    ("sma(close, 14)", "SMA_14"),
    ("rolling_mean(close, 14)", "SMA_14"),
    ("rolling_sum(close, 14) / 14", "SMA_14"),
    ("ema(close, 14)", "EMA_14"),
    ("wma(close, 14)", "WMA_14"),
    ("rma(close, 14)", "RMA_14"),
    ("rsi(close, 14)", "RSI_14"),
    ("trange()", "TRANGE"),
    ("atr(14)", "ATR_14"),
    ("natr(14) * close / 100", "ATR_14"),
    ("plus_di(14)", "PLUS_DI_14"),
    ("minus_di(14)", "MINUS_DI_14"),
    ("dx(14)", "DX_14"),
    ("adx(14)", "ADX_14"),
    ("macd(close, 12, 26, 9)", "MACD_12_26_9"),
    ("macd_signal(close, 12, 26, 9)", "MACD_SIGNAL"),
    ("macd_hist(close, 12, 26, 9)", "MACD_HIST"),
    ("bbands_upper(close, 20, 2)", "BB_UPPER_20_2"),
    ("bbands_mid(close, 20, 2)", "BB_MID"),
    ("bbands_lower(close, 20, 2)", "BB_LOWER"),
    ("stoch_k(5, 3, 3)", "STOCH_K_5_3_3"),
    ("stoch_d(5, 3, 3)", "STOCH_D"),
    ("cci(14)", "CCI_14"),
    ("mfi(14)", "MFI_14"),
    ("obv()", "OBV"),
    ("roc(close, 10)", "ROC_10"),
    ("stddev(close, 20)", "STDDEV_20"),
    ("var(close, 20)", "VAR_20"),
    ("correl(close, open, 30)", "CORREL_30"),
    ("beta(close, open, 30)", "BETA_RETURNS_30_vs_benchmark"),
    ("donchian_upper(20)", "DONCHIAN_UPPER_20"),
    ("donchian_mid(20)", "DONCHIAN_MID"),
    ("donchian_lower(20)", "DONCHIAN_LOWER"),
    ("rolling_max(high, 20)", "DONCHIAN_UPPER_20"),
    ("rolling_min(low, 20)", "DONCHIAN_LOWER"),
    ("keltner_upper(20, 10, 2)", "KELTNER_UPPER_20_10_2"),
    ("keltner_mid(20, 10, 2)", "KELTNER_MID"),
    ("keltner_lower(20, 10, 2)", "KELTNER_LOWER"),
    ("supertrend(10, 3)", "SUPERTREND_10_3"),
    ("supertrend_dir(10, 3)", "SUPERTREND_DIR"),
    ("percentrank(close, 20)", "PERCENTRANK_20"),
    ("percentile(close, 20, 25)", "PERCENTILE_NEAREST_20_p25"),
    ("zscore(close, 20)", "ZSCORE_20"),
    ("realized_vol(close, 20)", "REALISED_VOL_20_15m_annualised"),
    // The fixture begins at midnight on the first of a month and lasts less than a day.
    ("avwap_day()", "VWAP_CUMULATIVE"),
    ("avwap_month()", "VWAP_CUMULATIVE"),
    ("(avwap_day_upper(2) + avwap_day_lower(2)) / 2", "VWAP_CUMULATIVE"),
    ("(avwap_month_upper(1) + avwap_month_lower(1)) / 2", "VWAP_CUMULATIVE"),
];

/// Functions that have no series in the example and are tested elsewhere: here below, or against the naive evaluator.
const ELSEWHERE: &[&str] = &[
    "of",
    "tf",
    "liquidity_ratio",
    "liquidity_regime",
    "abs",
    "min",
    "max",
    "log",
    "exp",
    "sqrt",
    "sign",
    "where",
    "lag",
    "diff",
    "cross_over",
    "cross_under",
    "ewm",
    "rank_xs",
    "zscore_xs",
    "mean_xs",
    "median",
    "vwap",
    "avwap_week",
    "avwap_week_upper",
    "avwap_week_lower",
    "avwap_swing_low",
    "avwap_swing_low_upper",
    "avwap_swing_low_lower",
    "avwap_swing_high",
    "avwap_swing_high_upper",
    "avwap_swing_high_lower",
];

/// Panels of expressions over a whole market, one lane after another: `[expression][symbol][bar]`.
fn features(market: &Market, texts: &[&str]) -> Vec<Vec<Vec<f64>>> {
    let exprs: Vec<_> = texts.iter().map(|text| parse_expr(text).unwrap_or_else(|e| panic!("{e}"))).collect();
    let mut out = vec![vec![Vec::new(); market.symbols.len()]; texts.len()];
    feature_columns(market, &exprs, 7, &mut |tile, panels| {
        for (panel, out) in panels.iter().zip(&mut out) {
            for row in panel.chunks_exact(tile.lanes) {
                for (value, out) in row.iter().zip(out.iter_mut()) {
                    out.push(*value);
                }
            }
        }
        Ok(())
    })
    .unwrap_or_else(|error| panic!("{error}"));
    out
}

#[test]
fn indicators_are_those_of_the_worked_example() {
    let example: Value = serde_json::from_str(include_str!("../examples/21_indicators.json")).unwrap();
    let series = |section: &str, name: &str| -> Vec<f64> {
        let values = example[section][name].as_array().unwrap_or_else(|| panic!("no {name}"));
        values.iter().map(|value| value.as_f64().unwrap_or(f64::NAN)).collect()
    };
    let columns = ["benchmark_close", "high", "low", "close", "volume"].map(|name| series("inputs", name));
    let bars =
        (0..columns[0].len()).map(|row| Some(std::array::from_fn(|column| columns[column][row]))).collect();
    let market = market(&[bars]);
    let tolerance = |name: &str| example["tolerance"][name].as_f64().unwrap();
    let (abs, rel) = (tolerance("abs"), tolerance("rel"));
    let texts: Vec<&str> = INDICATORS.iter().map(|(text, _)| *text).collect();
    for ((text, name), found) in INDICATORS.iter().zip(features(&market, &texts)) {
        let expected = series("expected", name);
        assert_eq!(found[0].len(), expected.len());
        for (row, (&found, &expected)) in found[0].iter().zip(&expected).enumerate() {
            let fits = (found - expected).abs() <= abs + rel * expected.abs();
            assert!(
                fits || (found.is_nan() && expected.is_nan()),
                "{text} at {row}: {found}, not {expected}"
            );
        }
    }
    for function in function_list() {
        let here = INDICATORS.iter().any(|(text, _)| text.contains(&format!("{}(", function.name)));
        assert!(here || ELSEWHERE.contains(&function.name), "{} is tested nowhere", function.name);
    }
}

/// Bars whose typical price is `price`.
fn at(price: f64, volume: f64) -> Option<Bar> {
    Some(bar(price, price, 0.0, volume))
}

#[test]
fn anchors_are_days_weeks_and_swings() {
    // 2023-01-01 was a Sunday: the week begins at the 97th bar.
    let mut bars = vec![at(10.0, 1.0); 96];
    bars.extend([at(20.0, 1.0), at(30.0, 3.0), at(30.0, 0.0)]);
    let market = market(&[bars]);
    assert_eq!(market.grid.start_ms, START_MS);
    let found = features(&market, &["avwap_week()", "avwap_week_upper(2)", "avwap_week_lower(2)", "vwap(2)"]);
    let [week, upper, lower, rolling] = [0, 1, 2, 3].map(|index| &found[index][0]);
    assert!(week[..96].iter().all(|value| value.is_nan()));
    assert_eq!(week[96..], [20.0, 27.5, 27.5]);
    // Deviation: the root of (1·7.5² + 3·2.5²)/4.
    let deviation = 18.75_f64.sqrt();
    assert!((upper[97] - 27.5 - 2.0 * deviation).abs() < 1e-12);
    assert!((lower[97] - 27.5 + 2.0 * deviation).abs() < 1e-12);
    assert_eq!(rolling[96..], [15.0, 27.5, 30.0]);

    let prices = [5.0, 3.0, 4.0, 6.0, 5.0, 5.0];
    let swings = super::market::market(&[prices.map(|price| at(price, 1.0)).to_vec()]);
    let texts = [
        "avwap_swing_low(1, 1)",
        "avwap_swing_low_upper(1, 1, 1)",
        "avwap_swing_low_lower(1, 1, 1)",
        "avwap_swing_high(1, 1)",
        "avwap_swing_high_upper(1, 1, 1)",
        "avwap_swing_high_lower(1, 1, 1)",
    ];
    let found = features(&swings, &texts);
    let [low, low_upper, low_lower, high, high_upper, high_lower] =
        [0, 1, 2, 3, 4, 5].map(|index| &found[index][0]);
    // The low of bar 1 is known at bar 2, the high of bar 3 at bar 4.
    assert!(low[1].is_nan() && high[3].is_nan());
    assert_eq!((low[2], low_upper[2], low_lower[2]), (3.5, 4.0, 3.0));
    assert_eq!((high[4], high_upper[4], high_lower[4]), (5.5, 6.0, 5.0));
}

#[test]
fn ranks_are_across_the_symbols_that_have_the_bar() {
    let symbols =
        [vec![at(1.0, 1.0), at(4.0, 1.0)], vec![at(3.0, 1.0), None], vec![at(5.0, 1.0), at(2.0, 1.0)]];
    let market = market(&symbols);
    let found =
        features(&market, &["rank_xs(close)", "mean_xs(close)", "zscore_xs(close)", "median(close, 2)"]);
    let row = |index: usize, row: usize| -> Vec<f64> { found[index].iter().map(|lane| lane[row]).collect() };
    let ranks = row(0, 0);
    assert!(ranks[0] < ranks[1] && ranks[1] < ranks[2], "{ranks:?}");
    assert_eq!(row(1, 0), [3.0; 3]);
    let (ranks, means, scores) = (row(0, 1), row(1, 1), row(2, 1));
    assert!(ranks[0] > ranks[2] && ranks[1].is_nan());
    assert_eq!((means[0], means[2]), (3.0, 3.0));
    assert!(means[1].is_nan() && scores[1].is_nan());
    assert_eq!(scores[0], -scores[2]);
    assert_eq!(found[3][0][1], 2.5);
}
