//! Header fields that hold a list (RFC 9110 section 5.6.1).

use http::{HeaderMap, HeaderName};

/// The elements of the list `name`, however many lines it came in; empty ones do not count.
pub fn elements<'a>(headers: &'a HeaderMap, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let lines = headers.get_all(name).iter();
    lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}
