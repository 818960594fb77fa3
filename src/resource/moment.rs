//! Points in time and days as RFC 3339 writes them, kept as text of fixed width so that text order is time order.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;

/// An RFC 3339 date-time as `2026-11-22T16:23:11.123456Z`: UTC, microseconds, always 27 characters.
pub fn datetime(text: &str) -> Option<String> {
    if !looks_like_rfc3339(text.as_bytes()) {
        return None;
    }
    write(text.to_ascii_uppercase().parse().ok()?)
}

/// The present moment in the same form.
pub fn now() -> String {
    write(Timestamp::now()).unwrap_or_default()
}

/// An RFC 3339 full-date, as it was written.
pub fn date(text: &str) -> Option<String> {
    let shape = text.len() == 10 && matches(text.as_bytes(), b"dddd-dd-dd");
    (shape && text.parse::<Date>().is_ok()).then(|| text.to_owned())
}

/// Today, in UTC.
pub fn today() -> String {
    now().get(..10).unwrap_or_default().to_owned()
}

fn write(moment: Timestamp) -> Option<String> {
    let at: DateTime = Offset::UTC.to_datetime(moment);
    if at.year() < 0 {
        return None;
    }
    let (year, month, day) = (at.year(), at.month(), at.day());
    let (hour, minute, second, micros) = (at.hour(), at.minute(), at.second(), at.subsec_nanosecond() / 1000);
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z"))
}

/// The grammar of RFC 3339 section 5.6: jiff reads more than that.
fn looks_like_rfc3339(text: &[u8]) -> bool {
    let Some((start, rest)) = text.split_at_checked(19) else { return false };
    if !matches(start, b"dddd-dd-ddtdd:dd:dd") {
        return false;
    }
    let rest = match rest.strip_prefix(b".") {
        Some(fraction) => {
            let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
            if digits == 0 || digits > 9 {
                return false;
            }
            fraction.get(digits..).unwrap_or_default()
        }
        None => rest,
    };
    match rest {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', offset @ ..] => matches(offset, b"dd:dd"),
        _ => false,
    }
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

    #[test]
    fn every_spelling_of_a_moment_becomes_one_text() {
        let at = Some("2026-11-22T16:23:11.123456Z".to_owned());
        assert_eq!(datetime("2026-11-22T16:23:11.123456Z"), at);
        assert_eq!(datetime("2026-11-22T17:23:11.123456789+01:00"), at);
        assert_eq!(datetime("2026-11-22t16:23:11.123456z"), at);
        assert_eq!(datetime("2026-11-22T16:23:11Z").as_deref(), Some("2026-11-22T16:23:11.000000Z"));
        assert_eq!(now().len(), 27);
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        let bad = [
            "",
            "yesterday",
            "2026-02-03T00:00:00",
            "2026-02-30T00:00:00Z",
            "2026-02-03 00:00:00Z",
            "2026-02-03T00:00Z",
            "2026-02-03T00:00:00+0100",
            "2026-02-03T00:00:00[UTC]",
            "0000-01-01T00:00:00+23:59",
        ];
        for text in bad {
            assert_eq!(datetime(text), None, "{text}");
        }
        assert_eq!(date("2026-02-28").as_deref(), Some("2026-02-28"));
        assert_eq!(date("2026-02-30"), None);
        assert_eq!(date("20260228"), None);
    }
}
