//! The time of a line: RFC 3339 in UTC, or the local time of day on a terminal.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::cell::RefCell;
use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

/// The last formatted second, whether it is local, and its text.
type Formatted = (u64, bool, String);

thread_local! {
    static SECOND: RefCell<Formatted> = const { RefCell::new((u64::MAX, false, String::new())) };
}

/// Appends the current time (RFC 3339) with up to 9 fractional digits.
pub(super) fn utc(text: &mut String, digits: usize) {
    let mut nanos = seconds(text, false);
    let mut fraction = *b".000000000";
    for digit in fraction.iter_mut().skip(1).rev() {
        *digit += u8::try_from(nanos % 10).unwrap_or(0);
        nanos /= 10;
    }
    let fraction = fraction.get(..=digits).and_then(|fraction| std::str::from_utf8(fraction).ok());
    text.push_str(fraction.unwrap_or_default());
    text.push('Z');
}

/// Appends the local time of day to the second.
pub(super) fn local(text: &mut String) {
    seconds(text, true);
}

/// Appends the current second, and returns the nanoseconds in it. A second is formatted once: that costs more than the
/// rest of a line.
fn seconds(text: &mut String, local: bool) -> u32 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    SECOND.with_borrow_mut(|(second, was_local, formatted)| {
        if (*second, *was_local) != (now.as_secs(), local) {
            (*second, *was_local) = (now.as_secs(), local);
            formatted.clear();
            let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
            let whole = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
            // Writing to a String cannot fail.
            let _ = if local {
                write!(formatted, "{}", whole.to_zoned(TimeZone::system()).strftime("%H:%M:%S"))
            } else {
                write!(formatted, "{whole:.0}")
            };
        }
        text.push_str(formatted.trim_end_matches('Z'));
    });
    now.subsec_nanos()
}
