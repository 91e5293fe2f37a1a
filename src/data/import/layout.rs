//! Writing the data layout: bar and funding tables as CSV or Parquet, and a folder that changes all at once.
//!
//! It knows the columns of the layout and no source format. Files are made in a hidden folder beside their place
//! and renamed when all of them are whole, so an error or a crash leaves nothing half-written.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, TimestampMillisecondArray};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::stamp::DAY_MS;
use crate::error::{BadInput, Error, Result, io_error};
use crate::market::stamp::format_ms;

/// File format of the tables that are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// Text, one line per row.
    #[default]
    Csv,
    /// Apache Parquet, zstd.
    Parquet,
}

impl FileFormat {
    /// File name extension, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }
    fn other(self) -> Self {
        match self {
            Self::Csv => Self::Parquet,
            Self::Parquet => Self::Csv,
        }
    }
}

/// Bar labels of the layout's file names and their lengths.
const BAR_LABELS: [(&str, i64); 12] = [
    ("1m", 60_000),
    ("3m", 180_000),
    ("5m", 300_000),
    ("15m", 900_000),
    ("30m", 1_800_000),
    ("1h", 3_600_000),
    ("2h", 7_200_000),
    ("4h", 14_400_000),
    ("6h", 21_600_000),
    ("8h", 28_800_000),
    ("12h", 43_200_000),
    ("1d", DAY_MS),
];

/// Length of a bar by its label, e.g. `15m`.
pub fn bar_length_ms(label: &str) -> Option<i64> {
    BAR_LABELS.iter().find(|(name, _)| *name == label).map(|(_, ms)| *ms)
}

/// Label of a bar length.
pub fn bar_label(bar_ms: i64) -> Option<&'static str> {
    BAR_LABELS.iter().find(|(_, ms)| *ms == bar_ms).map(|(name, _)| *name)
}

/// All labels, for messages.
pub fn bar_labels() -> String {
    BAR_LABELS.map(|(name, _)| name).join(", ")
}

/// A table about to be written: stamps and named columns. `NaN` is written as an empty cell or a null.
pub struct OutTable<'a> {
    /// UTC epoch ms.
    pub ts_ms: &'a [i64],
    /// Columns by name, as long as the stamps.
    pub columns: Vec<(&'static str, &'a [f64])>,
}

impl OutTable<'_> {
    /// Writes the table to a new file and waits until it is on disk.
    pub fn write(&self, path: &Path, format: FileFormat) -> Result<()> {
        for (name, column) in &self.columns {
            assert_eq!(column.len(), self.ts_ms.len(), "column {name} is as long as the stamps");
        }
        let file = File::create(path).map_err(|e| io_error(path, "creating", e))?;
        let file = match format {
            FileFormat::Csv => self.write_csv(file).map_err(|e| io_error(path, "writing", e))?,
            FileFormat::Parquet => self.write_parquet(file).map_err(|source| Error::Io {
                path: path.to_path_buf(),
                doing: "writing",
                source: std::io::Error::other(source),
            })?,
        };
        file.sync_all().map_err(|e| io_error(path, "writing", e))
    }

    fn write_csv(&self, file: File) -> std::io::Result<File> {
        let mut out = BufWriter::with_capacity(1 << 18, file);
        write!(out, "ts")?;
        for (name, _) in &self.columns {
            write!(out, ",{name}")?;
        }
        writeln!(out)?;
        for (row, &ms) in self.ts_ms.iter().enumerate() {
            out.write_all(format_ms(ms).as_bytes())?;
            for (_, column) in &self.columns {
                // Display prints the shortest decimal that reads back as the same f64, without exponent.
                match column[row] {
                    value if value.is_nan() => write!(out, ",")?,
                    value => write!(out, ",{value}")?,
                }
            }
            out.write_all(b"\n")?;
        }
        out.into_inner().map_err(std::io::IntoInnerError::into_error)
    }

    fn write_parquet(&self, file: File) -> parquet::errors::Result<File> {
        let ts_type = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
        let mut fields = vec![Field::new("ts", ts_type, false)];
        let stamps = TimestampMillisecondArray::from(self.ts_ms.to_vec()).with_timezone("UTC");
        let mut arrays: Vec<ArrayRef> = vec![Arc::new(stamps)];
        for (name, column) in &self.columns {
            let nullable = column.iter().any(|value| value.is_nan());
            fields.push(Field::new(*name, DataType::Float64, nullable));
            arrays.push(Arc::new(if nullable {
                column.iter().map(|value| (!value.is_nan()).then_some(*value)).collect::<Float64Array>()
            } else {
                Float64Array::from(column.to_vec())
            }));
        }
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by("barloom".to_owned())
            .build();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties))?;
        writer.write(&batch)?;
        writer.into_inner()
    }
}

/// A folder that receives several files at once: they are made aside and renamed by [`Staging::publish`].
pub struct Staging {
    out: PathBuf,
    aside: tempfile::TempDir,
    names: Vec<String>,
}

impl Staging {
    /// Makes `out` if it is missing, and the hidden folder in it.
    pub fn new(out: &Path) -> Result<Self> {
        fs::create_dir_all(out).map_err(|e| match e.kind() {
            std::io::ErrorKind::AlreadyExists | std::io::ErrorKind::NotADirectory => {
                Error::from(not_a_folder(out))
            }
            _ => io_error(out, "creating", e),
        })?;
        let aside = tempfile::Builder::new()
            .prefix(".barloom-new-")
            .tempdir_in(out)
            .map_err(|e| io_error(out, "creating a folder", e))?;
        Ok(Self { out: out.to_path_buf(), aside, names: Vec::new() })
    }

    /// Where to make the file that shall be called `name`.
    pub fn path(&mut self, name: String) -> PathBuf {
        let path = self.aside.path().join(&name);
        self.names.push(name);
        path
    }

    /// Writes a table as `{stem}.{format}`; a twin in the other format would make the folder ambiguous.
    pub fn table(&mut self, stem: &str, format: FileFormat, table: &OutTable<'_>) -> Result<()> {
        let twin = self.out.join(format!("{stem}.{}", format.other().extension()));
        if twin.exists() {
            return Err(BadInput::expected(format!("`{stem}` in one format only"))
                .file(twin)
                .found("it in another format than the one to be written")
                .fix("remove this file, or choose its format or another folder")
                .into());
        }
        let path = self.path(format!("{stem}.{}", format.extension()));
        table.write(&path, format)
    }

    /// Writes bytes as they are.
    pub fn bytes(&mut self, name: String, bytes: &[u8]) -> Result<()> {
        let path = self.path(name);
        let write = || {
            let mut file = File::create(&path)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        write().map_err(|e| io_error(&path, "writing", e))
    }

    /// Renames every file into place and returns their paths.
    pub fn publish(self) -> Result<Vec<PathBuf>> {
        let mut placed = Vec::with_capacity(self.names.len());
        for name in &self.names {
            let place = self.out.join(name);
            fs::rename(self.aside.path().join(name), &place).map_err(|e| io_error(&place, "renaming", e))?;
            placed.push(place);
        }
        // Renames are durable once their folder is; a folder cannot be opened as a file everywhere.
        if let Ok(folder) = File::open(&self.out) {
            folder.sync_all().or_else(|e| match e.kind() {
                std::io::ErrorKind::InvalidInput | std::io::ErrorKind::Unsupported => Ok(()),
                _ => Err(io_error(&self.out, "writing", e)),
            })?;
        }
        Ok(placed)
    }
}

fn not_a_folder(out: &Path) -> BadInput {
    BadInput::expected("a folder, or nothing yet").file(out).found("a file").fix("choose another --out")
}
