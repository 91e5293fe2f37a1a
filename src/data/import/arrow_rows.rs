//! Parquet and Arrow IPC (Feather) into rows, batch by batch.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType, TimeUnit};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::columns::{Binding, Rows, column_names};
use super::names::Role;
use super::stamp::{epoch_ms, parse_stamp};
use super::{Judged, TsKind};
use crate::error::{BadInput, Error, Result, io_error};

/// Reads all rows of a Parquet file; rows count from 0.
pub(super) fn read_parquet(path: &Path, role: Role, source: u32) -> Result<(Rows, Option<TsKind>)> {
    let file = File::open(path).map_err(|e| io_error(path, "reading", e))?;
    let broken = |e: &dyn std::fmt::Display| not_readable(path, "a whole Parquet file", e);
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(ParquetRecordBatchReaderBuilder::build)
        .map_err(|e| broken(&e))?;
    collect(path, role, source, reader)
}

/// Reads all rows of an Arrow IPC file or stream; rows count from 0.
pub(super) fn read_ipc(path: &Path, role: Role, source: u32) -> Result<(Rows, Option<TsKind>)> {
    let read = |e| io_error(path, "reading", e);
    let mut file = BufReader::new(File::open(path).map_err(read)?);
    let mut magic = [0; 6];
    let is_file = file.read_exact(&mut magic).is_ok() && &magic == b"ARROW1";
    file.seek(SeekFrom::Start(0)).map_err(read)?;
    let broken = |e: ArrowError| not_readable(path, "a whole Arrow IPC (Feather version 2) file", &e);
    if is_file {
        let reader = arrow_ipc::reader::FileReader::try_new(file, None).map_err(broken)?;
        collect(path, role, source, reader)
    } else {
        let reader = arrow_ipc::reader::StreamReader::try_new(file, None).map_err(broken)?;
        collect(path, role, source, reader)
    }
}

fn not_readable(path: &Path, expected: &str, found: &dyn std::fmt::Display) -> Error {
    let fix = "fetch or export it again, uncompressed or with snappy, lz4 or zstd";
    BadInput::expected(expected).file(path).found(found.to_string()).fix(fix).into()
}

fn collect(
    path: &Path,
    role: Role,
    source: u32,
    batches: impl Iterator<Item = std::result::Result<RecordBatch, ArrowError>>,
) -> Result<(Rows, Option<TsKind>)> {
    let mut rows = Rows::new(role);
    let mut stamp_kind = None;
    for batch in batches {
        let batch = batch.map_err(|e| not_readable(path, "a readable table", &e))?;
        let schema = batch.schema();
        let header: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let binding = Binding::new(role, &header).map_err(|bad| bad.file(path))?;
        stamp_kind = binding.stamp_kind;
        append(&mut rows, &batch, &binding, source).map_err(|bad| bad.file(path))?;
    }
    Ok((rows, stamp_kind))
}

fn append(rows: &mut Rows, batch: &RecordBatch, binding: &Binding, source: u32) -> Judged<()> {
    let (stamp_column, stamp_name) = &binding.stamp;
    let stamps = stamps(batch.column(*stamp_column)).map_err(|found| {
        BadInput::expected("a UTC timestamp, a date, or an epoch number").key(stamp_name).found(found)
    })?;
    let names = column_names(rows.role);
    let columns = binding
        .values
        .iter()
        .zip(names)
        .map(|(&(column, required), name)| match column {
            Some(column) => numbers(batch.column(column), required).map_err(|(row, found)| {
                let bad = BadInput::expected("a number").key(name).found(found);
                bad.row((rows.len() + row) as u64).into()
            }),
            None => Ok(vec![f64::NAN; batch.num_rows()]),
        })
        .collect::<Judged<Vec<Vec<f64>>>>()?;
    let first = rows.len();
    let mut values = vec![0.0; columns.len()];
    for (row, stamp) in stamps.into_iter().enumerate() {
        let place = (first + row) as u64;
        let Some(ts_ms) = stamp else {
            let bad = BadInput::expected("a UTC time").row(place).key(stamp_name);
            return Err(bad.found("nothing, or no time").into());
        };
        for (value, column) in values.iter_mut().zip(&columns) {
            *value = column[row];
        }
        rows.push(ts_ms, &values, (source, place))?;
    }
    Ok(())
}

/// Stamps as epoch ms, `None` where there is none; the error is the type that cannot be a stamp.
fn stamps(array: &dyn Array) -> std::result::Result<Vec<Option<i64>>, String> {
    let wrong = || format!("a column of type {}", array.data_type());
    let integers = |array: &dyn Array| -> std::result::Result<Vec<Option<i64>>, String> {
        let array = cast(array, &DataType::Int64).map_err(|_| wrong())?;
        Ok(array.as_primitive::<Int64Type>().iter().collect())
    };
    let scaled = |array: &dyn Array, scale: fn(i64) -> Option<i64>| {
        Ok(integers(array)?.into_iter().map(|stamp| stamp.and_then(scale)).collect())
    };
    match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => scaled(array, |stamp| stamp.checked_mul(1_000)),
        DataType::Timestamp(TimeUnit::Millisecond, _) => integers(array),
        DataType::Timestamp(TimeUnit::Microsecond, _) => scaled(array, |stamp| Some(stamp.div_euclid(1_000))),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            scaled(array, |stamp| Some(stamp.div_euclid(1_000_000)))
        }
        DataType::Date32 | DataType::Date64 => {
            let millis = DataType::Timestamp(TimeUnit::Millisecond, None);
            integers(&cast(array, &millis).map_err(|_| wrong())?)
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let text = cast(array, &DataType::Utf8).map_err(|_| wrong())?;
            Ok(text.as_string::<i32>().iter().map(|text| text.and_then(parse_stamp)).collect())
        }
        number if number.is_numeric() => scaled(array, epoch_ms),
        _ => Err(wrong()),
    }
}

/// Numbers as f64, `NaN` for null where a value is optional; the error is the row and what stands there.
fn numbers(array: &dyn Array, required: bool) -> std::result::Result<Vec<f64>, (usize, String)> {
    let wrong = |_| (0, format!("a column of type {}", array.data_type()));
    let floats = cast(array, &DataType::Float64).map_err(wrong)?;
    let floats = floats.as_primitive::<Float64Type>();
    let mut out = Vec::with_capacity(floats.len());
    for (row, value) in floats.iter().enumerate() {
        match value {
            None if required || array.is_valid(row) => return Err((row, "nothing, or no number".to_owned())),
            value => out.push(value.unwrap_or(f64::NAN)),
        }
    }
    Ok(out)
}
