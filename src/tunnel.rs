//! Tunnels: streams of an HTTP/2 connection that carry another protocol, such as WebSocket (RFC 8441).
//!
//! A request for a tunnel (extended CONNECT) means the same as a GET with `Upgrade` in HTTP/1.1. It becomes one on its way
//! in, so routes, chains and upstreams see only that; on its way out, the 101 becomes the 200 of HTTP/2.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gatewright_sdk::{Problem, Response};
use http::header::{
    ACCEPT_RANGES, AGE, CACHE_CONTROL, CONNECTION, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE,
    CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_RANGE, CONTENT_TYPE, ETAG, EXPIRES, HeaderMap, HeaderName, HeaderValue,
    LAST_MODIFIED, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, TRAILER, UPGRADE,
};
use http::request::Parts;
use http::{Extensions, Method, StatusCode, Version};
use hyper::ext::Protocol;
use std::any::Any;
use std::sync::Arc;

/// What the key of a WebSocket is hashed with (RFC 6455 section 1.3).
const WEBSOCKET_GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The header fields of a response that describe its content.
const DESCRIBE_CONTENT: [HeaderName; 14] = [
    ACCEPT_RANGES,
    AGE,
    CACHE_CONTROL,
    CONTENT_DISPOSITION,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LENGTH,
    CONTENT_LOCATION,
    CONTENT_RANGE,
    CONTENT_TYPE,
    ETAG,
    EXPIRES,
    LAST_MODIFIED,
    TRAILER,
];

/// What is held while a tunnel is open. An extension of the request.
#[derive(Clone)]
pub struct Held(#[expect(dead_code, reason = "held, not read")] Arc<dyn Any + Send + Sync>);

impl Held {
    pub fn new(held: impl Any + Send + Sync) -> Self {
        Self(Arc::new(held))
    }
}

/// Whether a request asks for a tunnel.
pub fn is_requested(version: Version, method: &Method, extensions: &Extensions) -> bool {
    version == Version::HTTP_2 && *method == Method::CONNECT && extensions.get::<Protocol>().is_some()
}

/// Turns a request for a tunnel into a GET. Returns what its `Upgrade` must be.
pub fn enter(head: &mut Parts) -> Option<HeaderValue> {
    if head.method != Method::CONNECT || head.version != Version::HTTP_2 {
        return None;
    }
    let protocol = HeaderValue::from_str(head.extensions.remove::<Protocol>()?.as_str()).ok()?;
    head.method = Method::GET;
    Some(protocol)
}

/// Adds the key that a WebSocket needs in HTTP/1.1 (RFC 6455 section 4.1) and a tunnel does not have.
pub fn add_key(headers: &mut HeaderMap, offered: &HeaderValue) {
    if offered.as_bytes().eq_ignore_ascii_case(b"websocket") {
        let key = STANDARD.encode(fastrand::u128(..).to_be_bytes());
        headers.remove(SEC_WEBSOCKET_KEY);
        headers.extend(HeaderValue::try_from(key).ok().map(|key| (SEC_WEBSOCKET_KEY, key)));
    }
}

/// The `Sec-WebSocket-Accept` for the key in `headers` (RFC 6455 section 4.2.2). `None` if there is no key, several, or one
/// that is not valid.
pub fn accept(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut keys = headers.get_all(SEC_WEBSOCKET_KEY).iter();
    let (Some(key), None) = (keys.next(), keys.next()) else { return None };
    let key = key.as_bytes().trim_ascii();
    if STANDARD.decode(key).ok()?.len() != 16 {
        return None;
    }
    let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key, WEBSOCKET_GUID].concat());
    HeaderValue::try_from(STANDARD.encode(digest)).ok()
}

/// Turns the response to a GET that [`enter`] made into the response to the request for a tunnel. A 2xx would open the
/// tunnel, so one that did not switch protocols becomes 501 (RFC 9220 section 3). Header fields that do not describe the
/// content stay, such as the request id and those of CORS.
pub fn leave(mut response: Response) -> Response {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        *response.status_mut() = StatusCode::OK;
        for name in [CONNECTION, UPGRADE, SEC_WEBSOCKET_ACCEPT] {
            response.headers_mut().remove(name);
        }
        return response;
    }
    if response.status().is_success() {
        let message = "This resource does not switch to another protocol";
        let problem = Problem::new(StatusCode::NOT_IMPLEMENTED, "upgrade_not_supported", message);
        let (replaced, _) = response.into_parts();
        let (mut head, body) = Response::from(problem).into_parts();
        let mut headers = replaced.headers;
        for name in DESCRIBE_CONTENT {
            headers.remove(name);
        }
        headers.extend(head.headers);
        head.headers = headers;
        let mut extensions = replaced.extensions;
        extensions.extend(head.extensions);
        head.extensions = extensions;
        return Response::from_parts(head, body);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_accepted_as_in_rfc_6455() {
        let accepted = |keys: &[&'static str]| {
            let fields = keys.iter().map(|key| (SEC_WEBSOCKET_KEY, HeaderValue::from_static(key)));
            accept(&fields.collect()).map(|accept| accept.to_str().unwrap().to_owned())
        };
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        assert_eq!(accepted(&[key]).as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        for wrong in [&[][..], &[key, key], &["dGhlIHNhbXBsZQ=="], &["not base64"], &[""]] {
            assert_eq!(accepted(wrong), None, "{wrong:?}");
        }
        let mut headers = HeaderMap::from_iter([(SEC_WEBSOCKET_KEY, HeaderValue::from_static("of the client"))]);
        add_key(&mut headers, &HeaderValue::from_static("websocket"));
        assert!(accept(&headers).is_some());
    }
}
