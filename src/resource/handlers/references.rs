//! The items that a written row refers to. They must exist, and the caller must be allowed to see those that it names: one
//! that is not there and one that is not shown get the same response.

use super::api::Api;
use super::many::sort_key;
use super::row::parts;
use crate::resource::field::Field;
use crate::resource::model::Model;
use crate::resource::predicate::Predicate;
use crate::resource::refusal::refusal;
use crate::resource::relations::Sight;
use crate::resource::store::{Found, Param, Sql};
use gatewright_sdk::{Detail, Problem};

/// What the caller may see of the resources that fields refer to, by position.
pub(super) type Sights = Vec<Option<Sight>>;

/// Why an item is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// The client named it.
    Named,
    /// The path named it.
    Path,
    /// The path named it, if the item is new.
    PathIfNew,
    /// The server set it.
    Set,
    /// The server sets it if the item is new.
    SetIfNew,
    /// The row refers to it now, and a rule asks about it.
    Current,
}

impl Why {
    /// Whether the client named it: then the caller must be allowed to see it.
    pub(super) const fn is_named(self) -> bool {
        matches!(self, Self::Named) || self.is_path()
    }

    const fn is_path(self) -> bool {
        matches!(self, Self::Path | Self::PathIfNew)
    }

    const fn is_set(self) -> bool {
        matches!(self, Self::Set | Self::SetIfNew)
    }
}

struct Look {
    field: usize,
    why: Why,
    /// The item; `None` if it is the one that the row refers to now.
    id: Option<Param>,
    /// `None` if the caller may not see any such item, or if looks are shared.
    sql: Option<Sql>,
}

/// The looks of one write, besides those at the row itself.
#[derive(Default)]
pub(super) struct References {
    looks: Vec<Look>,
    /// Whether the items of a list have their looks together.
    shared: bool,
}

impl References {
    /// Those of an item of a list.
    pub(super) const fn shared() -> Self {
        Self { looks: Vec::new(), shared: true }
    }

    /// The fields, why they are looked at, and at which item.
    pub(super) fn wanted(&self) -> impl Iterator<Item = (usize, Why, Option<&Param>)> {
        self.looks.iter().map(|look| (look.field, look.why, look.id.as_ref()))
    }

    /// Adds a look at the item with this `id`, if the field refers to one.
    pub(super) fn add(&mut self, api: &Api, sights: &Sights, (field, why): (usize, Why), id: &Param) {
        let (Some(Some(sight)), Some(_)) = (sights.get(field), api.relations.target(field)) else { return };
        if *id == Param::Null {
            return;
        }
        let sight = if why.is_named() { sight } else { &Sight::All };
        let sql = if self.shared { None } else { api.relations.look(field, id.clone(), sight) };
        self.looks.push(Look { field, why, id: Some(id.clone()), sql });
    }

    /// Adds a look at what the field of the row with this `id` refers to now.
    pub(super) fn add_current(&mut self, api: &Api, field: usize, id: &Param) {
        let Some(target) = api.relations.target(field) else { return };
        let sql = (!self.shared).then(|| target.sql.referred_by(&api.model.sql, field, id.clone(), None));
        self.looks.push(Look { field, why: Why::Current, id: None, sql });
    }

    pub(super) fn statements(&self) -> impl Iterator<Item = &Sql> {
        self.looks.iter().filter_map(|look| look.sql.as_ref())
    }

    /// What the statements found, in their order.
    pub(super) fn seen(&self, found: impl IntoIterator<Item = Option<Found>>) -> Seen<'_> {
        let mut found = found.into_iter();
        let rows = self.looks.iter().map(|look| look.sql.as_ref().and_then(|_| found.next()?).map(|row| parts(row).1));
        Seen { looks: &self.looks, rows: rows.collect() }
    }

    /// What `find` has for each field, by whether the client named the item, and its id; `own` is the row as it is now.
    pub(super) fn seen_by(
        &self,
        own: Option<&[Param]>,
        find: impl Fn(usize, bool, &Param) -> Option<Vec<Param>>,
    ) -> Seen<'_> {
        let row = |look: &Look| {
            let id = look.id.as_ref().or_else(|| own?.get(look.field))?;
            find(look.field, look.why.is_named(), id)
        };
        Seen { looks: &self.looks, rows: self.looks.iter().map(row).collect() }
    }
}

/// What was found.
pub(super) struct Seen<'a> {
    looks: &'a [Look],
    rows: Vec<Option<Vec<Param>>>,
}

impl Seen<'_> {
    /// The rejection, if one of the `changed` fields of a `row` refers to an item that was not found, or that belongs to another owner or
    /// tenant than the row.
    pub(super) fn check(
        &self,
        (model, row): (&Model, &[Param]),
        is_new: bool,
        changed: impl Fn(usize) -> bool,
    ) -> Result<(), Problem> {
        let mut details = Vec::new();
        for (look, found) in self.looks.iter().zip(&self.rows) {
            let counts = match look.why {
                Why::Current => false,
                Why::SetIfNew | Why::PathIfNew => is_new,
                Why::Path => true,
                Why::Named | Why::Set => is_new || changed(look.field),
            };
            let Some(field) = model.fields.get(look.field).filter(|_| counts) else { continue };
            let strange = found.as_ref().and_then(|found| stranger(model, row, field, found));
            let (reason, detail) = match (found, strange) {
                (None, _) if look.why.is_path() => return Err(Problem::not_found()),
                (None, _) => ("reference_missing", missing(field)),
                (Some(_), Some(strange)) => ("reference_elsewhere", strange),
                (Some(_), None) => continue,
            };
            if look.why.is_set() && (field.read_only || field.hidden) {
                return Err(Problem::forbidden().log_reason(format!("{reason}:{}", field.name)));
            }
            details.push(detail);
        }
        if details.is_empty() { Ok(()) } else { Err(refusal(details)) }
    }

    /// The fields of the items that the row refers to after the write, by position of its own field.
    pub(super) fn rows(&self, model: &Model, is_new: bool) -> Vec<Option<Vec<Param>>> {
        let mut rows = vec![None; model.fields.len()];
        for (look, row) in self.looks.iter().zip(&self.rows) {
            let counts = match look.why {
                Why::Current => !is_new,
                Why::SetIfNew | Why::PathIfNew => is_new,
                _ => true,
            };
            if let Some(slot) = rows.get_mut(look.field).filter(|_| counts) {
                slot.clone_from(row);
            }
        }
        rows
    }
}

fn missing(field: &Field) -> Detail {
    let detail = field.broken("reference", "refers to an item that does not exist");
    detail.help("send the id of an item that exists and that you may read")
}

/// What is wrong if the item that was `found` belongs to another owner or tenant than the `row` whose `field` refers to it.
pub(super) fn stranger(model: &Model, row: &[Param], field: &Field, found: &[Param]) -> Option<Detail> {
    let (preset, theirs) = (model.rules.preset.as_ref()?, field.reference.as_ref()?.belongs?);
    let same = match (row.get(preset.field), found.get(theirs)) {
        (Some(Param::Null), _) | (_, Some(Param::Null)) => false,
        (Some(own), Some(other)) => sort_key(own) == sort_key(other),
        _ => false,
    };
    let whose = preset.whose();
    let detail = || field.broken("reference", format!("refers to an item of another {whose}"));
    (!same).then(|| detail().help(format!("send the id of an item of the same {whose}")))
}

/// Whether `check` asks about what the field refers to.
pub(super) fn is_asked(check: Option<&Predicate>, field: usize) -> bool {
    check.is_some_and(|check| check.looks_through(field))
}
