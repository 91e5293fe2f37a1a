//! CSV to rows.

use std::path::Path;

use csv::ByteRecord;

use super::fault::{FILE_FIX, Fault, quote};
use super::stamp;
use super::table::{Columns, Found, MAX_VALUES, Places, Row, locate};
use crate::error::{BadInput, Error, Result};

/// Reads a CSV file with a header line; `judge` says whether a row is taken.
pub(crate) fn read(
    path: &Path,
    bytes: &[u8],
    columns: &Columns,
    judge: &mut impl FnMut(std::result::Result<Row, Fault>) -> std::result::Result<bool, Fault>,
) -> Result<Found> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
    let mut record = ByteRecord::new();
    if !read_record(path, &mut reader, &mut record)? {
        return Err(BadInput::expected("a header line and rows")
            .file(path)
            .row(1)
            .key("ts")
            .found("an empty file")
            .fix(FILE_FIX)
            .into());
    }
    let header: Vec<String> =
        record.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
    let places = locate(path, Some(1), &header, columns)?;
    let names: Vec<&'static str> = columns.names().collect();
    while read_record(path, &mut reader, &mut record)? {
        if let Err(fault) = judge(parse_row(&record, &places, columns, &names, header.len())) {
            let start = record.position().map_or(0, csv::Position::byte) as usize;
            return Err(fault.at(path, line_of(bytes, start)));
        }
    }
    Ok(places.found)
}

fn read_record(path: &Path, reader: &mut csv::Reader<&[u8]>, record: &mut ByteRecord) -> Result<bool> {
    reader.read_byte_record(record).map_err(|err| -> Error {
        BadInput::expected("comma-separated text").file(path).found(err.to_string()).fix(FILE_FIX).into()
    })
}

fn parse_row(
    record: &ByteRecord,
    places: &Places,
    columns: &Columns,
    names: &[&'static str],
    width: usize,
) -> std::result::Result<Row, Fault> {
    if record.len() != width {
        let found = format!("{} fields", record.len());
        return Err(Fault::new("ts", found, format!("{width} fields, as in the header")));
    }
    let text = &record[places.ts];
    let stamp = stamp::parse(text).ok_or_else(|| Fault::new("ts", quote(text), stamp::EXPECTED))?;
    let mut values = [f64::NAN; MAX_VALUES];
    for ((value, place), name) in values.iter_mut().zip(places.values).zip(names) {
        if let Some(place) = place {
            *value = match columns.words_of(name) {
                Some(words) => words.place(&record[place])?,
                None => parse_number(&record[place])
                    .ok_or_else(|| Fault::new(name, quote(&record[place]), "a number"))?,
            };
        }
    }
    Ok(Row { stamp, values })
}

/// The number of a field, correctly rounded; `NaN` where the field is empty.
fn parse_number(field: &[u8]) -> Option<f64> {
    let field = field.trim_ascii();
    if field.is_empty() {
        return Some(f64::NAN);
    }
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// Line number of the record that starts at or after `start`: blank lines before it are skipped.
fn line_of(bytes: &[u8], start: usize) -> u64 {
    let blank = bytes[start..].iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
    1 + bytes[..start + blank].iter().filter(|&&byte| byte == b'\n').count() as u64
}
