//! Time stamps of tables: every form contract 2 allows, to UTC epoch milliseconds.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};

/// Epoch numbers from here on are microseconds (as milliseconds: the year 5138).
const MICROS_FROM: i64 = 100_000_000_000_000;

/// Milliseconds of an epoch number in milliseconds or microseconds; `None` when it is not a whole millisecond.
pub(super) fn epoch_ms(number: i64) -> Option<i64> {
    if number.abs() < MICROS_FROM { Some(number) } else { (number % 1000 == 0).then_some(number / 1000) }
}

/// Milliseconds of a stamp: `2021-06-01 00:00:00+00:00`, its `T` and `Z` forms, a time without a zone (UTC), a date,
/// or an epoch number. `None` when it is none of these or not a whole millisecond.
pub(super) fn parse_ms(text: &str) -> Option<i64> {
    if let Ok(number) = text.parse::<i64>() {
        return epoch_ms(number);
    }
    let iso = text.replacen(' ', "T", 1);
    if let Ok(time) = DateTime::parse_from_rfc3339(&iso) {
        return whole_ms(time.to_utc());
    }
    if let Ok(time) = DateTime::parse_from_str(&iso, "%Y-%m-%dT%H:%M:%S%.f%z") {
        return whole_ms(time.to_utc());
    }
    for form in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(&iso, form) {
            return whole_ms(time.and_utc());
        }
    }
    let date = NaiveDate::parse_from_str(&iso, "%Y-%m-%d").ok()?;
    Some(date.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis())
}

fn whole_ms(time: DateTime<Utc>) -> Option<i64> {
    time.timestamp_subsec_nanos().is_multiple_of(1_000_000).then(|| time.timestamp_millis())
}

/// A stamp as the artifacts write it, for messages.
pub(super) fn written(ms: i64) -> String {
    match DateTime::from_timestamp_millis(ms) {
        Some(time) => time.format("%Y-%m-%d %H:%M:%S%.f+00:00").to_string(),
        None => ms.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_are_the_same_moment() {
        for text in [
            "2021-06-01 00:15:00+00:00",
            "2021-06-01T00:15:00+00:00",
            "2021-06-01T00:15:00Z",
            "2021-06-01 00:15:00Z",
            "2021-06-01 00:15:00.000+00:00",
            "2021-06-01 02:15:00+0200",
            "2021-06-01 00:15:00",
            "2021-06-01T00:15",
            "1622506500000",
            "1622506500000000",
        ] {
            assert_eq!(parse_ms(text), Some(1_622_506_500_000), "{text}");
        }
        assert_eq!(parse_ms("2021-06-01"), Some(1_622_505_600_000));
        assert_eq!(written(1_622_506_500_000), "2021-06-01 00:15:00+00:00");
        for text in ["", "yesterday", "2021-13-01", "1622506500000001", "2021-06-01 00:15:00.0000001Z"] {
            assert_eq!(parse_ms(text), None, "{text}");
        }
    }
}
