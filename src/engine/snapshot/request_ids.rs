//! The response headers that carry request ids.

use crate::engine::router::Found;
use http::HeaderName;
use std::sync::Arc;

/// The response headers that carry the request id, by route, those set last first.
pub struct RequestIds {
    /// For requests that pass the listener's chain alone.
    pub(super) listener: Arc<[HeaderName]>,
    /// By index of the route.
    routes: Box<[Arc<[HeaderName]>]>,
}

impl RequestIds {
    /// `listener` are the headers of the listener's chain, `routes` those of each route's own plugins.
    pub fn new(listener: &Arc<[HeaderName]>, routes: &[Arc<[HeaderName]>]) -> Self {
        let listener = Arc::clone(listener);
        let with = |own: &Arc<[HeaderName]>| {
            if own.is_empty() { Arc::clone(&listener) } else { own.iter().chain(&*listener).cloned().collect() }
        };
        Self { routes: routes.iter().map(with).collect(), listener }
    }

    /// Those of what a request found.
    pub(super) fn of(&self, found: &Found) -> &Arc<[HeaderName]> {
        let route = if let Found::Route { index, .. } = found { self.routes.get(*index) } else { None };
        route.unwrap_or(&self.listener)
    }
}
