//! Metrics of a rate limit: requests allowed and rejected, and how close to the limit clients come.

use super::buckets::Buckets;
use gatewright_sdk::Place;
use gatewright_sdk::metrics::{self, Counter, Histogram, Instrument, Measure, Observed, number};
use std::sync::Arc;

static REQUESTS: Instrument = Instrument {
    name: "gateway.rate_limit.requests",
    measure: Measure::Counter,
    unit: "{request}",
    help: "Requests that a limit let through, `allowed`, or refused, `limited`",
    attributes: &["gateway.plugin", "gateway.outcome"],
};

static KEYS: Instrument = Instrument {
    name: "gateway.rate_limit.keys",
    measure: Measure::UpDownCounter,
    unit: "{key}",
    help: "Clients, users or API keys that are counted separately",
    attributes: &["gateway.plugin"],
};

/// In percent.
static USAGE: Instrument = Instrument {
    name: "gateway.rate_limit.usage",
    measure: Measure::Histogram(metrics::Buckets { bounds: &[10, 25, 50, 75, 90, 95, 99, 100], steps: 100 }),
    unit: "1",
    help: "How much of its limit a client had used up, after each request that was let through",
    attributes: &["gateway.plugin"],
};

pub const ALL: &[&Instrument] = &[&REQUESTS, &KEYS, &USAGE];

/// The series of one use of the plugin, shared with the next snapshot.
pub struct Measures {
    allowed: Arc<Counter>,
    limited: Arc<Counter>,
    usage: Arc<Histogram>,
    burst: u32,
    _keys: Arc<Observed>,
}

impl Measures {
    pub fn new(place: &Place<'_>, buckets: &Arc<Buckets>, burst: u32) -> Self {
        let counted = Arc::clone(buckets);
        let outcome = |outcome: &'static str| place.counter(&REQUESTS, [("gateway.outcome", outcome.into())]);
        Self {
            allowed: outcome("allowed"),
            limited: outcome("limited"),
            usage: place.histogram(&USAGE, []),
            burst,
            _keys: place.observe(&KEYS, [], move || number(counted.len())),
        }
    }

    /// A request was allowed, with `left` remaining.
    pub fn allowed(&self, left: u32) {
        self.allowed.add(1);
        let used = u64::from(self.burst.saturating_sub(left));
        self.usage.record((used * 100).checked_div(u64::from(self.burst)).unwrap_or(100));
    }

    pub fn limited(&self) {
        self.limited.add(1);
    }
}
