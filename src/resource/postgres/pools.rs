//! Connections to one server: a pool for each runtime that uses it, so that a statement is sent, and its rows are received, on
//! the thread of the request.

use std::collections::HashMap;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use deadpool_postgres::{Manager, ManagerConfig, Pool, PoolError, QueueMode, RecyclingMethod, Runtime, Timeouts};
use parking_lot::{Mutex, RwLock};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::reasons;
use super::lease::Lease;
use super::sharing::{Share, Sharing};
use crate::config::document::postgres_url::PostgresUrl;
use crate::resource::contract::Error;
use crate::resource::load::Load;

/// The maximum number of connections, unless the document says otherwise.
pub const MOST: usize = 16;
/// The connections of the process besides: the admin API counts and asks for health.
const FOR_THE_PROCESS: usize = 2;
/// A request waits at most this long for a connection.
const PATIENCE: Duration = Duration::from_secs(2);
/// Opening a connection takes at most this long.
const OPENING: Duration = Duration::from_secs(5);
/// Connections are closed after this long without use, and at this age in any case.
const IDLE: Duration = Duration::from_secs(5 * 60);
const OLDEST: Duration = Duration::from_secs(30 * 60);
/// How often old connections are looked for.
const SWEEP: Duration = Duration::from_secs(10);

/// The pools of one store.
pub struct Pools {
    url: PostgresUrl,
    tls: MakeRustlsConnect,
    /// How many connections the pools of the workers may have together; each has at least one.
    most: AtomicUsize,
    pools: RwLock<HashMap<Home, Arc<HomePool>>>,
    closed: AtomicBool,
}

struct HomePool {
    pool: Pool,
    sharing: Sharing,
    swept: Mutex<Instant>,
}

/// Where a pool belongs: connections are served by the runtime that opened them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Home {
    /// A worker, whose runtime is its thread.
    Worker(ThreadId),
    /// The runtime of the process, which serves the admin API.
    Process,
}

impl Home {
    fn here() -> Self {
        match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
            Ok(RuntimeFlavor::CurrentThread) => Self::Worker(thread::current().id()),
            _ => Self::Process,
        }
    }
}

impl Pools {
    pub fn new(url: PostgresUrl, tls: MakeRustlsConnect) -> Self {
        Self { url, tls, most: AtomicUsize::new(MOST), pools: RwLock::default(), closed: AtomicBool::new(false) }
    }

    /// Where the server is, without secrets.
    pub fn place(&self) -> String {
        self.url.place()
    }

    /// What tells its database apart from others.
    pub fn database(&self) -> String {
        self.url.database()
    }

    /// Changes how many connections there may be.
    pub fn resize(&self, most: usize) {
        if self.most.swap(most, Relaxed) != most {
            self.pools.read().iter().for_each(|(home, kept)| kept.pool.resize(self.part(*home)));
        }
    }

    /// How many connections a pool may have. There are as many workers as cores.
    fn part(&self, home: Home) -> usize {
        if home == Home::Process {
            return FOR_THE_PROCESS;
        }
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        self.most.load(Relaxed).div_ceil(threads).max(1)
    }

    /// A connection, by `until` at the latest.
    pub async fn lease(&self, until: Instant) -> Result<Lease, Error> {
        self.lease_from(&*self.here()?, until).await
    }

    /// A part in a connection with other reads, by `until` at the latest. None joins while someone waits for a connection.
    pub async fn share(&self, until: Instant) -> Result<Share, Error> {
        let kept = self.here()?;
        let joined = if kept.pool.status().waiting == 0 { kept.sharing.join() } else { None };
        match joined {
            Some(share) => Ok(share),
            None => Ok(kept.sharing.begin(self.lease_from(&kept, until).await?)),
        }
    }

    async fn lease_from(&self, kept: &HomePool, until: Instant) -> Result<Lease, Error> {
        kept.sweep();
        let left = until.saturating_duration_since(Instant::now());
        let limit = |most: Duration| Some(most.min(left));
        let timeouts = Timeouts { wait: limit(PATIENCE), create: limit(OPENING), recycle: limit(PATIENCE) };
        match kept.pool.timeout_get(&timeouts).await {
            Ok(object) => Ok(Lease::new(object, self.tls.clone())),
            Err(PoolError::Timeout(deadpool_postgres::TimeoutType::Wait)) => Err(Error::Busy),
            Err(PoolError::Backend(error)) => Err(self.unreachable(&error)),
            Err(PoolError::Timeout(_)) => Err(Error::Unavailable(format!("{} does not respond", self.url.place()))),
            Err(error) => Err(Error::Unavailable(error.to_string())),
        }
    }

    /// Opens a connection outside the pools, with the task that serves it.
    pub async fn connect(
        &self,
    ) -> Result<(tokio_postgres::Client, impl Future<Output = Result<(), tokio_postgres::Error>> + Send + use<>), Error>
    {
        let opening = self.url.config.connect(self.tls.clone());
        match tokio::time::timeout(OPENING, opening).await {
            Ok(Ok(opened)) => Ok(opened),
            Ok(Err(error)) => Err(self.unreachable(&error)),
            Err(_) => Err(Error::Unavailable(format!("{} does not respond", self.url.place()))),
        }
    }

    fn unreachable(&self, error: &tokio_postgres::Error) -> Error {
        let reason = error.as_db_error().map_or_else(|| reasons(error), |error| error.message().to_owned());
        Error::Unavailable(format!("cannot connect to PostgreSQL at {}: {reason}", self.url.place()))
    }

    fn here(&self) -> Result<Arc<HomePool>, Error> {
        if self.closed.load(Relaxed) {
            return Err(Error::Unavailable("the store was closed".into()));
        }
        let home = Home::here();
        if let Some(known) = self.pools.read().get(&home) {
            return Ok(Arc::clone(known));
        }
        let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(self.url.config.clone(), self.tls.clone(), config);
        // The connection that was used last is used next, so that those nobody needs are closed.
        let pool = Pool::builder(manager).max_size(self.part(home)).queue_mode(QueueMode::Lifo);
        let pool = pool.runtime(Runtime::Tokio1).build();
        let pool = pool.map_err(|error| Error::Internal(error.to_string()))?;
        let made = Arc::new(HomePool { pool, sharing: Sharing::default(), swept: Mutex::new(Instant::now()) });
        // Threads of the same runtime may come at once: the first one stays.
        Ok(Arc::clone(self.pools.write().entry(home).or_insert(made)))
    }

    /// How many connections there are, and how many requests wait for one.
    pub fn load(&self) -> Load {
        self.pools.read().values().fold(Load::default(), |sum, kept| {
            let status = kept.pool.status();
            Load {
                used: sum.used.saturating_add(status.size.saturating_sub(status.available)),
                idle: sum.idle.saturating_add(status.available),
                reads: sum.reads.saturating_add(status.waiting),
                writes: 0,
            }
        })
    }

    /// Closes all connections that are not in use, and those in use when they return.
    pub fn close(&self) {
        self.closed.store(true, Relaxed);
        self.pools.read().values().for_each(|kept| kept.pool.close());
    }
}

impl HomePool {
    fn sweep(&self) {
        let due = self.swept.try_lock().filter(|swept| swept.elapsed() >= SWEEP);
        if let Some(mut swept) = due {
            *swept = Instant::now();
            self.pool.retain(|_, metrics| metrics.last_used() < IDLE && metrics.age() < OLDEST);
        }
    }
}
