//! Judges what the document says as a whole: names that lead nowhere, things that exclude each other, values that make
//! no sense.

mod address;
mod doubt;
mod process;
mod reference;
mod route;
mod upstream;

use crate::config::diagnostic::{Diagnostic, Diagnostics};
use crate::config::document::Document;
use crate::config::schema::ConfigSchema;
use crate::config::sources::Sources;
use crate::config::tree::Value;
use crate::config::{stand_in, words};
use gatewright_sdk::Code;
use std::collections::{HashMap, HashSet};

/// The sections whose names are used elsewhere.
const SECTIONS: [&str; 6] = ["listeners", "plugins", "chains", "stores", "upstreams", "resources"];

/// Judges everything that needs nothing but the document: no plugin, no resource model, no router.
pub fn check(document: &Document, sources: &Sources, schema: &ConfigSchema, out: &mut Diagnostics) {
    let names = SECTIONS.map(|section| (section, sources.tree().names(section).collect()));
    let mut lint = Lint {
        document,
        sources,
        names: names.into(),
        pathless: stand_in::entries(sources.tree(), "routes", &stand_in::PATH),
        kinds: schema.kinds().collect(),
        out,
    };
    lint.process();
    lint.addresses();
    lint.upstreams();
    lint.references();
    lint.routes();
}

/// Warns of what is legal and rarely meant. For documents without errors: where something is misspelled, all else looks odd.
pub fn doubts(document: &Document, sources: &Sources, out: &mut Diagnostics) {
    doubt::check(document, sources, out);
}

struct Lint<'a> {
    document: &'a Document,
    sources: &'a Sources,
    /// The names written in each section. Entries with faults count too: naming them is not another fault.
    names: HashMap<&'static str, HashSet<&'a str>>,
    /// The routes whose path was refused: what goes with it cannot be judged.
    pathless: HashSet<&'a str>,
    /// The plugin types there are.
    kinds: Vec<&'a str>,
    out: &'a mut Diagnostics,
}

impl<'a> Lint<'a> {
    fn error(&mut self, code: Code, path: &str, message: impl Into<String>, help: impl Into<String>) {
        self.push(Diagnostic::error(code, path, message).help(help));
    }

    fn warning(&mut self, code: Code, path: &str, message: impl Into<String>, help: impl Into<String>) {
        self.push(Diagnostic::warning(code, path, message).help(help));
    }

    /// Whether the value at `path` was refused, so that another stands in for it.
    fn is_refused(&self, path: &str) -> bool {
        let (_, node) = self.sources.tree().locate(path);
        matches!(node.value, Value::Str(_)) && !node.sound
    }

    /// Adds a diagnostic at the place its path leads to. Of a value that was refused nothing more is said.
    fn push(&mut self, diagnostic: Diagnostic) {
        if diagnostic.at.is_none() && self.is_refused(&diagnostic.path) {
            return;
        }
        self.out.push(self.sources.place(diagnostic));
    }

    /// Adds a diagnostic that has to do with a second place.
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
        self.push(fault.related(other, "and here"));
    }

    fn is_written(&self, section: &str, name: &str) -> bool {
        self.names.get(section).is_some_and(|names| names.contains(name))
    }

    /// Says so when `name` is not an entry of `section`. `what` is the word for one of its entries.
    fn known(&mut self, path: &str, name: &str, section: &str, what: &str) {
        if !self.is_written(section, name) {
            let names: Vec<&str> = self.sources.tree().names(section).collect();
            let help = match names.as_slice() {
                [] => format!("define it under `{section}`"),
                names => words::way_out(name, names),
            };
            let message = format!("there is no {what} `{}`", name.escape_debug());
            let mut fault = Diagnostic::error(Code::UNKNOWN_REFERENCE, path, message).help(help);
            // A name that was changed where it is defined, and not where it is used.
            if let Some(renamed) = self.likely_renamed(name, section) {
                let at = self.sources.locate_key(&format!("{section}.{renamed}"));
                fault = fault.related(at, format!("`{renamed}` is defined here and not used: did you mean it?"));
            }
            self.push(fault);
        }
    }

    /// The entry of `section` that nothing uses and that `name` may stand for: the nearest one, or the only one.
    fn likely_renamed(&self, name: &str, section: &str) -> Option<&'a str> {
        // A listener is in use without being named.
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
