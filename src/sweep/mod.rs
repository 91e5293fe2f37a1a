//! The sweep: thousands of trials over one market, in bounded memory, resumable, the same bits however it is cut.
//!
//! Trials are cut into chunks by a constant of their number; a worker takes a chunk, loads the market tile by tile,
//! computes the signals of all its trials once, and steps every account through the tile while it is hot. A finished
//! chunk is one file; the same command again reads the finished ones and computes the rest. It must not know of
//! terminals. Read next: [`points`] for what a trial is, [`runner`] for who computes it, [`mod@finish`] for the results.

pub mod finish;
mod parts;
pub mod points;
pub mod runner;
mod source;

pub use finish::{SweepSummary, finish};
pub use points::Points;
pub use runner::{Job, Progress, SweepOptions, TrialResult, TrialStatus, run_chunk, run_chunks};
pub use source::{Source, read_source};
