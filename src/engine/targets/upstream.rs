//! An upstream as a target.

use super::{Act, Installed, Reached, RouteTarget, TargetContext, forwarding};
use crate::config::document::Document;
use crate::config::document::route::{Mirror, Route};
use crate::config::rewriting::Rewriting;
use crate::engine::plan::{Below, PlannedTarget, SetBound, patterns};
use crate::engine::reach::{self, Reach};
use crate::upstream::{self, RouteSettings};
use gatewright_sdk::limits::Limit;
use gatewright_sdk::{Fault, HttpService};
use std::sync::Arc;

pub(super) struct Target<'a> {
    /// The name of the route.
    pub at: &'a str,
    pub name: &'a str,
    pub route: &'a Route,
}

impl RouteTarget for Target<'_> {
    fn compile(&self, _: &TargetContext<'_>) -> Result<Option<Act>, Vec<Fault>> {
        // Its faults were reported when the file was checked.
        let Ok(settings) = RouteSettings::of(self.at, self.route) else { return Ok(None) };
        let (name, mirror) = (self.name.to_owned(), self.route.mirror.clone());
        Ok(Some(Act::With(Box::new(move |installed| {
            let upstream = installed.upstreams.get(&name)?;
            mirrored(upstream::service(Arc::clone(upstream), settings.clone()), mirror.as_ref(), &settings, installed)
        }))))
    }

    fn plan(&self, document: &Document) -> PlannedTarget {
        let name = self.name;
        let bound = |limit| {
            let path = format!("upstreams.{name}.timeouts.response_header");
            SetBound { path, limit: Limit::Head(limit) }
        };
        let upstream = document.upstreams.get(name);
        PlannedTarget {
            name: Some(name.into()),
            strip_prefix: strip_prefix(self.route),
            forwarding: forwarding::describe(self.route),
            bounds: upstream.map(|upstream| bound(upstream.timeouts.response_header)).into_iter().collect(),
            ..PlannedTarget::of("upstream")
        }
    }

    fn reach(&self, reached: &mut Reached<'_>) -> Arc<Reach> {
        rewritten(&format!("upstream {}", self.name), self.route, reached, |reached| reached.servers(self.name))
    }
}

/// `target`, with copies of its requests for `mirror`. `None` if that upstream does not exist.
pub(super) fn mirrored(
    target: HttpService,
    mirror: Option<&Mirror>,
    settings: &RouteSettings,
    installed: &Installed,
) -> Option<HttpService> {
    let Some(mirror) = mirror else { return Some(target) };
    let upstream = Arc::clone(installed.upstreams.get(&mirror.upstream)?);
    Some(upstream::mirrored(target, mirror, (upstream, settings), &installed.copies))
}

/// The prefix removed from the path, for the plan.
pub(super) fn strip_prefix(route: &Route) -> Option<String> {
    Some(route.rewrite.as_ref()?.strip_prefix.as_ref()?.to_string())
}

/// What `route` reaches through its upstreams, which `named` identifies.
pub(super) fn rewritten(
    named: &str,
    route: &Route,
    reached: &mut Reached<'_>,
    servers: impl FnOnce(&Reached<'_>) -> Vec<reach::Target>,
) -> Arc<Reach> {
    let rewriting = route.rewrite.as_ref().and_then(|rewrite| Rewriting::new(rewrite, route).ok()).unwrap_or_default();
    let mirror = route.mirror.as_ref().map(|mirror| &*mirror.upstream);
    let pattern = match rewriting {
        Rewriting::Replace(_) | Rewriting::Regex { .. } => patterns(route, Below::Nothing).pop(),
        Rewriting::Nothing | Rewriting::Prefix { .. } => None,
    };
    let path = pattern.as_ref().map_or("", |pattern| pattern.template());
    let key = format!("{named} {mirror:?} {rewriting:?} {path}");
    reached.once(&key, |reached| {
        let copies = mirror.map(|mirror| reached.servers(mirror)).unwrap_or_default();
        Reach::new(rewriting, pattern, servers(reached), copies)
    })
}
