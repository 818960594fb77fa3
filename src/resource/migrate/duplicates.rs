//! Finds the values that several items share, for a rule that forbids it.

use super::session::{Catalog, Dialect, Session, number, text};
use crate::resource::contract::{Duplicate, Error, KeptDuplicates};
use crate::resource::table::{Index, Table};

/// The maximum number that are listed.
pub const MOST: usize = 20;

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

/// The unique indexes that a table with these columns and this number of rows cannot have, and some of the duplicates.
pub fn against(
    session: &mut dyn Session,
    catalog: &dyn Catalog,
    wanted: &Table,
    (has, rows): (impl Fn(&str) -> bool, u64),
) -> Result<Vec<(Index, Vec<Duplicate>)>, Error> {
    let mut against = Vec::new();
    for index in wanted.indexes.iter().filter(|index| index.unique) {
        let Some(before) = before(wanted, index, &has) else { continue };
        let compares = !before.columns.is_empty();
        let found = if compares { of(session, catalog, wanted, &before)? } else { Vec::new() };
        if !found.is_empty() || !compares && rows > 1 {
            against.push((index.clone(), found));
        }
    }
    Ok(against)
}

/// A unique index before columns are added to a table that has those of `there`: rows are going to have the default in each of the new
/// columns, so they must differ in the others. `None` if a new column has no default: values that are null differ.
pub fn before(wanted: &Table, index: &Index, there: impl Fn(&str) -> bool) -> Option<Index> {
    let default = |name: &String| wanted.columns.iter().any(|column| column.name == *name && column.default.is_some());
    let (columns, added): (Vec<_>, Vec<_>) = index.columns.iter().cloned().partition(|name| there(name));
    added.iter().all(default).then(|| Index { columns, ..index.clone() })
}

/// Why an index cannot become unique, and what helps. `before` is the one of [`before`].
pub fn why(dialect: &dyn Dialect, table: &str, index: &Index, before: &Index) -> (String, String) {
    let added = index.columns.iter().filter(|name| !before.columns.contains(name));
    let added = added.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if before.columns.is_empty() {
        let help =
            "leave `default` out, with `nullable: true` if the field is required: items without a value are not equal";
        return (format!("all items would get the `default` of {added}"), help.to_owned());
    }
    let and = match added.as_str() {
        "" => String::new(),
        added => format!(", and would all get the `default` of {added}"),
    };
    let find = dialect.find_equal(table, before);
    (
        format!("some items have duplicate values{and}"),
        format!("remove the duplicates, then reload; to find them: {find};"),
    )
}

/// Those of a rule that came back: rows keep them.
pub fn kept(dialect: &dyn Dialect, table: &str, index: &Index, found: &[Duplicate]) -> KeptDuplicates {
    let (columns, found) = (index.columns.clone(), found.to_vec());
    KeptDuplicates { table: table.to_owned(), columns, found, sql: dialect.show_equal(table, index) }
}
