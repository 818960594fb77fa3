//! Compares the indexes of a table with the record of it.

use super::Ours;
use super::session::{Catalog, Session};
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
                ours.drift = Some(format!("the index `{name}` has a different definition"));
            }
            Some(_) if guard && !catalog.is_guarded(session, &table, index)? => {
                ours.drift = Some(format!("a trigger of the index `{name}` is missing"));
            }
            Some(_) => {}
        }
    }
    for (name, (index, partial)) in found {
        if !partial && index.name(&table) == name {
            ours.made.push(index);
        } else if index.unique {
            ours.drift = Some(format!("the unique index `{name}` was added"));
        }
    }
    if let Some(gone) = ours.missing.iter().find(|index| wanted.indexes.contains(index)) {
        ours.drift = Some(format!("the index `{}` is missing", gone.name(&table)));
    }
    if ours.drift.is_some() {
        return Ok(());
    }
    for index in wanted.indexes.iter().filter(|index| index.unique) {
        let in_force = ours.recorded.indexes.contains(index) && !guarded.contains(index) || ours.made.contains(index);
        let there = |name: &String| ours.recorded.columns.iter().any(|column| column.name == *name);
        if !in_force && index.columns.iter().all(there) {
            let sql = format!("SELECT 1 {} LIMIT 1", catalog.equal(&table, index));
            if !session.rows(&sql, &[])?.is_empty() {
                ours.equal.push(index.clone());
            }
        }
    }
    Ok(())
}
