//! Counts wrong passwords: in this process, or in a store that several gateways share.

use super::guesses::{Attempt, Guesses, Slowed};
use super::limits::{Limit, Limits};
use crate::counters::Store;
use crate::counters::wrong_passwords::{Ask, Bucket, Names, Told};
use gatewright_sdk::{ClientKey, Counters, Fallback, HumanDuration};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// How long a request waits for the store, in all.
const PATIENCE: Duration = Duration::from_millis(40);

/// What counts the wrong passwords of a sign-in.
#[derive(Clone)]
pub struct Counting {
    guesses: Arc<Guesses>,
    limits: Limits,
    store: Option<Arc<Store>>,
    /// What gateways that count together call the accounts.
    name: Arc<str>,
}

/// An attempt that may be made. It counts as wrong unless [`Counting::right`] or [`Counting::unjudged`] is called.
pub struct Counted {
    attempt: Attempt,
    /// How long the request may still wait for the store.
    left: Duration,
    /// Whether the store has counted it.
    stored: bool,
    /// Only with a store.
    names: Option<Arc<Names>>,
}

/// What becomes of a request with a password.
pub enum Verdict {
    Counted(Counted),
    Slowed(Slowed),
    /// The store is unreachable, and requests are rejected meanwhile.
    Refused,
}

impl Counting {
    /// For the accounts with this name.
    pub fn new(guesses: Arc<Guesses>, limits: Limits, store: Option<Arc<Store>>, name: &str) -> Self {
        Self { guesses, limits, store, name: name.into() }
    }

    /// Counts an attempt of `client` to sign in to `account`. The second value is whether it was counted without the store.
    pub async fn attempt(&self, client: ClientKey, account: &str) -> (Verdict, bool) {
        let (who, begun) = ((client, account), Instant::now());
        let of =
            |attempt, stored, names| Counted { attempt, left: PATIENCE.saturating_sub(begun.elapsed()), stored, names };
        let Some(store) = &self.store else { return (self.alone(who, |attempt| of(attempt, false, None)), false) };
        let names = Arc::new(Names::new(&self.name, client, account));
        if let Some(told) = self.ask(store, &names, who).await {
            let told = self.guesses.told(&self.limits, who, told, Instant::now());
            let counted = told.map(|attempt| of(attempt, true, Some(names)));
            return (counted.map_or_else(Verdict::Slowed, Verdict::Counted), false);
        }
        match store.fallback() {
            Fallback::Refuse => (Verdict::Refused, true),
            Fallback::Local => (self.alone(who, |attempt| of(attempt, false, Some(names))), true),
        }
    }

    /// How far the limits are used, for the admin API. The log names the clients that are slowed.
    pub fn usage(&self, resource: &str) -> Value {
        let Limits { pair, client, account } = self.limits;
        let [of_pairs, of_clients, of_accounts] = self.guesses.usage(&self.limits, Instant::now());
        let used = |limit: Limit, (keys, limited)| json!({ "burst": limit.burst, "every": HumanDuration(limit.every), "keys": keys, "limited": limited });
        let counted = self.store.as_ref().map(|store| if store.is_reachable() { "store" } else { "local" });
        json!({
            "type": "wrong_passwords", "resource": resource, "counted": counted.unwrap_or("local"),
            "client_and_account": used(pair, of_pairs),
            "client": used(client, of_clients),
            "account": used(account, of_accounts),
        })
    }

    fn alone(&self, who: (ClientKey, &str), counted: impl FnOnce(Attempt) -> Counted) -> Verdict {
        let attempt = self.guesses.attempt(&self.limits, who, Instant::now());
        attempt.map_or_else(Verdict::Slowed, |attempt| Verdict::Counted(counted(attempt)))
    }

    async fn ask(&self, store: &Store, names: &Arc<Names>, who: (ClientKey, &str)) -> Option<Told> {
        let alone = self.guesses.alone(&self.limits, who, Instant::now());
        let ask = Ask { buckets: self.buckets(alone.levels), known: alone.known, cleared: alone.cleared };
        store.attempt(names, ask)?.await
    }

    fn buckets(&self, counts: [f64; 3]) -> [Bucket; 3] {
        let Limits { pair, client, account } = self.limits;
        let bucket = |Limit { burst, every }, count| Bucket { burst: burst.into(), every, count };
        let [of_pair, of_client, of_account] = counts;
        [bucket(pair, of_pair), bucket(client, of_client), bucket(account, of_account)]
    }

    /// The password was right. Waits until other gateways know of it, if the store responds in time.
    pub async fn right(&self, counted: &Counted) {
        self.guesses.right(&self.limits, counted.attempt, Instant::now());
        if let Some(settled) = self.settle(counted, true) {
            // It goes on if the client leaves, or it takes too long.
            let _ = timeout(counted.left, tokio::spawn(settled)).await;
        }
    }

    /// The password was not checked after all.
    pub fn unjudged(&self, counted: &Counted) {
        self.guesses.unjudged(&self.limits, counted.attempt, Instant::now());
        if counted.stored {
            self.settle(counted, false).map(tokio::spawn);
        }
    }

    /// Tells the store that the attempt does not count.
    fn settle(&self, counted: &Counted, right: bool) -> Option<impl Future<Output = ()> + use<>> {
        let (store, names) = (self.store.as_ref()?, counted.names.as_ref()?);
        let count = |counts: bool| if counts && counted.stored { 1.0 } else { 0.0 };
        let buckets = self.buckets([count(true), count(true), count(counted.attempt.counts())]);
        let settled = store.settle(names, buckets, right);
        let (guesses, limits, attempt) = (Arc::clone(&self.guesses), self.limits, counted.attempt);
        Some(async move {
            if !settled.await && right {
                guesses.untold(&limits, attempt, Instant::now());
            }
        })
    }
}
