//! Tells when a connection has something to do, and wakes the task that uses it.

use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

/// The waker of a connection. A connection that was not woken has nothing to do, and an idle one wakes no task.
pub(super) struct Signal {
    wakes: AtomicUsize,
    task: Mutex<Option<Waker>>,
}

impl Signal {
    /// A new connection has something to do: it counts as woken once.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { wakes: AtomicUsize::new(1), task: Mutex::new(None) })
    }

    /// How often the connection was woken.
    pub fn wakes(&self) -> usize {
        self.wakes.load(Ordering::Acquire)
    }

    /// Counts as a wake, but wakes no task.
    pub fn raise(&self) {
        self.wakes.fetch_add(1, Ordering::Release);
    }

    /// Wakes the task of `waker` at the next wake after the first `seen`, which may be now.
    pub fn watch(&self, waker: &Waker, seen: usize) {
        let mut task = self.task.lock();
        if !task.as_ref().is_some_and(|task| task.will_wake(waker)) {
            *task = Some(waker.clone());
        }
        drop(task);
        if self.wakes() != seen {
            waker.wake_by_ref();
        }
    }

    /// Wakes no task any more.
    pub fn unwatch(&self) {
        *self.task.lock() = None;
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.raise();
        let task = self.task.lock().take();
        if let Some(task) = task {
            task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_task_is_woken_once_and_never_misses_what_happened_before_it_watched() {
        let (signal, count) = (Signal::new(), Arc::new(Count::default()));
        let (waker, task) = (Waker::from(Arc::clone(&signal)), Waker::from(Arc::clone(&count)));
        let woken = || count.0.load(Ordering::Relaxed);
        assert_eq!(signal.wakes(), 1, "a new connection has something to do");
        signal.watch(&task, 1);
        assert_eq!(woken(), 0);
        waker.wake_by_ref();
        waker.wake_by_ref();
        assert_eq!((woken(), signal.wakes()), (1, 3), "it watches no longer");
        signal.watch(&task, 2);
        assert_eq!(woken(), 2, "it has not seen the last wake");
        signal.unwatch();
        waker.wake_by_ref();
        assert_eq!((woken(), signal.wakes()), (2, 4));
    }
}
