//! How many requests a backend is busy with.

use crate::worker;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// The number of requests in progress, counted per worker so that workers do not contend for a cache line.
pub(super) struct Load {
    workers: Box<[Slot]>,
}

#[derive(Default)]
#[repr(align(64))]
struct Slot(AtomicI64);

impl Load {
    pub fn new() -> Self {
        Self { workers: (0..worker::count().max(1)).map(|_| Slot::default()).collect() }
    }

    /// The requests in progress. A request may end on another worker than it began on; only the sum counts.
    pub fn active(&self) -> u64 {
        let sum: i64 = self.workers.iter().map(|slot| slot.0.load(Ordering::Relaxed)).sum();
        u64::try_from(sum).unwrap_or(0)
    }

    #[expect(clippy::indexing_slicing, reason = "the remainder is smaller than the length, which is never 0")]
    fn add(&self, change: i64) {
        self.workers[worker::current() % self.workers.len()].0.fetch_add(change, Ordering::Relaxed);
    }
}

/// One request in progress, from the choice of its backend to the end of the response.
pub(super) struct Lease(Arc<Load>);

impl Lease {
    pub fn new(load: &Arc<Load>) -> Self {
        load.add(1);
        Self(Arc::clone(load))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_may_end_on_another_thread() {
        let load = Arc::new(Load::new());
        let (one, two) = (Lease::new(&load), Lease::new(&load));
        assert_eq!(load.active(), 2);
        std::thread::spawn(move || drop(one)).join().unwrap();
        assert_eq!(load.active(), 1);
        drop(two);
        assert_eq!(load.active(), 0);
    }
}
