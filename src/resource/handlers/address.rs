//! Addresses of a collection and its items, as the client reached them: for `Location` and `Link`.

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use std::borrow::Cow;

/// All but the characters that mean the same encoded or not (RFC 3986 section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What a path of a request may hold and an address in a header field must not.
const IN_PATH: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'\\').add(b'^').add(b'`').add(b'{').add(b'|').add(b'}');

/// The path of a request as an address: parameters of the route as the client filled them in, and never the beginning of
/// another host (RFC 3986 section 4.2: `//host`).
pub(super) fn of(path: &str) -> Cow<'_, str> {
    let one_slash = path.trim_start_matches('/').len().saturating_add(1);
    let path = path.get(path.len().saturating_sub(one_slash)..).unwrap_or("/");
    utf8_percent_encode(path, IN_PATH).into()
}

/// The address of an item of the collection at `path`.
pub(super) fn of_item(path: &str, id: &str) -> String {
    format!("{}/{}", of(path).trim_end_matches('/'), utf8_percent_encode(id, RESERVED))
}

/// The path of the collection that the item at `path` belongs to.
pub(super) fn collection_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(collection, _)| collection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_path_on_this_host() {
        for (path, id, address) in [
            ("/api/notes", "1", "/api/notes/1"),
            ("/api/notes/", "1", "/api/notes/1"),
            ("/", "1", "/1"),
            ("//evil.example", "1", "/evil.example/1"),
            ("//", "evil.example", "/evil.example"),
            ("/t/a%2Fb/notes", "1", "/t/a%2Fb/notes/1"),
            ("/t/\"x{y}\"/notes", "1", "/t/%22x%7By%7D%22/notes/1"),
            ("/ä", "ü", "/%C3%A4/%C3%BC"),
            ("/x", "a/b", "/x/a%2Fb"),
            ("/x", "?#%", "/x/%3F%23%25"),
            ("/x", "A-z0.9_~", "/x/A-z0.9_~"),
            ("", "1", "/1"),
        ] {
            assert_eq!(of_item(path, id), address);
        }
        assert_eq!(of("/x/"), "/x/");
        assert_eq!(of("/"), "/");
        assert_eq!(of("///x"), "/x");
    }
}
