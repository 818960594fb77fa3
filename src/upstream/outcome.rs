//! What an upstream does with the outcomes of requests: its circuit breaker, passive checks, and the log.

use super::Upstream;
use super::backend::Backend;
use super::breaker::{Change, Limited, Permit};
use super::failure::Failure;
use super::health::Outcome;
use crate::telemetry::ProxyTarget;
use gatewright_sdk::Response;
use std::time::Duration;

impl Upstream {
    /// Reports the outcome of a request to the circuit breaker.
    pub(super) fn report(&self, permit: &mut Permit, served: &Result<Response, Failure>) {
        let (Some(breaker), Some(outcome)) = (&self.breaker, Outcome::of(served.as_ref().map(Response::status))) else {
            return;
        };
        if let Some(change) = permit.report(outcome, &breaker.limits) {
            self.log(breaker, change);
        }
    }

    /// Records that `backend` did not respond in the time that the chain allows. The chain responds to the client.
    #[cold]
    pub(super) fn timed_out(&self, backend: &Backend, waited: Duration) {
        let ProxyTarget { upstream, address, peer } = &*backend.label;
        tracing::warn!(
            target: "gatewright::upstream",
            upstream = &**upstream,
            upstream_target = &**address,
            peer = peer.as_deref(),
            ?waited,
            human = format!("upstream {upstream}: {} did not respond within {waited:.1?}", backend.label),
            "response timed out"
        );
        self.backends.report(backend, Outcome::Failure);
        if let Some(breaker) = &self.breaker
            && let Some(change) = breaker.timed_out()
        {
            self.log(breaker, change);
        }
    }

    fn log(&self, breaker: &Limited, change: Change) {
        match change {
            Change::Opened => tracing::warn!(
                target: "gatewright::upstream",
                upstream = &*self.name,
                open_time = ?breaker.limits.open_time.get(),
                human = format!("upstream {}: too many requests fail; the circuit is open", self.name),
                "circuit opened"
            ),
            Change::Closed => tracing::info!(
                target: "gatewright::upstream",
                upstream = &*self.name,
                human = format!("upstream {}: the circuit is closed again", self.name),
                "circuit closed"
            ),
        }
    }
}
