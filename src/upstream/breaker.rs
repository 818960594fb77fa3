//! The circuit breaker of an upstream: limits on requests in progress, and on the share of failures.

use super::health::Outcome;
use super::window::Window;
use crate::config::document::upstream::CircuitBreaker;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The state of a circuit breaker, kept across reloads. The limits come with each request, so an edit of a limit closes
/// no open circuit.
pub(super) struct Breaker {
    requests: AtomicU32,
    waiting: AtomicU32,
    /// Notified when a request ends.
    freed: Notify,
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
    counted: bool,
    probe: bool,
}

impl Breaker {
    pub fn new() -> Self {
        Self {
            requests: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            freed: Notify::new(),
            window: Window::default(),
            is_open: AtomicBool::new(false),
            circuit: Mutex::default(),
        }
    }

    /// Admits a request, at once or after it waited for up to `patience`.
    async fn admit(self: &Arc<Self>, limits: &CircuitBreaker, patience: Duration) -> Result<Permit, Rejected> {
        // Without a limit on failures, a circuit that is open from before the edit does not count.
        let probe = limits.failure_ratio.is_some() && self.pass()?;
        let mut permit = Permit { breaker: Arc::clone(self), counted: false, probe };
        let Some(most) = limits.max_requests else { return Ok(permit) };
        permit.counted = self.count_in(most) || self.wait(most, limits.max_pending.unwrap_or(0), patience).await;
        if permit.counted { Ok(permit) } else { Err(Rejected::Full) }
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

    fn count_in(&self, most: u32) -> bool {
        self.requests.fetch_update(Relaxed, Relaxed, |requests| (requests < most).then_some(requests + 1)).is_ok()
    }

    /// Waits for another request to end, unless enough others wait.
    async fn wait(&self, most: u32, pending: u32, patience: Duration) -> bool {
        let joins = |waiting: u32| (waiting < pending).then_some(waiting + 1);
        if self.waiting.fetch_update(Relaxed, Relaxed, joins).is_err() {
            return false;
        }
        let _waiting = Waiting(self);
        let counted = async {
            loop {
                let freed = self.freed.notified();
                if self.count_in(most) {
                    return;
                }
                freed.await;
            }
        };
        tokio::time::timeout(patience, counted).await.is_ok()
    }

    fn open(&self, limits: &CircuitBreaker) {
        let mut circuit = self.circuit.lock();
        circuit.probing = false;
        circuit.open_until = Instant::now().checked_add(limits.open_time.get());
        self.is_open.store(circuit.open_until.is_some(), Relaxed);
        self.window.clear();
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
}

/// A waiting request.
struct Waiting<'a>(&'a Breaker);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
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
        if !self.breaker.window.count(failed, limit) || self.breaker.is_open.load(Relaxed) {
            return None;
        }
        self.breaker.open(limits);
        Some(Change::Opened)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.counted {
            self.breaker.requests.fetch_sub(1, Relaxed);
            self.breaker.freed.notify_one();
        }
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
    async fn requests_beyond_the_limit_wait_or_are_rejected() {
        let limits = limits(serde_json::json!({ "max_requests": 1, "max_pending": 1 }));
        let (breaker, patience) = (Arc::new(Breaker::new()), Duration::from_secs(1));
        let first = breaker.admit(&limits, patience).await.ok().unwrap();
        let (second, third, ()) =
            tokio::join!(breaker.admit(&limits, patience), breaker.admit(&limits, patience), async {
                tokio::time::sleep(Duration::from_millis(500)).await;
                drop(first);
            });
        assert_eq!(third.err(), Some(Rejected::Full));
        let second = second.ok().unwrap();
        assert_eq!(breaker.admit(&limits, patience).await.err(), Some(Rejected::Full), "it waited long enough");
        drop(second);
        assert!(breaker.admit(&limits, patience).await.is_ok());
        assert_eq!((breaker.requests.load(Relaxed), breaker.waiting.load(Relaxed)), (0, 0));
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
