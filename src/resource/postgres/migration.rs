//! Migrates tables in one transaction that keeps other gateways out.

use tokio::runtime::Runtime;
use tokio_postgres::Client;

use super::pools::Pools;
use super::rows::bound;
use super::schema::PostgresCatalog;
use crate::resource::contract::{Cell, Error, Found, Param, Planned, RefusedTable, Row};
use crate::resource::migrate::By;
use crate::resource::migrate::apply::{self, Applied};
use crate::resource::migrate::session::Session;
use crate::resource::table::{Index, Table};

/// The outcome of a job on the tables: refusals are not errors of the store.
type Outcome<T> = Result<T, Vec<RefusedTable>>;

/// A job on the tables, within the transaction.
pub type Job<T> = fn(&mut Connected<'_>, &[Table], &By) -> Result<Outcome<T>, Error>;

/// Several gateways may start at once: one after the other migrates, and the others find nothing to do. A statement that waits
/// for long transactions would make all others wait behind it, so it gives up soon.
/// With `quote_all_identifiers`, the catalog would write types and columns in another way.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; \
     SELECT pg_advisory_xact_lock(7453910388461935); \
     SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = '30s'; SET LOCAL quote_all_identifiers = off";
/// A command may take as long as it takes.
const PATIENTLY: &str = "SET LOCAL statement_timeout = 0";
/// How often a migration is tried that did not get its locks.
const TRIES: usize = 3;

/// A connection that waits for each statement.
pub struct Connected<'a> {
    client: &'a Client,
    runtime: &'a Runtime,
}

/// Plans only: everything is rolled back.
pub fn plan(session: &mut Connected<'_>, tables: &[Table], by: &By) -> Result<Outcome<Planned>, Error> {
    let planned = apply::rehearse(session, &PostgresCatalog, tables, by)?;
    session.batch("ROLLBACK")?;
    Ok(planned)
}

/// Migrates; commits unless the plan is refused.
pub fn apply(session: &mut Connected<'_>, tables: &[Table], by: &By) -> Result<Outcome<Vec<Applied>>, Error> {
    let applied = apply::prepare(session, &PostgresCatalog, tables, by)?;
    session.batch(if applied.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    Ok(applied)
}

/// The indexes that are created outside a transaction, before the migration.
pub fn live(session: &mut Connected<'_>, tables: &[Table], by: &By) -> Result<Outcome<Vec<(String, Index)>>, Error> {
    let live = apply::live(session, &PostgresCatalog, tables, by)?;
    session.batch("ROLLBACK")?;
    Ok(Ok(live))
}

/// Does `work` on a connection and a thread of its own.
pub async fn on_connection<T: Send + 'static>(
    pools: &Pools,
    work: impl FnOnce(&mut Connected<'_>) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let (client, connection) = pools.connect().await?;
    let task = tokio::spawn(connection);
    let work = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.map_err(|error| Error::Unavailable(error.to_string()))?;
        work(&mut Connected { client: &client, runtime: &runtime })
    });
    let done = work.await.unwrap_or_else(|_| Err(Error::Internal("a migration panicked".into())));
    task.abort();
    done
}

/// Runs a job on a connection and a thread of its own.
pub async fn run<T: Send + 'static>(
    pools: &Pools,
    tables: &[Table],
    by: &By,
    job: Job<T>,
) -> Result<Outcome<T>, Error> {
    let mut tries = 1;
    loop {
        let (tables, by) = (tables.to_vec(), by.clone());
        let outcome = on_connection(pools, move |session| {
            session.batch(BEGIN)?;
            check(session)?;
            if by.is_command() {
                session.batch(PATIENTLY)?;
            }
            job(session, &tables, &by)
        });
        match outcome.await {
            Err(Error::Unavailable(_)) if tries < TRIES => tries += 1,
            outcome => return outcome,
        }
    }
}

/// Whether the database can hold what clients send, and where.
pub fn check(session: &mut dyn Session) -> Result<(), Error> {
    let found = session.rows("SELECT getdatabaseencoding()::text, current_schema()::text", &[])?;
    let cell = |column| found.first().map_or(Cell::Null, |row| row.cell(column));
    match (cell(0), cell(1)) {
        (Cell::Text("UTF8"), Cell::Text(_)) => Ok(()),
        (Cell::Text("UTF8"), _) => Err(Error::Internal("no schema of `search_path` exists".into())),
        (Cell::Text(encoding), _) => {
            Err(Error::Internal(format!("the database has the encoding {encoding}; create one with `ENCODING 'UTF8'`")))
        }
        _ => Err(Error::Internal("the encoding of the database is unknown".into())),
    }
}

impl Connected<'_> {
    pub fn batch(&self, sql: &str) -> Result<(), Error> {
        Ok(self.runtime.block_on(self.client.batch_execute(sql))?)
    }
}

impl Session for Connected<'_> {
    fn execute(&mut self, sql: &str, parameters: &[Param]) -> Result<u64, Error> {
        Ok(self.runtime.block_on(self.client.execute(sql, &bound(parameters)))?)
    }

    fn rows(&mut self, sql: &str, parameters: &[Param]) -> Result<Vec<Found>, Error> {
        let rows = self.runtime.block_on(self.client.query(sql, &bound(parameters)))?;
        Ok(rows.iter().map(|row| Found::of(row)).collect())
    }
}
