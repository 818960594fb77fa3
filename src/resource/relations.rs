//! The resources that the items of one refer to, and those whose items refer to it.

use super::cascade::{Cascade, Restore};
use super::model::Model;
use super::predicate::{Column, Comparison, Predicate};
use super::store::{Param, Sql, Store};
use super::watch::Watch;
use crate::config::document::resource::FilterOp;
use gatewright_sdk::Request;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The relations of one resource.
pub struct Relations {
    /// By position of the field: what it refers to.
    targets: Vec<Option<Arc<Model>>>,
    pub cascade: Cascade,
    pub restore: Restore,
    /// The tables that its items refer to, and those that these refer to: access rules look that far.
    pub watches: Vec<Arc<Watch>>,
}

/// The items of a resource that a caller may see.
#[derive(Debug, Clone)]
pub enum Sight {
    Nothing,
    All,
    Some(Predicate),
}

impl Sight {
    /// What the caller of `request` may read of a resource, whatever its own routes.
    pub fn of(model: &Model, request: &Request) -> Self {
        match model.condition(&model.rules.read, request) {
            Err(_) => Self::Nothing,
            Ok(None) => Self::All,
            Ok(Some(predicate)) => Self::Some(predicate),
        }
    }

    /// The condition on items; `Err` if there are none.
    pub const fn condition(&self) -> Result<Option<&Predicate>, Unseen> {
        match self {
            Self::Nothing => Err(Unseen),
            Self::All => Ok(None),
            Self::Some(predicate) => Ok(Some(predicate)),
        }
    }
}

/// The caller may see no item.
pub struct Unseen;

impl Relations {
    /// `all` are the resources of the document.
    pub fn of(model: &Model, store: &Store, all: &[(String, Arc<Model>)]) -> Self {
        let of = |model: &Model| {
            let find = |to: &str| all.iter().find(|(name, _)| name == to).map(|(_, model)| Arc::clone(model));
            let targets = model.fields.iter().map(|field| find(&field.reference.as_ref()?.to));
            targets.collect::<Vec<_>>()
        };
        let targets = of(model);
        let next = targets.iter().flatten().flat_map(|target| of(target));
        let tables = targets.iter().cloned().chain(next).flatten().map(|target| target.table.name.clone());
        let tables: BTreeSet<String> = tables.filter(|table| *table != model.table.name).collect();
        let watches = tables.iter().map(|table| store.watch(table)).collect();
        let (cascade, restore) = match model.is_of_deleted() {
            true => (Cascade::default(), Restore::default()),
            false => (Cascade::of(model, all), Restore::of(model, all)),
        };
        Self { targets, cascade, restore, watches }
    }

    /// What its fields refer to.
    pub fn targets(&self) -> impl Iterator<Item = &Model> {
        self.targets.iter().flatten().map(|target| &**target)
    }

    /// What the field at `position` refers to.
    pub fn target(&self, position: usize) -> Option<&Arc<Model>> {
        self.targets.get(position)?.as_ref()
    }

    /// What the caller may see of the resources that fields refer to, by position.
    pub fn sights(&self, request: &Request) -> Vec<Option<Sight>> {
        self.targets.iter().map(|target| Some(Sight::of(target.as_ref()?, request))).collect()
    }

    /// A look at the item that the field at `position` refers to; `None` if the caller may not see any.
    pub fn look(&self, position: usize, id: Param, sight: &Sight) -> Option<Sql> {
        Some(self.target(position)?.sql.referred(id, sight.condition().ok()?))
    }
}

/// The column has this value.
pub const fn equal(column: Column, values: Vec<Param>) -> Comparison {
    Comparison { column, operator: FilterOp::Eq, values, fold: false }
}

/// The names of `served` resources, and of all that are related to them: their tables must exist.
pub fn related(all: &[(String, Arc<Model>)], served: BTreeSet<String>) -> BTreeSet<String> {
    let pairs: Vec<(&str, &str)> = all
        .iter()
        .flat_map(|(name, model)| {
            let references = model.fields.iter().filter_map(|field| field.reference.as_ref());
            references.map(move |reference| (name.as_str(), reference.to.as_str()))
        })
        .collect();
    let mut found = served;
    loop {
        let more = pairs.iter().filter(|(from, to)| found.contains(*from) != found.contains(*to));
        let more: Vec<String> = more.flat_map(|(from, to)| [(*from).to_owned(), (*to).to_owned()]).collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}
