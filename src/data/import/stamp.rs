//! Timestamps of foreign files: the forms of [`crate::market::stamp`], and epoch numbers of any unit.

use crate::market::stamp::parse;

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;

/// Epoch number of seconds, milliseconds, microseconds or nanoseconds, told apart by size, as milliseconds.
///
/// The ranges do not meet: each holds the years 1973 to 5138 of its unit. Fractions of a millisecond are cut.
pub fn epoch_ms(number: i64) -> Option<i64> {
    const UNIT: i64 = 100_000_000_000;
    match number {
        _ if number < 0 => None,
        _ if number < UNIT => Some(number * 1_000),
        _ if number < UNIT * 1_000 => Some(number),
        _ if number < UNIT * 1_000_000 => Some(number / 1_000),
        _ => Some(number / 1_000_000),
    }
}

/// Reads a stamp: an epoch number, or a date with an optional time, fraction and offset; without offset it is UTC.
/// Fractions of a millisecond are cut.
///
/// ```
/// use barloom::data::import::stamp::parse_stamp;
/// for text in ["1622505600", "1622505600000.0", "2021-06-01 00:00:00+00:00", "2021-06-01T02:00:00+02:00", "2021-06-01"] {
///     assert_eq!(parse_stamp(text), Some(1_622_505_600_000), "{text}");
/// }
/// assert_eq!(parse_stamp("2021-02-29"), None);
/// ```
pub fn parse_stamp(text: &str) -> Option<i64> {
    let text = text.trim();
    let whole = text.strip_suffix(".0").unwrap_or(text);
    if !whole.is_empty() && whole.bytes().all(|b| b.is_ascii_digit()) {
        return epoch_ms(whole.parse().ok()?);
    }
    parse(text.as_bytes()).map(|stamp| stamp.us.div_euclid(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_in_use_are_read() {
        let ms = 1_672_532_100_000;
        let forms = [
            "2023-01-01 00:15:00+00:00",
            "2023-01-01T00:15:00Z",
            "2023-01-01T00:15:00.000Z",
            "2023-01-01 00:15:00",
            "2023-01-01 00:15",
            "2023-01-01 00:15:00 UTC",
            "2023-01-01 05:45:00+0530",
            "2022-12-31T16:15:00-08",
            "2023-01-01 00:15:00.000000+00:00",
            "1672532100",
            "1672532100000",
            "1672532100000000",
            "1672532100000000000",
            "1672532100000.0",
            " 1672532100000 ",
        ];
        for form in forms {
            assert_eq!(parse_stamp(form), Some(ms), "{form}");
        }
        assert_eq!(parse_stamp("2023-01-01 00:14:59.999999"), Some(ms - 1));
        for form in ["", "yesterday", "2023-02-30", "2023-01-01 24:00:00", "-5"] {
            assert_eq!(parse_stamp(form), None, "{form}");
        }
    }
}
