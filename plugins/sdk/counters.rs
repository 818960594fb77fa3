//! Stores in which several gateways count together.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// A store that counts: a plugin takes from a bucket in it, and so do the other gateways that use the store.
///
/// A bucket holds `burst` units and is refilled at a steady rate (GCRA). It needs no cleanup: a full bucket is forgotten.
pub trait Counters: Send + Sync + 'static {
    /// Takes from a bucket, or returns `None` if the store is known to be unreachable.
    fn take(&self, take: Take) -> Option<Taking>;

    /// Whether the store can be reached now.
    fn is_reachable(&self) -> bool;

    /// What a plugin does while the store is unreachable: `on_error` of the store.
    fn fallback(&self) -> Fallback;
}

/// What to take from which bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Take {
    /// The name of the bucket, the same in all gateways. It is visible in the store: see [`Place::name`] for the part
    /// that tells plugins apart, and put no secret into it.
    ///
    /// [`Place::name`]: crate::Place::name
    pub bucket: String,
    /// How many units to take.
    pub cost: u32,
    /// How many units the bucket holds.
    pub burst: u32,
    /// The time in which one unit is refilled.
    pub period: Duration,
    /// What this gateway has taken alone while the store was unreachable, as the time to refill it; otherwise zero.
    /// The bucket is at least that empty afterwards.
    pub owed: Duration,
}

/// The response of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Whether the bucket held enough. Otherwise nothing was taken.
    pub admitted: bool,
    /// The time to refill the bucket completely.
    pub owed: Duration,
}

/// A pending response. It is ready within 50 ms; `None` if the store did not respond.
pub type Taking = Pin<Box<dyn Future<Output = Option<Taken>> + Send>>;

/// What happens while a store is unreachable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// Each gateway continues on its own.
    Local,
    /// Requests are rejected with 503.
    Refuse,
}

/// The stores of a configuration that count, by name.
#[derive(Default, Clone)]
pub struct Stores(pub BTreeMap<String, Arc<dyn Counters>>);
