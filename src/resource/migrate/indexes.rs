//! Compares the indexes of a table with the record of it.

use super::adopt::indexes::has_id;
use super::drift::{self, Drift};
use super::session::{Catalog, Session};
use super::{Ours, duplicates};
use crate::resource::contract::Error;
use crate::resource::table::{Index, Table};

/// Fills in the facts about indexes. Plain ones with other names belong to the operator; a unique one would
/// reject items for a reason that is not in the document.
pub fn look(session: &mut dyn Session, catalog: &dyn Catalog, wanted: &Table, ours: &mut Ours) -> Result<(), Error> {
    let table = ours.recorded.name.clone();
    let guarded = ours.demands.as_ref().map(|demands| demands.guarded.clone()).unwrap_or_default();
    let mut found = catalog.indexes(session, &table)?;
    for index in &ours.recorded.indexes {
        let name = ours.stored(index).name(&table);
        let guard = guarded.contains(index);
        match found.remove(&name) {
            None => ours.missing.push(index.clone()),
            Some(other) if other != (Index { unique: index.unique && !guard, ..index.clone() }, false) => {
                ours.drift.push(Drift::new(format!("the index `{name}` has a different definition")));
            }
            Some(_) if guard && !catalog.is_guarded(session, &table, &ours.stored(index))? => {
                ours.drift.push(Drift::new(format!("a trigger of the index `{name}` is missing")));
            }
            Some(_) => {}
        }
    }
    for (name, (index, partial)) in found {
        if !partial && index.name(&table) == name {
            ours.made.push(index);
        } else if index.unique && !has_id(&index.columns) {
            ours.drift.push(Drift::new(format!("the unique index `{name}` was added")));
        }
    }
    let gone = ours.missing.iter().filter(|index| wanted.indexes.contains(index));
    let gone: Vec<_> = gone.map(|index| drift::missing_index(catalog, &table, index)).collect();
    ours.drift.extend(gone);
    if !ours.drift.is_empty() {
        return Ok(());
    }
    for index in wanted.indexes.iter().filter(|index| index.unique) {
        let in_force = ours.recorded.indexes.contains(index) && !guarded.contains(index) || ours.made.contains(index);
        let there = |name: &str| ours.recorded.columns.iter().any(|column| column.name == name);
        if let Some(before) =
            duplicates::before(wanted, index, there).filter(|before| !in_force && !before.columns.is_empty())
        {
            let found = duplicates::of(session, catalog, wanted, &before)?;
            if !found.is_empty() {
                ours.equal.push((index.clone(), found));
            }
        }
    }
    Ok(())
}
