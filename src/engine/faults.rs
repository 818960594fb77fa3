//! Collects the faults of a document while it is compiled, each at the line it belongs to.

use crate::config::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::config::sources::Sources;
use gatewright_sdk::Fault;

/// Collects faults under the paths they belong to.
pub struct Faults<'a> {
    pub sources: &'a Sources,
    pub found: Diagnostics,
}

impl Faults<'_> {
    pub fn add(&mut self, base: &str, fault: Fault) {
        let other = fault.related.as_deref().map(|(path, label)| (format!("{base}.{path}"), label.clone()));
        let other = other.as_ref().map(|(path, label)| (path.as_str(), label.clone()));
        self.add_related(base, fault, other);
    }

    pub fn warn(&mut self, base: &str, fault: Fault) {
        self.push(Diagnostic { severity: Severity::Warning, ..Diagnostic::fault(base, fault) });
    }

    /// Adds a fault with a related place and a label for it.
    pub fn add_related(&mut self, base: &str, fault: Fault, other: Option<(&str, String)>) {
        let diagnostic = Diagnostic::fault(base, fault);
        self.push_related(diagnostic, other);
    }

    pub fn warn_related(&mut self, base: &str, fault: Fault, other: Option<(&str, String)>) {
        let diagnostic = Diagnostic { severity: Severity::Warning, ..Diagnostic::fault(base, fault) };
        self.push_related(diagnostic, other);
    }

    fn push_related(&mut self, diagnostic: Diagnostic, other: Option<(&str, String)>) {
        self.push(match other {
            Some((path, word)) => diagnostic.related(self.sources.locate(path), word),
            None => diagnostic,
        });
    }

    fn push(&mut self, diagnostic: Diagnostic) {
        self.found.push(self.sources.place(diagnostic));
    }
}
