//! What spans call a route, written out once when the snapshot is built.

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
    template: Box<str>,
    /// `METHOD template`, for each of [`METHODS`] and for all others.
    spans: Box<[Box<str>]>,
}

impl RouteLabel {
    pub fn new(name: Arc<str>, template: &str) -> Self {
        let methods = METHODS.iter().map(Method::as_str).chain(["HTTP"]);
        let spans = methods.map(|method| format!("{method} {template}").into_boxed_str()).collect();
        Self { name, template: template.into(), spans }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn template(&self) -> &str {
        &self.template
    }

    pub(super) fn span(&self, method: &Method) -> &str {
        let place = METHODS.iter().position(|known| known == method).unwrap_or(METHODS.len());
        self.spans.get(place).map_or("HTTP", |name| name)
    }
}

/// The method as telemetry says it: one of a closed set, whatever a client makes up.
pub(super) fn method(method: &Method) -> &'static str {
    METHODS.iter().find(|known| *known == method).map_or("_OTHER", |known| match *known {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::CONNECT => "CONNECT",
        _ => "TRACE",
    })
}
