//! Fields that refer to items, in a table of another program: their columns must be such foreign keys already.

use super::Rows;
use super::Strange;
use crate::resource::contract::Error;
use crate::resource::migrate::key::Key;
use crate::resource::migrate::session::{Catalog, Session};
use crate::resource::table::{Column, Table};

/// The columns of such fields that refer to the same ids in the database, and whether texts are the same there as for the gateway. Values
/// that refer to nothing, which SQLite may have, are added to `misfits`.
pub fn look(
    session: &mut dyn Session,
    catalog: &dyn Catalog,
    wanted: &Table,
    misfits: &mut Vec<(String, String, Rows)>,
) -> Result<Vec<(String, bool)>, Error> {
    let mut referring = Vec::new();
    if wanted.columns.iter().all(|column| column.references.is_none()) {
        return Ok(referring);
    }
    let (table, keys, families) = (&wanted.name, catalog.keys(session)?, catalog.families(session)?);
    // A key of a partitioned table is one of each partition, and one of a part of what is referred to is one of it.
    let of_table = |key: &Key| key.table == *table || families.rows(table).is_subset(&families.keyed(&key.table));
    let refers = |key: &Key, to: &str| key.parent == to || families.keyed(&key.parent).is_subset(&families.rows(to));
    for column in &wanted.columns {
        let (Some(to), name) = (&column.references, &column.name) else { continue };
        let same = |columns: &[String]| matches!(columns, [only] if only == name);
        let mut own =
            keys.iter().filter(|key| of_table(key) && same(&key.columns) && refers(key, to) && key.to == ["id"]);
        let Some(key) = own.next() else { continue };
        referring.push((name.clone(), key.is_exact));
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
        column.references.is_none() || self.referring.contains(&(column.name.clone(), true))
    }

    /// Why it cannot, and what helps.
    pub(in crate::resource::migrate) fn unfit_reference(&self, column: &Column, table: &str) -> (String, &'static str) {
        let name = &column.name;
        if self.referring.contains(&(name.clone(), false)) {
            let message = format!(
                "the database compares `{name}` of table `{table}`, or the ids that it refers to, by a collation such as NOCASE, and \
                 the gateway byte by byte: it would not always find the rows that refer to an item"
            );
            return (message, "adopt it with the type of the ids, such as `type: string`");
        }
        let message = format!(
            "`{name}` refers to items, and is no such foreign key in the table `{table}`, which cannot be adopted with it"
        );
        (message, "adopt it with the type of the ids, such as `type: uuid`; after that, change it to `type: ref`")
    }
}
