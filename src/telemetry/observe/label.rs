//! What spans call a route, written out once when the snapshot is built.

use crate::telemetry::metrics::Requests;
use http::Method;
use std::sync::Arc;

/// The methods with a name of their own in telemetry (RFC 9110 and PATCH).
const METHODS: [Method; 9] = [
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

/// What spans call a route.
#[derive(Debug, Clone)]
pub struct RouteLabel {
    /// Its name in the document.
    name: Arc<str>,
    /// Its path as written: `/api/users/{id}`. The `http.route` of the semantic conventions.
    template: Arc<str>,
    requests: Arc<Requests>,
    /// `METHOD template`, for each of [`METHODS`] and for all others.
    spans: Box<[Box<str>]>,
}

impl RouteLabel {
    /// The label of a route whose requests are measured in `requests`.
    pub fn new(name: Arc<str>, template: &str, requests: Arc<Requests>) -> Self {
        let methods = METHODS.iter().map(Method::as_str).chain(["HTTP"]);
        let spans = methods.map(|method| format!("{method} {template}").into_boxed_str()).collect();
        Self { name, template: template.into(), requests, spans }
    }

    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub const fn template(&self) -> &Arc<str> {
        &self.template
    }

    pub const fn requests(&self) -> &Arc<Requests> {
        &self.requests
    }

    pub(super) fn span(&self, method: &Method) -> &str {
        self.spans.get(method_index(method)).map_or("HTTP", |name| name)
    }
}

/// The methods as telemetry says them: a closed set, whatever a client makes up.
pub const METHOD_NAMES: [&str; 10] =
    ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT", "TRACE", "_OTHER"];

/// The index of a method in [`METHOD_NAMES`].
pub fn method_index(method: &Method) -> usize {
    METHODS.iter().position(|known| known == method).unwrap_or(METHODS.len())
}

/// The method as telemetry says it.
pub fn method(method: &Method) -> &'static str {
    METHOD_NAMES.get(method_index(method)).copied().unwrap_or("_OTHER")
}
