//! Values that clients no longer see, or see again: how many a column or a table has, counted up to a limit.

use std::time::Duration;

use super::Sqlite;
use super::catalog::{list, text};
use super::indexes::{Sql, set};
use super::rows::Writer;
use crate::resource::contract::{Cause, Cell, Count, Error, HiddenColumn, Row, Statement, UnevenColumn};
use crate::resource::migrate::{Dialect, MANY_ROWS, Ours};
use crate::resource::table::Table;

/// The columns that the last document declares and `wanted` does not, if they have values. Columns that `wanted` adds and
/// that have the same type could be the same fields renamed.
pub fn columns(writer: &mut Writer<'_>, wanted: &Table, ours: &Ours) -> Result<Vec<HiddenColumn>, Error> {
    let Some(demands) = &ours.demands else { return Ok(Vec::new()) };
    let (recorded, mut hidden) = (&ours.recorded.columns, Vec::new());
    for column in recorded.iter().filter(|column| demands.declared.contains(&column.name)) {
        let name = &column.name;
        if wanted.columns.iter().any(|kept| kept.name == *name) {
            continue;
        }
        let (values, _) = count(writer, &wanted.name, name)?;
        if values.found == 0 && values.complete {
            continue;
        }
        let added = wanted
            .columns
            .iter()
            .filter(|added| added.kind == column.kind && !recorded.iter().any(|known| known.name == added.name));
        let heirs = added.map(|added| added.name.clone()).collect();
        hidden.push(HiddenColumn { table: wanted.name.clone(), column: name.clone(), values, heirs });
    }
    Ok(hidden)
}

/// Columns that are declared again and have values, and columns that are required again and have none in some rows.
pub fn uneven(writer: &mut Writer<'_>, wanted: &Table, ours: &Ours) -> Result<Vec<UnevenColumn>, Error> {
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
        let (values, gaps) = count(writer, table, name)?;
        let (cause, items, sql) = if returned {
            // Rows that were written in between have the default of the column.
            let value = stored.default.as_deref().filter(|_| column.required).unwrap_or("NULL");
            (Cause::Returned, values, set(table, name, value, "IS NOT NULL"))
        } else {
            (Cause::Missing, gaps, Sql.fill(table, column))
        };
        if items.found > 0 {
            uneven.push(UnevenColumn { table: table.clone(), column: name.clone(), cause, items, sql });
        }
    }
    Ok(uneven)
}

/// The tables that a record names and `wanted` does not, if they have rows.
pub fn unused(writer: &mut Writer<'_>, wanted: &[Table]) -> Result<Vec<(String, Count)>, Error> {
    let recorded =
        "SELECT name FROM sqlite_schema JOIN _gw_schema ON resource = name WHERE type = 'table' ORDER BY name";
    let mut unused = Vec::new();
    for name in list(writer, recorded, &[], |row| text(row, 0))? {
        if wanted.iter().any(|table| table.name == name) {
            continue;
        }
        let found = list(writer, &count_rows(&name), &[], |row| number(row, 0))?.first().copied().unwrap_or_default();
        if found > 0 {
            unused.push((name, Count { found, complete: found <= MANY_ROWS }));
        }
    }
    Ok(unused)
}

/// How many rows have a value in a column, and how many do not.
fn count(writer: &mut Writer<'_>, table: &str, name: &str) -> Result<(Count, Count), Error> {
    let sql = format!("SELECT count(\"{name}\"), count(*) FROM (SELECT \"{name}\" FROM {})", some_rows(table));
    let counted = list(writer, &sql, &[], |row| (number(row, 0), number(row, 1)))?;
    let (found, rows) = counted.first().copied().unwrap_or_default();
    let complete = rows <= MANY_ROWS;
    Ok((Count { found, complete }, Count { found: rows.saturating_sub(found), complete }))
}

fn count_rows(table: &str) -> String {
    format!("SELECT count(*) FROM (SELECT 1 FROM {})", some_rows(table))
}

impl Sqlite {
    /// See [`Store::count`](super::super::store::Store::count).
    pub async fn count(&self, table: &str) -> Result<Count, Error> {
        let statement =
            Statement { sql: count_rows(table).into(), parameters: Vec::new(), deadline: Duration::from_secs(2) };
        let found = self.query(statement, |rows| Ok(rows.next()?.map_or(0, |row| number(row, 0)))).await?;
        Ok(Count { found, complete: found <= MANY_ROWS })
    }
}

/// As many as are counted: one more than the limit.
fn some_rows(table: &str) -> String {
    format!("\"{table}\" LIMIT {}", MANY_ROWS + 1)
}

fn number(row: &dyn Row, column: usize) -> u64 {
    match row.cell(column) {
        Cell::Integer(number) => u64::try_from(number).unwrap_or(0),
        _ => 0,
    }
}
