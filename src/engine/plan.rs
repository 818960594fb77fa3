//! What a configuration comes to, as values. What is said of a configuration is read from here and from nowhere else, so that
//! what the program says and what it does cannot differ.

use crate::config::diagnostic::Location;
use crate::config::sources::Sources;
use gatewright_sdk::RouteLimits;
use gatewright_sdk::limits::Limit;
use serde::{Serialize, Serializer};
use std::collections::HashMap;
use std::fmt;

/// What a configuration comes to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    pub listeners: Vec<PlannedListener>,
    /// In the order of the file.
    pub routes: Vec<PlannedRoute>,
}

/// Where requests come in.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedListener {
    pub name: String,
    pub address: String,
    /// Where the file says so.
    pub at: Option<Place>,
    /// What every request passes, the first outermost.
    pub steps: Vec<PlannedStep>,
}

/// Which requests go where.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedRoute {
    pub name: String,
    /// Where the file says so.
    pub at: Option<Place>,
    /// Empty: all.
    pub listeners: Vec<String>,
    /// Empty: all.
    pub hosts: Vec<String>,
    pub path: PlannedPath,
    /// Empty: all.
    pub methods: Vec<String>,
    /// The names of the header fields it asks for; their values are secrets.
    pub headers: Vec<String>,
    /// What its requests pass inside the listener's chain, the first outermost.
    pub steps: Vec<PlannedStep>,
    /// The plugins of its chain that do not run for it.
    pub without: Vec<String>,
    #[serde(skip)]
    pub limits: RouteLimits,
    pub target: PlannedTarget,
}

/// The paths that a route takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PlannedPath {
    /// This one, with its parameters.
    Whole(String),
    /// This one and one segment more: a collection and its items.
    Collection(String),
    /// All that begin with it, by whole segments.
    Prefix(String),
}

impl fmt::Display for PlannedPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(path) => f.write_str(path),
            Self::Collection(path) => write!(f, "{path}[/{{id}}]"),
            Self::Prefix(prefix) => write!(f, "{}/**", prefix.trim_end_matches('/')),
        }
    }
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
    pub bounds: Vec<Limit>,
}

/// Where steps are written. Many routes share a chain, so each place is sought once.
pub struct StepPlaces<'a> {
    pub sources: &'a Sources,
    pub known: HashMap<String, Option<Place>>,
}

impl StepPlaces<'_> {
    /// Where the step at `path` of the document is written.
    pub fn locate(&mut self, path: &str) -> Option<Place> {
        if let Some(known) = self.known.get(path) {
            return known.clone();
        }
        let place = self.sources.locate(path).map(Place);
        self.known.entry(path.to_owned()).or_insert(place).clone()
    }
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
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum PlannedTarget {
    Resource {
        name: String,
    },
    Upstream {
        name: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        strip_prefix: Option<String>,
    },
    Split {
        upstreams: Vec<String>,
    },
    Respond {
        status: u16,
    },
    Redirect {
        status: u16,
        to: String,
    },
    Service {
        name: String,
    },
}

impl PlannedTarget {
    /// What spans call it: its kind and its name or status. Less than its `Display`, which may hold a URL.
    pub fn label(&self) -> String {
        match self {
            Self::Redirect { status, .. } => format!("redirect {status}"),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for PlannedTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resource { name } => write!(f, "resource {name}"),
            Self::Upstream { name, .. } => write!(f, "upstream {name}"),
            Self::Split { upstreams } => write!(f, "split {}", upstreams.join(", ")),
            Self::Respond { status } => write!(f, "respond {status}"),
            Self::Redirect { status, to } => write!(f, "redirect {status} to {to}"),
            Self::Service { name } => write!(f, "service {name}"),
        }
    }
}
