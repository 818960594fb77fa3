//! `Vary`: which request headers an answer depends on, for caches (RFC 9110 section 12.5.5).

use http::HeaderMap;
use http::HeaderValue;
use http::header::VARY;

/// Adds `name` (in lower case) to `Vary`, unless it is there already.
pub(crate) fn add(headers: &mut HeaderMap, name: &'static str) {
    let named = |value: &HeaderValue| {
        let mut members = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        members.any(|member| member == b"*" || member.eq_ignore_ascii_case(name.as_bytes()))
    };
    if !headers.get_all(VARY).iter().any(named) {
        headers.append(VARY, HeaderValue::from_static(name));
    }
}
