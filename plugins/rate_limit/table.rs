//! The buckets of one rate limit: bounded in number, swept on demand, kept across reloads, also those that change the
//! quota.

use governor::clock::Clock;
use governor::nanos::Nanos;
use governor::state::StateStore;
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The state of each key: when its bucket is full again.
///
/// governor's own stores belong to one limiter with one quota, and never remove a key. This one is shared by all quotas
/// of a rate limit, and removes full buckets: a shard is swept by the request that has doubled it since its last sweep,
/// so there is no task and no timer, and the cost is spread over the new keys. At the maximum, keys without a bucket
/// share one; a known key keeps its own, so a flood of keys does not free an abuser.
pub struct Table {
    shards: Box<[Mutex<Shard>; SHARDS]>,
    start: Instant,
    len: AtomicUsize,
}

#[derive(Default)]
struct Shard {
    buckets: HashMap<u128, Bucket>,
    /// How many buckets were left by the last sweep.
    live: usize,
    /// When it was, in nanoseconds since the start.
    swept: u64,
}

#[derive(Clone, Copy)]
struct Bucket {
    /// When it is full, in nanoseconds since the start.
    full: u64,
    /// The time in which one request is refilled, in nanoseconds, and [`ALONE`].
    period: u64,
}

/// Set in the period of a bucket from which this process has taken alone: there was no store, or it was unreachable.
const ALONE: u64 = 1 << 63;

/// The bucket shared by keys without their own; no client has this address.
pub const SHARED: u128 = u128::MAX;

const SHARDS: usize = 64;

/// With fewer buckets than this, a sweep of a shard is not worth it.
const FEW: usize = 16;

/// The minimum interval between sweeps of a shard while all buckets are in use.
const AGAIN: u64 = 1_000_000_000;

impl Default for Table {
    fn default() -> Self {
        Self {
            shards: Box::new(std::array::from_fn(|_| Mutex::default())),
            start: Instant::now(),
            len: AtomicUsize::new(0),
        }
    }
}

impl Bucket {
    /// What was taken and not refilled yet, as the time to refill it at the rate of `limit`. A bucket that was used with
    /// another quota keeps the number of requests taken, but at most the size of the bucket.
    fn owed(self, now: u64, limit: Limit) -> u64 {
        let (owed, period) = (self.full.saturating_sub(now), self.period & !ALONE);
        let owed = if period == limit.period {
            owed
        } else {
            let requests = u128::from(owed) * u128::from(limit.period) / u128::from(period.max(1));
            u64::try_from(requests).unwrap_or(u64::MAX)
        };
        owed.min(limit.capacity())
    }
}

/// The rate and size of buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The time in which one request is refilled, in nanoseconds.
    pub period: u64,
    pub burst: u32,
}

impl Limit {
    /// The time to refill an empty bucket.
    pub fn capacity(self) -> u64 {
        self.period.saturating_mul(self.burst.into())
    }

    /// The number of requests left in a bucket that needs `owed` to be refilled.
    pub fn left(self, owed: u64) -> u32 {
        u32::try_from(self.capacity().saturating_sub(owed) / self.period.max(1)).unwrap_or(u32::MAX)
    }
}

impl Table {
    /// The number of buckets.
    pub fn len(&self) -> usize {
        self.len.load(Relaxed)
    }

    fn now(&self) -> u64 {
        nanos(self.start.elapsed())
    }

    fn shard(&self, key: u128) -> MutexGuard<'_, Shard> {
        // Keys that collide here only share a lock.
        let folded = key ^ (key >> 64) ^ (key >> 32) ^ (key >> 16);
        let index = usize::try_from(folded & (SHARDS as u128 - 1)).unwrap_or_default();
        let [first, ..] = &*self.shards;
        self.shards.get(index).unwrap_or(first).lock()
    }

    /// The shard of `key`, or of [`SHARED`] if `key` has no bucket and there is no room for one.
    fn enter(&self, key: u128, max_keys: usize) -> (MutexGuard<'_, Shard>, u128) {
        let mut shard = self.shard(key);
        if key == SHARED || shard.buckets.contains_key(&key) || self.len() < max_keys {
            return (shard, key);
        }
        let now = self.now();
        if now.saturating_sub(shard.swept) >= AGAIN {
            self.sweep(&mut shard, now);
        }
        if self.len() < max_keys {
            return (shard, key);
        }
        drop(shard);
        (self.shard(SHARED), SHARED)
    }

    /// Counts a new bucket, and sweeps when the number in its shard has doubled.
    fn count(&self, shard: &mut Shard, now: u64) {
        self.len.fetch_add(1, Relaxed);
        if shard.buckets.len() >= shard.live.max(FEW) * 2 {
            self.sweep(shard, now);
        }
    }

    /// Drops full buckets.
    fn sweep(&self, shard: &mut Shard, now: u64) {
        let before = shard.buckets.len();
        shard.buckets.retain(|_, bucket| bucket.full > now);
        self.len.fetch_sub(before - shard.buckets.len(), Relaxed);
        if shard.buckets.len() < shard.buckets.capacity() / 4 {
            shard.buckets.shrink_to_fit();
        }
        (shard.live, shard.swept) = (shard.buckets.len(), now);
    }

    /// What was taken from the bucket of `key`, as the time to refill it, and whether this process took some alone.
    pub fn look(&self, key: u128, limit: Limit) -> Option<(u64, bool)> {
        let (shard, now) = (self.shard(key), self.now());
        let bucket = shard.buckets.get(&key)?;
        Some((bucket.owed(now, limit), bucket.period & ALONE != 0)).filter(|(owed, _)| *owed > 0)
    }

    /// Marks all buckets as used by this process alone: there is another store, which does not know of them.
    pub fn mark_alone(&self) {
        for shard in &*self.shards {
            shard.lock().buckets.values_mut().for_each(|bucket| bucket.period |= ALONE);
        }
    }

    /// Records what was taken from the bucket of `key` in the store, if there is room.
    pub fn record(&self, key: u128, owed: u64, limit: Limit, max_keys: usize) {
        let (mut shard, entered) = self.enter(key, max_keys);
        if entered != key {
            return;
        }
        let now = self.now();
        let bucket = Bucket { full: now.saturating_add(owed), period: limit.period };
        if shard.buckets.insert(key, bucket).is_none() {
            self.count(&mut shard, now);
        }
    }
}

pub fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A table as governor's limiters see it: with the rate of one of them, and in times relative to now.
pub struct View {
    pub table: Arc<Table>,
    pub limit: Limit,
    pub max_keys: usize,
}

impl StateStore for View {
    type Key = u128;

    fn measure_and_replace<T, F, E>(&self, key: &u128, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (mut shard, key) = self.table.enter(*key, self.max_keys);
        // Read under the lock, so that no request is rejected for having waited for it.
        let now = self.table.now();
        let made = |owed: Nanos| Bucket { full: now.saturating_add(owed.as_u64()), period: self.limit.period | ALONE };
        match shard.buckets.entry(key) {
            Entry::Occupied(mut bucket) => {
                let owed = bucket.get().owed(now, self.limit);
                let (decision, next) = decide(Some(Nanos::new(owed)))?;
                bucket.insert(made(next));
                Ok(decision)
            }
            Entry::Vacant(place) => {
                let (decision, next) = decide(None)?;
                place.insert(made(next));
                self.table.count(&mut shard, now);
                Ok(decision)
            }
        }
    }
}

/// The clock of limiters over a [`View`], which has the only clock: all times are relative to now.
#[derive(Debug, Clone, Copy)]
pub struct Now;

impl Clock for Now {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(0)
    }
}
