//! Judges names and values of header fields.

use http::{HeaderName, HeaderValue};

/// What is wrong with the name of a field, and the way out.
pub fn name(name: &str) -> Option<(String, &'static str)> {
    HeaderName::from_bytes(name.as_bytes())
        .is_err()
        .then(|| (format!("`{}` is not a valid header name", name.escape_debug()), "write letters, digits and `-`"))
}

/// What is wrong with the value of a field. It may be a secret, so it is not shown.
pub fn value(value: &str) -> Option<(String, &'static str)> {
    HeaderValue::from_str(value)
        .is_err()
        .then(|| ("a line break or control character in a header field".to_owned(), "write the value in one line"))
}
