//! Remembers tokens that were verified: a client sends the same one for minutes, and signatures are dear.

use super::token::Proof;
use gatewright_sdk::Identity;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// A fixed number of places; a token has one of them, and a newer token takes it over. It belongs to one installation of
/// the plugin, so what a reload changes about tokens holds at once.
pub struct Cache {
    /// Made when the first token was verified: many routes may have a cache, and few be called.
    places: OnceLock<Box<[Mutex<Option<Known>>]>>,
    /// Nobody outside knows which tokens share a place.
    seed: RandomState,
}

struct Known {
    token: Box<[u8]>,
    proof: Proof,
}

/// At 8 KiB for the longest token, 8 MiB at most.
const PLACES: usize = 1024;

impl Default for Cache {
    fn default() -> Self {
        Self { places: OnceLock::new(), seed: RandomState::new() }
    }
}

impl Cache {
    /// The identity that exactly this token has proven before, if it still holds at `now`.
    pub fn find(&self, token: &[u8], now: u64) -> Option<Arc<Identity>> {
        let place = self.places.get()?.get(self.place(token))?;
        let place = place.lock().unwrap_or_else(PoisonError::into_inner);
        let known = place.as_ref().filter(|known| *known.token == *token && known.proof.holds(now))?;
        Some(Arc::clone(&known.proof.identity))
    }

    pub fn store(&self, token: &[u8], proof: Proof) {
        let places = self.places.get_or_init(|| (0..PLACES).map(|_| Mutex::new(None)).collect());
        if let Some(place) = places.get(self.place(token)) {
            *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(Known { token: token.into(), proof });
        }
    }

    fn place(&self, token: &[u8]) -> usize {
        usize::try_from(self.seed.hash_one(token) % PLACES as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn proof(subject: &str) -> Proof {
        let identity = Arc::new(Identity { subject: subject.into(), ..Identity::default() });
        Proof { identity, from: 100, until: 200 }
    }

    #[test]
    fn a_token_is_known_to_the_byte_and_while_it_holds() {
        let cache = Cache::default();
        cache.store(b"token", proof("u1"));
        for (now, known) in [(99, false), (100, true), (200, true), (201, false)] {
            assert_eq!(cache.find(b"token", now).is_some(), known, "at {now}");
        }
        assert!(cache.find(b"tokem", 150).is_none() && cache.find(b"toke", 150).is_none());
        for number in 0..10 * PLACES {
            cache.store(number.to_string().as_bytes(), proof(&number.to_string()));
        }
        let found = (0..10 * PLACES).filter(|number| {
            let identity = cache.find(number.to_string().as_bytes(), 150);
            assert!(identity.as_ref().is_none_or(|identity| identity.subject == number.to_string()));
            identity.is_some()
        });
        assert!((1..=PLACES).contains(&found.count()), "bounded");
    }
}
