//! What is measured of a store: its connections, who waits for one, and how long commits take.

use super::shared::Shared;
use crate::telemetry::instruments::{STORE_COMMIT, STORE_CONNECTIONS, STORE_WAITING};
use gatewright_sdk::metrics::{Attribute, Histogram, Instrument, Observed, histogram, number, observe};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// The series of one store, under the name that the document has for it.
pub struct Measures {
    name: Box<str>,
    commits: Arc<Histogram>,
    _observed: [Arc<Observed>; 4],
}

impl Measures {
    pub fn new(name: &str, shared: &Arc<Shared>) -> Self {
        let asked = |instrument: &'static Instrument, attribute: Attribute, read: fn(&Shared) -> usize| {
            let shared: Weak<Shared> = Arc::downgrade(shared);
            let pool = ("db.client.connection.pool.name", name.to_owned().into());
            observe(instrument, [pool, attribute], move || shared.upgrade().map_or(0.0, |shared| number(read(&shared))))
        };
        let state = |state: &'static str| ("db.client.connection.state", state.into());
        let queue = |queue: &'static str| ("gateway.store.queue", queue.into());
        Self {
            name: name.into(),
            commits: histogram(&STORE_COMMIT, [("gateway.store", name.to_owned().into())]),
            _observed: [
                asked(&STORE_CONNECTIONS, state("used"), |shared| shared.connections().0),
                asked(&STORE_CONNECTIONS, state("idle"), |shared| shared.connections().1),
                asked(&STORE_WAITING, queue("read"), |shared| shared.reads.len()),
                asked(&STORE_WAITING, queue("write"), |shared| shared.writes.len()),
            ],
        }
    }

    pub fn is_of(&self, name: &str) -> bool {
        *self.name == *name
    }

    /// Takes note of a commit that took this long.
    pub fn committed(&self, took: Duration) {
        self.commits.record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }
}
