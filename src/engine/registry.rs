//! The plugin types that configuration may name.

use gatewright_sdk::Kind;

/// The known plugin types.
#[derive(Clone)]
pub struct Registry(Vec<&'static dyn Kind>);

impl Registry {
    pub fn new(kinds: &[&'static dyn Kind]) -> Self {
        Self(kinds.to_vec())
    }

    /// Adds a type; one of the same name is replaced.
    #[must_use]
    pub fn with(mut self, kind: &'static dyn Kind) -> Self {
        self.0.retain(|known| known.name() != kind.name());
        self.0.push(kind);
        self
    }

    pub fn get(&self, name: &str) -> Option<&'static dyn Kind> {
        self.0.iter().copied().find(|kind| kind.name() == name)
    }

    pub fn kinds(&self) -> &[&'static dyn Kind] {
        &self.0
    }
}
