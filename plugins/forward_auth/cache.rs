//! Remembers which requests the authorization server let pass.

use bytes::Bytes;
use gatewright_sdk::{Identity, Proof};
use http::header::{CACHE_CONTROL, HeaderMap};
use http::{HeaderName, HeaderValue};
use moka::sync::Cache;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;

/// The maximum size of all entries of a plugin, in bytes.
const MOST: u64 = 16 << 20;

/// Requests that may pass, by a digest of everything that the server would receive.
pub type Granted = Cache<[u8; 32], Grant>;

pub fn granted(keep: Duration) -> Granted {
    let weight = |_: &[u8; 32], grant: &Grant| grant.weight;
    Cache::builder().max_capacity(MOST).weigher(weight).time_to_live(keep).build()
}

/// What the server returned for a request that may pass.
#[derive(Clone)]
pub struct Grant {
    fields: Arc<[(HeaderName, HeaderValue)]>,
    identity: Option<Arc<Identity>>,
    weight: u32,
}

impl Grant {
    pub fn of(proof: &Proof) -> Self {
        // The claims repeat the fields.
        let size: usize = proof.fields.iter().map(|(name, value)| 2 * (name.as_str().len() + value.len()) + 128).sum();
        let weight = u32::try_from(size.saturating_add(256)).unwrap_or(u32::MAX);
        Self { fields: proof.fields.as_slice().into(), identity: proof.identity.clone(), weight }
    }

    pub fn proof(&self) -> Proof {
        Proof { identity: self.identity.clone(), fields: self.fields.to_vec(), removes: None }
    }
}

/// The digest of a question.
pub fn key(question: &http::Request<Bytes>) -> [u8; 32] {
    let mut digest = Sha256::new();
    for (name, value) in question.headers() {
        for part in [name.as_str().as_bytes(), value.as_bytes()] {
            digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(part);
        }
    }
    digest.finalize().into()
}

/// Whether the server lets a response be reused.
pub fn may_keep(headers: &HeaderMap) -> bool {
    let forbids = |value: &HeaderValue| {
        let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
        text.split(',').any(|word| matches!(word.trim(), "no-store" | "no-cache" | "max-age=0"))
    };
    !headers.get_all(CACHE_CONTROL).iter().any(forbids)
}
