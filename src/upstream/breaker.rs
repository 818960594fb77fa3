//! The circuit breaker of an upstream: limits on requests in progress, and on the share of failures.

use super::health::Outcome;
use super::window::Window;
use crate::concurrency::{self, Gate, Limits};
use crate::config::document::upstream::CircuitBreaker;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::time::Instant;

/// The state of a circuit breaker, kept across reloads. The limits come with each request, so an edit of a limit closes
/// no open circuit.
pub(super) struct Breaker {
    gate: Arc<Gate>,
    window: Window,
    /// Whether the circuit is open, so that the lock is taken only then.
    is_open: AtomicBool,
    circuit: Mutex<Circuit>,
}

#[derive(Default)]
struct Circuit {
    /// Until when all requests are rejected.
    open_until: Option<Instant>,
    /// Whether a request is finding out if the circuit may close.
    probing: bool,
}

/// Why a request was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rejected {
    /// Too many requests are in progress or wait.
    Full,
    /// Too many failed. Requests are accepted again after this time.
    Open(Duration),
}

/// One admitted request, until its response has ended.
pub(super) struct Permit {
    breaker: Arc<Breaker>,
    /// Held.
    counted: Option<concurrency::Permit>,
    probe: bool,
}

impl Breaker {
    pub fn new() -> Self {
        Self {
            gate: Arc::default(),
            window: Window::default(),
            is_open: AtomicBool::new(false),
            circuit: Mutex::default(),
        }
    }

    pub const fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Admits a request, at once or after it waited for up to `patience`.
    async fn admit(self: &Arc<Self>, limits: &CircuitBreaker, patience: Duration) -> Result<Permit, Rejected> {
        // Without a limit on failures, a circuit that is open from before the edit does not count.
        let probe = limits.failure_ratio.is_some() && self.pass()?;
        let mut permit = Permit { breaker: Arc::clone(self), counted: None, probe };
        let Some(requests) = limits.max_requests else { return Ok(permit) };
        let limits = Limits { requests, queue: limits.max_pending.unwrap_or(0), patience };
        permit.counted = Some(self.gate.enter(&limits).await.ok_or(Rejected::Full)?);
        Ok(permit)
    }

    /// Whether this request finds out if an open circuit may close.
    fn pass(&self) -> Result<bool, Rejected> {
        if !self.is_open.load(Relaxed) {
            return Ok(false);
        }
        let now = Instant::now();
        let mut circuit = self.circuit.lock();
        match circuit.open_until {
            None => Ok(false),
            Some(until) if until > now => Err(Rejected::Open(until - now)),
            Some(_) if circuit.probing => Err(Rejected::Open(Duration::ZERO)),
            Some(_) => {
                circuit.probing = true;
                Ok(true)
            }
        }
    }

    pub fn is_open(&self) -> bool {
        self.is_open.load(Relaxed)
    }

    fn open(&self, limits: &CircuitBreaker) {
        let mut circuit = self.circuit.lock();
        circuit.probing = false;
        circuit.open_until = Instant::now().checked_add(limits.open_time.get());
        self.is_open.store(circuit.open_until.is_some(), Relaxed);
        self.window.clear();
    }

    /// Records a failed request.
    fn failed(&self, limits: &CircuitBreaker) -> Option<Change> {
        let limit = limits.failure_ratio.as_ref()?;
        if !self.window.count(true, limit) || self.is_open.load(Relaxed) {
            return None;
        }
        self.open(limits);
        Some(Change::Opened)
    }

    fn close(&self) {
        *self.circuit.lock() = Circuit::default();
        self.is_open.store(false, Relaxed);
    }
}

/// A circuit breaker with its limits.
pub(super) struct Limited {
    pub breaker: Arc<Breaker>,
    pub limits: CircuitBreaker,
    /// How long a request waits.
    pub patience: Duration,
}

impl Limited {
    /// Admits a request, at once or after it waited.
    pub async fn admit(&self) -> Result<Permit, Rejected> {
        self.breaker.admit(&self.limits, self.patience).await
    }

    /// Records a request whose response did not arrive in time.
    pub fn timed_out(&self) -> Option<Change> {
        self.breaker.failed(&self.limits)
    }
}

/// What a request changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Opened,
    Closed,
}

impl Permit {
    /// Records the outcome of the request.
    pub fn report(&mut self, outcome: Outcome, limits: &CircuitBreaker) -> Option<Change> {
        let limit = limits.failure_ratio.as_ref()?;
        let failed = outcome == Outcome::Failure;
        if std::mem::take(&mut self.probe) {
            if failed {
                self.breaker.open(limits);
                return None;
            }
            self.breaker.close();
            return Some(Change::Closed);
        }
        if failed {
            return self.breaker.failed(limits);
        }
        self.breaker.window.count(false, limit);
        None
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        // The request ended without an outcome: another one finds out.
        if self.probe {
            self.breaker.circuit.lock().probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(json: serde_json::Value) -> CircuitBreaker {
        serde_json::from_value(json).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_circuit_opens_by_failures_and_one_request_closes_it() {
        let limits = limits(serde_json::json!({ "failure_ratio": { "over": "50%", "min_requests": 2 } }));
        let (breaker, patience) = (Arc::new(Breaker::new()), Duration::from_secs(1));
        let admit = || breaker.admit(&limits, patience);
        assert_eq!(admit().await.ok().unwrap().report(Outcome::Failure, &limits), None);
        assert_eq!(admit().await.ok().unwrap().report(Outcome::Failure, &limits), Some(Change::Opened));
        assert_eq!(admit().await.err(), Some(Rejected::Open(Duration::from_secs(5))));
        tokio::time::advance(Duration::from_secs(5)).await;
        let probe = admit().await.ok().unwrap();
        assert_eq!(admit().await.err(), Some(Rejected::Open(Duration::ZERO)), "one at a time");
        drop(probe);
        assert_eq!(admit().await.ok().unwrap().report(Outcome::Failure, &limits), None);
        assert!(matches!(admit().await.err(), Some(Rejected::Open(_))));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(admit().await.ok().unwrap().report(Outcome::Success, &limits), Some(Change::Closed));
        assert!(admit().await.is_ok() && admit().await.is_ok());
    }
}
