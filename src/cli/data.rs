//! What several commands need: moments, bar lengths, configs, markets, windows.

use std::ops::Range;
use std::path::Path;

use barloom::config::{LoadedSpec, load};
use barloom::data::{LoadOptions, OnBadRow, TsKind, open_market, stamp};
use barloom::error::{BadInput, Result};
use barloom::market::{Market, TimeGrid};

use super::args::{BadRows, ConfigArgs, DataArgs, StampKind, WindowArgs};
use super::output::Output;
use super::progress;

/// A moment: a date, or anything a `ts` column may hold.
pub(super) fn moment(flag: &str, text: &str) -> Result<i64> {
    let whole = if text.len() == 10 { format!("{text} 00:00:00+00:00") } else { text.to_owned() };
    stamp::parse_ms(&whole).ok_or_else(|| {
        BadInput::expected("a UTC moment such as 2023-06-01 or 2023-06-01T12:00Z")
            .key(flag)
            .found(format!("`{text}`"))
            .into()
    })
}

/// A bar length by its name.
pub(super) fn bar_ms(name: &str) -> Result<i64> {
    barloom::data::bar_ms(name).ok_or_else(|| {
        BadInput::expected("one of 1m, 5m, 15m, 1h, 4h, 1d").key("--bar").found(format!("`{name}`")).into()
    })
}

/// Loads a config with its overrides.
pub(super) fn config(args: &ConfigArgs, output: &Output) -> Result<LoadedSpec> {
    let sets = args
        .sets
        .iter()
        .map(|set| {
            let Some((key, value)) = set.split_once('=') else {
                return Err(BadInput::expected("KEY=VALUE").key("--set").found(format!("`{set}`")).into());
            };
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        })
        .collect::<Result<Vec<_>>>()?;
    let loaded = load(&args.config, &sets, args.lenient)?;
    output.warnings(&loaded.warnings);
    Ok(loaded)
}

/// Opens the data directory with a progress bar.
pub(super) fn market(args: &DataArgs, symbols: &[String], bar_ms: i64, output: &Output) -> Result<Market> {
    let options = LoadOptions {
        store_dir: args.store.clone(),
        bar_ms,
        on_bad_row: match args.on_bad_row {
            BadRows::Error => OnBadRow::Error,
            BadRows::Drop => OnBadRow::Drop,
        },
        ts_kind: match args.ts_kind {
            StampKind::Open => TsKind::Open,
            StampKind::Close => TsKind::Close,
        },
        verify_store: true,
    };
    open(&args.data, symbols, &options, output)
}

/// Opens a data directory with a progress bar.
pub(super) fn open(
    data: &Path,
    symbols: &[String],
    options: &LoadOptions,
    output: &Output,
) -> Result<Market> {
    let bar = progress::bar(output, 0, "files");
    bar.set_message("building the store");
    let market = open_market(data, symbols, options, &mut |done| {
        bar.set_length(done.total_files as u64);
        bar.set_position(done.done_files as u64);
    })?;
    bar.finish_and_clear();
    Ok(market)
}

/// Bars `[start, end)` of the grid.
pub(super) fn window(args: &WindowArgs, grid: TimeGrid) -> Result<Range<usize>> {
    let bar = |flag: &str, text: &Option<String>, default: usize| match text {
        None => Ok::<usize, barloom::Error>(default),
        Some(text) => Ok(grid.first_bar_from(moment(flag, text)?)),
    };
    let run = bar("--start", &args.start, 0)?..bar("--end", &args.end, grid.bars)?;
    if run.start >= run.end {
        return Err(BadInput::expected(format!(
            "a window with bars; the data run from {} to {}",
            stamp::format_ms(grid.start_ms),
            stamp::format_ms(grid.open_ms(grid.bars))
        ))
        .key("--start, --end")
        .found("none")
        .into());
    }
    Ok(run)
}
