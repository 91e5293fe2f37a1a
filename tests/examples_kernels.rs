//! The worked examples 19 to 22 of the semantics, for every lane of a chunk.

use barloom_kernels::liquidity::{self, Profile, RegimeBounds, Season};
use barloom_kernels::rolling::{PercentileKind, ReturnMean, Ties};
use barloom_kernels::vwap::Swing;
use barloom_kernels::{bands, elementwise, macd, momentum, moving, rolling, trend, volatility, volume, vwap};
use serde_json::Value;

const LANES: usize = 8;

fn example(name: &str) -> Value {
    let path = format!("{}/tests/examples/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    serde_json::from_str(&text).expect("an example is JSON")
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|x| x.as_f64().unwrap_or(f64::NAN)).collect()
}

fn panel(series: &[f64]) -> Vec<f64> {
    series.iter().flat_map(|&x| [x; LANES]).collect()
}

#[track_caller]
fn assert_series(name: &str, out: &[f64], expected: &[f64]) {
    assert_eq!(out.len(), expected.len() * LANES, "{name}");
    for (row, &want) in expected.iter().enumerate() {
        for got in &out[row * LANES..(row + 1) * LANES] {
            let same = (got.is_nan() && want.is_nan()) || (got - want).abs() <= 1e-9 * want.abs().max(1.0);
            assert!(same, "{name} bar {row}: {got}, expected {want}");
        }
    }
}

/// Runs a kernel with fresh state over `bars` bars and returns its outputs.
fn stream<const O: usize>(
    bars: usize,
    state_len: usize,
    run: impl FnOnce(&mut [f64], &mut [Vec<f64>; O]),
) -> [Vec<f64>; O] {
    let mut state = vec![0.0; state_len];
    let mut out = core::array::from_fn(|_| vec![0.0; bars * LANES]);
    run(&mut state, &mut out);
    out
}

struct Bars {
    high: Vec<f64>,
    low: Vec<f64>,
    close: Vec<f64>,
    volume: Vec<f64>,
    bars: usize,
}

impl Bars {
    fn of(inputs: &Value) -> Self {
        let column = |name: &str| panel(&numbers(&inputs[name]));
        let close = column("close");
        Self {
            high: column("high"),
            low: column("low"),
            volume: column("volume"),
            bars: close.len() / LANES,
            close,
        }
    }
}

#[test]
fn example_21_every_indicator_on_80_bars() {
    let example = example("21_indicators");
    let Bars { high: h, low: l, close: c, volume: v, bars } = Bars::of(&example["inputs"]);
    let benchmark = panel(&numbers(&example["inputs"]["benchmark_close"]));
    let expected = example["expected"].as_object().expect("expected series");
    let mut checked = 0;
    let mut check = |name: &str, out: &[f64]| {
        checked += 1;
        assert_series(name, out, &numbers(&expected[name]));
    };

    macro_rules! one {
        ($name:literal, $len:expr, |$s:ident, $o:ident| $run:expr) => {{
            let [out] = stream(bars, $len, |$s, [$o]| $run);
            check($name, &out);
        }};
    }
    one!("SMA_14", moving::sma_state_len(LANES, 14), |s, o| moving::sma(&c, LANES, 14, s, o));
    one!("EMA_14", moving::ema_state_len(LANES, 14), |s, o| moving::ema(&c, LANES, 14, s, o));
    one!("WMA_14", moving::wma_state_len(LANES, 14), |s, o| moving::wma(&c, LANES, 14, s, o));
    one!("RMA_14", moving::rma_state_len(LANES, 14), |s, o| moving::rma(&c, LANES, 14, s, o));
    one!("RSI_14", momentum::rsi_state_len(LANES, 14), |s, o| momentum::rsi(&c, LANES, 14, s, o));
    one!("TRANGE", volatility::trange_state_len(LANES), |s, o| volatility::trange(&h, &l, &c, LANES, s, o));
    one!("ATR_14", volatility::atr_state_len(LANES, 14), |s, o| volatility::atr(&h, &l, &c, LANES, 14, s, o));
    one!("CCI_14", momentum::cci_state_len(LANES, 14), |s, o| momentum::cci(&h, &l, &c, LANES, 14, s, o));
    one!("MFI_14", momentum::mfi_state_len(LANES, 14), |s, o| momentum::mfi(&h, &l, &c, &v, LANES, 14, s, o));
    one!("OBV", volume::obv_state_len(LANES), |s, o| volume::obv(&c, &v, LANES, s, o));
    one!("ROC_10", momentum::roc_state_len(LANES, 10), |s, o| momentum::roc(&c, LANES, 10, s, o));
    one!("STDDEV_20", rolling::var_state_len(LANES, 20), |s, o| rolling::stddev(&c, LANES, 20, s, o));
    one!("VAR_20", rolling::var_state_len(LANES, 20), |s, o| rolling::var(&c, LANES, 20, s, o));
    one!("ZSCORE_20", rolling::var_state_len(LANES, 20), |s, o| rolling::zscore(&c, LANES, 20, s, o));
    one!("CORREL_30", rolling::correl_state_len(LANES, 30), |s, o| rolling::correl(
        &c, &benchmark, LANES, 30, s, o
    ));
    one!("BETA_RETURNS_30_vs_benchmark", rolling::beta_state_len(LANES, 30), |s, o| {
        rolling::beta(&c, &benchmark, LANES, 30, s, o)
    });
    one!("PERCENTRANK_20", rolling::percentrank_state_len(LANES, 20), |s, o| {
        rolling::percentrank(&c, LANES, 20, Ties::Below, s, o)
    });
    one!("PERCENTILE_NEAREST_20_p25", rolling::percentile_state_len(LANES, 20), |s, o| {
        rolling::percentile(&c, LANES, 20, 25.0, PercentileKind::NearestRank, s, o)
    });
    one!("REALISED_VOL_20_15m_annualised", rolling::realized_vol_state_len(LANES, 20), |s, o| {
        rolling::realized_vol(&c, LANES, 20, 35_040.0, ReturnMean::Zero, s, o)
    });

    let [plus, minus, dx, adx] = stream(bars, trend::directional_state_len(LANES, 14), |s, [a, b, d, e]| {
        trend::directional(&h, &l, &c, LANES, 14, s, a, b, d, e)
    });
    check("PLUS_DI_14", &plus);
    check("MINUS_DI_14", &minus);
    check("DX_14", &dx);
    check("ADX_14", &adx);
    let [line, signal, histogram] = stream(bars, macd::macd_state_len(LANES, 12, 26, 9), |s, [a, b, d]| {
        macd::macd(&c, LANES, 12, 26, 9, s, a, b, d)
    });
    check("MACD_12_26_9", &line);
    check("MACD_SIGNAL", &signal);
    check("MACD_HIST", &histogram);
    let [upper, mid, lower] = stream(bars, bands::bbands_state_len(LANES, 20), |s, [a, b, d]| {
        bands::bbands(&c, LANES, 20, 2.0, s, a, b, d)
    });
    check("BB_UPPER_20_2", &upper);
    check("BB_MID", &mid);
    check("BB_LOWER", &lower);
    let [k, d] = stream(bars, momentum::stoch_state_len(LANES, 5, 3, 3), |s, [a, b]| {
        momentum::stoch(&h, &l, &c, LANES, 5, 3, 3, s, a, b)
    });
    check("STOCH_K_5_3_3", &k);
    check("STOCH_D", &d);
    let [upper, mid, lower] = stream(bars, bands::donchian_state_len(LANES, 20), |s, [a, b, d]| {
        bands::donchian(&h, &l, LANES, 20, s, a, b, d)
    });
    check("DONCHIAN_UPPER_20", &upper);
    check("DONCHIAN_MID", &mid);
    check("DONCHIAN_LOWER", &lower);
    let mut typical = vec![0.0; c.len()];
    elementwise::hlc3(&h, &l, &c, &mut typical);
    let [upper, mid, lower] = stream(bars, bands::keltner_state_len(LANES, 20, 10), |s, [a, b, d]| {
        bands::keltner(&h, &l, &c, &typical, LANES, 20, 10, 2.0, s, a, b, d)
    });
    check("KELTNER_UPPER_20_10_2", &upper);
    check("KELTNER_MID", &mid);
    check("KELTNER_LOWER", &lower);
    let [line, direction] = stream(bars, trend::supertrend_state_len(LANES, 10), |s, [a, b]| {
        trend::supertrend(&h, &l, &c, LANES, 10, 3.0, s, a, b)
    });
    check("SUPERTREND_10_3", &line);
    check("SUPERTREND_DIR", &direction);
    let mut anchors = vec![false; bars];
    anchors[0] = true;
    let [line, _] = stream(bars, vwap::avwap_state_len(LANES), |s, [a, b]| {
        vwap::avwap(&typical, &v, &anchors, LANES, s, a, b)
    });
    check("VWAP_CUMULATIVE", &line);
    assert_eq!(checked, expected.len(), "every expected series is checked");
}

#[test]
fn example_22_flat_input() {
    let example = example("22_indicators_flat");
    let Bars { high: h, low: l, close: c, volume: v, bars } = Bars::of(&example["inputs"]);
    let expected = example["expected"].as_object().expect("expected values");
    let mut checked = 0;
    let mut check = |name: &str, out: &[f64]| {
        checked += 1;
        let want = expected[name].as_f64().expect("a number");
        assert!((out[out.len() - 1] - want).abs() <= 1e-9, "{name}: {}", out[out.len() - 1]);
    };
    macro_rules! one {
        ($name:literal, $len:expr, |$s:ident, $o:ident| $run:expr) => {{
            let [out] = stream(bars, $len, |$s, [$o]| $run);
            check($name, &out);
        }};
    }
    one!("RSI_14_last", momentum::rsi_state_len(LANES, 14), |s, o| momentum::rsi(&c, LANES, 14, s, o));
    one!("CCI_14_last", momentum::cci_state_len(LANES, 14), |s, o| momentum::cci(
        &h, &l, &c, LANES, 14, s, o
    ));
    one!("MFI_14_last", momentum::mfi_state_len(LANES, 14), |s, o| momentum::mfi(
        &h, &l, &c, &v, LANES, 14, s, o
    ));
    one!("STDDEV_20_last", rolling::var_state_len(LANES, 20), |s, o| rolling::stddev(&c, LANES, 20, s, o));
    one!("ZSCORE_20_last", rolling::var_state_len(LANES, 20), |s, o| rolling::zscore(&c, LANES, 20, s, o));
    one!("CORREL_20_last", rolling::correl_state_len(LANES, 20), |s, o| rolling::correl(
        &c, &c, LANES, 20, s, o
    ));
    one!("ATR_14_last", volatility::atr_state_len(LANES, 14), |s, o| volatility::atr(
        &h, &l, &c, LANES, 14, s, o
    ));
    let [k, _] = stream(bars, momentum::stoch_state_len(LANES, 5, 3, 3), |s, [a, b]| {
        momentum::stoch(&h, &l, &c, LANES, 5, 3, 3, s, a, b)
    });
    check("STOCH_K_last", &k);
    let [_, _, _, adx] = stream(bars, trend::directional_state_len(LANES, 14), |s, [a, b, d, e]| {
        trend::directional(&h, &l, &c, LANES, 14, s, a, b, d, e)
    });
    check("ADX_14_last", &adx);
    let [upper, _, _] = stream(bars, bands::bbands_state_len(LANES, 20), |s, [a, b, d]| {
        bands::bbands(&c, LANES, 20, 2.0, s, a, b, d)
    });
    check("BB_UPPER_20_last", &upper);
    assert_eq!(checked, expected.len(), "every expected value is checked");
}

#[test]
fn example_20_anchored_vwap() {
    let example = example("20_anchored_vwap");
    let rows = example["inputs"]["bars_ohlcv"].as_array().expect("bars");
    let column =
        |i: usize| panel(&rows.iter().map(|bar| bar[i].as_f64().expect("a number")).collect::<Vec<_>>());
    let (h, l, c, v) = (column(1), column(2), column(3), column(4));
    let mut typical = vec![0.0; c.len()];
    elementwise::hlc3(&h, &l, &c, &mut typical);
    for (name, from) in [("from_0", 0), ("from_3", 3)] {
        let expected = &example["expected"]["fixed_anchor"][name];
        let anchors: Vec<bool> = (0..rows.len()).map(|row| row == from).collect();
        let [line, stddev] = stream(rows.len(), vwap::avwap_state_len(LANES), |s, [a, b]| {
            vwap::avwap(&typical, &v, &anchors, LANES, s, a, b)
        });
        assert_series(name, &line, &numbers(&expected["vwap"]));
        assert_series(name, &stddev, &numbers(&expected["stdev"]));
    }
    let [line, _] = stream(rows.len(), vwap::avwap_swing_state_len(LANES, 2, 2), |s, [a, b]| {
        vwap::avwap_swing(&l, &typical, &v, LANES, 2, 2, Swing::Low, s, a, b)
    });
    assert_series("swing_avwap", &line, &numbers(&example["expected"]["swing_avwap"]));
}

#[test]
fn example_19_liquidity_regimes() {
    let example = example("19_liquidity_regimes");
    let inputs = &example["inputs"];
    let whole = |name: &str| inputs[name].as_u64().expect("a whole number") as usize;
    let number = |name: &str| inputs[name].as_f64().expect("a number");
    let volume = panel(&numbers(&inputs["volume"]));
    let bars = volume.len() / LANES;
    let season = Season {
        slots: whole("slots_per_cycle"),
        profile: Profile::Median { observations: whole("K") },
        min_observations: whole("min_obs"),
        fallback_bars: 672,
        fallback_min_bars: 672,
    };
    let code = |name: &Value| match name.as_str() {
        Some("VACUUM") => liquidity::VACUUM,
        Some("THIN") => liquidity::THIN,
        Some("NORMAL") => liquidity::NORMAL,
        other => panic!("no regime {other:?}"),
    };
    let bounds = RegimeBounds {
        vacuum_below: number("vacuum_below"),
        thin_below: number("thin_below"),
        hysteresis: 1.0,
        without_baseline: code(&inputs["regime_without_baseline"]),
    };
    let expected = example["expected"]["rows"].as_array().expect("rows");
    let column = |name: &str| -> Vec<f64> {
        expected.iter().map(|row| row[name].as_f64().unwrap_or(f64::NAN)).collect()
    };
    let [baseline] = stream(bars, liquidity::seasonal_baseline_state_len(LANES, &season), |s, [o]| {
        liquidity::seasonal_baseline(&volume, LANES, 0, &season, s, o)
    });
    assert_series("baseline", &baseline, &column("baseline"));
    let [ratio] = stream(bars, liquidity::activity_ratio_state_len(LANES, 1), |s, [o]| {
        liquidity::activity_ratio(&volume, &baseline, LANES, 1, s, o)
    });
    assert_series("ratio", &ratio, &column("ratio"));
    let [regime] = stream(bars, liquidity::regimes_state_len(LANES), |s, [o]| {
        liquidity::regimes(&volume, &ratio, LANES, &bounds, s, o)
    });
    let codes: Vec<f64> = expected.iter().map(|row| code(&row["regime"])).collect();
    assert_eq!(codes.len(), 15);
    assert_series("regime", &regime, &codes);
}
