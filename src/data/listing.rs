//! What is in a data directory: which file is whose, with size and time, and nothing of what the files hold.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::BAR_LENGTHS;
use super::table::Format;
use crate::error::{BadInput, Error, Result, io_error};

/// A source file as the file system sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceFile {
    /// File name inside the directory.
    pub(crate) name: String,
    pub(crate) size: u64,
    /// Time of the last change, epoch ns.
    pub(crate) mtime_ns: i64,
}

/// Files of one symbol that has bars of the wanted length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SymbolFiles {
    pub(crate) name: String,
    pub(crate) bars: (SourceFile, Format),
    pub(crate) funding: Option<(SourceFile, Format)>,
    pub(crate) contract: Option<SourceFile>,
    pub(crate) liquidity: Option<(SourceFile, Format)>,
}

/// A data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(crate) dir: PathBuf,
    /// Name of the bar length, e.g. `15m`.
    pub(crate) bar: &'static str,
    /// In ascending name order.
    pub(crate) symbols: Vec<SymbolFiles>,
    pub(crate) brackets: Option<SourceFile>,
}

#[derive(Default)]
struct Partial {
    bars: Option<(SourceFile, Format)>,
    funding: Option<(SourceFile, Format)>,
    contract: Option<SourceFile>,
    liquidity: Option<(SourceFile, Format)>,
}

impl Listing {
    /// Lists a directory.
    pub(crate) fn scan(dir: &Path, bar: &'static str) -> Result<Self> {
        let mut partials: BTreeMap<String, Partial> = BTreeMap::new();
        let mut brackets = None;
        let mut other_bars = Vec::new();
        for entry in std::fs::read_dir(dir).map_err(|err| io_error(dir, "listing", err))? {
            let entry = entry.map_err(|err| io_error(dir, "listing", err))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if name == "brackets.json" {
                brackets = Some(source(&entry, name)?);
                continue;
            }
            let Some(role) = Role::of(&name, bar) else { continue };
            let symbol = role.symbol.to_owned();
            match role.kind {
                Kind::OtherBars(length) => {
                    if !other_bars.contains(&length) {
                        other_bars.push(length);
                    }
                }
                Kind::Bars(format) => {
                    let slot = &mut partials.entry(symbol).or_default().bars;
                    fill(dir, slot, source(&entry, name)?, format)?;
                }
                Kind::Funding(format) => {
                    let slot = &mut partials.entry(symbol).or_default().funding;
                    fill(dir, slot, source(&entry, name)?, format)?;
                }
                Kind::Liquidity(format) => {
                    let slot = &mut partials.entry(symbol).or_default().liquidity;
                    fill(dir, slot, source(&entry, name)?, format)?;
                }
                Kind::Contract => {
                    partials.entry(symbol).or_default().contract = Some(source(&entry, name)?);
                }
            }
        }
        let symbols: Vec<SymbolFiles> = partials
            .into_iter()
            .filter_map(|(name, partial)| {
                let Partial { bars, funding, contract, liquidity } = partial;
                Some(SymbolFiles { name, bars: bars?, funding, contract, liquidity })
            })
            .collect();
        if symbols.is_empty() {
            return Err(no_bars(dir, bar, other_bars));
        }
        Ok(Self { dir: dir.to_path_buf(), bar, symbols, brackets })
    }

    /// Files of a symbol.
    pub(crate) fn symbol(&self, name: &str) -> Option<&SymbolFiles> {
        let place = self.symbols.binary_search_by(|files| files.name.as_str().cmp(name)).ok()?;
        Some(&self.symbols[place])
    }

    /// All source files, in an order that only depends on their names.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &SourceFile> {
        self.symbols.iter().flat_map(SymbolFiles::sources).chain(&self.brackets)
    }

    /// Path of a source file.
    pub(crate) fn path(&self, source: &SourceFile) -> PathBuf {
        self.dir.join(&source.name)
    }
}

impl SymbolFiles {
    /// Bars, funding, contract, liquidity.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &SourceFile> {
        let [funding, liquidity] =
            [&self.funding, &self.liquidity].map(|table| table.as_ref().map(|(file, _)| file));
        [Some(&self.bars.0), funding, self.contract.as_ref(), liquidity].into_iter().flatten()
    }
}

fn no_bars(dir: &Path, bar: &str, mut other_bars: Vec<&'static str>) -> Error {
    other_bars.sort_by_key(|name| BAR_LENGTHS.iter().position(|(known, _)| known == name));
    let bad =
        BadInput::expected(format!("files named {{SYMBOL}}_{bar}.csv or {{SYMBOL}}_{bar}.parquet")).file(dir);
    if other_bars.is_empty() {
        bad.found("no bar files")
            .fix("check the path, or fill the folder with `barloom import` or `barloom synth`")
    } else {
        bad.found(format!("bars of {} only", other_bars.join(", "))).fix("set `general.bar` to one of these")
    }
    .into()
}

fn fill(dir: &Path, slot: &mut Option<(SourceFile, Format)>, file: SourceFile, format: Format) -> Result<()> {
    if let Some((other, _)) = slot {
        let mut names = [other.name.as_str(), file.name.as_str()];
        names.sort_unstable();
        return Err(BadInput::expected("one of the two")
            .file(dir.join(names[0]))
            .found(format!("also {}", names[1]))
            .fix("remove one of them")
            .into());
    }
    *slot = Some((file, format));
    Ok(())
}

fn source(entry: &std::fs::DirEntry, name: String) -> Result<SourceFile> {
    let read = || -> std::io::Result<(u64, i64)> {
        let mut meta = entry.metadata()?;
        if meta.file_type().is_symlink() {
            meta = std::fs::metadata(entry.path())?;
        }
        let mtime_ns = match meta.modified()?.duration_since(UNIX_EPOCH) {
            Ok(after) => after.as_nanos() as i64,
            Err(before) => -(before.duration().as_nanos() as i64),
        };
        Ok((meta.len(), mtime_ns))
    };
    let (size, mtime_ns) = read().map_err(|err| io_error(entry.path(), "reading", err))?;
    Ok(SourceFile { name, size, mtime_ns })
}

struct Role<'a> {
    symbol: &'a str,
    kind: Kind,
}

enum Kind {
    Bars(Format),
    OtherBars(&'static str),
    Funding(Format),
    Liquidity(Format),
    Contract,
}

impl<'a> Role<'a> {
    /// What a file name says, `None` for files that are none of ours.
    fn of(name: &'a str, bar: &str) -> Option<Self> {
        let (stem, extension) = name.rsplit_once('.')?;
        let (symbol, what) = stem.rsplit_once('_')?;
        if symbol.is_empty() || symbol.starts_with('.') {
            return None;
        }
        let table = match extension {
            "csv" => Some(Format::Csv),
            "parquet" => Some(Format::Parquet),
            _ => None,
        };
        let kind = match (what, table) {
            ("contract", None) if extension == "json" => Kind::Contract,
            ("funding", Some(format)) => Kind::Funding(format),
            ("liquidity", Some(format)) => Kind::Liquidity(format),
            (length, Some(format)) if length == bar => Kind::Bars(format),
            (length, Some(_)) => Kind::OtherBars(BAR_LENGTHS.iter().find(|(known, _)| *known == length)?.0),
            _ => return None,
        };
        Some(Self { symbol, kind })
    }
}
