//! The names of request methods in telemetry.

use http::Method;

/// The methods with their own name in telemetry (RFC 9110 and PATCH).
pub(super) const METHODS: [Method; 9] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::HEAD,
    Method::OPTIONS,
    Method::CONNECT,
    Method::TRACE,
];

/// The method names in telemetry: a closed set, because clients can invent methods.
pub const METHOD_NAMES: [&str; 10] =
    ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT", "TRACE", "_OTHER"];

/// The index of a method in [`METHOD_NAMES`].
pub fn method_index(method: &Method) -> usize {
    METHODS.iter().position(|known| known == method).unwrap_or(METHODS.len())
}

/// The name of a method in telemetry.
pub fn method(method: &Method) -> &'static str {
    METHOD_NAMES.get(method_index(method)).copied().unwrap_or("_OTHER")
}
