//! Where a plugin is used, and what it can use there.

use crate::Keep;
use crate::counters::{Counters, Stores};
use crate::items::Resources;
use crate::metrics::{self, Attribute, Counter, Histogram, Instrument};
use crate::observing::{self, Observed};
use crate::services::Services;
use crate::task::WithTask;
use crate::usage::{Counting, Usages};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::future::Future;
use std::sync::{Arc, Weak};

/// One place in the configuration where a plugin is used.
pub struct Place<'a> {
    /// `<listener or route>/<plugin name>`: identifies this use of the plugin, also across reloads.
    pub name: &'a str,
    /// The name of the configured plugin, which may also be used at other places.
    pub plugin: &'a str,
    pub keep: &'a Keep,
    /// Response headers that the rest of the configuration wants to expose to scripts.
    pub exposed: &'a [String],
    /// The services that the gateway provides to plugins.
    pub services: &'a Arc<dyn Services>,
    /// The resources of the configuration.
    pub resources: &'a dyn Resources,
    /// What the readiness of the gateway depends on: see [`Place::ready_when`].
    pub needs: &'a Needs,
    /// The stores that count: see [`Place::counters`].
    pub stores: &'a Stores,
    /// What the admin API shows: see [`Place::report_usage`].
    pub usages: &'a Usages,
}

/// What plugins need to serve requests. It belongs to one snapshot.
#[derive(Default)]
pub struct Needs(Mutex<BTreeMap<String, Need>>);

struct Need {
    word: &'static str,
    is_met: Box<dyn Fn() -> bool + Send + Sync>,
}

impl Needs {
    /// The plugins that cannot serve now, each with a word for what is missing.
    pub fn missing(&self) -> Vec<(String, &'static str)> {
        let needs = self.0.lock();
        needs.iter().filter(|(_, need)| !(need.is_met)()).map(|(plugin, need)| (plugin.clone(), need.word)).collect()
    }
}

/// What shares a kept state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Only this use of the plugin.
    Place,
    /// All uses of the configured plugin.
    Plugin,
}

impl Place<'_> {
    /// State that survives a reload while `shape` (what it depends on) stays the same.
    pub fn keep<T: Send + Sync + 'static>(
        &self,
        scope: Scope,
        shape: impl Display,
        make: impl FnOnce() -> T,
    ) -> Arc<T> {
        self.keep.get_or_make(&self.key(scope, shape), make)
    }

    /// The same for state that a background task maintains. The task starts when a configuration that holds the state
    /// is applied. It gets a weak reference to the state and ends with it. It is restarted if it panics.
    pub fn keep_with_task<T, F>(
        &self,
        scope: Scope,
        shape: impl Display,
        make: impl FnOnce() -> T,
        run: impl Fn(Weak<WithTask<T>>, Arc<dyn Services>) -> F + Send + Sync + 'static,
    ) -> Arc<WithTask<T>>
    where
        T: Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        self.keep.get_or_begin(&self.key(scope, shape), || WithTask::new(self.plugin, make(), run))
    }

    /// The readiness endpoint returns 503, with `word` for this plugin, while `is_met` returns `false`. All uses of the
    /// plugin have the same need: the first one counts.
    pub fn ready_when(&self, word: &'static str, is_met: impl Fn() -> bool + Send + Sync + 'static) {
        let need = || Need { word, is_met: Box::new(is_met) };
        self.needs.0.lock().entry(self.plugin.to_owned()).or_insert_with(need);
    }

    /// The store with this name, if it can count. A plugin that names one in its settings also sets
    /// [`Traits::counts_in`](crate::Traits::counts_in), so that `check` reports a name that cannot be used.
    pub fn counters(&self, store: &str) -> Option<Arc<dyn Counters>> {
        self.stores.0.get(store).map(Arc::clone)
    }

    /// Shows how far the limit at this place is used: `read` returns it for `/limits` of the admin API. It must not
    /// contain secrets. `counted` is the kept state that the limit counts in: if it is another one after a reload, the log says
    /// that the limit counts anew.
    pub fn report_usage<T: Send + Sync + 'static>(
        &self,
        counted: &Arc<T>,
        read: impl Fn() -> serde_json::Value + Send + Sync + 'static,
    ) {
        let (place, plugin) = (self.name.to_owned(), self.plugin.to_owned());
        self.usages.add_counting(Counting { place, plugin, counted: Arc::<T>::clone(counted) }, read);
    }

    fn key(&self, scope: Scope, shape: impl Display) -> String {
        match scope {
            Scope::Place => format!("{} {shape}", self.name),
            Scope::Plugin => format!("plugins.{} {shape}", self.plugin),
        }
    }

    /// A counter for this use of the plugin: `gateway.plugin` is added to `attributes`.
    pub fn counter(&self, instrument: &'static Instrument, attributes: impl Into<Vec<Attribute>>) -> Arc<Counter> {
        metrics::counter(instrument, self.signed(attributes.into()))
    }

    /// A histogram for this use of the plugin.
    pub fn histogram(&self, instrument: &'static Instrument, attributes: impl Into<Vec<Attribute>>) -> Arc<Histogram> {
        metrics::histogram(instrument, self.signed(attributes.into()))
    }

    /// A series whose value is obtained from `read` at each scrape, while the returned value is held.
    pub fn observe(
        &self,
        instrument: &'static Instrument,
        attributes: impl Into<Vec<Attribute>>,
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) -> Arc<metrics::Observed> {
        metrics::observe(instrument, self.signed(attributes.into()), read)
    }

    /// Counts what this use of the plugin would refuse if it did not only observe.
    pub fn observed(&self) -> Observed {
        Observed::new(self.name.into(), self.keep(Scope::Place, "observed", observing::Counters::default))
    }

    fn signed(&self, mut attributes: Vec<Attribute>) -> Vec<Attribute> {
        attributes.insert(0, ("gateway.plugin", self.name.to_owned().into()));
        attributes
    }
}
