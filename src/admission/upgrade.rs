//! Requests to switch to another protocol, such as WebSocket (RFC 9110 section 7.8).

use super::{Checked, bad};
use crate::field_list::{elements, remove_connection};
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderValue, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{Method, Version};

/// Whether a request asks for a protocol other than HTTP. Until the response, the client may believe that it is granted,
/// so the connection must not carry another request if it is not.
///
/// An offer of another HTTP version, or of TLS, is ignored, as a server may: the request means the same without it, and
/// `curl --http2` makes that offer with every request. An `Upgrade` that has no effect is ignored too: one in HTTP/1.0,
/// or one that `Connection` does not name.
pub fn is_requested(version: Version, headers: &HeaderMap) -> bool {
    version == Version::HTTP_11
        && headers.contains_key(UPGRADE)
        && elements(headers, &CONNECTION).any(|option| option.eq_ignore_ascii_case(b"upgrade"))
        && offers(headers).next().is_some()
}

/// Removes `Connection` and the fields it names. `Upgrade` stays if the request asks for another protocol, without the
/// offers that are ignored.
pub(super) fn settle(head: &mut Parts) -> Checked {
    if !head.headers.contains_key(UPGRADE) {
        remove_connection(&mut head.headers);
        return Ok(());
    }
    let offered = if is_requested(head.version, &head.headers) { Some(offered(head)?) } else { None };
    remove_connection(&mut head.headers);
    head.headers.remove(UPGRADE);
    if let Some(offered) = offered {
        head.headers.insert(UPGRADE, offered);
    }
    Ok(())
}

/// Makes the offer of a request for a tunnel (RFC 8441 section 4).
pub(super) fn offer(head: &mut Parts, protocol: HeaderValue) -> Checked {
    if is_ignored(protocol.as_bytes()) {
        return Err(bad("protocol: is a version of HTTP or TLS"));
    }
    head.headers.insert(UPGRADE, protocol);
    Ok(())
}

/// What the request offers, as one list.
#[cold]
fn offered(head: &Parts) -> Result<HeaderValue, Box<gatewright_sdk::Problem>> {
    let offers: Vec<&[u8]> = offers(&head.headers).collect();
    let websocket = offers.iter().any(|offer| offer.eq_ignore_ascii_case(b"websocket"));
    // RFC 6455 section 4.1.
    if websocket && (head.method != Method::GET || has_body(&head.headers)) {
        return Err(bad("upgrade: a WebSocket is opened by a GET without a body"));
    }
    HeaderValue::try_from(offers.join(&b", "[..])).map_err(|_| bad("upgrade: is not valid"))
}

fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING) || headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0")
}

fn offers(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    elements(headers, &UPGRADE).filter(|protocol| !is_ignored(protocol))
}

/// Whether `protocol` carries the same request: `h2c`, `HTTP/2.0`, `TLS/1.0` (RFC 2817).
fn is_ignored(protocol: &[u8]) -> bool {
    let name = protocol.split(|byte| *byte == b'/').next().unwrap_or_default();
    [&b"h2c"[..], b"h2", b"http", b"tls"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The `Upgrade` that is left of a request, or the status of its rejection.
    fn settled(method: Method, version: Version, fields: &[(&str, &str)]) -> Result<Option<String>, u16> {
        let start = http::Request::builder().method(method).version(version);
        let request = fields.iter().fold(start, |request, (name, value)| request.header(*name, *value));
        let mut head = request.body(()).expect("a request").into_parts().0;
        let requested = is_requested(head.version, &head.headers);
        settle(&mut head).map_err(|problem| problem.status().as_u16())?;
        assert!(!head.headers.contains_key(CONNECTION));
        let left = head.headers.get(UPGRADE).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(requested, left.is_some());
        Ok(left)
    }

    fn get(version: Version, fields: &[(&str, &str)]) -> Option<String> {
        settled(Method::GET, version, fields).expect("a valid request")
    }

    #[test]
    fn a_request_for_a_protocol_other_than_http_keeps_its_offer() {
        for (connection, upgrade, left) in [
            ("upgrade", "websocket", "websocket"),
            ("Upgrade", "WebSocket", "WebSocket"),
            ("keep-alive, Upgrade", "websocket", "websocket"),
            ("keep-alive,\tupgrade ,", "h2c, websocket", "websocket"),
            ("upgrade", "foo/2", "foo/2"),
            ("upgrade", ", irc/6.9 ,foo", "irc/6.9, foo"),
            ("upgrade", "httpx", "httpx"),
        ] {
            let fields = [("connection", connection), ("upgrade", upgrade)];
            assert_eq!(get(Version::HTTP_11, &fields).as_deref(), Some(left), "{upgrade}");
        }
        let apart = [("connection", "close"), ("connection", "upgrade"), ("upgrade", "h2c"), ("upgrade", "websocket")];
        assert_eq!(get(Version::HTTP_11, &apart).as_deref(), Some("websocket"));
    }

    #[test]
    fn an_upgrade_without_effect_is_removed() {
        for (connection, upgrade) in [
            ("Upgrade, HTTP2-Settings", "h2c"),
            ("upgrade", "HTTP/2.0"),
            ("upgrade", "TLS/1.0, h2c"),
            ("upgrade", ""),
            ("keep-alive", "websocket"),
            ("upgrader", "websocket"),
        ] {
            let fields = [("connection", connection), ("upgrade", upgrade)];
            assert_eq!(get(Version::HTTP_11, &fields), None, "{upgrade}");
        }
        assert_eq!(get(Version::HTTP_10, &[("connection", "upgrade"), ("upgrade", "websocket")]), None);
        assert_eq!(get(Version::HTTP_11, &[("upgrade", "websocket")]), None);
        assert_eq!(get(Version::HTTP_11, &[("connection", "upgrade")]), None);
    }

    #[test]
    fn a_websocket_is_opened_by_a_get_without_a_body() {
        let websocket = [("connection", "upgrade"), ("upgrade", "websocket")];
        assert_eq!(settled(Method::POST, Version::HTTP_11, &websocket), Err(400));
        for body in [("content-length", "1"), ("transfer-encoding", "chunked")] {
            let fields = [&websocket[..], &[body]].concat();
            assert_eq!(settled(Method::GET, Version::HTTP_11, &fields), Err(400), "{body:?}");
        }
        let empty = [&websocket[..], &[("content-length", "0")]].concat();
        assert!(settled(Method::GET, Version::HTTP_11, &empty).unwrap().is_some());
        let other = [("connection", "upgrade"), ("upgrade", "tcp"), ("content-length", "1")];
        assert!(settled(Method::POST, Version::HTTP_11, &other).unwrap().is_some());
    }
}
