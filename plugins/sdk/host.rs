//! The host that a request asks for.

use http::header::HOST;
use http::{HeaderMap, Uri};

/// The requested host, without port.
pub fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let authority = match uri.host() {
        Some(host) => return Some(host),
        None => headers.get(HOST)?.to_str().ok()?,
    };
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(host),
        _ => Some(authority),
    }
}
