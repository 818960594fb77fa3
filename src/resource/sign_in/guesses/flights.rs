//! Attempts that are under way, and requests that wait for them.

use super::{Attempt, Guesses};
use gatewright_sdk::ClientKey;
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;

/// How many requests wait: of one client, and in all. Each attempt that ends wakes all of them.
const WAITING: (usize, usize) = (64, 1024);

/// How many of something there are of each bucket.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    counts: HashMap<u64, usize>,
    all: usize,
}

impl Tally {
    fn add(&mut self, key: u64) {
        *self.counts.entry(key).or_default() += 1;
        self.all += 1;
    }

    fn remove(&mut self, key: u64) {
        let Some(count) = self.counts.get_mut(&key) else { return };
        *count -= 1;
        self.all -= 1;
        if *count == 0 {
            self.counts.remove(&key);
        }
    }

    fn count(&self, key: u64) -> usize {
        self.counts.get(&key).copied().unwrap_or_default()
    }

    pub fn of(&self, key: u64) -> f64 {
        u32::try_from(self.count(key)).map_or(f64::MAX, f64::from)
    }

    /// An attempt begins.
    pub fn begin(&mut self, attempt: Attempt) {
        attempt.keys().for_each(|key| self.add(key));
    }

    /// An attempt has ended.
    pub fn end(&mut self, attempt: Attempt) {
        attempt.keys().for_each(|key| self.remove(key));
    }
}

/// A store is being asked about an attempt.
pub struct Asking {
    pub guesses: Arc<Guesses>,
    pub attempt: Attempt,
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.guesses.state.lock().asking.end(self.attempt);
        self.guesses.ended.notify_waiters();
    }
}

/// A request waits for attempts that are under way.
pub struct Waiting {
    guesses: Arc<Guesses>,
    client: u64,
}

impl Waiting {
    /// `None` if too many wait.
    pub fn begin(guesses: &Arc<Guesses>, client: ClientKey) -> Option<Self> {
        let client = guesses.keys.hash_one(client);
        let waiting = &mut guesses.state.lock().waiting;
        if waiting.count(client) >= WAITING.0 || waiting.all >= WAITING.1 {
            return None;
        }
        waiting.add(client);
        Some(Self { guesses: Arc::clone(guesses), client })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.guesses.state.lock().waiting.remove(self.client);
    }
}
