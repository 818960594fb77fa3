//! Caches verified tokens: a client sends the same one for minutes, and verifying signatures is expensive.

use super::token::Proof;
use gatewright_sdk::Identity;
use parking_lot::Mutex;
use serde_json::Value;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

/// A fixed number of slots; a token maps to one of them and is replaced by a newer token. The cache belongs to one
/// configured plugin, on any number of routes. It survives a reload unless the keys or the rules for tokens change.
pub struct Cache {
    /// Allocated when the first token is verified.
    places: OnceLock<Box<[Mutex<Option<Known>>]>>,
    /// Secret, so that no client knows which tokens share a slot.
    seed: RandomState,
    budget: Arc<Budget>,
}

/// The memory budget for the caches of all plugins.
#[derive(Default)]
pub struct Budget {
    used: AtomicUsize,
}

struct Known {
    token: Box<[u8]>,
    proof: Proof,
    /// The version of the keys that verified it.
    version: u64,
    weight: usize,
}

const PLACES: usize = 1024;

/// The maximum for all caches, in bytes. A token with its claims takes about 3 KiB, so there is room for some 10,000.
const MOST: usize = 32 << 20;

impl Budget {
    /// Reserves `weight` bytes and releases `freed`, if there is room.
    fn exchange(&self, freed: usize, weight: usize) -> bool {
        let exchanged = |used: usize| Some(used.saturating_sub(freed) + weight).filter(|used| *used <= MOST);
        self.used.fetch_update(Relaxed, Relaxed, exchanged).is_ok()
    }

    #[cfg(test)]
    pub fn used(&self) -> usize {
        self.used.load(Relaxed)
    }
}

impl Cache {
    pub fn new(budget: Arc<Budget>) -> Self {
        Self { places: OnceLock::new(), seed: RandomState::new(), budget }
    }

    /// The identity of exactly this token, if it was verified with keys of this `version` and is still valid at `now`.
    pub fn find(&self, token: &[u8], now: u64, version: u64) -> Option<Arc<Identity>> {
        let place = self.places.get()?.get(self.place(token))?.lock();
        let holds = |known: &&Known| *known.token == *token && known.version == version && known.proof.holds(now);
        let known = place.as_ref().filter(holds)?;
        Some(Arc::clone(&known.proof.identity))
    }

    /// Caches `token`, unless the budget is exhausted.
    pub fn store(&self, token: &[u8], proof: Proof, version: u64) {
        let claims = proof.identity.claims.iter().map(|(name, value)| name.len() + weight(value));
        let weight = size_of::<Known>() + token.len() + claims.sum::<usize>();
        let places = self.places.get_or_init(|| (0..PLACES).map(|_| Mutex::new(None)).collect());
        let Some(mut place) = places.get(self.place(token)).map(Mutex::lock) else { return };
        if self.budget.exchange(place.as_ref().map_or(0, |known| known.weight), weight) {
            *place = Some(Known { token: token.into(), proof, version, weight });
        }
    }

    fn place(&self, token: &[u8]) -> usize {
        usize::try_from(self.seed.hash_one(token) % PLACES as u64).unwrap_or(0)
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        let places = self.places.get_mut().into_iter().flat_map(|places| places.iter_mut());
        let weight = places.filter_map(|place| place.get_mut().as_ref()).map(|known| known.weight).sum();
        self.budget.exchange(weight, 0);
    }
}

/// The approximate memory of a claim in bytes: a list of small numbers takes many times its text.
fn weight(value: &Value) -> usize {
    /// A map entry, with its hash and slot.
    const ENTRY: usize = 64;
    size_of::<Value>()
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(weight).sum(),
            Value::Object(entries) => entries.iter().map(|(name, value)| ENTRY + name.len() + weight(value)).sum(),
            _ => 0,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(subject: &str) -> Proof {
        let identity = Arc::new(Identity { subject: subject.into(), ..Identity::default() });
        Proof { identity, from: 100, until: 200 }
    }

    #[test]
    fn a_token_is_cached_exactly_and_while_it_is_valid() {
        let cache = Cache::new(Arc::default());
        cache.store(b"token", proof("u1"), 7);
        for (now, known) in [(99, false), (100, true), (199, true), (200, false)] {
            assert_eq!(cache.find(b"token", now, 7).is_some(), known, "at {now}");
        }
        assert!(cache.find(b"token", 150, 8).is_none(), "the keys have changed");
        assert!(cache.find(b"tokem", 150, 7).is_none() && cache.find(b"toke", 150, 7).is_none());
        for number in 0..10 * PLACES {
            cache.store(number.to_string().as_bytes(), proof(&number.to_string()), 7);
        }
        let found = (0..10 * PLACES).filter(|number| {
            let identity = cache.find(number.to_string().as_bytes(), 150, 7);
            assert!(identity.as_ref().is_none_or(|identity| identity.subject == number.to_string()));
            identity.is_some()
        });
        assert!((1..=PLACES).contains(&found.count()), "bounded");
    }

    #[test]
    fn all_caches_share_one_budget_and_release_what_they_reserved() {
        let budget = Arc::<Budget>::default();
        let caches: Vec<_> = (0..40).map(|_| Cache::new(Arc::clone(&budget))).collect();
        let list = Value::Array(vec![Value::from(1); 3000]);
        for number in 0..200_u32 {
            for cache in &caches {
                let claims = [("list".to_owned(), list.clone())].into_iter().collect();
                let identity = Arc::new(Identity { subject: "u1".into(), claims, ..Identity::default() });
                cache.store(&number.to_be_bytes(), Proof { identity, from: 100, until: 200 }, 0);
                assert!(budget.used.load(Relaxed) <= MOST);
            }
        }
        assert!(budget.used.load(Relaxed) > MOST / 2, "and the bound is made use of");
        drop(caches);
        assert_eq!(budget.used.load(Relaxed), 0);
    }
}
