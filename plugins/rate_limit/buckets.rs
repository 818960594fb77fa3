//! The buckets of one rate limit: bounded in number, swept on demand, kept across reloads.

use super::key::By;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tower_governor::governor::GovernorConfig;

/// tower_governor's limiter with a maximum number of keys, and a sweep.
///
/// The limiter never removes a key itself. A sweep is run by the request that creates one bucket too many since the
/// last one: this needs no task and no timer, and the cost is spread over the new buckets. At the maximum, keys without
/// a known bucket share one; a known key keeps its own, so a flood of keys does not free an abuser. Keys that return
/// after their bucket was dropped can exceed the maximum by up to half.
pub struct Buckets {
    /// How the key of a request is obtained.
    pub by: By,
    config: GovernorConfig<By, StateInformationMiddleware>,
    clock: DefaultClock,
    burst: u32,
    max_keys: usize,
    /// The number of buckets after the last sweep.
    live: AtomicUsize,
    /// The maximum number created since.
    made: AtomicUsize,
    /// Approximately which keys have a bucket: a mark in the slot given by their hash. Used only once half of the
    /// maximum is reached.
    marks: OnceLock<Box<[AtomicU32]>>,
    seed: RandomState,
    start: Instant,
    /// When the last sweep ended, in milliseconds since `start`.
    swept: AtomicU64,
    sweeping: AtomicBool,
}

/// The bucket shared by keys without their own; no client has this address.
pub const SHARED: u128 = u128::MAX;

/// With fewer buckets than this, a sweep is not worth it.
const FEW: usize = 1024;

/// The minimum interval between sweeps while all buckets are in use.
const AGAIN: Duration = Duration::from_secs(1);

/// Retries while the reported wait is zero. After the limiter has read the clock, the thread may be suspended until
/// others have moved the bucket past that time; the request would then be rejected for being late rather than for
/// exceeding the limit.
fn until_sure<T>(mut ask: impl FnMut() -> Result<T, Duration>) -> Result<T, Duration> {
    loop {
        match ask() {
            Err(wait) if wait.is_zero() => {}
            sure => return sure,
        }
    }
}

impl Buckets {
    pub fn new(by: By, config: GovernorConfig<By, StateInformationMiddleware>, burst: u32, max_keys: usize) -> Self {
        Self {
            by,
            config,
            clock: DefaultClock::default(),
            burst,
            max_keys,
            live: AtomicUsize::new(0),
            made: AtomicUsize::new(0),
            marks: OnceLock::new(),
            seed: RandomState::new(),
            start: Instant::now(),
            swept: AtomicU64::new(0),
            sweeping: AtomicBool::new(false),
        }
    }

    /// Takes one request from the bucket of `key`: returns how many are left, or how long to wait.
    pub fn take(&self, key: u128) -> Result<u32, Duration> {
        let key = if self.admits(key) { key } else { SHARED };
        let ask = || {
            let asked = self.config.limiter().check_key(&key);
            asked.map_err(|until| until.wait_time_from(self.clock.now()))
        };
        match until_sure(ask) {
            Ok(state) => {
                let left = state.remaining_burst_capacity();
                // A full bucket is new, or as good as new; counting both errs on the safe side.
                if left.saturating_add(1) >= self.burst {
                    self.count();
                }
                Ok(left)
            }
            Err(wait) => Err(wait),
        }
    }

    /// Whether `key` may have its own bucket.
    fn admits(&self, key: u128) -> bool {
        let Some(marks) = self.marks.get() else { return true };
        let hash = self.seed.hash_one(key);
        let place = usize::try_from(hash & u64::from(u32::MAX)).unwrap_or(0) & (marks.len() - 1);
        // Zero marks an empty slot.
        let mark = u32::try_from(hash >> 32).unwrap_or(0) | 1;
        let Some(place) = marks.get(place) else { return true };
        if place.load(Relaxed) == mark {
            return true;
        }
        if self.is_full() && self.since_sweep() >= AGAIN {
            self.sweep();
        }
        let admitted = !self.is_full();
        if admitted {
            place.store(mark, Relaxed);
        }
        admitted
    }

    fn is_full(&self) -> bool {
        self.live.load(Relaxed) + self.made.load(Relaxed) >= self.max_keys
    }

    fn since_sweep(&self) -> Duration {
        self.start.elapsed().saturating_sub(Duration::from_millis(self.swept.load(Relaxed)))
    }

    /// Counts a new bucket, and sweeps when the number has doubled.
    fn count(&self) {
        let made = self.made.fetch_add(1, Relaxed) + 1;
        let live = self.live.load(Relaxed);
        let doubled = made >= live.max(FEW);
        let half = self.marks.get().is_none() && (live + made) * 2 >= self.max_keys;
        if doubled || half {
            self.sweep();
        }
    }

    /// Drops full buckets, in one thread at a time; the others continue.
    fn sweep(&self) {
        if self.sweeping.swap(true, std::sync::atomic::Ordering::Acquire) {
            return;
        }
        let limiter = self.config.limiter();
        limiter.retain_recent();
        let live = limiter.len();
        self.live.store(live, Relaxed);
        self.made.store(0, Relaxed);
        if live * 2 >= self.max_keys {
            let places = (self.max_keys * 2).next_power_of_two().max(FEW);
            self.marks.get_or_init(|| (0..places).map(|_| AtomicU32::new(0)).collect());
        } else {
            // Marks of dropped buckets would admit their keys beyond the maximum; there is room for new marks.
            self.marks.get().into_iter().flatten().for_each(|mark| mark.store(0, Relaxed));
        }
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.swept.store(now, Relaxed);
        self.sweeping.store(false, std::sync::atomic::Ordering::Release);
    }

    /// The number of buckets.
    pub fn len(&self) -> usize {
        self.config.limiter().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use governor::clock::Reference;
    use governor::nanos::Nanos;
    use governor::{Quota, RateLimiter};
    use parking_lot::Mutex;
    use std::collections::VecDeque;
    use std::sync::Arc;

    /// Returns these times, in milliseconds, one after the other.
    #[derive(Clone)]
    struct Said(Arc<Mutex<VecDeque<u64>>>);

    impl Clock for Said {
        type Instant = Nanos;

        fn now(&self) -> Nanos {
            let next = self.0.lock().pop_front();
            Nanos::from(Duration::from_millis(next.expect("a time for each look at the clock")))
        }
    }

    #[test]
    fn no_request_is_rejected_for_waiting_for_a_core() {
        let judge = |times: &[u64]| {
            let clock = Said(Arc::new(Mutex::new(times.iter().copied().collect())));
            let quota = Quota::with_period(Duration::from_millis(10)).expect("a period");
            let limiter = RateLimiter::direct_with_clock(quota, clock.clone());
            assert!(limiter.check().is_ok());
            until_sure(|| limiter.check().map_err(|until| until.wait_time_from(clock.now())))
        };
        // Created at 0; another thread took the bucket's request at 100; read at 50, and again at 200.
        assert_eq!(judge(&[0, 100, 50, 200, 200]), Ok(()));
        assert_eq!(judge(&[0, 100, 50, 104]), Err(Duration::from_millis(6)), "too many is too many");
        assert_eq!(Nanos::from(5).duration_since(Nanos::from(7)), Nanos::from(0));
    }
}
