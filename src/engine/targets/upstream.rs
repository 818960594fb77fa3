//! An upstream as a target.

use super::{Act, Reached, RouteTarget, TargetContext};
use crate::config::document::Document;
use crate::config::document::route::{Rewrite, Route};
use crate::engine::plan::{PlannedTarget, SetBound};
use crate::engine::reach::Reach;
use crate::upstream;
use gatewright_sdk::Fault;
use gatewright_sdk::limits::Limit;
use std::sync::Arc;

pub(super) struct Target<'a> {
    pub name: &'a str,
    pub route: &'a Route,
}

impl RouteTarget for Target<'_> {
    fn compile(&self, _: &TargetContext<'_>) -> Result<Option<Act>, Vec<Fault>> {
        let Route { rewrite, retry, upgrades, .. } = self.route;
        let (name, rewrite, retry) = (self.name.to_owned(), rewrite.clone(), retry.clone());
        let upgrades = upgrades.clone();
        Ok(Some(Act::With(Box::new(move |installed| {
            let upstream = installed.upstreams.get(&name)?;
            let settings = upstream::RouteSettings {
                rewrite: rewrite.as_ref(),
                retry: retry.as_ref(),
                upgrades: upgrades.as_deref(),
            };
            Some(upstream::service(Arc::clone(upstream), settings))
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
            strip_prefix: self.route.rewrite.as_ref().map(|rewrite| rewrite.strip_prefix.to_string()),
            bounds: upstream.map(|upstream| bound(upstream.timeouts.response_header)).into_iter().collect(),
            ..PlannedTarget::of("upstream")
        }
    }

    fn reach(&self, reached: &mut Reached<'_>) -> Arc<Reach> {
        reached
            .once(("upstream", self.name, stripped(self.route.rewrite.as_ref())), |reached| reached.servers(self.name))
    }
}

/// The prefix removed from the path before a server sees it.
pub(super) fn stripped(rewrite: Option<&Rewrite>) -> &str {
    rewrite.map_or("", |rewrite| rewrite.strip_prefix.trim_end_matches('/'))
}
