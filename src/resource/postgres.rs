//! The PostgreSQL store: statements run on the thread of the request, over a few connections that it keeps.

mod connect;
mod counter;
mod error;
mod foreign_keys;
pub mod indexes;
mod lease;
mod live;
mod migration;
mod pools;
mod rows;
pub mod schema;
pub mod session;
mod sharing;
mod strange;
mod transaction;
mod violated;

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use tokio::runtime::Handle;
use tokio::time::timeout_at;
use tokio_postgres::Row as PgRow;

use self::error::Remedy;
use self::lease::Lease;
use self::migration::Job;
use self::pools::Pools;
use self::rows::Received;
use self::session::Direct;
use self::sharing::STALLED;
use self::transaction::Failure;
use super::contract::{Decision, Done, Error, Found, Param, Planned, RefusedTable, Rows, Sql, Statement, after};
use super::load::{Load, Measures};
use super::migrate::By;
use super::migrate::apply::Applied;
use super::table::{Index, Table};
use super::watch::Watch;
use crate::config::document::postgres_url::PostgresUrl;
use crate::config::document::store_url::{StoreKind, StoreUrl};

/// How often a transaction that lost against others runs, at most.
const TRIES: usize = 4;
/// The same if others added rows to those that it is about: each of them counts once.
const OVERTAKES: usize = 64;

/// One database.
pub struct Postgres {
    shared: Arc<Shared>,
    measures: ArcSwapOption<Measures>,
    /// The schema in which it found its tables.
    schema: OnceLock<String>,
}

struct Shared {
    /// Or why its URL or its certificates cannot be used.
    pools: Result<Pools, String>,
    /// Statements are prepared until it turns out that a connection pooler loses them.
    prepared: AtomicBool,
}

impl Postgres {
    /// The store at `url`, if it is one of these; nothing is connected.
    pub fn new(url: &StoreUrl) -> Option<Self> {
        if url.store != StoreKind::Postgres {
            return None;
        }
        let url = PostgresUrl::read(url.expose(), |name| std::env::var(name).ok());
        let ready = url.map_err(|(message, _)| message.to_owned()).and_then(|url| Ok((connect::tls(&url)?, url)));
        let pools = ready.map(|(tls, url)| Pools::new(url, tls));
        let shared = Shared { pools, prepared: AtomicBool::new(true) };
        Some(Self { shared: Arc::new(shared), measures: ArcSwapOption::empty(), schema: OnceLock::new() })
    }

    /// Where it is, without secrets.
    pub fn place(&self) -> String {
        self.shared.pools.as_ref().map(Pools::place).unwrap_or_default()
    }

    /// See [`Store::is_same_database`](super::store::Store::is_same_database).
    pub async fn is_same_database(&self, other: &Self) -> Result<bool, Error> {
        if self.shared.pools()?.database() != other.shared.pools()?.database() {
            return Ok(false);
        }
        // The schema may have the name of the user.
        let own = self.schema().await?;
        // It is known since that store was opened, with a password that may not be valid any more.
        Ok(other.schema().await.is_ok_and(|others| own == others))
    }

    /// In which schema it finds tables.
    async fn schema(&self) -> Result<String, Error> {
        if let Some(known) = self.schema.get() {
            return Ok(known.clone());
        }
        let sql = "SELECT current_schema()::text";
        let statement = Statement { sql: sql.into(), parameters: Vec::new(), deadline: Duration::from_secs(5) };
        let found = self.query(statement, |rows| Ok(rows.next()?.map(|row| row.cell(0).owned()))).await?;
        let Some(Param::Text(name)) = found else {
            return Err(Error::Internal("no schema of `search_path` exists".into()));
        };
        Ok(self.schema.get_or_init(|| name).clone())
    }

    /// A connection outside the pools, for a command. Not for threads of a runtime.
    pub fn session(&self, runtime: &Handle) -> Result<Direct, Error> {
        Direct::open(self.shared.pools()?, runtime)
    }

    /// See [`Store::resize`](super::store::Store::resize).
    pub fn resize(&self, most: usize) {
        self.shared.pools.iter().for_each(|pools| pools.resize(most));
    }

    /// See [`Store::plan`](super::store::Store::plan).
    pub async fn plan(&self, tables: &[Table], by: &By) -> Result<Planned, Vec<RefusedTable>> {
        self.shared.migrate(tables, by, migration::plan).await
    }

    /// See [`Store::migrate`](super::store::Store::migrate).
    pub async fn migrate(&self, tables: &[Table], by: &By) -> Result<Vec<Applied>, Vec<RefusedTable>> {
        let live = if by.is_command() { self.shared.migrate(tables, by, migration::live).await? } else { Vec::new() };
        let built = if live.is_empty() { Vec::new() } else { self.shared.build(live).await? };
        let applied = self.shared.migrate(tables, by, migration::apply).await;
        let applied = applied.map(|applied| built.into_iter().chain(applied).collect());
        if applied.is_ok() && self.schema().await.is_err() {
            tracing::debug!("the schema of the store is not known");
        }
        applied
    }

    /// See [`Store::query`](super::store::Store::query). A read whose connection turns out to be dead runs on another one.
    pub async fn query<T: Send + 'static>(
        &self,
        statement: Statement,
        read: impl FnOnce(&mut dyn Rows) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let until = after(statement.deadline);
        self.query_until(until, statement, read).await
    }

    /// See [`Store::read_later`](super::store::Store::read_later). Only for reads by primary key.
    pub async fn read<T: Send + 'static>(
        &self,
        statement: Statement,
        read: impl FnOnce(&mut dyn Rows) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let until = after(statement.deadline);
        match self.shared.read_with_others(&statement, until).await? {
            Some(rows) => read(&mut Received::new(rows)),
            None => self.query_until(until, statement, read).await,
        }
    }

    async fn query_until<T: Send + 'static>(
        &self,
        until: Instant,
        statement: Statement,
        read: impl FnOnce(&mut dyn Rows) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let mut tries = 0..TRIES;
        let mut lease = self.shared.lease(until).await?;
        loop {
            let prepared = self.shared.prepared.load(Relaxed);
            let run = transaction::run(&lease, prepared, &statement.sql, &statement.parameters);
            let failure = match timeout_at(until.into(), run).await {
                Err(_) => return Err(Error::Deadline),
                Ok(Ok((rows, _))) => {
                    lease.finish();
                    drop(lease);
                    return read(&mut Received::new(rows));
                }
                Ok(Err(failure)) => failure,
            };
            if failure.remedy != Remedy::Connect {
                lease.finish();
            }
            self.shared.learn(&lease, &failure);
            if failure.remedy == Remedy::None || tries.next().is_none() {
                return Err(failure.error);
            }
            // Statements that are out of date are prepared again on this connection: others have some of their own.
            if failure.remedy == Remedy::Connect {
                drop(lease);
                lease = self.shared.lease(until).await?;
            }
            lease.begin();
        }
    }

    /// See [`Store::write`](super::store::Store::write).
    pub async fn write<T: Send + 'static>(
        &self,
        deadline: Duration,
        looks: Vec<Sql>,
        decide: impl Fn(Vec<Vec<Found>>) -> Decision<T> + Send + Sync + 'static,
    ) -> Result<(T, Vec<Done>), Error> {
        let (until, started) = (after(deadline), Instant::now());
        // If the caller leaves while it waits for a connection, nothing has started. From here on, it is finished.
        let lease = self.shared.lease(until).await?;
        let shared = Arc::clone(&self.shared);
        let work = tokio::spawn(async move { shared.write(lease, until, &looks, &decide).await });
        let written = work.await.unwrap_or_else(|_| Err(Error::Internal("a write panicked".into())));
        if let (Ok(_), Some(measures)) = (&written, &*self.measures.load()) {
            measures.committed(started.elapsed());
        }
        written
    }

    /// See [`Store::watch`](super::store::Store::watch). Other gateways write to the table too: only a statement tells the revision.
    pub fn watch(&self, _table: &str) -> Arc<Watch> {
        Arc::default()
    }

    /// See [`Store::health`](super::store::Store::health).
    pub async fn health(&self) -> Result<(), Error> {
        let statement = Statement { sql: "SELECT 1".into(), parameters: Vec::new(), deadline: Duration::from_secs(2) };
        self.query(statement, |rows| rows.next().map(|_| ())).await
    }

    /// See [`Store::measure_as`](super::store::Store::measure_as).
    pub fn measure_as(&self, name: &str) {
        if self.measures.load().as_ref().is_none_or(|measures| !measures.is_of(name)) {
            let shared = Arc::downgrade(&self.shared);
            let load = move || shared.upgrade().map(|shared| shared.load()).unwrap_or_default();
            self.measures.store(Some(Arc::new(Measures::new(name, load))));
        }
    }

    /// See [`Store::close`](super::store::Store::close).
    pub fn close(&self) {
        self.shared.pools.iter().for_each(Pools::close);
    }
}

impl Shared {
    fn pools(&self) -> Result<&Pools, Error> {
        self.pools.as_ref().map_err(|reason| Error::Unavailable(reason.clone()))
    }

    async fn lease(&self, until: Instant) -> Result<Lease, Error> {
        self.pools()?.lease(until).await
    }

    /// Runs a read on a connection with others. `None` if it has to run again on one of its own.
    async fn read_with_others(&self, statement: &Statement, until: Instant) -> Result<Option<Vec<PgRow>>, Error> {
        // A connection pooler that loses prepared statements may not expect the next statement before the response either.
        if !self.prepared.load(Relaxed) {
            return Ok(None);
        }
        let share = self.pools()?.share(until).await?;
        let ran = {
            let mut run = pin!(transaction::run(&share, true, &statement.sql, &statement.parameters));
            loop {
                match timeout_at(until.min(after(STALLED)).into(), &mut run).await {
                    Ok(ran) => break ran,
                    Err(_) if Instant::now() >= until => return Err(Error::Deadline),
                    Err(_) if share.progresses() => {}
                    Err(_) => return Ok(None),
                }
            }
        };
        match ran {
            Ok((rows, _)) => {
                share.finish();
                Ok(Some(rows))
            }
            Err(failure) => {
                self.learn(&share, &failure);
                if failure.remedy != Remedy::Connect {
                    share.finish();
                }
                if failure.remedy == Remedy::None { Err(failure.error) } else { Ok(None) }
            }
        }
    }

    async fn migrate<T: Send + 'static>(&self, tables: &[Table], by: &By, job: Job<T>) -> Result<T, Vec<RefusedTable>> {
        let run = async { migration::run(self.pools()?, tables, by, job).await };
        run.await.unwrap_or_else(|error| Err(RefusedTable::unusable(&error)))
    }

    /// Creates indexes outside a transaction.
    async fn build(&self, indexes: Vec<(String, Index)>) -> Result<Vec<Applied>, Vec<RefusedTable>> {
        let built = async { live::build(self.pools()?, indexes).await };
        built.await.map_err(|error| RefusedTable::unusable(&error))
    }

    async fn write<T>(
        &self,
        mut lease: Lease,
        until: Instant,
        looks: &[Sql],
        decide: &(dyn Fn(Vec<Vec<Found>>) -> Decision<T> + Send + Sync),
    ) -> Result<(T, Vec<Done>), Error> {
        let (mut tries, mut overtakes, mut missing) = (0..TRIES, 0..OVERTAKES, u32::MAX);
        loop {
            let run = transaction::write(&lease, self.prepared.load(Relaxed), looks, decide);
            let failure = match timeout_at(until.into(), run).await {
                Err(_) => return Err(Error::Deadline),
                Ok(Ok(written)) => {
                    lease.finish();
                    return Ok(written);
                }
                Ok(Err(failure)) => failure,
            };
            if failure.remedy == Remedy::Connect {
                return Err(failure.error);
            }
            if failure.open && !matches!(timeout_at(until.into(), lease.batch_execute("ROLLBACK")).await, Ok(Ok(()))) {
                return Err(failure.error);
            }
            lease.finish();
            self.learn(&lease, &failure);
            let again = match (failure.remedy, &failure.error) {
                (Remedy::None, _) => false,
                (Remedy::Overtaken, _) => overtakes.next().is_some(),
                // Again as long as it finds more of what other transactions have inserted; otherwise the value is taken.
                (_, Error::Unique(_)) => failure.missing < std::mem::replace(&mut missing, failure.missing),
                _ => tries.next().is_some(),
            };
            lease.begin();
            if !again {
                return Err(self.explained(lease, until, failure).await);
            }
        }
    }

    /// The error of a write that has ended, with the columns of its foreign key.
    async fn explained(&self, mut lease: Lease, until: Instant, failure: Failure) -> Error {
        let Failure { mut error, key: Some(violated), .. } = failure else {
            lease.finish();
            return failure.error;
        };
        if let Error::Referenced(key) = &mut error
            && timeout_at(until.into(), transaction::explain(&lease, self.prepared.load(Relaxed), &violated, key))
                .await
                .is_err()
        {
            return error;
        }
        lease.finish();
        error
    }

    /// Draws the conclusion from a failure about prepared statements.
    fn learn(&self, lease: &Lease, failure: &Failure) {
        if !matches!(failure.remedy, Remedy::Prepare | Remedy::Unprepared) {
            return;
        }
        lease.statement_cache.clear();
        if failure.remedy == Remedy::Unprepared && self.prepared.swap(false, Relaxed) {
            tracing::warn!("prepared statements are lost by a connection pooler, so they are no longer used");
        }
    }

    fn load(&self) -> Load {
        self.pools.as_ref().map(Pools::load).unwrap_or_default()
    }
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Postgres").finish_non_exhaustive()
    }
}
