//! How far limits are used, for the admin API, and what they count in, which a reload may replace.

use parking_lot::Mutex;
use serde_json::Value;
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Reads how far one use of a plugin is used.
type Read = Box<dyn Fn() -> Value + Send + Sync>;

/// What the uses of plugins report. It belongs to one snapshot.
#[derive(Default)]
pub struct Usages(Mutex<BTreeMap<String, (Option<Counting>, Read)>>);

/// What one use of a plugin counts in.
#[derive(Clone)]
pub struct Counting {
    /// The name of its place: `<listener or route>/<plugin name>`.
    pub place: String,
    /// The name of the plugin.
    pub plugin: String,
    /// Another value than before if a reload made it count anew.
    pub counted: Arc<dyn Any + Send + Sync>,
}

impl Usages {
    /// Adds one that is no plugin, under the name of its place.
    pub fn add(&self, place: &str, read: impl Fn() -> Value + Send + Sync + 'static) {
        self.insert(place, None, read);
    }

    pub(crate) fn add_counting(&self, counting: Counting, read: impl Fn() -> Value + Send + Sync + 'static) {
        let place = counting.place.clone();
        self.insert(&place, Some(counting), read);
    }

    fn insert(&self, place: &str, counting: Option<Counting>, read: impl Fn() -> Value + Send + Sync + 'static) {
        self.0.lock().entry(place.to_owned()).or_insert_with(|| (counting, Box::new(read)));
    }

    /// All of them by place.
    pub fn read(&self) -> BTreeMap<String, Value> {
        self.0.lock().iter().map(|(place, (_, read))| (place.clone(), read())).collect()
    }

    /// What plugins count in, in the order of their places.
    pub fn counting(&self) -> Vec<Counting> {
        self.0.lock().values().filter_map(|(counting, _)| counting.clone()).collect()
    }
}
