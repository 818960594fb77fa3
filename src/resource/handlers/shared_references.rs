//! What the items of a list refer to: one look for each field, however long the list is.

use super::api::{Api, within};
use super::many::sort_key;
use super::references::{References, Seen, Sights};
use super::row::parts;
use crate::resource::predicate::Column;
use crate::resource::relations::Sight;
use crate::resource::sql::ID;
use crate::resource::store::{Found, Param, Row, Sql};
use gatewright_sdk::Problem;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The looks for a whole list.
#[derive(Default)]
pub(super) struct SharedLooks(Vec<SharedLook>);

struct SharedLook {
    field: usize,
    /// Whether clients named these items: then only those count that the caller may see.
    named: bool,
    sql: Sql,
}

/// How the items of the list are known, and their values: for what they refer to now.
pub(super) type Known = (Column, bool, Vec<Param>);

impl SharedLooks {
    /// `all` are the references of each item.
    pub(super) fn of<'a>(
        api: &Api,
        sights: &Sights,
        all: impl Iterator<Item = &'a References>,
        known: Option<Known>,
    ) -> Self {
        let mut ids: BTreeMap<(usize, bool), BTreeMap<String, Param>> = BTreeMap::new();
        let mut current = BTreeSet::new();
        for (field, why, id) in all.flat_map(References::wanted) {
            match id {
                Some(id) => drop(ids.entry((field, why.is_named())).or_default().insert(sort_key(id), id.clone())),
                None => drop(current.insert(field)),
            }
        }
        let mut looks = Vec::new();
        for ((field, named), ids) in ids {
            let (Some(target), Some(Some(sight))) = (api.relations.target(field), sights.get(field)) else { continue };
            let sight = if named { sight } else { &Sight::All };
            let Ok(condition) = sight.condition() else { continue };
            let sql = target.sql.referred_several(padded(ids.into_values().collect()), condition);
            looks.push(SharedLook { field, named, sql });
        }
        for field in current {
            let (Some(target), Some((by, fold, values))) = (api.relations.target(field), &known) else { continue };
            let values = padded(values.clone());
            let sql = target.sql.referred_by_several(&api.model.sql, field, (*by, *fold), values);
            looks.push(SharedLook { field, named: false, sql });
        }
        Self(looks)
    }

    pub(super) fn statements(&self) -> impl Iterator<Item = &Sql> {
        self.0.iter().map(|look| &look.sql)
    }

    /// What the statements found, in their order.
    pub(super) fn seen(&self, found: impl IntoIterator<Item = Vec<Found>>) -> SharedSeen {
        let mut seen = SharedSeen::default();
        for (look, rows) in self.0.iter().zip(found) {
            let items = seen.0.entry((look.field, look.named)).or_default();
            items.extend(rows.into_iter().map(|row| (sort_key(&row.cell(ID).owned()), parts(row).1)));
        }
        seen
    }
}

/// Few different numbers of parameters: each text is prepared once.
fn padded(mut values: Vec<Param>) -> Vec<Param> {
    if let Some(last) = values.last().cloned() {
        values.resize(values.len().next_power_of_two(), last);
    }
    values
}

/// The fields of the items that were found, by the text of their id.
#[derive(Default)]
pub(super) struct SharedSeen(HashMap<(usize, bool), HashMap<String, Vec<Param>>>);

impl SharedSeen {
    /// What was found for one item; `own` is its row as it is now.
    pub(super) fn of<'a>(&self, references: &'a References, own: Option<&[Param]>) -> Seen<'a> {
        references.seen_by(own, |field, named, id| self.0.get(&(field, named))?.get(&sort_key(id)).cloned())
    }
}

impl Api {
    /// Looks at what is referred to, before it is decided.
    pub(super) async fn look_at_all(&self, looks: &SharedLooks) -> Result<Vec<Vec<Found>>, Problem> {
        let mut all = Vec::new();
        for sql in looks.statements() {
            let span = self.sql_span("SELECT", Some(&sql.text));
            let look = self.store.query(self.statement(sql.clone()), |rows| {
                let mut found = Vec::new();
                while let Some(row) = rows.next()? {
                    found.push(Found::of(row));
                }
                Ok(found)
            });
            all.push(within(self.statements.begin("SELECT"), span, look).await.map_err(|error| self.failure(&error))?);
        }
        Ok(all)
    }
}
