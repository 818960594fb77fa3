//! A configuration resolved to plain values. Everything reported about a configuration is read from here, so that
//! reports and behavior cannot differ.

mod bounds;
mod proxied;
mod route;

pub use bounds::{Who, inward, said_by};
pub use proxied::Proxied;
pub use route::{Below, PlannedPath, PlannedRoute, matching, patterns, serving_listeners};

use crate::config::diagnostic::Location;
use crate::config::document::Document;
use crate::config::document::chain::PluginSpec;
use crate::config::document::route::{OpenApi, SignIn};
use crate::config::named::Named;
use gatewright_sdk::Contract;
use gatewright_sdk::limits::Limit;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A resolved configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The document, with defaults filled in.
    pub document: Arc<Document>,
    /// The settings of plugins as parsed: with defaults, without secrets.
    pub plugins: Named<PluginSpec>,
    /// The files that settings name, by path, with the SHA-256 of their content.
    pub files: BTreeMap<String, String>,
    pub listeners: Vec<PlannedListener>,
    /// In file order.
    pub routes: Vec<PlannedRoute>,
}

impl Plan {
    /// Drops what is not needed while serving: the document's routes are also in `routes`, and there may be many
    /// thousands.
    #[must_use]
    pub fn serving(self) -> Self {
        Self { document: Arc::new(self.document.without_routes()), ..self }
    }
}

/// A listener.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedListener {
    pub name: String,
    pub address: String,
    /// Where the file defines it.
    pub at: Option<Place>,
    /// The plugins that every request passes, the first outermost.
    #[serde(serialize_with = "list")]
    pub steps: Arc<[PlannedStep]>,
    /// Its own limits.
    #[serde(skip)]
    pub bounds: Vec<SetBound>,
}

fn list<S: Serializer>(steps: &Arc<[PlannedStep]>, serializer: S) -> Result<S::Ok, S::Error> {
    steps.as_ref().serialize(serializer)
}

/// One plugin at one position in a chain.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedStep {
    /// The plugin's name, or its type if it runs by default.
    pub plugin: String,
    /// Its type.
    pub kind: String,
    /// The key that puts it there, such as `chains.edge[0]`; the listener if it names no chain.
    pub path: String,
    /// Where that key is.
    pub at: Option<Place>,
    /// Whether it runs because the file names no chain.
    pub by_default: bool,
    /// The condition under which it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Whether it only observes.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub observes: bool,
    /// The plugins of which one decides in its place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
    /// The store in which several gateways count together what it limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts_in: Option<String>,
    /// Whether it handles CORS preflight requests.
    #[serde(skip)]
    pub answers_preflights: bool,
    /// Its limits.
    #[serde(skip)]
    pub bounds: Vec<SetBound>,
    /// What clients must know of it, or of the plugins that decide in its place, by name.
    #[serde(skip)]
    pub contracts: Vec<(String, Contract)>,
    /// Whether it rejects requests without credentials.
    #[serde(skip)]
    pub refuses_strangers: bool,
    /// What it decides about all requests.
    #[serde(skip)]
    pub protection: Protection,
}

/// What a plugin decides about all requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// Nothing, or not about all of them.
    None,
    /// Which of them may pass.
    Requests,
    /// Who sends them, but requests without credentials pass.
    Known,
    /// Who sends them.
    Callers,
}

/// A limit, and the setting that it comes from, if the file has one.
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

/// The target of a route.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedTarget {
    /// Its key in the file.
    pub kind: &'static str,
    /// The name of what it refers to, if any.
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
    /// The store in which several gateways count wrong passwords together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts_in: Option<String>,
    /// How requests are forwarded to it, if not in the default way.
    #[serde(skip)]
    pub forwarding: Vec<Forwarding>,
    /// Its limits.
    #[serde(skip)]
    pub bounds: Vec<SetBound>,
    /// The plugin that checks tokens for some addresses of a sign-in.
    #[serde(skip)]
    pub token_check: Option<Box<PlannedStep>>,
    /// What the description of the API needs.
    #[serde(skip)]
    pub described: Described,
}

/// What the description of the API needs to know about a target.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Described {
    /// Nothing but its name.
    #[default]
    Named,
    /// A resource below the item that this field refers to.
    Under(Box<str>),
    SignIn(Box<SignIn>),
    OpenApi(Box<OpenApi>),
    /// The API of an upstream.
    Proxied(Arc<Proxied>),
}

/// One setting that changes how requests are forwarded, such as `retry`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Forwarding {
    /// The key of the setting.
    pub setting: &'static str,
    /// What it does.
    pub effect: String,
}

impl PlannedTarget {
    /// A target of this kind without further properties.
    pub const fn of(kind: &'static str) -> Self {
        let (name, strip_prefix, status, to) = (None, None, None, None);
        let upstreams = Vec::new();
        let forwarding = Vec::new();
        let bounds = Vec::new();
        let (counts_in, token_check, described) = (None, None, Described::Named);
        Self { kind, name, strip_prefix, upstreams, status, to, counts_in, forwarding, bounds, token_check, described }
    }

    /// Its label in spans: the kind with the name or status. Omits any URL, which `Display` may include.
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
