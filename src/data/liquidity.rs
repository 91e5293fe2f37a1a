//! A symbol's own liquidity: regimes, or baselines of its volume, instead of those that are computed (semantics 7).

use std::path::Path;

use bytes::Bytes;

use super::bars::{BarColumns, BarRules, out_of_order};
use super::fault::Fault;
use super::table::{Columns, Format, Row, TableNotes, Words, read_table};
use crate::error::Result;

const COLUMNS: Columns = Columns {
    required: &[],
    optional: &["regime", "baseline_volume"],
    unread: &[],
    words: Some(Words { column: "regime", words: &["VACUUM", "THIN", "NORMAL"], expected: REGIMES }),
    exactly_one_optional: true,
};
const REGIMES: &str = "VACUUM, THIN or NORMAL";

/// Rows of a liquidity file in time order; one of the two columns is empty.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct LiquidityColumns {
    /// Open times of bars, UTC epoch ms.
    pub(crate) ts_ms: Vec<i64>,
    /// Codes of the kernels: 0 vacuum, 1 thin, 2 normal.
    pub(crate) regime: Vec<f64>,
    /// Usual volume of the bar, base units.
    pub(crate) baseline_volume: Vec<f64>,
}

/// Reads and checks a liquidity file. Rows before the first or after the last bar are left out and counted.
pub(crate) fn read_liquidity(
    path: &Path,
    bytes: &Bytes,
    format: Format,
    rules: BarRules,
    bars: &BarColumns,
) -> Result<(LiquidityColumns, TableNotes, u64)> {
    let mut columns = LiquidityColumns::default();
    let mut ignored = 0;
    let mut last_ms = None;
    let life = bars.ts_ms.first().zip(bars.ts_ms.last());
    let notes = read_table(path, bytes, format, &COLUMNS, rules.on_bad_row, |row: &Row| {
        let open_ms = rules.open_time(row.stamp)?;
        if let Some(last_ms) = last_ms.filter(|&last_ms| open_ms <= last_ms) {
            return Err(out_of_order(open_ms, last_ms));
        }
        // A blank regime has been refused as no word, so without a regime the file has the other column.
        let [regime, baseline, ..] = row.values;
        if regime.is_nan() && !(0.0..f64::INFINITY).contains(&baseline) {
            let found = if baseline.is_nan() { "nothing or NaN".to_owned() } else { baseline.to_string() };
            return Err(Fault::new("baseline_volume", found, "a number, 0 or more"));
        }
        last_ms = Some(open_ms);
        if !life.is_some_and(|(first, last)| (*first..=*last).contains(&open_ms)) {
            ignored += 1;
            return Ok(());
        }
        columns.ts_ms.push(open_ms);
        if regime.is_nan() {
            columns.baseline_volume.push(baseline)
        } else {
            columns.regime.push(regime)
        }
        Ok(())
    })?;
    Ok((columns, notes, ignored))
}
