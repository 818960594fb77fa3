//! Detects writes: our own commits by table, and commits of other programs as SQLite reports them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use uuid::Uuid;

use super::connection::Open;
use super::touched::Touched;
use crate::resource::contract::Error;
use crate::resource::watch::{Revision, Watch};

/// What is watched of a store.
///
/// `PRAGMA data_version` changes on a connection when another one commits, ours or not. So one connection is kept for
/// looking; each of our own commits looks too, and then checks the writer's connection, on which the number changes
/// with other programs' commits alone.
#[derive(Debug)]
pub struct Changes {
    store: u128,
    others: AtomicU64,
    tables: Mutex<HashMap<String, Arc<Watch>>>,
    lookout: Mutex<Option<Open>>,
}

impl Changes {
    pub fn new() -> Self {
        Self {
            store: Uuid::new_v4().as_u128(),
            others: AtomicU64::new(0),
            tables: Mutex::default(),
            lookout: Mutex::default(),
        }
    }

    pub fn watch(&self, table: &str) -> Arc<Watch> {
        Arc::clone(self.tables.lock().entry(table.to_owned()).or_default())
    }

    /// Notes that anything may have been written.
    pub fn unknown(&self) {
        self.others.fetch_add(1, Ordering::AcqRel);
    }

    /// The revision of a table in memory, which no other process can write to.
    pub fn own(&self, watch: &Watch) -> Revision {
        Revision { store: self.store, others: self.others.load(Ordering::Acquire), table: watch.commits() }
    }

    /// The revision of a table; `None` if there is no connection of this `generation` to look with.
    pub fn revision(&self, watch: &Watch, generation: u64) -> Option<Revision> {
        let table = watch.commits();
        let lookout = self.lookout.lock();
        let open = lookout.as_ref().filter(|open| open.generation == generation)?;
        match open.foreign_commits() {
            Ok(false) => {}
            Ok(true) => self.unknown(),
            Err(_) => return None,
        }
        Some(Revision { table, ..self.own(watch) })
    }

    /// Whether there is a connection to look with.
    pub fn is_watched(&self, generation: u64) -> bool {
        self.lookout.lock().as_ref().is_some_and(|open| open.generation == generation)
    }

    /// Uses this connection to detect commits from now on.
    pub fn look_with(&self, open: Open) {
        let mut lookout = self.lookout.lock();
        let _ = open.foreign_commits();
        self.unknown();
        *lookout = Some(open);
    }

    pub fn look_no_more(&self) {
        *self.lookout.lock() = None;
    }

    /// Commits what `writer` did without changing a row: nothing counts as written to, whoever looks meanwhile.
    pub fn quietly(&self, writer: &Open, commit: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
        let lookout = self.lookout.lock();
        let look = || lookout.as_ref().map_or(Ok(false), Open::foreign_commits);
        if look() != Ok(false) {
            self.unknown();
        }
        let committed = commit();
        if !matches!((look(), writer.foreign_commits()), (Ok(_), Ok(false))) {
            self.unknown();
        }
        committed
    }

    /// Notes a commit that `writer` has just made.
    pub fn committed(&self, writer: &Open, touched: &Touched) {
        let lookout = self.lookout.lock();
        // It shows this commit; the writer's connection shows a foreign one at the same time.
        let looked = lookout.as_ref().map_or(Ok(false), Open::foreign_commits);
        if !matches!((looked, writer.foreign_commits()), (Ok(_), Ok(false))) || touched.any {
            self.unknown();
        }
        let tables = self.tables.lock();
        touched.tables.iter().filter_map(|table| tables.get(table)).for_each(|watch| watch.wrote());
    }
}

impl Open {
    /// Whether another connection changed the database since the last call.
    pub fn foreign_commits(&self) -> Result<bool, Error> {
        let mut statement = self.connection.prepare_cached("PRAGMA data_version")?;
        let version: i64 = statement.query_row([], |row| row.get(0))?;
        Ok(self.version.replace(Some(version)) != Some(version))
    }
}
