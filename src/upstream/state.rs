//! The state of an upstream, for operators.

use super::Upstream;
use super::backend::Backend;
use super::health::TargetHealth;
use serde::Serialize;

/// The state of an upstream.
#[derive(Debug, Clone, Serialize)]
pub struct UpstreamState {
    /// Whether its circuit breaker rejects requests because too many failed.
    pub circuit_open: bool,
    pub targets: Vec<TargetState>,
}

/// The state of a target.
#[derive(Debug, Clone, Serialize)]
pub struct TargetState {
    /// `HOST:PORT`, or `unix:PATH`.
    pub address: Box<str>,
    pub health: TargetHealth,
    /// Why its last active check failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Requests in progress.
    pub in_flight: u64,
}

impl Upstream {
    pub fn state(&self) -> UpstreamState {
        let circuit_open = self.breaker.as_ref().is_some_and(|limited| limited.breaker.is_open());
        UpstreamState { circuit_open, targets: self.backends.list.iter().map(|target| target.state()).collect() }
    }
}

impl Backend {
    fn state(&self) -> TargetState {
        TargetState {
            address: self.target.address.clone(),
            health: self.health(),
            last_error: self.check_error(),
            in_flight: self.load.active(),
        }
    }
}
