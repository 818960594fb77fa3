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

/// Counts requests. It is kept across reloads; the limits come with each request, so an edit of a limit loses no count. Those that wait
/// are told of the edit.
#[derive(Default)]
pub struct Gate {
    requests: AtomicU32,
    waiting: AtomicU32,
    /// The maximum number of requests in progress after the last edit. 0 if there was none.
    edited: AtomicU32,
    /// Notified when a request ends.
    freed: Notify,
}

/// A request in progress.
pub struct Permit(Arc<Gate>);

impl Gate {
    /// Applies an edit to the requests that wait. `None`: there is no limit any more.
    pub fn edit(&self, requests: Option<u32>) {
        self.edited.store(requests.unwrap_or(u32::MAX), Relaxed);
        self.freed.notify_one();
    }

    /// `limits` with the maximum after the last edit.
    fn edited(&self, limits: &Limits) -> Limits {
        let edited = self.edited.load(Relaxed);
        Limits { requests: if edited == 0 { limits.requests } else { edited }, ..*limits }
    }

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
                if let Some(permit) = self.count_in(&self.edited(limits)) {
                    return permit;
                }
                freed.await;
            }
        };
        let permit = tokio::time::timeout(limits.patience, admitted).await.ok()?;
        // Several requests may have ended before those that wait were listening, or there may be room for several since an edit.
        if self.requests.load(Relaxed) < self.edited(limits).requests {
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

    #[tokio::test(start_paused = true)]
    async fn an_edit_admits_the_requests_that_wait() {
        let limits = Limits { requests: 1, queue: 9, patience: Duration::from_secs(9) };
        let gate = Arc::new(Gate::default());
        let (held, began) = (gate.enter(&limits).await.unwrap(), tokio::time::Instant::now());
        let edits = async {
            tokio::task::yield_now().await;
            gate.edit(Some(3));
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!((gate.requests.load(Relaxed), gate.waiting.load(Relaxed)), (3, 2), "two more");
            gate.edit(None);
        };
        let waiting = futures_util::future::join_all((0..4).map(|_| gate.enter(&limits)));
        let (admitted, ()) = tokio::join!(waiting, edits);
        assert_eq!(admitted.iter().flatten().count(), 4);
        assert_eq!(began.elapsed(), Duration::from_secs(1), "the last ones at the second edit");
        drop((admitted, held));
        gate.edit(Some(1));
        let held = gate.enter(&limits).await;
        assert!(held.is_some() && gate.enter(&limits).await.is_none(), "the limit is back");
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
