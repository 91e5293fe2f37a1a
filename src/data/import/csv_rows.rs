//! CSV text into rows, with or without a header.

use std::io::Read;
use std::path::Path;

use csv::ByteRecord;

use super::columns::{Binding, Rows, column_names, implied_header};
use super::names::Role;
use super::stamp::parse_stamp;
use super::{Judged, TsKind, sources};
use crate::error::{BadInput, Error, Result};

/// Reads all rows; `source` is the number under which the origin of the rows is kept.
///
/// Returns the rows and what the name of the stamp column says about them.
pub(super) fn read(
    path: &Path,
    in_archive: bool,
    reader: impl Read,
    role: Role,
    source: u32,
) -> Result<(Rows, Option<TsKind>)> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(reader);
    let mut record = ByteRecord::new();
    let mut rows = Rows::new(role);
    let mut bound: Option<(Binding, usize)> = None;
    let mut values = Vec::new();
    let bad = |bad: Box<BadInput>| Error::from(bad.file(path));
    while next(&mut reader, &mut record, path, in_archive)? {
        let row = record.position().map_or(1, csv::Position::line);
        let Some((binding, width)) = &bound else {
            let (binding, is_header) = bind(role, &record).map_err(|e| bad(e.row(row).into()))?;
            if !is_header {
                parse_row(role, &binding, &record, row, &mut values)
                    .and_then(|ts_ms| rows.push(ts_ms, &values, (source, row)))
                    .map_err(bad)?;
            }
            bound = Some((binding, record.len()));
            continue;
        };
        if record.len() != *width {
            return Err(bad(BadInput::expected(format!("{width} as in the first row"))
                .row(row)
                .found(format!("{} fields", record.len()))
                .fix("the file may be cut off: fetch or export it again")
                .into()));
        }
        parse_row(role, binding, &record, row, &mut values)
            .and_then(|ts_ms| rows.push(ts_ms, &values, (source, row)))
            .map_err(bad)?;
    }
    Ok((rows, bound.and_then(|(binding, _)| binding.stamp_kind)))
}

fn next(
    reader: &mut csv::Reader<impl Read>,
    record: &mut ByteRecord,
    path: &Path,
    in_archive: bool,
) -> Result<bool> {
    reader.read_byte_record(record).map_err(|e| {
        let row = e.position().map(csv::Position::line);
        match e.into_kind() {
            csv::ErrorKind::Io(e) => sources::read_error(path, in_archive, e),
            other => {
                let mut bad = BadInput::expected("CSV text").file(path).found(format!("{other:?}"));
                bad.row = row;
                bad.into()
            }
        }
    })
}

/// Binds the first record: a header, or a row whose columns are implied by their number.
fn bind(role: Role, first: &ByteRecord) -> Judged<(Binding, bool)> {
    let fields: Vec<String> = first.iter().map(|field| text(field).trim().to_owned()).collect();
    let headed = parse_stamp(&fields[0]).is_none();
    if headed {
        let mut header: Vec<&str> = fields.iter().map(String::as_str).collect();
        header[0] = header[0].trim_start_matches('\u{feff}');
        return Ok((Binding::new(role, &header)?, true));
    }
    let implied = implied_header(role, fields.len()).ok_or_else(|| {
        let expected =
            if role == Role::Funding { "3 (funding archive) or 2" } else { "12 (kline archive) or 6" };
        BadInput::expected(format!("{expected} columns, or a header that names them"))
            .found(format!("{} columns without a header", fields.len()))
            .fix("add a header row such as ts,open,high,low,close,volume")
    })?;
    Ok((Binding::new(role, &implied.split(',').collect::<Vec<_>>())?, false))
}

fn text(field: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(field)
}

/// Fills `values` and returns the stamp.
fn parse_row(
    role: Role,
    binding: &Binding,
    record: &ByteRecord,
    row: u64,
    values: &mut Vec<f64>,
) -> Judged<i64> {
    let stamp = text(&record[binding.stamp.0]);
    let ts_ms = parse_stamp(&stamp).ok_or_else(|| {
        BadInput::expected("a UTC time such as 2021-06-01 00:00:00+00:00, or epoch milliseconds")
            .row(row)
            .key(&binding.stamp.1)
            .found(if stamp.trim().is_empty() { "nothing".to_owned() } else { stamp.to_string() })
    })?;
    values.clear();
    for (&(column, required), name) in binding.values.iter().zip(column_names(role)) {
        let cell = column.map_or("".into(), |column| text(&record[column]));
        let cell = cell.trim();
        values.push(match cell.parse::<f64>() {
            _ if cell.is_empty() && !required => f64::NAN,
            Ok(value) => value,
            Err(_) => {
                let found = if cell.is_empty() { "nothing" } else { cell };
                let bad = BadInput::expected("a number").row(row).key(name).found(found);
                return Err(bad.fix("remove or mend the row").into());
            }
        });
    }
    Ok(ts_ms)
}
