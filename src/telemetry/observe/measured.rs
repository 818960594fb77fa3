//! What is measured of one request.

use super::Observation;
use super::label::method_index;
use crate::telemetry::metrics::{Amounts, Decision, Outcome, Requests, active};
use gatewright_sdk::metrics::Level;
use gatewright_sdk::{Request, Scheme};
use http_body::Body as _;
use opentelemetry::trace::TraceContextExt;
use std::sync::Arc;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// A request that is being measured.
pub(super) struct Measured {
    requests: Arc<Requests>,
    method: usize,
    scheme: Scheme,
    /// The length of the request body, where the request says it.
    size: Option<u64>,
    active: Option<&'static Level>,
}

impl Measured {
    pub fn begin(requests: Arc<Requests>, request: &Request, scheme: Scheme) -> Self {
        let method = method_index(request.method());
        let active = active(method, scheme);
        if let Some(active) = active {
            active.add(1);
        }
        Self { requests, method, scheme, size: request.body().size_hint().exact(), active }
    }

    pub fn end(&self, observation: &Observation) {
        if let Some(active) = self.active {
            active.add(-1);
        }
        let Observation { status, end, .. } = *observation;
        let outcome = Outcome { method: self.method, scheme: self.scheme, status, cut: end.cut() };
        let trace = (!observation.span.is_disabled()).then(|| {
            let context = observation.span.context();
            let span = context.span();
            let context = span.span_context();
            (context.trace_id().to_bytes(), context.span_id().to_bytes())
        });
        let (duration, response) = (observation.started.elapsed(), observation.bytes);
        self.requests.ended(outcome, &Amounts { duration, request: self.size, response, trace });
        if let Some(refusal) = &observation.refusal {
            let (plugin, reason) = (refusal.plugin.clone(), Some(refusal.reason.clone()));
            self.requests.decided(&Decision { plugin, outcome: "refused", reason });
        }
    }
}

#[cfg(test)]
mod tests;
