//! The other resources of the document, as far as one that refers to them needs to know them.

use crate::config::document::resource::{Field, FieldKind, OnDelete, Resource};
use crate::config::named::Named;
use crate::resource::model::served::Served;
use std::collections::BTreeSet;

/// All resources of the document, and the routes to them.
#[derive(Clone, Copy)]
pub struct Others<'a> {
    pub resources: &'a Named<Resource>,
    pub served: &'a Served<'a>,
}

impl<'a> Others<'a> {
    /// Whether items of another resource, or of this one, refer to items of `name`.
    pub fn refer_to(self, name: &str) -> bool {
        let refers = |field: &Field| field.r#type == FieldKind::Ref && field.to.as_deref() == Some(name);
        self.resources.iter().any(|(_, resource)| resource.fields.iter().any(|(_, field)| refers(field)))
    }

    /// The way back to `from`, over `to`, by fields that are `meant`: the names of the resources on it. A resource that refers
    /// to itself is no such way.
    pub fn way_back(self, from: &str, to: &str, meant: impl Fn(&Field) -> bool) -> Option<Vec<&'a str>> {
        let (first, _) = self.resources.iter().find(|(name, _)| *name == to)?;
        let mut seen = BTreeSet::from([first]);
        let mut ways = vec![vec![first]];
        while let Some(way) = ways.pop() {
            let Some(resource) = way.last().and_then(|last| self.resources.get(last)) else { continue };
            for (_, field) in resource.fields.iter().filter(|(_, field)| field.r#type == FieldKind::Ref && meant(field))
            {
                let Some(next) = field.to.as_deref() else { continue };
                if next == from && way.len() > usize::from(to == from) {
                    return (to != from).then_some(way);
                }
                if seen.insert(next) {
                    ways.push(way.iter().copied().chain([next]).collect());
                }
            }
        }
        None
    }
}

/// Whether this item is deleted with the one that the field refers to.
pub fn cascades(field: &Field) -> bool {
    field.on_delete == Some(OnDelete::Cascade)
}

/// Whether there is no item without an item that the field refers to.
pub fn demands(field: &Field) -> bool {
    field.required || field.nullable == Some(false)
}
