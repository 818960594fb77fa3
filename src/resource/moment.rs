//! Points in time and days in the format of RFC 3339, stored as text of fixed width so that text order is time order.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;
use jiff::{SignedDuration, Span, Timestamp, Unit};
use serde_json::Number;

/// The instant of a write: everything that one request sets to "now" has this value.
#[derive(Debug, Clone, Copy)]
pub struct Moment(Timestamp);

impl Moment {
    pub fn now() -> Self {
        Self(Timestamp::now())
    }

    /// The instant that was so long ago, or the first there is.
    pub fn before(self, ago: std::time::Duration) -> Self {
        Self(self.0.checked_sub(ago).unwrap_or(Timestamp::UNIX_EPOCH))
    }

    /// In the form of [`datetime`].
    pub fn datetime(self) -> String {
        write(Offset::UTC.to_datetime(self.0))
    }

    /// The day, in UTC.
    pub fn date(self) -> String {
        self.datetime().get(..10).unwrap_or_default().to_owned()
    }
}

/// An RFC 3339 date-time as `2026-11-22T16:23:11.123456Z`: UTC, microseconds, always 27 characters.
///
/// All of section 5.6 is read, from year 0001 to 9999 in UTC: what PostgreSQL can keep, too. Digits after the sixth of a fraction are cut off. A leap
/// second is kept as the second after it, which is how POSIX and PostgreSQL count; it is taken at the end of a month in
/// UTC alone.
pub fn datetime(text: &str) -> Option<String> {
    let (start, rest) = text.split_at_checked(19)?;
    if !matches(start.as_bytes(), b"dddd-dd-ddtdd:dd:dd") {
        return None;
    }
    let (micros, offset) = match rest.strip_prefix('.') {
        Some(fraction) => {
            let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
            let (digits, offset) = fraction.split_at_checked(digits)?;
            let kept = digits.get(..6).unwrap_or(digits);
            (format!("{kept:0<6}").parse::<i32>().ok().filter(|_| !digits.is_empty())?, offset)
        }
        None => (0, rest),
    };
    let part = |from: usize| text.get(from..from.checked_add(2)?)?.parse::<i8>().ok();
    let day = Date::new(text.get(..4)?.parse().ok()?, part(5)?, part(8)?).ok()?;
    let (second, leap) = match part(17)? {
        60 => (59, true),
        second => (second, false),
    };
    let time = Time::new(part(11)?, part(14)?, second, micros.checked_mul(1000)?).ok()?;
    let utc = day.to_datetime(time).checked_sub(Span::new().minutes(minutes_east(offset)?)).ok()?;
    let utc = if leap { after_leap_second(utc)? } else { utc };
    (utc.year() >= 1).then(|| write(utc))
}

/// The moment so many seconds after 1970, in the form of [`datetime`]; `None` outside of the years 0001 to 9999.
pub fn since_1970(seconds: &Number) -> Option<String> {
    let duration = match seconds.as_i64() {
        Some(seconds) => SignedDuration::from_secs(seconds),
        None => SignedDuration::try_from_secs_f64(seconds.as_f64()?).ok()?,
    };
    let at = Timestamp::from_duration(duration).ok()?.round(Unit::Microsecond).ok()?;
    let utc = Offset::UTC.to_datetime(at);
    (utc.year() >= 1).then(|| write(utc))
}

/// An RFC 3339 full-date, as it was written.
pub fn date(text: &str) -> Option<String> {
    let shape = matches(text.as_bytes(), b"dddd-dd-dd") && !text.starts_with("0000");
    (shape && text.parse::<Date>().is_ok()).then(|| text.to_owned())
}

/// The `time-offset` of the grammar.
fn minutes_east(offset: &str) -> Option<i64> {
    if matches!(offset, "Z" | "z") {
        return Some(0);
    }
    let (sign, rest) = match offset.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    if !matches(rest.as_bytes(), b"dd:dd") {
        return None;
    }
    let part =
        |from: usize, below: i64| rest.get(from..from.checked_add(2)?)?.parse::<i64>().ok().filter(|n| *n < below);
    Some(sign * (part(0, 24)? * 60 + part(3, 60)?))
}

/// The second after the last one of a month; `None` within a month, where there is no leap second (section 5.7).
fn after_leap_second(utc: DateTime) -> Option<DateTime> {
    let next = utc.checked_add(Span::new().seconds(1)).ok()?;
    (next.day() == 1 && utc.day() != 1).then_some(next)
}

fn write(at: DateTime) -> String {
    let (year, month, day) = (at.year(), at.month(), at.day());
    let (hour, minute, second, micros) = (at.hour(), at.minute(), at.second(), at.subsec_nanosecond() / 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

fn matches(text: &[u8], shape: &[u8]) -> bool {
    text.len() == shape.len()
        && text.iter().zip(shape).all(|(byte, wanted)| match wanted {
            b'd' => byte.is_ascii_digit(),
            b't' => matches!(byte, b'T' | b't'),
            exact => byte == exact,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_spelling_of_a_moment_becomes_one_text() {
        let at = Some("2026-11-22T16:23:11.123456Z".to_owned());
        assert_eq!(datetime("2026-11-22T16:23:11.123456Z"), at);
        assert_eq!(datetime("2026-11-22T17:23:11.123456789+01:00"), at);
        assert_eq!(datetime("2026-11-22t16:23:11.123456z"), at);
        assert_eq!(datetime("2026-11-22T16:23:11.12345678901234567890-00:00"), at);
        assert_eq!(datetime("2026-11-22T16:23:11Z").as_deref(), Some("2026-11-22T16:23:11.000000Z"));
        assert_eq!(Moment::now().datetime().len(), 27);
    }

    #[test]
    fn the_whole_range_of_rfc_3339_is_read() {
        for (text, kept) in [
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"),
            ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000000Z"),
            ("9999-12-31T23:59:59.999999999z", "9999-12-31T23:59:59.999999Z"),
            ("9999-12-31T23:59:59+23:59", "9999-12-31T00:00:59.000000Z"),
            ("0001-01-01T00:00:00-23:59", "0001-01-01T23:59:00.000000Z"),
            ("0004-02-29T12:00:00.1Z", "0004-02-29T12:00:00.100000Z"),
            ("1990-12-31T23:59:60Z", "1991-01-01T00:00:00.000000Z"),
            ("1990-12-31T15:59:60-08:00", "1991-01-01T00:00:00.000000Z"),
            ("2016-12-31T23:59:60.75Z", "2017-01-01T00:00:00.750000Z"),
            ("1937-01-01T12:00:27.87+00:20", "1937-01-01T11:40:27.870000Z"),
        ] {
            assert_eq!(datetime(text).as_deref(), Some(kept), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_moment_is_refused() {
        let bad = [
            "",
            "yesterday",
            "2026-02-03T00:00:00",
            "2026-02-30T00:00:00Z",
            "2026-02-03 00:00:00Z",
            "2026-02-03T00:00Z",
            "2026-02-03T24:00:00Z",
            "2026-02-03T00:60:00Z",
            "2026-02-03T00:00:61Z",
            "2026-02-03T00:00:60Z",
            "2026-12-31T23:58:60Z",
            "2026-12-31T23:59:60+01:00",
            "2026-02-03T00:00:00.Z",
            "2026-02-03T00:00:00+0100",
            "2026-02-03T00:00:00+24:00",
            "2026-02-03T00:00:00+01:60",
            "2026-02-03T00:00:00ZZ",
            "2026-02-03T00:00:00[UTC]",
            "+2026-02-03T00:00:00Z",
            "０000-01-01T00:00:00Z",
            "0001-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "9999-12-31T23:59:60Z",
        ];
        for text in bad {
            assert_eq!(datetime(text), None, "{text}");
        }
        assert_eq!(date("2026-02-28").as_deref(), Some("2026-02-28"));
        assert_eq!(date("0001-01-01").as_deref(), Some("0001-01-01"));
        assert_eq!(date("0000-12-31"), None);
        assert_eq!(date("2026-02-30"), None);
        assert_eq!(date("20260228"), None);
    }

    #[test]
    fn seconds_since_1970_are_a_moment_of_the_years_that_are_read() {
        for (seconds, kept) in [
            ("0", "1970-01-01T00:00:00.000000Z"),
            ("1700000000", "2023-11-14T22:13:20.000000Z"),
            ("1700000000.7", "2023-11-14T22:13:20.700000Z"),
            ("1700000000.123456", "2023-11-14T22:13:20.123456Z"),
            ("1.7e9", "2023-11-14T22:13:20.000000Z"),
            ("-0.5", "1969-12-31T23:59:59.500000Z"),
            ("-62135596800", "0001-01-01T00:00:00.000000Z"),
        ] {
            assert_eq!(since_1970(&seconds.parse().unwrap()).as_deref(), Some(kept), "{seconds}");
        }
        for seconds in ["-62135596801", "253402300800", "1e20", "-1e300", "18446744073709551615"] {
            assert_eq!(since_1970(&seconds.parse().unwrap()), None, "{seconds}");
        }
    }

    proptest! {
        #[test]
        fn what_is_kept_is_read_as_itself(text in "[0-9]{4}-(0[1-9]|1[0-2])-[0-2][1-8]T[01][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,12})?(Z|[+-](0[0-9]|1[0-9]|2[0-3]):[0-5][0-9])") {
            if let Some(kept) = datetime(&text) {
                prop_assert_eq!(datetime(&kept), Some(kept));
            }
        }
    }
}
