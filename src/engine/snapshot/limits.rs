//! Requests that wait are told of edited limits.

use super::Snapshot;
use crate::concurrency::Gate;
use std::collections::HashSet;
use std::sync::Arc;

impl Snapshot {
    /// Admits the requests that wait since before this snapshot replaced `serving`, as far as its limits allow.
    pub fn edit_limits(&self, serving: &Self) {
        let mut known = HashSet::new();
        for (gate, limit) in self.limited() {
            known.insert(Arc::as_ptr(gate));
            gate.edit(limit);
        }
        let without_limit = serving.limited().filter(|(gate, _)| !known.contains(&Arc::as_ptr(gate)));
        without_limit.for_each(|(gate, _)| gate.edit(None));
    }

    /// What counts requests, with the maximum of those in progress.
    fn limited(&self) -> impl Iterator<Item = (&Arc<Gate>, Option<u32>)> {
        let own = self.limited.iter().map(|(gate, limit)| (gate, Some(*limit)));
        own.chain(self.upstreams.values().filter_map(|upstream| upstream.limited()))
    }
}
