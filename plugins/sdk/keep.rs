//! State that outlives a snapshot: found by type and key, dropped when no longer held.

use crate::services::Services;
use crate::task::{Begin, WithTask};
use parking_lot::Mutex;
use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// Holds weak references to what a new snapshot inherits from the current one.
///
/// The new snapshot looks values up while the old one still holds them: same type and key, same value. A value that is
/// no longer held is dropped, along with its background task. A failed build leaves nothing behind. Clones share the same
/// values.
#[derive(Clone, Default)]
pub struct Keep(Arc<Kept>);

#[derive(Default)]
struct Kept {
    cells: Mutex<HashMap<(TypeId, String), Arc<Cell>>>,
    /// Values whose task has not started.
    waiting: Mutex<Vec<Weak<dyn Begin>>>,
}

/// The slot of one key. It is locked while its value is created, so that concurrent callers get the same value.
type Cell = Mutex<Option<Weak<dyn Any + Send + Sync>>>;

impl Keep {
    /// The value kept under `key`, or a new one created by `make`, which may look up other keys.
    pub fn get_or_make<T: Send + Sync + 'static>(&self, key: &str, make: impl FnOnce() -> T) -> Arc<T> {
        let id = (TypeId::of::<T>(), key.to_owned());
        let cell = Arc::clone(self.0.cells.lock().entry(id).or_default());
        let mut kept = cell.lock();
        let found = kept.as_ref().and_then(Weak::upgrade).and_then(|any| any.downcast::<T>().ok());
        found.unwrap_or_else(|| {
            let made: Arc<T> = Arc::new(make());
            let any: Arc<dyn Any + Send + Sync> = made.clone();
            *kept = Some(Arc::downgrade(&any));
            made
        })
    }

    /// The same for a value with a task, which starts at the next [`Keep::begin`].
    pub fn get_or_begin<T: Send + Sync + 'static>(
        &self,
        key: &str,
        make: impl FnOnce() -> WithTask<T>,
    ) -> Arc<WithTask<T>> {
        let mut made = false;
        let kept = self.get_or_make(key, || {
            made = true;
            make()
        });
        if made {
            let waiting: Arc<dyn Begin> = kept.clone();
            self.0.waiting.lock().push(Arc::downgrade(&waiting));
        }
        kept
    }

    /// Starts the tasks of held values that have not started. Called after each swap.
    pub fn begin(&self, services: &Arc<dyn Services>) {
        let waiting = std::mem::take(&mut *self.0.waiting.lock());
        waiting.iter().filter_map(Weak::upgrade).for_each(|value| value.begin(services));
    }

    /// Removes what is left of dropped values. Called after each swap, and when values were dropped without one.
    pub fn sweep(&self) {
        self.0.waiting.lock().retain(|value| value.strong_count() > 0);
        // Another owner of a cell is about to create its value.
        self.0.cells.lock().retain(|_, cell| Arc::strong_count(cell) > 1 || is_alive(cell));
    }

    /// How many values are alive.
    pub fn len(&self) -> usize {
        let cells: Vec<_> = self.0.cells.lock().values().cloned().collect();
        cells.iter().filter(|cell| is_alive(cell)).count()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn is_alive(cell: &Cell) -> bool {
    cell.lock().as_ref().is_some_and(|kept| kept.strong_count() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::{FetchError, Fetching};
    use bytes::Bytes;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;
    use tokio::time::sleep;

    #[test]
    fn the_same_key_gives_the_same_value_while_it_is_held() {
        let keep = Keep::default();
        let first = keep.get_or_make("a", || 1_u32);
        assert!(Arc::ptr_eq(&first, &keep.get_or_make("a", || 2_u32)));
        assert_eq!(*keep.get_or_make("a", || 3_u64), 3, "another type is another value");
        drop(first);
        assert_eq!(*keep.get_or_make("a", || 4_u32), 4);
        keep.sweep();
        assert!(keep.is_empty());
        assert!(keep.0.cells.lock().is_empty());
    }

    #[test]
    fn a_new_value_may_keep_another_and_be_created_again_after_a_panic() {
        let keep = Keep::default();
        let outer = keep.get_or_make("outer", || keep.get_or_make("inner", || 1_u32));
        assert!(Arc::ptr_eq(&*outer, &keep.get_or_make("inner", || 2_u32)));
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            keep.get_or_make("broken", || -> u8 { panic!("asked to") })
        }));
        assert!(panicked.is_err());
        assert_eq!(*keep.get_or_make("broken", || 3_u8), 3);
    }

    struct Nothing;
    impl Services for Nothing {
        fn fetch(&self, _: http::Request<Bytes>, _: usize) -> Fetching {
            Box::pin(std::future::ready(Err(FetchError("there is no network".to_owned()))))
        }
    }

    /// Counts seconds, and panics at the third. `ended` is dropped with the task.
    fn clock(ended: &Arc<()>) -> WithTask<AtomicUsize> {
        let ended = Arc::downgrade(ended);
        WithTask::new("clock", AtomicUsize::new(0), move |seconds: Weak<WithTask<AtomicUsize>>, _| {
            let ended = ended.upgrade();
            async move {
                while let Some(seconds) = seconds.upgrade() {
                    assert!(seconds.fetch_add(1, Ordering::Relaxed) != 2);
                    drop(seconds);
                    sleep(Duration::from_secs(1)).await;
                }
                drop(ended);
            }
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_starts_at_the_swap_continues_after_a_panic_and_ends_with_its_value() {
        let (keep, services, held): (_, Arc<dyn Services>, _) = (Keep::default(), Arc::new(Nothing), Arc::new(()));
        let kept = keep.get_or_begin("clock", || clock(&held));
        sleep(Duration::from_secs(5)).await;
        assert_eq!(kept.load(Ordering::Relaxed), 0, "a configuration that was only checked begins nothing");
        keep.begin(&services);
        keep.begin(&services);
        sleep(Duration::from_millis(2500)).await;
        assert_eq!(kept.load(Ordering::Relaxed), 3);
        sleep(Duration::from_secs(3)).await;
        assert!(kept.load(Ordering::Relaxed) > 3, "it goes on after the panic");
        let again = keep.get_or_begin("clock", || clock(&held));
        assert!(Arc::ptr_eq(&kept, &again));
        assert_eq!(Arc::strong_count(&held), 2, "one task runs");
        drop((kept, again));
        sleep(Duration::from_millis(1)).await;
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[test]
    fn a_value_that_is_dropped_before_its_task_starts_leaves_nothing() {
        let keep = Keep::default();
        drop(keep.get_or_begin("clock", || clock(&Arc::new(()))));
        keep.sweep();
        assert!(keep.0.waiting.lock().is_empty() && keep.0.cells.lock().is_empty());
    }

    #[test]
    fn concurrent_lookups_of_a_key_create_one_value() {
        let (keep, made, start) = (Keep::default(), AtomicUsize::new(0), Barrier::new(4));
        let make = || made.fetch_add(1, Ordering::Relaxed);
        std::thread::scope(|scope| {
            let ask = || {
                start.wait();
                let value = keep.get_or_make("one", make);
                // Held until all have looked it up.
                start.wait();
                *value
            };
            let asking: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
            assert!(asking.into_iter().all(|thread| thread.join().unwrap() == 0));
        });
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }
}
