//! Values that clients no longer see, or see again: how many a column or a table has, counted up to a limit.

use super::session::{Catalog, Dialect, Session, number, text};
use super::{MANY_ROWS, Ours};
use crate::resource::contract::{Cause, Count, Error, Found, HiddenColumn, UnevenColumn};
use crate::resource::table::{Column, Table};

/// The columns that the last document declares and `wanted` does not, if they have values. Columns that `wanted` adds and
/// that have the same type could be the same fields renamed.
pub fn columns(
    session: &mut dyn Session,
    dialect: &dyn Dialect,
    wanted: &Table,
    ours: &Ours,
) -> Result<Vec<HiddenColumn>, Error> {
    let Some(demands) = &ours.demands else { return Ok(Vec::new()) };
    let (recorded, mut hidden) = (&ours.recorded.columns, Vec::new());
    for column in recorded.iter().filter(|column| demands.declared.contains(&column.name)) {
        let name = &column.name;
        if wanted.columns.iter().any(|kept| kept.name == *name) {
            continue;
        }
        let (values, _) = count(session, &wanted.name, name)?;
        if values.found == 0 && values.complete {
            continue;
        }
        let fits = |added: &&Column| (added.kind, &added.references) == (column.kind, &column.references);
        let added =
            wanted.columns.iter().filter(|added| fits(added) && !recorded.iter().any(|known| known.name == added.name));
        let heirs = added.map(|added| added.name.clone()).collect();
        let (table, column, refers_to) = (wanted.name.clone(), name.clone(), column.references.clone());
        hidden.push(HiddenColumn { table, column, values, heirs, refers_to, version: dialect.fresh_version() });
    }
    Ok(hidden)
}

/// Columns that are declared again and have values, and columns that are required again and have none in some rows.
pub fn uneven(
    session: &mut dyn Session,
    dialect: &dyn Dialect,
    wanted: &Table,
    ours: &Ours,
) -> Result<Vec<UnevenColumn>, Error> {
    let Some(demands) = &ours.demands else { return Ok(Vec::new()) };
    let (table, mut uneven) = (&wanted.name, Vec::new());
    for column in &wanted.columns {
        let name = &column.name;
        let Some(stored) = ours.recorded.columns.iter().find(|stored| stored.name == *name) else { continue };
        let returned = !demands.declared.contains(name);
        let required_again = column.required && demands.loosened.contains(name);
        if !returned && !required_again {
            continue;
        }
        let (values, gaps) = count(session, table, name)?;
        let (cause, items, sql) = if returned {
            // Rows that were written in between have the default of the column.
            let value = stored.default.as_deref().filter(|_| column.required);
            let value = value.map_or_else(|| "NULL".to_owned(), |value| dialect.literal(column.kind, value));
            (Cause::Returned, values, dialect.set(table, name, &value, "IS NOT NULL"))
        } else {
            (Cause::Missing, gaps, dialect.fill(table, column))
        };
        if items.found > 0 {
            uneven.push(UnevenColumn { table: table.clone(), column: name.clone(), cause, items, sql });
        }
    }
    Ok(uneven)
}

/// The tables that a record names and `wanted` does not, if they have rows.
pub fn unused(
    session: &mut dyn Session,
    catalog: &dyn Catalog,
    wanted: &[Table],
) -> Result<Vec<(String, Count)>, Error> {
    let mut unused = Vec::new();
    for record in session.rows("SELECT resource FROM _gw_schema ORDER BY resource", &[])? {
        let name = text(&record, 0);
        if wanted.iter().any(|table| table.name == name) || !catalog.exists(session, &name)? {
            continue;
        }
        let count = count_of(&session.rows(&count_rows(&name), &[])?);
        if count.found > 0 {
            unused.push((name, count));
        }
    }
    Ok(unused)
}

/// How many rows have a value in a column, and how many do not.
pub fn count(session: &mut dyn Session, table: &str, name: &str) -> Result<(Count, Count), Error> {
    let sql = format!("SELECT count(\"{name}\"), count(*) FROM (SELECT \"{name}\" FROM {}) AS _c", some_rows(table));
    let counted = session.rows(&sql, &[])?;
    let (found, rows) = counted.first().map_or((0, 0), |row| (number(row, 0), number(row, 1)));
    let complete = rows <= MANY_ROWS;
    Ok((Count { found, complete }, Count { found: rows.saturating_sub(found), complete }))
}

/// Counts the rows of a table, up to the limit.
pub fn count_rows(table: &str) -> String {
    format!("SELECT count(*) FROM (SELECT 1 FROM {}) AS _c", some_rows(table))
}

/// What [`count_rows`] found.
pub fn count_of(rows: &[Found]) -> Count {
    let found = rows.first().map_or(0, |row| number(row, 0));
    Count { found, complete: found <= MANY_ROWS }
}

/// As many as are counted: one more than the limit.
fn some_rows(table: &str) -> String {
    format!("\"{table}\" LIMIT {}", MANY_ROWS + 1)
}
