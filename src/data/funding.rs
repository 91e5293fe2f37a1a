//! Funding records of one symbol, from stamps with jitter to settlements in bars (semantics 3.3).

use std::path::Path;

use bytes::Bytes;

use super::OnBadRow;
use super::bars::{BarColumns, CLOSE, OPEN};
use super::fault::Fault;
use super::stamp;
use super::table::{Columns, Format, Row, TableNotes, read_table};
use crate::error::Result;

const COLUMNS: Columns = Columns {
    required: &["funding_rate"],
    optional: &["mark_price", "interval_hours"],
    unread: &[],
    words: None,
    exactly_one_optional: false,
};
const MINUTE_US: i64 = 60_000_000;
/// Largest distance to a whole minute that is jitter.
const JITTER_US: i64 = 5_000_000;
const HOUR_MS: i64 = 3_600_000;
/// Longest interval a record may give, hours.
const MAX_INTERVAL_HOURS: f64 = 24.0;
/// Longest time between two records that is taken for an interval; beyond it a record is missing. No exchange whose
/// files lack the interval settles less often.
const MAX_INFERRED_MS: i64 = 8 * HOUR_MS;

/// One record as the source gives it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct FundingRow {
    /// Settlement time, snapped to the minute, UTC epoch ms.
    pub(crate) time_ms: i64,
    pub(crate) rate_frac: f64,
    /// Mark price of the record; `NaN`: none.
    pub(crate) mark_px: f64,
    /// Its interval, else the time since the record before; 0: unknown.
    pub(crate) interval_ms: i64,
}

/// Takes records in time order.
#[derive(Debug, Default, Clone)]
pub(crate) struct FundingSink {
    pub(crate) rows: Vec<FundingRow>,
    /// Records too far from a whole minute to be a settlement.
    pub(crate) quarantined: u64,
}

impl FundingSink {
    /// Checks a record and appends it.
    pub(crate) fn push(&mut self, row: &Row) -> std::result::Result<(), Fault> {
        let [rate_frac, mark_px, interval_hours, ..] = row.values;
        if !rate_frac.is_finite() {
            let found = if rate_frac.is_nan() { "nothing or NaN".to_owned() } else { rate_frac.to_string() };
            return Err(Fault::new("funding_rate", found, "a rate as a fraction"));
        }
        if !(mark_px.is_nan() || (mark_px > 0.0 && mark_px.is_finite())) {
            return Err(Fault::new("mark_price", mark_px.to_string(), "a price above 0, or nothing"));
        }
        if !(interval_hours.is_nan() || (interval_hours > 0.0 && interval_hours <= MAX_INTERVAL_HOURS)) {
            let expected = format!("hours above 0, at most {MAX_INTERVAL_HOURS}, or nothing");
            return Err(Fault::new("interval_hours", interval_hours.to_string(), expected));
        }
        let minute_us = (row.stamp.us + MINUTE_US / 2).div_euclid(MINUTE_US) * MINUTE_US;
        if (row.stamp.us - minute_us).abs() > JITTER_US {
            self.quarantined += 1;
            return Ok(());
        }
        let time_ms = minute_us / 1000;
        if let Some(last) = self.rows.last().map(|row| row.time_ms)
            && time_ms <= last
        {
            let this = stamp::format_ms(time_ms);
            return Err(if time_ms == last {
                Fault::new("ts", format!("{this} a second time"), "one record for each settlement")
            } else {
                Fault::new("ts", format!("{this} after {}", stamp::format_ms(last)), "ascending stamps")
            });
        }
        let interval_ms = if interval_hours.is_nan() {
            self.time_since_last(time_ms)
        } else {
            (interval_hours * HOUR_MS as f64).round() as i64
        };
        self.rows.push(FundingRow { time_ms, rate_frac, mark_px, interval_ms });
        Ok(())
    }

    /// The interval where no column gives it. Over a gap in the records the interval before it is the last known one.
    fn time_since_last(&self, time_ms: i64) -> i64 {
        let Some(last) = self.rows.last() else { return 0 };
        let since_ms = time_ms - last.time_ms;
        if since_ms <= MAX_INFERRED_MS { since_ms } else { last.interval_ms }
    }
}

/// Reads and checks a funding file.
pub(crate) fn read_funding(
    path: &Path,
    bytes: &Bytes,
    format: Format,
    on_bad_row: OnBadRow,
) -> Result<(FundingSink, TableNotes)> {
    let mut sink = FundingSink::default();
    let notes = read_table(path, bytes, format, &COLUMNS, on_bad_row, |row| sink.push(row))?;
    Ok((sink, notes))
}

/// A record that will be settled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Settlement {
    pub(crate) time_ms: i64,
    /// Open of the first bar at or after `time_ms`.
    pub(crate) open_ms: i64,
    pub(crate) rate_frac: f64,
    /// `M(τ)`: the record's mark, else the bar's open, else the last close.
    pub(crate) mark_px: f64,
    /// Time to the next settlement as far as known; 0: unknown.
    pub(crate) interval_ms: i64,
}

/// Records that are settled, and counts of the odd ones.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Settlements {
    pub(crate) list: Vec<Settlement>,
    /// Settlement times inside a bar, settled at the next open.
    pub(crate) inside_bar: u64,
    /// Records before the first bar or after the delisting, ignored.
    pub(crate) ignored: u64,
}

/// Puts records on the bars of their symbol.
pub(crate) fn settle(
    rows: &[FundingRow],
    bars: &BarColumns,
    step_ms: i64,
    delisted_ms: Option<i64>,
) -> Settlements {
    let mut settled = Settlements { list: Vec::with_capacity(rows.len()), ..Settlements::default() };
    let listed_ms = bars.ts_ms.first().copied().unwrap_or(i64::MAX);
    // First bar that opens at or after the settlement; records and bars both ascend.
    let mut next = 0;
    for row in rows {
        if row.time_ms < listed_ms || delisted_ms.is_some_and(|end_ms| row.time_ms > end_ms) {
            settled.ignored += 1;
            continue;
        }
        let open_ms = (row.time_ms + step_ms - 1).div_euclid(step_ms) * step_ms;
        settled.inside_bar += u64::from(open_ms != row.time_ms);
        while bars.ts_ms.get(next).is_some_and(|&ts_ms| ts_ms < open_ms) {
            next += 1;
        }
        let mark_px = if !row.mark_px.is_nan() {
            row.mark_px
        } else if bars.ts_ms.get(next) == Some(&open_ms) {
            bars.values[OPEN][next]
        } else {
            // The first bar opens at or before the settlement, so one lies behind.
            bars.values[CLOSE][next - 1]
        };
        let FundingRow { time_ms, rate_frac, interval_ms, .. } = *row;
        settled.list.push(Settlement { time_ms, open_ms, rate_frac, mark_px, interval_ms });
    }
    settled
}

#[cfg(test)]
mod tests {
    use super::super::stamp::Stamp;
    use super::super::table::MAX_VALUES;
    use super::*;

    const START_MS: i64 = 1_700_006_400_000;

    fn row(us: i64, rate: f64, mark: f64) -> Row {
        let mut values = [f64::NAN; MAX_VALUES];
        (values[0], values[1]) = (rate, mark);
        Row { stamp: Stamp { us, naive: false }, values }
    }

    #[test]
    fn jitter_is_snapped_and_strays_are_quarantined() {
        let mut sink = FundingSink::default();
        for offset_us in [5_000, HOUR_MS * 1000 - 29_000, 2 * HOUR_MS * 1000 + 5_000_000] {
            sink.push(&row(START_MS * 1000 + offset_us, 1e-4, f64::NAN)).unwrap();
        }
        sink.push(&row((START_MS + 3 * HOUR_MS) * 1000 + 5_000_001, 1e-4, f64::NAN)).unwrap();
        let times: Vec<i64> = sink.rows.iter().map(|row| (row.time_ms - START_MS) / HOUR_MS).collect();
        assert_eq!((times, sink.quarantined), (vec![0, 1, 2], 1));
        let twice = sink.push(&row((START_MS + 2 * HOUR_MS) * 1000 + 1, 1e-4, f64::NAN)).unwrap_err();
        assert!(twice.found.contains("a second time"), "{twice:?}");
        let back = sink.push(&row(START_MS * 1000, 1e-4, f64::NAN)).unwrap_err();
        assert_eq!(back.expected, "ascending stamps");
        assert_eq!(sink.push(&row(START_MS * 1000, f64::NAN, 1.0)).unwrap_err().key, "funding_rate");
        assert_eq!(sink.push(&row(START_MS * 1000, 0.1, 0.0)).unwrap_err().key, "mark_price");
    }

    #[test]
    fn the_interval_is_the_columns_or_the_time_since_the_last_record() {
        let mut sink = FundingSink::default();
        // Hours since the start, and the column: blank, a gap of two records, a change to hourly, the column's word.
        let nan = f64::NAN;
        for (hours, interval) in
            [(0, nan), (8, nan), (24, nan), (32, nan), (33, nan), (34, 4.0), (60, nan), (61, 0.25)]
        {
            let mut row = row((START_MS + hours * HOUR_MS) * 1000, 1e-4, nan);
            row.values[2] = interval;
            sink.push(&row).unwrap();
        }
        let hours: Vec<f64> = sink.rows.iter().map(|row| row.interval_ms as f64 / HOUR_MS as f64).collect();
        assert_eq!(hours, [0.0, 8.0, 8.0, 8.0, 1.0, 4.0, 4.0, 0.25]);
        for interval in [0.0, -8.0, 24.5, f64::INFINITY] {
            let mut row = row((START_MS + 99 * HOUR_MS) * 1000, 1e-4, nan);
            row.values[2] = interval;
            assert_eq!(sink.push(&row).unwrap_err().key, "interval_hours");
        }
    }

    /// Stamps and intervals of an exchange, where they are at hand.
    #[test]
    #[allow(clippy::print_stdout, reason = "a test that is skipped says so")]
    fn real_jitter_is_snapped_and_a_real_change_of_interval_is_seen() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let dirty = ["../shared/data/dirty", "../../shared/data/dirty"].map(|path| root.join(path));
        let Some(dirty) = dirty.iter().find(|path| path.is_dir()) else {
            return println!("skipped: no real data here");
        };
        let read = |name: &str| {
            let text = std::fs::read_to_string(dirty.join(name)).unwrap();
            let stamps = text.lines().skip(1).filter_map(|line| line.split(',').next()?.parse().ok());
            let raw: Vec<i64> = stamps.collect();
            let text = text.replacen("fundingTime,fundingRate", "ts,funding_rate", 1);
            let (sink, notes) =
                read_funding(Path::new(name), &Bytes::from(text), Format::Csv, OnBadRow::Error).unwrap();
            assert_eq!((sink.quarantined, notes.rows as usize, sink.rows.len()), (0, raw.len(), raw.len()));
            (sink.rows, raw)
        };
        let (rows, raw) = read("funding_jitter_BTCUSDT_2024-05_2024-07.csv");
        assert!(rows.iter().all(|row| row.time_ms % (8 * HOUR_MS) == 0));
        assert!(raw.iter().any(|ms| ms % 60_000 != 0), "the file has jitter to snap");
        assert!(rows[1..].iter().all(|row| row.interval_ms == 8 * HOUR_MS));
        let (rows, _) = read("funding_interval_change_LAYERUSDT.csv");
        let mut hours: Vec<i64> = rows[1..].iter().map(|row| row.interval_ms / HOUR_MS).collect();
        assert!(rows.windows(2).all(|pair| pair[1].interval_ms == pair[1].time_ms - pair[0].time_ms));
        hours.dedup();
        assert_eq!(hours, [4, 1]);
    }

    #[test]
    fn mark_is_the_records_else_the_open_else_the_last_close() {
        let mut bars = BarColumns { ts_ms: vec![START_MS, START_MS + 2 * HOUR_MS], ..BarColumns::default() };
        bars.values[OPEN] = vec![10.0, 30.0];
        bars.values[CLOSE] = vec![11.0, 31.0];
        let at = |hours_q: i64, mark_px: f64| FundingRow {
            time_ms: START_MS + hours_q * HOUR_MS / 4,
            rate_frac: 0.01,
            mark_px,
            interval_ms: 0,
        };
        let nan = f64::NAN;
        let rows = [
            at(-4, 1.0),
            at(0, nan),
            at(3, nan),
            at(4, nan),
            at(8, nan),
            at(9, 7.0),
            at(12, nan),
            at(16, nan),
        ];
        let settled = settle(&rows, &bars, HOUR_MS, Some(START_MS + 3 * HOUR_MS));
        let marks: Vec<f64> = settled.list.iter().map(|settlement| settlement.mark_px).collect();
        assert_eq!(marks, [10.0, 11.0, 11.0, 30.0, 7.0, 31.0]);
        let bars_of: Vec<i64> =
            settled.list.iter().map(|settlement| (settlement.open_ms - START_MS) / HOUR_MS).collect();
        assert_eq!(bars_of, [0, 1, 1, 2, 3, 3]);
        assert_eq!((settled.inside_bar, settled.ignored), (2, 2));
    }
}
