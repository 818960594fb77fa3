//! Limits on requests in progress: how many there may be, and how many may wait for one to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::Notify;

/// How many requests may be in progress and wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Maximum number of requests in progress.
    pub requests: u32,
    /// Maximum number of requests that wait.
    pub queue: u32,
    /// How long a request waits.
    pub patience: Duration,
}

/// Counts requests. It is kept across reloads; the limits come with each request, so an edit of a limit loses no count.
#[derive(Default)]
pub struct Gate {
    requests: AtomicU32,
    waiting: AtomicU32,
    /// Notified when a request ends.
    freed: Notify,
}

/// A request in progress.
pub struct Permit(Arc<Gate>);

impl Gate {
    /// Admits a request at once, unless too many are in progress or others wait.
    pub fn try_enter(self: &Arc<Self>, limits: &Limits) -> Option<Permit> {
        if self.waiting.load(Relaxed) > 0 { None } else { self.count_in(limits) }
    }

    /// Admits a request, at once or after it waited.
    pub async fn enter(self: &Arc<Self>, limits: &Limits) -> Option<Permit> {
        match self.try_enter(limits) {
            Some(permit) => Some(permit),
            None => self.wait(limits).await,
        }
    }

    /// Admits a request after another has ended, unless enough others wait.
    async fn wait(self: &Arc<Self>, limits: &Limits) -> Option<Permit> {
        let joins = |waiting: u32| (waiting < limits.queue).then_some(waiting + 1);
        self.waiting.fetch_update(Relaxed, Relaxed, joins).ok()?;
        let _waiting = Waiting(self);
        let admitted = async {
            loop {
                let freed = self.freed.notified();
                if let Some(permit) = self.count_in(limits) {
                    return permit;
                }
                freed.await;
            }
        };
        let permit = tokio::time::timeout(limits.patience, admitted).await.ok()?;
        // Several requests may have ended before those that wait were listening.
        if self.requests.load(Relaxed) < limits.requests {
            self.freed.notify_one();
        }
        Some(permit)
    }

    fn count_in(self: &Arc<Self>, limits: &Limits) -> Option<Permit> {
        let joins = |requests: u32| (requests < limits.requests).then_some(requests + 1);
        self.requests.fetch_update(Relaxed, Relaxed, joins).ok()?;
        Some(Permit(Arc::clone(self)))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Relaxed);
        self.0.freed.notify_one();
    }
}

/// A waiting request.
struct Waiting<'a>(&'a Gate);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn requests_beyond_the_limit_wait_in_turn_or_are_rejected() {
        let limits = Limits { requests: 1, queue: 1, patience: Duration::from_secs(1) };
        let gate = Arc::new(Gate::default());
        let first = gate.enter(&limits).await.unwrap();
        let (second, third, ()) = tokio::join!(gate.enter(&limits), gate.enter(&limits), async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            drop(first);
            assert!(gate.try_enter(&limits).is_none(), "the one that waits comes first");
        });
        assert!(third.is_none(), "the queue was full");
        let second = second.unwrap();
        assert!(gate.enter(&limits).await.is_none(), "it waited long enough");
        drop(second);
        assert!(gate.enter(&limits).await.is_some());
        assert_eq!((gate.requests.load(Relaxed), gate.waiting.load(Relaxed)), (0, 0));
    }

    #[tokio::test]
    async fn every_request_that_waits_is_admitted_when_others_end() {
        let limits = Limits { requests: 4, queue: 100, patience: Duration::from_secs(20) };
        let gate = Arc::new(Gate::default());
        let one = || async {
            let permit = gate.enter(&limits).await.unwrap();
            tokio::task::yield_now().await;
            drop(permit);
        };
        futures_util::future::join_all((0..100).map(|_| one())).await;
        assert_eq!(gate.requests.load(Relaxed), 0);
    }
}
