//! What is asked of telemetry: the document, with the standard `OTEL_*` variables over it.

mod target;

pub(super) use target::Target;

use super::otlp::Signal;
use super::sampling::Sampling;
use crate::config::document::telemetry::{Propagator, Sampler, Telemetry};
use gatewright_sdk::Fault;
use std::time::Duration;

/// How often metrics are pushed where only variables say where to.
const INTERVAL: Duration = Duration::from_secs(60);

/// How an environment variable is looked up; tests give their own.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The process's environment. An empty variable counts as not set, as OpenTelemetry says.
pub(super) fn process(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// Everything that is asked of telemetry.
#[derive(Clone, PartialEq)]
pub(super) struct Plan {
    /// Where spans are sent. `None`: no span is made.
    pub target: Option<Target>,
    pub sampling: Sampling,
    /// How the trace context travels.
    pub propagators: Vec<Propagator>,
    /// Where metrics are pushed.
    pub metrics: Option<Target>,
    /// The time from one push of metrics to the next.
    pub interval: Duration,
    /// Where log records are sent.
    pub logs: Option<Target>,
    /// Resource attributes, the winning value of a key last.
    pub resource: Vec<(String, String)>,
}

impl Plan {
    /// The plan of a document. Faults are relative to `telemetry`.
    pub(super) fn new(spec: &Telemetry, environment: Lookup<'_>) -> Result<Self, Fault> {
        let disabled = environment("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let pushed = spec.metrics.as_ref().and_then(|metrics| metrics.otlp.as_ref());
        let target = |signal, otlp: Option<&_>| {
            if disabled { Ok(None) } else { Target::new(signal, otlp, environment) }
        };
        Ok(Self {
            target: target(Signal::Traces, spec.traces.otlp.as_ref())?,
            sampling: sampling(spec.traces.sampler, environment)?,
            propagators: propagators(&spec.traces.propagators, environment)?,
            metrics: target(Signal::Metrics, pushed.map(|otlp| otlp.receiver()).as_ref())?,
            interval: interval(environment).unwrap_or_else(|| pushed.map_or(INTERVAL, |otlp| otlp.interval.get())),
            logs: target(Signal::Logs, spec.logs.otlp.as_ref())?,
            resource: resource(spec, environment),
        })
    }

    /// Whether this is where its signal is sent.
    pub(super) fn holds(&self, target: &Target) -> bool {
        self.target(target.signal) == Some(target)
    }

    /// Where a signal is sent.
    pub(super) const fn target(&self, signal: Signal) -> Option<&Target> {
        match signal {
            Signal::Traces => self.target.as_ref(),
            Signal::Metrics => self.metrics.as_ref(),
            Signal::Logs => self.logs.as_ref(),
        }
    }
}

fn interval(environment: Lookup<'_>) -> Option<Duration> {
    let millis = environment("OTEL_METRIC_EXPORT_INTERVAL")?.trim().parse().ok().filter(|millis| *millis > 0)?;
    Some(Duration::from_millis(millis))
}

fn sampling(written: Sampler, environment: Lookup<'_>) -> Result<Sampling, Fault> {
    let Some(name) = environment("OTEL_TRACES_SAMPLER") else { return Ok(written.into()) };
    let ratio = || match environment("OTEL_TRACES_SAMPLER_ARG") {
        None => Ok(1.0),
        Some(text) => text.trim().parse::<f64>().ok().filter(|ratio| (0.0..=1.0).contains(ratio)).ok_or_else(|| {
            Fault::new("traces.sampler", "OTEL_TRACES_SAMPLER_ARG is not a share").help("write a number from 0 to 1")
        }),
    };
    Ok(match name.trim() {
        "always_on" => Sampling::new(false, 1.0),
        "always_off" => Sampling::new(false, 0.0),
        "traceidratio" => Sampling::new(false, ratio()?),
        "parentbased_always_on" => Sampling::new(true, 1.0),
        "parentbased_always_off" => Sampling::new(true, 0.0),
        "parentbased_traceidratio" => Sampling::new(true, ratio()?),
        other => {
            let fault = Fault::new("traces.sampler", format!("OTEL_TRACES_SAMPLER is `{other}`"));
            return Err(fault.help("use always_on, always_off, traceidratio or their parentbased_ forms"));
        }
    })
}

fn propagators(written: &[Propagator], environment: Lookup<'_>) -> Result<Vec<Propagator>, Fault> {
    let Some(list) = environment("OTEL_PROPAGATORS") else { return Ok(written.to_vec()) };
    let known = |name: &str| match name {
        "tracecontext" => Some(Propagator::Tracecontext),
        "baggage" => Some(Propagator::Baggage),
        "b3" => Some(Propagator::B3),
        "b3multi" => Some(Propagator::B3Multi),
        _ => None,
    };
    let names = list.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "none");
    let propagator = |name| {
        known(name).ok_or_else(|| {
            let fault = Fault::new("traces.propagators", format!("OTEL_PROPAGATORS names `{name}`"));
            fault.help("use tracecontext, baggage, b3 or b3multi")
        })
    };
    names.map(propagator).collect()
}

fn resource(spec: &Telemetry, environment: Lookup<'_>) -> Vec<(String, String)> {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut attributes = vec![pair("service.name", &spec.service_name)];
    attributes.push(pair("service.version", env!("CARGO_PKG_VERSION")));
    attributes.extend(spec.resource.iter().map(|(name, value)| pair(name, value)));
    let list = environment("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    for (name, value) in list.split(',').filter_map(|entry| entry.split_once('=')) {
        let value = percent_encoding::percent_decode_str(value.trim()).decode_utf8_lossy();
        attributes.push(pair(name.trim(), &value));
    }
    if let Some(name) = environment("OTEL_SERVICE_NAME") {
        attributes.push(pair("service.name", &name));
    }
    attributes
}

#[cfg(test)]
mod tests;
