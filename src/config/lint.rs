//! Checks the document as a whole: unknown names, settings that exclude each other, values that make no sense.

mod address;
mod circle;
mod doubt;
mod process;
mod reference;
mod route;
mod under;
mod upstream;

use crate::config::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::config::document::Document;
use crate::config::schema::ConfigSchema;
use crate::config::sources::Sources;
use crate::config::tree::Value;
use crate::config::{stand_in, words};
use gatewright_sdk::Code;
use std::collections::{HashMap, HashSet};

/// The sections whose entries are referenced elsewhere.
const SECTIONS: [&str; 6] = ["listeners", "plugins", "chains", "stores", "upstreams", "resources"];

/// Runs every check that needs only the document: no plugin, no resource model, no router.
pub fn check(document: &Document, sources: &Sources, schema: &ConfigSchema, out: &mut Diagnostics) {
    let before = std::mem::take(out);
    let names = SECTIONS.map(|section| (section, sources.tree().names(section).collect()));
    let mut lint = Lint {
        document,
        sources,
        names: names.into(),
        pathless: stand_in::entries(sources.tree(), "routes", &stand_in::PATH),
        kinds: schema.kinds().collect(),
        unread: unread(&before),
        out,
    };
    lint.process();
    lint.addresses();
    lint.upstreams();
    lint.dns();
    lint.references();
    lint.routes();
    let found = std::mem::replace(out, before);
    let (related, alone): (Vec<_>, Vec<_>) = found.0.into_iter().partition(|found| !found.related.is_empty());
    related.into_iter().for_each(|found| out.push(found));
    out.complete(Diagnostics(alone), |path| stand_in::is_read(sources.tree(), path));
}

/// The sections that are rejected as a whole, or whose key is misspelled: names in them are not known.
fn unread(before: &Diagnostics) -> Vec<&'static str> {
    let wrong = |section: &&'static str| {
        let is =
            |path: &str| path == *section || (!path.contains('.') && words::nearest(path, &SECTIONS) == Some(*section));
        before.iter().any(|found| found.severity == Severity::Error && is(&found.path))
    };
    SECTIONS.into_iter().filter(wrong).collect()
}

/// Warns of valid settings that are probably mistakes. Only for documents without errors, because a misspelled key
/// makes everything else look odd.
pub fn doubts(document: &Document, sources: &Sources, out: &mut Diagnostics) {
    doubt::check(document, sources, out);
}

struct Lint<'a> {
    document: &'a Document,
    sources: &'a Sources,
    /// The names in each section. Entries with faults count too, so that references to them are not reported as well.
    names: HashMap<&'static str, HashSet<&'a str>>,
    /// The routes whose path is invalid; checks that depend on the path skip them.
    pathless: HashSet<&'a str>,
    /// The known plugin types.
    kinds: Vec<&'a str>,
    /// See [`unread`].
    unread: Vec<&'static str>,
    out: &'a mut Diagnostics,
}

impl<'a> Lint<'a> {
    fn error(&mut self, code: Code, path: &str, message: impl Into<String>, help: impl Into<String>) {
        self.push(Diagnostic::error(code, path, message).help(help));
    }

    fn warning(&mut self, code: Code, path: &str, message: impl Into<String>, help: impl Into<String>) {
        self.push(Diagnostic::warning(code, path, message).help(help));
    }

    /// Whether the value at `path` was rejected and replaced by a stand-in.
    fn is_refused(&self, path: &str) -> bool {
        let (_, node) = self.sources.tree().locate(path);
        !matches!(node.value, Value::Map(_) | Value::Seq(_)) && !node.sound
    }

    /// Adds a diagnostic at its path, unless the value there was already rejected.
    fn push(&mut self, diagnostic: Diagnostic) {
        if diagnostic.at.is_none() && self.is_refused(&diagnostic.path) {
            return;
        }
        self.out.push(self.sources.place(diagnostic));
    }

    /// Adds a diagnostic with a related place.
    fn conflict(
        &mut self,
        code: Code,
        (path, with): (&str, &str),
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let mut fault = Diagnostic::error(code, path, message).help(help);
        fault.at = self.sources.locate_key(path);
        let other = self.sources.locate_key(with);
        self.push(fault.related(other, "conflicts with this"));
    }

    fn is_written(&self, section: &str, name: &str) -> bool {
        self.names.get(section).is_some_and(|names| names.contains(name))
    }

    /// Reports `name` if it is not an entry of `section`. `what` describes such an entry.
    fn known(&mut self, path: &str, name: &str, section: &str, what: &str) {
        if !self.is_written(section, name) && !self.unread.contains(&section) {
            let names: Vec<&str> = self.sources.tree().names(section).collect();
            let help = match names.as_slice() {
                [] => format!("define it under `{section}`"),
                names => words::way_out(name, names),
            };
            let message = format!("unknown {what} `{}`", name.escape_debug());
            let mut fault = Diagnostic::error(Code::UNKNOWN_REFERENCE, path, message).help(help);
            // Renamed where it is defined, but not where it is used.
            if let Some(renamed) = self.likely_renamed(name, section) {
                let at = self.sources.locate_key(&format!("{section}.{renamed}"));
                fault = fault.related(at, format!("`{renamed}` is defined here but not used"));
            }
            self.push(fault);
        }
    }

    /// The unused entry of `section` that `name` probably refers to: the nearest one, or the only one.
    fn likely_renamed(&self, name: &str, section: &str) -> Option<&'a str> {
        // A listener is used without being named.
        if section == "listeners" {
            return None;
        }
        let used = reference::used(self.sources.tree(), section);
        let unused: Vec<&str> = self.sources.tree().names(section).filter(|name| !used.contains(name)).collect();
        words::nearest(name, &unused).or(match unused.as_slice() {
            [only] => Some(only),
            _ => None,
        })
    }
}
