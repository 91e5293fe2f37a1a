//! From a data directory (contract section 2) to a [`Market`]: CSV, Parquet and JSON files in, columns out.
//!
//! Bad input is found here and nowhere later: every row is checked once ([`bars`]), every stamp is put on one regular
//! UTC grid ([`align`]), and the result is kept as a memory-mapped columnar store ([`store`]) that is reused while the
//! sources stay the same. This room knows files and the market; it must not know who trades on it.
//! Read next: [`table`] for how a file becomes rows, [`build`] for how a directory becomes columns.

mod align;
mod bars;
mod brackets;
mod build;
mod contract;
mod csv_table;
mod fault;
mod funding;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod import;
mod liquidity;
mod listing;
mod memory;
mod mmap;
mod notes;
mod parquet_table;
mod place;
mod store;
pub mod synth;
mod table;

use std::path::{Path, PathBuf};

pub use memory::{Bar, MemorySymbol, market_from_memory};
pub use notes::BuildProgress;

use crate::error::{BadInput, Result, nearest};
use crate::market::Market;
pub use crate::market::stamp;
use listing::Listing;
use store::Found;

/// What to do with a row that cannot be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub enum OnBadRow {
    /// Stop with an error that names the row.
    #[default]
    Error,
    /// Leave the row out and count it in [`Market::warnings`].
    Drop,
}

/// Which end of a bar the stamps of the files name (semantics 1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub enum TsKind {
    /// The open time, as everywhere inside.
    #[default]
    Open,
    /// The close time, `T+Δ` or the last millisecond before it; shifted to the open on reading.
    Close,
}

/// How a data directory is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadOptions {
    /// Folder of the store; `None`: `.barloom` inside the data directory, else the user's cache folder.
    pub store_dir: Option<PathBuf>,
    /// Bar length; chooses the files (`_15m`, `_1h`, …).
    pub bar_ms: i64,
    /// What to do with bad rows.
    pub on_bad_row: OnBadRow,
    /// What the stamps of the bar files mean.
    pub ts_kind: TsKind,
    /// Reads all of a store that is there and compares its checksums before it is used; otherwise it is mapped and its
    /// frame alone is checked, which takes less than a millisecond.
    pub verify_store: bool,
}

impl Default for LoadOptions {
    fn default() -> Self {
        let (on_bad_row, ts_kind) = (OnBadRow::Error, TsKind::Open);
        Self { store_dir: None, bar_ms: 900_000, on_bad_row, ts_kind, verify_store: false }
    }
}

const BAR_LENGTHS: [(&str, i64); 6] = [
    ("1m", 60_000),
    ("5m", 300_000),
    ("15m", 900_000),
    ("1h", 3_600_000),
    ("4h", 14_400_000),
    ("1d", 86_400_000),
];

/// Length of a bar by its name in file names and config.
///
/// ```
/// assert_eq!(barloom::data::bar_ms("15m"), Some(900_000));
/// assert_eq!(barloom::data::bar_ms("7m"), None);
/// ```
pub fn bar_ms(name: &str) -> Option<i64> {
    BAR_LENGTHS.iter().find(|(known, _)| *known == name).map(|&(_, ms)| ms)
}

/// Name of a bar length, the inverse of [`bar_ms`].
pub fn bar_name(ms: i64) -> Option<&'static str> {
    BAR_LENGTHS.iter().find(|&&(_, known)| known == ms).map(|&(name, _)| name)
}

/// Opens a data directory as a market of the given symbols (none given: all that have bars of this length).
///
/// The store is built on the first call, which reports its progress after every group of files; later calls map it in
/// well under a millisecond. A fault in a symbol that is not asked for stops nothing.
///
/// # Errors
/// Bad input with file, row and key; I/O errors while reading the sources or writing the store.
pub fn open_market(
    data_dir: &Path,
    symbols: &[String],
    options: &LoadOptions,
    progress: &mut dyn FnMut(BuildProgress),
) -> Result<Market> {
    let Some(bar) = bar_name(options.bar_ms) else {
        return Err(BadInput::expected("one of 1m, 5m, 15m, 1h, 4h, 1d")
            .key("general.bar")
            .found(format!("{} ms", options.bar_ms))
            .into());
    };
    let listing = Listing::scan(data_dir, bar)?;
    let selected = select(&listing, symbols)?;
    let places = place::candidates(data_dir, options.store_dir.as_deref());
    let mut warnings = Vec::new();
    for place in &places {
        match store::find(place, bar, &listing, options)? {
            Found::Same(content) => {
                if let Some(lanes) = content.lanes_of(&selected) {
                    return Ok(finish(content.into_market(&lanes), warnings));
                }
            }
            Found::Unusable(reason) => warnings.push(format!(
                "store: {} was unusable ({reason}) and has been rebuilt",
                store::bars_path(place, bar).display()
            )),
            Found::Stale | Found::Absent => {}
        }
    }
    let built = build::build(&listing, options, progress)?;
    let content = built.into_content(&selected, options)?;
    let content = store::write_to_first(&places, bar, content)?;
    let lanes = content.lanes_of(&selected).expect("into_content fails where a selected symbol is missing");
    Ok(finish(content.into_market(&lanes), warnings))
}

/// Adds what is not part of the store's contents: what happened to the store.
fn finish(mut market: Market, store_warnings: Vec<String>) -> Market {
    market.warnings.extend(store_warnings);
    market
}

/// The asked-for names in ascending order, each once; all of the directory's when none are asked for.
fn select(listing: &Listing, symbols: &[String]) -> Result<Vec<String>> {
    let known = || listing.symbols.iter().map(|files| files.name.as_str());
    if symbols.is_empty() {
        return Ok(known().map(str::to_owned).collect());
    }
    for name in symbols {
        if listing.symbol(name).is_none() {
            let fix = match nearest(name, known()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "add its bar file, or take it out of `universe.symbols`".to_owned(),
            };
            return Err(BadInput::expected(format!("a symbol with {} bars", listing.bar))
                .file(&listing.dir)
                .key("universe.symbols")
                .found(format!("`{name}`, which has no bar file"))
                .fix(fix)
                .into());
        }
    }
    let mut names = symbols.to_vec();
    names.sort();
    names.dedup();
    Ok(names)
}
