//! Metrics of a rate limit: requests allowed and rejected, and how close to the limit clients come.

use super::table::Table;
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

static FALLBACKS: Instrument = Instrument {
    name: "gateway.rate_limit.fallbacks",
    measure: Measure::Counter,
    unit: "{request}",
    help: "Requests that a limit with a store decided without it, because it was unreachable",
    attributes: &["gateway.plugin"],
};

pub const ALL: &[&Instrument] = &[&REQUESTS, &KEYS, &USAGE, &FALLBACKS];

/// The series of one use of the plugin, shared with the next snapshot.
pub struct Measures {
    allowed: Arc<Counter>,
    limited: Arc<Counter>,
    usage: Arc<Histogram>,
    /// Only with a store.
    fallbacks: Option<Arc<Counter>>,
    _keys: Arc<Observed>,
}

impl Measures {
    pub fn new(place: &Place<'_>, table: &Arc<Table>, has_store: bool) -> Self {
        let counted = Arc::clone(table);
        let outcome = |outcome: &'static str| place.counter(&REQUESTS, [("gateway.outcome", outcome.into())]);
        Self {
            allowed: outcome("allowed"),
            limited: outcome("limited"),
            usage: place.histogram(&USAGE, []),
            fallbacks: has_store.then(|| place.counter(&FALLBACKS, [])),
            _keys: place.observe(&KEYS, [], move || number(counted.len())),
        }
    }

    /// A request was allowed, with `left` of `burst` remaining.
    pub fn allowed(&self, left: u32, burst: u32) {
        self.allowed.add(1);
        let used = u64::from(burst.saturating_sub(left));
        self.usage.record((used * 100).checked_div(u64::from(burst)).unwrap_or(100));
    }

    /// A request was decided without the store.
    pub fn fell_back(&self) {
        self.fallbacks.iter().for_each(|fallbacks| fallbacks.add(1));
    }

    pub fn limited(&self) {
        self.limited.add(1);
    }
}
