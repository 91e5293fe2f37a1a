//! Sources: folders, files and zip archives into a list of tables to read and files to carry over.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use zip::ZipArchive;
use zip::result::ZipError;

use super::names::{Named, Role, parse_name};
use super::{ImportOptions, Judged, Skipped};
use crate::error::{BadInput, Error, Result, io_error};

/// File format of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Csv,
    Parquet,
    Arrow,
}

/// One table to read.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    /// File to open.
    pub(super) file: PathBuf,
    /// Entry of the archive, where the file is one.
    pub(super) entry: Option<usize>,
    /// Name for messages: the file, or archive and entry.
    pub(super) shown: PathBuf,
    pub(super) format: Format,
    pub(super) symbol: String,
    pub(super) role: Role,
    pub(super) bar_ms: Option<i64>,
}

/// Everything found in the sources.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) pieces: Vec<Piece>,
    /// Contracts, brackets and liquidity tables: name and file.
    pub(super) companions: Vec<(String, PathBuf)>,
    pub(super) skipped: Vec<Skipped>,
}

const KNOWN: &str = "a .csv, .parquet, .arrow, .feather or .zip file";

/// Lists what the sources hold. A named file that cannot be used is an error, one found in a folder is skipped.
pub(super) fn collect(sources: &[PathBuf], out: &Path, options: &ImportOptions) -> Result<Found> {
    let mut found = Found::default();
    let out = out.canonicalize().ok();
    for source in sources {
        let metadata = fs::metadata(source).map_err(|e| io_error(source, "reading", e))?;
        if metadata.is_dir() {
            let mut files = Vec::new();
            walk(source, out.as_deref(), &mut files)?;
            for file in files {
                if let Some(bad) = add(&mut found, &file, options)? {
                    let reason = format!("{}; expected {}", bad.found.unwrap_or_default(), bad.expected);
                    found.skipped.push(Skipped { path: file, reason });
                }
            }
        } else if let Some(bad) = add(&mut found, source, options)? {
            return Err(bad.into());
        }
    }
    Ok(found)
}

/// Files below a folder by ascending path; hidden ones and the folder of the output are left out.
fn walk(folder: &Path, out: Option<&Path>, files: &mut Vec<PathBuf>) -> Result<()> {
    let read = |e| io_error(folder, "reading", e);
    let mut entries = fs::read_dir(folder).map_err(read)?.collect::<io::Result<Vec<_>>>().map_err(read)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        // A link to a folder is not followed, since it may lead back here.
        if entry.file_type().map_err(read)?.is_dir() {
            if out.is_none() || path.canonicalize().ok().as_deref() != out {
                walk(&path, out, files)?;
            }
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

fn extension(name: &str) -> String {
    name.rsplit_once('.').map_or(String::new(), |(_, extension)| extension.to_ascii_lowercase())
}

/// Takes up a file; says what is wrong with it when it is whole but of no use here.
fn add(found: &mut Found, file: &Path, options: &ImportOptions) -> Result<Option<BadInput>> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let format = match extension(&name).as_str() {
        "zip" => return add_archive(found, file, &name, options),
        "csv" => Some(Format::Csv),
        "parquet" => Some(Format::Parquet),
        "arrow" | "feather" | "ipc" => Some(Format::Arrow),
        _ => None,
    };
    let named = parse_name(&name, file.parent().unwrap_or(Path::new("")));
    if named == Named::Companion {
        found.companions.push((name, file.to_path_buf()));
        return Ok(None);
    }
    let Some(format) = format else {
        return Ok(Some(BadInput::expected(KNOWN).file(file).found("another kind of file")));
    };
    let piece = |symbol, role, bar_ms| Piece {
        file: file.to_path_buf(),
        entry: None,
        shown: file.to_path_buf(),
        format,
        symbol,
        role,
        bar_ms,
    };
    Ok(table(named, file, options, piece).map(|piece| found.pieces.push(piece)).err().map(|bad| *bad))
}

fn add_archive(
    found: &mut Found,
    file: &Path,
    name: &str,
    options: &ImportOptions,
) -> Result<Option<BadInput>> {
    let archive = open_archive(file)?;
    let folder = file.parent().unwrap_or(Path::new(""));
    let entries = (0..archive.len())
        .filter_map(|index| archive.name_for_index(index))
        .map(|name| Ok(name.map_err(|e| zip_error(file, e))?.into_owned()))
        .collect::<Result<Vec<String>>>()?;
    let mut tables = 0;
    for (index, entry) in entries.iter().enumerate() {
        let shown = file.join(entry);
        if extension(entry) != "csv" || entry.starts_with("__MACOSX") {
            if !entry.ends_with('/') {
                found
                    .skipped
                    .push(Skipped { path: shown, reason: "archives are read for .csv files".into() });
            }
            continue;
        }
        let entry_name = entry.rsplit('/').next().unwrap_or(entry);
        let mut named = parse_name(entry_name, &folder.join(entry));
        if matches!(named, Named::Table { symbol: None, .. }) {
            named = parse_name(name, folder);
        }
        let piece = |symbol, role, bar_ms| Piece {
            file: file.to_path_buf(),
            entry: Some(index),
            shown: shown.clone(),
            format: Format::Csv,
            symbol,
            role,
            bar_ms,
        };
        match table(named, &shown, options, piece) {
            Ok(piece) => found.pieces.push(piece),
            Err(bad) => return Ok(Some(*bad)),
        }
        tables += 1;
    }
    let none = BadInput::expected("an archive with a .csv file").file(file).found("none in it");
    Ok((tables == 0).then_some(none))
}

fn table(
    named: Named,
    shown: &Path,
    options: &ImportOptions,
    piece: impl FnOnce(String, Role, Option<i64>) -> Piece,
) -> Judged<Piece> {
    let Named::Table { symbol, role, bar_ms } = named else {
        return Err(BadInput::expected("bars or funding records")
            .file(shown)
            .found("the name of another kind of table")
            .fix("leave it out")
            .into());
    };
    let symbol = options.symbol.clone().or(symbol).ok_or_else(|| {
        BadInput::expected("a name such as BTCUSDT_15m.csv or BTCUSDT-15m-2023-01.zip")
            .file(shown)
            .found("no symbol in the file's name")
            .fix("rename it, or say which symbol it is with --symbol")
    })?;
    Ok(piece(symbol, role, bar_ms))
}

fn open_archive(file: &Path) -> Result<ZipArchive<BufReader<File>>> {
    let opened = File::open(file).map_err(|e| io_error(file, "reading", e))?;
    ZipArchive::new(BufReader::new(opened)).map_err(|e| zip_error(file, e))
}

fn zip_error(file: &Path, error: ZipError) -> Error {
    match error {
        ZipError::Io(error) => read_error(file, true, error),
        other => broken_archive(file, &other),
    }
}

fn broken_archive(file: &Path, found: &dyn std::fmt::Display) -> Error {
    BadInput::expected("a whole zip archive")
        .file(file)
        .found(found.to_string())
        .fix("it may be cut off: fetch it again")
        .into()
}

/// An I/O error met while reading: inside an archive, a short or garbled stream is the file's fault.
pub(super) fn read_error(path: &Path, in_archive: bool, error: io::Error) -> Error {
    use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    match error.kind() {
        InvalidData | InvalidInput | Other | UnexpectedEof if in_archive => broken_archive(path, &error),
        _ => io_error(path, "reading", error),
    }
}

/// Opens a CSV piece and hands its bytes to `read`.
pub(super) fn with_bytes<T>(piece: &Piece, read: impl FnOnce(&mut dyn Read) -> Result<T>) -> Result<T> {
    let Some(index) = piece.entry else {
        let mut file = File::open(&piece.file).map_err(|e| io_error(&piece.file, "reading", e))?;
        return read(&mut file);
    };
    let mut archive = open_archive(&piece.file)?;
    let mut entry = archive.by_index(index).map_err(|e| zip_error(&piece.shown, e))?;
    read(&mut entry)
}
