//! A route in the plan, and the requests it matches.

use super::{Place, PlannedStep, PlannedTarget};
use crate::config::document::Document;
use crate::config::document::route::Route;
use crate::engine::router::{Hosts, Listeners, Match, Pattern};
use gatewright_sdk::RouteLimits;
use http::Method;
use serde::Serialize;
use std::fmt;
use std::sync::Arc;

/// A route.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedRoute {
    pub name: String,
    /// Where the file defines it.
    pub at: Option<Place>,
    /// If empty, all.
    pub listeners: Vec<String>,
    /// If empty, all.
    pub hosts: Vec<String>,
    pub path: PlannedPath,
    /// If empty, all.
    pub methods: Vec<String>,
    /// The names of the header fields it requires; their values are secrets.
    pub headers: Vec<String>,
    /// The plugins inside the listener's chain, the first outermost. Routes with the same chain share them.
    #[serde(serialize_with = "super::list")]
    pub steps: Arc<[PlannedStep]>,
    /// The plugins of its chain that do not run for it.
    pub without: Vec<String>,
    #[serde(skip)]
    pub limits: RouteLimits,
    pub target: PlannedTarget,
}

impl PlannedRoute {
    /// Describes the route `spec`, with `steps` in front of `target`.
    pub fn new(
        (name, at): (&str, Option<Place>),
        spec: &Route,
        below: Below,
        steps: Arc<[PlannedStep]>,
        target: PlannedTarget,
    ) -> Self {
        let path = match (&spec.path, &spec.path_prefix) {
            (Some(path), _) => match below {
                Below::Nothing => PlannedPath::Whole(path.to_string()),
                Below::Items => PlannedPath::Collection(path.to_string()),
                Below::KeptItems => PlannedPath::Restorable(path.to_string()),
                Below::Files(names) => PlannedPath::Files { path: path.to_string(), names },
                Below::Addresses(names) => {
                    PlannedPath::Addresses { below: path.trim_end_matches('/').to_owned(), names }
                }
            },
            (None, prefix) => PlannedPath::Prefix(prefix.as_ref().map(ToString::to_string).unwrap_or_default()),
        };
        Self {
            name: name.to_owned(),
            at,
            listeners: spec.listeners.clone(),
            hosts: spec.hosts.iter().map(ToString::to_string).collect(),
            path,
            methods: spec.methods.iter().map(ToString::to_string).collect(),
            headers: spec.headers.names().map(str::to_owned).collect(),
            steps,
            without: spec.without.clone(),
            limits: spec.limits.clone(),
            target,
        }
    }

    /// Whether it serves requests on the listener with this name.
    pub fn serves(&self, listener: &str) -> bool {
        self.listeners.is_empty() || self.listeners.iter().any(|name| name == listener)
    }
}

/// The paths that a route matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PlannedPath {
    /// This path, with its parameters.
    Whole(String),
    /// This path, and one more segment: a collection and its items.
    Collection(String),
    /// The same, and `/restore` below an item.
    Restorable(String),
    /// Some paths one segment below another: `/auth/(login|logout)`.
    Addresses { below: String, names: &'static [&'static str] },
    /// This path, and some names one segment below it: `/docs[/(openapi.json|page.js)]`.
    Files { path: String, names: &'static [&'static str] },
    /// All paths that begin with this one, by whole segments.
    Prefix(String),
}

/// What a target serves below the path of its route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Below {
    /// Nothing: it serves the path itself.
    Nothing,
    /// Items, one segment below it, in addition to the path itself.
    Items,
    /// The same, and `restore` below each of them: deleted items are kept.
    KeptItems,
    /// These names, one segment below it, in addition to the path itself.
    Files(&'static [&'static str]),
    /// Only these names, one segment below it.
    Addresses(&'static [&'static str]),
}

impl fmt::Display for PlannedPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(path) => f.write_str(path),
            Self::Addresses { below, names } => write!(f, "{below}/({})", names.join("|")),
            Self::Files { path, names } => write!(f, "{path}[/({})]", names.join("|")),
            Self::Collection(path) => write!(f, "{path}[/{{id}}]"),
            Self::Restorable(path) => write!(f, "{path}[/{{id}}[/restore]]"),
            Self::Prefix(prefix) => write!(f, "{}/**", prefix.trim_end_matches('/')),
        }
    }
}

/// The paths of a route, including those that its target serves below its `path`.
pub fn patterns(spec: &Route, below: Below) -> Vec<Pattern> {
    let under = |path: &str, name: &str| Pattern::whole(&format!("{}/{name}", path.trim_end_matches('/')));
    match (&spec.path, &spec.path_prefix) {
        (Some(path), _) => match below {
            Below::Nothing => vec![Pattern::whole(path)],
            Below::Items => vec![Pattern::whole(path), under(path, "{id}")],
            Below::KeptItems => vec![Pattern::whole(path), under(path, "{id}"), under(path, "{id}/restore")],
            Below::Files(names) => {
                std::iter::once(Pattern::whole(path)).chain(names.iter().map(|name| under(path, name))).collect()
            }
            Below::Addresses(names) => names.iter().map(|name| under(path, name)).collect(),
        },
        (None, Some(prefix)) => vec![Pattern::prefix(prefix)],
        (None, None) => Vec::new(),
    }
}

/// The listeners that a route serves.
pub fn serving_listeners(document: &Document, spec: &Route) -> Listeners {
    if spec.listeners.is_empty() {
        return Listeners::ALL;
    }
    // An unknown name was reported when the file was checked.
    let index = |wanted: &String| document.listeners.names().position(|name| name == wanted);
    spec.listeners.iter().filter_map(index).collect()
}

/// The requests that a route matches at one of its paths.
pub fn matching(listeners: Listeners, spec: &Route, pattern: Pattern, preflights: bool) -> Match {
    Match {
        listeners,
        hosts: Hosts::new(&spec.hosts),
        pattern,
        methods: spec.methods.iter().map(|method| Method::clone(method)).collect(),
        headers: spec.headers.iter().map(|field| (field.name.clone(), field.value.expose().clone())).collect(),
        preflights,
    }
}
