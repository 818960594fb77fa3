//! The state of an upstream, for operators.

use super::Upstream;
use super::backend::Backend;
use super::health::TargetHealth;
use serde::Serialize;
use std::sync::Arc;

/// The state of an upstream.
#[derive(Debug, Clone, Serialize)]
pub struct UpstreamState {
    /// Whether its circuit breaker rejects requests because too many failed.
    pub circuit_open: bool,
    /// Whether all targets get requests, because fewer than `panic_threshold` percent are healthy.
    pub panic: bool,
    pub targets: Vec<TargetState>,
}

/// The state of a target, or of one address of its name.
#[derive(Debug, Clone, Serialize)]
pub struct TargetState {
    /// `HOST:PORT`, or `unix:PATH`.
    pub address: Box<str>,
    /// The IP address, if the host is a name that was looked up: one entry for each address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<Box<str>>,
    pub health: TargetHealth,
    /// Whether it may get requests: it is healthy, or all targets are used because too few are healthy; and its weight is not 0.
    pub gets_requests: bool,
    /// Why its last active check failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Why the last lookup of the name failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lookup_error: Option<String>,
    /// Requests in progress.
    pub in_flight: u64,
}

impl Upstream {
    pub fn state(&self) -> UpstreamState {
        let circuit_open = self.breaker.as_ref().is_some_and(|limited| limited.breaker.is_open());
        let panic = self.backends.panics();
        let state = |backend: &Arc<Backend>| {
            backend.state(self.backends.uses(backend, panic), self.backends.lookup_error(backend.target))
        };
        let targets = self.backends.now().list.iter().map(state).collect();
        UpstreamState { circuit_open, panic, targets }
    }
}

impl Backend {
    fn state(&self, gets_requests: bool, lookup_error: Option<Arc<str>>) -> TargetState {
        TargetState {
            address: self.label.address.clone(),
            ip: self.label.peer.clone(),
            health: self.health(),
            gets_requests,
            last_error: self.check_error(),
            lookup_error: lookup_error.map(|error| error.to_string()),
            in_flight: self.load.active(),
        }
    }
}
