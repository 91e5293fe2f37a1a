//! A table of results and its three encodings: CSV, Parquet, Arrow IPC.
//!
//! Same table, same bytes: no clock, no host, fixed writer settings. A float is written so that reading gives the same
//! f64 (the shortest decimal that does), a missing one as null. What stands in a table is decided in
//! [`super::tables`].

use std::fmt::Write as _;
use std::sync::Arc;

use arrow_array::TimestampMillisecondArray;
use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use chrono::DateTime;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use sha2::{Digest, Sha256};

/// `output.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFormat {
    /// Text; the default.
    Csv,
    /// Parquet, zstd.
    Parquet,
    /// Arrow IPC file, uncompressed, memory-mappable.
    Arrow,
}

impl OutputFormat {
    /// File name extension, which is also the config's value.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
        }
    }
    /// The format of a config value.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Csv, Self::Parquet, Self::Arrow].into_iter().find(|format| format.extension() == name)
    }
}

/// Cells of one column.
#[derive(Debug, Clone, PartialEq)]
pub enum Cells<'a> {
    /// UTC epoch ms.
    Time(Vec<Option<i64>>),
    /// Whole numbers.
    Int(Vec<Option<i64>>),
    /// Floats; `NaN` is missing.
    Float(Vec<f64>),
    /// Text.
    Text(Vec<Option<&'a str>>),
    /// Yes or no.
    Bool(Vec<bool>),
}

impl Cells<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Time(cells) | Self::Int(cells) => cells.len(),
            Self::Float(cells) => cells.len(),
            Self::Text(cells) => cells.len(),
            Self::Bool(cells) => cells.len(),
        }
    }

    fn data_type(&self) -> DataType {
        match self {
            Self::Time(_) => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            Self::Int(_) => DataType::Int64,
            Self::Float(_) => DataType::Float64,
            Self::Text(_) => DataType::Utf8,
            Self::Bool(_) => DataType::Boolean,
        }
    }

    fn array(&self) -> ArrayRef {
        match self {
            Self::Time(cells) => {
                Arc::new(TimestampMillisecondArray::from(cells.clone()).with_timezone("UTC"))
            }
            Self::Int(cells) => Arc::new(Int64Array::from(cells.clone())),
            Self::Float(cells) => {
                let present = |x: &f64| (!x.is_nan()).then_some(*x);
                Arc::new(cells.iter().map(present).collect::<Float64Array>())
            }
            Self::Text(cells) => Arc::new(StringArray::from(cells.clone())),
            Self::Bool(cells) => Arc::new(BooleanArray::from(cells.clone())),
        }
    }

    fn write_text(&self, row: usize, out: &mut String) {
        let written = match self {
            Self::Time(cells) => cells[row].map_or(Ok(()), |ms| write_stamp(ms, out)),
            Self::Int(cells) => cells[row].map_or(Ok(()), |x| write!(out, "{x}")),
            Self::Float(cells) if cells[row].is_nan() => Ok(()),
            Self::Float(cells) => write!(out, "{}", cells[row]),
            Self::Text(cells) => out.write_str(cells[row].unwrap_or_default()),
            Self::Bool(cells) => write!(out, "{}", cells[row]),
        };
        written.expect("a string takes all text");
    }

    fn digest(&self, hash: &mut Sha256) {
        let optional = |hash: &mut Sha256, cell: Option<[u8; 8]>| {
            hash.update([u8::from(cell.is_some())]);
            hash.update(cell.unwrap_or_default());
        };
        match self {
            Self::Time(cells) | Self::Int(cells) => {
                cells.iter().for_each(|cell| optional(hash, cell.map(i64::to_le_bytes)));
            }
            Self::Float(cells) => {
                cells.iter().for_each(|x| optional(hash, (!x.is_nan()).then(|| x.to_bits().to_le_bytes())))
            }
            Self::Text(cells) => cells.iter().for_each(|cell| {
                optional(hash, cell.map(|text| (text.len() as u64).to_le_bytes()));
                hash.update(cell.unwrap_or_default());
            }),
            Self::Bool(cells) => cells.iter().for_each(|&cell| hash.update([u8::from(cell)])),
        }
    }
}

/// Writes a stamp as `2021-06-01 00:00:00+00:00`.
fn write_stamp(ms: i64, out: &mut String) -> std::fmt::Result {
    let stamp = DateTime::from_timestamp_millis(ms).unwrap_or_default();
    write!(out, "{}", stamp.format("%Y-%m-%d %H:%M:%S%.f+00:00"))
}

/// Named columns of one length.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table<'a> {
    columns: Vec<(&'static str, Cells<'a>)>,
}

impl<'a> Table<'a> {
    /// A table without columns.
    pub fn new() -> Self {
        Self::default()
    }
    /// Adds a column. Negative zeros become zeros: they print alike and compare alike.
    ///
    /// # Panics
    /// When its length differs from the columns before it.
    #[must_use]
    pub fn with(mut self, name: &'static str, mut cells: Cells<'a>) -> Self {
        assert!(self.columns.is_empty() || cells.len() == self.rows(), "column {name} has another length");
        if let Cells::Float(values) = &mut cells {
            values.iter_mut().for_each(|value| *value += 0.0);
        }
        self.columns.push((name, cells));
        self
    }
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, |(_, cells)| cells.len())
    }
    /// Names and cells, in order.
    pub fn columns(&self) -> &[(&'static str, Cells<'a>)] {
        &self.columns
    }
    /// Cells of a column.
    pub fn column(&self, name: &str) -> Option<&Cells<'a>> {
        self.columns.iter().find(|(column, _)| *column == name).map(|(_, cells)| cells)
    }

    /// The table as an Arrow record batch.
    pub fn to_batch(&self) -> RecordBatch {
        let field = |(name, cells): &(&'static str, Cells<'_>)| {
            Field::new(*name, cells.data_type(), !matches!(cells, Cells::Bool(_)))
        };
        let schema = Schema::new(self.columns.iter().map(field).collect::<Vec<_>>());
        let arrays = self.columns.iter().map(|(_, cells)| cells.array()).collect();
        RecordBatch::try_new(Arc::new(schema), arrays).expect("columns fit the schema made from them")
    }

    /// The table in a format.
    pub fn encode(&self, format: OutputFormat) -> Vec<u8> {
        match format {
            OutputFormat::Csv => self.to_csv(),
            OutputFormat::Parquet => self.to_parquet(),
            OutputFormat::Arrow => self.to_arrow(),
        }
    }

    fn to_csv(&self) -> Vec<u8> {
        let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
        let in_memory = "writing to memory cannot fail";
        writer.write_record(self.columns.iter().map(|(name, _)| name)).expect(in_memory);
        let mut text = String::new();
        for row in 0..self.rows() {
            for (_, cells) in &self.columns {
                text.clear();
                cells.write_text(row, &mut text);
                writer.write_field(&text).expect(in_memory);
            }
            writer.write_record(None::<&[u8]>).expect(in_memory);
        }
        writer.into_inner().expect(in_memory)
    }

    fn to_parquet(&self) -> Vec<u8> {
        let batch = self.to_batch();
        let properties = WriterProperties::builder()
            .set_created_by("barloom".to_owned())
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .build();
        let in_memory = "encoding a batch into memory cannot fail";
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).expect(in_memory);
        writer.write(&batch).expect(in_memory);
        writer.close().expect(in_memory);
        bytes
    }

    fn to_arrow(&self) -> Vec<u8> {
        let batch = self.to_batch();
        let in_memory = "encoding a batch into memory cannot fail";
        let mut writer =
            arrow_ipc::writer::FileWriter::try_new(Vec::new(), &batch.schema()).expect(in_memory);
        writer.write(&batch).expect(in_memory);
        writer.into_inner().expect(in_memory)
    }

    /// Adds names and values to a digest, whatever the file format.
    pub fn digest(&self, hash: &mut Sha256) {
        for (name, cells) in &self.columns {
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name);
            hash.update((cells.len() as u64).to_le_bytes());
            cells.digest(hash);
        }
    }
}
