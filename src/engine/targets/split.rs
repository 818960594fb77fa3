//! Several upstreams, by weight.

use super::upstream::stripped;
use super::{Act, Reached, RouteTarget, TargetContext};
use crate::config::document::Document;
use crate::config::document::route::{Rewrite, Share};
use crate::engine::plan::PlannedTarget;
use crate::engine::reach::Reach;
use gatewright_sdk::Fault;
use std::sync::Arc;

pub(super) struct Target<'a> {
    pub shares: &'a [Share],
    pub rewrite: Option<&'a Rewrite>,
}

impl RouteTarget for Target<'_> {
    fn compile(&self, _: &TargetContext<'_>) -> Result<Option<Act>, Vec<Fault>> {
        Ok(None)
    }

    fn plan(&self, _: &Document) -> PlannedTarget {
        let upstreams = self.shares.iter().map(|share| share.upstream.clone()).collect();
        PlannedTarget { upstreams, ..PlannedTarget::of("split") }
    }

    fn reach(&self, reached: &mut Reached<'_>) -> Arc<Reach> {
        let named: Vec<&str> = self.shares.iter().map(|share| &*share.upstream).collect();
        reached.once(("split", &named.join(" "), stripped(self.rewrite)), |reached| {
            named.iter().flat_map(|name| reached.servers(name)).collect()
        })
    }
}
