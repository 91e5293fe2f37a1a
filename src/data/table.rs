//! A stamp and a few numbers per row, whatever the file format: the one shape that bars, funding and liquidity share.
//!
//! A reader checks what belongs to the format (columns, stamps, numbers that are numbers); what the numbers mean is
//! checked by the caller, row by row. Read next: [`super::csv_table`], [`super::parquet_table`].

use std::path::Path;

use bytes::Bytes;

use super::fault::{Fault, quote};
use super::stamp::Stamp;
use super::{OnBadRow, csv_table, parquet_table};
use crate::error::{BadInput, Error, Result, contained};

/// Most value columns a table may have.
pub(crate) const MAX_VALUES: usize = 7;

/// File formats of tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Comma-separated text with a header line.
    Csv,
    /// Apache Parquet.
    Parquet,
}

/// The value columns a caller wants; a row's values come in this order, required ones first.
pub(crate) struct Columns {
    /// Must be in the file.
    pub(crate) required: &'static [&'static str],
    /// May be in the file.
    pub(crate) optional: &'static [&'static str],
    /// May be in the file and are not read, without a warning.
    pub(crate) unread: &'static [&'static str],
    /// A column of words instead of numbers.
    pub(crate) words: Option<Words>,
    /// Exactly one of the optional columns must be in the file, and not at least none.
    pub(crate) exactly_one_optional: bool,
}

/// A column of words, read as the place of the word in a list.
#[derive(Clone, Copy)]
pub(crate) struct Words {
    pub(crate) column: &'static str,
    pub(crate) words: &'static [&'static str],
    /// The words, for messages.
    pub(crate) expected: &'static str,
}

impl Words {
    /// Place of a word, in any case; no word and an unknown one are faults.
    pub(crate) fn place(&self, text: &[u8]) -> std::result::Result<f64, Fault> {
        let place =
            self.words.iter().position(|word| text.trim_ascii().eq_ignore_ascii_case(word.as_bytes()));
        place.map(|place| place as f64).ok_or_else(|| Fault::new(self.column, quote(text), self.expected))
    }
}

impl Columns {
    /// Value columns in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.required.iter().chain(self.optional).copied()
    }
    /// The words of a column, where it has some.
    pub(crate) fn words_of(&self, name: &str) -> Option<Words> {
        self.words.filter(|words| words.column == name)
    }
    /// Whether a column of the file is none of ours.
    pub(crate) fn is_extra(&self, name: &str) -> bool {
        name != "ts" && !self.unread.contains(&name) && self.names().all(|known| known != name)
    }
}

/// One row: `NaN` where a value is missing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) stamp: Stamp,
    pub(crate) values: [f64; MAX_VALUES],
}

/// What there is to say about a table that was read.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct TableNotes {
    /// Whether each value column is in the file.
    pub(crate) present: [bool; MAX_VALUES],
    /// Columns nobody asked for.
    pub(crate) extra_columns: Vec<String>,
    /// Rows that were dropped.
    pub(crate) dropped_rows: u64,
    /// Rows that were accepted.
    pub(crate) rows: u64,
    /// Whether stamps without an offset were taken as UTC.
    pub(crate) naive_stamps: bool,
}

/// Reads a table row by row. A row that is bad, by the reader's or the caller's judgement, is an error or is dropped.
pub(crate) fn read_table(
    path: &Path,
    bytes: &Bytes,
    format: Format,
    columns: &Columns,
    on_bad_row: OnBadRow,
    mut on_row: impl FnMut(&Row) -> std::result::Result<(), Fault>,
) -> Result<TableNotes> {
    let mut notes = TableNotes::default();
    let mut judge = |row: std::result::Result<Row, Fault>| -> std::result::Result<bool, Fault> {
        let judged = row.and_then(|row| {
            on_row(&row)?;
            Ok(row.stamp.naive)
        });
        match judged {
            Ok(naive) => {
                notes.rows += 1;
                notes.naive_stamps |= naive;
                Ok(true)
            }
            Err(_) if on_bad_row == OnBadRow::Drop => {
                notes.dropped_rows += 1;
                Ok(false)
            }
            Err(fault) => Err(fault),
        }
    };
    let (present, extra_columns) = match format {
        Format::Csv => csv_table::read(path, bytes, columns, &mut judge)?,
        Format::Parquet => contained(
            || parquet_table::damaged(path, &"pieces that do not fit together"),
            || parquet_table::read(path, bytes, columns, &mut judge),
        )?,
    };
    notes.present = present;
    notes.extra_columns = extra_columns;
    Ok(notes)
}

/// What a reader finds out about the columns: which of ours are there, and which others.
pub(crate) type Found = ([bool; MAX_VALUES], Vec<String>);

/// Where each of our columns is among the file's.
pub(crate) struct Places {
    pub(crate) ts: usize,
    pub(crate) values: [Option<usize>; MAX_VALUES],
    pub(crate) found: Found,
}

/// Finds our columns among the file's names, in any order and any case.
pub(crate) fn locate(path: &Path, row: Option<u64>, header: &[String], columns: &Columns) -> Result<Places> {
    let bad = |key: &str, expected: String| -> Error {
        let mut bad = BadInput::expected(expected)
            .file(path)
            .key(key)
            .found(format!("columns {}", header.join(",")))
            .fix("name the columns in the first line, or bring the file into this layout with `barloom import`");
        bad.row = row;
        bad.into()
    };
    let names: Vec<String> = header.iter().map(|name| name.trim().to_ascii_lowercase()).collect();
    let place = |wanted: &str| -> Result<Option<usize>> {
        let mut places = names.iter().enumerate().filter(|(_, name)| *name == wanted).map(|(place, _)| place);
        let first = places.next();
        if places.next().is_some() {
            return Err(bad(wanted, format!("one column `{wanted}`")));
        }
        Ok(first)
    };
    let required = |wanted: &str| -> Result<usize> {
        place(wanted)?.ok_or_else(|| bad(wanted, format!("a column `{wanted}`")))
    };
    let mut places = Places { ts: required("ts")?, values: [None; MAX_VALUES], found: Found::default() };
    for (slot, &name) in columns.required.iter().enumerate() {
        places.values[slot] = Some(required(name)?);
    }
    for (slot, &name) in columns.optional.iter().enumerate() {
        places.values[columns.required.len() + slot] = place(name)?;
    }
    let optional = places.values.iter().skip(columns.required.len()).flatten().count();
    if columns.exactly_one_optional && optional != 1 {
        let names: Vec<String> = columns.optional.iter().map(|name| format!("`{name}`")).collect();
        return Err(bad(columns.optional[0], format!("one column of {}", names.join(" and "))));
    }
    for (slot, place) in places.values.iter().enumerate() {
        places.found.0[slot] = place.is_some();
    }
    places.found.1 = names.into_iter().filter(|name| columns.is_extra(name)).collect();
    Ok(places)
}
