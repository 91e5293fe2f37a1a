//! What tests of the binary share: calling it, and reading its files back.
#![allow(dead_code, reason = "every test binary that takes this module in uses its own part of it")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMillisecondType};
use arrow_array::{Array, RecordBatch};
use arrow_ipc::reader::FileReader;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

/// The data that lie in the repository.
pub(crate) fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/sample")
}

/// The binary, with words split at spaces.
pub(crate) fn barloom(words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_barloom"));
    command.args(words.split_whitespace());
    command
}

/// Runs to the end with this exit code; gives stdout and stderr.
#[track_caller]
pub(crate) fn ends_with(code: i32, command: &mut Command) -> (String, String) {
    let Output { status, stdout, stderr } = command.output().expect("the binary starts");
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert_eq!(status.code(), Some(code), "stdout: {stdout}\nstderr: {stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    (stdout.into_owned(), stderr.into_owned())
}

/// A JSON file.
pub(crate) fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The only batch of a Parquet file.
pub(crate) fn parquet(path: &Path) -> RecordBatch {
    let file = File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet").with_batch_size(1 << 24);
    let mut batches: Vec<_> = reader.build().expect("Parquet").map(|batch| batch.expect("rows")).collect();
    assert_eq!(batches.len(), 1, "{}", path.display());
    batches.remove(0)
}

/// All batches of an Arrow file.
pub(crate) fn arrow(path: &Path) -> Vec<RecordBatch> {
    let file = File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    FileReader::try_new(file, None).expect("Arrow").map(|batch| batch.expect("rows")).collect()
}

/// Header and rows of a CSV file.
pub(crate) fn csv(path: &Path) -> (Vec<String>, Vec<Vec<String>>) {
    let mut reader = csv::Reader::from_path(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let names = reader.headers().expect("a header").iter().map(str::to_owned).collect();
    let rows = reader.records().map(|row| row.expect("a row").iter().map(str::to_owned).collect()).collect();
    (names, rows)
}

/// Column names of a batch.
pub(crate) fn names(batch: &RecordBatch) -> Vec<String> {
    batch.schema().fields().iter().map(|field| field.name().clone()).collect()
}

/// Cells of a batch as the CSV of the same table has them.
pub(crate) fn cells(batch: &RecordBatch) -> Vec<Vec<String>> {
    let cell = |column: &dyn Array, row: usize| -> String {
        if column.is_null(row) {
            return String::new();
        }
        if let Some(stamps) = column.as_primitive_opt::<TimestampMillisecondType>() {
            return barloom::data::stamp::format_ms(stamps.value(row));
        }
        if let Some(floats) = column.as_primitive_opt::<Float64Type>() {
            return floats.value(row).to_string();
        }
        if let Some(whole) = column.as_primitive_opt::<Int64Type>() {
            return whole.value(row).to_string();
        }
        match column.as_boolean_opt() {
            Some(flags) => flags.value(row).to_string(),
            None => column.as_string::<i32>().value(row).to_owned(),
        }
    };
    (0..batch.num_rows()).map(|row| batch.columns().iter().map(|c| cell(&**c, row)).collect()).collect()
}
