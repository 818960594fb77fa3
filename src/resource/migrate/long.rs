//! Texts that are too long for an index of PostgreSQL.

use super::session::{Session, number, text};
use crate::resource::contract::{Count, Error};
use crate::resource::table::Index;

/// How many rows are listed.
const LISTED: usize = 5;
/// Texts that can be compressed may be longer, so shorter ones than the limit are not to blame.
const LONG: usize = 2000;

/// What to tell the operator about an index that could not be made: its longest texts, and where they are.
pub fn longest(session: &mut dyn Session, table: &str, index: &Index) -> Result<String, Error> {
    let sizes: Vec<_> =
        index.columns.iter().map(|column| format!("COALESCE(octet_length(\"{column}\"::text), 0)")).collect();
    let size = sizes.join(" + ");
    let sql = format!(
        "SELECT \"id\"::text, ({size})::int8 FROM \"{table}\" WHERE {size} > {LONG} ORDER BY {size} DESC LIMIT {LISTED}"
    );
    let rows = session.rows(&sql, &[])?;
    let listed = rows.iter().map(|row| {
        let bytes = Count { found: number(row, 1), complete: true }.of("byte");
        format!("{} ({bytes})", text(row, 0).escape_debug())
    });
    Ok(format!(
        "`{}` of table `{table}` has texts that PostgreSQL cannot index, which takes about 2,700 bytes; the longest ones are \
         in the rows with the ids {}",
        index.columns.join("`, `"),
        listed.collect::<Vec<_>>().join(", ")
    ))
}
