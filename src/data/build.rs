//! From the files of a directory to the contents of a store. Symbols are read side by side; what comes out does not
//! depend on how many at a time.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::LoadOptions;
use super::bars::{BarColumns, BarRules, read_bars};
use super::brackets::{BracketsBySymbol, parse_brackets};
use super::contract::parse_contract;
use super::funding::{Settlements, read_funding, settle};
use super::liquidity::{LiquidityColumns, read_liquidity};
use super::listing::{Listing, SourceFile, SymbolFiles};
use super::mmap::map_file;
use super::notes::{BuildProgress, Notes};
use super::store::{Content, SourceMeta, hex};
use super::table::Format;
use crate::error::{Error, Result, io_error};
use crate::market::{BracketTable, Contract};

/// One symbol, read and checked.
pub(crate) struct BuiltSymbol {
    pub(crate) name: String,
    pub(crate) contract: Contract,
    pub(crate) brackets: Vec<BracketTable>,
    pub(crate) bars: BarColumns,
    pub(crate) funding: Settlements,
    pub(crate) liquidity: LiquidityColumns,
    pub(crate) notes: Notes,
    /// Digest of the contents of its sources, hex.
    pub(crate) digest: String,
}

/// A directory, read: a symbol with a fault is left out and its error kept for whoever asks for it.
pub(crate) struct Built {
    pub(crate) symbols: Vec<BuiltSymbol>,
    pub(crate) failed: Vec<(String, Error)>,
    pub(crate) sources: Vec<SourceMeta>,
    /// Clock before the first source was read, epoch ns.
    pub(crate) read_ns: i64,
}

impl Built {
    /// Joins the good symbols; an error when a selected one is not among them.
    pub(crate) fn into_content(mut self, selected: &[String], options: &LoadOptions) -> Result<Box<Content>> {
        if let Some(place) = self.failed.iter().position(|(name, _)| selected.contains(name)) {
            return Err(self.failed.swap_remove(place).1);
        }
        Content::join(self, options)
    }
}

/// Reads every symbol of a directory.
pub(crate) fn build(
    listing: &Listing,
    options: &LoadOptions,
    progress: &mut dyn FnMut(BuildProgress),
) -> Result<Built> {
    let read_ns = now_ns();
    let mut report = BuildProgress { done_files: 0, total_files: listing.sources().count(), bytes_done: 0 };
    let mut bracket_source = None;
    let mut brackets = BracketsBySymbol::new();
    if let Some(file) = &listing.brackets {
        let path = listing.path(file);
        let bytes = std::fs::read(&path).map_err(|err| io_error(&path, "reading", err))?;
        brackets = parse_brackets(&path, &bytes)?;
        bracket_source = Some(SourceMeta::new(file, &hex(&Sha256::digest(&bytes))));
        report.done_files += 1;
        report.bytes_done += file.size;
    }
    let (mut symbols, mut failed, mut sources) = (Vec::new(), Vec::new(), Vec::new());
    // Groups, so that progress can be told from this thread; their size shows in no result.
    for group in listing.symbols.chunks(2 * rayon::current_num_threads()) {
        let results: Vec<(Vec<SourceMeta>, Result<BuiltSymbol>)> =
            group.par_iter().map(|files| read_symbol(listing, files, &brackets, options)).collect();
        for (files, (read, result)) in group.iter().zip(results) {
            sources.extend(read);
            match result {
                Ok(symbol) => symbols.push(symbol),
                Err(err) => failed.push((files.name.clone(), err)),
            }
            report.done_files += files.sources().count();
            report.bytes_done += files.sources().map(|file| file.size).sum::<u64>();
        }
        progress(report);
    }
    sources.extend(bracket_source);
    Ok(Built { symbols, failed, sources, read_ns })
}

/// Clock time, epoch ns.
pub(crate) fn now_ns() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i64)
}

/// Reads one symbol. The digests of its sources come back also when it has a fault.
fn read_symbol(
    listing: &Listing,
    files: &SymbolFiles,
    brackets: &BracketsBySymbol,
    options: &LoadOptions,
) -> (Vec<SourceMeta>, Result<BuiltSymbol>) {
    let mut sources: Vec<SourceMeta> = files.sources().map(|file| SourceMeta::new(file, "")).collect();
    let mut open = |file: &SourceFile, format: Option<Format>| -> Result<(PathBuf, Bytes)> {
        let path = listing.path(file);
        // Parquet is mapped and decoded in place; text is read, so that a file cut short meanwhile is no fault of
        // memory access.
        let bytes = match format {
            Some(Format::Parquet) => map_file(&path),
            _ => std::fs::read(&path).map(Bytes::from),
        };
        let bytes = bytes.map_err(|err| io_error(&path, "reading", err))?;
        let meta = sources.iter_mut().find(|meta| meta.name == file.name).expect("a file of this symbol");
        meta.sha256 = hex(&Sha256::digest(&bytes));
        Ok((path, bytes))
    };
    let result = parse_symbol(files, brackets, options, &mut open);
    let result = result.map(|mut symbol| {
        let digests = sources.iter().map(|meta| (role(files, meta), meta.sha256.as_str()));
        symbol.digest = symbol_digest(digests, &symbol.brackets);
        symbol
    });
    (sources, result)
}

fn parse_symbol(
    files: &SymbolFiles,
    brackets: &BracketsBySymbol,
    options: &LoadOptions,
    open: &mut impl FnMut(&SourceFile, Option<Format>) -> Result<(PathBuf, Bytes)>,
) -> Result<BuiltSymbol> {
    let mut notes = Notes::default();
    let rules =
        BarRules { step_ms: options.bar_ms, ts_kind: options.ts_kind, on_bad_row: options.on_bad_row };
    let (file, format) = &files.bars;
    let (path, bytes) = open(file, Some(*format))?;
    let (bars, table) = read_bars(&path, &bytes, *format, rules)?;
    notes.dropped_bars = table.dropped_rows;
    notes.extra_bar_columns = table.extra_columns;
    notes.naive_stamps = table.naive_stamps;
    let contract = match &files.contract {
        Some(file) => {
            let (path, bytes) = open(file, None)?;
            let parsed = parse_contract(&path, &bytes, &files.name)?;
            notes.absent_rules = parsed.absent.iter().map(|&key| key.to_owned()).collect();
            parsed.contract
        }
        None => {
            notes.no_contract = true;
            Contract::default()
        }
    };
    let funding = match &files.funding {
        Some((file, format)) => {
            let (path, bytes) = open(file, Some(*format))?;
            let (sink, table) = read_funding(&path, &bytes, *format, options.on_bad_row)?;
            notes.dropped_funding = table.dropped_rows;
            notes.extra_funding_columns = table.extra_columns;
            notes.naive_stamps |= table.naive_stamps;
            notes.funding_quarantined = sink.quarantined;
            settle(&sink.rows, &bars, options.bar_ms, contract.delisted_ms)
        }
        None => {
            notes.no_funding = true;
            Settlements::default()
        }
    };
    notes.funding_inside_bar = funding.inside_bar;
    notes.funding_ignored = funding.ignored;
    let mut liquidity = LiquidityColumns::default();
    if let Some((file, format)) = &files.liquidity {
        let (path, bytes) = open(file, Some(*format))?;
        let (columns, table, ignored) = read_liquidity(&path, &bytes, *format, rules, &bars)?;
        notes.dropped_liquidity = table.dropped_rows;
        notes.extra_liquidity_columns = table.extra_columns;
        notes.naive_stamps |= table.naive_stamps;
        notes.liquidity_ignored = ignored;
        liquidity = columns;
    }
    let brackets = match brackets.get(&files.name) {
        Some(Ok(tables)) => tables.clone(),
        Some(Err(fault)) => return Err(Error::BadInput(fault.clone())),
        None => Vec::new(),
    };
    notes.no_brackets = brackets.is_empty();
    let name = files.name.clone();
    Ok(BuiltSymbol { name, contract, brackets, bars, funding, liquidity, notes, digest: String::new() })
}

fn role(files: &SymbolFiles, meta: &SourceMeta) -> &'static str {
    if meta.name == files.bars.0.name {
        "bars"
    } else if files.contract.as_ref().is_some_and(|file| file.name == meta.name) {
        "contract"
    } else if files.liquidity.as_ref().is_some_and(|(file, _)| file.name == meta.name) {
        "liquidity"
    } else {
        "funding"
    }
}

/// Digest of a symbol: what its sources hold, whatever they are called.
pub(crate) fn symbol_digest<'a>(
    sources: impl Iterator<Item = (&'static str, &'a str)>,
    brackets: &[BracketTable],
) -> String {
    let mut sha = Sha256::new();
    for (role, digest) in sources {
        sha.update(role);
        sha.update(digest);
    }
    for table in brackets {
        sha.update("brackets");
        sha.update(table.valid_from_ms.unwrap_or(i64::MIN).to_le_bytes());
        for b in &table.brackets {
            for value in [b.floor_usdt, b.cap_usdt, b.maintenance_frac, b.cum_usdt, b.initial_leverage] {
                sha.update(value.to_bits().to_le_bytes());
            }
        }
    }
    hex(&sha.finalize())
}
