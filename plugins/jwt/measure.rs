//! Metrics of published key sets.

use super::published::LastSet;
use gatewright_sdk::metrics::{Attribute, Counter, Instrument, Measure, Observed, counter, observe};
use std::sync::{Arc, OnceLock};

pub static FETCHES: Instrument = Instrument {
    name: "gateway.jwt.key_set.fetches",
    measure: Measure::Counter,
    unit: "{fetch}",
    help: "Fetches of the keys of an issuer: `succeeded`, `failed` if there was no response with status 200, or `unusable` if the response has no usable key",
    attributes: &["gateway.plugin", "gateway.issuer", "gateway.outcome"],
};

pub static AGE: Instrument = Instrument {
    name: "gateway.jwt.key_set.age",
    measure: Measure::Gauge,
    unit: "s",
    help: "Time since the keys of an issuer were last fetched successfully",
    attributes: &["gateway.plugin", "gateway.issuer"],
};

/// The series of one key set, which all uses of the plugin share.
pub struct Measures {
    pub succeeded: Arc<Counter>,
    pub failed: Arc<Counter>,
    pub unusable: Arc<Counter>,
    attributes: Vec<Attribute>,
    /// From the first successful fetch.
    age: OnceLock<Arc<Observed>>,
}

impl Measures {
    pub fn new(plugin: &str, issuer: &str) -> Self {
        let attributes =
            vec![("gateway.plugin", plugin.to_owned().into()), ("gateway.issuer", issuer.to_owned().into())];
        let fetches = |outcome: &'static str| {
            let outcome = ("gateway.outcome", outcome.into());
            counter(&FETCHES, attributes.iter().cloned().chain([outcome]).collect::<Vec<_>>())
        };
        Self {
            succeeded: fetches("succeeded"),
            failed: fetches("failed"),
            unusable: fetches("unusable"),
            attributes,
            age: OnceLock::new(),
        }
    }

    /// Reports the age of `last`, which is not empty, from now on.
    pub fn report_age(&self, last: &Arc<LastSet>) {
        self.age.get_or_init(|| {
            let last = Arc::clone(last);
            let read = move || last.age().map_or(0.0, |age| age.as_secs_f64());
            observe(&AGE, self.attributes.clone(), read)
        });
    }
}
