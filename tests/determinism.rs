//! The same bits however a sweep is cut (semantics 0.5, 10.5): threads, tiles, interruptions, builds; and nothing a
//! later bar says changes an earlier one.
//!
//! SIMD levels are in `determinism_simd`, a process of its own, because a forced level is global to the process.

mod sweeps;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use barloom::data::{MemorySymbol, market_from_memory};
use barloom::engine::{RunOptions, run_account};
use barloom::error::Error;
use barloom::market::Market;
use barloom::reporting::{Event, METRIC_NAMES, Metric, RunRecorder};
use barloom::signals::OracleMode;
use barloom::sweep::finish::digest;
use barloom::sweep::{Progress, Source, TrialResult, TrialStatus, read_source};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sweeps::{CONFIG, Sweep};

#[test]
fn threads_and_tiles_do_not_show() {
    for symbols in [12, 3] {
        let sweep = Sweep::new(symbols, 1_200);
        let first = sweep.whole(1, 256);
        assert_eq!(first.results.len(), 160);
        let traded = |name| first.results.iter().all(|r| r.metrics.at(index_of(name)).unwrap_or(0.0) > 0.0);
        assert!(traded("trades") && traded("total_fees"), "a sweep that trades nothing shows nothing");
        for (threads, tile_bars) in [(2, 256), (8, 256), (1, 1), (2, 64), (8, 4096)] {
            let other = sweep.whole(threads, tile_bars);
            let what = format!("{symbols} symbols, {threads} threads, tiles of {tile_bars}");
            assert_eq!(other.result_digest, first.result_digest, "{what}");
            assert_eq!(other.summary, first.summary, "{what}");
        }
    }
}

fn index_of(metric: &str) -> usize {
    barloom::reporting::metric_index(metric).expect("a metric")
}

fn parts(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.join("parts")).expect("a folder of parts");
    let mut parts: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    parts.sort();
    parts
}

#[test]
fn an_interrupted_sweep_resumes_to_the_same_bits() {
    let sweep = Sweep::new(12, 1_200);
    let whole = sweep.whole(2, 256);
    let dir = tempfile::tempdir().unwrap();
    let stopped = sweep.compute(dir.path(), 2, 64, &|now, stop| {
        stop.fetch_or(now.trials_done >= 16, Ordering::Relaxed);
    });
    assert!(matches!(stopped, Err(Error::Interrupted)), "{stopped:?}");
    let kept = parts(dir.path()).len();
    let chunks = sweep.job(256).chunks();
    assert!((1..chunks).contains(&kept), "{kept} of {chunks} parts");

    let first = Mutex::new(None::<Progress>);
    sweep
        .compute(dir.path(), 1, 256, &|now, _| {
            first.lock().unwrap().get_or_insert(now);
        })
        .unwrap();
    let first = first.into_inner().unwrap().unwrap();
    assert_eq!((first.trials_resumed, first.trials), (first.trials_done, 160));
    assert!((1..160).contains(&first.trials_resumed));
    assert_eq!(sweep.collect(dir.path()).result_digest, whole.result_digest);
}

#[test]
fn a_damaged_part_is_computed_again() {
    let sweep = Sweep::new(12, 1_200);
    let dir = tempfile::tempdir().unwrap();
    sweep.compute(dir.path(), 2, 256, &|_, _| ()).unwrap();
    let whole = sweep.collect(dir.path()).result_digest;
    let parts = parts(dir.path());
    let last = sweep.job(256).chunks() - 1;
    assert_eq!(parts.len(), last + 1);
    let others = 160 - sweep.job(256).chunk(last).len();
    let bytes = fs::read(&parts[last]).unwrap();
    for (what, damaged) in [
        ("truncated", &bytes[..bytes.len() / 2]),
        ("without its last byte", &bytes[..bytes.len() - 1]),
        ("empty", &[]),
    ] {
        fs::write(&parts[last], damaged).unwrap();
        let resumed = Mutex::new(0);
        sweep.compute(dir.path(), 1, 256, &|now, _| *resumed.lock().unwrap() = now.trials_resumed).unwrap();
        assert_eq!(*resumed.lock().unwrap(), others, "{what}");
        assert_eq!(fs::read(&parts[last]).unwrap(), bytes, "{what}");
        assert_eq!(sweep.collect(dir.path()).result_digest, whole, "{what}");
    }
}

#[test]
fn a_part_that_cannot_be_written_is_the_error_that_is_told() {
    let sweep = Sweep::new(12, 1_200);
    let dir = tempfile::tempdir().unwrap();
    sweep.compute(dir.path(), 2, 256, &|_, _| ()).unwrap();
    let parts = parts(dir.path());
    for part in &parts {
        fs::remove_file(part).unwrap();
    }
    // A folder in the way of a file: the rename fails, as it would on a full disk.
    fs::create_dir(&parts[0]).unwrap();
    let outcome = sweep.compute(dir.path(), 2, 256, &|_, _| ());
    assert!(matches!(outcome, Err(Error::Io { .. })), "{outcome:?}");
}

#[test]
fn what_a_killed_process_left_half_written_goes_when_the_sweep_is_done() {
    let sweep = Sweep::new(3, 200);
    let dir = tempfile::tempdir().unwrap();
    sweep.compute(dir.path(), 2, 256, &|_, _| ()).unwrap();
    let whole = parts(dir.path());
    fs::write(dir.path().join("parts/.part-000001-0123456789abcdef01234567.arrow.77-3.tmp"), "half").unwrap();
    fs::write(dir.path().join("parts/notes.txt"), "of another").unwrap();
    sweep.collect(dir.path());
    let mut left = parts(dir.path());
    left.retain(|path| !path.ends_with("notes.txt"));
    assert_eq!(left, whole);
    assert!(dir.path().join("parts/notes.txt").exists());
}

#[test]
fn a_single_run_is_the_sweeps_trial() {
    let sweep = Sweep::new(12, 1_200);
    let results = sweep.whole(2, 256).results;
    assert_single_runs(&sweep, &results, [0, 7, 21, 39]);
}

/// What tells of nearly every bar that an account is safe must not tell it of one with isolated positions.
#[test]
fn cross_and_isolated_accounts_share_a_sweep() {
    let (head, _) = CONFIG.split_once("[margin]").unwrap();
    let head = head.replace("fraction = 0.1", "fraction = 1.0");
    let config = format!(
        "{head}[margin]\nmax_leverage = 50.0\nguard = false\n[liquidity_regimes]\nenabled = false\n\
         [sweep.grid]\n\"margin.mode\" = [\"cross\", \"isolated\"]\nfast = [3, 8, 14]\nstop_atr = [4.0, 40.0]\n"
    );
    let sweep = Sweep::of(&config, 12, 1_200);
    let results = sweep.whole(2, 256).results;
    let liquidated = |result: &&TrialResult| result.metrics.get(Metric::Liquidations) > Some(0.0);
    let liquidated = results.iter().filter(liquidated).count();
    assert!(liquidated >= 6, "every isolated trial has liquidations, here {liquidated} of all");
    assert_single_runs(&sweep, &results, 0..results.len());
}

fn assert_single_runs(sweep: &Sweep, results: &[TrialResult], trials: impl IntoIterator<Item = usize>) {
    for trial in trials {
        let spec = sweep.spec.with_overrides(&sweep.points.named(trial)).unwrap();
        let plan = spec.plan().unwrap();
        let mut signals = sweep
            .source
            .bind(std::slice::from_ref(&spec.signals.params), 1, &sweep.market, sweep.run.clone())
            .unwrap();
        let grid = sweep.market.grid;
        let mut recorder = RunRecorder::new(12, grid, sweep.run.clone(), plan.initial_capital_usdt);
        let options = RunOptions { tile_bars: 100, quotes: false, on_tile: &mut |_| true };
        run_account(&sweep.market, sweep.run.clone(), &plan, &mut *signals, &mut recorder, options).unwrap();
        let (single, swept) = (recorder.metrics(), &results[trial]);
        assert_ne!(swept.status, TrialStatus::Failed);
        for (index, name) in METRIC_NAMES.iter().enumerate() {
            let bits = |value: Option<f64>| value.map(f64::to_bits);
            assert_eq!(bits(single.at(index)), bits(swept.metrics.at(index)), "trial {trial}: {name}");
        }
        let bits = |curve: &[f64]| curve.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(recorder.stats().daily_equity()), bits(&swept.daily_equity), "trial {trial}");
    }
}

/// The digest of one small sweep, compiled into debug and release builds alike. `cargo test` holds the debug build
/// against it, `cargo test --release --test determinism` the release build: both together are the check that the
/// build's flags do not show. Trial ids are left out, since they name the version.
///
/// A change here is a change of results: it belongs into the changelog, with the reason.
const GOLDEN: &str = "a50cf3fb12bca8ae12787ae06acaa45cfce12b1b0124f61251f219d91922cc93";

#[test]
fn the_golden_sweep_has_its_digest() {
    let mut results = Sweep::new(3, 1_200).whole(2, 256).results;
    for (index, result) in results.iter_mut().enumerate() {
        result.trial_id = index.to_string();
    }
    assert_eq!(digest(&results), GOLDEN);
}

/// Fills and funding with the bar they fell in, and the equity of every bar.
type Story = (Vec<(usize, String)>, Vec<u64>);

fn story(sweep: &Sweep, market: &Market) -> Story {
    let spec = sweep.spec.with_overrides(&sweep.points.named(4)).unwrap();
    let plan = spec.plan().unwrap();
    let (source, _) = read_source(&spec, None, None, market).unwrap();
    let run = sweep.run.start..market.grid.bars;
    let params = std::slice::from_ref(&spec.signals.params);
    let mut signals = source.bind(params, 1, market, run.clone()).unwrap();
    let mut recorder =
        RunRecorder::new(market.symbols.len(), market.grid, run.clone(), plan.initial_capital_usdt);
    let options = RunOptions { tile_bars: 256, quotes: false, on_tile: &mut |_| true };
    run_account(market, run, &plan, &mut *signals, &mut recorder, options).unwrap();
    let events = recorder.events().iter().map(|event| match event {
        Event::Fill(fill) => (fill.bar as usize, format!("{fill:?}")),
        Event::Funding(paid) => {
            (paid.bar as usize, format!("funding of {}: {:?}", paid.symbol, paid.cash_usdt))
        }
        Event::Insurance(paid) => (paid.bar as usize, format!("{paid:?}")),
    });
    (events.collect(), recorder.bar_marks().equity_usdt.iter().map(|v| v.to_bits()).collect())
}

/// Uniform in `[0, 1)`.
fn unit(dice: &mut ChaCha8Rng) -> f64 {
    (dice.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// Other prices, volumes, gaps and funding from the moment a bar has closed. First and last bars stay, so that both
/// markets have one grid.
fn other_future(symbols: &[MemorySymbol], close_ms: i64, dice: &mut ChaCha8Rng) -> Vec<MemorySymbol> {
    let mut symbols = symbols.to_vec();
    for symbol in &mut symbols {
        let last = symbol.bars.len() - 1;
        let mut factor = 1.0;
        let mut kept = Vec::with_capacity(symbol.bars.len());
        for (i, mut bar) in symbol.bars.drain(..).enumerate() {
            if bar.ts_ms >= close_ms {
                factor *= 0.97 + 0.06 * unit(dice);
                for price in [&mut bar.open, &mut bar.high, &mut bar.low, &mut bar.close] {
                    *price *= factor;
                }
                bar.volume *= 2.0 * unit(dice);
                if i > 0 && i < last && unit(dice) < 0.05 {
                    continue;
                }
            }
            kept.push(bar);
        }
        symbol.bars = kept;
        for (time_ms, rate, mark) in &mut symbol.funding {
            // A stamp may be some milliseconds late; the settlement at the close itself belongs to the next bar.
            if *time_ms >= close_ms {
                *rate = 0.002 * (unit(dice) - 0.5);
                *mark = None;
            }
        }
    }
    symbols
}

#[test]
fn no_bar_knows_the_next() {
    for count in [3, 12] {
        let sweep = Sweep::new(count, 1_200);
        let symbols = sweeps::symbols(count, 1_200);
        let (events, equity) = story(&sweep, &sweep.market);
        let mut dice = ChaCha8Rng::seed_from_u64(5);
        for _ in 0..8 {
            let bar = sweep.run.start + (unit(&mut dice) * 1_100.0) as usize;
            let close_ms = sweep.market.grid.close_ms(bar);
            let other = market_from_memory(900_000, other_future(&symbols, close_ms, &mut dice)).unwrap();
            assert_eq!(other.grid, sweep.market.grid);
            let (other_events, other_equity) = story(&sweep, &other);
            let until = |events: &[(usize, String)]| {
                events.iter().filter(|e| e.0 <= bar).cloned().collect::<Vec<_>>()
            };
            assert_eq!(until(&events), until(&other_events), "{count} symbols, after bar {bar}");
            let known = ..bar + 1 - sweep.run.start;
            assert_eq!(equity[known], other_equity[known], "{count} symbols, after bar {bar}");
            assert_ne!(equity, other_equity, "another future changes the end");
        }
    }
}

#[test]
fn sources_that_all_trials_share_are_cut_alike() {
    let mut sweep = Sweep::new(12, 1_200);
    sweep.source = Source::Oracle(OracleMode::Random);
    let first = sweep.whole(1, 4096).result_digest;
    for (threads, tile_bars) in [(2, 1), (8, 64)] {
        assert_eq!(sweep.whole(threads, tile_bars).result_digest, first);
    }
}
