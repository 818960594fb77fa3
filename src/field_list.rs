//! Header fields that hold a list (RFC 9110 section 5.6.1).

use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, FORWARDED, HOST, SET_COOKIE, TE,
};
use http::{HeaderMap, HeaderName};

/// The elements of the list `name`, across all its lines; empty ones are skipped.
pub fn elements<'a>(headers: &'a HeaderMap, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let lines = headers.get_all(name).iter();
    lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// The value of the cookie `name` (RFC 6265 section 4.2.1), the first if there are several.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let pairs = headers.get_all(COOKIE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    pairs.map(<[u8]>::trim_ascii).find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

/// Removes `Connection` and the fields that it names (RFC 9110 section 7.6.1). `TE` stays for those who read it.
pub fn remove_connection(headers: &mut HeaderMap) {
    if !headers.contains_key(CONNECTION) {
        return;
    }
    let tokens = elements(headers, &CONNECTION);
    let ours = |token: &&[u8]| !token.eq_ignore_ascii_case(b"close") && !token.eq_ignore_ascii_case(b"keep-alive");
    let names = tokens.filter(ours).filter_map(|token| HeaderName::from_bytes(token).ok());
    let named: Vec<_> = names.filter(|name| *name != TE && !end_to_end(name)).collect();
    for name in named {
        headers.remove(name);
    }
    headers.remove(CONNECTION);
}

/// End-to-end fields, which `Connection` must not remove (compare CVE-2024-45410).
fn end_to_end(name: &HeaderName) -> bool {
    const FIXED: [HeaderName; 8] =
        [AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, FORWARDED, HOST, SET_COOKIE];
    const NAMED: [&str; 6] = ["baggage", "traceparent", "tracestate", "via", "x-real-ip", "x-request-id"];
    FIXED.contains(name) || NAMED.contains(&name.as_str()) || name.as_str().starts_with("x-forwarded-")
}
