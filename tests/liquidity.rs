//! Liquidity from files to rules: what a user can get wrong in a liquidity file, and ratios and regimes held against a
//! naive computation of semantics 7.

use std::path::Path;

use barloom::data::{
    Bar, BuildProgress, LoadOptions, MemorySymbol, OnBadRow, market_from_memory, open_market,
};
use barloom::liquidity::{ActivityProfile, LiquidityRegimes, Regime, RegimePlan, RegimeSets, Seasonality};
use barloom::market::{Contract, Market, TileBuffer, stamp};
use barloom::signals::{RuleTexts, SignalSource, compile_each, feature_columns, parse_expr, parse_rules};
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};

const STEP_MS: i64 = 14_400_000;
/// A Tuesday, so that weeks do not begin with the data.
const START_MS: i64 = 1_622_505_600_000;
/// Bars of a week.
const WEEK: usize = 42;

/// Some number from 0 to 1, always the same for the same arguments.
fn wobble(a: usize, b: usize) -> f64 {
    let mut z = (a as u64) << 32 ^ (b as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ z >> 31) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Ten symbols: daily seasons, holes in the even ones, late listings, quote volume in every third, days of nothing.
fn symbols(bars: usize, salt_from: usize, salt: usize) -> Vec<MemorySymbol> {
    (0..10)
        .map(|symbol| {
            let bar = |row: usize| {
                let salt = if row >= salt_from { salt } else { 0 };
                let dice = |n: usize| wobble(symbol * 7919 + n + salt * 31, row);
                let hole = (symbol % 2 == 0 && dice(0) < 0.2) || row < symbol * 13;
                let close = 100.0 + 20.0 * dice(1);
                let volume = if dice(2) < 0.05 { 0.0 } else { (50.0 + (row % 6) as f64 * 30.0) * dice(3) };
                let quote = symbol % 3 == 0 && dice(4) > 0.1;
                (!hole || row == bars - 1 || (symbol, row) == (0, 0)).then(|| Bar {
                    ts_ms: START_MS + row as i64 * STEP_MS,
                    open: close,
                    high: close,
                    low: close,
                    close,
                    volume,
                    quote_volume: quote.then_some(volume * (close + dice(5))),
                    mark: None,
                })
            };
            MemorySymbol {
                name: format!("S{symbol}"),
                contract: Contract::default(),
                brackets: Vec::new(),
                bars: (0..bars).filter_map(bar).collect(),
                funding: Vec::new(),
            }
        })
        .collect()
}

fn market(bars: usize) -> Market {
    market_from_memory(STEP_MS, symbols(bars, usize::MAX, 0)).unwrap()
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) / 2.0
}

/// Ratio and regime of each grid bar of one symbol, straight from the definitions; `given` by grid bar.
fn naive(
    market: &Market,
    symbol: usize,
    plan: &RegimePlan,
    given: &BTreeMap<usize, Given>,
) -> (Vec<f64>, Vec<f64>) {
    let panels = &market.panels;
    let at =
        |column: &[f64], bar: usize| column[(market.first_row + bar) * panels.lanes + market.lane_of[symbol]];
    let quote = |bar: usize| panels.quote_volume.as_ref().map_or(f64::NAN, |column| at(column, bar));
    let slots = match plan.seasonality {
        Seasonality::TimeOfWeek => WEEK,
        Seasonality::TimeOfDay => 6,
        Seasonality::None => 1,
    };
    let first_slot = (market.grid.start_ms / STEP_MS) as usize;
    let (mut ratios, mut regimes) = (Vec::new(), Vec::new());
    // Of the present bars so far: slot, activity, baseline.
    let mut past: Vec<(usize, f64, f64)> = Vec::new();
    let (mut in_quotes, mut price) = (None, f64::NAN);
    for bar in 0..market.grid.bars {
        let volume = at(&panels.volume, bar);
        let (mut ratio, mut regime) = (f64::NAN, 0.0);
        if !volume.is_nan() {
            let in_quotes = *in_quotes.get_or_insert(!quote(bar).is_nan());
            if volume > 0.0 && quote(bar) > 0.0 {
                price = quote(bar) / volume;
            }
            let activity = match in_quotes {
                false => volume,
                true if quote(bar).is_nan() => volume * price,
                true => quote(bar),
            };
            let slot = (first_slot + bar) % slots;
            let of_slot: Vec<f64> = past.iter().filter(|p| p.0 == slot).map(|p| p.1).collect();
            let all: Vec<f64> = past.iter().map(|p| p.1).collect();
            let seasonal = plan.seasonality != Seasonality::None && of_slot.len() >= plan.min_obs as usize;
            let mut baseline = match plan.profile {
                ActivityProfile::Median { observations } if seasonal => {
                    median(&of_slot[of_slot.len().saturating_sub(observations as usize)..])
                }
                ActivityProfile::Ewma { eta } if seasonal => {
                    of_slot[1..].iter().fold(of_slot[0], |mean, x| mean + eta * (x - mean))
                }
                _ if all.len() >= WEEK => median(&all[all.len() - WEEK..]),
                _ => f64::NAN,
            };
            if let Some(Given::Baseline(volume)) = given.get(&bar) {
                baseline = volume * if in_quotes { price } else { 1.0 };
            }
            past.push((slot, activity, baseline));
            let n = plan.smooth_bars as usize;
            if let Some(window) = past.len().checked_sub(n).map(|from| &past[from..]) {
                let usual: f64 = window.iter().map(|p| p.2).sum();
                ratio = if usual == 0.0 { 0.0 } else { window.iter().map(|p| p.1).sum::<f64>() / usual };
            }
            regime = match ratio {
                x if x.is_nan() => f64::from(plan.without_baseline.code()),
                x if x == 0.0 || x < plan.vacuum_below => 0.0,
                x if x < plan.thin_below => 1.0,
                _ => 2.0,
            };
        }
        if let Some(Given::Regime(code)) = given.get(&bar) {
            regime = *code;
        }
        ratios.push(ratio);
        regimes.push(regime);
    }
    (ratios, regimes)
}

#[derive(Clone, Copy)]
enum Given {
    Regime(f64),
    Baseline(f64),
}

/// `liquidity_ratio()` and `liquidity_regime()` over a market, `[symbol][bar]`.
fn features(market: &Market, tile_rows: usize) -> [Vec<Vec<f64>>; 2] {
    let exprs = ["liquidity_ratio()", "liquidity_regime()"].map(|text| parse_expr(text).unwrap());
    let mut out = [(); 2].map(|()| vec![Vec::new(); market.symbols.len()]);
    feature_columns(market, &exprs, tile_rows, &mut |tile, panels| {
        for (out, panel) in out.iter_mut().zip(panels) {
            for (symbol, series) in out.iter_mut().enumerate() {
                series.extend((0..tile.rows).map(|row| panel[row * tile.lanes + symbol]));
            }
        }
        Ok(())
    })
    .unwrap();
    out
}

fn is_present(market: &Market, symbol: usize, bar: usize) -> bool {
    let row = (market.first_row + bar) * market.panels.lanes;
    !market.panels.close[row + market.lane_of[symbol]].is_nan()
}

#[track_caller]
fn assert_features(market: &Market, plan: &RegimePlan, given: &[BTreeMap<usize, Given>]) {
    let [ratios, regimes] = features(market, 37);
    let mut seen = [0; 3];
    for symbol in 0..market.symbols.len() {
        let (ratio, regime) = naive(market, symbol, plan, given.get(symbol).unwrap_or(&BTreeMap::new()));
        for bar in 0..market.grid.bars {
            let (got, want) = (ratios[symbol][bar], ratio[bar]);
            let same = (got.is_nan() && want.is_nan()) || (got - want).abs() <= 1e-9 * want.abs().max(1.0);
            assert!(same, "ratio of S{symbol} at {bar}: {got}, naive {want}");
            if is_present(market, symbol, bar) {
                assert_eq!(regimes[symbol][bar], regime[bar], "regime of S{symbol} at {bar}");
                seen[regime[bar] as usize] += 1;
            } else {
                assert!(regimes[symbol][bar].is_nan(), "a missing bar has no regime in a rule");
            }
        }
    }
    assert!(seen.iter().all(|&bars| bars > 50), "every regime occurs: {seen:?}");
}

#[test]
fn features_are_the_naive_computation() {
    assert_features(&market(520), &RegimePlan::default(), &[]);
}

/// Codes of a plan over a market, by `LiquidityRegimes` in tiles.
fn codes(market: &Market, plan: &RegimePlan, tile_rows: usize) -> Vec<u8> {
    let mut regimes = LiquidityRegimes::new(plan, market);
    let mut buffer = TileBuffer::default();
    let mut out: Vec<u8> = Vec::new();
    for bar0 in (0..market.grid.bars).step_by(tile_rows) {
        let tile = buffer.load(market, bar0, tile_rows.min(market.grid.bars - bar0), false);
        regimes.step(market, &tile);
        for row in 0..tile.rows {
            let before: &[u8] =
                if out.is_empty() { regimes.row_before(0) } else { &out[out.len() - tile.lanes..] };
            assert_eq!(regimes.row_before(row), before, "row {row} after bar {bar0}");
            out.extend_from_slice(regimes.row(row));
        }
        assert!(out.ends_with(regimes.codes()));
    }
    out
}

fn plans() -> Vec<RegimePlan> {
    let base = RegimePlan { min_obs: 2, without_baseline: Regime::Normal, ..RegimePlan::default() };
    vec![
        RegimePlan { seasonality: Seasonality::None, ..base },
        RegimePlan { seasonality: Seasonality::TimeOfDay, smooth_bars: 4, ..base },
        RegimePlan { profile: ActivityProfile::Ewma { eta: 0.3 }, vacuum_below: 0.4, ..base },
        RegimePlan { seasonality: Seasonality::TimeOfDay, thin_below: 0.9, ..base },
    ]
}

#[test]
fn codes_of_every_plan_are_the_naive_ones_however_tiles_are_cut() {
    let market = market(300);
    let lanes = market.lanes();
    for plan in plans() {
        let whole = codes(&market, &plan, 300);
        assert_eq!(whole, codes(&market, &plan, 41));
        for symbol in 0..market.symbols.len() {
            let (_, regime) = naive(&market, symbol, &plan, &BTreeMap::new());
            for (bar, regime) in regime.iter().enumerate() {
                assert_eq!(f64::from(whole[bar * lanes + symbol]), *regime, "S{symbol} at {bar}, {plan:?}");
            }
        }
    }
}

#[test]
fn trials_of_equal_plans_share_their_regimes() {
    let market = market(200);
    let plans = plans();
    let of_trial = [Some(&plans[0]), None, Some(&plans[1]), Some(&plans[0])];
    let mut sets = RegimeSets::new(of_trial, &market);
    let mut buffer = TileBuffer::default();
    let tile = buffer.load(&market, 0, 200, false);
    sets.step(&market, &tile);
    assert!(sets.of(1).is_none());
    assert_eq!(sets.of(0).unwrap().codes(), codes(&market, &plans[0], 200));
    assert_eq!(sets.of(2).unwrap().codes(), codes(&market, &plans[1], 200));
    assert!(std::ptr::eq(sets.of(0).unwrap(), sets.of(3).unwrap()));
}

#[test]
fn rules_of_a_trial_read_its_own_settings() {
    let market = market(300);
    let (lanes, plans) = (market.lanes(), plans());
    let texts = RuleTexts { long_entry: Some("liquidity_regime() >= 2".into()), ..RuleTexts::default() };
    let trials = vec![BTreeMap::new(); plans.len()];
    let mut program =
        compile_each(&parse_rules(&texts, None).unwrap(), &trials, &plans, &market, None).unwrap();
    let mut buffer = TileBuffer::default();
    let tile = buffer.load(&market, 0, 300, false);
    program.step(&market, &tile);
    let expected: Vec<Vec<u8>> = plans.iter().map(|plan| codes(&market, plan, 300)).collect();
    assert_ne!(expected[1], expected[3]);
    for (trial, codes) in expected.iter().enumerate() {
        let mask = program.trial(trial).long_entry.unwrap();
        for row in 0..300 {
            for symbol in 0..market.symbols.len() {
                let normal = codes[row * lanes + symbol] == 2;
                assert_eq!(tile.bit(mask, row, symbol), normal, "trial {trial}, S{symbol} at {row}");
            }
        }
    }
}

#[test]
fn later_bars_change_nothing() {
    let bars = 260;
    let whole = features(&market(bars), 64);
    for seen in [1, 43, 130, 200, 259] {
        let other = market_from_memory(STEP_MS, symbols(bars, seen, 17)).unwrap();
        let mut differs = false;
        for (whole, other) in whole.iter().zip(features(&other, 50)) {
            for (whole, other) in whole.iter().zip(&other) {
                let bits = |x: &[f64]| x.iter().map(|x| x.to_bits()).collect::<Vec<u64>>();
                assert_eq!(bits(&whole[..seen]), bits(&other[..seen]), "bars before {seen}");
                differs |= bits(&whole[seen..]) != bits(&other[seen..]);
            }
        }
        assert!(differs, "the bars from {seen} on are other ones");
    }
}

// Files.

fn open(dir: &Path, options: &LoadOptions) -> barloom::Result<(Market, bool)> {
    let mut built = false;
    let market = open_market(dir, &[], options, &mut |_: BuildProgress| built = true)?;
    Ok((market, built))
}

fn options() -> LoadOptions {
    LoadOptions { bar_ms: STEP_MS, ..LoadOptions::default() }
}

/// A directory of the first bars of all symbols.
fn dir(bars: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for symbol in symbols(bars, usize::MAX, 0) {
        let mut text = String::from("ts,open,high,low,close,volume,quote_volume\n");
        for bar in &symbol.bars {
            let Bar { ts_ms, open, high, low, close, volume, quote_volume, .. } = bar;
            let quote = quote_volume.map_or(String::new(), |x| x.to_string());
            text += &format!("{ts_ms},{open},{high},{low},{close},{volume},{quote}\n");
        }
        std::fs::write(dir.path().join(format!("{}_4h.csv", symbol.name)), text).unwrap();
    }
    dir
}

fn ts(bar: usize) -> String {
    stamp::format_ms(START_MS + bar as i64 * STEP_MS)
}

#[test]
fn given_regimes_and_baselines_stand_for_computed_ones() {
    let bars = 420;
    let dir = dir(bars);
    let mut given = vec![BTreeMap::new(); 10];
    // Regimes of S2, also at missing bars, and rows before its first bar.
    let mut text = String::from("ts,regime\n");
    let mut ignored = 0;
    let first = open(dir.path(), &options()).unwrap().0.symbols[2].first_bar.unwrap();
    for bar in (0..bars).step_by(3) {
        let code = bar / 3 % 3;
        text += &format!("{},{}\n", ts(bar), ["VACUUM", "thin", "NORMAL"][code]);
        if bar < first {
            ignored += 1;
        } else {
            given[2].insert(bar, Given::Regime(code as f64));
        }
    }
    assert!(ignored > 0);
    std::fs::write(dir.path().join("S2_liquidity.csv"), text).unwrap();
    // Baselines of S1 in base volume, and of S3, whose activity is in quote volume; one as Parquet.
    let rows: Vec<usize> = (60..bars).filter(|bar| bar % 5 < 3).collect();
    let baseline = |bar: usize| if bar.is_multiple_of(50) { 0.0 } else { 40.0 + (bar % 7) as f64 * 20.0 };
    let text: String = rows.iter().map(|&bar| format!("{},{}\n", ts(bar), baseline(bar))).collect();
    std::fs::write(dir.path().join("S1_liquidity.csv"), format!("ts,baseline_volume\n{text}")).unwrap();
    let stamps: Int64Array = rows.iter().map(|&bar| Some(START_MS + bar as i64 * STEP_MS)).collect();
    let values: Float64Array = rows.iter().map(|&bar| Some(baseline(bar))).collect();
    let columns: [(&str, ArrayRef); 2] = [("baseline_volume", Arc::new(values)), ("ts", Arc::new(stamps))];
    write_parquet(&dir.path().join("S3_liquidity.parquet"), columns);
    for symbol in [1, 3] {
        given[symbol].extend(rows.iter().map(|&bar| (bar, Given::Baseline(baseline(bar)))));
    }
    let (market, built) = open(dir.path(), &options()).unwrap();
    assert!(built, "new files, new store");
    let note = format!("liquidity rows before the first bar or after the last, ignored: S2 {ignored}");
    assert!(market.warnings.contains(&note), "{:?}", market.warnings);
    assert_features(&market, &RegimePlan::default(), &given);
    let (again, built) = open(dir.path(), &options()).unwrap();
    assert!(!built, "the store is reused");
    assert_eq!((&again.content_digest, &again.warnings), (&market.content_digest, &market.warnings));
    assert_features(&again, &RegimePlan::default(), &given);
    let lanes = market.lanes();
    let whole = codes(&market, &RegimePlan::default(), 100);
    for (bar, regime) in &given[2] {
        if let Given::Regime(code) = regime {
            assert_eq!(f64::from(whole[bar * lanes + 2]), *code, "given, whether the bar is there or not");
        }
    }
    // A few symbols of the store: their lanes are gathered.
    let names = ["S1", "S2", "S3"].map(str::to_owned);
    let few = open_market(dir.path(), &names, &options(), &mut |_| panic!("the store is reused")).unwrap();
    // Its grid begins with the first bar of these.
    let shifted =
        |rows: &BTreeMap<usize, Given>| rows.iter().map(|(bar, row)| (bar - few.first_row, *row)).collect();
    let given: Vec<BTreeMap<usize, Given>> = given[1..4].iter().map(shifted).collect();
    assert_features(&few, &RegimePlan::default(), &given);

    std::fs::write(dir.path().join("S2_liquidity.csv"), "ts,regime\n").unwrap();
    let (other, built) = open(dir.path(), &options()).unwrap();
    assert!(built, "the file changed");
    assert_ne!(other.content_digest, market.content_digest);
    assert!(other.panels.regime.is_none() && other.panels.baseline_volume.is_some());
}

fn write_parquet<const N: usize>(path: &Path, columns: [(&str, ArrayRef); N]) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn bad_liquidity_files_say_what_is_wrong() {
    let dir = dir(200);
    let fault = |name: &str| {
        let message = open(dir.path(), &options()).unwrap_err().to_string();
        assert!(message.contains(name) && !message.contains('\n'), "{message}");
        std::fs::remove_file(dir.path().join(name)).unwrap();
        message
    };
    let name = "S1_liquidity.csv";
    let of_rows = |header: &str, rows: &[(usize, &str)]| {
        let rows: String = rows.iter().map(|(bar, cell)| format!("{},{cell}\n", ts(*bar))).collect();
        std::fs::write(dir.path().join(name), format!("{header}\n{rows}")).unwrap();
        fault(name)
    };
    for (header, rows, parts) in [
        (
            "ts,regime",
            vec![(50, "THIN"), (51, "QUIET")],
            ["row 3, `regime`: found `QUIET`", "VACUUM, THIN or NORMAL"],
        ),
        ("ts,regime", vec![(50, "")], ["row 2, `regime`: found nothing", "VACUUM, THIN or NORMAL"]),
        ("ts,regime", vec![(50, "1")], ["row 2, `regime`: found `1`", "universe.symbols"]),
        (
            "ts,regime",
            vec![(50, "THIN"), (50, "THIN")],
            ["row 3, `ts`: found", "a second time; expected each stamp once"],
        ),
        ("ts,regime", vec![(50, "THIN"), (49, "THIN")], ["row 3, `ts`", "ascending stamps"]),
        (
            "ts,baseline_volume",
            vec![(50, "-1")],
            ["row 2, `baseline_volume`: found -1", "a number, 0 or more"],
        ),
        (
            "ts,baseline_volume",
            vec![(50, "inf")],
            ["row 2, `baseline_volume`: found inf", "a number, 0 or more"],
        ),
        (
            "ts,baseline_volume",
            vec![(50, "")],
            ["row 2, `baseline_volume`: found nothing", "a number, 0 or more"],
        ),
        ("ts,baseline_volume", vec![(50, "THIN")], ["row 2, `baseline_volume`: found `THIN`", "a number"]),
        (
            "ts,volume",
            vec![(50, "1")],
            ["row 1, `regime`: found columns ts,volume", "one column of `regime` and `baseline_volume`"],
        ),
        (
            "ts,regime,baseline_volume",
            vec![(50, "THIN,1")],
            ["row 1, `regime`", "one column of `regime` and `baseline_volume`"],
        ),
        ("time,regime", vec![(50, "THIN")], ["row 1, `ts`", "a column `ts`"]),
    ] {
        let message = of_rows(header, &rows);
        assert!(parts.iter().all(|part| message.contains(part)), "{parts:?} in {message}");
    }
    std::fs::write(dir.path().join(name), "ts,regime\n2021-06-10 00:15:00Z,THIN\n").unwrap();
    let message = fault(name);
    assert!(
        message.contains("row 2, `ts`: found 2021-06-10 00:15:00+00:00") && message.contains("4h grid"),
        "{message}"
    );

    let name = "S1_liquidity.parquet";
    let stamps: ArrayRef = Arc::new(Int64Array::from(vec![START_MS + 50 * STEP_MS, START_MS + 51 * STEP_MS]));
    let words: ArrayRef = Arc::new(StringArray::from(vec![Some("THIN"), None]));
    write_parquet(&dir.path().join(name), [("ts", stamps.clone()), ("regime", words)]);
    assert!(fault(name).contains("row 1, `regime`: found nothing"));
    let numbers: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.0]));
    write_parquet(&dir.path().join(name), [("ts", stamps), ("regime", numbers)]);
    assert!(fault(name).contains("`regime`: found type Float64; expected text"));

    for name in ["S1_liquidity.csv", "S1_liquidity.parquet"] {
        std::fs::write(dir.path().join(name), "ts,regime\n").unwrap();
    }
    assert!(fault("S1_liquidity.csv").contains("also S1_liquidity.parquet"));
    std::fs::remove_file(dir.path().join("S1_liquidity.parquet")).unwrap();

    let text = format!("ts,regime,note\n{},THIN,a\n{},QUIET,b\n", ts(50), ts(51));
    std::fs::write(dir.path().join("S1_liquidity.csv"), text).unwrap();
    let (market, _) = open(dir.path(), &LoadOptions { on_bad_row: OnBadRow::Drop, ..options() }).unwrap();
    for note in
        ["bad liquidity rows dropped: S1 1", "liquidity column `note` is not known and is ignored: S1"]
    {
        assert!(market.warnings.contains(&note.to_owned()), "{:?}", market.warnings);
    }
    assert!(open(dir.path(), &options()).is_err(), "a store of dropped rows is not reused");
}
