//! State that outlives a snapshot: found by type and key, dropped when nobody holds it.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Holds, weakly, what a new snapshot takes over from the one being served.
///
/// The new snapshot asks while the old one still holds: same type and key, same value. A value that nobody holds any
/// more is dropped, and with it the background task it owns. A failed build leaves nothing behind.
#[derive(Default)]
pub struct Keep(Mutex<HashMap<(TypeId, String), Weak<dyn Any + Send + Sync>>>);

impl Keep {
    /// The value kept under `key`, or a new one made by `make`.
    pub fn get_or_make<T: Send + Sync + 'static>(&self, key: &str, make: impl FnOnce() -> T) -> Arc<T> {
        let id = (TypeId::of::<T>(), key.to_owned());
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.get(&id).and_then(Weak::upgrade).and_then(|any| any.downcast::<T>().ok());
        found.unwrap_or_else(|| {
            let made: Arc<T> = Arc::new(make());
            let any: Arc<dyn Any + Send + Sync> = made.clone();
            kept.insert(id, Arc::downgrade(&any));
            made
        })
    }

    /// The value kept under `key`, if somebody still holds it.
    pub fn get<T: Send + Sync + 'static>(&self, key: &str) -> Option<Arc<T>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&(TypeId::of::<T>(), key.to_owned()))?.upgrade()?.downcast().ok()
    }

    /// Forgets the keys whose value is gone. Called after each swap.
    pub fn sweep(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, weak| weak.strong_count() > 0);
    }

    /// How many values are alive.
    pub fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().filter(|w| w.strong_count() > 0).count()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }
}
