//! Fields that refer to items, in a table of another program: their columns must be such foreign keys already.

use super::Rows;
use super::Strange;
use crate::resource::contract::Error;
use crate::resource::migrate::session::{Catalog, Session};
use crate::resource::table::{Column, Table};

/// The columns of such fields that refer to the same ids in the database. Values that refer to nothing, which SQLite may have, are added
/// to `misfits`.
pub fn look(
    session: &mut dyn Session,
    catalog: &dyn Catalog,
    wanted: &Table,
    misfits: &mut Vec<(String, String, Rows)>,
) -> Result<Vec<String>, Error> {
    let mut referring = Vec::new();
    if wanted.columns.iter().all(|column| column.references.is_none()) {
        return Ok(referring);
    }
    let (table, keys) = (&wanted.name, catalog.keys(session)?);
    for column in &wanted.columns {
        let (Some(to), name) = (&column.references, &column.name) else { continue };
        let same = |columns: &[String]| matches!(columns, [only] if only == name);
        if !keys.iter().any(|key| key.table == *table && same(&key.columns) && key.parent == *to && key.to == ["id"]) {
            continue;
        }
        referring.push(name.clone());
        let those = format!(
            "\"{name}\" IS NOT NULL AND NOT EXISTS (SELECT 1 FROM \"{to}\" AS _t WHERE _t.\"id\" = \"{table}\".\"{name}\")"
        );
        if let Some(rows) = Rows::of(session, (table, &format!("\"id\", \"{name}\"")), true, &those)? {
            misfits.push((name.clone(), format!("are no ids of rows in `{to}`"), rows));
        }
    }
    Ok(referring)
}

impl Strange {
    /// Whether the table can be taken with a field that refers to items.
    pub(in crate::resource::migrate) fn refers(&self, column: &Column) -> bool {
        column.references.is_none() || self.referring.contains(&column.name)
    }
}
