//! Redis as a store in which several gateways count together.
//!
//! One connection carries the requests of all workers, pipelined. A background task keeps it open. While Redis is
//! unreachable or too slow, no request waits for it: the plugin goes on alone.

mod script;
pub mod tls;
pub mod wrong_passwords;

use crate::config::document::process::OnStoreError;
use crate::telemetry::instruments::{STORE_DURATION, STORE_REACHABLE};
use arc_swap::ArcSwapOption;
use gatewright_sdk::metrics::{Histogram, Observed, histogram, observe};
use gatewright_sdk::{Counters, Fallback, Services, Take, Taken, Taking, WithTask};
use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, Client, ErrorKind, IntoConnectionInfo, RedisError, RedisResult};
use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tls::Certificates;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

/// How long a request waits for Redis.
const DEADLINE: Duration = Duration::from_millis(40);
/// How many requests in a row may wait in vain before no more do.
const MISSES: u32 = 3;
/// How long a connection may take to open, with TLS and authentication.
const CONNECT: Duration = Duration::from_secs(1);
/// The shortest and the longest pause between attempts to reach Redis.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// A connection that lasted this long is not tried again with pauses.
const STABLE: Duration = Duration::from_secs(5);
/// The maximum number of reasons that are reported for one outage.
const REASONS: usize = 3;
/// How often the log says that a key held something else, at most.
const AGAIN: Duration = Duration::from_secs(3600);
/// How often an open connection is checked.
const CHECK: Duration = Duration::from_secs(5);

/// A Redis store. Its task connects it, and checks the connection.
pub struct Redis {
    client: Client,
    /// Where it is, without credentials.
    address: String,
    name: String,
    fallback: Fallback,
    /// The connection, unless Redis is unreachable.
    link: ArcSwapOption<MultiplexedConnection>,
    /// How many requests in a row have waited in vain.
    misses: AtomicU32,
    /// Notified when the connection is given up.
    lost: Arc<Notify>,
    outage: Mutex<Outage>,
    /// When the log last said that a key held something else.
    replaced: Mutex<Option<Instant>>,
    durations: Durations,
}

/// What is known about the time since Redis was reachable.
#[derive(Default)]
struct Outage {
    /// Why the connection was given up. The attempt to connect that follows at once finds out more, so the log does not say it yet.
    lost: Option<String>,
    /// The reasons that the log gives.
    reported: Vec<String>,
}

/// How long Redis took to respond, by outcome.
struct Durations {
    ok: Arc<Histogram>,
    late: Arc<Histogram>,
    failed: Arc<Histogram>,
}

impl Durations {
    fn new(store: &str) -> Self {
        let of = |error: Option<&'static str>| {
            let mut attributes = vec![
                ("db.system.name", "redis".into()),
                ("db.operation.name", "take".into()),
                ("gateway.store", store.to_owned().into()),
            ];
            attributes.extend(error.map(|error| ("error.type", error.into())));
            histogram(&STORE_DURATION, attributes)
        };
        Self { ok: of(None), late: of(Some("timeout")), failed: of(Some("error")) }
    }
}

/// A store with its task, and its metric.
pub struct Store {
    pub redis: Arc<WithTask<Redis>>,
    _reachable: Arc<Observed>,
}

impl Store {
    /// The store `name` at `redis`, which is connected by its task.
    pub fn new(name: &str, redis: Arc<WithTask<Redis>>) -> Self {
        let seen = Arc::downgrade(&redis);
        let read = move || f64::from(u8::from(seen.upgrade().is_some_and(|redis| redis.is_up())));
        let reachable = observe(&STORE_REACHABLE, vec![("gateway.store", name.to_owned().into())], read);
        Self { redis, _reachable: reachable }
    }
}

impl Store {
    /// Where it is, without credentials.
    pub fn address(&self) -> &str {
        &self.redis.address
    }
}

impl Redis {
    /// The store `name` at `url`, without connecting.
    ///
    /// # Errors
    /// A URL that is not valid, or one without TLS if there are certificates.
    pub fn new(
        name: &str,
        url: &str,
        certificates: Option<&Certificates>,
        on_error: OnStoreError,
    ) -> Result<Self, RedisError> {
        let info = url.into_connection_info()?.set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let address = info.addr().to_string();
        let fallback = match on_error {
            OnStoreError::Local => Fallback::Local,
            OnStoreError::Refuse => Fallback::Refuse,
        };
        Ok(Self {
            client: match certificates {
                Some(certificates) => Client::build_with_tls(info, certificates.read.clone())?,
                None => Client::open(info)?,
            },
            address,
            name: name.to_owned(),
            fallback,
            link: ArcSwapOption::empty(),
            misses: AtomicU32::new(0),
            lost: Arc::default(),
            outage: Mutex::default(),
            replaced: Mutex::default(),
            durations: Durations::new(name),
        })
    }

    fn is_up(&self) -> bool {
        self.link.load().is_some()
    }

    /// Gives up `link`, unless that was done before.
    fn lose(&self, link: &Arc<MultiplexedConnection>, why: &str) {
        let current = self.link.load();
        if !current.as_ref().is_some_and(|current| Arc::ptr_eq(current, link)) {
            return;
        }
        let given_up = self.link.compare_and_swap(&*current, None);
        if given_up.as_ref().is_some_and(|given_up| Arc::ptr_eq(given_up, link)) {
            self.misses.store(0, Relaxed);
            self.outage.lock().lost = Some(why.to_owned());
            self.lost.notify_one();
        }
    }

    /// Reports that Redis is unreachable, once, and again if an attempt to connect finds another reason.
    fn report(&self, why: &str) {
        let mut outage = self.outage.lock();
        outage.lost = None;
        if outage.reported.len() >= REASONS || outage.reported.iter().any(|known| known == why) {
            return;
        }
        outage.reported.push(why.to_owned());
        drop(outage);
        let (store, address) = (&*self.name, &*self.address);
        let effect = match self.fallback {
            Fallback::Local => "each gateway counts on its own until it is back",
            Fallback::Refuse => "requests that it limits get 503 until it is back",
        };
        let human = format!("store {store} is unreachable: {why}; {effect}");
        tracing::warn!(store, address, error = why, effect, human, "store unreachable");
    }

    fn connected(&self, link: MultiplexedConnection) {
        // It was away for a moment.
        let lost = self.outage.lock().lost.take();
        lost.iter().for_each(|why| self.report(why));
        let was_reported = !std::mem::take(&mut *self.outage.lock()).reported.is_empty();
        self.misses.store(0, Relaxed);
        self.link.store(Some(Arc::new(link)));
        let (store, address) = (&*self.name, &*self.address);
        if was_reported {
            let human = format!("store {store} is reachable again; limits are counted in it");
            tracing::info!(store, address, human, "store reachable again");
        } else {
            tracing::info!(
                store,
                address,
                human = format!("connected to store {store} at {address}"),
                "store connected"
            );
        }
    }

    /// What a request learns from Redis, if it responds.
    async fn take(&self, link: Arc<MultiplexedConnection>, take: Take) -> Option<Taken> {
        let asked = script::take(&link, &take);
        let (taken, foreign) = self.heard(&link, asked).await?;
        // Without what it counts: that may be an address.
        let end = take.bucket.match_indices(':').nth(1).map_or(take.bucket.len(), |(at, _)| at);
        self.replaced(take.bucket.get(..end).unwrap_or_default(), &foreign);
        Some(taken)
    }

    /// Reports, once in a while, that a key which begins with `prefix` held a value of the type `foreign`, unless that is empty. A script
    /// has replaced it.
    fn replaced(&self, prefix: &str, foreign: &str) {
        if foreign.is_empty() {
            return;
        }
        let now = Instant::now();
        let mut last = self.replaced.lock();
        if last.is_some_and(|last| now.duration_since(last) < AGAIN) {
            return;
        }
        *last = Some(now);
        drop(last);
        let (store, address, keys) = (&*self.name, &*self.address, format!("{prefix}:*"));
        let human = format!(
            "a key `{keys}` of store {store} held a {foreign} that no gateway has written; it was replaced, and counting starts over. Let \
             other programs use another database"
        );
        tracing::warn!(store, address, keys, held = foreign, human, "replaced a key of another program");
    }

    /// What Redis responds on `link`, if it does so in time.
    async fn heard<T>(
        &self,
        link: &Arc<MultiplexedConnection>,
        asked: impl Future<Output = RedisResult<T>>,
    ) -> Option<T> {
        let begun = Instant::now();
        let asked = timeout(DEADLINE, asked).await;
        let series = match &asked {
            Ok(Ok(_)) => &self.durations.ok,
            Ok(Err(_)) => &self.durations.failed,
            Err(_) => &self.durations.late,
        };
        series.record(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX));
        let why = match asked {
            Ok(Ok(answer)) => {
                self.misses.store(0, Relaxed);
                return Some(answer);
            }
            Ok(Err(error)) if error.is_io_error() || error.is_unrecoverable_error() => {
                self.lose(link, &said(&error));
                return None;
            }
            Ok(Err(error)) => said(&error),
            Err(_) => too_slow(),
        };
        if self.misses.fetch_add(1, Relaxed) + 1 >= MISSES {
            self.lose(link, &why);
        }
        None
    }
}

/// Opens a connection, and takes from a bucket to see whether Redis can count, and fast enough.
async fn connect(client: &Client) -> Result<MultiplexedConnection, String> {
    let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
    let opening = client.get_multiplexed_async_connection_with_config(&config);
    let opened = timeout(CONNECT, opening).await;
    let opened = opened.map_err(|_| format!("it did not accept a connection within {CONNECT:?}"))?;
    let link = opened.map_err(|error| said(&error))?;
    let probe = script::probe();
    match timeout(DEADLINE, script::take(&link, &probe)).await {
        Ok(Ok(_)) => Ok(link),
        Ok(Err(error)) => Err(said(&error)),
        Err(_) => Err(too_slow()),
    }
}

fn too_slow() -> String {
    format!("it did not respond within {DEADLINE:?}")
}

/// What Redis or the connection to it reports, without the text of a request.
fn said(error: &RedisError) -> String {
    match (error.kind(), error.code(), error.detail()) {
        (ErrorKind::AuthenticationFailed, ..) => "it rejected the user or the password".to_owned(),
        (_, Some(code), Some(detail)) => format!("{code} {detail}"),
        (_, _, Some(detail)) => detail.to_owned(),
        _ => error.to_string(),
    }
}

impl Counters for Store {
    fn take(&self, take: Take) -> Option<Taking> {
        let link = self.redis.link.load_full()?;
        let redis = Arc::clone(&self.redis);
        Some(Box::pin(async move { redis.take(link, take).await }))
    }

    fn is_reachable(&self) -> bool {
        self.redis.is_up()
    }

    fn fallback(&self) -> Fallback {
        self.redis.fallback
    }
}

/// Keeps the connection open, for as long as the store is used. The store is not held while the task waits. A server that
/// is reachable and lost again and again is tried less often.
pub async fn maintain(redis: Weak<WithTask<Redis>>, _: Arc<dyn Services>) {
    let (shortest, longest) = PAUSES;
    let mut pause = Duration::ZERO;
    while let Some(store) = redis.upgrade() {
        let client = store.client.clone();
        drop(store);
        sleep(pause).await;
        let connected = connect(&client).await;
        let Some(store) = redis.upgrade() else { return };
        let lost = Arc::clone(&store.lost);
        match connected {
            Ok(link) => store.connected(link),
            Err(why) => {
                store.report(&why);
                pause = pause.max(shortest);
                continue;
            }
        }
        drop(store);
        let begun = Instant::now();
        while timeout(CHECK, lost.notified()).await.is_err() {
            check(&redis).await;
        }
        pause = if begun.elapsed() > STABLE { Duration::ZERO } else { longest.min((pause * 2).max(shortest)) };
    }
}

/// Sees whether a connection without requests still works.
async fn check(redis: &Weak<WithTask<Redis>>) {
    let Some(store) = redis.upgrade() else { return };
    if let Some(link) = store.link.load_full() {
        let _ = store.take(link, script::probe()).await;
    }
}
