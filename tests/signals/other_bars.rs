//! `of` and `tf` against plain loops over rows, arguments by name, and what is kept for a sweep.

use std::collections::BTreeMap;
use std::sync::Arc;

use barloom::market::Market;
use barloom::signals::{
    RuleCache, RuleTexts, compile, compile_each, feature_columns, parse_expr, parse_rules,
};

use super::market::{Bar, STEP_MS, bar, market, masks};

/// Values of expressions over a market, `[expression][bar][symbol]`.
fn values(market: &Market, exprs: &[&str], tile_rows: usize) -> Vec<Vec<Vec<f64>>> {
    let exprs: Vec<_> = exprs.iter().map(|text| parse_expr(text).unwrap()).collect();
    let mut out = vec![Vec::new(); exprs.len()];
    feature_columns(market, &exprs, tile_rows, &mut |tile, panels| {
        for (out, panel) in out.iter_mut().zip(panels) {
            out.extend(panel.chunks(tile.lanes).map(|row| row[..tile.symbols].to_vec()));
        }
        Ok(())
    })
    .unwrap();
    out
}

fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

/// Three symbols with holes: one lists late, one has a hole of several hours, all miss a bar here and there.
fn with_gaps(bars: usize) -> Vec<Vec<Option<Bar>>> {
    let mut state = 7_u64;
    let mut draw = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / (1_u64 << 24) as f64
    };
    (0..3)
        .map(|symbol| {
            (0..bars)
                .map(|t| {
                    let (open, close) = (90.0 + 20.0 * draw(), 90.0 + 20.0 * draw());
                    let there =
                        draw() > 0.1 && !(symbol == 1 && t < 21) && !(symbol == 2 && (40..57).contains(&t));
                    let (wick, volume) = (draw(), draw());
                    there.then(|| bar(open, close, wick, volume))
                })
                .collect()
        })
        .collect()
}

/// The longer bars of a series, bar by bar: the last that had closed by then, counted from 0, and all of them.
fn longer(series: &[Option<Bar>], bars_per: usize) -> (Vec<Option<usize>>, Vec<Bar>) {
    let (mut closed, mut last) = (Vec::<Bar>::new(), Vec::new());
    for (index, group) in series.chunks(bars_per).enumerate() {
        for row in 0..group.len() {
            let complete = row + 1 == bars_per;
            if complete {
                let there: Vec<Bar> = group.iter().copied().flatten().collect();
                if let (Some(first), Some(end)) = (there.first(), there.last()) {
                    closed.push([
                        first[0],
                        there.iter().map(|bar| bar[1]).fold(f64::MIN, f64::max),
                        there.iter().map(|bar| bar[2]).fold(f64::MAX, f64::min),
                        end[3],
                        there.iter().map(|bar| bar[4]).sum(),
                    ]);
                }
            }
            last.push(closed.len().checked_sub(1));
        }
        assert_eq!(last.len(), (index * bars_per + bars_per).min(series.len()));
    }
    (last, closed)
}

#[test]
fn longer_bars_are_seen_once_they_have_closed() {
    let symbols = with_gaps(130);
    let market = market(&symbols);
    let exprs = [
        "tf(\"1h\", open)",
        "tf(\"1h\", high)",
        "tf(\"1h\", low)",
        "tf(\"1h\", close)",
        "tf(\"1h\", volume)",
        "tf(\"1h\", close > open)",
        "tf(\"1h\", lag(close, 2))",
        "tf(\"2h\", sma(close, 3))",
        "tf(\"1h\", rolling_sum(close, 2))",
    ];
    let tiles: Vec<_> = [1, 3, 7, 64, 1000].iter().map(|&rows| values(&market, &exprs, rows)).collect();
    for other in &tiles[1..] {
        for (a, b) in tiles[0].iter().flatten().flatten().zip(other.iter().flatten().flatten()) {
            assert!(same(*a, *b));
        }
    }
    let mut numbers = 0;
    for (symbol, series) in symbols.iter().enumerate() {
        let (last, hours) = longer(series, 4);
        let (last_two, twos) = longer(series, 8);
        for (t, base) in series.iter().enumerate() {
            let of = |bars: &[Bar], at: Option<usize>, f: &dyn Fn(&[Bar]) -> f64| match (base, at) {
                (Some(_), Some(at)) => f(&bars[..=at]),
                _ => f64::NAN,
            };
            let hour = |f: &dyn Fn(&[Bar]) -> f64| of(&hours, last[t], f);
            let back = |bars: &[Bar], n: usize| bars.len().checked_sub(n).map(|first| bars[first..].to_vec());
            let sum = |bars: &[Bar], n: usize| {
                back(bars, n).map_or(f64::NAN, |w| w.iter().map(|bar| bar[3]).sum::<f64>())
            };
            let expected = [
                hour(&|bars| bars[bars.len() - 1][0]),
                hour(&|bars| bars[bars.len() - 1][1]),
                hour(&|bars| bars[bars.len() - 1][2]),
                hour(&|bars| bars[bars.len() - 1][3]),
                hour(&|bars| bars[bars.len() - 1][4]),
                hour(&|bars| f64::from(u8::from(bars[bars.len() - 1][3] > bars[bars.len() - 1][0]))),
                hour(&|bars| back(bars, 3).map_or(f64::NAN, |w| w[0][3])),
                of(&twos, last_two[t], &|bars| sum(bars, 3) / 3.0),
                hour(&|bars| sum(bars, 2)),
            ];
            for (column, (got, want)) in tiles[0].iter().zip(expected).enumerate() {
                let got = got[t][symbol];
                let near = (got.is_nan() && want.is_nan()) || (got - want).abs() < 1e-9;
                assert!(near, "{} of symbol {symbol} at bar {t}: {got}, expected {want}", exprs[column]);
                numbers += usize::from(!want.is_nan());
            }
        }
    }
    assert!(numbers > 1500, "{numbers}");
}

#[test]
fn nothing_of_a_longer_bar_is_seen_before_it_closes() {
    let mut symbols = with_gaps(100);
    let exprs =
        ["tf(\"4h\", ema(close, 2))", "of(\"S00\", tf(\"1h\", high))", "tf(\"1d\", of(\"S01\", close))"];
    let before = values(&market(&symbols), &exprs, 16);
    for from in [37, 38, 39, 50, 96] {
        let kept = symbols.clone();
        for series in &mut symbols {
            for bar in series[from..].iter_mut().flatten() {
                *bar = bar.map(|value| value * 3.0);
            }
        }
        let after = values(&market(&symbols), &exprs, 16);
        for (before, after) in before.iter().zip(&after) {
            for t in 0..from {
                assert!(before[t].iter().zip(&after[t]).all(|(a, b)| same(*a, *b)), "bar {t} saw bar {from}");
            }
        }
        symbols = kept;
    }
}

#[test]
fn another_symbol_is_seen_at_the_bars_both_have() {
    let symbols = with_gaps(60);
    let market = market(&symbols);
    let exprs = [
        "of(\"S02\", close)",
        "of(\"S02\", lag(close))",
        "of(\"S02\", close > open)",
        "lag(of(\"S02\", close))",
    ];
    let got = values(&market, &exprs, 13);
    let reference = &symbols[2];
    let before = |t: usize| reference[..t].iter().rev().flatten().next().map_or(f64::NAN, |bar| bar[3]);
    for (symbol, series) in symbols.iter().enumerate() {
        let mut seen = Vec::new();
        for (t, base) in series.iter().enumerate() {
            let now = base.and(reference[t]);
            let expected = [
                now.map_or(f64::NAN, |bar| bar[3]),
                now.map_or(f64::NAN, |_| before(t)),
                now.map_or(f64::NAN, |bar| f64::from(u8::from(bar[3] > bar[0]))),
                // One bar of this symbol back, whatever the other had there.
                base.map_or(f64::NAN, |_| seen.last().copied().unwrap_or(f64::NAN)),
            ];
            for (got, (want, expr)) in got.iter().zip(expected.into_iter().zip(exprs)) {
                assert!(same(got[t][symbol], want), "{expr}, symbol {symbol}, bar {t}: {}", got[t][symbol]);
            }
            if base.is_some() {
                seen.push(reference[t].map_or(f64::NAN, |bar| bar[3]));
            }
        }
    }
}

#[test]
fn weeks_begin_on_monday_and_longer_bars_on_the_day() {
    // 2023-01-01 was a Sunday: the first week that closes is the one day of it that the data have.
    let days: Vec<Option<Bar>> =
        (0..9 * 96).map(|t| Some(bar(t as f64 + 1.0, t as f64 + 2.0, 0.0, 1.0))).collect();
    let market = market(&[days]);
    let got = values(&market, &["tf(\"1w\", close)", "tf(\"1d\", volume)"], 100);
    assert!(got[0][94][0].is_nan());
    assert_eq!(got[0][95][0], 97.0);
    assert_eq!(got[0][8 * 96 - 2][0], 97.0);
    assert_eq!(got[0][8 * 96 - 1][0], 8.0 * 96.0 + 1.0);
    assert_eq!(got[1][95][0], 96.0);
    assert_eq!(STEP_MS * 96, 86_400_000);
}

#[test]
fn arguments_may_be_named() {
    let market = market(&with_gaps(90));
    let pairs = [
        ("ema(close, n = 5)", "ema(close, 5)"),
        ("ema(n = 5, x = close)", "ema(close, 5)"),
        ("macd_signal(close, signal = 4, slow = 9, fast = 3)", "macd_signal(close, 3, 9, 4)"),
        ("lag(close, n = 3)", "lag(close, 3)"),
        ("tf(bar = \"1h\", x = close)", "tf('1h', close)"),
    ];
    for (named, placed) in pairs {
        let got = values(&market, &[named, placed], 50);
        assert!(got[0].iter().flatten().zip(got[1].iter().flatten()).all(|(a, b)| same(*a, *b)), "{named}");
        assert!(got[0].iter().flatten().any(|x| !x.is_nan()), "{named}");
    }
}

#[test]
fn what_is_kept_for_a_sweep_changes_no_bit() {
    let market = market(&with_gaps(300));
    let texts = RuleTexts {
        long_entry: Some("percentrank(close, n) > 60 and tf(\"1h\", close > lag(close))".into()),
        long_exit: Some("cross_under(median(close, n), ema(close, 9)) or stoch_k(5, 3, 3) < low_k".into()),
        stop_distance: Some("percentile(high - low, n, 50) * 2".into()),
        params: BTreeMap::from([("n".to_owned(), 20.0), ("low_k".to_owned(), 30.0)]),
        ..RuleTexts::default()
    };
    let rules = parse_rules(&texts, None).unwrap();
    let trial = |n: f64, low_k: f64| BTreeMap::from([("n".to_owned(), n), ("low_k".to_owned(), low_k)]);
    let chunks = vec![
        vec![trial(10.0, 20.0), trial(20.0, 20.0)],
        vec![trial(10.0, 40.0), trial(20.0, 40.0)],
        vec![trial(10.0, 60.0), trial(30.0, 60.0)],
    ];
    let shared: Vec<_> = chunks.iter().map(|chunk| (chunk.clone(), Vec::new())).collect();
    let bytes_per_panel = market.lanes() * market.grid.bars * 8;
    for budget in [0, bytes_per_panel / 64, bytes_per_panel * 2, bytes_per_panel * 100] {
        let cache = Arc::new(RuleCache::build(&rules, &shared, &market, budget).unwrap());
        let kept: usize = cache.entries().iter().map(|entry| entry.bytes).sum();
        assert!(kept <= budget);
        if budget == bytes_per_panel * 100 {
            let exprs: Vec<&str> = cache.entries().iter().map(|entry| entry.expr.as_str()).collect();
            assert!(exprs.contains(&"percentile((high - low), 20, 50)"), "{exprs:?}");
            assert!(exprs.contains(&"stoch_k(5, 3, 3)"), "{exprs:?}");
            assert!(cache.entries().iter().any(|entry| entry.mask && entry.chunks > 1), "{exprs:?}");
            // One chunk alone reads it, or it costs next to nothing.
            assert!(
                !exprs.iter().any(|expr| expr.contains("30, 50") || expr.starts_with("ema")),
                "{exprs:?}"
            );
        }
        for chunk in &chunks {
            let mut plain = compile(&rules, chunk, &market).unwrap();
            let mut cached = compile_each(&rules, chunk, &[], &market, Some(&cache)).unwrap();
            assert_eq!(cached.computed_nodes() < plain.computed_nodes(), kept > 0);
            for trial in 0..chunk.len() {
                let plain = masks(&mut plain, trial, &market, 64);
                assert_eq!(plain, masks(&mut cached, trial, &market, 37));
                assert!(plain[0].iter().any(|word| *word != 0) && plain[1].iter().any(|word| *word != 0));
            }
        }
    }
}
