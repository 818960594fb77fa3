//! Creates indexes of large tables while others write, before the transaction that makes all other changes.
//!
//! `CREATE INDEX CONCURRENTLY` cannot be part of a transaction. If it fails, it leaves an index behind that is not in force,
//! which is removed.

use super::indexes;
use super::migration::{Connected, on_connection};
use super::pools::Pools;
use super::schema::PostgresCatalog;
use crate::resource::contract::{Cell, Error, Row};
use crate::resource::migrate::apply::Applied;
use crate::resource::migrate::long;
use crate::resource::migrate::session::{Catalog, Dialect, Session};
use crate::resource::table::Index;
use crate::resource::unusable::obstacle;

/// It waits for all transactions that use the table.
const SETTINGS: &str = "SET statement_timeout = 0; SET lock_timeout = 0; SET quote_all_identifiers = off";
/// One command at a time: what it builds looks like what another one left behind. A lock that waits would hold up what it
/// waits for.
const LOCK: &str = "pg_try_advisory_lock(hashtextextended('gatewright indexes ' || current_schema(), 0))";
const UNLOCK: &str = "SELECT pg_advisory_unlock(hashtextextended('gatewright indexes ' || current_schema(), 0))";

/// Creates indexes; each is of a table.
pub async fn build(pools: &Pools, wanted: Vec<(String, Index)>) -> Result<Vec<Applied>, Error> {
    on_connection(pools, move |session| {
        session.batch(SETTINGS)?;
        let locked = session.rows(&format!("SELECT {LOCK}"), &[])?;
        if locked.first().is_none_or(|row| row.cell(0) != Cell::Integer(1)) {
            let why = "another `gatewright migrate` is creating indexes in this schema".to_owned();
            return Err(Error::Blocked { why, help: "wait until it has ended".to_owned() });
        }
        let made = wanted.iter().map(|(table, index)| create(session, table, index)).collect();
        session.batch(UNLOCK)?;
        made
    })
    .await
}

fn create(session: &mut Connected<'_>, table: &str, index: &Index) -> Result<Applied, Error> {
    clear(session, table, index)?;
    let sql = PostgresCatalog.create_index_live(table, index).unwrap_or_default();
    if let Err(error) = session.batch(&sql) {
        clear(session, table, index)?;
        return Err(explained(session, (table, index), error)?);
    }
    let text = format!("created index {} while others could write", index.name(table));
    Ok(Applied { text, minor: false, warning: None, table: None, column: None })
}

/// Removes what is left of an attempt.
fn clear(session: &mut Connected<'_>, table: &str, index: &Index) -> Result<(), Error> {
    if PostgresCatalog.leftover(session, table, index)?.is_some() {
        session.batch(&format!("DROP INDEX CONCURRENTLY \"{}\"", indexes::name(table, index)))?;
    }
    Ok(())
}

fn explained(session: &mut Connected<'_>, (table, index): (&str, &Index), error: Error) -> Result<Error, Error> {
    let columns = index.columns.join("`, `");
    Ok(match error {
        Error::TooLong => {
            let long = long::longest(session, table, index)?;
            Error::Blocked { why: long.why, help: long.help.to_owned() }
        }
        Error::Unique(_) => Error::Blocked {
            why: format!("`{columns}` of table `{table}` cannot become unique: a duplicate was written meanwhile"),
            help: format!("remove it; to find it: {}", PostgresCatalog.find_equal(table, index)),
        },
        Error::Internal(why) => {
            let help = obstacle(&why).unwrap_or("change what the database rejects").to_owned();
            Error::Blocked { why: format!("cannot create index {}: {why}", index.name(table)), help }
        }
        error => error,
    })
}
