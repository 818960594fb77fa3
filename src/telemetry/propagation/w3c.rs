//! W3C Trace Context, level 2: `traceparent`, and the `tracestate` that belongs to it.

use super::Caller;
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(super) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The defined flags: sampled, and random trace id (section 3.2.2.5). All others are cleared.
const FLAGS: u8 = 0b11;

/// The maximum number of members in a `tracestate` (section 3.3.1.1).
const MEMBERS: usize = 32;

/// The maximum number of characters in a key, and in a value (sections 3.3.1.3.1 and 3.3.1.3.2).
const LONGEST: usize = 256;

/// Reads the caller's span. An invalid `tracestate` is dropped as a whole (section 4.3); the span is kept.
pub(super) fn read(headers: &HeaderMap) -> Option<Caller> {
    let (trace, span, flags) = parent(headers)?;
    // The SDK is stricter than the specification about some keys. This only affects what spans record.
    let known = |(key, value): &(&str, &str)| TraceState::from_key_value([(key, value)]).is_ok();
    let rows = rows(headers);
    let state = members(&rows).unwrap_or_default().into_iter().filter(known);
    let state = TraceState::from_key_value(state).unwrap_or_default();
    Some(Caller { span: SpanContext::new(trace, span, flags, true, state), decided: true })
}

/// Writes `span` as the parent. A valid `tracestate` of the same trace is kept.
pub(super) fn write(span: &SpanContext, headers: &mut HeaderMap) {
    let flags = span.trace_flags().to_u8() & FLAGS;
    let Ok(value) = HeaderValue::try_from(format!("00-{}-{}-{flags:02x}", span.trace_id(), span.span_id())) else {
        return;
    };
    if headers.contains_key(TRACESTATE) {
        let belongs = parent(headers).is_some_and(|(trace, ..)| trace == span.trace_id());
        match belongs.then(|| rows(headers)).and_then(|rows| written(&members(&rows)?)) {
            Some(state) => headers.insert(TRACESTATE, state),
            None => headers.remove(TRACESTATE),
        };
    }
    headers.insert(TRACEPARENT, value);
}

/// The ids and flags of the field, if it occurs once and matches section 3.2.
fn parent(headers: &HeaderMap) -> Option<(TraceId, SpanId, TraceFlags)> {
    let mut fields = headers.get_all(TRACEPARENT).iter();
    let (field, None) = (fields.next()?.to_str().ok()?, fields.next()) else { return None };
    if !is_traceparent(field.as_bytes()) {
        return None;
    }
    let trace = TraceId::from_hex(field.get(3..35)?).ok()?;
    let span = SpanId::from_hex(field.get(36..52)?).ok()?;
    let flags = u8::from_str_radix(field.get(53..55)?, 16).ok()? & FLAGS;
    (trace != TraceId::INVALID && span != SpanId::INVALID).then_some((trace, span, TraceFlags::new(flags)))
}

/// Version 00, or a later one with additional data.
fn is_traceparent(field: &[u8]) -> bool {
    let Some((head, rest)) = field.split_at_checked(55) else { return false };
    let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let parts = head.iter().enumerate();
    let formed = parts.map(|(place, byte)| if matches!(place, 2 | 35 | 52) { *byte == b'-' } else { is_hex(byte) });
    let version = head.get(..2).unwrap_or_default();
    formed.fold(true, |all, one| all & one)
        && version != b"ff"
        && (rest.is_empty() || version != b"00" && rest.starts_with(b"-"))
}

/// The lines of `tracestate` as one list (RFC 9110, section 5.3).
fn rows(headers: &HeaderMap) -> String {
    let mut rows = String::new();
    for row in headers.get_all(TRACESTATE) {
        if !rows.is_empty() {
            rows.push(',');
        }
        // Anything that is not text is invalid as a member.
        rows.push_str(row.to_str().unwrap_or("="));
    }
    rows
}

/// The members of a list, the first for each key. `None` if one is invalid, or if there are too many.
fn members(list: &str) -> Option<Vec<(&str, &str)>> {
    let mut members: Vec<(&str, &str)> = Vec::new();
    let written = list.split(',').map(|member| member.trim_matches([' ', '\t'])).filter(|member| !member.is_empty());
    for (index, member) in written.enumerate() {
        let (key, value) = member.split_once('=')?;
        if index >= MEMBERS || !is_key(key.as_bytes()) || !is_value(value.as_bytes()) {
            return None;
        }
        if members.iter().all(|(known, _)| *known != key) {
            members.push((key, value));
        }
    }
    Some(members)
}

fn written(members: &[(&str, &str)]) -> Option<HeaderValue> {
    let members: Vec<_> = members.iter().map(|(key, value)| format!("{key}={value}")).collect();
    // Some servers reject an empty field.
    HeaderValue::try_from(members.join(",")).ok().filter(|value| !value.is_empty())
}

/// Section 3.3.1.3.1. Level 1 had a special form for the tenant of a vendor, `tenant@vendor`; in level 2 `@` is a
/// normal character.
fn is_key(key: &[u8]) -> bool {
    let is_first = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9');
    let is_other = |byte: &u8| is_first(byte) || matches!(byte, b'_' | b'-' | b'*' | b'/' | b'@');
    key.len() <= LONGEST && key.first().is_some_and(is_first) && key.iter().all(is_other)
}

/// Section 3.3.1.3.2: printable and not empty; a trailing space is not allowed.
fn is_value(value: &[u8]) -> bool {
    let printable = |byte: &u8| matches!(byte, 0x20..=0x7e) && !matches!(byte, b',' | b'=');
    (1..=LONGEST).contains(&value.len()) && value.iter().all(printable) && value.last() != Some(&b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";

    fn headers(parent: &str, states: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, parent.parse().unwrap());
        for state in states {
            headers.append(TRACESTATE, state.parse().unwrap());
        }
        headers
    }

    /// The state that is forwarded with the trace.
    fn passed_on(states: &[&str]) -> Option<String> {
        let mut headers = headers(&format!("{PARENT}-01"), states);
        let span = read(&headers).unwrap().span;
        write(&span, &mut headers);
        headers.get(TRACESTATE).map(|state| state.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_valid_state_goes_on_in_one_line_with_the_first_of_each_key() {
        let longest = format!("{}={}", "z".repeat(256), "v".repeat(256));
        let vendor = format!("t@{}=1", "v".repeat(254));
        let most = (0..32).map(|n| format!("k{n}={n}")).collect::<Vec<_>>().join(",");
        for whole in [
            "foo=1",
            "foo=1,bar=2",
            "a@b=1",
            "0tenant@v=1",
            "1a=1",
            "a_-*/0=x",
            "foo=a b",
            "foo= a",
            "foo=!\"#$%&'()*+-./",
            &longest,
            &vendor,
            &most,
        ] {
            assert_eq!(passed_on(&[whole]).as_deref(), Some(whole));
        }
        for (rows, expected) in [
            (&["foo=1", "bar=2"][..], "foo=1,bar=2"),
            (&["foo=1 \t, \tbar=2"], "foo=1,bar=2"),
            (&["foo=1,,bar=2,"], "foo=1,bar=2"),
            (&["", "foo=1"], "foo=1"),
            (&["foo=1,bar=2,foo=3"], "foo=1,bar=2"),
        ] {
            assert_eq!(passed_on(rows).as_deref(), Some(expected), "{rows:?}");
        }
    }

    #[test]
    fn a_state_that_is_not_valid_is_dropped_and_the_trace_goes_on() {
        let value = "v".repeat(257);
        let many = (0..33).map(|n| format!("k{n}={n}")).collect::<Vec<_>>().join(",");
        for wrong in [
            "",
            ",",
            "=1",
            "foo=",
            "foo",
            "foo=a=b",
            "FOO=1",
            "foo =1",
            "_foo=1",
            "@a=1",
            "foo.bar=1",
            "foo=\u{e9}",
            "bar=1,foo=",
            "foo=a\tb",
            &format!("{}=1", "z".repeat(257)),
            &format!("{}@v=1", "t".repeat(255)),
            &format!("a={value}"),
            &many,
        ] {
            assert_eq!(passed_on(&[wrong]), None, "{wrong}");
        }
    }

    #[test]
    fn a_key_has_the_characters_of_level_2_and_begins_with_a_letter_or_a_digit() {
        // key = ( lcalpha / DIGIT ) 0*255 ( lcalpha / DIGIT / "_" / "-" / "*" / "/" / "@" )
        let letters = 'a'..='z';
        let digits = '0'..='9';
        for character in '!'..='~' {
            let first = letters.contains(&character) || digits.contains(&character);
            let other = first || "_-*/@".contains(character);
            assert_eq!(is_key(format!("{character}").as_bytes()), first, "{character}");
            assert_eq!(is_key(format!("{character}a").as_bytes()), first, "{character}");
            assert_eq!(is_key(format!("a{character}").as_bytes()), other, "{character}");
        }
        for key in ["a@", "a@b@c", "a@@b", "a@0", "0@0"] {
            assert_eq!(passed_on(&[&format!("{key}=1")]), Some(format!("{key}=1")));
        }
    }

    #[test]
    fn a_state_does_not_outlive_its_trace() {
        let mut headers = headers(&format!("{PARENT}-01"), &["foo=1"]);
        let other = SpanContext::new(TraceId::from(7), SpanId::from(8), TraceFlags::SAMPLED, false, TraceState::NONE);
        write(&other, &mut headers);
        assert_eq!(headers.get(TRACESTATE), None);
    }

    #[test]
    fn the_random_flag_is_forwarded_and_unknown_flags_are_cleared() {
        for (flags, expected) in [("00", "00"), ("01", "01"), ("02", "02"), ("03", "03"), ("ff", "03"), ("0c", "00")] {
            let mut headers = headers(&format!("{PARENT}-{flags}"), &[]);
            let span = read(&headers).unwrap().span;
            write(&span, &mut headers);
            assert_eq!(headers.get(TRACEPARENT).unwrap(), format!("{PARENT}-{expected}").as_str(), "{flags}");
        }
    }
}
