//! How far limits are used, for the admin API.

use parking_lot::Mutex;
use serde_json::Value;
use std::collections::BTreeMap;

/// Reads how far one use of a plugin is used.
type Read = Box<dyn Fn() -> Value + Send + Sync>;

/// What the uses of plugins report. It belongs to one snapshot.
#[derive(Default)]
pub struct Usages(Mutex<BTreeMap<String, Read>>);

impl Usages {
    pub(crate) fn add(&self, place: &str, read: impl Fn() -> Value + Send + Sync + 'static) {
        self.0.lock().entry(place.to_owned()).or_insert_with(|| Box::new(read));
    }

    /// All of them by place.
    pub fn read(&self) -> BTreeMap<String, Value> {
        self.0.lock().iter().map(|(place, read)| (place.clone(), read())).collect()
    }
}
