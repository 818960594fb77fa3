//! The Cookie field of an HTTP/2 request: clients may send it in pieces, but everything else expects one field.

use http::header::{COOKIE, HeaderMap, HeaderValue};

/// Joins the pieces of the Cookie field into one (RFC 9113 section 8.2.3).
pub(super) fn join(headers: &mut HeaderMap) {
    let mut pieces = headers.get_all(COOKIE).iter();
    let (Some(first), Some(_)) = (pieces.next(), pieces.next()) else { return };
    let mut whole = Vec::from(first.as_bytes());
    for piece in headers.get_all(COOKIE).iter().skip(1) {
        whole.extend_from_slice(b"; ");
        whole.extend_from_slice(piece.as_bytes());
    }
    // All pieces are valid values, and so is the separator.
    if let Ok(mut whole) = HeaderValue::from_maybe_shared(bytes::Bytes::from(whole)) {
        whole.set_sensitive(headers.get_all(COOKIE).iter().any(HeaderValue::is_sensitive));
        headers.insert(COOKIE, whole);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_joined_in_order() {
        let mut headers = HeaderMap::new();
        join(&mut headers);
        assert!(headers.is_empty());
        for (piece, whole) in [("a=1", "a=1"), ("b=\u{e9}", "a=1; b=\u{e9}"), ("", "a=1; b=\u{e9}; ")] {
            headers.append(COOKIE, HeaderValue::from_bytes(piece.as_bytes()).expect("a value"));
            join(&mut headers);
            let fields: Vec<_> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
            assert_eq!(fields, [whole.as_bytes()]);
        }
    }
}
