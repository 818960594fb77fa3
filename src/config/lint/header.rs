//! Judges names and values of header fields.

use http::{HeaderName, HeaderValue};

/// Fields that belong to one connection (RFC 9110 section 7.6.1), or that the server writes itself.
const OURS: [&str; 9] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "date",
];

/// What is wrong with the name of a field, and the way out.
pub fn name(name: &str) -> Option<(String, &'static str)> {
    HeaderName::from_bytes(name.as_bytes())
        .is_err()
        .then(|| (format!("`{}` is no name of a header field", name.escape_debug()), "write letters, digits and `-`"))
}

/// What is wrong with the value of a field. It may be a secret, so it is not shown.
pub fn value(value: &str) -> Option<(String, &'static str)> {
    HeaderValue::from_str(value)
        .is_err()
        .then(|| ("a line break or control character in a header field".to_owned(), "write the value in one line"))
}

/// What is wrong with a field that an answer is to carry.
pub fn sent(name: &str) -> Option<(String, &'static str)> {
    let ours = OURS.iter().any(|ours| ours.eq_ignore_ascii_case(name));
    ours.then(|| (format!("`{name}` is written by the server itself"), "take it out"))
}
