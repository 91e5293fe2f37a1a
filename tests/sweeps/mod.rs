//! What tests of sweeps share: a synthetic universe in memory, a config with everything that may differ, one call.
#![allow(dead_code, reason = "every test binary that takes this module in uses its own part of it")]

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use barloom::Result;
use barloom::config::Spec;
use barloom::data::synth::{SynthSpec, universe};
use barloom::data::{Bar, MemorySymbol, market_from_memory};
use barloom::market::{BracketTable, Market};
use barloom::sweep::{
    Job, Points, Progress, Source, SweepOptions, SweepSummary, finish, read_source, run_chunks,
};

/// Rules with crossings, exits, ATR stops and take profits; volume-dependent slippage; 160 trials, which is
/// several chunks even where a few symbols make long ones.
pub(crate) const CONFIG: &str = r#"
[general]
initial_capital = 50000.0
check_invariants = "every_bar"
[signals]
kind = "rules"
long_entry = "cross_over(ema(close, fast), ema(close, slow)) and rsi(close, 14) < 75"
short_entry = "cross_under(ema(close, fast), ema(close, slow)) and rsi(close, 14) > 25"
long_exit = "rsi(close, 10) > 80"
short_exit = "rsi(close, 10) < 20"
stop_distance = "stop_atr * atr(14)"
take_profit_distance = "3 * atr(14)"
[signals.params]
fast = 5
slow = 20
stop_atr = 2.0
[sizing]
fraction = 0.1
[slippage_costs]
b_bps = 30.0
[execution]
participation_cap = 0.0
[funding]
window_blocks_entries = false
[margin]
liquidation = false
guard = false
[liquidity_regimes]
enabled = false
[sweep.grid]
fast = [3, 5, 8, 11, 14]
slow = [20, 30, 40, 60]
stop_atr = [0.8, 1.5, 2.5, 4.0]
"execution.stop_overshoot" = [0.0, 0.25]
"#;

/// The config as a spec.
pub(crate) fn spec() -> Spec {
    spec_of(CONFIG)
}

fn spec_of(text: &str) -> Spec {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("sweep.toml");
    std::fs::write(&path, text).expect("written");
    barloom::config::load(&path, &[], false).expect("the config is valid").spec
}

/// Symbols of a synthetic universe with gaps, as rows in memory.
pub(crate) fn symbols(symbols: usize, bars: usize) -> Vec<MemorySymbol> {
    let spec = SynthSpec { symbols, bars, seed: 11, gaps: true, ..SynthSpec::default() };
    universe(&spec)
        .into_iter()
        .map(|symbol| {
            let rows = &symbol.bars;
            let bars = (0..rows.ts_ms.len()).map(|i| Bar {
                ts_ms: rows.ts_ms[i],
                open: rows.open[i],
                high: rows.high[i],
                low: rows.low[i],
                close: rows.close[i],
                volume: rows.volume[i],
                quote_volume: None,
                mark: None,
            });
            MemorySymbol {
                bars: bars.collect(),
                name: symbol.name,
                contract: symbol.contract,
                brackets: vec![BracketTable { valid_from_ms: None, brackets: symbol.brackets }],
                funding: symbol.funding,
            }
        })
        .collect()
}

/// A synthetic market with gaps.
pub(crate) fn market(count: usize, bars: usize) -> Market {
    market_from_memory(900_000, symbols(count, bars)).expect("synthetic data are sound")
}

/// A sweep to be run in more than one way.
pub(crate) struct Sweep {
    pub(crate) market: Market,
    pub(crate) spec: Spec,
    pub(crate) points: Points,
    pub(crate) source: Source,
    pub(crate) run: Range<usize>,
}

impl Sweep {
    /// The sweep of [`CONFIG`] over a synthetic market; the first bars only warm the signals.
    pub(crate) fn new(symbols: usize, bars: usize) -> Self {
        Self::of(CONFIG, symbols, bars)
    }
    /// The same of another config.
    pub(crate) fn of(config: &str, symbols: usize, bars: usize) -> Self {
        let (market, spec) = (market(symbols, bars), spec_of(config));
        let points = Points::of(&spec, None).expect("a grid");
        let (source, _) = read_source(&spec, None, None, &market).expect("sound rules");
        let run = 50..market.grid.bars;
        Self { market, spec, points, source, run }
    }
    pub(crate) fn job(&self, tile_bars: usize) -> Job<'_> {
        Job::new(&self.market, &self.spec, &self.points, &self.source, "", self.run.clone(), tile_bars)
    }
    /// Runs the missing chunks; `on_progress` may set the flag that stops it.
    pub(crate) fn compute(
        &self,
        dir: &Path,
        threads: usize,
        tile_bars: usize,
        on_progress: &(dyn Fn(Progress, &AtomicBool) + Sync),
    ) -> Result<()> {
        let stop = AtomicBool::new(false);
        run_chunks(&self.job(tile_bars), &options(dir, threads), &stop, &|now| on_progress(now, &stop))
    }
    /// Results from the parts in `dir`.
    pub(crate) fn collect(&self, dir: &Path) -> SweepSummary {
        finish(&self.job(256), &options(dir, 1), &dir.join("out"), &[], &serde_json::json!({}))
            .expect("all parts are there")
    }
    /// A whole sweep in a folder of its own.
    pub(crate) fn whole(&self, threads: usize, tile_bars: usize) -> SweepSummary {
        let dir = tempfile::tempdir().expect("a folder");
        self.compute(dir.path(), threads, tile_bars, &|_, _| ()).expect("the sweep runs");
        self.collect(dir.path())
    }
}

fn options(dir: &Path, threads: usize) -> SweepOptions {
    SweepOptions { parts_dir: dir.join("parts"), threads, cache_bytes: 1 << 27 }
}
