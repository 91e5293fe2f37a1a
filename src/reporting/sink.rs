//! A table that is written piece by piece: CSV, Parquet or Arrow by the file's extension, whole or not there.
//!
//! For tables that need not fit in memory. The file has a temporary name until [`TableSink::finish`] renames it.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampMillisecondType};
use arrow_array::{Array, RecordBatch};
use arrow_ipc::writer::FileWriter;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::files::create_folder;
use super::table::OutputFormat;
use crate::error::{BadInput, Error, Result, io_error};
use crate::market::stamp::format_ms;

enum Writer {
    Csv(Box<csv::Writer<BufWriter<File>>>),
    Parquet(Box<ArrowWriter<BufWriter<File>>>),
    Arrow(Box<FileWriter<BufWriter<File>>>),
}

/// A file that grows by record batches of timestamps, text and floats.
pub struct TableSink {
    path: PathBuf,
    temporary: PathBuf,
    writer: Option<Writer>,
}

impl TableSink {
    /// Creates the file; the extension of `path` chooses the format.
    ///
    /// # Errors
    /// An unknown extension; I/O errors.
    pub fn create(path: &Path, schema: SchemaRef) -> Result<Self> {
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
        let format = OutputFormat::from_name(&extension).ok_or_else(|| {
            BadInput::expected("a file that ends in .parquet, .arrow or .csv")
                .key("--out")
                .found(path.display().to_string())
        })?;
        if path.is_dir() {
            return Err(BadInput::expected("a file")
                .key("--out")
                .found(format!("the folder {}", path.display()))
                .into());
        }
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            create_folder(folder)?;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
        let file = File::create(&temporary).map_err(|error| io_error(path, "creating", error))?;
        let mut sink = Self { path: path.to_path_buf(), temporary, writer: None };
        let file = BufWriter::with_capacity(1 << 20, file);
        sink.writer = Some(match format {
            OutputFormat::Csv => {
                let mut writer = csv::Writer::from_writer(file);
                let names = schema.fields().iter().map(|field| field.name());
                writer.write_record(names).map_err(|error| sink.fault(error))?;
                Writer::Csv(Box::new(writer))
            }
            OutputFormat::Parquet => {
                let properties = WriterProperties::builder()
                    .set_created_by("barloom".to_owned())
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .build();
                let writer = ArrowWriter::try_new(file, schema, Some(properties))
                    .map_err(|error| sink.fault(error))?;
                Writer::Parquet(Box::new(writer))
            }
            OutputFormat::Arrow => Writer::Arrow(Box::new(
                FileWriter::try_new(file, &schema).map_err(|error| sink.fault(error))?,
            )),
        });
        Ok(sink)
    }
    /// Appends rows.
    ///
    /// # Errors
    /// I/O errors.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let outcome: std::result::Result<(), Box<dyn std::error::Error + Send + Sync>> =
            match self.writer.as_mut() {
                None => Ok(()),
                Some(Writer::Csv(writer)) => write_csv(writer, batch).map_err(Into::into),
                Some(Writer::Parquet(writer)) => writer.write(batch).map_err(Into::into),
                Some(Writer::Arrow(writer)) => writer.write(batch).map_err(Into::into),
            };
        outcome.map_err(|error| self.fault(error))
    }
    /// Ends the file and gives it its name.
    ///
    /// # Errors
    /// I/O errors.
    pub fn finish(mut self) -> Result<()> {
        type Outcome = std::result::Result<(), Box<dyn std::error::Error + Send + Sync>>;
        let end = |writer: Option<Writer>| -> Outcome {
            let file = match writer {
                None => return Ok(()),
                Some(Writer::Csv(writer)) => writer.into_inner().map_err(|error| error.into_error())?,
                Some(Writer::Parquet(writer)) => writer.into_inner()?,
                Some(Writer::Arrow(writer)) => writer.into_inner()?,
            };
            let mut file = file.into_inner().map_err(|error| error.into_error())?;
            file.flush()?;
            Ok(file.sync_all()?)
        };
        let writer = self.writer.take();
        end(writer).map_err(|error| self.fault(error))?;
        std::fs::rename(&self.temporary, &self.path).map_err(|error| io_error(&self.path, "renaming", error))
    }
    fn fault(&self, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        let source = std::io::Error::other(error.into().to_string());
        Error::Io { path: self.path.clone(), doing: "writing", source }
    }
}

impl Drop for TableSink {
    fn drop(&mut self) {
        // After `finish` the name is gone; otherwise nothing half-written stays.
        let _ = std::fs::remove_file(&self.temporary);
    }
}

fn write_csv(writer: &mut csv::Writer<BufWriter<File>>, batch: &RecordBatch) -> csv::Result<()> {
    for row in 0..batch.num_rows() {
        for column in batch.columns() {
            let text = if column.is_null(row) {
                String::new()
            } else if let Some(stamps) = column.as_primitive_opt::<TimestampMillisecondType>() {
                format_ms(stamps.value(row))
            } else if let Some(floats) = column.as_primitive_opt::<Float64Type>() {
                floats.value(row).to_string()
            } else {
                column.as_string_opt::<i32>().map(|texts| texts.value(row).to_owned()).unwrap_or_default()
            };
            writer.write_field(text)?;
        }
        writer.write_record(None::<&[u8]>)?;
    }
    Ok(())
}
