//! State that outlives a snapshot: found by type and key, dropped when it is no longer held.

use parking_lot::Mutex;
use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// Holds, weakly, what a new snapshot inherits from the one being served.
///
/// The new snapshot asks while the old one still holds: same type and key, same value. A value that is not held any
/// more is dropped, and with it the background task it owns. A failed build leaves nothing behind.
#[derive(Default)]
pub struct Keep(Mutex<HashMap<(TypeId, String), Arc<Cell>>>);

/// The place of one key. It is locked while its value is made, so that two who ask get the same one.
type Cell = Mutex<Option<Weak<dyn Any + Send + Sync>>>;

impl Keep {
    /// The value kept under `key`, or a new one made by `make`, which may ask for values under other keys.
    pub fn get_or_make<T: Send + Sync + 'static>(&self, key: &str, make: impl FnOnce() -> T) -> Arc<T> {
        let id = (TypeId::of::<T>(), key.to_owned());
        let cell = Arc::clone(self.0.lock().entry(id).or_default());
        let mut kept = cell.lock();
        let found = kept.as_ref().and_then(Weak::upgrade).and_then(|any| any.downcast::<T>().ok());
        found.unwrap_or_else(|| {
            let made: Arc<T> = Arc::new(make());
            let any: Arc<dyn Any + Send + Sync> = made.clone();
            *kept = Some(Arc::downgrade(&any));
            made
        })
    }

    /// Forgets the keys whose value is gone. Called after each swap.
    pub fn sweep(&self) {
        // Another owner of a cell is about to make its value.
        self.0.lock().retain(|_, cell| Arc::strong_count(cell) > 1 || is_alive(cell));
    }

    /// How many values are alive.
    pub fn len(&self) -> usize {
        let cells: Vec<_> = self.0.lock().values().cloned().collect();
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
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn the_same_key_gives_the_same_value_while_somebody_holds_it() {
        let keep = Keep::default();
        let first = keep.get_or_make("a", || 1_u32);
        assert!(Arc::ptr_eq(&first, &keep.get_or_make("a", || 2_u32)));
        assert_eq!(*keep.get_or_make("a", || 3_u64), 3, "another type is another value");
        drop(first);
        assert_eq!(*keep.get_or_make("a", || 4_u32), 4);
        keep.sweep();
        assert!(keep.is_empty());
        assert!(keep.0.lock().is_empty());
    }

    #[test]
    fn a_value_that_is_made_may_keep_another_and_be_made_anew_after_a_panic() {
        let keep = Keep::default();
        let outer = keep.get_or_make("outer", || keep.get_or_make("inner", || 1_u32));
        assert!(Arc::ptr_eq(&*outer, &keep.get_or_make("inner", || 2_u32)));
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            keep.get_or_make("broken", || -> u8 { panic!("asked to") })
        }));
        assert!(panicked.is_err());
        assert_eq!(*keep.get_or_make("broken", || 3_u8), 3);
    }

    #[test]
    fn two_threads_that_ask_for_one_key_get_one_value_that_was_made_once() {
        let (keep, made, start) = (Keep::default(), AtomicUsize::new(0), Barrier::new(4));
        let make = || made.fetch_add(1, Ordering::Relaxed);
        std::thread::scope(|scope| {
            let ask = || {
                start.wait();
                let value = keep.get_or_make("one", make);
                // Held until all have asked.
                start.wait();
                *value
            };
            let asking: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
            assert!(asking.into_iter().all(|thread| thread.join().unwrap() == 0));
        });
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }
}
