//! The keys that an issuer publishes: fetched in the background, and kept while the issuer is unavailable.

use super::key_set::KeySet;
use super::keys::Algorithm;
use super::measure::Measures;
use super::source::{Discovered, Source};
use super::token::Verifier;
use bytes::Bytes;
use futures_util::FutureExt;
use gatewright_sdk::{Services, WithTask};
use parking_lot::{Mutex, RwLock};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

/// The timeout of one fetch.
const WITHIN: Duration = Duration::from_secs(5);

/// The minimum time between two fetches for unknown keys; less if the keys are refreshed more often.
const APART: Duration = Duration::from_secs(30);

/// The pause after the first failed fetch; it doubles up to the refresh interval.
const RETRY: Duration = Duration::from_millis(500);

/// The keys of one issuer, as of the last fetch.
pub struct Published {
    settings: Settings,
    /// `None` before the first successful fetch, and once the keys are too old.
    keys: RwLock<Option<Arc<KeySet>>>,
    /// Counts changes of the keys. Cached tokens of earlier versions are no longer valid.
    version: AtomicU64,
    fetching: Mutex<Fetches>,
    wanted: Arc<Notify>,
    /// The number of completed fetches.
    ended: watch::Sender<u64>,
}

/// Where the keys come from, and how to use them.
pub struct Settings {
    pub source: Source,
    /// The time between two fetches.
    pub refresh: Duration,
    /// How long keys are used without a successful fetch.
    pub stale: Duration,
    pub algorithms: Vec<Algorithm>,
    pub verifier: Arc<Verifier>,
    /// The last content of the source, shared by all that fetch it.
    pub last: Arc<LastSet>,
    pub measures: Measures,
}

/// The last content of a source and when it was fetched, so that a changed configuration need not wait for the
/// issuer.
#[derive(Default)]
pub struct LastSet(Mutex<Option<(Bytes, Instant)>>);

impl LastSet {
    /// How long ago it was fetched.
    pub fn age(&self) -> Option<Duration> {
        self.0.lock().as_ref().map(|(_, fetched)| fetched.elapsed())
    }
}

#[derive(Default)]
struct Fetches {
    /// Whether a fetch is requested or in progress.
    under_way: bool,
    /// When a fetch was last requested because of an unknown key.
    asked: Option<Instant>,
}

impl Published {
    pub fn new(settings: Settings) -> Self {
        let known = settings.known().and_then(|(content, _)| settings.read(&content).ok());
        if known.is_some() {
            settings.measures.report_age(&settings.last);
        }
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

    /// Requests another fetch, or joins the one in progress. Returns a receiver that changes when the fetch ends, or
    /// `None` if one was requested recently: clients that invent keys must not make us query the issuer for each.
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

    /// Fetches the keys repeatedly.
    pub async fn run(published: Weak<WithTask<Self>>, services: Arc<dyn Services>) {
        let known = published.upgrade().and_then(|held| held.settings.known());
        let (mut fetched, mut pause) = (known.map(|(_, fetched)| fetched), RETRY);
        let mut discovered = Discovered::default();
        loop {
            let Some(held) = published.upgrade() else { return };
            held.fetching.lock().under_way = true;
            let (source, wanted) = (held.settings.source.clone(), Arc::clone(&held.wanted));
            drop(held);
            // Requests for a fetch so far are served by this one.
            let _ = wanted.notified().now_or_never();
            let content = timeout(WITHIN, source.fetch(&*services, &mut discovered)).await;
            let content = content.unwrap_or_else(|_| Err(format!("no response within {WITHIN:?}")));
            let Some(held) = published.upgrade() else { return };
            if content.is_err() {
                held.settings.measures.failed.add(1);
            }
            let Settings { refresh, stale, .. } = held.settings;
            let taken = |content| held.take(&content).map_err(|why| source.blame(&discovered, &why));
            let wait = match content.and_then(taken) {
                Ok(()) => {
                    if fetched.is_none() || pause != RETRY {
                        tracing::info!(url = %held.settings.source, "fetched the issuer's keys");
                    }
                    (fetched, pause) = (Some(Instant::now()), RETRY);
                    refresh
                }
                Err(why) => {
                    discovered.doubt();
                    tracing::warn!(url = %held.settings.source, error = %why, "cannot fetch the issuer's keys");
                    let wait = pause.min(refresh);
                    pause = refresh.min(pause * 2);
                    wait
                }
            };
            held.end();
            drop(held);
            // The time until the keys are too old.
            let old = fetched.map(|fetched| stale.saturating_sub(fetched.elapsed()));
            tokio::select! {
                () = sleep(wait) => {}
                () = wanted.notified() => {}
                () = sleep(old.unwrap_or(wait)), if old.is_some() => {
                    let Some(held) = published.upgrade() else { return };
                    tracing::warn!(url = %held.settings.source, "the issuer's keys are too old and no longer used");
                    held.set(None);
                    fetched = None;
                }
            }
        }
    }

    /// Replaces the keys by what was fetched. A response without a usable key is an error, and the current keys stay.
    pub(super) fn take(&self, content: &Bytes) -> Result<(), String> {
        let Settings { measures, last, .. } = &self.settings;
        let keys = self.settings.read(content).map_err(|why| {
            measures.unusable.add(1);
            format!("the response {why}")
        })?;
        let before = last.0.lock().replace((content.clone(), Instant::now()));
        measures.succeeded.add(1);
        measures.report_age(last);
        // If the keys are unchanged, tokens verified with them stay cached.
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
    /// The last content of the source, unless it is too old.
    fn known(&self) -> Option<(Bytes, Instant)> {
        let last = self.last.0.lock().clone();
        last.filter(|(_, fetched)| fetched.elapsed() < self.stale)
    }

    fn read(&self, content: &[u8]) -> Result<KeySet, String> {
        KeySet::read(content, &self.algorithms, &self.verifier)
    }
}
