//! The plugin types that configuration may name.

use gatewright_sdk::PluginKind;

/// The known plugin types, and which of them run where the file names no chain.
#[derive(Clone)]
pub struct Registry {
    kinds: Vec<&'static dyn PluginKind>,
    default_chain: &'static [&'static str],
}

impl Registry {
    /// Knows `kinds`. Those named in `default_chain` run, with their defaults, on a listener that names no chain.
    pub fn new(kinds: &[&'static dyn PluginKind], default_chain: &'static [&'static str]) -> Self {
        Self { kinds: kinds.to_vec(), default_chain }
    }

    /// Adds a type; one of the same name is replaced.
    #[must_use]
    pub fn with(mut self, kind: &'static dyn PluginKind) -> Self {
        self.kinds.retain(|known| known.name() != kind.name());
        self.kinds.push(kind);
        self
    }

    pub fn get(&self, name: &str) -> Option<&'static dyn PluginKind> {
        self.kinds.iter().copied().find(|kind| kind.name() == name)
    }

    pub fn kinds(&self) -> &[&'static dyn PluginKind] {
        &self.kinds
    }

    pub const fn default_chain(&self) -> &'static [&'static str] {
        self.default_chain
    }
}
