//! Whether a target gets requests: what its checks found, and what happened to recent requests.

mod probe;

use super::failure::Failure;
use super::measure::EjectionReason;
use super::window::Window;
use crate::config::document::upstream::PassiveCheck;
use http::StatusCode;
use parking_lot::Mutex;
pub(super) use probe::Probe;
use serde::Serialize;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Duration;
use tokio::time::Instant;

/// The longest ejection, as a multiple of `ejection_time`.
const LONGEST_EJECTION: u32 = 10;

/// What recent requests say about a target. Kept across reloads, so an edit does not bring back an ejected target.
pub(super) struct Outcomes {
    /// Failures since the last success.
    failures: AtomicU32,
    window: Window,
    /// Whether there is an ejection, so that the lock is taken only then.
    is_ejected: AtomicBool,
    ejection: Mutex<Ejection>,
}

#[derive(Default)]
struct Ejection {
    until: Option<Instant>,
    /// Ejections without a success in between.
    times: u32,
    /// When it last ended, or when the target was added.
    ended: Option<Instant>,
}

/// Whether a target gets requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetHealth {
    Healthy,
    /// Its active checks fail.
    Unhealthy,
    /// Its responses failed.
    Ejected,
}

/// The outcome of a request, as far as it concerns the health of its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Success,
    /// No response, or a status of 500 or above.
    Failure,
}

impl Outcome {
    /// `None` if the request ended because of the client, or the target is not made for it.
    pub fn of(ended: Result<StatusCode, &Failure>) -> Option<Self> {
        match ended {
            Ok(status) if status.is_server_error() => Some(Self::Failure),
            Ok(_) => Some(Self::Success),
            Err(Failure::Client(_) | Failure::WebSocketKey | Failure::NoWebSocket) => None,
            Err(_) => Some(Self::Failure),
        }
    }
}

impl Outcomes {
    /// `recovered`: since when the target has been available, if it was not available before.
    pub fn new(recovered: Option<Instant>) -> Self {
        Self {
            failures: AtomicU32::new(0),
            window: Window::default(),
            is_ejected: AtomicBool::new(false),
            ejection: Mutex::new(Ejection { ended: recovered, ..Ejection::default() }),
        }
    }

    /// Counts `outcome`. Returns why the target should be ejected now, if it should.
    pub fn count(&self, outcome: Outcome, limits: &PassiveCheck) -> Option<EjectionReason> {
        let failed = outcome == Outcome::Failure;
        let over = limits.failure_ratio.as_ref().is_some_and(|limit| self.window.count(failed, limit));
        if !failed {
            // Read first: a store would take the cache line from the other workers each time.
            if self.failures.load(Relaxed) != 0 {
                self.failures.store(0, Relaxed);
                self.ejection.lock().times = 0;
            }
            return None;
        }
        let failures = self.failures.fetch_add(1, Relaxed) + 1;
        if failures >= limits.consecutive_failures {
            Some(EjectionReason::ConsecutiveFailures)
        } else {
            over.then_some(EjectionReason::FailureRatio)
        }
    }

    /// Gives the target no requests for a while. Returns how long, unless it is already ejected.
    pub fn eject(&self, limits: &PassiveCheck) -> Option<Duration> {
        let now = Instant::now();
        let mut ejection = self.ejection.lock();
        if ejection.until.is_some_and(|until| until > now) {
            return None;
        }
        let factor = 1_u32.checked_shl(ejection.times).unwrap_or(u32::MAX).min(LONGEST_EJECTION);
        let time = limits.ejection_time.get().saturating_mul(factor);
        ejection.times += 1;
        ejection.until = now.checked_add(time);
        self.is_ejected.store(ejection.until.is_some(), Relaxed);
        // After the ejection it has as many tries as before, except that the next ejection is longer.
        self.failures.store(0, Relaxed);
        self.window.clear();
        Some(time)
    }

    /// Whether the target is ejected now.
    pub fn is_ejected(&self) -> bool {
        if !self.is_ejected.load(Relaxed) {
            return false;
        }
        let now = Instant::now();
        let mut ejection = self.ejection.lock();
        let ejected = ejection.until.is_some_and(|until| until > now);
        if !ejected && let Some(until) = ejection.until.take() {
            ejection.ended = Some(until);
            self.is_ejected.store(false, Relaxed);
        }
        ejected
    }

    /// When the last ejection ended, or the target was added.
    pub fn recovered(&self) -> Option<Instant> {
        self.ejection.lock().ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_eject_for_longer_each_time() {
        let limits: PassiveCheck =
            serde_json::from_value(serde_json::json!({ "consecutive_failures": 3, "ejection_time": "10s" })).unwrap();
        let outcomes = Outcomes::new(None);
        let fail = || outcomes.count(Outcome::Failure, &limits);
        assert_eq!((fail(), fail()), (None, None));
        outcomes.count(Outcome::Success, &limits);
        assert_eq!((fail(), fail(), fail()), (None, None, Some(EjectionReason::ConsecutiveFailures)));
        assert_eq!(outcomes.eject(&limits), Some(Duration::from_secs(10)));
        assert_eq!(outcomes.eject(&limits), None, "it is ejected already");
        assert!(outcomes.is_ejected());
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(!outcomes.is_ejected() && outcomes.recovered().is_some());
        assert_eq!((fail(), fail(), fail()), (None, None, Some(EjectionReason::ConsecutiveFailures)));
        assert_eq!(outcomes.eject(&limits), Some(Duration::from_secs(20)));
        tokio::time::advance(Duration::from_secs(20)).await;
        fail();
        outcomes.count(Outcome::Success, &limits);
        assert_eq!(outcomes.eject(&limits), Some(Duration::from_secs(10)), "a success forgives");
    }
}
