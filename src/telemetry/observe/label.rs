//! What spans call a route, written out once when the snapshot is built.

use crate::telemetry::methods::{METHODS, method_index};
use crate::telemetry::metrics::Requests;
use http::Method;
use std::sync::Arc;

/// What spans call a route.
#[derive(Debug, Clone)]
pub struct RouteLabel {
    /// Its name in the document.
    name: Arc<str>,
    /// Its path as written: `/api/users/{id}`. The `http.route` of the semantic conventions.
    template: Arc<str>,
    /// What it leads to: `resource users`.
    target: Arc<str>,
    requests: Arc<Requests>,
    /// `METHOD template`, for each of [`METHODS`] and for all others.
    spans: Box<[Box<str>]>,
}

impl RouteLabel {
    /// The label of a route that leads to `target`; its requests are measured in `requests`.
    pub fn new(name: Arc<str>, template: &str, target: Arc<str>, requests: Arc<Requests>) -> Self {
        let methods = METHODS.iter().map(Method::as_str).chain(["HTTP"]);
        let spans = methods.map(|method| format!("{method} {template}").into_boxed_str()).collect();
        Self { name, template: template.into(), target, requests, spans }
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
        self.spans.get(method_index(method)).map_or("HTTP", |name| name)
    }
}
