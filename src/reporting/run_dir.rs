//! The run directory: manifest, resolved config, metrics and tables (contract 5).
//!
//! Everything but the manifest's `run` has the same bytes for the same inputs. The manifest is written last, so a
//! folder with a new manifest is whole; it lists the files it belongs to, so leftovers of an earlier run show.

use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::bounds::Bounds;
use super::files::{create_folder, sync_folder, write_atomic};
use super::lots::LotMethod;
use super::metrics::Metrics;
use super::recorder::RunRecorder;
use super::table::{OutputFormat, Table};
use super::tables::TableKind;
use super::waterfall::run_details;
use crate::error::Result;
use crate::market::Market;

/// Everything a run directory is written from.
#[derive(Debug, Clone, Copy)]
pub struct RunReport<'a> {
    /// The market of the run.
    pub market: &'a Market,
    /// What happened.
    pub recorder: &'a RunRecorder,
    /// The run's tag table.
    pub tags: &'a [String],
    /// Positions were marked at the mark column where there is one (`general.mark_source`).
    pub use_mark: bool,
    /// The same run with ambiguous choices at their worst and at their best, where it was asked for.
    pub bounds: Option<Bounds<'a>>,
    /// `output.format`.
    pub format: OutputFormat,
    /// `output.lot_method`.
    pub lot_method: LotMethod,
    /// `output.tables`.
    pub tables: &'a [TableKind],
    /// The config with all defaults filled in.
    pub config: &'a Value,
    /// `general.seed`.
    pub seed: u64,
    /// Rules in force, as the caller describes them.
    pub rules: &'a Value,
    /// Warnings besides those of the market.
    pub warnings: &'a [String],
    /// Paths, times, threads: what may differ between equal runs.
    pub run: &'a Value,
}

/// What was written, for printing.
#[derive(Debug, Clone, PartialEq)]
pub struct WrittenRun {
    /// The metrics.
    pub metrics: Metrics,
    /// The contents of `metrics.json`: the metrics, flags, and the waterfall.
    pub document: Value,
    /// Digest over the values of the equity and fills tables.
    pub result_digest: String,
}

/// Writes a run directory. Files of the same names are replaced one by one, foreign files stay.
///
/// # Errors
/// [`crate::Error::Io`] naming the file; bad input when `dir` is a file.
pub fn write_run(dir: impl AsRef<Path>, report: &RunReport<'_>) -> Result<WrittenRun> {
    let dir = dir.as_ref();
    create_folder(dir)?;
    let mut files = serde_json::Map::new();
    let mut write = |name: String, bytes: &[u8]| {
        files.insert(name.clone(), sha256(bytes).into());
        write_atomic(dir.join(name), bytes)
    };
    for table in report.tables {
        let bytes = built(*table, report).encode(report.format);
        write(format!("{}.{}", table.name(), report.format.extension()), &bytes)?;
    }
    let metrics = report.recorder.metrics();
    let mut document = metrics.to_json();
    if let Value::Object(members) = &mut document {
        members.append(&mut run_details(report.recorder, report.market, report.use_mark));
    }
    write("metrics.json".to_owned(), &pretty(&document))?;
    if let Some(bounds) = &report.bounds {
        let bytes = bounds.table().encode(report.format);
        write(format!("bounds.{}", report.format.extension()), &bytes)?;
        write("bounds.json".to_owned(), &pretty(&bounds.to_json()))?;
    }
    write("config.resolved.json".to_owned(), &pretty(report.config))?;
    let result_digest = result_digest(report);
    let manifest = manifest(report, &result_digest, files);
    write_atomic(dir.join("manifest.json"), &pretty(&manifest))?;
    sync_folder(dir)?;
    Ok(WrittenRun { metrics, document, result_digest })
}

fn manifest(report: &RunReport<'_>, result_digest: &str, files: serde_json::Map<String, Value>) -> Value {
    let (market, recorder) = (report.market, report.recorder);
    let (grid, run) = (recorder.grid(), recorder.run());
    let warnings: Vec<&String> = market.warnings.iter().chain(report.warnings).collect();
    let symbols: Vec<&str> = market.symbols.iter().map(|s| s.name.as_str()).collect();
    json!({
        "engine": "barloom",
        "engine_version": env!("CARGO_PKG_VERSION"),
        "config_digest": config_digest(report.config),
        "data_digest": market.content_digest,
        "symbols": symbols,
        "start_ms": grid.open_ms(run.start),
        "end_ms": grid.open_ms(run.end),
        "bar_ms": grid.step_ms,
        "bars": run.len(),
        "seed": report.seed,
        "rules": report.rules,
        "warnings": warnings,
        "result_digest": result_digest,
        "files": files,
        "run": report.run,
    })
}

fn built<'a>(table: TableKind, report: &RunReport<'a>) -> Table<'a> {
    table.build_by(report.lot_method, report.recorder, report.market, report.tags)
}

/// SHA-256 over the values of the equity and fills tables, whatever the output format.
fn result_digest(report: &RunReport<'_>) -> String {
    let mut hash = Sha256::new();
    for table in [TableKind::Equity, TableKind::Fills] {
        built(table, report).digest(&mut hash);
    }
    hex(&hash.finalize())
}

/// SHA-256 of a config: of its JSON without spaces, keys in ascending order.
///
/// ```
/// use barloom::reporting::run_dir::config_digest;
/// let (a, b) = (serde_json::json!({"x": 1, "y": [2]}), serde_json::json!({"y": [2], "x": 1}));
/// assert_eq!(config_digest(&a), config_digest(&b));
/// ```
pub fn config_digest(config: &Value) -> String {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(object) => {
                let mut members: Vec<_> = object.iter().map(|(k, v)| (k.clone(), sorted(v))).collect();
                members.sort_by(|a, b| a.0.cmp(&b.0));
                Value::Object(members.into_iter().collect())
            }
            Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
            other => other.clone(),
        }
    }
    sha256(sorted(config).to_string().as_bytes())
}

/// Hex SHA-256 of bytes.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn pretty(value: &Value) -> Vec<u8> {
    let mut text = format!("{value:#}");
    text.push('\n');
    text.into_bytes()
}
