//! Rejects requests to switch to another protocol (RFC 9110 section 7.8), until they can be forwarded.

use crate::field_list::elements;
use gatewright_sdk::Problem;
use http::header::{CONNECTION, HeaderMap, HeaderValue, UPGRADE};
use http::request::Parts;
use http::{StatusCode, Version};

/// Rejects a request to switch to a protocol other than HTTP, such as WebSocket. Without the switch the request makes
/// no sense, and a plain response would look like that of a server that supports it.
///
/// An offer of another HTTP version, or of TLS, is ignored, as a server may: the request means the same without it, and
/// `curl --http2` makes that offer with every request. An `Upgrade` that has no effect is ignored too: one in HTTP/1.0,
/// or one that `Connection` does not name.
pub(super) fn check(head: &Parts) -> Result<(), Box<Problem>> {
    if head.headers.contains_key(UPGRADE) && head.version == Version::HTTP_11 && wants_another(&head.headers) {
        return Err(refusal());
    }
    Ok(())
}

fn wants_another(headers: &HeaderMap) -> bool {
    elements(headers, &CONNECTION).any(|option| option.eq_ignore_ascii_case(b"upgrade"))
        && elements(headers, &UPGRADE).any(|protocol| !is_optional(protocol))
}

/// Whether `protocol` carries the same request: `h2c`, `HTTP/2.0`, `TLS/1.0` (RFC 2817).
fn is_optional(protocol: &[u8]) -> bool {
    let name = protocol.split(|byte| *byte == b'/').next().unwrap_or_default();
    [&b"h2c"[..], b"h2", b"http", b"tls"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// The bytes after the head may already be in the other protocol, so the connection ends.
#[cold]
fn refusal() -> Box<Problem> {
    let message = "Upgrading the connection to another protocol is not supported";
    let problem = Problem::new(StatusCode::NOT_IMPLEMENTED, "not_implemented", message).reason("upgrade_unsupported");
    Box::new(problem.header(CONNECTION, HeaderValue::from_static("close")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(version: Version, fields: &[(&str, &str)]) -> bool {
        let start = http::Request::get("/").version(version);
        let request = fields.iter().fold(start, |request, (name, value)| request.header(*name, *value));
        check(&request.body(()).expect("a request").into_parts().0).is_ok()
    }

    #[test]
    fn a_request_for_a_protocol_other_than_http_is_rejected() {
        for (connection, upgrade) in [
            ("upgrade", "websocket"),
            ("Upgrade", "WebSocket"),
            ("keep-alive, Upgrade", "websocket"),
            ("keep-alive,\tupgrade ,", "h2c, websocket"),
            ("upgrade", "foo/2"),
            ("upgrade", ", irc/6.9"),
            ("upgrade", "httpx"),
        ] {
            assert!(!passes(Version::HTTP_11, &[("connection", connection), ("upgrade", upgrade)]), "{upgrade}");
        }
        let apart = [("connection", "close"), ("connection", "upgrade"), ("upgrade", "h2c"), ("upgrade", "websocket")];
        assert!(!passes(Version::HTTP_11, &apart));
    }

    #[test]
    fn an_upgrade_without_effect_is_ignored() {
        for (connection, upgrade) in [
            ("Upgrade, HTTP2-Settings", "h2c"),
            ("upgrade", "HTTP/2.0"),
            ("upgrade", "TLS/1.0, h2c"),
            ("upgrade", ""),
            ("keep-alive", "websocket"),
            ("upgrader", "websocket"),
        ] {
            assert!(passes(Version::HTTP_11, &[("connection", connection), ("upgrade", upgrade)]), "{upgrade}");
        }
        assert!(passes(Version::HTTP_10, &[("connection", "upgrade"), ("upgrade", "websocket")]));
        assert!(passes(Version::HTTP_11, &[("upgrade", "websocket")]));
        assert!(passes(Version::HTTP_11, &[("connection", "upgrade")]));
    }
}
