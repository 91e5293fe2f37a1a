//! What happened → metrics, tables, files and text.
//!
//! Two recorders listen to the bar loop: [`TrialStats`] streams one trial of a sweep into metrics without keeping
//! events, [`RunRecorder`] keeps everything a single run wrote and embeds a [`TrialStats`], so both give the same
//! metrics. The room knows the market and what the engine reports; it must not know how signals were made, how orders
//! were filled, or who asked.
//!
//! Read next: [`trial`] for the streaming side, [`recorder`] and [`tables`] for a run, [`run_dir`] for the files,
//! [`stats`] and [`overfit`] for the formulas.

pub mod bounds;
pub mod curve;
pub mod episodes;
pub mod files;
pub mod invariants;
pub mod lots;
pub mod metrics;
pub mod overfit;
pub mod recorder;
pub mod run_dir;
pub mod sink;
pub mod stats;
pub mod sum;
pub mod table;
pub mod tables;
pub mod text;
pub mod trades;
pub mod trial;
pub mod waterfall;

pub use bounds::{BoundedRun, Bounds};
pub use invariants::check_invariants;
pub use lots::{LotMethod, fills_by};
pub use metrics::{Better, METRIC_NAMES, Metric, MetricUnit, Metrics, metric_index};
pub use recorder::{Event, RunRecorder};
pub use run_dir::{RunReport, WrittenRun, write_run};
pub use sink::TableSink;
pub use table::{OutputFormat, Table};
pub use tables::TableKind;
pub use text::{equity_plot, flags_table, metric_text, metrics_table, text_table, waterfall_table};
pub use trades::{Trade, trades};
pub use trial::{TrialStats, day_stamps};
pub use waterfall::{CostSteps, FlagSums, Waterfall, flag_sums};
