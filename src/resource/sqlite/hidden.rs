//! Values that clients would no longer see: how many a column or a table has, counted up to a limit.

use std::time::Duration;

use super::Sqlite;
use super::catalog::list;
use super::rows::Writer;
use crate::resource::contract::{Cell, Count, Error, HiddenColumn, Row, Statement};
use crate::resource::migrate::{MANY_ROWS, Ours};
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
        let sql =
            format!("SELECT count(\"{name}\"), count(*) FROM (SELECT \"{name}\" FROM {})", some_rows(&wanted.name));
        let counted = list(writer, &sql, &[], |row| (number(row, 0), number(row, 1)))?;
        let (found, rows) = counted.first().copied().unwrap_or_default();
        let values = Count { found, complete: rows <= MANY_ROWS };
        if found == 0 && values.complete {
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

impl Sqlite {
    /// See [`Store::count`](super::super::store::Store::count).
    pub async fn count(&self, table: &str) -> Result<Count, Error> {
        let sql = format!("SELECT count(*) FROM (SELECT 1 FROM {})", some_rows(table));
        let statement = Statement { sql: sql.into(), parameters: Vec::new(), deadline: Duration::from_secs(2) };
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
