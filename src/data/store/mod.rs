//! The columnar store of a data directory: one Arrow IPC file per bar length, mapped into memory and used in place.
//!
//! A store is only ever replaced by rename, so one that is mapped stays whole. It is reused while its sources are the
//! same files with the same size and time; where only the times differ the contents are digested again, and the store
//! is rebuilt when they changed. Layout: `bars_15m.arrow` holds `ts` and the panels as `FixedSizeList<f64>[lanes]`
//! columns of one uncompressed record batch, `funding_….arrow` the settlements; both open in pyarrow and polars.
//! It must not know how sources are parsed. Read next: [`content`] for what is kept, [`read`] and [`write`].

mod content;
mod read;
mod write;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

pub(crate) use content::{Content, SourceMeta};

use super::LoadOptions;
use super::build::now_ns;
use super::listing::{Listing, SourceFile};
use crate::error::{Error, Result};

/// A file that changed less than this before it was read may change again without its time showing it: file systems
/// stamp with the tick of a slow clock.
const CLOCK_TICK_NS: i64 = 50_000_000;

/// What lies in a store folder.
pub(crate) enum Found {
    /// A store of these sources.
    Same(Box<Content>),
    /// A store of other sources or other options.
    Stale,
    /// A file that is no whole store of this version.
    Unusable(String),
    /// Nothing.
    Absent,
}

/// Path of the bar file.
pub(crate) fn bars_path(dir: &Path, bar: &str) -> PathBuf {
    dir.join(format!("bars_{bar}.arrow"))
}

/// Bytes as hexadecimal text.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// Looks for a usable store.
pub(crate) fn find(dir: &Path, bar: &str, listing: &Listing, options: &LoadOptions) -> Result<Found> {
    let mut content = match read::open(dir, bar) {
        Ok(content) => content,
        Err(read::Unreadable::Absent) => return Ok(Found::Absent),
        Err(read::Unreadable::Damaged(reason)) => return Ok(Found::Unusable(reason)),
    };
    let meta = &content.meta;
    let same_rules = meta.ts_kind == options.ts_kind
        && meta.step_ms == options.bar_ms
        && (meta.on_bad_row == options.on_bad_row || meta.is_clean());
    if !same_rules {
        return Ok(Found::Stale);
    }
    let sources = compare(&meta.sources, meta.read_ns, listing);
    if options.verify_store
        && !matches!(sources, Sources::Other)
        && let Some(reason) = content.damage()
    {
        return Ok(Found::Unusable(reason));
    }
    match sources {
        Sources::Same => Ok(Found::Same(content)),
        Sources::Other => Ok(Found::Stale),
        Sources::Doubtful(doubtful) => {
            let read_ns = now_ns();
            let same = doubtful.par_iter().all(|&(file, meta)| {
                std::fs::read(listing.path(file))
                    .is_ok_and(|bytes| hex(&Sha256::digest(&bytes)) == meta.sha256)
            });
            if !same {
                return Ok(Found::Stale);
            }
            // Written again with the new times, so that the next call need not read the sources. A store that cannot
            // be written is as good as before.
            content.meta.read_ns = read_ns;
            content.meta.sources = listing
                .sources()
                .zip(&content.meta.sources)
                .map(|(file, meta)| SourceMeta::new(file, &meta.sha256))
                .collect();
            let _ = write::write(dir, bar, &mut content);
            Ok(Found::Same(content))
        }
    }
}

enum Sources<'a> {
    Same,
    Other,
    /// The size is the same, the time differs or says nothing.
    Doubtful(Vec<(&'a SourceFile, &'a SourceMeta)>),
}

fn compare<'a>(known: &'a [SourceMeta], read_ns: i64, listing: &'a Listing) -> Sources<'a> {
    if known.len() != listing.sources().count() {
        return Sources::Other;
    }
    let mut doubtful = Vec::new();
    for (file, meta) in listing.sources().zip(known) {
        if file.name != meta.name || file.size != meta.size {
            return Sources::Other;
        }
        if file.mtime_ns != meta.mtime_ns || file.mtime_ns > read_ns - CLOCK_TICK_NS {
            doubtful.push((file, meta));
        }
    }
    if doubtful.is_empty() { Sources::Same } else { Sources::Doubtful(doubtful) }
}

/// Writes a store to the first folder that lets itself be written, and opens it from there.
pub(crate) fn write_to_first(
    places: &[PathBuf],
    bar: &str,
    mut content: Box<Content>,
) -> Result<Box<Content>> {
    let mut refused = None;
    for place in places {
        match write::write(place, bar, &mut content) {
            // Another builder may have replaced it already, with other contents: what was read here is what counts.
            Ok(()) => match read::open(place, bar) {
                Ok(mapped) if mapped.meta == content.meta => return Ok(mapped),
                _ => return Ok(content),
            },
            Err(Error::Io { path, doing, source }) if is_refusal(source.kind()) => {
                refused.get_or_insert(Error::Io { path, doing, source });
            }
            Err(err) => return Err(err),
        }
    }
    Err(refused.expect("there is at least one place"))
}

fn is_refusal(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem)
}

impl content::Meta {
    /// Whether the policy for bad rows made no difference.
    fn is_clean(&self) -> bool {
        self.failed.is_empty() && self.symbols.iter().all(|symbol| symbol.notes.dropped_rows() == 0)
    }
}
