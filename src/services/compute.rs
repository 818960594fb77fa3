//! Runs expensive work for plugins, a bounded amount at a time.

use gatewright_sdk::{Busy, Computing};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tokio::sync::Semaphore;

/// The maximum amount of waiting work: at about 50 ms each, more would take longer than a client waits.
const WAITING: usize = 32;

/// At most half of the cores run work.
pub struct Compute {
    turns: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

impl Default for Compute {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { turns: Arc::new(Semaphore::new((cores / 2).max(1))), waiting: Arc::default() }
    }
}

/// Counts waiting work.
struct Waiting(Arc<AtomicUsize>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Compute {
    pub fn run(&self, work: Box<dyn FnOnce() -> bool + Send>) -> Computing {
        let joins = |waiting: usize| (waiting < WAITING).then_some(waiting + 1);
        if self.waiting.fetch_update(Relaxed, Relaxed, joins).is_err() {
            return Box::pin(std::future::ready(Err(Busy)));
        }
        let (turns, waiting) = (Arc::clone(&self.turns), Waiting(Arc::clone(&self.waiting)));
        Box::pin(async move {
            let turn = turns.acquire_owned().await.map_err(|_| Busy)?;
            drop(waiting);
            // The turn ends with the work, also if the caller has left.
            let work = tokio::task::spawn_blocking(move || {
                let outcome = work();
                drop(turn);
                outcome
            });
            work.await.map_err(|_| Busy)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[tokio::test]
    async fn a_bounded_amount_of_work_waits_and_the_rest_is_refused() {
        let compute = Compute { turns: Arc::new(Semaphore::new(1)), waiting: Arc::default() };
        let (release, released) = channel::<()>();
        let first = tokio::spawn(compute.run(Box::new(move || released.recv().is_ok())));
        while compute.turns.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let waiting: Vec<_> = (0..WAITING).map(|_| compute.run(Box::new(|| true))).collect();
        assert_eq!(compute.run(Box::new(|| true)).await, Err(Busy));
        release.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(true));
        for work in waiting {
            assert_eq!(work.await, Ok(true));
        }
        assert_eq!(compute.waiting.load(Relaxed), 0);
        drop(compute.run(Box::new(|| panic!("work that no one waits for does not start"))));
        assert_eq!(compute.run(Box::new(|| false)).await, Ok(false));
    }
}
