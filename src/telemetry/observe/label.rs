//! The labels of a route in spans, formatted once.

use crate::telemetry::methods::{METHODS, method_index};
use crate::telemetry::metrics::Requests;
use http::Method;
use std::sync::{Arc, OnceLock};

/// The labels of a route in spans.
#[derive(Debug, Clone)]
pub struct RouteLabel {
    /// Its name in the document.
    name: Arc<str>,
    /// Its path as configured: `/api/users/{id}`. The `http.route` of the semantic conventions.
    template: Arc<str>,
    /// Its target: `resource users`.
    target: Arc<str>,
    requests: Arc<Requests>,
    /// `METHOD template`, for each of [`METHODS`] and for all others; formatted for the first span.
    spans: OnceLock<Box<[Box<str>]>>,
}

impl RouteLabel {
    /// The label of a route to `target`; its requests are measured in `requests`.
    pub fn new(name: Arc<str>, template: &str, target: Arc<str>, requests: Arc<Requests>) -> Self {
        Self { name, template: template.into(), target, requests, spans: OnceLock::new() }
    }

    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub const fn template(&self) -> &Arc<str> {
        &self.template
    }

    pub const fn target(&self) -> &Arc<str> {
        &self.target
    }

    pub const fn requests(&self) -> &Arc<Requests> {
        &self.requests
    }

    pub(super) fn span(&self, method: &Method) -> &str {
        let spans = self.spans.get_or_init(|| {
            let methods = METHODS.iter().map(Method::as_str).chain(["HTTP"]);
            methods.map(|method| format!("{method} {}", self.template).into_boxed_str()).collect()
        });
        spans.get(method_index(method)).map_or("HTTP", |name| name)
    }
}
