//! Which worker the current thread is: state that would be contended otherwise is kept once per worker.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

thread_local! {
    /// Set once, by the worker thread itself, before it runs anything else.
    static INDEX: Cell<Option<usize>> = const { Cell::new(None) };
}

/// How many worker threads have been started, by all servers of the process.
static WORKERS: AtomicUsize = AtomicUsize::new(0);

/// How many slots per-worker state needs: one for each worker thread, and a last one that all other threads share.
/// It is final once all servers have started; take a slot by `current() % slots.len()` all the same.
pub fn count() -> usize {
    WORKERS.load(Ordering::Relaxed) + 1
}

/// The slot of the current thread, below [`count`]. A connection stays on the worker that got it, so what one of its
/// requests leaves in this slot, the next one finds.
pub fn current() -> usize {
    INDEX.get().unwrap_or_else(|| WORKERS.load(Ordering::Relaxed))
}

/// Numbers for `workers` threads: the first of them.
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
    fn a_thread_that_is_no_worker_shares_the_last_slot() {
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
