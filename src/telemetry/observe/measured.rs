//! The metrics of one request.

use super::Observation;
use crate::grpc;
use crate::telemetry::methods::method_index;
use crate::telemetry::metrics::{Amounts, RequestLabels, Requests, active};
use gatewright_sdk::Scheme;
use gatewright_sdk::metrics::Level;
use http::Method;
use std::sync::Arc;

pub(super) struct Measured {
    requests: Arc<Requests>,
    method: usize,
    scheme: Scheme,
    active: Option<&'static Level>,
}

impl Measured {
    pub fn begin(requests: Arc<Requests>, method: &Method, scheme: Scheme) -> Self {
        let method = method_index(method);
        let active = active(method, scheme);
        if let Some(active) = active {
            active.add(1);
        }
        Self { requests, method, scheme, active }
    }

    pub fn end(&self, observation: &Observation) {
        if let Some(active) = self.active {
            active.add(-1);
        }
        let Observation { status, end, .. } = *observation;
        let cut = end.cut().or_else(|| observation.grpc_error());
        let failed = observation.server_error().is_some();
        let labels = RequestLabels { method: self.method, scheme: self.scheme, status, cut, failed };
        let trace = observation.trace().map(|trace| (trace.trace_id().to_bytes(), trace.span_id().to_bytes()));
        let (duration, request) = (observation.started.elapsed(), observation.received.bytes());
        self.requests.ended(labels, &Amounts { duration, request, response: observation.bytes, trace });
        if observation.is_call {
            self.requests.called(observation.grpc.map(grpc::Status::name), cut, duration);
        }
        if let Some(decision) = observation.decision.as_ref().filter(|decision| decision.is_notable()) {
            self.requests.decided(decision);
        }
    }
}

#[cfg(test)]
mod tests;
