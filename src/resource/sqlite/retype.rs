//! Gives a column another type in SQLite, which has no statement for it.
//!
//! The values are copied into a new column that takes the place of the old one. The table itself stays, so that what refers to
//! it is not touched.

use super::indexes;
use crate::resource::contract::Error;
use crate::resource::migrate::session::Session;
use crate::resource::migrate::{Retype, widen};
use crate::resource::table::{Column, ColumnType};

/// The name of the new column until the old one is gone. Fields start with a letter.
const SPARE: &str = "_gw_retyped";

/// `define` writes the definition of a column, and `version` is a fresh one.
pub fn retype(
    session: &mut dyn Session,
    retype: &Retype,
    define: fn(&Column) -> Result<String, Error>,
    version: &str,
) -> Result<(), Error> {
    let Retype { table, column, indexes, .. } = retype;
    for (index, _) in indexes {
        indexes::drop(session, table, index)?;
    }
    let spare = define(&Column { name: SPARE.to_owned(), ..column.clone() })?;
    let values = converted(retype);
    let name = &column.name;
    for sql in [
        format!("ALTER TABLE \"{table}\" ADD COLUMN {spare}"),
        format!("UPDATE \"{table}\" SET \"{SPARE}\" = {values}, \"_version\" = {version}"),
        format!("ALTER TABLE \"{table}\" DROP COLUMN \"{name}\""),
        format!("ALTER TABLE \"{table}\" RENAME COLUMN \"{SPARE}\" TO \"{name}\""),
    ] {
        session.execute(&sql, &[])?;
    }
    for (index, guarded) in indexes {
        if *guarded {
            indexes::guard(session, table, index)?;
        } else {
            session.execute(&indexes::create_index(table, index), &[])?;
        }
    }
    Ok(())
}

/// The values as the new type stores them.
fn converted(Retype { from, column, .. }: &Retype) -> String {
    let name = format!("\"{}\"", column.name);
    match (from, column.kind) {
        // It becomes a reference.
        (same, kind) if *same == kind => name,
        (ColumnType::Date, ColumnType::Datetime) => format!("{name} || 'T00:00:00.000000Z'"),
        (_, ColumnType::Number) => format!("CAST({name} AS REAL)"),
        (_, ColumnType::Decimal) => match usize::try_from(widen::scale(column)) {
            Ok(scale @ 1..) => format!("CAST({name} AS TEXT) || '.{}'", "0".repeat(scale)),
            _ => format!("CAST({name} AS TEXT)"),
        },
        _ => format!("CAST({name} AS TEXT)"),
    }
}
