//! Limits wrong passwords by client, by account, and by both.
//!
//! Each wrong password fills three buckets, which empty slowly. While one is full, no password is tried, right or wrong. Names
//! of accounts that do not exist count in the same way. A guesser cannot lock the owner out: a client that has signed in to an
//! account before is not affected by the bucket of the account.
//!
//! Attempts that are under way fill the buckets too, so that many guesses at once are limited. They may be right: if a bucket is full
//! only because of them, the next attempt waits for one of them to end.
//!
//! If several gateways count together, what their store responds is recorded here, and this process goes on from there while the
//! store is unreachable. What it has counted alone is brought along when the store is back.

mod flights;
#[cfg(test)]
mod tests;

pub use self::flights::{Asking, Waiting};

use self::flights::Tally;
use super::limits::{Limit, Limits};
use crate::counters::wrong_passwords::Told;
use gatewright_sdk::ClientKey;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// The maximum number of entries of each kind.
const MOST: usize = 65_536;

/// What was tried and went wrong. It survives reloads.
#[derive(Debug, Default)]
pub struct Guesses {
    keys: RandomState,
    state: Mutex<State>,
    /// Notified whenever an attempt ends.
    pub ended: Notify,
}

#[derive(Debug, Default)]
struct State {
    pairs: Buckets,
    clients: Buckets,
    accounts: Buckets,
    /// Clients that have signed in to an account, and when.
    known: HashMap<u64, Instant>,
    /// Attempts that were counted and are not judged yet.
    flying: Tally,
    /// Attempts that a store may have counted already.
    asking: Tally,
    /// Requests that wait, by client.
    waiting: Tally,
}

type Buckets = HashMap<u64, Bucket>;

#[derive(Debug, Clone, Copy)]
struct Bucket {
    level: f64,
    at: Instant,
    /// Whether it has refused an attempt since it was full.
    refused: bool,
    /// Whether this process has said so. Of several responses of a store, the one that says that it is new may be read last.
    reported: bool,
    /// Whether this process has counted or refused alone: a store may not know of it.
    alone: bool,
    /// Whether the password was right, and a store does not know of it.
    cleared: bool,
}

/// An attempt that may be made. It is under way until [`Guesses::right`], [`Guesses::wrong`] or [`Guesses::unjudged`] is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    pair: u64,
    client: u64,
    account: u64,
    /// Whether it counts for the account: the client was not known.
    counts: bool,
}

impl Attempt {
    /// Whether it counts for the account, and not only for the client.
    pub const fn counts(self) -> bool {
        self.counts
    }

    /// The buckets in which it counts.
    fn keys(self) -> impl Iterator<Item = u64> {
        [self.pair, self.client].into_iter().chain(self.counts.then_some(self.account))
    }
}

/// What this process knows about an attempt and a store does not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alone {
    /// How many attempts were counted in each bucket.
    pub levels: [f64; 3],
    /// How many of the attempts that the store has counted in each bucket are under way.
    pub flying: [f64; 3],
    /// Whether the client has signed in to the account.
    pub known: bool,
    /// Whether the password was right.
    pub cleared: bool,
}

/// Why an attempt may not be made now.
#[derive(Debug, PartialEq, Eq)]
pub enum Full {
    /// Because of attempts that are under way.
    Flying,
    Slowed(Slowed),
}

/// An attempt that must wait.
#[derive(Debug, PartialEq, Eq)]
pub struct Slowed {
    pub wait: Duration,
    /// What is slowed, if it was not before.
    pub newly: Option<&'static str>,
}

impl Guesses {
    /// Counts an attempt of `client` to sign in to `account`, before the password is checked: many at once count too.
    pub fn attempt(&self, limits: &Limits, who: (ClientKey, &str), now: Instant) -> Result<Attempt, Full> {
        let mut attempt = self.find(who);
        let mut state = self.state.lock();
        attempt.counts = !state.known.contains_key(&attempt.pair);
        let State { pairs, clients, accounts, flying, .. } = &mut *state;
        let mut waits = check(pairs, (attempt.pair, flying), &limits.pair, now, "client_and_account")?;
        waits |= check(clients, (attempt.client, flying), &limits.client, now, "client")?;
        if attempt.counts {
            waits |= check(accounts, (attempt.account, flying), &limits.account, now, "account")?;
        }
        if waits {
            return Err(Full::Flying);
        }
        fill(pairs, attempt.pair, &limits.pair, now);
        fill(clients, attempt.client, &limits.client, now);
        if attempt.counts {
            fill(accounts, attempt.account, &limits.account, now);
        }
        flying.begin(attempt);
        Ok(attempt)
    }

    /// How many keys are counted by each limit, in their order, and how many of them have no attempt left. Attempts that are under way
    /// may be right.
    pub fn usage(&self, limits: &Limits, now: Instant) -> [(usize, usize); 3] {
        let state = self.state.lock();
        let of = |buckets: &Buckets, limit: &Limit| {
            let levels = || buckets.iter().map(|(key, bucket)| bucket.level(limit, now) - state.flying.of(*key));
            let full = levels().filter(|level| level + 1.0 > f64::from(limit.burst)).count();
            (levels().filter(|level| *level > 0.0).count(), full)
        };
        [of(&state.pairs, &limits.pair), of(&state.clients, &limits.client), of(&state.accounts, &limits.account)]
    }

    fn find(&self, (client, account): (ClientKey, &str)) -> Attempt {
        let keys = &self.keys;
        Attempt {
            pair: keys.hash_one((client, account)),
            client: keys.hash_one(client),
            account: keys.hash_one(account),
            counts: true,
        }
    }

    /// What a store must learn before it counts an attempt, which is being asked about until an [`Asking`] of it is dropped. `None` if a
    /// bucket would be full because of attempts that are under way.
    pub fn ask(&self, limits: &Limits, who: (ClientKey, &str), now: Instant) -> Option<(Attempt, Alone)> {
        let mut attempt = self.find(who);
        let mut state = self.state.lock();
        let known = state.known.contains_key(&attempt.pair);
        attempt.counts = !known;
        let State { pairs, clients, accounts, flying, asking, .. } = &mut *state;
        let waits = |buckets: &Buckets, key: u64, limit: &Limit| {
            let level = buckets.get(&key).map_or(0.0, |bucket| bucket.level(limit, now));
            let is_full = level + asking.of(key) + 1.0 > f64::from(limit.burst);
            // If it is full in any case, the store says for how long.
            is_full && level - flying.of(key) + 1.0 <= f64::from(limit.burst)
        };
        if waits(pairs, attempt.pair, &limits.pair)
            || waits(clients, attempt.client, &limits.client)
            || (attempt.counts && waits(accounts, attempt.account, &limits.account))
        {
            return None;
        }
        asking.begin(attempt);
        let level = |buckets: &Buckets, key: u64, limit: &Limit| {
            buckets.get(&key).filter(|bucket| bucket.alone).map_or(0.0, |bucket| bucket.level(limit, now))
        };
        let levels = [
            level(pairs, attempt.pair, &limits.pair),
            level(clients, attempt.client, &limits.client),
            level(accounts, attempt.account, &limits.account),
        ];
        let flying = [attempt.pair, attempt.client, attempt.account].map(|key| flying.of(key));
        let cleared = pairs.get(&attempt.pair).is_some_and(|bucket| bucket.cleared);
        Some((attempt, Alone { levels, flying, known, cleared }))
    }

    /// Records what a store has counted, and what follows for the attempt. `flying` are those of which it was told.
    pub fn told(
        &self,
        limits: &Limits,
        who: (ClientKey, &str),
        (told, flying): (Told, [f64; 3]),
        now: Instant,
    ) -> Result<Attempt, Full> {
        let attempt = Attempt { counts: !told.known, ..self.find(who) };
        let mut state = self.state.lock();
        if told.known {
            state.knows(attempt.pair, now);
        }
        let State { pairs, clients, accounts, .. } = &mut *state;
        let all = [
            (pairs, attempt.pair, &limits.pair, "client_and_account"),
            (clients, attempt.client, &limits.client, "client"),
            (accounts, attempt.account, &limits.account, "account"),
        ];
        let mut refused = None;
        for (index, (((buckets, key, limit, what), level), flying)) in
            all.into_iter().zip(told.levels).zip(flying).enumerate()
        {
            let full = told.full == Some(index);
            let over = (level + 1.0 - f64::from(limit.burst)).max(0.0);
            let waits = full && over <= flying;
            let newly = record(buckets, key, limit, now, (level, full && !waits, told.newly));
            if full {
                let wait = limit.every.mul_f64(over);
                let slowed = Slowed { wait, newly: newly.then_some(what) };
                refused = Some(if waits { Full::Flying } else { Full::Slowed(slowed) });
            }
        }
        if let Some(refused) = refused {
            return Err(refused);
        }
        state.flying.begin(attempt);
        Ok(attempt)
    }

    /// The store of an attempt with the right password does not know of it: the next one brings it along.
    pub fn untold(&self, limits: &Limits, attempt: Attempt, now: Instant) {
        let mut state = self.state.lock();
        let bucket = enter(&mut state.pairs, attempt.pair, &limits.pair, now);
        (bucket.alone, bucket.cleared) = (true, true);
    }

    /// The password was right. Others from the same client still count: its own account is no way to try more of others.
    pub fn right(&self, limits: &Limits, attempt: Attempt, now: Instant) {
        let mut state = self.state.lock();
        state.take_back(limits, attempt, now);
        // Those that are under way may be wrong.
        let flying = state.flying.of(attempt.pair);
        if let Some(bucket) = state.pairs.get_mut(&attempt.pair).filter(|_| flying > 0.0) {
            (bucket.level, bucket.at) = (bucket.level(&limits.pair, now).min(flying), now);
            (bucket.refused, bucket.reported) = (false, false);
        } else {
            state.pairs.remove(&attempt.pair);
        }
        state.knows(attempt.pair, now);
        drop(state);
        self.ended.notify_waiters();
    }

    /// The password was wrong, or no one waits for the outcome any more: the attempt counts.
    pub fn wrong(&self, attempt: Attempt) {
        self.state.lock().flying.end(attempt);
        self.ended.notify_waiters();
    }

    /// The password was not checked after all.
    pub fn unjudged(&self, limits: &Limits, attempt: Attempt, now: Instant) {
        self.state.lock().take_back(limits, attempt, now);
        self.ended.notify_waiters();
    }
}

impl State {
    /// An attempt has ended, and does not count.
    fn take_back(&mut self, limits: &Limits, attempt: Attempt, now: Instant) {
        self.flying.end(attempt);
        empty(&mut self.pairs, attempt.pair, &limits.pair, now);
        empty(&mut self.clients, attempt.client, &limits.client, now);
        if attempt.counts {
            empty(&mut self.accounts, attempt.account, &limits.account, now);
        }
    }

    /// Remembers that a client has signed in to an account.
    fn knows(&mut self, pair: u64, now: Instant) {
        if self.known.len() >= MOST && !self.known.contains_key(&pair) {
            let mut times: Vec<Instant> = self.known.values().copied().collect();
            let (_, middle, _) = times.select_nth_unstable(MOST / 2);
            let middle = *middle;
            self.known.retain(|_, at| *at > middle);
        }
        self.known.insert(pair, now);
    }
}

impl Bucket {
    const fn new(at: Instant) -> Self {
        Self { level: 0.0, at, refused: false, reported: false, alone: false, cleared: false }
    }

    fn level(&self, limit: &Limit, now: Instant) -> f64 {
        let emptied = now.saturating_duration_since(self.at).as_secs_f64() / limit.every.as_secs_f64();
        (self.level - emptied).max(0.0)
    }
}

/// Whether a bucket has no room because of attempts that are under way. If it would have none without them, the attempt is slowed.
fn check(
    buckets: &mut Buckets,
    (key, flying): (u64, &Tally),
    limit: &Limit,
    now: Instant,
    what: &'static str,
) -> Result<bool, Full> {
    let Some(bucket) = buckets.get_mut(&key) else { return Ok(false) };
    let over = bucket.level(limit, now) + 1.0 - f64::from(limit.burst);
    if over <= flying.of(key) {
        bucket.refused &= over > 0.0;
        bucket.reported &= over > 0.0;
        return Ok(over > 0.0);
    }
    let newly = !std::mem::replace(&mut bucket.refused, true);
    bucket.reported |= newly;
    // A store that has lost its data learns of it.
    bucket.alone = true;
    Err(Full::Slowed(Slowed { wait: limit.every.mul_f64(over), newly: newly.then_some(what) }))
}

/// The bucket of `key`, made if there is none.
fn enter<'a>(buckets: &'a mut Buckets, key: u64, limit: &Limit, now: Instant) -> &'a mut Bucket {
    if buckets.len() >= MOST && !buckets.contains_key(&key) {
        make_room(buckets, limit, now);
    }
    buckets.entry(key).or_insert(Bucket::new(now))
}

fn fill(buckets: &mut Buckets, key: u64, limit: &Limit, now: Instant) {
    let bucket = enter(buckets, key, limit, now);
    (bucket.level, bucket.at, bucket.alone) = (bucket.level(limit, now) + 1.0, now, true);
}

/// Records the level of a bucket in a store, whether it is full, and whether that is new to the store. Returns whether this must be reported.
fn record(
    buckets: &mut Buckets,
    key: u64,
    limit: &Limit,
    now: Instant,
    (level, full, is_new): (f64, bool, bool),
) -> bool {
    if level <= 0.0 {
        buckets.remove(&key);
        return false;
    }
    let bucket = enter(buckets, key, limit, now);
    let newly = full && is_new && !bucket.reported;
    let reported = full && (bucket.reported || newly);
    *bucket = Bucket { level, at: now, refused: full, reported, alone: false, cleared: false };
    newly
}

fn empty(buckets: &mut Buckets, key: u64, limit: &Limit, now: Instant) {
    if let Some(bucket) = buckets.get_mut(&key) {
        (bucket.level, bucket.at) = ((bucket.level(limit, now) - 1.0).max(0.0), now);
    }
}

/// Removes the emptier half: those with many wrong passwords stay.
fn make_room(buckets: &mut Buckets, limit: &Limit, now: Instant) {
    let mut levels: Vec<f64> = buckets.values().map(|bucket| bucket.level(limit, now)).collect();
    let half = levels.len() / 2;
    let (_, middle, _) = levels.select_nth_unstable_by(half, f64::total_cmp);
    let middle = *middle;
    buckets.retain(|_, bucket| bucket.level(limit, now) > middle);
}
