//! The interface of a store to resources: prepared SQL with bound values, and migrations of tables.

use crate::config::document::process::Durability;
use crate::config::document::store_url::StoreUrl;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::dialect::Dialect;
use super::migrate::hidden;
use super::postgres::Postgres;
use super::sqlite::Sqlite;
use super::table::Table;
use super::watch::{Revision, Watch};

pub use super::migrate::apply::Applied;
pub use super::migrate::duplicates::MOST as MOST_DUPLICATES;
pub use super::migrate::keys::by_collation;
pub use super::migrate::{By, Orders};

pub use super::contract::{
    ActingKey, Cause, Cell, Command, Count, Decision, Done, DoubledColumn, Duplicate, Error, ForeignKey, Found,
    HiddenColumn, KeptDuplicates, Param, Planned, PlannedStep, RefusedTable, Row, Rows, Side, Sql, Statement, Tree,
    UnevenColumn, only,
};

/// A store. The set is closed, so it is an enum.
///
/// Its threads are owned by the value and end with it.
#[derive(Debug)]
pub enum Store {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Store {
    /// The store at `url`, without touching the disk or the network. `None` if it does not keep resources. See
    /// [`Place`](super::place::Place) for relative paths.
    pub fn new(url: &StoreUrl) -> Option<Self> {
        Sqlite::new(url).map(Self::Sqlite).or_else(|| Postgres::new(url).map(Self::Postgres))
    }

    /// Changes how many connections to a server it may have.
    pub fn resize(&self, pool: usize) {
        match self {
            Self::Sqlite(_) => {}
            Self::Postgres(store) => store.resize(pool),
        }
    }

    /// Changes when writes to a file are confirmed.
    pub fn confirm(&self, durability: Durability) {
        match self {
            Self::Sqlite(store) => store.confirm(durability),
            Self::Postgres(_) => {}
        }
    }

    /// Where it is, for people, without secrets.
    pub fn place(&self) -> String {
        match self {
            Self::Sqlite(store) => {
                store.file().map_or_else(|| "a store in memory".into(), |file| file.display().to_string())
            }
            Self::Postgres(store) => store.place(),
        }
    }

    /// Its file, if it has one, whether or not it exists yet. Two stores cannot share a file.
    pub fn file(&self) -> Option<PathBuf> {
        match self {
            Self::Sqlite(store) => store.file(),
            Self::Postgres(_) => None,
        }
    }

    /// Whether both find the same tables, although they connect in different ways: as another user, or with another password.
    pub async fn is_same_database(&self, other: &Self) -> Result<bool, Error> {
        match (self, other) {
            (Self::Postgres(store), Self::Postgres(other)) => store.is_same_database(other).await,
            _ => Ok(false),
        }
    }

    /// How its SQL is written.
    pub const fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// `db.system.name` of spans and metrics.
    pub const fn system(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgresql",
        }
    }

    /// Measures it under the name it has in the current document. A store is identified by its file or URL, which may contain
    /// secrets and means little to a reader; the document may rename it while it is open.
    pub fn measure_as(&self, name: &str) {
        match self {
            Self::Sqlite(store) => store.measure_as(name),
            Self::Postgres(store) => store.measure_as(name),
        }
    }

    /// What [`Store::migrate`] would do, or why it would be refused. Creates and changes nothing. Plan
    /// all stores before the first one is prepared: then a refusal leaves every one of them as it was.
    pub async fn plan(&self, tables: &[Table], by: &By) -> Result<Planned, Vec<RefusedTable>> {
        match self {
            Self::Sqlite(store) => store.plan(tables, by).await,
            Self::Postgres(store) => store.plan(tables, by).await,
        }
    }

    /// Opens the store and migrates its tables: all of them or, if one is rejected, none. It plans again, under
    /// the lock: another process may have changed the tables since. Returns what was done.
    pub async fn migrate(&self, tables: &[Table], by: &By) -> Result<Vec<Applied>, Vec<RefusedTable>> {
        match self {
            Self::Sqlite(store) => store.migrate(tables, by).await,
            Self::Postgres(store) => store.migrate(tables, by).await,
        }
    }

    /// The same for a start or a reload that may make additive changes, and logs them.
    pub async fn prepare(&self, tables: &[Table]) -> Result<(), Vec<RefusedTable>> {
        self.migrate(tables, &By::default()).await?.iter().for_each(Applied::log);
        Ok(())
    }

    /// Copies the file of the store to a folder next to it, and returns where; `None` if it has no file.
    pub async fn backup(&self) -> Result<Option<PathBuf>, String> {
        match self {
            Self::Sqlite(store) => store.backup().await,
            Self::Postgres(_) => Ok(None),
        }
    }

    /// Runs a reading statement; `read` builds the result from the rows on the store's thread.
    pub async fn query<T: Send + 'static>(
        &self,
        statement: Statement,
        read: impl FnOnce(&mut dyn Rows) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        match self {
            Self::Sqlite(store) => store.query(statement, read).await,
            Self::Postgres(store) => store.query(statement, read).await,
        }
    }

    /// Runs a reading statement on this thread, or returns `None`: then use [`Store::read_later`]. It stops after a millisecond, and
    /// after a read that took longer it runs none for a while: this thread does not wait for a slow disk.
    ///
    /// Only for reads by primary key, whose few microseconds are less than a switch to another thread and back.
    pub fn read_now<T>(
        &self,
        statement: &Statement,
        read: impl FnOnce(&mut dyn Rows) -> Result<T, Error>,
    ) -> Option<Result<T, Error>> {
        match self {
            Self::Sqlite(store) => store.read_now(statement, read),
            Self::Postgres(_) => None,
        }
    }

    /// Runs a statement that [`Store::read_now`] did not: as [`Store::query`], and its duration decides when reads run on the
    /// caller's thread again.
    pub async fn read_later<T: Send + 'static>(
        &self,
        statement: Statement,
        read: impl FnOnce(&mut dyn Rows) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        match self {
            Self::Sqlite(store) => store.read_later(statement, read).await,
            Self::Postgres(store) => store.read(statement, read).await,
        }
    }

    /// A table whose revision can be queried.
    pub fn watch(&self, table: &str) -> Arc<Watch> {
        match self {
            Self::Sqlite(store) => store.watch(table),
            Self::Postgres(store) => store.watch(table),
        }
    }

    /// The current revision of the table, without reading it: later reads see this revision or a newer one.
    /// `None` if it is not known at once, as in PostgreSQL. Takes about two microseconds.
    pub fn revision(&self, watch: &Watch) -> Option<Revision> {
        match self {
            Self::Sqlite(store) => store.revision(watch),
            Self::Postgres(_) => None,
        }
    }

    /// Finds one row for each of `looks`, decides about them, and writes: everything or nothing, and the rows cannot change
    /// in between. `decide` may be called again with newer rows, so it has no effects of its own.
    ///
    /// Completes when the changes are on disk. A write whose future is dropped before it starts never starts;
    /// one that has started is finished. `deadline` counts from now.
    pub async fn write<T: Send + 'static>(
        &self,
        deadline: Duration,
        looks: Vec<Sql>,
        decide: impl Fn(Vec<Option<Found>>) -> Decision<T> + Send + Sync + 'static,
    ) -> Result<(T, Vec<Done>), Error> {
        let first = |rows: Vec<Found>| rows.into_iter().next();
        self.write_seeing_all(deadline, looks, move |found| decide(found.into_iter().map(first).collect())).await
    }

    /// The same for looks that may find any number of rows each.
    pub async fn write_seeing_all<T: Send + 'static>(
        &self,
        deadline: Duration,
        looks: Vec<Sql>,
        decide: impl Fn(Vec<Vec<Found>>) -> Decision<T> + Send + Sync + 'static,
    ) -> Result<(T, Vec<Done>), Error> {
        match self {
            Self::Sqlite(store) => store.write(deadline, looks, decide).await,
            Self::Postgres(store) => store.write(deadline, looks, decide).await,
        }
    }

    /// Runs one statement that writes.
    pub async fn execute(&self, deadline: Duration, statement: Sql) -> Result<Done, Error> {
        let decide = move |_| Decision::run([statement.clone()], ());
        let (_, done) = self.write(deadline, Vec::new(), decide).await?;
        done.into_iter().next().ok_or_else(|| Error::Internal("a statement was not run".into()))
    }

    /// How many rows a table has, counted up to a limit.
    pub async fn count(&self, table: &str) -> Result<Count, Error> {
        let (sql, deadline) = (hidden::count_rows(table).into(), Duration::from_secs(2));
        let statement = Statement { sql, parameters: Vec::new(), deadline };
        let found = self.query(statement, |rows| Ok(rows.next()?.map(Found::of))).await?;
        Ok(hidden::count_of(found.as_slice()))
    }

    /// Whether the store can be read now; a few microseconds.
    pub async fn health(&self) -> Result<(), Error> {
        match self {
            Self::Sqlite(store) => store.health().await,
            Self::Postgres(store) => store.health().await,
        }
    }

    /// Finishes queued jobs, cleans up the files and ends the threads. Blocks; dropping the value does the same.
    pub fn close(&self) {
        match self {
            Self::Sqlite(store) => store.close(),
            Self::Postgres(store) => store.close(),
        }
    }
}
