//! Finished chunks on disk: one Arrow IPC file each, named by its content key, whole or not there.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::builder::{FixedSizeListBuilder, Float64Builder, ListBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_ipc::reader::FileReader;
use arrow_ipc::writer::FileWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema};

use super::runner::{TrialResult, TrialStatus};
use crate::error::{BadInput, Error, Result, io_error};
use crate::reporting::files::{create_folder, sync_folder, write_atomic};
use crate::reporting::{METRIC_NAMES, Metric, Metrics};

/// The parts of one sweep.
#[derive(Debug)]
pub(super) struct Parts {
    dir: PathBuf,
    sweep_digest: String,
}

impl Parts {
    /// Opens the folder of parts of a sweep.
    pub(super) fn open(dir: &Path, sweep_digest: &str) -> Result<Self> {
        create_folder(dir)?;
        Ok(Self { dir: dir.to_path_buf(), sweep_digest: sweep_digest.to_owned() })
    }
    fn path(&self, chunk: usize) -> PathBuf {
        self.dir.join(format!("part-{chunk:06}-{}.arrow", &self.sweep_digest[..24]))
    }
    /// Whether the part is there and whole; what is not is computed again.
    pub(super) fn has(&self, chunk: usize, trials: usize) -> bool {
        self.read(chunk).is_ok_and(|results| results.len() == trials)
    }
    /// Removes what a killed process left half-written. Only for a sweep whose parts are all there.
    pub(super) fn remove_leftovers(&self) -> Result<()> {
        let reading = |error| io_error(&self.dir, "reading", error);
        for entry in fs::read_dir(&self.dir).map_err(reading)? {
            let path = entry.map_err(reading)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(".part-") && name.ends_with(".tmp") {
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != ErrorKind::NotFound => {
                        return Err(io_error(&path, "removing", error));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }
    pub(super) fn write(&self, chunk: usize, results: &[TrialResult]) -> Result<()> {
        let path = self.path(chunk);
        let bytes = encode(results).map_err(|error| broken(&path, &error))?;
        write_atomic(&path, &bytes)?;
        sync_folder(&self.dir)
    }
    pub(super) fn read(&self, chunk: usize) -> Result<Vec<TrialResult>> {
        let path = self.path(chunk);
        let file = File::open(&path).map_err(|error| io_error(&path, "opening", error))?;
        decode(file).map_err(|error| {
            BadInput::expected("a whole part")
                .file(&path)
                .found(error.to_string())
                .fix("delete it and run again")
                .into()
        })
    }
}

fn broken(path: &Path, error: &ArrowError) -> Error {
    Error::Io {
        path: path.to_path_buf(),
        doing: "encoding",
        source: std::io::Error::other(error.to_string()),
    }
}

fn encode(results: &[TrialResult]) -> std::result::Result<Vec<u8>, ArrowError> {
    let (mut ids, mut statuses, mut errors) =
        (StringBuilder::new(), StringBuilder::new(), StringBuilder::new());
    let mut metrics = FixedSizeListBuilder::new(Float64Builder::new(), METRIC_NAMES.len() as i32);
    // A list of its own length for each trial: one that failed has no days, nor has a run between two midnights.
    let mut equity = ListBuilder::new(Float64Builder::new());
    for result in results {
        ids.append_value(&result.trial_id);
        statuses.append_value(result.status.as_str());
        errors.append_value(&result.error);
        for index in 0..METRIC_NAMES.len() {
            metrics.values().append_value(result.metrics.at(index).unwrap_or(f64::NAN));
        }
        metrics.append(true);
        equity.values().append_slice(&result.daily_equity);
        equity.append(true);
    }
    let columns: [(&str, ArrayRef); 5] = [
        ("trial_id", Arc::new(ids.finish())),
        ("status", Arc::new(statuses.finish())),
        ("error", Arc::new(errors.finish())),
        ("metrics", Arc::new(metrics.finish())),
        ("daily_equity", Arc::new(equity.finish())),
    ];
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch =
        RecordBatch::try_new(Arc::clone(&schema), columns.into_iter().map(|(_, array)| array).collect())?;
    let mut writer = FileWriter::try_new(Vec::new(), &schema)?;
    writer.write(&batch)?;
    writer.into_inner()
}

fn decode(file: File) -> std::result::Result<Vec<TrialResult>, ArrowError> {
    let shape = || ArrowError::SchemaError("not a part of a sweep".into());
    let mut results = Vec::new();
    for batch in FileReader::try_new(file, None)? {
        let batch = batch?;
        let text =
            |name: &str| batch.column_by_name(name).and_then(|c| c.as_string_opt::<i32>()).ok_or_else(shape);
        let (ids, statuses, errors) = (text("trial_id")?, text("status")?, text("error")?);
        let column = |name: &str| batch.column_by_name(name).ok_or_else(shape);
        let metrics = column("metrics")?.as_fixed_size_list_opt().ok_or_else(shape)?;
        let equity = column("daily_equity")?.as_list_opt::<i32>().ok_or_else(shape)?;
        let has_floats =
            metrics.value_type() == DataType::Float64 && equity.value_type() == DataType::Float64;
        if !has_floats || metrics.value_length() as usize != METRIC_NAMES.len() {
            return Err(shape());
        }
        for row in 0..batch.num_rows() {
            let status = match statuses.value(row) {
                "ok" => TrialStatus::Ok,
                "ruined" => TrialStatus::Ruined,
                "failed" => TrialStatus::Failed,
                _ => return Err(shape()),
            };
            let values = metrics.value(row);
            let mut decoded = Metrics::default();
            for (&metric, &value) in
                Metric::all().iter().zip(values.as_primitive::<Float64Type>().values().iter())
            {
                decoded.set(metric, Some(value).filter(|v| v.is_finite()));
            }
            let days = equity.value(row);
            results.push(TrialResult {
                trial_id: ids.value(row).to_owned(),
                status,
                error: errors.value(row).to_owned(),
                metrics: decoded,
                daily_equity: days.as_primitive::<Float64Type>().values().to_vec(),
            });
        }
    }
    Ok(results)
}
