//! Texts that are too long for an index of PostgreSQL.

use super::session::{Session, number, text};
use crate::resource::contract::{Count, Error};
use crate::resource::table::Index;

/// How many rows are listed.
const LISTED: usize = 5;
/// Texts that can be compressed may be longer, so shorter ones than the limit are not to blame.
const LONG: usize = 2000;

/// Why an index could not be made.
pub struct Long {
    pub why: String,
    pub help: &'static str,
    /// No row has such a text: only versions of rows that were replaced, which other transactions can still see and PostgreSQL
    /// therefore indexes. It ends with these transactions.
    pub passing: bool,
}

/// What to tell the operator about an index that could not be made: its longest texts, and where they are.
pub fn longest(session: &mut dyn Session, table: &str, index: &Index) -> Result<Long, Error> {
    let sizes: Vec<_> =
        index.columns.iter().map(|column| format!("COALESCE(octet_length(\"{column}\"::text), 0)")).collect();
    let size = sizes.join(" + ");
    let sql = format!(
        "SELECT \"id\"::text, ({size})::int8 FROM \"{table}\" WHERE {size} > {LONG} ORDER BY {size} DESC LIMIT {LISTED}"
    );
    let rows = session.rows(&sql, &[])?;
    let columns = index.columns.join("`, `");
    let cannot =
        format!("`{columns}` of table `{table}` has texts that PostgreSQL cannot index, which takes about 2,700 bytes");
    if rows.is_empty() {
        return Ok(Long {
            why: format!(
                "{cannot}; no row has them any more, but transactions that began before they were replaced can see them"
            ),
            help: "end these transactions, which pg_stat_activity lists, and run this again",
            passing: true,
        });
    }
    let listed = rows.iter().map(|row| {
        let bytes = Count { found: number(row, 1), complete: true }.of("byte");
        format!("{} ({bytes})", text(row, 0).escape_debug())
    });
    Ok(Long {
        why: format!(
            "{cannot}; the longest ones are in the rows with the ids {}",
            listed.collect::<Vec<_>>().join(", ")
        ),
        help: "shorten them, or take `index` and `unique` out of the field",
        passing: false,
    })
}
