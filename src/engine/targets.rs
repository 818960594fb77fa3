//! What answers a route: its target, compiled from what the file says, and installed.

mod redirect;
mod respond;

use crate::config::document::route::{Rewrite, Route, Target};
use crate::config::words;
use crate::engine::plan::PlannedTarget;
use crate::upstream::{self, Upstream};
use gatewright_sdk::{CheckContext, Fault, HttpService};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A target, compiled.
pub enum Act {
    /// It needs nothing of the world.
    Ready(HttpService),
    Resource(String),
    Upstream {
        name: String,
        rewrite: Option<Rewrite>,
    },
}

/// What targets are installed with.
pub struct Installed {
    /// The services of resources, by name.
    pub resources: HashMap<String, HttpService>,
    pub upstreams: HashMap<String, Arc<Upstream>>,
}

/// Compiles the target of `route`, with the `services` that are compiled in. `Ok(None)` where what it names does not exist or is not built: that was said when the
/// file was checked.
///
/// # Errors
/// All faults, their paths relative to the settings of the target.
pub fn compile(
    route: &Route,
    target: Target<'_>,
    services: &BTreeMap<String, HttpService>,
    check: &CheckContext<'_>,
) -> Result<Option<Act>, Vec<Fault>> {
    Ok(match target {
        Target::Resource(name) => Some(Act::Resource(name.to_owned())),
        Target::Upstream(name) => Some(Act::Upstream { name: name.to_owned(), rewrite: route.rewrite.clone() }),
        Target::Split(_) => None,
        Target::Respond(respond) => Some(Act::Ready(respond::compile(respond, check)?)),
        Target::Redirect(redirect) => Some(Act::Ready(redirect::compile(redirect, route)?)),
        Target::Service(name) => Some(Act::Ready(service(name, services)?)),
    })
}

fn service(name: &str, services: &BTreeMap<String, HttpService>) -> Result<HttpService, Vec<Fault>> {
    services.get(name).cloned().ok_or_else(|| {
        let known: Vec<&str> = services.keys().map(String::as_str).collect();
        let fault = Fault::new("", format!("there is no service `{}` in this program", name.escape_debug()));
        vec![match known.as_slice() {
            [] => fault.help("it has none: a `main` of one's own registers services (docs/writing-a-plugin.md)"),
            known => fault.help(words::way_out(name, known)),
        }]
    })
}

/// What is said of a target.
pub fn plan(route: &Route, target: Target<'_>) -> PlannedTarget {
    match target {
        Target::Resource(name) => PlannedTarget::Resource { name: name.to_owned() },
        Target::Upstream(name) => {
            let strip_prefix = route.rewrite.as_ref().map(|rewrite| rewrite.strip_prefix.to_string());
            PlannedTarget::Upstream { name: name.to_owned(), strip_prefix }
        }
        Target::Split(shares) => {
            PlannedTarget::Split { upstreams: shares.iter().map(|share| share.upstream.clone()).collect() }
        }
        Target::Respond(respond) => PlannedTarget::Respond { status: respond.status },
        Target::Redirect(redirect) => PlannedTarget::Redirect { status: redirect.status, to: redirect.to.clone() },
        Target::Service(name) => PlannedTarget::Service { name: name.to_owned() },
    }
}

impl Act {
    /// Ready to be called; `None` where what it names could not be installed.
    pub fn install(&self, installed: &Installed) -> Option<HttpService> {
        match self {
            Self::Ready(service) => Some(service.clone()),
            Self::Resource(name) => installed.resources.get(name).cloned(),
            Self::Upstream { name, rewrite } => {
                let upstream = installed.upstreams.get(name)?;
                Some(upstream::service(Arc::clone(upstream), rewrite.as_ref()))
            }
        }
    }
}
