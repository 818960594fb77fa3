//! Decimals on their way from PostgreSQL to SQLite.
//!
//! PostgreSQL compares numbers, and other programs may write them with any digits. SQLite keeps texts, and only those in the form of
//! the field have its order. So they are copied in that form, and a value that it cannot have stops the copy before it begins.

use super::Dialect;
use super::layout::quoted;
use super::side::Side;
use crate::resource::contract::Sql;
use crate::resource::migrate::copied::Record;
use crate::resource::migrate::session::{number, text};
use crate::resource::table::{Column, ColumnType};
use std::fmt::Write;

/// How many rows of a column are named.
const MOST: usize = 5;
/// The length of the longest decimal of any field.
const LONGEST: usize = 40;

/// The digits after the point that a column of decimals has, if that is recorded.
pub fn scale(column: &Column) -> Option<u32> {
    column.form.and_then(|form| form.scale).filter(|_| column.kind == ColumnType::Decimal)
}

/// Finds the values that no decimal of their field can be, and those that SQLite would store as null.
///
/// # Errors
/// Which they are.
pub fn check(source: &mut Side, records: &[&Record]) -> Result<(), String> {
    if source.dialect != Dialect::Postgres {
        return Ok(());
    }
    let mut found = String::new();
    for record in records {
        let there = source.columns(&record.table.name)?;
        for column in &record.table.columns {
            let name = quoted(&column.name);
            let kind = there.iter().find(|(known, _)| *known == column.name).map(|(_, kind)| kind.as_str());
            let (what, those) = match (column.kind, scale(column)) {
                (ColumnType::Decimal, Some(scale)) if kind.is_some_and(is_numeric) => (
                    format!(
                        "a decimal with {scale} digit{} after the point cannot be",
                        if scale == 1 { "" } else { "s" }
                    ),
                    format!(
                        "{name}::text IN ('NaN', 'Infinity', '-Infinity') OR {name} <> round({name}, {scale}) \
                         OR length(round({name}, {scale})::text) > {LONGEST}"
                    ),
                ),
                (ColumnType::Number, _) if kind == Some("double precision") => {
                    ("a number in SQLite cannot be".to_owned(), format!("{name} = 'NaN'"))
                }
                _ => continue,
            };
            found.push_str(&misfits(source, (&record.table.name, &column.name), &what, &those)?);
        }
    }
    if found.is_empty() { Ok(()) } else { Err(format!("nothing was copied: {}", found.trim_end())) }
}

/// Whether a column of this type can be rounded.
pub fn is_numeric(type_name: &str) -> bool {
    type_name.starts_with("numeric")
}

/// The values of a column that do not fit, for people; empty if there are none.
fn misfits(source: &mut Side, (table, column): (&str, &str), what: &str, those: &str) -> Result<String, String> {
    let (shown, from) = (quoted(column), quoted(table));
    let rows = source.rows(&Sql::new(
        format!(
            "SELECT \"id\"::text, {shown}::text, count(*) OVER () FROM {from} WHERE {those} ORDER BY {from}.\"id\" LIMIT {MOST}"
        ),
        Vec::new(),
    ))?;
    let Some(first) = rows.first() else { return Ok(String::new()) };
    let all = number(first, 2);
    let many = if all == 1 { "a value".to_owned() } else { format!("{all} values") };
    let mut said = format!("in table `{table}`, `{column}` has {many} that {what}:\n");
    for row in &rows {
        let _ = writeln!(said, "  id {}: {}", text(row, 0).escape_debug(), text(row, 1));
    }
    if all > u64::try_from(rows.len()).unwrap_or(0) {
        let _ = writeln!(said, "  …");
    }
    let _ = writeln!(
        said,
        "  help: correct them in {}, and copy again; to find them: SELECT \"id\", {shown} FROM {from} WHERE {those};",
        source.place
    );
    Ok(said)
}
