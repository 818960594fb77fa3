//! The effective telemetry settings: the document, overridden by the standard `OTEL_*` variables.

mod receiver;
mod variables;

pub(super) use variables::{Ignored, Lookup, Variables};

use super::receiver::Receiver;
use super::sampling::Sampling;
use super::signal::Signal;
use crate::config::document::telemetry::{Propagator, Sampler, Telemetry};
use gatewright_sdk::Fault;
use opentelemetry_sdk::resource::{ResourceDetector, TelemetryResourceDetector};
use std::time::Duration;

/// The interval between metric exports if only variables name a receiver.
const INTERVAL: Duration = Duration::from_secs(60);

pub(super) fn process(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The effective telemetry settings.
#[derive(Clone, PartialEq)]
pub(super) struct TelemetryPlan {
    /// Where spans are sent. If `None`, no spans are created.
    pub traces: Option<Receiver>,
    pub sampling: Sampling,
    /// The formats of the trace context.
    pub propagators: Vec<Propagator>,
    /// Where metrics are sent.
    pub metrics: Option<Receiver>,
    /// The interval between metric exports.
    pub interval: Duration,
    /// Where log records are sent.
    pub logs: Option<Receiver>,
    /// Resource attributes; of several with one key, the last wins.
    pub resource: Vec<(String, String)>,
    /// Invalid variables.
    pub ignored: Vec<Ignored>,
}

impl TelemetryPlan {
    /// The plan of a document. Faults are relative to `telemetry`.
    pub(super) fn new(spec: &Telemetry, environment: Lookup<'_>) -> Result<Self, Fault> {
        let variables = Variables::new(environment);
        let words = [("true", true), ("false", false)];
        let disabled = variables.word("OTEL_SDK_DISABLED", &words).unwrap_or(false);
        let pushed = spec.metrics.as_ref().and_then(|metrics| metrics.otlp.as_ref());
        let receiver = |signal, otlp: Option<&_>| {
            if disabled { Ok(None) } else { receiver::receiver(signal, otlp, &variables) }
        };
        Ok(Self {
            traces: receiver(Signal::Traces, spec.traces.otlp.as_ref())?,
            sampling: sampling(spec.traces.sampler, &variables),
            propagators: propagators(&spec.traces.propagators, &variables),
            metrics: receiver(Signal::Metrics, pushed.map(|otlp| otlp.receiver()).as_ref())?,
            interval: interval(&variables).unwrap_or_else(|| pushed.map_or(INTERVAL, |otlp| otlp.interval.get())),
            logs: receiver(Signal::Logs, spec.logs.otlp.as_ref())?,
            resource: resource(spec, &variables),
            ignored: variables.ignored(),
        })
    }

    /// Whether its signal is sent to this receiver.
    pub(super) fn holds(&self, receiver: &Receiver) -> bool {
        self.receiver(receiver.signal) == Some(receiver)
    }

    pub(super) const fn receiver(&self, signal: Signal) -> Option<&Receiver> {
        match signal {
            Signal::Traces => self.traces.as_ref(),
            Signal::Metrics => self.metrics.as_ref(),
            Signal::Logs => self.logs.as_ref(),
        }
    }
}

fn interval(variables: &Variables<'_>) -> Option<Duration> {
    let millis = variables.number("OTEL_METRIC_EXPORT_INTERVAL", 1)?;
    Some(Duration::from_millis(millis.into()))
}

/// For each supported sampler of the specification: whether it follows the parent, and its ratio. `None` means the
/// ratio in `OTEL_TRACES_SAMPLER_ARG`.
const SAMPLERS: [(&str, (bool, Option<f64>)); 6] = [
    ("always_on", (false, Some(1.0))),
    ("always_off", (false, Some(0.0))),
    ("traceidratio", (false, None)),
    ("parentbased_always_on", (true, Some(1.0))),
    ("parentbased_always_off", (true, Some(0.0))),
    ("parentbased_traceidratio", (true, None)),
];

fn sampling(written: Sampler, variables: &Variables<'_>) -> Sampling {
    let share = variables.read("OTEL_TRACES_SAMPLER_ARG", "a number from 0 to 1", |text| {
        text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share))
    });
    match variables.word("OTEL_TRACES_SAMPLER", &SAMPLERS) {
        Some((follows_parent, fixed)) => Sampling::new(follows_parent, fixed.or(share).unwrap_or(1.0)),
        None => written.into(),
    }
}

const PROPAGATORS: [(&str, Option<Propagator>); 5] = [
    ("tracecontext", Some(Propagator::Tracecontext)),
    ("baggage", Some(Propagator::Baggage)),
    ("b3", Some(Propagator::B3)),
    ("b3multi", Some(Propagator::B3Multi)),
    ("none", None),
];

/// The known ones in the list, without duplicates. If there are none, the list counts as not set.
fn propagators(written: &[Propagator], variables: &Variables<'_>) -> Vec<Propagator> {
    const NAME: &str = "OTEL_PROPAGATORS";
    let Some(list) = variables.text(NAME) else { return written.to_vec() };
    let (mut known, mut any) = (Vec::new(), false);
    for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match variables::word(name, &PROPAGATORS) {
            Some(propagator) => {
                any = true;
                known.extend(propagator.filter(|propagator| !known.contains(propagator)));
            }
            None => {
                let name: String = name.chars().take(80).collect();
                let known = PROPAGATORS.map(|(word, _)| word).join(", ");
                variables.ignore(NAME, format!("`{}` is not one of {known}", name.escape_debug()));
            }
        }
    }
    if any { known } else { written.to_vec() }
}

fn resource(spec: &Telemetry, variables: &Variables<'_>) -> Vec<(String, String)> {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let sdk = TelemetryResourceDetector.detect();
    let mut attributes: Vec<_> = sdk.iter().map(|(name, value)| pair(name.as_str(), &value.as_str())).collect();
    // The source is unordered, and plans are compared.
    attributes.sort_unstable();
    attributes.push(pair("service.name", &spec.service_name));
    attributes.push(pair("service.version", env!("CARGO_PKG_VERSION")));
    attributes.extend(spec.resource.iter().map(|(name, value)| pair(name, value)));
    // One invalid entry discards all of them (resource SDK, section "Specifying resource information").
    let expected = "a list of name=value pairs with commas between and values percent-encoded";
    attributes.extend(variables.read("OTEL_RESOURCE_ATTRIBUTES", expected, pairs).unwrap_or_default());
    if let Some(name) = variables.text("OTEL_SERVICE_NAME") {
        attributes.push(pair("service.name", &name));
    }
    attributes
}

/// The pairs of a list in the format of W3C Baggage.
fn pairs(list: &str) -> Option<Vec<(String, String)>> {
    let decoded = |text: &str| Some(percent_encoding::percent_decode_str(text.trim()).decode_utf8().ok()?.into_owned());
    let entries = list.split(',').filter(|entry| !entry.trim().is_empty());
    let pair = |entry: &str| {
        let (name, value) = entry.split_once('=')?;
        Some((decoded(name).filter(|name| !name.is_empty())?, decoded(value)?))
    };
    entries.map(pair).collect()
}

#[cfg(test)]
mod tests;
