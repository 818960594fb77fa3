//! The outcome of a reload.

use crate::config::diagnostic::Diagnostics;
use crate::config::sources::{SourceFiles, Sources};
use std::sync::Arc;
use std::time::SystemTime;

/// A rejected configuration. The previous one keeps serving.
#[derive(Clone)]
pub struct RefusedConfiguration {
    pub at: SystemTime,
    pub diagnostics: Diagnostics,
    pub sources: Arc<SourceFiles>,
}

/// The outcome of a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reloaded {
    /// The files match the current configuration.
    Unchanged,
    /// The files match the current configuration, and were applied again, as this generation.
    Again(u64),
    /// This generation is now being served.
    Swapped(u64),
}

impl RefusedConfiguration {
    /// A configuration rejected now.
    pub fn new(diagnostics: Diagnostics, sources: &Sources) -> Self {
        Self { at: SystemTime::now(), diagnostics, sources: Arc::clone(sources.read_from()) }
    }
}
