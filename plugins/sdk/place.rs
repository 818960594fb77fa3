//! Where a plugin stands, and what it is given there.

use crate::Keep;
use crate::metrics::{self, Attribute, Counter, Histogram, Instrument, Observed};
use crate::services::Services;
use crate::task::WithTask;
use std::fmt::Display;
use std::future::Future;
use std::sync::{Arc, Weak};

/// One point of the configuration at which a plugin stands.
pub struct Place<'a> {
    /// `<listener or route>/<plugin name>`: names this use of the plugin, across reloads too.
    pub name: &'a str,
    /// The name of the configured plugin; it may stand at other places too.
    pub plugin: &'a str,
    pub keep: &'a Keep,
    /// Response headers that the rest of the configuration wants scripts to be able to read.
    pub exposed: &'a [String],
    /// What a plugin needs of the world.
    pub services: &'a Arc<dyn Services>,
}

/// Who shares a kept state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// This use of the plugin alone.
    Place,
    /// The configured plugin, wherever it stands.
    Plugin,
}

impl Place<'_> {
    /// State that survives a reload as long as `shape` (what it depends on) stays the same.
    pub fn keep<T: Send + Sync + 'static>(
        &self,
        scope: Scope,
        shape: impl Display,
        make: impl FnOnce() -> T,
    ) -> Arc<T> {
        self.keep.get_or_make(&self.key(scope, shape), make)
    }

    /// The same for state that a task of its own keeps up. The task begins once a configuration that holds the state
    /// serves, and ends with the state, which it is given weakly. Should it panic, it is begun again.
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

    fn key(&self, scope: Scope, shape: impl Display) -> String {
        match scope {
            Scope::Place => format!("{} {shape}", self.name),
            Scope::Plugin => format!("plugins.{} {shape}", self.plugin),
        }
    }

    /// A counter that says which use of the plugin it belongs to: `gateway.plugin` is added to `attributes`.
    pub fn counter(&self, instrument: &'static Instrument, attributes: impl Into<Vec<Attribute>>) -> Arc<Counter> {
        metrics::counter(instrument, self.signed(attributes.into()))
    }

    /// A histogram that says which use of the plugin it belongs to.
    pub fn histogram(&self, instrument: &'static Instrument, attributes: impl Into<Vec<Attribute>>) -> Arc<Histogram> {
        metrics::histogram(instrument, self.signed(attributes.into()))
    }

    /// A value that is asked of `read` at each scrape, for as long as the answer is held.
    pub fn observe(
        &self,
        instrument: &'static Instrument,
        attributes: impl Into<Vec<Attribute>>,
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) -> Arc<Observed> {
        metrics::observe(instrument, self.signed(attributes.into()), read)
    }

    fn signed(&self, mut attributes: Vec<Attribute>) -> Vec<Attribute> {
        attributes.insert(0, ("gateway.plugin", self.name.to_owned().into()));
        attributes
    }
}
