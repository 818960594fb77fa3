//! Metrics of a store: its connections, waiting jobs, and how long commits take.

use crate::telemetry::instruments::{STORE_COMMIT, STORE_CONNECTIONS, STORE_WAITING};
use gatewright_sdk::metrics::{Attribute, Histogram, Instrument, Observed, histogram, number, observe};
use std::sync::Arc;
use std::time::Duration;

/// The current load of a store.
#[derive(Debug, Default)]
pub struct Load {
    /// Busy connections, and idle ones.
    pub used: usize,
    pub idle: usize,
    /// Waiting jobs.
    pub reads: usize,
    pub writes: usize,
}

/// The series of one store, under the name that the document has for it.
pub struct Measures {
    name: Box<str>,
    commits: Arc<Histogram>,
    _observed: [Arc<Observed>; 4],
}

impl Measures {
    pub fn new(name: &str, load: impl Fn() -> Load + Send + Sync + Clone + 'static) -> Self {
        let asked = |instrument: &'static Instrument, attribute: Attribute, read: fn(Load) -> usize| {
            let pool = ("db.client.connection.pool.name", name.to_owned().into());
            let load = load.clone();
            observe(instrument, [pool, attribute], move || number(read(load())))
        };
        let state = |state: &'static str| ("db.client.connection.state", state.into());
        let queue = |queue: &'static str| ("gateway.store.queue", queue.into());
        Self {
            name: name.into(),
            commits: histogram(&STORE_COMMIT, [("gateway.store", name.to_owned().into())]),
            _observed: [
                asked(&STORE_CONNECTIONS, state("used"), |load| load.used),
                asked(&STORE_CONNECTIONS, state("idle"), |load| load.idle),
                asked(&STORE_WAITING, queue("read"), |load| load.reads),
                asked(&STORE_WAITING, queue("write"), |load| load.writes),
            ],
        }
    }

    pub fn is_of(&self, name: &str) -> bool {
        *self.name == *name
    }

    /// Records the duration of a commit.
    pub fn committed(&self, took: Duration) {
        self.commits.record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }
}
