//! Parquet to rows: decoded batch by batch from the mapped file, only the columns that are wanted.

use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float64Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use arrow_array::{Array, Float64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, TimeUnit};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::fault::{FILE_FIX, Fault};
use super::stamp::{self, Stamp};
use super::table::{Columns, Found, MAX_VALUES, Row, Words, locate};
use crate::error::{BadInput, Error, Result};

const BATCH_ROWS: usize = 16_384;

/// Reads a Parquet file; `judge` says whether a row is taken. Rows count from 0.
pub(crate) fn read(
    path: &Path,
    bytes: &Bytes,
    columns: &Columns,
    judge: &mut impl FnMut(std::result::Result<Row, Fault>) -> std::result::Result<bool, Fault>,
) -> Result<Found> {
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).map_err(|err| damaged(path, &err))?;
    let header: Vec<String> = builder.schema().fields().iter().map(|field| field.name().clone()).collect();
    let places = locate(path, None, &header, columns)?;
    let wanted = places.values.iter().flatten().copied().chain([places.ts]);
    let mask = ProjectionMask::roots(builder.parquet_schema(), wanted);
    let reader = builder
        .with_projection(mask)
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(|err| damaged(path, &err))?;
    let names: Vec<&'static str> = columns.names().collect();
    let mut row_number = 0;
    for batch in reader {
        let batch = batch.map_err(|err| damaged(path, &err))?;
        let stamps = Stamps::of(path, &batch, &header[places.ts])?;
        let mut values: Vec<(usize, Float64Array)> = Vec::with_capacity(MAX_VALUES);
        let mut texts: Option<(usize, Words, StringArray)> = None;
        for (slot, place) in places.values.iter().enumerate() {
            let Some(place) = *place else { continue };
            let (name, key) = (&header[place], names[slot]);
            match columns.words_of(key) {
                Some(words) => texts = Some((slot, words, text(path, &batch, name, key)?)),
                None => values.push((slot, numbers(path, &batch, name, key)?)),
            }
        }
        for i in 0..batch.num_rows() {
            let row = stamps.get(i).and_then(|stamp| {
                let mut row = Row { stamp, values: [f64::NAN; MAX_VALUES] };
                for (slot, column) in &values {
                    row.values[*slot] = if column.is_valid(i) { column.value(i) } else { f64::NAN };
                }
                if let Some((slot, words, column)) = &texts {
                    let word = if column.is_valid(i) { column.value(i) } else { "" };
                    row.values[*slot] = words.place(word.as_bytes())?;
                }
                Ok(row)
            });
            judge(row).map_err(|fault| fault.at(path, row_number))?;
            row_number += 1;
        }
    }
    Ok(places.found)
}

pub(crate) fn damaged(path: &Path, err: &dyn std::fmt::Display) -> Error {
    BadInput::expected("a complete Parquet file").file(path).found(err.to_string()).fix(FILE_FIX).into()
}

fn wrong_type(path: &Path, key: &str, found: &DataType, expected: &str) -> Error {
    BadInput::expected(expected)
        .file(path)
        .key(key)
        .found(format!("type {found}"))
        .fix("write the column with that type")
        .into()
}

fn numbers(path: &Path, batch: &RecordBatch, name: &str, key: &str) -> Result<Float64Array> {
    let column = batch.column_by_name(name).ok_or_else(|| damaged(path, &"a column without data"))?;
    if !column.data_type().is_numeric() {
        return Err(wrong_type(path, key, column.data_type(), "numbers"));
    }
    let column = arrow_cast::cast(column, &DataType::Float64).map_err(|err| damaged(path, &err))?;
    Ok(column.as_primitive::<Float64Type>().clone())
}

fn text(path: &Path, batch: &RecordBatch, name: &str, key: &str) -> Result<StringArray> {
    let column = batch.column_by_name(name).ok_or_else(|| damaged(path, &"a column without data"))?;
    let is_text = |of: &DataType| matches!(of, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let fits = match column.data_type() {
        DataType::Dictionary(_, words) => is_text(words),
        other => is_text(other),
    };
    if !fits {
        return Err(wrong_type(path, key, column.data_type(), "text"));
    }
    let column = arrow_cast::cast(column, &DataType::Utf8).map_err(|err| damaged(path, &err))?;
    Ok(column.as_string::<i32>().clone())
}

/// The stamp column of a batch.
struct Stamps {
    values: arrow_buffer::ScalarBuffer<i64>,
    nulls: Option<arrow_buffer::NullBuffer>,
    unit: Unit,
    naive: bool,
}

enum Unit {
    Epoch,
    Timestamp(TimeUnit),
}

impl Stamps {
    fn of(path: &Path, batch: &RecordBatch, name: &str) -> Result<Self> {
        let column = batch.column_by_name(name).ok_or_else(|| damaged(path, &"a column without data"))?;
        let (values, unit, naive) = match column.data_type() {
            DataType::Int64 => (column.as_primitive::<Int64Type>().values().clone(), Unit::Epoch, false),
            DataType::Timestamp(unit, zone) => {
                let values = match unit {
                    TimeUnit::Second => column.as_primitive::<TimestampSecondType>().values().clone(),
                    TimeUnit::Millisecond => {
                        column.as_primitive::<TimestampMillisecondType>().values().clone()
                    }
                    TimeUnit::Microsecond => {
                        column.as_primitive::<TimestampMicrosecondType>().values().clone()
                    }
                    TimeUnit::Nanosecond => column.as_primitive::<TimestampNanosecondType>().values().clone(),
                };
                (values, Unit::Timestamp(*unit), zone.is_none())
            }
            other => {
                return Err(wrong_type(path, "ts", other, "a UTC timestamp or an int64 epoch in ms or µs"));
            }
        };
        Ok(Self { values, nulls: column.nulls().cloned(), unit, naive })
    }

    fn get(&self, i: usize) -> std::result::Result<Stamp, Fault> {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(i)) {
            return Err(Fault::new("ts", "nothing", stamp::EXPECTED));
        }
        let value = self.values[i];
        let us = match self.unit {
            Unit::Epoch => stamp::from_epoch(value),
            Unit::Timestamp(TimeUnit::Second) => value.checked_mul(1_000_000).and_then(stamp::in_range),
            Unit::Timestamp(TimeUnit::Millisecond) => value.checked_mul(1000).and_then(stamp::in_range),
            Unit::Timestamp(TimeUnit::Microsecond) => stamp::in_range(value),
            Unit::Timestamp(TimeUnit::Nanosecond) => stamp::in_range(value.div_euclid(1000)),
        };
        let us = us.ok_or_else(|| Fault::new("ts", value.to_string(), stamp::EXPECTED))?;
        Ok(Stamp { us, naive: self.naive })
    }
}
