//! The keys that an issuer publishes: fetched in the background, kept while the issuer cannot be reached.

use super::key_set::{KeySet, LARGEST};
use super::keys::Algorithm;
use super::token::Verifier;
use bytes::Bytes;
use futures_util::FutureExt;
use gatewright_sdk::{Services, WithTask};
use http::header::ACCEPT;
use http::{HeaderValue, Request, StatusCode, Uri};
use parking_lot::{Mutex, RwLock};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

/// How long one fetch may take.
const WITHIN: Duration = Duration::from_secs(5);

/// The time between two fetches for keys that are not known; less where the keys are refreshed more often.
const APART: Duration = Duration::from_secs(30);

/// The pause after the first fetch that failed; it doubles up to the time between two refreshes.
const RETRY: Duration = Duration::from_millis(500);

/// The keys at one address, as they were when they were last fetched.
pub struct Published {
    settings: Settings,
    /// `None` before the first fetch that succeeded, and when the keys have become too old.
    keys: RwLock<Option<Arc<KeySet>>>,
    /// Counts changes of the keys. A token that was verified by others is not known any more.
    version: AtomicU64,
    fetching: Mutex<Fetches>,
    wanted: Arc<Notify>,
    /// How many fetches have ended.
    ended: watch::Sender<u64>,
}

/// Where the keys are, and what for.
pub struct Settings {
    pub url: Uri,
    /// The time between two fetches.
    pub refresh: Duration,
    /// How long keys are used without a fetch that succeeds.
    pub stale: Duration,
    pub algorithms: Vec<Algorithm>,
    pub verifier: Arc<Verifier>,
    /// What the address held last, whoever fetched it.
    pub last: Arc<LastSet>,
}

/// What an address held when it was last fetched, and when that was: an edit that reads it in another way must not wait for
/// the issuer.
#[derive(Default)]
pub struct LastSet(Mutex<Option<(Bytes, Instant)>>);

#[derive(Default)]
struct Fetches {
    /// One is asked for or under way.
    under_way: bool,
    /// When one was last asked for because of a key that was not known.
    asked: Option<Instant>,
}

impl Published {
    pub fn new(settings: Settings) -> Self {
        let known = settings.known().and_then(|(content, _)| settings.read(&content).ok());
        Self {
            settings,
            keys: RwLock::new(known.map(Arc::new)),
            version: AtomicU64::new(0),
            // The task begins with a fetch.
            fetching: Mutex::new(Fetches { under_way: true, asked: None }),
            wanted: Arc::new(Notify::new()),
            ended: watch::Sender::new(0),
        }
    }

    pub fn keys(&self) -> Option<Arc<KeySet>> {
        self.keys.read().clone()
    }

    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Asks for another fetch, or joins the one under way. Gives what changes when it ends, or `None` if one was asked for
    /// just now: whoever makes up keys must not make us ask the issuer for each.
    pub fn refetch(&self) -> Option<watch::Receiver<u64>> {
        let mut fetching = self.fetching.lock();
        if !fetching.under_way {
            let apart = APART.min(self.settings.refresh);
            if fetching.asked.is_some_and(|asked| asked.elapsed() < apart) {
                return None;
            }
            *fetching = Fetches { under_way: true, asked: Some(Instant::now()) };
            self.wanted.notify_one();
        }
        Some(self.ended.subscribe())
    }

    /// Fetches the keys again and again.
    pub async fn run(published: Weak<WithTask<Self>>, services: Arc<dyn Services>) {
        let known = published.upgrade().and_then(|held| held.settings.known());
        let (mut fetched, mut pause) = (known.map(|(_, fetched)| fetched), RETRY);
        loop {
            let Some(held) = published.upgrade() else { return };
            held.fetching.lock().under_way = true;
            let (url, wanted) = (held.settings.url.clone(), Arc::clone(&held.wanted));
            drop(held);
            // Whoever asked for a fetch until now gets this one.
            let _ = wanted.notified().now_or_never();
            let content = fetch(&*services, url).await;
            let Some(held) = published.upgrade() else { return };
            let Settings { refresh, stale, .. } = held.settings;
            let wait = match content.and_then(|content| held.take(&content)) {
                Ok(()) => {
                    if fetched.is_none() || pause != RETRY {
                        tracing::info!(url = %held.settings.url, "the keys of an issuer were fetched");
                    }
                    (fetched, pause) = (Some(Instant::now()), RETRY);
                    refresh
                }
                Err(why) => {
                    tracing::warn!(url = %held.settings.url, "cannot fetch the keys of an issuer: {why}");
                    let wait = pause.min(refresh);
                    pause = refresh.min(pause * 2);
                    wait
                }
            };
            held.end();
            drop(held);
            // Until the keys are too old.
            let old = fetched.map(|fetched| stale.saturating_sub(fetched.elapsed()));
            tokio::select! {
                () = sleep(wait) => {}
                () = wanted.notified() => {}
                () = sleep(old.unwrap_or(wait)), if old.is_some() => {
                    let Some(held) = published.upgrade() else { return };
                    tracing::warn!(url = %held.settings.url, "the keys of an issuer are too old and used no more");
                    held.set(None);
                    fetched = None;
                }
            }
        }
    }

    /// What was fetched is the keys from now on. An answer without a key that can be used is none: those that are known
    /// stay.
    pub(super) fn take(&self, content: &Bytes) -> Result<(), String> {
        let keys = self.settings.read(content).map_err(|why| format!("what it sent {why}"))?;
        let before = self.settings.last.0.lock().replace((content.clone(), Instant::now()));
        // The same keys again: the tokens that were verified with them stay known.
        if self.keys().is_none() || before.is_none_or(|(before, _)| before != *content) {
            self.set(Some(keys));
        }
        Ok(())
    }

    fn set(&self, keys: Option<KeySet>) {
        *self.keys.write() = keys.map(Arc::new);
        self.version.fetch_add(1, Ordering::Release);
    }

    fn end(&self) {
        self.fetching.lock().under_way = false;
        self.ended.send_modify(|ended| *ended += 1);
    }
}

impl Settings {
    /// What the address held last, unless that is too old.
    fn known(&self) -> Option<(Bytes, Instant)> {
        let last = self.last.0.lock().clone();
        last.filter(|(_, fetched)| fetched.elapsed() < self.stale)
    }

    fn read(&self, content: &[u8]) -> Result<KeySet, String> {
        KeySet::read(content, &self.algorithms, &self.verifier)
    }
}

async fn fetch(services: &dyn Services, url: Uri) -> Result<Bytes, String> {
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = url;
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    match timeout(WITHIN, services.fetch(request, LARGEST)).await {
        Ok(Ok(response)) if response.status() == StatusCode::OK => Ok(response.into_body()),
        Ok(Ok(response)) => Err(format!("the answer was {}", response.status())),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {WITHIN:?}")),
    }
}
