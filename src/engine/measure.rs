//! What is measured of reloads and of the configuration that serves.

use crate::engine::live::{Live, Refused, Reloaded};
use crate::telemetry::instruments::{
    CONFIG_ACCEPTED, CONFIG_REFUSED, GENERATION, GENERATIONS_ALIVE, RELOAD_DURATION, RELOADS,
};
use gatewright_sdk::metrics::{
    Attribute, Counter, Histogram, Instrument, Level, Observed, counter, histogram, level, number, observe,
};
use std::sync::{Arc, Weak};
use std::time::{Duration, UNIX_EPOCH};

/// The series of one live configuration.
pub struct Measures {
    accepted: Outcome,
    refused: Outcome,
    unchanged: Outcome,
    _observed: [Arc<Observed>; 3],
}

struct Outcome {
    count: Arc<Counter>,
    duration: Arc<Histogram>,
}

impl Outcome {
    fn new(name: &'static str) -> Self {
        let attributes: [Attribute; 1] = [("gateway.outcome", name.into())];
        Self { count: counter(&RELOADS, attributes.clone()), duration: histogram(&RELOAD_DURATION, attributes) }
    }
}

impl Measures {
    pub fn new(live: &Weak<Live>) -> Self {
        let asked = |instrument: &'static Instrument, read: fn(&Live) -> f64| {
            let live = Weak::clone(live);
            observe(instrument, [], move || live.upgrade().map_or(0.0, |live| read(&live)))
        };
        Self {
            accepted: Outcome::new("accepted"),
            refused: Outcome::new("refused"),
            unchanged: Outcome::new("unchanged"),
            _observed: [
                asked(&GENERATION, |live| number(live.load().origin.generation)),
                asked(&CONFIG_ACCEPTED, |live| {
                    live.load().origin.since.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
                }),
                asked(&CONFIG_REFUSED, |live| f64::from(u8::from(live.last_refused().is_some()))),
            ],
        }
    }

    /// Takes note of a reload that took this long.
    pub fn reloaded(&self, outcome: &Result<Reloaded, Refused>, took: Duration) {
        let outcome = match outcome {
            Ok(Reloaded::Swapped(_)) => &self.accepted,
            Ok(Reloaded::Unchanged) => &self.unchanged,
            Err(_) => &self.refused,
        };
        outcome.count.add(1);
        outcome.duration.record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }
}

/// Counts a generation for as long as its snapshot is there, or a request that it serves.
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
