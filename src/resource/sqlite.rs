//! The SQLite store: one thread writes, several read, point reads need no thread, and commits are shared.

pub mod backup;
mod changes;
mod connection;
mod error;
mod file;
mod file_lock;
mod foreign_keys;
mod guard;
mod indexes;
mod job;
mod pace;
mod partial;
mod plan;
mod read_mark;
mod reader;
mod reading;
mod references;
mod retype;
mod rows;
pub mod schema;
pub mod session;
mod shared;
mod strange;
mod touched;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::config::document::process::Durability;
use crate::config::document::store_url::StoreUrl;

use self::connection::Location;
use self::job::{ReadJob, Work};
use self::pace::Pace;
use self::schema::SqliteCatalog;
use self::shared::Shared;
use self::touched::Touched;
use super::contract::{Decision, Done, Error, Found, Planned, RefusedTable, Rows, Sql, Statement, after};
use super::migrate::By;
use super::migrate::apply::{self, Applied};
use super::queue::Rejected;
use super::table::Table;
use super::watch::{Revision, Watch};

use self::rows::Writer;

/// How long migrating the tables may take.
const PREPARE: Duration = Duration::from_secs(30);
/// The same for a command.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// One database file (or one in memory) and the threads that work on it. They start with the first use.
#[derive(Debug)]
pub struct Sqlite {
    shared: Arc<Shared>,
    started: AtomicBool,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Sqlite {
    /// The store at `url`, if it is one of these; nothing is opened.
    pub fn new(url: &StoreUrl) -> Option<Self> {
        Some(Self {
            shared: Arc::new(Shared::new(Location::of(url)?)),
            started: AtomicBool::new(false),
            threads: Mutex::new(Vec::new()),
        })
    }

    /// See [`Store::file`](super::store::Store::file).
    pub fn file(&self) -> Option<PathBuf> {
        match self.shared.location() {
            Location::File(path) => Some(file_lock::real(&std::path::absolute(path).unwrap_or_else(|_| path.clone()))),
            Location::Memory => None,
        }
    }

    /// See [`Store::plan`](super::store::Store::plan).
    pub async fn plan(&self, tables: &[Table], by: &By) -> Result<Planned, Vec<RefusedTable>> {
        let (tables, by) = (tables.to_vec(), by.clone());
        let planned = if self.shared.has_its_file() {
            // In turn with the writes that are queued, and seeing a lock that would be in their way.
            self.work(patience(&by), move |writer| rehearse(writer, &tables, &by)).await
        } else {
            let shared = Arc::clone(&self.shared);
            let planned = tokio::task::spawn_blocking(move || plan::plan(&shared, &tables, &by)).await;
            planned.unwrap_or_else(|_| Err(Error::Internal("planning panicked".into())))
        };
        planned.unwrap_or_else(|error| Err(RefusedTable::unusable(&error)))
    }

    /// See [`Store::migrate`](super::store::Store::migrate). The file is created when it is not there.
    pub async fn migrate(&self, tables: &[Table], by: &By) -> Result<Vec<Applied>, Vec<RefusedTable>> {
        let creating = Creating::begin(&self.shared);
        let (tables, patience, by) = (tables.to_vec(), patience(by), by.clone());
        let job = move |writer: &mut Writer<'_>| apply::prepare(writer, &SqliteCatalog, &tables, &by);
        let changed = self.work(patience, job).await;
        drop(creating);
        self.shared.altered();
        changed.unwrap_or_else(|error| Err(RefusedTable::unusable(&error)))
    }

    /// See [`Store::backup`](super::store::Store::backup).
    pub async fn backup(&self) -> Result<Option<PathBuf>, String> {
        let Location::File(path) = self.shared.location().clone() else { return Ok(None) };
        let copied = tokio::task::spawn_blocking(move || backup::before_a_loss(&path)).await;
        copied.unwrap_or_else(|_| Err("the backup panicked".to_owned())).map(Some)
    }

    /// See [`Store::query`](super::store::Store::query).
    pub async fn query<T: Send + 'static>(
        &self,
        statement: Statement,
        read: impl FnOnce(&mut dyn Rows) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.read(statement, read, None).await
    }

    /// See [`Store::read_later`](super::store::Store::read_later).
    pub async fn read_later<T: Send + 'static>(
        &self,
        statement: Statement,
        read: impl FnOnce(&mut dyn Rows) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.read(statement, read, Some(Arc::clone(&self.shared.pace))).await
    }

    async fn read<T: Send + 'static>(
        &self,
        statement: Statement,
        read: impl FnOnce(&mut dyn Rows) -> Result<T, Error> + Send + 'static,
        pace: Option<Arc<Pace>>,
    ) -> Result<T, Error> {
        self.start()?;
        let (answer, value) = oneshot::channel();
        let expires = after(statement.deadline);
        let job: ReadJob = Box::new(move |connection| {
            if answer.is_closed() {
                return Ok(());
            }
            let started = Instant::now();
            let value = connection.and_then(|connection| match started < expires {
                true => connection.read(&statement, expires, read),
                false => Err(Error::Deadline),
            });
            if let Some(pace) = pace {
                pace.there(started.elapsed());
            }
            let broken = match &value {
                Err(error @ Error::Unavailable(_)) => Err(error.clone()),
                _ => Ok(()),
            };
            let _ = answer.send(value);
            broken
        });
        self.shared.reads.put(job).map_err(rejected)?;
        value.await.map_err(|_| closed())?
    }

    /// See [`Store::read_now`](super::store::Store::read_now).
    pub fn read_now<T>(
        &self,
        statement: &Statement,
        read: impl FnOnce(&mut dyn Rows) -> Result<T, Error>,
    ) -> Option<Result<T, Error>> {
        self.shared.read_now(statement, read)
    }

    /// See [`Store::watch`](super::store::Store::watch).
    pub fn watch(&self, table: &str) -> Arc<Watch> {
        self.shared.changes.watch(table)
    }

    /// See [`Store::revision`](super::store::Store::revision).
    pub fn revision(&self, watch: &Watch) -> Option<Revision> {
        self.shared.revision(watch)
    }

    /// See [`Store::write`](super::store::Store::write).
    pub async fn write<T: Send + 'static>(
        &self,
        deadline: Duration,
        looks: Vec<Sql>,
        decide: impl Fn(Vec<Vec<Found>>) -> Decision<T> + Send + 'static,
    ) -> Result<(T, Vec<Done>), Error> {
        let job = move |writer: &mut Writer<'_>| {
            let found = looks.iter().map(|look| writer.all(look)).collect::<Result<_, _>>()?;
            let Decision { statements, value, check, none, trees } = decide(found);
            let run = |(at, statement): (usize, &Sql)| {
                let done = match (writer.run(statement), trees.iter().find(|tree| tree.at == at)) {
                    (Err(Error::Referenced(_)), Some(tree)) => return Err(writer.why_referenced(statement, tree)?),
                    (Err(Error::Referenced(_)), None) => return Err(writer.unsatisfied(statement)?),
                    (done, _) => done?,
                };
                done.counts_none(at, &none).map(|()| done)
            };
            let done = statements.iter().enumerate().map(run).collect::<Result<Vec<_>, _>>()?;
            check.map_or(Ok(()), |check| check(&done))?;
            Ok((value, done))
        };
        self.work(deadline, job).await
    }

    /// Runs a job on the writer's thread, in a transaction that it may share with others; again, if that cannot be committed.
    async fn work<T: Send + 'static>(
        &self,
        deadline: Duration,
        job: impl FnMut(&mut Writer<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.start()?;
        let (answer, value) = oneshot::channel();
        let job = Work::new(after(deadline), job, answer);
        self.shared.writes.put(Box::new(job)).map_err(rejected)?;
        value.await.map_err(|_| closed())?
    }

    /// See [`Store::health`](super::store::Store::health).
    pub async fn health(&self) -> Result<(), Error> {
        let statement =
            Statement { sql: Arc::clone(&self.shared.probe), parameters: Vec::new(), deadline: Duration::from_secs(2) };
        if self.shared.is_doubtful() {
            return Err(Error::Unavailable("the last write failed".into()));
        }
        self.shared.suspect();
        self.query(statement, |rows| rows.next().map(|_| ())).await
    }

    /// See [`Store::measure_as`](super::store::Store::measure_as).
    pub fn measure_as(&self, name: &str) {
        self.shared.measure_as(name);
    }

    /// See [`Store::confirm`](super::store::Store::confirm).
    pub fn confirm(&self, durability: Durability) {
        self.shared.confirm(durability);
    }

    /// See [`Store::close`](super::store::Store::close).
    pub fn close(&self) {
        self.shared.close();
        let mut threads = self.threads.lock();
        for thread in threads.drain(..) {
            let _ = thread.join();
        }
        self.shared.release();
    }

    /// Starts the threads, once.
    fn start(&self) -> Result<(), Error> {
        if self.started.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut threads = self.threads.lock();
        if self.started.load(Ordering::Acquire) {
            return Ok(());
        }
        let spawn = |name: &str, work: Box<dyn FnOnce(&Shared) + Send>| {
            let shared = Arc::clone(&self.shared);
            thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || work(&shared))
                .map_err(|error| Error::Unavailable(format!("cannot start a thread: {error}")))
        };
        if threads.is_empty() {
            threads.push(spawn("sqlite-write", Box::new(writer::run))?);
        }
        // One that could not start leaves those before it at work; the next call tries again.
        for number in (threads.len() - 1)..self.shared.readers() {
            threads.push(spawn("sqlite-read", Box::new(move |shared| reader::run(shared, number)))?);
        }
        self.started.store(true, Ordering::Release);
        Ok(())
    }
}

impl Drop for Sqlite {
    /// The threads finish what is queued and fold the log into the file: nothing that a thread of a runtime waits for.
    /// A runtime that ends waits for them.
    fn drop(&mut self) {
        self.shared.close();
        let threads = std::mem::take(self.threads.get_mut());
        let join = move || threads.into_iter().for_each(|thread| drop(thread.join()));
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(join)),
            Err(_) => join(),
        }
    }
}

/// While it exists, a missing file may be created; also when the future that made it is dropped.
struct Creating<'a>(&'a Shared);

impl<'a> Creating<'a> {
    fn begin(shared: &'a Shared) -> Self {
        shared.may_create(true);
        Self(shared)
    }
}

impl Drop for Creating<'_> {
    fn drop(&mut self) {
        self.0.may_create(false);
    }
}

/// A command may take as long as it takes; a start and a reload may not.
const fn patience(by: &By) -> Duration {
    if by.is_command() { LONGEST } else { PREPARE }
}

/// What migrating the tables would do. Nothing is changed, so no table counts as written to.
fn rehearse(writer: &Writer<'_>, tables: &[Table], by: &By) -> Result<Result<Planned, Vec<RefusedTable>>, Error> {
    let mut trial = Writer { connection: writer.connection, touched: &mut Touched::default() };
    apply::rehearse(&mut trial, &SqliteCatalog, tables, by)
}

fn closed() -> Error {
    Error::Unavailable("the store was closed".into())
}

fn rejected(why: Rejected) -> Error {
    match why {
        Rejected::Full => Error::Busy,
        Rejected::Closed => closed(),
    }
}

#[cfg(test)]
mod tests;
