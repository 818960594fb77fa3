//! Finds the claims by which a document decides what callers may do.

use crate::config::document::Document;
use crate::config::document::chain::ChainEntry;
use crate::engine::chain::Plugins;
use crate::resource::Deciding;
use crate::resource::model::Model;
use std::sync::Arc;

/// Those of access rules, of plugins, and of conditions in chains.
pub(super) fn find(document: &Document, models: &[(String, Arc<Model>)], plugins: &Plugins) -> Deciding {
    let mut deciding = Deciding::default();
    for (name, model) in models {
        let place = format!("resources.{name}.access");
        model.decides_by().into_iter().for_each(|claim| deciding.add(claim, &place));
    }
    let mut all: Vec<_> = plugins.all().collect();
    all.sort_unstable_by_key(|(name, ..)| *name);
    for (_, traits, place) in all {
        traits.decides_by.iter().for_each(|claim| deciding.add(claim, place));
    }
    let mut conditions = |entries: &[ChainEntry], place: &str| {
        for (index, entry) in entries.iter().enumerate() {
            let claims = entry.when.as_ref().map(gatewright_sdk::Condition::claims);
            let place = format!("{place}[{index}].when");
            claims.into_iter().flatten().for_each(|claim| deciding.add(&claim, &place));
        }
    };
    document.chains.iter().for_each(|(name, entries)| conditions(entries, &format!("chains.{name}")));
    for (name, route) in document.routes.iter().filter(|(_, route)| !route.plugins.is_empty()) {
        conditions(&route.plugins, &format!("routes.{name}.plugins"));
    }
    deciding
}
