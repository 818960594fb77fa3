//! What a restored item refers to: it must be there, and the caller must be allowed to refer to it, as in a create.

use super::api::Api;
use super::references::stranger;
use super::row::parts;
use crate::resource::model::Model;
use crate::resource::refusal::texts;
use crate::resource::relations::Sight;
use crate::resource::store::{Found, Param, Sql};
use gatewright_sdk::{Detail, Problem, Request};

/// The looks at what a deleted item refers to.
pub(super) struct Parents(Vec<Parent>);

struct Parent {
    field: usize,
    /// The item, if the caller may refer to it; `None` if the caller may refer to none.
    seen: Option<Sql>,
    /// The item, whoever may see it: asked if it may come back with the one that refers to it, and so need not be there.
    there: Option<Sql>,
    /// The item, if it comes back with the one that refers to it.
    back: Option<Sql>,
    /// Whether it need only exist.
    exists: bool,
}

impl Parents {
    /// Those of the item with this `id` among the `deleted` ones.
    pub(super) fn of(api: &Api, deleted: &Api, request: &Request, id: &Param) -> Self {
        let (model, sights) = (&api.model, api.relations.sights(request));
        let fields = model.fields.iter().zip(sights).enumerate();
        let parents = fields.filter_map(|(at, (field, sight))| {
            let (reference, target) = (field.reference.as_ref()?, api.relations.target(at)?);
            // What the server sets need only exist.
            let is_set = field.on_create.is_some() || field.read_only || field.hidden;
            let sight = if is_set { Sight::All } else { sight? };
            let look = |condition| target.sql.referred_by(&deleted.model.sql, at, id.clone(), condition);
            let (is_own, exists) = (reference.to == *model.name, matches!(sight, Sight::All));
            let there = (is_own && !exists).then(|| look(None));
            let back = if is_own { api.relations.restore.back(&field.name, id) } else { None };
            Some(Parent { field: at, seen: sight.condition().ok().map(look), there, back, exists })
        });
        Self(parents.collect())
    }

    pub(super) fn statements(&self) -> impl Iterator<Item = &Sql> {
        self.0.iter().flat_map(|parent| parent.seen.iter().chain(&parent.there).chain(&parent.back))
    }

    /// 409 if the item with these `fields` may not refer to something. `found` is what the statements found, in their order.
    pub(super) fn check(
        &self,
        model: &Model,
        fields: &[Param],
        mut found: impl Iterator<Item = Option<Found>>,
    ) -> Result<(), Problem> {
        let mut details = Vec::new();
        for parent in &self.0 {
            let mut next = |look: &Option<Sql>| look.as_ref().and_then(|_| found.next().flatten());
            let (seen, there, back) = (next(&parent.seen), next(&parent.there), next(&parent.back));
            let Some(field) = model.fields.get(parent.field) else { continue };
            if fields.get(parent.field).is_none_or(|value| *value == Param::Null) {
                continue;
            }
            match seen {
                Some(row) => details.extend(stranger(model, fields, field, &parts(row).1)),
                None if there.is_none() && back.is_some() => {}
                None => {
                    let unseen = if parent.exists { "" } else { ", or that you may not read" };
                    let detail =
                        Detail::new(&*field.name, "reference", format!("refers to an item that was deleted{unseen}"));
                    details.push(detail.help("restore that item first"));
                }
            }
        }
        if details.is_empty() { Ok(()) } else { Err(Problem::conflict(texts(&details)).details(details)) }
    }
}
