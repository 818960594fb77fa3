//! The interface of a store to resources: prepared SQL with bound values, and migrations of tables.

use crate::config::document::store_url::StoreUrl;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::sqlite::Sqlite;
use super::table::Table;
use super::watch::{Revision, Watch};

pub use super::contract::{
    Cause, Cell, Count, Error, HiddenColumn, Param, Planned, RefusedTable, Row, Rows, Statement, UnevenColumn,
};
pub use super::sqlite::Writer;

/// A store. The set is closed, so it is an enum.
///
/// Its threads are owned by the value and end with it.
#[derive(Debug)]
pub enum Store {
    Sqlite(Sqlite),
}

impl Store {
    /// The store at `url`, without touching the disk. `None` for a kind that is not implemented. See
    /// [`Place`](super::place::Place) for relative paths.
    pub fn new(url: &StoreUrl) -> Option<Self> {
        Sqlite::new(url).map(Self::Sqlite)
    }

    /// Its file, if it has one, whether or not it exists yet. Two stores cannot share a file.
    pub fn file(&self) -> Option<PathBuf> {
        match self {
            Self::Sqlite(store) => store.file(),
        }
    }

    /// `db.system.name` of spans and metrics.
    pub const fn system(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
        }
    }

    /// Measures it under the name it has in the current document. A store is identified by its file or URL, which may contain
    /// secrets and means little to a reader; the document may rename it while it is open.
    pub fn measure_as(&self, name: &str) {
        match self {
            Self::Sqlite(store) => store.measure_as(name),
        }
    }

    /// What [`Store::prepare`] would do, or why it would be refused. Creates and changes nothing. Plan
    /// all stores before the first one is prepared: then a refusal leaves every one of them as it was.
    pub async fn plan(&self, tables: &[Table]) -> Result<Planned, Vec<RefusedTable>> {
        match self {
            Self::Sqlite(store) => store.plan(tables).await,
        }
    }

    /// Opens the store and migrates its tables: all of them or, if one is rejected, none. It plans again, under
    /// the lock: another process may have changed the tables since.
    pub async fn prepare(&self, tables: &[Table]) -> Result<(), Vec<RefusedTable>> {
        match self {
            Self::Sqlite(store) => store.prepare(tables).await,
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
        }
    }

    /// A table whose revision can be queried.
    pub fn watch(&self, table: &str) -> Arc<Watch> {
        match self {
            Self::Sqlite(store) => store.watch(table),
        }
    }

    /// The current revision of the table, without reading it: later reads see this revision or a newer one.
    /// `None` if it is not known at once. Takes about two microseconds.
    pub fn revision(&self, watch: &Watch) -> Option<Revision> {
        match self {
            Self::Sqlite(store) => store.revision(watch),
        }
    }

    /// Runs one job that writes. All its statements happen or, when it returns an error, none of them.
    ///
    /// Completes when the job is on disk. A job whose future is dropped before it starts never starts;
    /// one that has started is finished. `deadline` counts from now.
    pub async fn write<T: Send + 'static>(
        &self,
        deadline: Duration,
        job: impl FnOnce(&mut Writer<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        match self {
            Self::Sqlite(store) => store.write(deadline, job).await,
        }
    }

    /// How many rows a table has, counted up to a limit.
    pub async fn count(&self, table: &str) -> Result<Count, Error> {
        match self {
            Self::Sqlite(store) => store.count(table).await,
        }
    }

    /// Whether the store can be read now; a few microseconds.
    pub async fn health(&self) -> Result<(), Error> {
        match self {
            Self::Sqlite(store) => store.health().await,
        }
    }

    /// Finishes queued jobs, cleans up the files and ends the threads. Blocks; dropping the value does the same.
    pub fn close(&self) {
        match self {
            Self::Sqlite(store) => store.close(),
        }
    }
}
