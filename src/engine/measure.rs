//! Metrics about reloads and the current configuration.

use crate::engine::outcome::{RefusedConfiguration, Reloaded};
use crate::telemetry::instruments::{
    CONFIG_ACCEPTED, CONFIG_REFUSED, GENERATION, GENERATIONS_ALIVE, RELOAD_DURATION, RELOADS,
};
use gatewright_sdk::metrics::{Attribute, Counter, Histogram, Level, Observed, counter, histogram, level, observe};
use std::sync::Arc;
use std::time::Duration;

/// The series of one live configuration.
pub struct Measures {
    accepted: ReloadSeries,
    refused: ReloadSeries,
    unchanged: ReloadSeries,
    _observed: [Arc<Observed>; 3],
}

struct ReloadSeries {
    count: Arc<Counter>,
    duration: Arc<Histogram>,
}

impl ReloadSeries {
    fn new(name: &'static str) -> Self {
        let attributes: [Attribute; 1] = [("gateway.outcome", name.into())];
        Self { count: counter(&RELOADS, attributes.clone()), duration: histogram(&RELOAD_DURATION, attributes) }
    }
}

impl Measures {
    /// `generation`, `accepted` and `refused` are called on each collection: the current generation, when it was
    /// accepted, and whether an edit has been rejected since.
    pub fn new(
        generation: impl Fn() -> f64 + Send + Sync + 'static,
        accepted: impl Fn() -> f64 + Send + Sync + 'static,
        refused: impl Fn() -> f64 + Send + Sync + 'static,
    ) -> Self {
        Self {
            accepted: ReloadSeries::new("accepted"),
            refused: ReloadSeries::new("refused"),
            unchanged: ReloadSeries::new("unchanged"),
            _observed: [
                observe(&GENERATION, [], generation),
                observe(&CONFIG_ACCEPTED, [], accepted),
                observe(&CONFIG_REFUSED, [], refused),
            ],
        }
    }

    /// Records a reload and its duration.
    pub fn reloaded(&self, outcome: &Result<Reloaded, RefusedConfiguration>, took: Duration) {
        let outcome = match outcome {
            Ok(Reloaded::Swapped(_)) => &self.accepted,
            Ok(Reloaded::Unchanged | Reloaded::Again(_)) => &self.unchanged,
            Err(_) => &self.refused,
        };
        outcome.count.add(1);
        outcome.duration.record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }
}

/// Counts a generation while its snapshot exists, or a request that it serves.
pub struct Alive(Arc<Level>);

impl Alive {
    pub fn new() -> Self {
        let alive = level(&GENERATIONS_ALIVE, []);
        alive.add(1);
        Self(alive)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}
