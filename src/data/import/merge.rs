//! Rows of several sources into one series: sorted by time, repeated rows dropped, contradictions refused.

use std::path::PathBuf;

use super::columns::{Rows, column_names};
use super::layout::{bar_label, bar_labels};
use super::names::Role;
use super::{Judged, TsKind};
use crate::error::{BadInput, Result};
use crate::market::stamp::format_ms;

/// Funding stamps this near a whole minute mean that minute (semantics 3.3).
const FUNDING_SNAP_MS: i64 = 5_000;
const MINUTE_MS: i64 = 60_000;

/// Bar length of rows whose file name does not say it: the most frequent distance of neighbours.
pub(super) fn infer_bar_ms(rows: &Rows) -> Judged<i64> {
    let mut sorted = rows.ts_ms.clone();
    sorted.sort_unstable();
    let mut steps: Vec<i64> =
        sorted.windows(2).map(|pair| pair[1] - pair[0]).filter(|step| *step > 0).collect();
    steps.sort_unstable();
    let usual = steps.chunk_by(|a, b| a == b).max_by_key(|run| run.len()).map(|run| run[0]);
    match usual {
        Some(step) if bar_label(step).is_some() => Ok(step),
        step => {
            Err(BadInput::expected(format!("bars of one of {}", bar_labels()))
                .found(step.map_or("too few rows to tell the bar length".to_owned(), |step| {
                    format!("{step} ms apart")
                }))
                .fix("say the bar length with --bar")
                .into())
        }
    }
}

/// Turns stamps into open times and checks that they lie on the grid of the bar length.
pub(super) fn align(rows: &mut Rows, bar_ms: i64, kind: TsKind) -> Judged<()> {
    for (ts_ms, origin) in rows.ts_ms.iter_mut().zip(&rows.origin) {
        let stamp = *ts_ms;
        if kind == TsKind::Close {
            // `…:59.999` is a millisecond short of the close.
            let close_ms = if (stamp + 1) % bar_ms == 0 { stamp + 1 } else { stamp };
            *ts_ms = close_ms - bar_ms;
        }
        if *ts_ms % bar_ms != 0 {
            let label = bar_label(bar_ms).unwrap_or("bar");
            let fix = if kind == TsKind::Open && (stamp + 1) % bar_ms == 0 {
                "these are close times: say so with --ts-kind close"
            } else {
                "mend the stamp, or say the right bar length with --bar"
            };
            return Err(BadInput::expected(format!("a time on the {label} grid"))
                .row(origin.1)
                .key("ts")
                .found(format_ms(stamp))
                .fix(fix)
                .into());
        }
    }
    Ok(())
}

/// Sorts by time and drops repeated rows; `sources` names the files of the rows' origins.
///
/// Returns the number of rows dropped. Rows that differ only in that one lacks an optional value are the same row,
/// and the value is kept.
pub(super) fn merge(rows: Rows, sources: &[PathBuf]) -> Result<(Rows, u64)> {
    let key = |ts_ms: i64| if rows.role == Role::Funding { snapped(ts_ms) } else { ts_ms };
    let mut order: Vec<usize> = (0..rows.len()).collect();
    // Stable: of equal stamps the first one read is kept.
    order.sort_by_key(|&row| key(rows.ts_ms[row]));
    let mut merged = Rows::new(rows.role);
    let mut dropped = 0;
    for row in order {
        let last = merged.len().wrapping_sub(1);
        if merged.ts_ms.last().is_some_and(|&before| key(before) == key(rows.ts_ms[row])) {
            unite(&mut merged, last, &rows, row, sources)?;
            dropped += 1;
            continue;
        }
        merged.ts_ms.push(rows.ts_ms[row]);
        merged.origin.push(rows.origin[row]);
        for (column, from) in merged.columns.iter_mut().zip(&rows.columns) {
            column.push(from[row]);
        }
    }
    Ok((merged, dropped))
}

fn snapped(ts_ms: i64) -> i64 {
    let minute = (ts_ms + MINUTE_MS / 2).div_euclid(MINUTE_MS) * MINUTE_MS;
    if (ts_ms - minute).abs() <= FUNDING_SNAP_MS { minute } else { ts_ms }
}

/// Takes over what the kept row lacks, and refuses what contradicts it.
fn unite(kept: &mut Rows, at: usize, rows: &Rows, row: usize, sources: &[PathBuf]) -> Result<()> {
    for ((column, from), name) in kept.columns.iter_mut().zip(&rows.columns).zip(column_names(rows.role)) {
        let (old, new) = (column[at], from[row]);
        if old.is_nan() {
            column[at] = new;
        } else if !new.is_nan() && old != new {
            let ((file, line), (other, other_line)) = (rows.origin[row], kept.origin[at]);
            let other = sources[other as usize].display();
            let stamp = format_ms(rows.ts_ms[row]);
            return Err(BadInput::expected(format!("{old} as in row {other_line} of {other}"))
                .file(&sources[file as usize])
                .row(line)
                .key(name)
                .found(format!("{new} at {stamp}"))
                .fix("leave out the wrong one of the two files")
                .into());
        }
    }
    Ok(())
}
