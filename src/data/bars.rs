//! Bars of one symbol: every row checked once, then plain columns (semantics 1.1, 1.6).

use std::path::Path;

use bytes::Bytes;

use super::fault::{FILE_FIX, Fault};
use super::stamp::{self, Stamp};
use super::table::{Columns, Format, MAX_VALUES, Row, TableNotes, read_table};
use super::{OnBadRow, TsKind, bar_name};
use crate::error::{BadInput, Result};

/// Columns of a bar file.
const COLUMNS: Columns = Columns {
    required: &["open", "high", "low", "close", "volume"],
    optional: &["quote_volume", "mark"],
    unread: &[],
    words: None,
    exactly_one_optional: false,
};
/// Column indices in [`Row::values`] and [`BarColumns::values`].
pub(crate) const OPEN: usize = 0;
pub(crate) const HIGH: usize = 1;
pub(crate) const LOW: usize = 2;
pub(crate) const CLOSE: usize = 3;
pub(crate) const VOLUME: usize = 4;
pub(crate) const QUOTE_VOLUME: usize = 5;
pub(crate) const MARK: usize = 6;

/// How the rows of a bar file are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BarRules {
    pub(crate) step_ms: i64,
    pub(crate) ts_kind: TsKind,
    pub(crate) on_bad_row: OnBadRow,
}

impl BarRules {
    /// Open time of the bar a stamp belongs to, on the grid.
    pub(crate) fn open_time(&self, stamp: Stamp) -> std::result::Result<i64, Fault> {
        let step_us = self.step_ms * 1000;
        let open_us = match self.ts_kind {
            TsKind::Open => stamp.us,
            // A close stamp is the end of the bar, or its last millisecond or microsecond.
            TsKind::Close => match stamp.us.rem_euclid(step_us) {
                0 => stamp.us - step_us,
                rest if rest == step_us - 1000 || rest == step_us - 1 => stamp.us - rest,
                _ => stamp.us,
            },
        };
        if open_us % step_us != 0 {
            let grid = bar_name(self.step_ms).map_or_else(|| format!("{} ms", self.step_ms), str::to_owned);
            let end = if self.ts_kind == TsKind::Open { "open" } else { "close" };
            let found = stamp::format_ms(stamp.us.div_euclid(1000));
            return Err(Fault::new("ts", found, format!("{end} times on the {grid} grid")));
        }
        Ok(open_us / 1000)
    }
}

/// Present bars of one symbol in time order.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct BarColumns {
    /// Open times, UTC epoch ms, ascending, on the grid.
    pub(crate) ts_ms: Vec<i64>,
    /// Value columns; an optional one that the source lacks is empty.
    pub(crate) values: [Vec<f64>; MAX_VALUES],
}

/// Reads and checks a bar file.
pub(crate) fn read_bars(
    path: &Path,
    bytes: &Bytes,
    format: Format,
    rules: BarRules,
) -> Result<(BarColumns, TableNotes)> {
    let mut sink = BarSink::new(rules);
    if format == Format::Csv {
        // A row of 15-minute bars takes 55 to 80 bytes.
        sink.reserve(bytes.len() / 56);
    }
    let notes = read_table(path, bytes, format, &COLUMNS, rules.on_bad_row, |row| sink.push(row))?;
    let mut columns = sink.columns;
    if columns.ts_ms.is_empty() {
        let found = match notes.dropped_rows {
            0 => "no rows".to_owned(),
            dropped => format!("no good row ({dropped} dropped)"),
        };
        return Err(BadInput::expected("at least one bar")
            .file(path)
            .key("ts")
            .found(found)
            .fix(FILE_FIX)
            .into());
    }
    for (column, present) in columns.values.iter_mut().zip(notes.present) {
        if !present || column.iter().all(|value| value.is_nan()) {
            *column = Vec::new();
        }
    }
    Ok((columns, notes))
}

/// Takes rows in file order, refuses the bad ones and keeps the others.
pub(crate) struct BarSink {
    rules: BarRules,
    pub(crate) columns: BarColumns,
}

impl BarSink {
    pub(crate) fn new(rules: BarRules) -> Self {
        Self { rules, columns: BarColumns::default() }
    }
    pub(crate) fn reserve(&mut self, rows: usize) {
        self.columns.ts_ms.reserve(rows);
        for column in &mut self.columns.values[..=VOLUME] {
            column.reserve(rows);
        }
    }
    /// Checks a row against the grid, its predecessor and itself, and appends it.
    #[inline]
    pub(crate) fn push(&mut self, row: &Row) -> std::result::Result<(), Fault> {
        let open_ms = self.rules.open_time(row.stamp)?;
        if let Some(&last_ms) = self.columns.ts_ms.last()
            && open_ms <= last_ms
        {
            return Err(out_of_order(open_ms, last_ms));
        }
        check_values(&row.values)?;
        self.columns.ts_ms.push(open_ms);
        for (column, value) in self.columns.values.iter_mut().zip(row.values) {
            column.push(value);
        }
        Ok(())
    }
}

/// What is wrong with a stamp that does not come after the last one.
pub(crate) fn out_of_order(open_ms: i64, last_ms: i64) -> Fault {
    let this = stamp::format_ms(open_ms);
    if open_ms == last_ms {
        Fault::new("ts", format!("{this} a second time"), "each stamp once")
    } else {
        Fault::new("ts", format!("{this} after {}", stamp::format_ms(last_ms)), "ascending stamps")
    }
}

/// `p > 0`, `V ≥ 0`, `L ≤ min(O,C) ≤ max(O,C) ≤ H`; every comparison is false for `NaN`.
#[inline]
fn check_values(v: &[f64; MAX_VALUES]) -> std::result::Result<(), Fault> {
    let (low, high) = (v[LOW], v[HIGH]);
    let inside = low > 0.0
        && low <= v[OPEN]
        && low <= v[CLOSE]
        && v[OPEN] <= high
        && v[CLOSE] <= high
        && high < f64::INFINITY
        && v[VOLUME] >= 0.0
        && v[VOLUME] < f64::INFINITY;
    let optional_ok = (v[QUOTE_VOLUME].is_nan() || (v[QUOTE_VOLUME] >= 0.0 && v[QUOTE_VOLUME].is_finite()))
        && (v[MARK].is_nan() || (v[MARK] > 0.0 && v[MARK].is_finite()));
    if inside && optional_ok { Ok(()) } else { Err(value_fault(v)) }
}

/// Says which check a row failed.
#[cold]
fn value_fault(v: &[f64; MAX_VALUES]) -> Fault {
    let shown = |value: f64| if value.is_nan() { "nothing or NaN".to_owned() } else { value.to_string() };
    for (slot, key) in COLUMNS.names().enumerate() {
        let value = v[slot];
        let missing_ok = slot > VOLUME;
        let is_volume = slot == VOLUME || slot == QUOTE_VOLUME;
        let good = (missing_ok && value.is_nan())
            || (value.is_finite() && if is_volume { value >= 0.0 } else { value > 0.0 });
        if !good {
            let expected = if is_volume { "a number, 0 or more" } else { "a price above 0" };
            return Fault::new(key, shown(value), expected);
        }
    }
    let rule = "low <= open, close <= high";
    if v[LOW] > v[HIGH] {
        return Fault::new("high", format!("high {} below low {}", v[HIGH], v[LOW]), rule);
    }
    for (slot, key) in [(OPEN, "open"), (CLOSE, "close")] {
        if !(v[LOW]..=v[HIGH]).contains(&v[slot]) {
            let found = format!("{key} {} outside low {} and high {}", v[slot], v[LOW], v[HIGH]);
            return Fault::new(key, found, rule);
        }
    }
    unreachable!("a refused bar fails one of the checks")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(sink: &mut BarSink, ms: i64, values: [f64; 7]) -> std::result::Result<(), Fault> {
        sink.push(&Row { stamp: Stamp { us: ms * 1000, naive: false }, values })
    }
    const GOOD: [f64; 7] = [10.0, 12.0, 9.0, 11.0, 5.0, f64::NAN, f64::NAN];

    #[test]
    fn close_stamps_become_open_stamps() {
        let rules = BarRules { step_ms: 900_000, ts_kind: TsKind::Close, on_bad_row: OnBadRow::Error };
        let mut sink = BarSink::new(rules);
        push(&mut sink, 900_000, GOOD).unwrap();
        push(&mut sink, 1_799_999, GOOD).unwrap();
        push(&mut sink, 2_700_000, GOOD).unwrap();
        assert_eq!(sink.columns.ts_ms, [0, 900_000, 1_800_000]);
        assert_eq!(push(&mut sink, 3_000_000, GOOD).unwrap_err().key, "ts");
    }

    #[test]
    fn every_check_names_its_column() {
        let nan = f64::NAN;
        let inf = f64::INFINITY;
        for (key, values) in [
            ("open", [nan, 12.0, 9.0, 11.0, 5.0, nan, nan]),
            ("open", [0.0, 12.0, 0.0, 11.0, 5.0, nan, nan]),
            ("open", [13.0, 12.0, 9.0, 11.0, 5.0, nan, nan]),
            ("high", [10.0, inf, 9.0, 11.0, 5.0, nan, nan]),
            ("high", [10.0, 8.0, 9.0, 11.0, 5.0, nan, nan]),
            ("low", [10.0, 12.0, -9.0, 11.0, 5.0, nan, nan]),
            ("close", [10.0, 12.0, 9.0, nan, 5.0, nan, nan]),
            ("close", [10.0, 12.0, 9.0, 8.5, 5.0, nan, nan]),
            ("volume", [10.0, 12.0, 9.0, 11.0, -1.0, nan, nan]),
            ("volume", [10.0, 12.0, 9.0, 11.0, nan, nan, nan]),
            ("quote_volume", [10.0, 12.0, 9.0, 11.0, 5.0, -1.0, nan]),
            ("quote_volume", [10.0, 12.0, 9.0, 11.0, 5.0, inf, nan]),
            ("mark", [10.0, 12.0, 9.0, 11.0, 5.0, nan, 0.0]),
        ] {
            let fault = check_values(&values).unwrap_err();
            assert_eq!(fault.key, key, "{values:?}: {fault:?}");
        }
        assert_eq!(check_values(&GOOD), Ok(()));
        assert_eq!(check_values(&[10.0, 10.0, 10.0, 10.0, 0.0, 0.0, 10.5]), Ok(()));
    }
}
