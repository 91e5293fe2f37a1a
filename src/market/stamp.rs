//! Time stamps as they occur in files: ISO-like text and epoch numbers, to UTC microseconds.
//!
//! Microseconds, so that a stamp off by less than a millisecond is still seen to be off the grid.

/// A moment read from a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// UTC epoch microseconds.
    pub us: i64,
    /// The text carried no offset and was taken as UTC.
    pub naive: bool,
}

/// 2000-01-01 and 2100-01-01: outside of these a stamp is in the wrong unit or damaged.
const YEARS: std::ops::Range<i64> = 946_684_800_000_000..4_102_444_800_000_000;

/// What [`parse`] accepts, for messages.
pub const EXPECTED: &str =
    "a UTC time such as `2021-06-01 00:00:00+00:00` or epoch ms or µs (years 2000 to 2099)";

/// Reads `2021-06-01 00:00:00+00:00`, its `T` and `Z` forms, other offsets, or an integer epoch in ms or µs.
///
/// ```
/// use barloom::market::stamp::parse;
/// let us = 1_622_505_600_000_000;
/// for text in ["2021-06-01 00:00:00+00:00", "2021-06-01T00:00:00Z", "2021-06-01T02:00+02:00", "1622505600000"] {
///     assert_eq!(parse(text.as_bytes()).map(|stamp| stamp.us), Some(us));
/// }
/// assert_eq!(parse(b"1622505600"), None, "seconds are not accepted");
/// ```
pub fn parse(text: &[u8]) -> Option<Stamp> {
    let text = text.trim_ascii();
    let us = if text.len() >= 10 && text[4] == b'-' {
        return parse_civil(text).filter(|stamp| YEARS.contains(&stamp.us));
    } else {
        from_epoch(parse_integer(text)?)?
    };
    Some(Stamp { us, naive: false })
}

/// Same as [`parse`], in milliseconds: for dates in config and contract files.
pub fn parse_ms(text: &str) -> Option<i64> {
    parse(text.as_bytes()).map(|stamp| stamp.us.div_euclid(1000))
}

/// An integer epoch in ms or µs, told apart by its size, as µs.
pub fn from_epoch(value: i64) -> Option<i64> {
    if YEARS.contains(&value) {
        return Some(value);
    }
    value.checked_mul(1000).and_then(in_range)
}

/// The value itself where it is a plausible µs epoch.
pub(crate) fn in_range(us: i64) -> Option<i64> {
    YEARS.contains(&us).then_some(us)
}

/// A moment as it is written in CSV files.
pub fn format_ms(ms: i64) -> String {
    match chrono::DateTime::from_timestamp_millis(ms) {
        Some(time) if ms.rem_euclid(1000) == 0 => time.format("%Y-%m-%d %H:%M:%S+00:00").to_string(),
        Some(time) => time.format("%Y-%m-%d %H:%M:%S%.3f+00:00").to_string(),
        None => format!("{ms} ms"),
    }
}

fn parse_integer(text: &[u8]) -> Option<i64> {
    if text.is_empty() || text.len() > 18 {
        return None;
    }
    number(text)
}

/// Value of ASCII digits.
#[inline]
fn number(digits: &[u8]) -> Option<i64> {
    let mut value = 0i64;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value * 10 + i64::from(digit - b'0');
    }
    Some(value)
}

fn parse_civil(text: &[u8]) -> Option<Stamp> {
    let (year, month, day) = (number(&text[..4])?, number(&text[5..7])?, number(&text[8..10])?);
    if text[7] != b'-' || !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    let midnight_us = days_from_civil(year, month, day) * 86_400_000_000;
    if text.len() == 10 {
        return Some(Stamp { us: midnight_us, naive: true });
    }
    if text.len() < 16 || !matches!(text[10], b' ' | b'T' | b't') || text[13] != b':' {
        return None;
    }
    let (hour, minute) = (number(&text[11..13])?, number(&text[14..16])?);
    let mut rest = &text[16..];
    let mut second = 0;
    let mut fraction_us = 0;
    if let [b':', tens, ones, tail @ ..] = rest {
        second = number(&[*tens, *ones])?;
        rest = tail;
        if let [b'.', tail @ ..] = rest {
            let digits = tail.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 || digits > 9 {
                return None;
            }
            let kept = digits.min(6);
            fraction_us = number(&tail[..kept])? * 10i64.pow(6 - kept as u32);
            rest = &tail[digits..];
        }
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (offset_min, naive) = parse_zone(rest)?;
    let seconds = (hour * 60 + minute - offset_min) * 60 + second;
    Some(Stamp { us: midnight_us + seconds * 1_000_000 + fraction_us, naive })
}

/// Offset from UTC in minutes, and whether there was none.
fn parse_zone(zone: &[u8]) -> Option<(i64, bool)> {
    let (sign, digits) = match zone {
        b"+00:00" | b"Z" | b"z" | b" UTC" => return Some((0, false)),
        b"" => return Some((0, true)),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits.len() {
        2 => (number(digits)?, 0),
        4 => (number(&digits[..2])?, number(&digits[2..])?),
        5 if digits[2] == b':' => (number(&digits[..2])?, number(&digits[3..])?),
        _ => return None,
    };
    (hours <= 14 && minutes <= 59).then_some((sign * (hours * 60 + minutes), false))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar; years start in March so that leap days come last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_a_century_is_what_chrono_says() {
        for day in 0..36_525i64 {
            let us = YEARS.start + (day * 86_400 + day * 7919 % 86_400) * 1_000_000;
            let time = chrono::DateTime::from_timestamp_micros(us).unwrap();
            for format in ["%Y-%m-%d %H:%M:%S+00:00", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S%.6f UTC"] {
                let text = time.format(format).to_string();
                assert_eq!(parse(text.as_bytes()), Some(Stamp { us, naive: false }), "{text}");
            }
            assert_eq!(parse_ms(&format_ms(us / 1000)), Some(us / 1000));
        }
    }

    #[test]
    fn forms_and_units() {
        let at = |text: &str| parse(text.as_bytes());
        let us = 1_622_508_300_000_000;
        let utc = Some(Stamp { us, naive: false });
        assert_eq!(at("1622508300000"), utc);
        assert_eq!(at("1622508300000000"), utc);
        assert_eq!(at(" 2021-06-01 00:45:00+00:00 "), utc);
        assert_eq!(at("2021-05-31T19:45:00-0500"), utc);
        assert_eq!(at("2021-06-01 06:15:00+05:30"), utc);
        assert_eq!(at("2021-06-01 00:45:00"), Some(Stamp { us, naive: true }));
        assert_eq!(at("2021-06-01 00:44:59.999Z"), Some(Stamp { us: us - 1000, naive: false }));
        assert_eq!(at("2021-06-01").map(|stamp| stamp.us), Some(us - 45 * 60_000_000));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "x",
            "NaN",
            "1622508300",
            "2021-02-29 00:00:00Z",
            "2021-13-01 00:00:00Z",
            "2021-06-01 24:00:00Z",
            "2021-06-01 00:60:00Z",
            "2021-06-01 00:00:61Z",
            "2021-06-01 00:00:00 EST",
            "2021-06-01 00:00:00+1",
            "2021-06-01 00:00:00.Z",
            "1970-01-01 00:00:00Z",
            "2150-01-01 00:00:00Z",
            "2021/06/01 00:00:00Z",
            "99999999999999999999",
            "2021-06-01X00:00:00Z",
            "20é1-06-01 00:00:00Z",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
