//! The addresses of the names of targets: looked up in the background, again and again, as their TTL demands.

mod resolver;

use crate::config::document::dns::Dns;
use arc_swap::ArcSwap;
use gatewright_sdk::{Keep, Services, WithTask};
use hickory_resolver::proto::rr::Name;
use parking_lot::Mutex;
use resolver::{Found, Resolver};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

/// The addresses of one name. Kept across reloads, even if the settings of DNS change.
pub(super) struct Addresses {
    host: Box<str>,
    current: ArcSwap<Vec<IpAddr>>,
    outcome: watch::Sender<Outcome>,
    /// Notified when the name should be looked up before its TTL ends.
    wanted: Notify,
    users: Mutex<Vec<User>>,
    /// The [`Lookups`] that maintain them.
    owner: AtomicU64,
}

/// Called when the addresses have changed, and without services to find out whether it is still needed, which it returns.
type User = Box<dyn Fn(Option<&Arc<dyn Services>>) -> bool + Send + Sync>;

/// The outcome of the last lookup.
#[derive(Clone, Default)]
struct Outcome {
    /// Lookups so far.
    count: u64,
    ended: Option<Instant>,
    /// Why it failed.
    error: Option<Arc<str>>,
}

/// How long a failure is reported to requests before the name is looked up for them again; also the shortest pause after
/// a failure.
const FAILURE_HOLDS: Duration = Duration::from_secs(1);

impl Addresses {
    fn new(host: &str) -> Self {
        Self {
            host: host.into(),
            current: ArcSwap::default(),
            outcome: watch::Sender::default(),
            wanted: Notify::new(),
            users: Mutex::default(),
            owner: AtomicU64::new(0),
        }
    }

    /// Those in use: sorted, each once, and none if no lookup has succeeded.
    pub fn current(&self) -> Arc<Vec<IpAddr>> {
        self.current.load_full()
    }

    /// Why the last lookup failed.
    pub fn error(&self) -> Option<Arc<str>> {
        self.outcome.borrow().error.clone()
    }

    /// Calls `user` after each change, and now and then without services, until it returns false.
    pub fn notify(&self, user: impl Fn(Option<&Arc<dyn Services>>) -> bool + Send + Sync + 'static) {
        let mut users = self.users.lock();
        users.retain(|user| user(None));
        users.push(Box::new(user));
    }

    /// Looks the name up soon, because a connection to one of the addresses failed.
    pub fn doubt(&self) {
        self.wanted.notify_one();
    }

    /// The addresses, for a request that came before the first lookup succeeded. Waits for the lookup in progress.
    ///
    /// # Errors
    /// Why there are none.
    pub async fn wait(&self) -> Result<Arc<Vec<IpAddr>>, Arc<str>> {
        let mut outcomes = self.outcome.subscribe();
        let before = outcomes.borrow_and_update().clone();
        let current = self.current();
        if !current.is_empty() {
            return Ok(current);
        }
        if let Outcome { ended: Some(ended), error: Some(error), .. } = before {
            if ended.elapsed() < FAILURE_HOLDS {
                return Err(error);
            }
            self.doubt();
        }
        let next = outcomes.wait_for(|outcome| outcome.count > before.count).await.map(|outcome| outcome.error.clone());
        let current = self.current();
        match next {
            _ if !current.is_empty() => Ok(current),
            Ok(Some(error)) => Err(error),
            _ => Err("the name was not looked up".into()),
        }
    }

    /// Records the outcome of a lookup; returns how long to wait for the next one.
    fn record(&self, found: Result<&Found, &str>, services: &Arc<dyn Services>) {
        let before = self.current();
        if let Ok(found) = found
            && found.addresses != **before
        {
            self.current.store(Arc::new(found.addresses.clone()));
            if !before.is_empty() {
                self.log_change(&before, &found.addresses);
            }
            let users = std::mem::take(&mut *self.users.lock());
            let users: Vec<_> = users.into_iter().filter(|user| user(Some(services))).collect();
            self.users.lock().extend(users);
        }
        let error = found.err().map(Arc::<str>::from);
        self.log(error.as_deref(), before.is_empty());
        self.outcome.send_modify(|outcome| {
            *outcome = Outcome { count: outcome.count + 1, ended: Some(Instant::now()), error };
        });
    }

    /// Logs when lookups begin to fail, and when they work again.
    fn log(&self, error: Option<&str>, is_unknown: bool) {
        let host = &*self.host;
        match (error, self.error()) {
            (Some(error), None) => {
                let effect = if is_unknown { "requests get 502" } else { "its last addresses stay in use" };
                tracing::warn!(
                    target: "gatewright::upstream",
                    name = host,
                    error,
                    human = format!("{host} cannot be looked up: {error}; {effect}"),
                    "name cannot be looked up"
                );
            }
            (None, Some(_)) => tracing::info!(
                target: "gatewright::upstream",
                name = host,
                human = format!("{host} was looked up{}", if is_unknown { "" } else { " again" }),
                "name was looked up"
            ),
            _ => {}
        }
    }

    fn log_change(&self, before: &[IpAddr], now: &[IpAddr]) {
        let host = &*self.host;
        let only = |these: &[IpAddr], those: &[IpAddr]| {
            let only = these.iter().filter(|address| !those.contains(address)).map(ToString::to_string);
            only.collect::<Vec<_>>().join(", ")
        };
        let (added, removed) = (only(now, before), only(before, now));
        let change = match (&*added, &*removed) {
            (added, "") => format!("added {added}"),
            ("", removed) => format!("removed {removed}"),
            (added, removed) => format!("added {added}; removed {removed}"),
        };
        // Some names have other addresses each time, so this would fill the log.
        tracing::debug!(
            target: "gatewright::upstream",
            name = host,
            added = Some(&*added).filter(|added| !added.is_empty()),
            removed = Some(&*removed).filter(|removed| !removed.is_empty()),
            human = format!("the addresses of {host} have changed: {change}"),
            "addresses of a name have changed"
        );
    }
}

/// Looks one name up again and again, with one set of settings. Kept across reloads.
pub(super) struct Lookups {
    pub addresses: Arc<Addresses>,
    resolver: Arc<Resolver>,
    /// The shortest and the longest pause between two lookups.
    pauses: (Duration, Duration),
    id: u64,
}

/// The numbers of [`Lookups`].
static NEXT: AtomicU64 = AtomicU64::new(1);

impl Lookups {
    /// Those of `host`. They begin after the swap.
    pub fn of(host: &str, settings: &Dns, keep: &Keep) -> Arc<WithTask<Self>> {
        let host = host.to_ascii_lowercase();
        let settings_key = format!("{settings:?}");
        let addresses = keep.get_or_make(&host, || Addresses::new(&host));
        let resolver = keep.get_or_make(&settings_key, || Resolver::new(settings));
        let pauses = (settings.min_ttl.get(), settings.max_ttl.get());
        let make = || Self { addresses, resolver, pauses, id: NEXT.fetch_add(1, Relaxed) };
        keep.get_or_begin(&format!("{host} {settings_key}"), || WithTask::new("DNS", make(), Self::run))
    }

    async fn run(lookups: Weak<WithTask<Self>>, services: Arc<dyn Services>) {
        let Some((id, addresses)) = lookups.upgrade().map(|this| (this.id, Arc::clone(&this.addresses))) else {
            return;
        };
        addresses.owner.store(id, Relaxed);
        let (mut last, mut failures): (Option<Name>, u32) = (None, 0);
        // Other settings may have taken over.
        while addresses.owner.load(Relaxed) == id {
            let Some(this) = lookups.upgrade() else { return };
            let found = this.resolver.look_up(&addresses.host, last.as_ref()).await;
            let (mut shortest, longest) = this.pauses;
            drop(this);
            addresses.record(found.as_ref().map_err(|error| &**error), &services);
            let pause = match found {
                Ok(found) => {
                    (last, failures) = (Some(found.name), 0);
                    found.ttl
                }
                Err(_) => {
                    failures += 1;
                    shortest = FAILURE_HOLDS;
                    let grown = shortest.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX));
                    grown.min(longest).mul_f32(0.5 + fastrand::f32() / 2.0)
                }
            };
            sleep(shortest).await;
            let rest = pause.min(longest).saturating_sub(shortest);
            let _ = timeout(rest, addresses.wanted.notified()).await;
        }
    }
}
