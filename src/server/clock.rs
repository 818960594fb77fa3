//! The coarse clock of a worker: read for every request, set a few times a second.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

pub(super) struct Clock {
    start: Instant,
    /// Milliseconds since `start`, as of the last tick; never 0.
    now: AtomicU64,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), now: AtomicU64::new(1) }
    }

    /// The time as of the last tick, in milliseconds.
    pub(super) fn now(&self) -> u64 {
        self.now.load(Relaxed)
    }

    /// Sets the clock. Called by the sweep and for every new connection, because the sweep sleeps when there are none.
    pub(super) fn tick(&self) -> u64 {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        self.now.store(now, Relaxed);
        now
    }
}
