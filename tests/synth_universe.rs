//! The synthetic universe: same bytes from the same spec, a lawful market, and the faults that `gaps` promises.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use barloom::data::synth::{SynthFormat, SynthSpec, SynthSymbol, sample_spec, universe, write_universe};

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension != "md"))
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap()))
        .collect()
}

fn small(symbols: usize, bars: usize) -> SynthSpec {
    SynthSpec { symbols, bars, ..SynthSpec::default() }
}

#[test]
fn the_sample_is_what_its_command_makes() {
    let made = tempfile::tempdir().unwrap();
    write_universe(&sample_spec(), made.path(), &mut |_, _| ()).unwrap();
    let made = files(made.path());
    let kept = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("data/sample"));
    assert_eq!(made.keys().collect::<Vec<_>>(), kept.keys().collect::<Vec<_>>());
    for (name, bytes) in &made {
        assert!(kept[name] == *bytes, "data/sample/{name} is not what `barloom synth` makes");
    }
    assert!(kept.values().map(Vec::len).sum::<usize>() < 1_500_000);
}

#[test]
fn every_bar_obeys_the_rules_of_a_market() {
    for symbol in universe(&SynthSpec { gaps: true, ..small(14, 3_000) }) {
        let bars = &symbol.bars;
        let tick = symbol.contract.tick.unwrap();
        let on_tick = |px: f64| tick.value((px / tick.size).round()) == px;
        assert!(bars.ts_ms.windows(2).all(|pair| pair[0] < pair[1]), "{}", symbol.name);
        for row in 0..bars.ts_ms.len() {
            let (open, high, low, close) = (bars.open[row], bars.high[row], bars.low[row], bars.close[row]);
            assert!(low > 0.0 && low <= open.min(close) && open.max(close) <= high, "{} {row}", symbol.name);
            assert!([open, high, low, close].into_iter().all(on_tick), "{} {row} off the tick", symbol.name);
            let lots = bars.volume[row] / symbol.contract.step.size;
            assert!((lots - lots.round()).abs() < 1e-3 && lots >= 0.0, "{} {row} off the step", symbol.name);
            assert_eq!(bars.ts_ms[row] % 900_000, 0);
        }
    }
}

#[test]
fn prices_move_like_the_model_says() {
    let symbols = universe(&small(12, 20_000));
    let returns: Vec<Vec<f64>> = symbols
        .iter()
        .map(|symbol| symbol.bars.close.windows(2).map(|pair| pair[1] / pair[0] - 1.0).collect())
        .collect();
    for (symbol, returns) in symbols.iter().zip(&returns) {
        let vol = covariance(returns, returns).sqrt();
        assert!((0.002..0.009).contains(&vol), "{} moves by {vol} a bar", symbol.name);
        let (open, close) = (&symbol.bars.open, &symbol.bars.close);
        let near = close.iter().zip(&open[1..]).all(|(close, open)| (open / close - 1.0).abs() < 0.003);
        assert!(near, "{} opens near the last close", symbol.name);
        let traded = symbol.bars.volume.iter().zip(close).filter(|(v, c)| *v * *c > 200_000.0).count();
        assert!(traded > 18_000, "{} has room for 10,000 USDT in {traded} of 20,000 bars", symbol.name);
    }
    let (mut sum, mut pairs) = (0.0, 0.0);
    for (i, a) in returns.iter().enumerate() {
        for b in &returns[..i] {
            sum += covariance(a, b) / (covariance(a, a) * covariance(b, b)).sqrt();
            pairs += 1.0;
        }
    }
    let mean = sum / pairs;
    assert!((0.30..0.42).contains(&mean), "mean correlation {mean}");
}

fn covariance(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len() as f64;
    let (mean_a, mean_b) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    a.iter().zip(b).map(|(a, b)| (a - mean_a) * (b - mean_b)).sum::<f64>() / n
}

#[test]
fn bracket_amounts_obey_the_recursion_exactly() {
    for symbol in universe(&small(12, 10)) {
        assert_eq!((symbol.brackets[0].floor_usdt, symbol.brackets[0].cum_usdt), (0.0, 0.0));
        for pair in symbol.brackets.windows(2) {
            assert_eq!(pair[0].cap_usdt, pair[1].floor_usdt);
            assert!(pair[0].maintenance_frac < pair[1].maintenance_frac);
            assert!(pair[0].initial_leverage > pair[1].initial_leverage);
            let rates = (pair[1].maintenance_frac * 1e4).round() - (pair[0].maintenance_frac * 1e4).round();
            assert_eq!(pair[1].cum_usdt, pair[0].cum_usdt + pair[1].floor_usdt * rates / 1e4);
            // 1 / leverage covers maintenance: a position is not liquidated as it opens.
            assert!(pair[1].maintenance_frac < 1.0 / pair[1].initial_leverage);
        }
    }
}

#[test]
fn more_symbols_and_more_bars_do_not_change_the_first_ones() {
    let few = universe(&small(3, 500));
    let many = universe(&small(9, 800));
    for (few, many) in few.iter().zip(&many) {
        assert_eq!(few.name, many.name);
        assert_eq!(few.bars.close[..], many.bars.close[..500]);
        assert_eq!(few.bars.volume[..], many.bars.volume[..500]);
        assert_eq!(few.funding[..], many.funding[..few.funding.len()]);
    }
    assert_eq!(many[8].name, "SYN009USDT");
    assert_ne!(universe(&SynthSpec { seed: 2, ..small(1, 50) })[0].bars, universe(&small(1, 50))[0].bars);
}

#[test]
fn a_clean_universe_has_every_bar_and_punctual_funding() {
    for symbol in universe(&small(7, 2_000)) {
        assert_eq!(symbol.bars.ts_ms.len(), 2_000);
        assert!(symbol.bars.volume.iter().all(|volume| *volume > 0.0));
        assert!(symbol.contract_json.get("delisted_at").is_none());
        assert!(symbol.funding.iter().all(|(ms, rate, mark)| {
            ms % 28_800_000 == 0 && rate.abs() <= 0.02 && mark.is_some_and(|mark| mark > 0.0)
        }));
    }
}

fn missing(symbol: &SynthSymbol) -> usize {
    let ts_ms = &symbol.bars.ts_ms;
    ((ts_ms[ts_ms.len() - 1] - ts_ms[0]) / 900_000) as usize + 1 - ts_ms.len()
}

#[test]
fn gaps_bring_every_promised_fault() {
    let spec = SynthSpec { gaps: true, ..small(6, 3_000) };
    let symbols = universe(&spec);
    let end_ms = spec.start_ms + 3_000 * 900_000;
    let last_close = |symbol: &SynthSymbol| symbol.bars.ts_ms.last().unwrap() + 900_000;
    for symbol in &symbols {
        assert!(missing(symbol) > 3, "{} misses bars", symbol.name);
        assert!(symbol.bars.volume.contains(&0.0), "{} has empty bars", symbol.name);
        assert!(symbol.funding.iter().any(|record| record.0 % 60_000 != 0), "{} jitters", symbol.name);
        assert!(symbol.funding.iter().any(|record| record.2.is_none()), "{} lacks a mark", symbol.name);
        assert!(
            symbol.funding.iter().all(|record| record.0 % 3_600_000 < 30),
            "{} jitters little",
            symbol.name
        );
    }
    let [_, _, late, delisted, vanished, hourly] = &symbols[..] else { panic!("six symbols") };
    assert_eq!(late.contract.listed_ms, Some(late.bars.ts_ms[0]));
    assert!(late.bars.ts_ms[0] > spec.start_ms);
    let settled_ms = delisted.contract.delisted_ms.unwrap();
    assert_eq!(settled_ms, last_close(delisted));
    assert!(settled_ms < end_ms && delisted.contract_json["delisted_at"].is_string());
    assert_eq!(
        delisted.funding.last().unwrap().0 / 60_000,
        settled_ms / 60_000,
        "a record at the settlement"
    );
    assert!(vanished.contract.delisted_ms.is_none() && last_close(vanished) < end_ms - 96 * 900_000);
    let mut hours: Vec<i64> =
        hourly.funding.windows(2).map(|pair| (pair[1].0 - pair[0].0 + 60_000) / 3_600_000).collect();
    hours.dedup();
    assert_eq!(hours, [8, 4, 1]);
    assert!(hourly.funding.iter().any(|record| record.1 == -0.02));
}

#[test]
fn a_wrong_spec_and_a_strange_folder_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refuse =
        |spec: SynthSpec| write_universe(&spec, folder.path(), &mut |_, _| ()).unwrap_err().to_string();
    assert_eq!(refuse(small(0, 10)), "`symbols`: found 0; expected 1 to 10000");
    assert!(refuse(small(1, 0)).starts_with("`bars`: found 0;"));
    let off = SynthSpec { bar_ms: 7, ..small(1, 1) };
    assert!(refuse(off).contains("found 7 ms; expected the length of one of 1m,"));
    let off = SynthSpec { start_ms: 1_672_531_200_001, ..small(1, 1) };
    assert!(refuse(off).contains("a whole number of bars"));
    fs::write(folder.path().join("XYZUSDT_15m.csv"), "ts\n").unwrap();
    assert!(refuse(small(1, 10)).contains("found XYZUSDT_15m.csv"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
}

#[test]
fn both_formats_are_written_again_over_themselves_but_not_mixed() {
    let folder = tempfile::tempdir().unwrap();
    let spec = SynthSpec { format: SynthFormat::Parquet, ..small(2, 200) };
    let mut steps = Vec::new();
    write_universe(&spec, folder.path(), &mut |done, total| steps.push((done, total))).unwrap();
    assert_eq!(steps, [(0, 2), (1, 2), (2, 2)]);
    let first = files(folder.path());
    assert!(first.contains_key("BTCUSDT_15m.parquet") && first.contains_key("ETHUSDT_funding.parquet"));
    write_universe(&spec, folder.path(), &mut |_, _| ()).unwrap();
    assert!(files(folder.path()) == first);
    let mixed = write_universe(&small(2, 200), folder.path(), &mut |_, _| ()).unwrap_err().to_string();
    assert!(mixed.contains("BTCUSDT_15m.parquet") && mixed.contains("remove this file"), "{mixed}");
    assert!(files(folder.path()) == first);
}
