//! Counts wrong passwords: in this process, or in a store that several gateways share.

use super::guesses::{Alone, Asking, Attempt, Full, Guesses, Slowed, Waiting};
use super::limits::{Limit, Limits};
use crate::counters::Store;
use crate::counters::wrong_passwords::{Ask, Bucket, Names, Told};
use gatewright_sdk::{ClientKey, Counters, Fallback, HumanDuration};
use serde_json::{Value, json};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::{timeout, timeout_at};

/// How long a request waits for the store, in all.
const PATIENCE: Duration = Duration::from_millis(40);
/// How long a request waits for others that are under way.
const IN_LINE: Duration = Duration::from_secs(15);

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
    flight: Flight,
    /// How long the request may still wait for the store.
    left: Duration,
    /// Whether the store has counted it.
    stored: bool,
    /// Only with a store.
    names: Option<Arc<Names>>,
}

/// An attempt that is under way. It ends as a wrong one, unless it ends in another way.
struct Flight {
    guesses: Arc<Guesses>,
    limits: Limits,
    attempt: Option<Attempt>,
}

impl Flight {
    /// The password was right. `untold` is whether the store does not know of it.
    fn right(mut self, untold: bool) {
        let Some(attempt) = self.attempt.take() else { return };
        self.guesses.right(&self.limits, attempt, Instant::now());
        if untold {
            self.guesses.untold(&self.limits, attempt, Instant::now());
        }
    }

    fn unjudged(mut self) {
        if let Some(attempt) = self.attempt.take() {
            self.guesses.unjudged(&self.limits, attempt, Instant::now());
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if let Some(attempt) = self.attempt.take() {
            self.guesses.wrong(attempt);
        }
    }
}

/// What becomes of a request with a password.
pub enum Verdict {
    Counted(Counted),
    Slowed(Slowed),
    /// Too many are under way.
    Busy,
    /// The store is unreachable, and requests are rejected meanwhile.
    Refused,
}

impl Counting {
    /// For the accounts with this name.
    pub fn new(guesses: Arc<Guesses>, limits: Limits, store: Option<Arc<Store>>, name: &str) -> Self {
        Self { guesses, limits, store, name: name.into() }
    }

    /// Counts an attempt of `client` to sign in to `account`. Waits for others that are under way if only they leave no room for it.
    /// The second value is whether it was counted without the store.
    pub async fn attempt(&self, client: ClientKey, account: &str) -> (Verdict, bool) {
        let (until, mut waiting) = (tokio::time::Instant::now() + IN_LINE, None);
        loop {
            let mut ended = pin!(self.guesses.ended.notified());
            ended.as_mut().enable();
            let (verdict, alone) = self.once((client, account)).await;
            if let Some(verdict) = verdict {
                return (verdict, alone);
            }
            if waiting.is_none() {
                waiting = Waiting::begin(&self.guesses, client);
            }
            if waiting.is_none() || timeout_at(until, ended).await.is_err() {
                return (Verdict::Busy, alone);
            }
        }
    }

    /// `None` if the attempt must wait for others.
    async fn once(&self, who: (ClientKey, &str)) -> (Option<Verdict>, bool) {
        let Some(store) = &self.store else { return (self.alone(who, PATIENCE, None), false) };
        let (begun, names) = (Instant::now(), Arc::new(Names::new(&self.name, who.0, who.1)));
        let left = || PATIENCE.saturating_sub(begun.elapsed());
        let Some((attempt, alone)) = self.guesses.ask(&self.limits, who, begun) else { return (None, false) };
        // While the store is asked, others wait for what it says.
        let _asking = Asking { guesses: Arc::clone(&self.guesses), attempt };
        if let Some(told) = self.ask(store, &names, alone).await {
            let told = self.guesses.told(&self.limits, who, (told, alone.flying), Instant::now());
            return (self.verdict(told, left(), Some((names, true))), false);
        }
        match store.fallback() {
            Fallback::Refuse => (Some(Verdict::Refused), true),
            Fallback::Local => (self.alone(who, left(), Some((names, false))), true),
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

    fn alone(&self, who: (ClientKey, &str), left: Duration, names: Option<(Arc<Names>, bool)>) -> Option<Verdict> {
        self.verdict(self.guesses.attempt(&self.limits, who, Instant::now()), left, names)
    }

    /// `names` are those in the store, with whether it has counted the attempt.
    fn verdict(
        &self,
        counted: Result<Attempt, Full>,
        left: Duration,
        names: Option<(Arc<Names>, bool)>,
    ) -> Option<Verdict> {
        match counted {
            Ok(attempt) => {
                let flight = Flight { guesses: Arc::clone(&self.guesses), limits: self.limits, attempt: Some(attempt) };
                let (names, stored) = names.map_or((None, false), |(names, stored)| (Some(names), stored));
                Some(Verdict::Counted(Counted { flight, left, stored, names }))
            }
            Err(Full::Slowed(slowed)) => Some(Verdict::Slowed(slowed)),
            Err(Full::Flying) => None,
        }
    }

    async fn ask(&self, store: &Store, names: &Arc<Names>, alone: Alone) -> Option<Told> {
        let ask = Ask {
            buckets: self.buckets(alone.levels),
            flying: alone.flying,
            known: alone.known,
            cleared: alone.cleared,
        };
        store.attempt(names, ask)?.await
    }

    fn buckets(&self, counts: [f64; 3]) -> [Bucket; 3] {
        let Limits { pair, client, account } = self.limits;
        let bucket = |Limit { burst, every }, count| Bucket { burst: burst.into(), every, count };
        let [of_pair, of_client, of_account] = counts;
        [bucket(pair, of_pair), bucket(client, of_client), bucket(account, of_account)]
    }

    /// The password was right. Waits until other gateways know of it, if the store responds in time.
    pub async fn right(&self, counted: Counted) {
        let left = counted.left;
        match self.settle(counted, true) {
            // It goes on if the client leaves, or it takes too long.
            Ok(settled) => drop(timeout(left, tokio::spawn(settled)).await),
            Err(flight) => flight.right(false),
        }
    }

    /// The password was not checked after all.
    pub fn unjudged(&self, counted: Counted) {
        match self.settle(counted, false) {
            Ok(settled) => drop(tokio::spawn(settled)),
            Err(flight) => flight.unjudged(),
        }
    }

    /// Tells the store that the attempt does not count. It is under way until the store knows: those that wait for it ask the store.
    fn settle(&self, counted: Counted, right: bool) -> Result<impl Future<Output = ()> + use<>, Flight> {
        let Counted { flight, stored, names, .. } = counted;
        let (Some(store), Some(names), true) = (&self.store, names, stored || right) else { return Err(flight) };
        let count = |counts: bool| if counts && stored { 1.0 } else { 0.0 };
        let for_account = flight.attempt.is_some_and(Attempt::counts);
        let settled = store.settle(&names, self.buckets([count(true), count(true), count(for_account)]), right);
        Ok(async move {
            let is_told = settled.await;
            if right { flight.right(!is_told) } else { flight.unjudged() }
        })
    }
}
