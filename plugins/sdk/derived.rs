//! What plugins make of the certificate of a client, once per connection.

use parking_lot::Mutex;
use std::any::Any;
use std::sync::Arc;

/// Values that are made once and then shared by the requests of a connection. A copy is empty.
#[derive(Default)]
pub struct Derived(Mutex<Vec<Entry>>);

type Entry = (u32, Arc<dyn Any + Send + Sync>);

impl Derived {
    /// The value of this type under `key`, or a new one created by `make`. The key must stand for everything else that the
    /// value depends on, and there must be few of them: values are kept as long as the connection.
    pub fn get_or_make<T: Send + Sync + 'static>(&self, key: u32, make: impl FnOnce() -> T) -> Arc<T> {
        let mut made = self.0.lock();
        let found = made.iter().filter(|(its, _)| *its == key).find_map(|(_, any)| Arc::clone(any).downcast().ok());
        found.unwrap_or_else(|| {
            let value = Arc::new(make());
            made.push((key, Arc::clone(&value) as Arc<dyn Any + Send + Sync>));
            value
        })
    }
}

impl Clone for Derived {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// They follow from the rest of the certificate.
impl PartialEq for Derived {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Derived {}

impl std::fmt::Debug for Derived {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Derived")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_made_once_for_each_type_and_key() {
        let derived = Derived::default();
        assert_eq!(*derived.get_or_make(1, || 7_u8), 7);
        assert_eq!(*derived.get_or_make(1, || 8_u8), 7);
        assert_eq!(*derived.get_or_make(2, || 9_u8), 9);
        assert_eq!(*derived.get_or_make(1, || "text"), "text");
        assert_eq!(*derived.clone().get_or_make(1, || 8_u8), 8);
    }
}
