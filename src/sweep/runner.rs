//! Who computes what: chunks of trials over workers, tiles over bars, accounts over both.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use rayon::prelude::*;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::parts::Parts;
use super::points::Points;
use super::source::Source;
use crate::config::Spec;
use crate::config::plan::EnginePlan;
use crate::engine::{Account, Scratch, TileFeed, Venue};
use crate::error::{BadInput, Error, Result};
use crate::execution::quotes::QuoteSets;
use crate::execution::stop_quotes::StopSets;
use crate::execution::volatility::VolatilitySets;
use crate::execution::volume::TrailingVolume;
use crate::liquidity::{RegimePlan, RegimeSets};
use crate::market::{Market, TileBuffer};
use crate::reporting::run_dir::sha256;
use crate::reporting::{Metrics, TrialStats};
use crate::risk::stress::MarketStress;
use crate::signals::{CacheEntry, RuleCache, SignalSource};

/// Everything that all workers read.
#[derive(Debug)]
pub struct Job<'a> {
    /// The market.
    pub market: &'a Market,
    /// The config; its sweep made `points`.
    pub spec: &'a Spec,
    /// The trials.
    pub points: &'a Points,
    /// Where signals come from.
    pub source: &'a Source,
    /// Digest of the table behind `source`; empty without one.
    pub source_digest: &'a str,
    /// Bars of the run; earlier ones warm the signals.
    pub run: Range<usize>,
    /// Bars per tile; changes no result.
    pub tile_bars: usize,
    venue: Venue<'a>,
    params_only: Option<ParamsOnly>,
    /// What the rules of many chunks share, once it is computed.
    cache: OnceLock<Arc<RuleCache>>,
}

/// What all trials share when nothing but rule parameters is swept.
#[derive(Debug)]
struct ParamsOnly {
    plan: EnginePlan,
    config_digest: String,
}

/// How a sweep is run; nothing here changes a result.
#[derive(Debug, Clone)]
pub struct SweepOptions {
    /// Folder of the finished parts.
    pub parts_dir: PathBuf,
    /// Worker threads; 0: one per core.
    pub threads: usize,
    /// Most memory for costly indicators and masks that trials share, bytes; 0: keep none.
    pub cache_bytes: usize,
}

/// How far a sweep is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Trials finished, resumed ones included.
    pub trials_done: usize,
    /// Trials that were finished before.
    pub trials_resumed: usize,
    /// All trials.
    pub trials: usize,
    /// Trial-symbol-bars computed now.
    pub symbol_bars: u64,
}

/// How a trial ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrialStatus {
    /// Ran to the end.
    Ok,
    /// Equity reached 0.
    Ruined,
    /// Could not run; the error says why.
    Failed,
}

impl TrialStatus {
    /// Name in the results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Ruined => "ruined",
            Self::Failed => "failed",
        }
    }
}

/// What a trial came to.
#[derive(Debug, Clone, PartialEq)]
pub struct TrialResult {
    /// Digest of the trial's resolved config and the panels' contents.
    pub trial_id: String,
    /// How it ended.
    pub status: TrialStatus,
    /// Why it failed; empty otherwise.
    pub error: String,
    /// Its metrics; undefined where it failed.
    pub metrics: Metrics,
    /// Equity at every midnight, as [`crate::reporting::day_stamps`]; empty where it failed.
    pub daily_equity: Vec<f64>,
}

/// Symbol-bars of a chunk at most, unless it has few trials: some tenths of a second of work.
const CHUNK_SYMBOL_BARS: usize = 100_000_000;

/// Trials per chunk: a constant of the sweep alone, so that every machine cuts alike.
///
/// Trials of a chunk share a tile, its signals and its quotes: the more the better, as long as their state stays in the
/// cache. Small sweeps are cut in two at least, large ones into parts that are worth a file each.
pub fn chunk_trials(trials: usize, symbols: usize, bars: usize) -> usize {
    let least = match trials {
        0..=4096 => 8,
        4097..=65_536 => 32,
        _ => 128,
    };
    let by_work = (CHUNK_SYMBOL_BARS / (symbols * bars).max(1)).min(64);
    by_work.min(trials.div_ceil(2)).max(least)
}

/// Chunks looked at to find what they share; of more, so many that lie evenly.
const COUNTED_CHUNKS: usize = 512;

/// Keys that belong to the market or the files, which all trials share.
const SHARED_KEYS: &[&str] = &[
    "general.bar",
    "general.mark_source",
    "general.oracle_mode",
    "general.seed",
    "universe.",
    "signals.",
    "output.",
];

impl<'a> Job<'a> {
    /// A job over bars `run` of a market.
    ///
    /// # Panics
    /// When the run reaches beyond the grid.
    pub fn new(
        market: &'a Market,
        spec: &'a Spec,
        points: &'a Points,
        source: &'a Source,
        source_digest: &'a str,
        run: Range<usize>,
        tile_bars: usize,
    ) -> Self {
        let venue = Venue::new(market, run.clone());
        let params_only = points.names.iter().all(|name| spec.signals.params.contains_key(name));
        let params_only = params_only
            .then(|| {
                Some(ParamsOnly { plan: spec.plan().ok()?, config_digest: spec.digest_without_params() })
            })
            .flatten();
        Self {
            market,
            spec,
            points,
            source,
            source_digest,
            run,
            tile_bars,
            venue,
            params_only,
            cache: OnceLock::new(),
        }
    }
    /// What was kept for all chunks; nothing before [`run_chunks`] and without rules.
    pub fn cache_entries(&self) -> &[CacheEntry] {
        self.cache.get().map_or(&[], |cache| cache.entries())
    }
    /// Computes what the rules of several chunks share and is costly.
    fn fill_cache(&self, chunks: &[usize], budget_bytes: usize) -> Result<()> {
        let Source::Rules(rules) = self.source else { return Ok(()) };
        if budget_bytes == 0 || chunks.len() < 2 {
            return Ok(());
        }
        let every = chunks.len().div_ceil(COUNTED_CHUNKS);
        let params = |&chunk: &usize| -> (Vec<BTreeMap<String, f64>>, Vec<RegimePlan>) {
            let trials = self.chunk(chunk).map(|trial| self.resolve(trial).ready);
            trials.filter_map(|r| r.ok().map(|(plan, params)| (params, plan.liquidity.regimes))).unzip()
        };
        let params: Vec<_> = chunks.iter().step_by(every).map(params).collect();
        let cache = RuleCache::build(rules, &params, self.market, budget_bytes)?;
        self.cache.get_or_init(|| Arc::new(cache));
        Ok(())
    }
    /// Checks what can be checked before the first bar.
    ///
    /// # Errors
    /// A swept key that all trials must share.
    pub fn check(&self) -> Result<()> {
        for name in &self.points.names {
            let is_param = self.spec.signals.params.contains_key(name) || name.starts_with("signals.params.");
            if !is_param
                && SHARED_KEYS.iter().any(|key| name == key || (key.ends_with('.') && name.starts_with(key)))
            {
                return Err(BadInput::expected(
                    "a rule parameter, or a key of execution, costs, funding or sizing",
                )
                .key(format!("sweep.grid.{name}"))
                .found("a key that all trials of a sweep share")
                .fix("run one sweep for each of its values")
                .into());
            }
        }
        Ok(())
    }
    /// Number of chunks.
    pub fn chunks(&self) -> usize {
        self.points.len().div_ceil(self.chunk_trials())
    }
    /// Trials per chunk.
    pub fn chunk_trials(&self) -> usize {
        chunk_trials(self.points.len(), self.market.symbols.len(), self.run.len())
    }
    /// Trials of a chunk.
    pub fn chunk(&self, chunk: usize) -> Range<usize> {
        let size = self.chunk_trials();
        chunk * size..((chunk + 1) * size).min(self.points.len())
    }
    /// Digest of everything that decides the results: config, sweep, data, table, window, engine version.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.identity(&self.spec.digest()));
        for trial in 0..self.points.len() {
            hash.update(serde_json::to_vec(self.points.values(trial)).unwrap_or_default());
        }
        hash.update(self.points.names.join("\0"));
        hex(&hash.finalize())
    }
    fn identity(&self, config_digest: &str) -> String {
        let grid = self.market.grid;
        let (start, end) = (grid.open_ms(self.run.start), grid.open_ms(self.run.end));
        let (data, table) = (&self.market.content_digest, self.source_digest);
        format!("{}\0{config_digest}\0{data}\0{table}\0{start}\0{end}", env!("CARGO_PKG_VERSION"))
    }
    fn trial_id(&self, config_digest: &str) -> String {
        sha256(self.identity(config_digest).as_bytes())[..32].to_owned()
    }
    /// A trial as it will run.
    fn resolve(&self, trial: usize) -> Resolved {
        if let Some(shared) = &self.params_only {
            let mut params = self.spec.signals.params.clone();
            for (name, value) in self.points.names.iter().zip(self.points.values(trial)) {
                params.insert(name.clone(), value.as_f64().unwrap_or(f64::NAN));
            }
            let digest = Spec::digest_with_params(&shared.config_digest, &params);
            return Resolved { trial_id: self.trial_id(&digest), ready: Ok((shared.plan.clone(), params)) };
        }
        let named = self.points.named(trial);
        match self.spec.with_overrides(&named).and_then(|spec| spec.plan().map(|plan| (spec, plan))) {
            Ok((spec, plan)) => {
                Resolved { trial_id: self.trial_id(&spec.digest()), ready: Ok((plan, spec.signals.params)) }
            }
            Err(error) => {
                let values = Value::Object(named.into_iter().collect());
                let identity = self.identity(&format!("{}{values}", self.spec.digest()));
                Resolved {
                    trial_id: sha256(identity.as_bytes())[..32].to_owned(),
                    ready: Err(error.to_string()),
                }
            }
        }
    }
}

struct Resolved {
    trial_id: String,
    ready: std::result::Result<(EnginePlan, BTreeMap<String, f64>), String>,
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Runs all chunks that have no part yet, writing one part each.
///
/// # Errors
/// [`Error::Interrupted`] when `stop` is set: finished parts stay. The first machine error otherwise.
pub fn run_chunks(
    job: &Job<'_>,
    options: &SweepOptions,
    stop: &AtomicBool,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<()> {
    job.check()?;
    let parts = Parts::open(&options.parts_dir, &job.digest())?;
    let missing: Vec<usize> =
        (0..job.chunks()).filter(|&chunk| !parts.has(chunk, job.chunk(chunk).len())).collect();
    let resumed = job.points.len() - missing.iter().map(|&chunk| job.chunk(chunk).len()).sum::<usize>();
    let done = Mutex::new(Progress {
        trials_done: resumed,
        trials_resumed: resumed,
        trials: job.points.len(),
        symbol_bars: 0,
    });
    progress(*lock(&done));
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(options.threads.min(missing.len().max(1)))
        .build()
        .map_err(|error| Error::Io {
            path: PathBuf::new(),
            doing: "starting threads",
            source: std::io::Error::other(error),
        })?;
    // A failure halts the other workers, whose interruption must not be told in its place.
    let failed = AtomicBool::new(false);
    let failure = Mutex::new(None);
    let symbol_bars = AtomicU64::new(0);
    let symbols = job.market.symbols.len() as u64;
    pool.install(|| job.fill_cache(&missing, options.cache_bytes))?;
    let outcome = pool.install(|| {
        missing.par_iter().with_max_len(1).try_for_each(|&chunk| {
            let trials = job.chunk(chunk);
            let halted = || stop.load(Ordering::Relaxed) || failed.load(Ordering::Relaxed);
            let on_tile = |rows: usize| {
                let bars = (rows * trials.len()) as u64 * symbols;
                let total = symbol_bars.fetch_add(bars, Ordering::Relaxed) + bars;
                let mut done = lock(&done);
                done.symbol_bars = done.symbol_bars.max(total);
                progress(*done);
                !halted()
            };
            let results = run_chunk(job, trials.clone(), &on_tile)?;
            if let Err(error) = parts.write(chunk, &results) {
                lock(&failure).get_or_insert(error);
                failed.store(true, Ordering::Relaxed);
                return Err(Error::Interrupted);
            }
            let mut done = lock(&done);
            done.trials_done += trials.len();
            progress(*done);
            Ok(())
        })
    });
    let failure = failure.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    failure.map_or(outcome, Err)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Runs a chunk of trials in memory. `on_tile` is called with the bars just done; `false` stops.
///
/// A trial that cannot run (a window of 0 bars, a fraction out of range) fails alone.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn run_chunk(
    job: &Job<'_>,
    trials: Range<usize>,
    on_tile: &dyn Fn(usize) -> bool,
) -> Result<Vec<TrialResult>> {
    let resolved: Vec<Resolved> = trials.map(|trial| job.resolve(trial)).collect();
    let mut faults: Vec<String> =
        resolved.iter().map(|r| r.ready.as_ref().err().cloned().unwrap_or_default()).collect();
    let mut live: Vec<usize> = (0..resolved.len()).filter(|&index| resolved[index].ready.is_ok()).collect();
    let bind = |live: &[usize]| {
        let (params, regimes): (Vec<_>, Vec<_>) = live
            .iter()
            .filter_map(|&index| resolved[index].ready.as_ref().ok())
            .map(|(plan, params)| (params.clone(), plan.liquidity.regimes))
            .unzip();
        let seed = job.spec.general.seed;
        job.source.bind_each(&params, &regimes, seed, job.market, job.run.clone(), job.cache.get())
    };
    let signals = match bind(&live) {
        Ok(signals) => signals,
        Err(_) => {
            // One trial's parameters do not fit the rules: find which, and go on without them.
            for &index in &live {
                if let Err(error) = bind(&[index]) {
                    faults[index] = error.to_string();
                }
            }
            live.retain(|&index| faults[index].is_empty());
            bind(&live)?
        }
    };
    let plans: Vec<&EnginePlan> =
        live.iter().filter_map(|&i| resolved[i].ready.as_ref().ok().map(|r| &r.0)).collect();
    let outcomes = run_accounts(job, &plans, signals, on_tile)?;
    let mut results: Vec<TrialResult> = resolved
        .into_iter()
        .zip(faults)
        .map(|(trial, error)| TrialResult {
            trial_id: trial.trial_id,
            status: TrialStatus::Failed,
            error,
            metrics: Metrics::default(),
            daily_equity: Vec::new(),
        })
        .collect();
    for (&index, outcome) in live.iter().zip(outcomes) {
        let result = &mut results[index];
        match outcome {
            Ok(stats) => {
                result.status = if stats.ruined() { TrialStatus::Ruined } else { TrialStatus::Ok };
                result.metrics = stats.finish();
                result.daily_equity = stats.daily_equity().to_vec();
            }
            Err(error) => result.error = error,
        }
    }
    Ok(results)
}

type Outcome = std::result::Result<TrialStats, String>;

fn run_accounts(
    job: &Job<'_>,
    plans: &[&EnginePlan],
    mut signals: Box<dyn SignalSource>,
    on_tile: &dyn Fn(usize) -> bool,
) -> Result<Vec<Outcome>> {
    let venue = &job.venue;
    let use_mark = plans.first().is_some_and(|plan| plan.use_mark);
    let mut accounts: Vec<(Account, Outcome)> = plans
        .iter()
        .map(|plan| {
            let market = job.market;
            let stats = TrialStats::new(
                market.symbols.len(),
                market.grid,
                job.run.clone(),
                plan.initial_capital_usdt,
            );
            (Account::new(venue, plan), Ok(stats))
        })
        .collect();
    let needs_volume = plans.iter().any(|plan| Account::needs_trailing_volume(plan));
    let mut buffer = TileBuffer::default();
    let mut scratch = Scratch::default();
    let mut volume = TrailingVolume::default();
    let mut volatility = VolatilitySets::new(plans.iter().map(|plan| Account::volatility_window(plan)));
    let needs_stress = plans.iter().any(|plan| Account::needs_stress(plan));
    let mut stress_rows = MarketStress::default();
    let mut regimes = RegimeSets::new(plans.iter().map(|plan| plan.regimes()), job.market);
    let quoted = plans.iter().map(|plan| Account::takes_quotes(plan).then_some(*plan));
    let mut quotes = QuoteSets::new(quoted, job.market);
    let mut stops = StopSets::new(job.market);
    let mut orders_filled = 0;
    let mut bar = 0;
    while bar < job.run.end && !plans.is_empty() {
        let rows = job.tile_bars.max(1).min(job.run.end - bar);
        let tile = buffer.load(job.market, bar, rows, use_mark);
        let trailing = needs_volume.then(|| volume.load(&tile));
        volatility.load(&tile);
        let stress = needs_stress.then(|| stress_rows.load(job.market, &tile));
        regimes.step(job.market, &tile);
        signals.step(job.market, &tile);
        let wanted = quotes.are_worth_it(&tile, std::mem::take(&mut orders_filled));
        quotes.load(&tile, wanted);
        let quoted = (0..plans.len()).filter(|&trial| quotes.of(trial).is_some());
        stops.load(&tile, quoted.filter_map(|trial| signals.trial(trial).stop_distances()));
        for (trial, (account, outcome)) in accounts.iter_mut().enumerate() {
            let Ok(stats) = outcome else { continue };
            let (quotes, signals) = (quotes.of(trial), signals.trial(trial));
            let slot = quotes.and_then(|_| signals.stop_distances()).map(|(slot, _)| slot);
            let feed = TileFeed {
                tile: &tile,
                trailing_volume: trailing,
                volatility: volatility.of(trial),
                stress,
                regimes: regimes.of(trial),
                quotes,
                stops: slot.and_then(|slot| stops.of(slot)),
                signals,
            };
            let step = || account.step_tile(venue, &feed, &mut scratch, stats);
            // A broken invariant is a defect of the engine: it ends its own trial, loudly, and no other.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(step)) {
                *outcome = Err(panic_text(&*panic));
            }
            orders_filled += account.take_filled_orders();
        }
        bar += rows;
        if !on_tile(rows) {
            return Err(Error::Interrupted);
        }
    }
    Ok(accounts.into_iter().map(|(_, outcome)| outcome).collect())
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text =
        panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    format!("the engine stopped this trial: {}", text.unwrap_or("unknown"))
}
