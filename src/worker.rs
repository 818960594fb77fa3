//! Identifies the worker of the current thread, so that state which would be contended can be kept per worker.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

thread_local! {
    /// Set once, by the worker thread itself, before it runs anything else.
    static INDEX: Cell<Option<usize>> = const { Cell::new(None) };
}

/// How many worker threads the servers of the process have started.
static WORKERS: AtomicUsize = AtomicUsize::new(0);

/// The number of slots for per-worker state: one for each worker thread, and a last one shared by all other threads. It
/// is final once all servers have started; still, always index with `current() % slots.len()`.
pub fn count() -> usize {
    WORKERS.load(Ordering::Relaxed) + 1
}

/// The slot of the current thread, below [`count`]. A connection stays on its worker, so a request finds what an
/// earlier one on the same connection left in this slot.
pub fn current() -> usize {
    INDEX.get().unwrap_or_else(|| WORKERS.load(Ordering::Relaxed))
}

/// Reserves numbers for `workers` threads; returns the first.
pub(crate) fn reserve(workers: usize) -> usize {
    WORKERS.fetch_add(workers, Ordering::Relaxed)
}

/// Makes the current thread the worker `index`.
pub(crate) fn become_worker(index: usize) {
    INDEX.set(Some(index));
}

#[cfg(test)]
mod tests {
    #[test]
    fn threads_other_than_workers_share_the_last_slot() {
        let first = super::reserve(3);
        assert!(super::current() >= first + 3);
        assert!(super::count() > first + 3);
        let worker = std::thread::spawn(move || {
            super::become_worker(first + 1);
            super::current()
        });
        assert_eq!(worker.join().ok(), Some(first + 1));
    }
}
