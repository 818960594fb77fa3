//! What a configuration comes to, as values. What is said of a configuration is read from here and from nowhere else, so that
//! what the program says and what it does cannot differ.

mod bounds;
mod route;

pub use bounds::{Who, inward, said_by};
pub use route::{PlannedPath, PlannedRoute, matching, patterns, serving_listeners};

use crate::config::diagnostic::Location;
use crate::config::document::Document;
use crate::config::document::chain::PluginSpec;
use crate::config::named::Named;
use gatewright_sdk::limits::Limit;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// What a configuration comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What the file says, with the defaults of what it does not say.
    pub document: Arc<Document>,
    /// The settings of plugins as they were parsed: with their defaults, without their secrets.
    pub plugins: Named<PluginSpec>,
    /// The files that settings name, by their paths, each with the SHA-256 of what it held.
    pub files: BTreeMap<String, String>,
    pub listeners: Vec<PlannedListener>,
    /// In the order of the file.
    pub routes: Vec<PlannedRoute>,
}

impl Plan {
    /// What is kept of it while it serves: the routes of the document are in `routes`, and there may be many thousands.
    #[must_use]
    pub fn serving(self) -> Self {
        Self { document: Arc::new(self.document.without_routes()), ..self }
    }
}

/// Where requests come in.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedListener {
    pub name: String,
    pub address: String,
    /// Where the file says so.
    pub at: Option<Place>,
    /// What every request passes, the first outermost.
    #[serde(serialize_with = "list")]
    pub steps: Arc<[PlannedStep]>,
    /// What it bounds by itself.
    #[serde(skip)]
    pub bounds: Vec<SetBound>,
}

fn list<S: Serializer>(steps: &Arc<[PlannedStep]>, serializer: S) -> Result<S::Ok, S::Error> {
    steps.as_ref().serialize(serializer)
}

/// One plugin at one point of a chain.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedStep {
    /// The plugin's name; its type where it runs by default.
    pub plugin: String,
    /// Its type.
    pub kind: String,
    /// What of the file puts it there: `chains.edge[0]`; the listener where it names no chain.
    pub path: String,
    /// Where that is written.
    pub at: Option<Place>,
    /// Whether it runs because the file names no chain.
    pub by_default: bool,
    /// Whether it answers the preflight requests of browsers itself.
    #[serde(skip)]
    pub answers_preflights: bool,
    /// What it bounds.
    #[serde(skip)]
    pub bounds: Vec<SetBound>,
}

/// A bound, and the setting in the file that it comes from, if it is written there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetBound {
    pub path: String,
    pub limit: Limit,
}

/// A place in a file, as `file:line:column`.
#[derive(Debug, Clone, PartialEq)]
pub struct Place(pub Location);

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// What answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedTarget {
    /// The key under which the file says so.
    pub kind: &'static str,
    /// What it leads to, if that has a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strip_prefix: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub upstreams: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// What it bounds.
    #[serde(skip)]
    pub bounds: Vec<SetBound>,
}

impl PlannedTarget {
    /// One of this kind, of which nothing else is said.
    pub const fn of(kind: &'static str) -> Self {
        let (name, strip_prefix, status, to) = (None, None, None, None);
        Self { kind, name, strip_prefix, upstreams: Vec::new(), status, to, bounds: Vec::new() }
    }

    /// What spans call it: its kind and its name or status. Less than its `Display`, which may hold a URL.
    pub fn label(&self) -> String {
        let mut label = self.kind.to_owned();
        let status = self.status.map(|status| status.to_string());
        for said in [self.name.as_deref(), status.as_deref()].into_iter().flatten() {
            label = label + " " + said;
        }
        if !self.upstreams.is_empty() {
            label = label + " " + &self.upstreams.join(", ");
        }
        label
    }
}

impl fmt::Display for PlannedTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label())?;
        self.to.iter().try_for_each(|to| write!(f, " to {to}"))
    }
}

#[cfg(test)]
mod tests;
