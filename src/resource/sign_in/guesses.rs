//! Limits wrong passwords by client, by account, and by both.
//!
//! Each wrong password fills three buckets, which empty slowly. While one is full, no password is tried, right or wrong. Names
//! of accounts that do not exist count in the same way. A guesser cannot lock the owner out: a client that has signed in to an
//! account before is not affected by the bucket of the account.

use super::limits::{Limit, Limits};
use gatewright_sdk::ClientKey;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// The maximum number of entries of each kind.
const MOST: usize = 65_536;

/// What was tried and went wrong. It survives reloads.
#[derive(Debug, Default)]
pub struct Guesses {
    keys: RandomState,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    pairs: Buckets,
    clients: Buckets,
    accounts: Buckets,
    /// Clients that have signed in to an account, and when.
    known: HashMap<u64, Instant>,
}

type Buckets = HashMap<u64, Bucket>;

#[derive(Debug, Clone, Copy)]
struct Bucket {
    level: f64,
    at: Instant,
    /// Whether it has refused an attempt since it was full.
    refused: bool,
}

/// An attempt that may be made. It counts as wrong unless [`Guesses::right`] or [`Guesses::unjudged`] is called.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    pair: u64,
    client: u64,
    account: u64,
    /// Whether it counts for the account: the client was not known.
    counts: bool,
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
    pub fn attempt(
        &self,
        limits: &Limits,
        (client, account): (ClientKey, &str),
        now: Instant,
    ) -> Result<Attempt, Slowed> {
        let keys = &self.keys;
        let pair = keys.hash_one((client, account));
        let mut state = self.state.lock();
        let counts = !state.known.contains_key(&pair);
        let attempt = Attempt { pair, client: keys.hash_one(client), account: keys.hash_one(account), counts };
        let State { pairs, clients, accounts, .. } = &mut *state;
        check(pairs, attempt.pair, &limits.pair, now, "client_and_account")?;
        check(clients, attempt.client, &limits.client, now, "client")?;
        if counts {
            check(accounts, attempt.account, &limits.account, now, "account")?;
        }
        fill(pairs, attempt.pair, &limits.pair, now);
        fill(clients, attempt.client, &limits.client, now);
        if counts {
            fill(accounts, attempt.account, &limits.account, now);
        }
        Ok(attempt)
    }

    /// The password was right. Others from the same client still count: its own account is no way to try more of others.
    pub fn right(&self, limits: &Limits, attempt: Attempt, now: Instant) {
        self.unjudged(limits, attempt, now);
        let mut state = self.state.lock();
        state.pairs.remove(&attempt.pair);
        if state.known.len() >= MOST && !state.known.contains_key(&attempt.pair) {
            let mut times: Vec<Instant> = state.known.values().copied().collect();
            let (_, middle, _) = times.select_nth_unstable(MOST / 2);
            let middle = *middle;
            state.known.retain(|_, at| *at > middle);
        }
        state.known.insert(attempt.pair, now);
    }

    /// The password was not checked after all.
    pub fn unjudged(&self, limits: &Limits, attempt: Attempt, now: Instant) {
        let mut state = self.state.lock();
        let State { pairs, clients, accounts, .. } = &mut *state;
        empty(pairs, attempt.pair, &limits.pair, now);
        empty(clients, attempt.client, &limits.client, now);
        if attempt.counts {
            empty(accounts, attempt.account, &limits.account, now);
        }
    }
}

impl Bucket {
    fn level(&self, limit: &Limit, now: Instant) -> f64 {
        let emptied = now.saturating_duration_since(self.at).as_secs_f64() / limit.every.as_secs_f64();
        (self.level - emptied).max(0.0)
    }
}

fn check(buckets: &mut Buckets, key: u64, limit: &Limit, now: Instant, what: &'static str) -> Result<(), Slowed> {
    let Some(bucket) = buckets.get_mut(&key) else { return Ok(()) };
    let over = bucket.level(limit, now) + 1.0 - limit.burst;
    if over <= 0.0 {
        bucket.refused = false;
        return Ok(());
    }
    let newly = !std::mem::replace(&mut bucket.refused, true);
    Err(Slowed { wait: limit.every.mul_f64(over), newly: newly.then_some(what) })
}

fn fill(buckets: &mut Buckets, key: u64, limit: &Limit, now: Instant) {
    if buckets.len() >= MOST && !buckets.contains_key(&key) {
        make_room(buckets, limit, now);
    }
    let bucket = buckets.entry(key).or_insert(Bucket { level: 0.0, at: now, refused: false });
    (bucket.level, bucket.at) = (bucket.level(limit, now) + 1.0, now);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::document::route::WrongPasswords;

    fn limits() -> Limits {
        WrongPasswords::default().into()
    }

    fn client(number: u32) -> ClientKey {
        let [_, a, b, c] = number.to_be_bytes();
        ClientKey::of(format!("10.{a}.{b}.{c}").parse().unwrap())
    }

    /// How many of `count` attempts may be made.
    fn allowed(guesses: &Guesses, count: u32, at: Instant, make: impl Fn(u32) -> (u32, String)) -> usize {
        let tried = (0..count).filter(|number| {
            let (from, account) = make(*number);
            guesses.attempt(&limits(), (client(from), &account), at).is_ok()
        });
        tried.count()
    }

    #[test]
    fn each_way_of_guessing_is_slowed() {
        let now = Instant::now();
        let fresh = Guesses::default;
        assert_eq!(allowed(&fresh(), 1000, now, |_| (1, "ada".into())), 10, "one client, one account");
        assert_eq!(allowed(&fresh(), 1000, now, |n| (1, n.to_string())), 50, "one client, many accounts");
        assert_eq!(allowed(&fresh(), 1000, now, |n| (n, "ada".into())), 50, "many clients, one account");
    }

    #[test]
    fn right_passwords_sent_at_once_leave_nothing_behind() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        for number in 0..100 {
            let attempts: Vec<_> =
                (0..10).filter_map(|_| guesses.attempt(&limits(), (client(number), "ada"), now).ok()).collect();
            assert_eq!(attempts.len(), 10, "{number}");
            attempts.into_iter().for_each(|attempt| guesses.right(&limits(), attempt, now));
        }
    }

    #[test]
    fn time_allows_more_and_the_wait_is_announced() {
        let (guesses, start) = (Guesses::default(), Instant::now());
        allowed(&guesses, 10, start, |_| (1, "ada".into()));
        let slowed = guesses.attempt(&limits(), (client(1), "ada"), start).unwrap_err();
        assert_eq!(slowed, Slowed { wait: limits().pair.every, newly: Some("client_and_account") });
        let half = start + limits().pair.every / 2;
        let slowed = guesses.attempt(&limits(), (client(1), "ada"), half).unwrap_err();
        assert_eq!(slowed, Slowed { wait: limits().pair.every / 2, newly: None }, "a refused attempt does not count");
        let later = start + limits().pair.every;
        assert_eq!(allowed(&guesses, 1, later, |_| (1, "ada".into())), 1);
        assert!(
            guesses.attempt(&limits(), (client(1), "ada"), later).unwrap_err().newly.is_some(),
            "it is slowed anew"
        );
    }

    #[test]
    fn a_guesser_does_not_lock_the_owner_out() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        let owner = guesses.attempt(&limits(), (client(9), "ada"), now).unwrap();
        guesses.right(&limits(), owner, now);
        // A day of one client that guesses as often as it may.
        let day = (0..24 * 60).map(|minute| now + Duration::from_secs(minute * 60));
        let tried: usize = day.map(|at| allowed(&guesses, 5, at, |_| (1, "ada".into()))).sum();
        assert!(tried < 300, "{tried}");
        let then = now + Duration::from_secs(24 * 3600);
        assert!(guesses.attempt(&limits(), (client(8), "ada"), then).is_ok(), "from a new place");
        // Many clients at once.
        allowed(&guesses, 1000, then, |n| (100 + n, "ada".into()));
        assert!(guesses.attempt(&limits(), (client(8), "ada"), then).is_err());
        assert!(
            guesses.attempt(&limits(), (client(9), "ada"), then).is_ok(),
            "from a place where the owner signed in before"
        );
    }

    #[test]
    fn right_passwords_do_not_count_and_pay_for_no_wrong_ones() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        for _ in 0..1000 {
            let attempt = guesses.attempt(&limits(), (client(1), "ada"), now).unwrap();
            guesses.right(&limits(), attempt, now);
        }
        let own = |n: u32| {
            let attempt = guesses
                .attempt(&limits(), (client(1), "ada"), now)
                .map(|attempt| guesses.right(&limits(), attempt, now));
            attempt.is_ok() && guesses.attempt(&limits(), (client(1), &n.to_string()), now).is_ok()
        };
        assert_eq!((0..1000).filter(|n| own(*n)).count(), 50);
    }

    #[test]
    fn memory_is_bounded_and_the_worst_are_remembered() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        allowed(&guesses, 10, now, |_| (1, "ada".into()));
        for n in 0..200_000 {
            let _ = guesses.attempt(&limits(), (client(10 + n), &n.to_string()), now);
        }
        let state = guesses.state.lock();
        assert!([&state.pairs, &state.clients, &state.accounts].iter().all(|buckets| buckets.len() <= MOST));
        drop(state);
        assert!(guesses.attempt(&limits(), (client(1), "ada"), now).is_err());
    }
}
