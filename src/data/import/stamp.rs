//! Timestamps as text and as epoch numbers, to and from UTC epoch milliseconds.
//!
//! Everything about reading and writing a `ts` is here and nowhere else; it knows nothing of bars or files.

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;

/// Days from 1970-01-01 of a proleptic Gregorian date (the era method: 400 years are 146,097 days, years that begin
/// in March put the leap day last).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// UTC epoch milliseconds as `2021-06-01 00:00:00+00:00`, with `.mmm` only where they are not zero.
///
/// ```
/// use barloom::data::import::stamp::format_stamp;
/// assert_eq!(format_stamp(1_622_505_600_000), "2021-06-01 00:00:00+00:00");
/// assert_eq!(format_stamp(1_622_505_600_005), "2021-06-01 00:00:00.005+00:00");
/// ```
pub fn format_stamp(ms: i64) -> String {
    let (days, in_day) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS));
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second, milli) =
        (in_day / 3_600_000, in_day / 60_000 % 60, in_day / 1_000 % 60, in_day % 1_000);
    if milli == 0 {
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}+00:00")
    } else {
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{milli:03}+00:00")
    }
}

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
///
/// ```
/// use barloom::data::import::stamp::parse_stamp;
/// for text in ["1622505600000", "1622505600000000", "2021-06-01 00:00:00+00:00", "2021-06-01T02:00:00+02:00", "2021-06-01"] {
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
    let mut rest = Cursor(text.as_bytes());
    let year = rest.number(4)?;
    rest.expect(b'-')?;
    let month = rest.number(2)?;
    rest.expect(b'-')?;
    let day = rest.number(2)?;
    let days = days_from_civil(year, month, day);
    // A date that does not exist (31 June, month 13) would come back as another one.
    if !(1..=12).contains(&month) || civil_from_days(days) != (year, month, day) {
        return None;
    }
    let midnight = days * DAY_MS;
    if rest.0.is_empty() {
        return Some(midnight);
    }
    if !matches!(rest.next()?, b' ' | b'T' | b't') {
        return None;
    }
    let (hour, minute, second) = (rest.number(2)?, rest.minutes()?, rest.minutes_or_zero()?);
    let milli = rest.fraction_ms()?;
    let offset_ms = rest.offset_ms()?;
    if hour > 23 || minute > 59 || second > 59 || !rest.0.is_empty() {
        return None;
    }
    Some(midnight + hour * 3_600_000 + minute * 60_000 + second * 1_000 + milli - offset_ms)
}

/// The bytes not read yet.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }
    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }
    fn number(&mut self, digits: usize) -> Option<i64> {
        let mut value = 0;
        for _ in 0..digits {
            let byte = self.next()?;
            if !byte.is_ascii_digit() {
                return None;
            }
            value = value * 10 + i64::from(byte - b'0');
        }
        Some(value)
    }
    /// `:mm`
    fn minutes(&mut self) -> Option<i64> {
        self.expect(b':')?;
        self.number(2)
    }
    /// `:ss` or nothing.
    fn minutes_or_zero(&mut self) -> Option<i64> {
        if self.0.first() == Some(&b':') { self.minutes() } else { Some(0) }
    }
    /// `.fff…` or nothing; digits beyond the millisecond are cut.
    fn fraction_ms(&mut self) -> Option<i64> {
        if self.0.first() != Some(&b'.') {
            return Some(0);
        }
        self.next();
        let (mut value, mut digits) = (0, 0);
        while let Some(byte) = self.0.first().copied().filter(u8::is_ascii_digit) {
            self.next();
            if digits < 3 {
                value = value * 10 + i64::from(byte - b'0');
            }
            digits += 1;
        }
        match digits {
            0 => None,
            1 => Some(value * 100),
            2 => Some(value * 10),
            _ => Some(value),
        }
    }
    /// `Z`, ` UTC`, `+hh:mm`, `+hhmm`, `+hh` or nothing.
    fn offset_ms(&mut self) -> Option<i64> {
        if matches!(self.0, b"" | b"Z" | b"z" | b" UTC") {
            self.0 = b"";
            return Some(0);
        }
        let sign = match self.next()? {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let hours = self.number(2)?;
        if self.0.first() == Some(&b':') {
            self.next();
        }
        let minutes = if self.0.is_empty() { 0 } else { self.number(2)? };
        (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3_600_000 + minutes * 60_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_four_centuries_is_its_own_inverse() {
        for days in -146_097..146_097 {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
        assert_eq!(civil_from_days(0), (1970, 1, 1));
        assert_eq!(civil_from_days(19_782), (2024, 2, 29));
    }

    #[test]
    fn stamps_read_back() {
        for ms in [0, 1, 951_782_400_000, 1_709_251_199_999, 1_672_531_200_000 + 13] {
            assert_eq!(parse_stamp(&format_stamp(ms)), Some(ms));
        }
    }

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
        assert_eq!(parse_stamp("1672532099999999"), Some(ms - 1));
    }

    #[test]
    fn other_text_is_refused() {
        let wrong = [
            "",
            "ts",
            "-5",
            "1e12",
            "nan",
            "2023-13-01",
            "2023-06-31",
            "2023-01-01 24:00:00",
            "2023-01-01 00:60:00",
            "2023-01-01 00:15:00+",
            "2023-01-01 00:15:00.",
            "2023-01-01x",
            "01/02/2023",
            "99999999999999999999",
        ];
        for text in wrong {
            assert_eq!(parse_stamp(text), None, "{text}");
        }
    }
}
