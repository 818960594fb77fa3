//! What became of a reload.

use crate::config::diagnostic::Diagnostics;
use crate::config::sources::{SourceFiles, Sources};
use std::sync::Arc;
use std::time::SystemTime;

/// A configuration that was refused. The one before it goes on serving.
#[derive(Clone)]
pub struct RefusedConfiguration {
    pub at: SystemTime,
    pub diagnostics: Diagnostics,
    pub sources: Arc<SourceFiles>,
}

/// What became of a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reloaded {
    /// The files say what is being served.
    Unchanged,
    /// This generation serves from now on.
    Swapped(u64),
}

impl RefusedConfiguration {
    /// Refused now.
    pub fn new(diagnostics: Diagnostics, sources: &Sources) -> Self {
        Self { at: SystemTime::now(), diagnostics, sources: Arc::clone(sources.read_from()) }
    }
}
