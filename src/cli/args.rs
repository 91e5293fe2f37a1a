//! What can be asked on the command line.

use std::path::PathBuf;

use barloom::error::{BadInput, Result};
use barloom_kernels::simd::{ForcedLevel, force_level};
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Columnar batch backtester for perpetual futures.
#[derive(Debug, Parser)]
#[command(name = "barloom", version, about, max_term_width = 100)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Flags of every command.
#[derive(Debug, Args)]
pub(super) struct Global {
    /// Print one JSON document instead of a table
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Print nothing but results and errors
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// Print more about what is done
    #[arg(short, long, global = true)]
    pub(super) verbose: bool,
    /// Worker threads (0: one per core); changes no result
    #[arg(
        short = 'j',
        long,
        value_name = "N",
        default_value_t = 0,
        hide_default_value = true,
        global = true
    )]
    pub(super) threads: usize,
    /// Show no progress bar (also off when stderr is no terminal)
    #[arg(long, global = true)]
    pub(super) no_progress: bool,
    /// Use no wider vectors than this (sse2, avx2, avx512); changes no result
    #[arg(long, value_name = "LEVEL", env = "BARLOOM_SIMD", hide_env_values = true, global = true)]
    pub(super) simd: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a seeded synthetic universe
    #[command(
        after_help = "Example:\n  barloom synth --out data/synth --symbols 20 --bars 35040 --seed 7 --gaps"
    )]
    Synth(SynthArgs),
    /// Turn CSV, Parquet, Arrow and exchange-archive files into the data layout
    #[command(after_help = "Example:\n  barloom import downloads/*.zip --out data/mine")]
    Import(ImportArgs),
    /// Evaluate rule expressions over a universe and export them
    #[command(
        after_help = "Example:\n  barloom features --data data/sample --expr 'ema(close, 20)' --expr 'rsi(close, 14)' --out features.parquet"
    )]
    Features(FeaturesArgs),
    /// Run one backtest
    #[command(
        after_help = "Examples:\n  barloom run --config config/oracle_long.toml --data data/sample --out out/long\n  barloom run --config config/ema_cross.toml --data data/sample --out out/bounds --bounds"
    )]
    Run(RunArgs),
    /// Run a parameter sweep; the same command again resumes it
    #[command(
        after_help = "Example:\n  barloom sweep --config config/ema_cross.toml --data data/sample --out out/ema_cross\n  barloom sweep --config config/ten_indicators.toml --data data/sample --out out/ten --cache-mb 512"
    )]
    Sweep(SweepArgs),
    /// Print the JSON Schema of the config
    #[command(after_help = "Example:\n  barloom schema > config/schema.json")]
    Schema,
    /// Check data for integrity (not in this version)
    #[command(hide = true)]
    Validate(NotYet),
    /// Run baselines (not in this version)
    #[command(hide = true)]
    Baselines(NotYet),
    /// Estimate a sweep (not in this version)
    #[command(hide = true)]
    Plan(NotYet),
    /// Merge shards (not in this version)
    #[command(hide = true)]
    Merge(NotYet),
    /// Replay a run through an independent ledger (not in this version)
    #[command(hide = true)]
    Parity(NotYet),
    /// Audit for look-ahead and determinism (not in this version)
    #[command(hide = true)]
    Audit(NotYet),
    /// Write an HTML report (not in this version)
    #[command(hide = true)]
    Report(NotYet),
}

/// Arguments of a command that is not there: taken, so that the answer is that it is not there.
#[derive(Debug, Args)]
pub(super) struct NotYet {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _rest: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct SynthArgs {
    /// Folder to write into
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Number of symbols
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub(super) symbols: usize,
    /// Bars per symbol
    #[arg(long, value_name = "N", default_value_t = 35_040)]
    pub(super) bars: usize,
    /// Seed; the same seed makes the same bytes on every machine
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(super) seed: u64,
    /// Gaps, no-trade bars, late listings, delistings, changing funding intervals
    #[arg(long)]
    pub(super) gaps: bool,
    /// Bar length: 1m, 5m, 15m, 1h, 4h, 1d
    #[arg(long, value_name = "LENGTH", default_value = "15m")]
    pub(super) bar: String,
    /// First open time, UTC
    #[arg(long, value_name = "T", default_value = "2023-01-01")]
    pub(super) start: String,
    /// File format of the bars
    #[arg(long, value_enum, default_value_t = TableFormat::Csv)]
    pub(super) format: TableFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum TableFormat {
    Csv,
    Parquet,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum StampKind {
    Open,
    Close,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum BadRows {
    Error,
    Drop,
}

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// Files, archives or folders to read
    #[arg(required = true, value_name = "SRC")]
    pub(super) sources: Vec<PathBuf>,
    /// Folder to write into
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Symbol, where file names do not say it
    #[arg(long, value_name = "NAME")]
    pub(super) symbol: Option<String>,
    /// Bar length, where file names do not say it
    #[arg(long, value_name = "LENGTH")]
    pub(super) bar: Option<String>,
    /// What the stamps of the sources mean
    #[arg(long, value_enum, default_value_t = StampKind::Open)]
    pub(super) ts_kind: StampKind,
    /// File format to write
    #[arg(long, value_enum, default_value_t = TableFormat::Csv)]
    pub(super) format: TableFormat,
}

/// Where the data are.
#[derive(Debug, Args)]
pub(super) struct DataArgs {
    /// Data directory
    #[arg(long, value_name = "DIR")]
    pub(super) data: PathBuf,
    /// Folder of the columnar store, instead of DIR/.barloom
    #[arg(long, value_name = "DIR")]
    pub(super) store: Option<PathBuf>,
    /// What to do with a row that cannot be right
    #[arg(long, value_enum, default_value_t = BadRows::Error)]
    pub(super) on_bad_row: BadRows,
    /// What the stamps of the bar files mean
    #[arg(long, value_enum, default_value_t = StampKind::Open)]
    pub(super) ts_kind: StampKind,
}

/// A config and changes to it.
#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    /// Config file, TOML or JSON
    #[arg(long, value_name = "FILE")]
    pub(super) config: PathBuf,
    /// Override a key: --set sizing.fraction=0.05
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) sets: Vec<String>,
    /// Warn about unknown keys instead of refusing them
    #[arg(long)]
    pub(super) lenient: bool,
}

/// The bars that are traded.
#[derive(Debug, Args)]
pub(super) struct WindowArgs {
    /// First bar traded: a date or stamp, UTC; earlier bars warm indicators
    #[arg(long, value_name = "T")]
    pub(super) start: Option<String>,
    /// First bar not traded any more
    #[arg(long, value_name = "T")]
    pub(super) end: Option<String>,
    /// Bars per tile; changes no result
    #[arg(long, value_name = "N", default_value_t = barloom::market::TILE_BARS, hide = true)]
    pub(super) tile_bars: usize,
}

#[derive(Debug, Args)]
pub(super) struct FeaturesArgs {
    /// Data directory
    #[arg(long, value_name = "DIR", required_unless_present = "list")]
    pub(super) data: Option<PathBuf>,
    /// Folder of the columnar store, instead of DIR/.barloom
    #[arg(long, value_name = "DIR")]
    pub(super) store: Option<PathBuf>,
    /// Expression; give one for each column
    #[arg(long = "expr", value_name = "EXPR", required_unless_present = "list")]
    pub(super) exprs: Vec<String>,
    /// File to write; .parquet, .arrow or .csv
    #[arg(long, value_name = "FILE", required_unless_present = "list")]
    pub(super) out: Option<PathBuf>,
    /// Symbols, separated by commas (default: all)
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub(super) symbols: Vec<String>,
    /// Bar length
    #[arg(long, value_name = "LENGTH", default_value = "15m")]
    pub(super) bar: String,
    /// Show every function and leave
    #[arg(long)]
    pub(super) list: bool,
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    #[command(flatten)]
    pub(super) data: DataArgs,
    #[command(flatten)]
    pub(super) window: WindowArgs,
    /// Folder for the results
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Run twice more, with what bars leave open at its worst and at its best
    ///
    /// A bar tells its extremes, not their order, nor how much traded at a price. Worst / best: stop or target first
    /// where both were in reach, stops filled at the bar's extreme or at their level, limits that must be traded
    /// through or touched, trails moved by finished bars or by the bar's good extreme first, funding at a boundary
    /// charged when it costs or to who held before. Everything else is as configured. Each choice is worse or better
    /// for one fill; over a run the accounts part ways, so the configured one may leave the two. Adds bounds.json and
    /// the table bounds (ts, pessimistic, base, optimistic: equity at every close).
    #[arg(long)]
    pub(super) bounds: bool,
}

#[derive(Debug, Args)]
pub(super) struct SweepArgs {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    #[command(flatten)]
    pub(super) data: DataArgs,
    #[command(flatten)]
    pub(super) window: WindowArgs,
    /// Folder for the results
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Memory for costly indicators and masks that trials share, MB (0: keep none); changes no result
    #[arg(long, value_name = "MB", default_value_t = 128)]
    pub(super) cache_mb: usize,
    /// One of N shards (not in this version)
    #[arg(long, value_name = "I/N", hide = true)]
    pub(super) shard: Option<String>,
}

/// Forces the SIMD level that was asked for.
pub(super) fn force_simd(level: Option<&str>) -> Result<()> {
    let Some(name) = level else { return Ok(()) };
    let forced = match name {
        "sse2" => ForcedLevel::Sse2,
        "avx2" => ForcedLevel::Avx2,
        "avx512" => ForcedLevel::Avx512,
        other => {
            return Err(BadInput::expected("sse2, avx2 or avx512")
                .key("--simd")
                .found(format!("`{other}`"))
                .into());
        }
    };
    if force_level(Some(forced)) {
        return Ok(());
    }
    Err(BadInput::expected("a level this processor has")
        .key("--simd")
        .found(format!("`{name}`"))
        .fix("leave the flag out")
        .into())
}
