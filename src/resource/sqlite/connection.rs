//! One connection to the database file: where it is, how it is set up, and its clock.

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::file_lock::FileLock;
use super::guard::guarded;
use super::rows;
use crate::config::document::process::Durability;
use crate::config::document::store_url::{StoreKind, StoreUrl};
use crate::resource::contract::{Error, Rows, Statement};

/// Statements kept prepared on each connection.
const CACHE: usize = 128;
/// How many steps of its virtual machine SQLite runs between two looks at the clock: some tens of microseconds.
const STEPS: i32 = 4096;
/// `busy_timeout` comes first, so that the rest may wait for a lock. The WAL is folded into the file in idle moments;
/// the 4000 pages (16 MiB) are for stores that have none. `LIKE` is as strict as PostgreSQL's.
const SETTINGS: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -16000;
    PRAGMA journal_size_limit = 67108864;
    PRAGMA wal_autocheckpoint = 4000;
    PRAGMA trusted_schema = OFF;
    PRAGMA case_sensitive_like = ON;
    PRAGMA mmap_size = 0;
";

/// Where the database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    File(PathBuf),
    Memory,
}

impl Location {
    /// Where the database of `url` is, if it is one of SQLite.
    pub fn of(url: &StoreUrl) -> Option<Self> {
        match &url.store {
            StoreKind::SqliteFile(path) => Some(Self::File(path.clone())),
            StoreKind::SqliteMemory => Some(Self::Memory),
            StoreKind::Postgres | StoreKind::Redis => None,
        }
    }
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// For the writer thread. It waits for locks in short turns, to notice expired jobs in between.
    Write,
    /// For a reader thread.
    Read,
    /// For reads on the caller's thread: waits for nothing.
    Now,
}

/// An open connection.
#[derive(Debug)]
pub struct Open {
    pub connection: Connection,
    clock: Arc<Clock>,
    /// Which incarnation of the file it is open on.
    pub generation: u64,
    /// What its commits survive.
    durability: Cell<Durability>,
    /// The last value of `PRAGMA data_version`.
    pub version: Cell<Option<i64>>,
    /// Fast reads on it since the last slow one, see [`Pace`](super::pace::Pace).
    pub fast: Cell<u32>,
    /// What keeps others from its file; after the connection, so that it ends later.
    pub lock: Option<Arc<FileLock>>,
}

/// When the running statement must end. SQLite checks it while it works.
#[derive(Debug)]
struct Clock {
    start: Instant,
    /// Milliseconds after `start`.
    expires: AtomicU64,
    stop: Arc<AtomicBool>,
}

impl Clock {
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || millis(self.start.elapsed()) >= self.expires.load(Ordering::Relaxed)
    }
}

pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Open {
    /// Opens and sets up. `stop` ends its running statement; without `create` a missing file is an error.
    pub fn new(
        location: &Location,
        role: Role,
        create: bool,
        generation: u64,
        stop: &Arc<AtomicBool>,
    ) -> Result<Self, Error> {
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        flags.set(OpenFlags::SQLITE_OPEN_CREATE, create);
        let mut connection = match location {
            Location::File(path) => Connection::open_with_flags(path, flags)?,
            Location::Memory => Connection::open_in_memory()?,
        };
        connection.busy_timeout(match role {
            Role::Write => Duration::from_millis(250),
            Role::Read => Duration::from_secs(1),
            Role::Now => Duration::ZERO,
        })?;
        connection.execute_batch(SETTINGS)?;
        // Otherwise SQLite reads `"name"` as a text if another program has renamed that column.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
        if *location != Location::Memory {
            if role == Role::Write {
                // SQLite opens lazily: this is where a file that is not a database is noticed.
                connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
            } else {
                connection.pragma_update(None, "query_only", true)?;
            }
            if !create {
                connection
                    .query_row("SELECT count(*) FROM _gw_schema", [], |_| Ok(()))
                    .map_err(|_| Error::Unavailable("the database file is not the one that was prepared".into()))?;
            }
        }
        connection.set_prepared_statement_cache_capacity(CACHE);
        let clock =
            Arc::new(Clock { start: Instant::now(), expires: AtomicU64::new(u64::MAX), stop: Arc::clone(stop) });
        let asked = Arc::clone(&clock);
        connection.progress_handler(STEPS, Some(move || asked.is_over()))?;
        let (durability, version, fast) = (Cell::new(Durability::Power), Cell::new(None), Cell::new(0));
        Ok(Self { connection, clock, generation, durability, version, fast, lock: None })
    }

    /// Changes what the next commits survive. Not within a transaction.
    pub fn confirm(&self, durability: Durability) -> Result<(), Error> {
        if self.durability.get() != durability {
            // In WAL mode, FULL syncs the log at each commit, and NORMAL only before it is folded into the file.
            let synchronous = if durability == Durability::Power { "FULL" } else { "NORMAL" };
            self.connection.pragma_update(None, "synchronous", synchronous)?;
            self.durability.set(durability);
        }
        Ok(())
    }

    /// Makes statements end with [`Error::Deadline`] at `expires`; `None` means never.
    pub fn until(&self, expires: Option<Instant>) {
        let millis = expires.map_or(u64::MAX, |at| millis(at.saturating_duration_since(self.clock.start)));
        self.clock.expires.store(millis, Ordering::Relaxed);
    }

    /// Runs a reading statement, which ends with [`Error::Deadline`] at `expires`.
    pub fn read<T>(
        &self,
        statement: &Statement,
        expires: Instant,
        read: impl FnOnce(&mut dyn Rows) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.until(Some(expires));
        guarded(|| rows::query(&self.connection, &statement.sql, &statement.parameters, read))
    }
}
