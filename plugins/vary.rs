//! `Vary`: which request headers a response depends on, for caches (RFC 9110 section 12.5.5).

use http::HeaderMap;
use http::HeaderValue;
use http::header::{Entry, VARY};

/// Combinations that our plugins often produce, prepared as one field.
const TOGETHER: [(&str, &str, &str); 4] = [
    ("accept-encoding", "origin", "accept-encoding, origin"),
    ("origin", "accept-encoding", "origin, accept-encoding"),
    ("authorization", "accept-encoding", "authorization, accept-encoding"),
    ("authorization, accept-encoding", "origin", "authorization, accept-encoding, origin"),
];

/// Adds `name` (in lower case) to `Vary`, unless it is already there.
pub(crate) fn add(headers: &mut HeaderMap, name: &'static str) {
    let mut field = match headers.entry(VARY) {
        Entry::Vacant(field) => {
            field.insert(HeaderValue::from_static(name));
            return;
        }
        Entry::Occupied(field) => field,
    };
    let mut values = field.iter();
    let only = values.next().filter(|_| values.next().is_none());
    let known = |only: &HeaderValue| TOGETHER.iter().find(|(there, added, _)| only == there && *added == name);
    if let Some((_, _, together)) = only.and_then(known) {
        field.insert(HeaderValue::from_static(together));
        return;
    }
    let named = |value: &HeaderValue| {
        let mut members = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        members.any(|member| member == b"*" || member.eq_ignore_ascii_case(name.as_bytes()))
    };
    if !field.iter().any(named) {
        field.append(HeaderValue::from_static(name));
    }
}
