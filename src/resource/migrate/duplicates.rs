//! Finds the values that several items share, for a rule that forbids it.

use super::session::{Catalog, Session, number, text};
use crate::resource::contract::{Duplicate, Error};
use crate::resource::table::{Index, Table};

/// The maximum number that are listed.
const MOST: usize = 20;

/// Some of the values that a unique index would reject, those of the most items first. Values that no client sees stay hidden.
pub fn of(
    session: &mut dyn Session,
    catalog: &dyn Catalog,
    wanted: &Table,
    index: &Index,
) -> Result<Vec<Duplicate>, Error> {
    let secret = |name: &String| wanted.columns.iter().any(|column| column.name == *name && column.declared.is_secret);
    let hidden = index.columns.iter().any(secret);
    let columns = index.columns.len();
    let sql = format!("{} LIMIT {MOST}", catalog.find_equal(&wanted.name, index));
    let rows = session.rows(&sql, &[])?;
    let duplicate = |row| Duplicate {
        values: (!hidden).then(|| (0..columns).map(|column| text(row, column)).collect()),
        items: number(row, columns),
    };
    Ok(rows.iter().map(duplicate).collect())
}
