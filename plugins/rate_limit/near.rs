//! The keys that are near or over their limit, by name: the table of buckets knows them only as numbers.

use super::table::Limit;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// The names of some keys. It survives reloads.
pub struct Near {
    names: Mutex<HashMap<u128, Name>>,
    start: Instant,
    /// When the last key was dropped to make room, in seconds since the start.
    pruned: AtomicU64,
}

#[derive(Clone)]
pub struct Name {
    pub text: Box<str>,
    /// The limit that applied to it last.
    pub limit: Limit,
}

/// The maximum number of names.
const MOST: usize = 1000;

/// A key is near its limit when this many percent are used.
pub const PERCENT: u64 = 80;

impl Default for Near {
    fn default() -> Self {
        Self { names: Mutex::default(), start: Instant::now(), pruned: AtomicU64::new(0) }
    }
}

/// Whether so little is left of `burst` that the key is near its limit.
pub fn is_near(left: u32, burst: u32) -> bool {
    u64::from(left) * 100 <= u64::from(burst) * (100 - PERCENT)
}

impl Near {
    /// Remembers the name of `key`, unless there are too many that are still near: `is_still` tells.
    pub fn note(&self, key: u128, limit: Limit, name: impl FnOnce() -> String, is_still: impl Fn(u128, Limit) -> bool) {
        let mut names = self.names.lock();
        if let Some(known) = names.get_mut(&key) {
            known.limit = limit;
            return;
        }
        if names.len() >= MOST {
            let now = self.start.elapsed().as_secs();
            if self.pruned.swap(now, Relaxed) == now {
                return;
            }
            names.retain(|key, name| is_still(*key, name.limit));
            if names.len() >= MOST {
                return;
            }
        }
        names.insert(key, Name { text: name().into(), limit });
    }

    /// All keys that are still near, with their names.
    pub fn list(&self, is_still: impl Fn(u128, Limit) -> bool) -> Vec<(u128, Name)> {
        let mut names = self.names.lock();
        names.retain(|key, name| is_still(*key, name.limit));
        names.iter().map(|(key, name)| (*key, name.clone())).collect()
    }
}
