//! A short list that only grows, read without a lock.

use std::sync::OnceLock;

/// The maximum number of entries, since a lookup is a linear search.
const MOST: usize = 64;

/// Keys with their values, in insertion order.
#[derive(Debug)]
pub struct KeyedList<K, V>(OnceLock<Box<Entry<K, V>>>);

#[derive(Debug)]
struct Entry<K, V> {
    key: K,
    value: V,
    next: KeyedList<K, V>,
}

impl<K, V> Default for KeyedList<K, V> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

impl<K: PartialEq + Clone, V> KeyedList<K, V> {
    /// The value of `key`, created by `make` the first time. `None` if the list is full.
    pub fn get(&self, key: &K, make: impl Fn() -> V) -> Option<&V> {
        let mut list = self;
        for _ in 0..MOST {
            let make = || Box::new(Entry { key: key.clone(), value: make(), next: Self::default() });
            let entry = list.0.get_or_init(make);
            if entry.key == *key {
                return Some(&entry.value);
            }
            list = &entry.next;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_key_has_one_value_and_the_list_is_bounded() {
        let list = KeyedList::default();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..MOST).for_each(|key| assert_eq!(list.get(&key, || key * 2), Some(&(key * 2)))));
            }
        });
        assert_eq!(list.get(&MOST, || 0), None);
        assert_eq!(list.get(&1, || 0), Some(&2));
    }
}
