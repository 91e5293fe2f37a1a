//! From finished parts to the results of a sweep: a row per trial, equity by day, and what the trials say together.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::parts::Parts;
use super::points::Points;
use super::runner::{Job, SweepOptions, TrialResult, TrialStatus, hex};
use crate::error::{BadInput, Error, Result, io_error, nearest};
use crate::reporting::files::{create_folder, sync_folder, write_atomic};
use crate::reporting::overfit::{CSCV_BLOCKS, SharpeSample, deflated_sharpe, expected_max_sharpe, pbo_cscv};
use crate::reporting::stats::{simple_returns, standard_deviation};
use crate::reporting::{Better, METRIC_NAMES, Metric, MetricUnit, day_stamps};

/// What a finished sweep came to.
#[derive(Debug, Clone)]
pub struct SweepSummary {
    /// The contents of `summary.json`.
    pub summary: Value,
    /// Digest over trial ids, metrics and daily equity, bit for bit.
    pub result_digest: String,
    /// Indices of the best trials, best first.
    pub best: Vec<usize>,
    /// All trials in grid order.
    pub results: Vec<TrialResult>,
}

/// Most trials listed in `summary.json`.
const LISTED: usize = 20;

/// Checks `sweep.rank_by` before the sweep starts.
///
/// # Errors
/// A name that is no metric.
pub fn rank_metric(name: &str) -> Result<Metric> {
    Metric::from_name(name).ok_or_else(|| {
        let mut bad =
            BadInput::expected("the name of a metric").key("sweep.rank_by").found(format!("`{name}`"));
        bad.fix = nearest(name, METRIC_NAMES.iter().copied()).map(|known| format!("did you mean `{known}`?"));
        bad.into()
    })
}

/// Reads all parts and writes `results.parquet`, `equity.arrow`, `summary.json` and `manifest.json` into `out`; the
/// manifest last. `run` holds what may differ between equal sweeps (paths, times, threads).
///
/// # Errors
/// A part that is missing or damaged; I/O errors.
pub fn finish(
    job: &Job<'_>,
    options: &SweepOptions,
    out: &Path,
    warnings: &[String],
    run: &Value,
) -> Result<SweepSummary> {
    let rank_by = rank_metric(&job.spec.sweep.rank_by)?;
    let parts = Parts::open(&options.parts_dir, &job.digest())?;
    let mut results = Vec::with_capacity(job.points.len());
    for chunk in 0..job.chunks() {
        results.extend(parts.read(chunk)?);
    }
    parts.remove_leftovers()?;
    create_folder(out)?;
    write_atomic(out.join("results.parquet"), &results_parquet(job.points, &results, out)?)?;
    write_equity(job, &results, &out.join("equity.arrow"))?;
    let best = ranked(&results, rank_by);
    let summary = summary(job.points, &results, &best, rank_by);
    let pretty = |value: &Value| format!("{value:#}\n").into_bytes();
    write_atomic(out.join("summary.json"), &pretty(&summary))?;
    let result_digest = digest(&results);
    let mut all_warnings = job.market.warnings.clone();
    all_warnings.extend_from_slice(warnings);
    let manifest = json!({
        "kind": "sweep",
        "engine_version": env!("CARGO_PKG_VERSION"),
        "config_digest": job.spec.digest(),
        "sweep_digest": job.digest(),
        "data_digest": job.market.content_digest,
        "signals_digest": job.source_digest,
        "seed": job.spec.general.seed,
        "trials": results.len(),
        "warnings": all_warnings,
        "result_digest": result_digest,
        "files": ["results.parquet", "equity.arrow", "summary.json", "config.resolved.json"],
        "run": run,
    });
    write_atomic(out.join("config.resolved.json"), &pretty(&job.spec.to_json()))?;
    write_atomic(out.join("manifest.json"), &pretty(&manifest))?;
    sync_folder(out)?;
    Ok(SweepSummary { summary, result_digest, best, results })
}

/// Digest of results: whoever computed them, and however they were cut, it is the same.
pub fn digest(results: &[TrialResult]) -> String {
    let mut hash = Sha256::new();
    for result in results {
        hash.update(&result.trial_id);
        hash.update(result.status.as_str());
        for index in 0..METRIC_NAMES.len() {
            hash.update(result.metrics.at(index).unwrap_or(f64::NAN).to_le_bytes());
        }
        for value in &result.daily_equity {
            hash.update(if value.is_nan() { f64::NAN.to_le_bytes() } else { value.to_le_bytes() });
        }
    }
    hex(&hash.finalize())
}

/// Trials that have the metric, best first; ties in grid order.
fn ranked(results: &[TrialResult], rank_by: Metric) -> Vec<usize> {
    let mut order: Vec<(usize, f64)> = results
        .iter()
        .enumerate()
        .filter(|(_, result)| result.status == TrialStatus::Ok)
        .filter_map(|(index, result)| Some((index, result.metrics.get(rank_by)?)))
        .collect();
    let sign = if rank_by.better() == Better::Lower { 1.0 } else { -1.0 };
    order.sort_by(|a, b| (sign * a.1).total_cmp(&(sign * b.1)).then(a.0.cmp(&b.0)));
    order.into_iter().map(|(index, _)| index).collect()
}

fn arrow_fault(path: &Path, error: impl std::fmt::Display) -> Error {
    Error::Io {
        path: path.to_path_buf(),
        doing: "encoding",
        source: std::io::Error::other(error.to_string()),
    }
}

/// A swept name as a column: numbers where all are, else booleans, else text.
fn swept_column(points: &Points, name: usize) -> ArrayRef {
    let values: Vec<&Value> = (0..points.len()).map(|trial| &points.values(trial)[name]).collect();
    if values.iter().all(|v| v.is_number()) {
        Arc::new(values.iter().map(|v| v.as_f64()).collect::<Float64Array>())
    } else if values.iter().all(|v| v.is_boolean()) {
        Arc::new(values.iter().map(|v| v.as_bool()).collect::<BooleanArray>())
    } else {
        let text = |v: &&Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
        Arc::new(values.iter().map(|v| Some(text(v))).collect::<StringArray>())
    }
}

fn metric_column(results: &[TrialResult], metric: Metric) -> ArrayRef {
    if metric.unit() == MetricUnit::Count {
        Arc::new(results.iter().map(|r| r.metrics.get(metric).map(|v| v as i64)).collect::<Int64Array>())
    } else {
        Arc::new(results.iter().map(|r| r.metrics.get(metric)).collect::<Float64Array>())
    }
}

fn results_parquet(points: &Points, results: &[TrialResult], out: &Path) -> Result<Vec<u8>> {
    let text = |f: &dyn Fn(&TrialResult) -> Option<String>| -> ArrayRef {
        Arc::new(results.iter().map(f).collect::<StringArray>())
    };
    let mut columns: Vec<(String, ArrayRef)> = vec![("trial_id".into(), text(&|r| Some(r.trial_id.clone())))];
    for (index, name) in points.names.iter().enumerate() {
        columns.push((name.clone(), swept_column(points, index)));
    }
    for &metric in Metric::all() {
        columns.push((metric.name().into(), metric_column(results, metric)));
    }
    columns.push(("status".into(), text(&|r| Some(r.status.as_str().into()))));
    columns.push(("error".into(), text(&|r| (!r.error.is_empty()).then(|| r.error.clone()))));
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(name, array.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let encode = || -> std::result::Result<Vec<u8>, Box<dyn std::error::Error>> {
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns.into_iter().map(|(_, a)| a).collect())?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by("barloom".into())
            .build();
        let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties))?;
        writer.write(&batch)?;
        Ok(writer.into_inner()?)
    };
    encode().map_err(|error| arrow_fault(&out.join("results.parquet"), error))
}

/// Daily equity as an Arrow file: `ts` and one column per trial, uncompressed, to be mapped.
fn write_equity(job: &Job<'_>, results: &[TrialResult], path: &Path) -> Result<()> {
    let stamps = day_stamps(job.market.grid, job.run.clone());
    let days = stamps.len();
    let ts = TimestampMillisecondArray::from(stamps).with_timezone("UTC");
    let mut fields =
        vec![Field::new("ts", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), false)];
    let mut columns: Vec<ArrayRef> = vec![Arc::new(ts)];
    for result in results {
        fields.push(Field::new(&result.trial_id, DataType::Float64, false));
        let value = |day: usize| result.daily_equity.get(day).copied().unwrap_or(f64::NAN);
        columns.push(Arc::new(Float64Array::from_iter_values((0..days).map(value))));
    }
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    let encode = || -> std::result::Result<Vec<u8>, arrow_schema::ArrowError> {
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
        let options = IpcWriteOptions::try_new(64, false, arrow_ipc::MetadataVersion::V5)?;
        let mut writer = FileWriter::try_new_with_options(Vec::new(), &schema, options)?;
        writer.write(&batch)?;
        writer.into_inner()
    };
    write_atomic(path, &encode().map_err(|error| arrow_fault(path, error))?)
}

/// What the trials say together. The best Sharpe ratio of many is no Sharpe ratio: beside it stands what chance alone
/// would have given (semantics 9.7, 9.8, 11.1).
fn summary(points: &Points, results: &[TrialResult], best: &[usize], rank_by: Metric) -> Value {
    let count = |status| results.iter().filter(|r| r.status == status).count();
    let listed: Vec<Value> = best
        .iter()
        .take(LISTED)
        .map(|&trial| {
            let result = &results[trial];
            json!({
                "trial_id": result.trial_id,
                "values": Value::Object(points.named(trial).into_iter().collect()),
                "metrics": result.metrics.to_json(),
            })
        })
        .collect();
    let returns: Vec<(usize, Vec<f64>)> = results
        .iter()
        .enumerate()
        .filter(|(_, r)| r.status != TrialStatus::Failed && r.daily_equity.len() > 1)
        .map(|(index, r)| (index, simple_returns(&r.daily_equity)))
        .collect();
    let daily_sharpe = |index: usize| results[index].metrics.get(Metric::Sharpe).map(|s| s / 365f64.sqrt());
    let ratios: Vec<f64> = (0..results.len()).filter_map(daily_sharpe).collect();
    let variance = standard_deviation(&ratios).map(|s| s * s);
    let trials = results.len() as f64;
    let deflated = best.first().and_then(|&top| {
        let metrics = &results[top].metrics;
        let sample = SharpeSample {
            sharpe: daily_sharpe(top)?,
            observations: metrics.get(Metric::Days)?,
            skew: metrics.get(Metric::Skew)?,
            kurtosis: metrics.get(Metric::Kurtosis)?,
        };
        deflated_sharpe(&sample, trials, variance?)
    });
    let columns: Vec<&[f64]> = returns.iter().map(|(_, r)| r.as_slice()).collect();
    let cscv = pbo_cscv(&columns, CSCV_BLOCKS);
    json!({
        "trials": results.len(),
        "ok": count(TrialStatus::Ok),
        "ruined": count(TrialStatus::Ruined),
        "failed": count(TrialStatus::Failed),
        "rank_by": rank_by.name(),
        "sharpe_variance_daily": variance,
        "expected_max_sharpe_daily": variance.and_then(|v| expected_max_sharpe(trials, v)),
        "deflated_sharpe": deflated,
        "pbo": cscv.as_ref().map(|c| c.pbo),
        "pbo_oos_loss_probability": cscv.as_ref().map(|c| c.oos_loss_probability),
        "pbo_slope": cscv.as_ref().and_then(|c| c.slope),
        "best": listed,
    })
}

/// Refuses a folder that holds the results of another sweep, and writes `plan.json`.
///
/// # Errors
/// Bad input when the folder belongs to another sweep; I/O errors.
pub fn claim_folder(job: &Job<'_>, out: &Path, plan: &Value) -> Result<()> {
    create_folder(out)?;
    let path = out.join("plan.json");
    let digest = job.digest();
    match fs::read(&path) {
        Ok(bytes) => {
            let earlier: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            if earlier["sweep_digest"].as_str().is_some_and(|other| other != digest) {
                return Err(BadInput::expected(
                    "an empty folder, or one of this very sweep (config and data)",
                )
                .file(out)
                .key("--out")
                .found("the results of another sweep")
                .fix("choose another --out, or remove the folder")
                .into());
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(io_error(&path, "reading", error)),
    }
    let mut plan = plan.clone();
    plan["sweep_digest"] = digest.into();
    write_atomic(&path, format!("{plan:#}\n").as_bytes())
}
