//! Rows of SQLite's catalog, as lists.

use super::rows::Writer;
use crate::resource::contract::{Cell, Error, Param, Row};

pub fn list<T>(
    writer: &mut Writer<'_>,
    sql: &str,
    parameters: &[Param],
    read: impl Fn(&dyn Row) -> T,
) -> Result<Vec<T>, Error> {
    writer.query(sql, parameters, |rows| {
        let mut list = Vec::new();
        while let Some(row) = rows.next()? {
            list.push(read(row));
        }
        Ok(list)
    })
}

pub fn text(row: &dyn Row, column: usize) -> String {
    match row.cell(column) {
        Cell::Text(text) => text.to_owned(),
        _ => String::new(),
    }
}
