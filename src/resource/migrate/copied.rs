//! The state of `gatewright db copy` in the database that it fills: no gateway serves half of a copy, and no copy replaces what
//! a gateway has written.

use serde::Deserialize;

use super::Demands;
use super::session::{Catalog, Session, text};
use crate::resource::contract::{Error, Param, RefusedTable};
use crate::resource::table::Table;

/// The format of records of tables. A store with a higher number is not touched.
pub const FORMAT: u64 = 1;
/// The table of the state. It has one row.
pub const STATE: &str = "_gw_copy";

const CREATE: &str = "CREATE TABLE IF NOT EXISTS _gw_copy (source text NOT NULL, state text NOT NULL)";
const UNFINISHED: &str = "unfinished";
const FINISHED: &str = "finished";

/// A record of a table, as far as a copy needs it.
#[derive(Debug, Deserialize)]
pub struct Record {
    pub table: Table,
    #[serde(default)]
    pub demands: Option<Demands>,
}

/// The part of a record that every version can read.
#[derive(Deserialize)]
struct Format {
    format: u64,
}

/// Whether a record was written by a version that this one does not know.
pub fn is_newer(model: &str) -> bool {
    !serde_json::from_str::<Format>(model).is_ok_and(|record| record.format <= FORMAT)
}

/// From where a database was copied, if it was and no gateway has served it since.
pub fn source(session: &mut dyn Session, catalog: &dyn Catalog) -> Result<Option<String>, Error> {
    if !catalog.exists(session, STATE)? {
        return Ok(None);
    }
    Ok(session.rows("SELECT source FROM _gw_copy", &[])?.first().map(|row| text(row, 0)))
}

/// A copy from `source` begins, or goes on.
pub fn begin(session: &mut dyn Session, source: &str) -> Result<(), Error> {
    session.execute(CREATE, &[])?;
    session.execute("DELETE FROM _gw_copy", &[])?;
    let values = [source, UNFINISHED].map(|text| Param::Text(text.to_owned()));
    session.execute("INSERT INTO _gw_copy (source, state) VALUES ($1, $2)", &values).map(|_| ())
}

/// Both sides are equal.
pub fn finish(session: &mut dyn Session) -> Result<(), Error> {
    let finished = Param::Text(FINISHED.to_owned());
    session.execute("UPDATE _gw_copy SET state = $1", &[finished]).map(|_| ())
}

/// Why a gateway cannot use this database, if a copy into it did not end.
pub fn unfinished(session: &mut dyn Session, catalog: &dyn Catalog) -> Result<Option<RefusedTable>, Error> {
    if !catalog.exists(session, STATE)? {
        return Ok(None);
    }
    let found = session.rows("SELECT source, state FROM _gw_copy", &[])?;
    let half = found.iter().find(|row| text(row, 1) != FINISHED).map(|row| text(row, 0));
    Ok(half.and_then(|source| {
        let message = format!("`gatewright db copy` from {source} to this database has not finished");
        let refused = RefusedTable::unusable(&Error::Unavailable(message)).into_iter().next();
        refused.map(|refused| RefusedTable {
            help: "run `gatewright db copy` again until its exit code is 0".to_owned(),
            ..refused
        })
    }))
}

/// A gateway uses this database: what it writes is not replaced by another copy.
pub fn is_over(session: &mut dyn Session, catalog: &dyn Catalog) -> Result<(), Error> {
    if source(session, catalog)?.is_some() {
        session.execute("DELETE FROM _gw_copy", &[])?;
    }
    Ok(())
}
