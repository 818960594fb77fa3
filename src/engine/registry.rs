//! The plugin types and services that a configuration may name.

use gatewright_sdk::{HttpService, PluginKind};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The known plugin types, and those that run where the file names no chain.
#[derive(Clone)]
pub struct Registry {
    kinds: Vec<Arc<dyn PluginKind>>,
    default_chain: &'static [&'static str],
    services: BTreeMap<String, HttpService>,
}

impl Registry {
    /// A registry of `kinds`. Those in `default_chain` run with default settings on listeners that name no chain.
    pub fn new(kinds: &[&'static dyn PluginKind], default_chain: &'static [&'static str]) -> Self {
        Self {
            kinds: kinds.iter().map(|kind| Arc::new(*kind) as Arc<dyn PluginKind>).collect(),
            default_chain,
            services: BTreeMap::new(),
        }
    }

    /// Adds a type, replacing one with the same name.
    #[must_use]
    pub fn with(mut self, kind: Arc<dyn PluginKind>) -> Self {
        self.kinds.retain(|known| known.name() != kind.name());
        self.kinds.push(kind);
        self
    }

    /// Adds a service for routes with `service: NAME`, replacing one with the same name. It receives requests after the
    /// chains, with their whole path, and with their [`gatewright_sdk::Facts`].
    #[must_use]
    pub fn service(mut self, name: &str, router: axum::Router) -> Self {
        self.services.insert(name.to_owned(), HttpService::new(router));
        self
    }

    pub const fn services(&self) -> &BTreeMap<String, HttpService> {
        &self.services
    }

    pub fn get(&self, name: &str) -> Option<&dyn PluginKind> {
        self.kinds.iter().map(|kind| &**kind).find(|kind| kind.name() == name)
    }

    pub fn kinds(&self) -> impl Iterator<Item = &dyn PluginKind> {
        self.kinds.iter().map(|kind| &**kind)
    }

    pub const fn default_chain(&self) -> &'static [&'static str] {
        self.default_chain
    }
}
