//! Import: bars and funding records of many origins into the data layout.
//!
//! Reads CSV, Parquet, Arrow IPC (Feather) and exchange-archive zips; merges several files of one symbol, one symbol
//! at a time; writes everything or nothing. It must not know the engine's store, nor what the bars are used for.
//! Read next: `sources` (what is there), `names` and `columns` (what it means), `merge`, and [`layout`] (the output).

mod arrow_rows;
mod columns;
mod csv_rows;
pub mod layout;
mod merge;
mod names;
mod sources;
pub mod stamp;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use self::columns::{Rows, column_names};
use self::layout::{FileFormat, OutTable, Staging, bar_label, bar_labels, bar_length_ms};
use self::names::Role;
use self::sources::{Format, Found, Piece};
use crate::error::{BadInput, Error, Result, io_error};

/// Outcome of a step that knows what is wrong but not in which file.
type Judged<T> = std::result::Result<T, Box<BadInput>>;

/// Which end of a bar its stamp is, where the column's name does not say it (`open_time`, `close_time`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TsKind {
    /// Stamps are open times.
    #[default]
    Open,
    /// Stamps are close times, on the grid or a millisecond short of it; they are shifted to the open.
    Close,
}

/// How to import.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// What the stamps of bars are.
    pub ts_kind: TsKind,
    /// Format of the output.
    pub format: FileFormat,
    /// Symbol of all sources, instead of what their names say.
    pub symbol: Option<String>,
    /// Bar label (`15m`) of bars whose file name has none; else it is read off their stamps.
    pub bar: Option<String>,
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// Files written, by name.
    pub files: Vec<ImportedFile>,
    /// Rows in them.
    pub rows: u64,
    /// Rows that repeated another one exactly and were dropped.
    pub duplicates_dropped: u64,
    /// Files found in folders and archives that were not used.
    pub skipped: Vec<Skipped>,
}

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImportedFile {
    /// Its path.
    pub path: PathBuf,
    /// Rows; 0 for files that were carried over as they are.
    pub rows: u64,
    /// Number of sources it came from.
    pub sources: u64,
    /// First stamp, UTC epoch ms.
    pub first_ms: Option<i64>,
    /// Last stamp.
    pub last_ms: Option<i64>,
    /// Bars missing between the first and the last.
    pub missing_bars: u64,
}

/// A file that was not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Which one.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

/// Imports files and folders into the folder `out`; `progress` receives the tables read and their total.
pub fn import(
    sources: &[PathBuf],
    out: &Path,
    options: &ImportOptions,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<ImportReport> {
    let bar_ms = options.bar.as_deref().map(parse_bar).transpose()?;
    let Found { pieces, companions, skipped } = sources::collect(sources, out, options)?;
    if pieces.is_empty() {
        let mut bad = BadInput::expected("at least one file of bars or funding records").found("none");
        bad.file = sources.first().cloned();
        let first = skipped.first().map(|s| format!("{} was skipped: {}", s.path.display(), s.reason));
        bad.fix = first.or_else(|| Some("check the source paths".to_owned()));
        return Err(bad.into());
    }
    let mut by_symbol: BTreeMap<&str, Vec<&Piece>> = BTreeMap::new();
    for piece in &pieces {
        by_symbol.entry(&piece.symbol).or_default().push(piece);
    }
    let mut report = ImportReport { skipped, ..ImportReport::default() };
    let mut staging = Staging::new(out)?;
    carry_over(&companions, &mut staging, &mut report)?;
    let mut done = 0;
    progress(0, pieces.len());
    for (symbol, pieces_of_symbol) in by_symbol {
        let mut tick = || {
            done += 1;
            progress(done, pieces.len());
        };
        let tables = read_symbol(&pieces_of_symbol, bar_ms, options.ts_kind, &mut tick)?;
        write_symbol(symbol, tables, &pieces_of_symbol, options.format, &mut staging, &mut report)?;
    }
    // Files were staged in the order in which they were reported.
    for (file, path) in report.files.iter_mut().zip(staging.publish()?) {
        file.path = path;
    }
    report.files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(report)
}

fn parse_bar(label: &str) -> Result<i64> {
    bar_length_ms(label).ok_or_else(|| {
        BadInput::expected(format!("one of {}", bar_labels())).key("bar").found(label.to_owned()).into()
    })
}

/// Rows of one symbol before they are merged.
struct Tables {
    /// Traded and mark prices by bar length.
    bars: BTreeMap<i64, (Rows, Rows)>,
    funding: Rows,
}

fn read_symbol(
    pieces: &[&Piece],
    bar_ms: Option<i64>,
    ts_kind: TsKind,
    tick: &mut dyn FnMut(),
) -> Result<Tables> {
    let mut tables = Tables { bars: BTreeMap::new(), funding: Rows::new(Role::Funding) };
    for (source, piece) in pieces.iter().enumerate() {
        let (mut rows, stamp_kind) = read_piece(piece, source as u32)?;
        tick();
        if rows.len() == 0 {
            continue;
        }
        if piece.role == Role::Funding {
            tables.funding.append(rows);
            continue;
        }
        let in_file = |bad: Box<BadInput>| Error::from(bad.file(&piece.shown));
        let length = match (piece.bar_ms, bar_ms) {
            (Some(named), Some(asked)) if named != asked => {
                let label = |ms| bar_label(ms).unwrap_or_default();
                return Err(in_file(
                    BadInput::expected(format!("bars of {} as asked with --bar", label(asked)))
                        .found(format!("{} in the file's name", label(named)))
                        .fix("leave out the file or --bar")
                        .into(),
                ));
            }
            (Some(ms), _) | (None, Some(ms)) => ms,
            (None, None) => merge::infer_bar_ms(&rows).map_err(in_file)?,
        };
        merge::align(&mut rows, length, stamp_kind.unwrap_or(ts_kind)).map_err(in_file)?;
        let (bars, marks) =
            tables.bars.entry(length).or_insert_with(|| (Rows::new(Role::Bars), Rows::new(Role::Mark)));
        if piece.role == Role::Mark { marks.append(rows) } else { bars.append(rows) }
    }
    Ok(tables)
}

fn read_piece(piece: &Piece, source: u32) -> Result<(Rows, Option<TsKind>)> {
    match piece.format {
        Format::Csv => sources::with_bytes(piece, |bytes| {
            csv_rows::read(&piece.shown, piece.entry.is_some(), bytes, piece.role, source)
        }),
        Format::Parquet => arrow_rows::read_parquet(&piece.file, piece.role, source),
        Format::Arrow => arrow_rows::read_ipc(&piece.file, piece.role, source),
    }
}

fn write_symbol(
    symbol: &str,
    tables: Tables,
    pieces: &[&Piece],
    format: FileFormat,
    staging: &mut Staging,
    report: &mut ImportReport,
) -> Result<()> {
    let shown: Vec<PathBuf> = pieces.iter().map(|piece| piece.shown.clone()).collect();
    for (bar_ms, (bars, marks)) in tables.bars {
        let label = bar_label(bar_ms).expect("lengths come from labels");
        let (mut bars, repeated) = merge::merge(bars, &shown)?;
        let (marks, marks_repeated) = merge::merge(marks, &shown)?;
        report.duplicates_dropped += repeated + marks_repeated;
        if bars.len() == 0 {
            skip_marks(&marks, &shown, report);
            continue;
        }
        join_marks(&mut bars, &marks);
        let stem = format!("{symbol}_{label}");
        write_rows(&stem, &bars, Some(bar_ms), (format, staging), report)?;
    }
    let (funding, repeated) = merge::merge(tables.funding, &shown)?;
    report.duplicates_dropped += repeated;
    if funding.len() > 0 {
        write_rows(&format!("{symbol}_funding"), &funding, None, (format, staging), report)?;
    }
    Ok(())
}

fn skip_marks(marks: &Rows, shown: &[PathBuf], report: &mut ImportReport) {
    let mut sources: Vec<u32> = marks.origin.iter().map(|origin| origin.0).collect();
    sources.sort_unstable();
    sources.dedup();
    report.skipped.extend(sources.into_iter().map(|source| Skipped {
        path: shown[source as usize].clone(),
        reason: "mark prices without bars of the same length".to_owned(),
    }));
}

/// Gives each bar the mark price of its stamp, where it has none of its own.
fn join_marks(bars: &mut Rows, marks: &Rows) {
    let mark_column = bars.columns.last_mut().expect("bars end with the mark");
    for (mark, ts_ms) in mark_column.iter_mut().zip(&bars.ts_ms) {
        if mark.is_nan()
            && let Ok(row) = marks.ts_ms.binary_search(ts_ms)
        {
            *mark = marks.columns[0][row];
        }
    }
}

fn write_rows(
    stem: &str,
    rows: &Rows,
    bar_ms: Option<i64>,
    (format, staging): (FileFormat, &mut Staging),
    report: &mut ImportReport,
) -> Result<()> {
    // Optional columns that no source has are left out.
    let columns = column_names(rows.role)
        .zip(&rows.columns)
        .filter(|(_, column)| column.iter().any(|value| !value.is_nan()))
        .map(|(name, column)| (name, &column[..]))
        .collect();
    staging.table(stem, format, &OutTable { ts_ms: &rows.ts_ms, columns })?;
    let mut sources: Vec<u32> = rows.origin.iter().map(|origin| origin.0).collect();
    sources.sort_unstable();
    sources.dedup();
    let (first_ms, last_ms) = (rows.ts_ms.first().copied(), rows.ts_ms.last().copied());
    let span = bar_ms.zip(first_ms).zip(last_ms).map(|((bar, first), last)| (last - first) / bar + 1);
    report.rows += rows.len() as u64;
    report.files.push(ImportedFile {
        path: PathBuf::new(),
        rows: rows.len() as u64,
        sources: sources.len() as u64,
        first_ms,
        last_ms,
        missing_bars: span.map_or(0, |span| span as u64 - rows.len() as u64),
    });
    Ok(())
}

/// Contracts, brackets and liquidity tables go along unchanged; two that differ are a contradiction.
fn carry_over(
    companions: &[(String, PathBuf)],
    staging: &mut Staging,
    report: &mut ImportReport,
) -> Result<()> {
    let mut carried: BTreeMap<&str, (&Path, Vec<u8>)> = BTreeMap::new();
    for (name, path) in companions {
        let bytes = fs::read(path).map_err(|e| io_error(path, "reading", e))?;
        if let Some((other, before)) = carried.get(name.as_str()) {
            if *before != bytes {
                return Err(BadInput::expected(format!("the same bytes as {}", other.display()))
                    .file(path)
                    .found("other contents")
                    .fix("leave out one of the two")
                    .into());
            }
            continue;
        }
        staging.bytes(name.clone(), &bytes)?;
        report.files.push(ImportedFile {
            path: PathBuf::new(),
            rows: 0,
            sources: 1,
            first_ms: None,
            last_ms: None,
            missing_bars: 0,
        });
        carried.insert(name, (path, bytes));
    }
    Ok(())
}
