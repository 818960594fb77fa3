//! Several upstreams, by weight.

use super::upstream::{mirrored, rewritten, strip_prefix};
use super::{Act, Reached, RouteTarget, TargetContext, forwarding};
use crate::config::document::Document;
use crate::config::document::route::{Route, Share};
use crate::engine::plan::PlannedTarget;
use crate::engine::reach::Reach;
use crate::upstream;
use gatewright_sdk::Fault;
use std::sync::Arc;

pub(super) struct Target<'a> {
    /// The name of the route.
    pub at: &'a str,
    pub shares: &'a [Share],
    pub route: &'a Route,
}

impl RouteTarget for Target<'_> {
    fn compile(&self, _: &TargetContext<'_>) -> Result<Option<Act>, Vec<Fault>> {
        // Its faults were reported when the file was checked.
        let Ok(settings) = upstream::RouteSettings::of(self.at, self.route) else { return Ok(None) };
        let (shares, sticky) = (self.shares.to_vec(), self.route.sticky.clone());
        let mirror = self.route.mirror.clone();
        Ok(Some(Act::With(Box::new(move |installed| {
            let share = |share: &Share| {
                let upstream = installed.upstreams.get(&share.upstream)?;
                let service = upstream::service(Arc::clone(upstream), settings.clone());
                Some(upstream::Share { upstream: share.upstream.clone(), weight: share.weight, service })
            };
            let shares = shares.iter().map(share).collect::<Option<Vec<_>>>()?;
            mirrored(upstream::split(shares, sticky.as_ref()), mirror.as_ref(), &settings, installed)
        }))))
    }

    fn plan(&self, _: &Document) -> PlannedTarget {
        let upstreams = self.shares.iter().map(|share| share.upstream.clone()).collect();
        let (strip_prefix, forwarding) = (strip_prefix(self.route), forwarding::describe(self.route));
        PlannedTarget { upstreams, strip_prefix, forwarding, ..PlannedTarget::of("split") }
    }

    fn reach(&self, reached: &mut Reached<'_>) -> Arc<Reach> {
        let named: Vec<&str> = self.shares.iter().map(|share| &*share.upstream).collect();
        rewritten(&format!("split {}", named.join(" ")), self.route, reached, |reached| {
            named.iter().flat_map(|name| reached.servers(name)).collect()
        })
    }
}
