//! What is asked of traces: the document, with the standard `OTEL_*` variables over it.

use super::sampling::Sampling;
use crate::config::document::telemetry::{OtlpProtocol, Sampler, Telemetry};
use gatewright_sdk::{Fault, Secret};
use http::{HeaderName, HeaderValue, Uri};
use std::time::Duration;

/// How an environment variable is looked up; tests give their own.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The process's environment. An empty variable counts as not set, as OpenTelemetry says.
pub(super) fn process(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// Where spans are sent. Two equal ones are one connection.
#[derive(Clone, PartialEq)]
pub(super) struct Target {
    /// For HTTP with its path.
    pub endpoint: String,
    pub protocol: OtlpProtocol,
    pub headers: Vec<(HeaderName, Secret)>,
    /// How long one export may take, retries included.
    pub timeout: Duration,
}

/// Everything that is asked of traces.
#[derive(Clone, PartialEq)]
pub(super) struct Plan {
    /// `None`: no span is made.
    pub target: Option<Target>,
    pub sampling: Sampling,
    /// Resource attributes, the winning value of a key last.
    pub resource: Vec<(String, String)>,
}

impl Plan {
    /// The plan of a document. Faults are relative to `telemetry`.
    pub(super) fn new(spec: &Telemetry, environment: Lookup<'_>) -> Result<Self, Fault> {
        let disabled = environment("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let target = if disabled { None } else { target(spec, environment)? };
        let sampling = sampling(spec.traces.sampler, environment)?;
        Ok(Self { target, sampling, resource: resource(spec, environment) })
    }
}

fn target(spec: &Telemetry, environment: Lookup<'_>) -> Result<Option<Target>, Fault> {
    let otlp = spec.traces.otlp.as_ref();
    let own = environment("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
    let general = environment("OTEL_EXPORTER_OTLP_ENDPOINT");
    let written = otlp.map(|otlp| otlp.endpoint.clone());
    let whole = own.is_some();
    let Some(endpoint) = own.or(general).or(written) else { return Ok(None) };
    let endpoint = endpoint.trim().trim_end_matches('/').to_owned();
    let protocol = environment("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL").or(environment("OTEL_EXPORTER_OTLP_PROTOCOL"));
    let protocol = match protocol.as_deref() {
        None => otlp.map_or_else(OtlpProtocol::default, |otlp| otlp.protocol),
        Some("grpc") => OtlpProtocol::Grpc,
        Some("http/protobuf") => OtlpProtocol::HttpProtobuf,
        Some(other) => {
            let fault = Fault::new("traces.otlp.protocol", format!("OTEL_EXPORTER_OTLP_PROTOCOL is `{other}`"));
            return Err(fault.help("use grpc or http/protobuf"));
        }
    };
    let endpoint = match protocol {
        // A general endpoint is a base URL: the path of the signal follows (OTLP exporter specification).
        OtlpProtocol::HttpProtobuf if !whole && !endpoint.ends_with("/v1/traces") => format!("{endpoint}/v1/traces"),
        _ => endpoint,
    };
    check_endpoint(&endpoint)?;
    let headers = otlp.map(|otlp| &otlp.headers).into_iter().flat_map(|headers| headers.iter());
    let headers = headers.map(|(name, value)| header(name, value)).collect::<Result<_, _>>()?;
    let timeout = environment("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT").or(environment("OTEL_EXPORTER_OTLP_TIMEOUT"));
    let timeout = timeout.and_then(|millis| millis.trim().parse().ok()).map(Duration::from_millis);
    let written = otlp.map_or(Duration::from_secs(5), |otlp| otlp.timeout.get());
    Ok(Some(Target { endpoint, protocol, headers, timeout: timeout.unwrap_or(written) }))
}

fn check_endpoint(endpoint: &str) -> Result<(), Fault> {
    let path = "traces.otlp.endpoint";
    let help = "write http://HOST:4317 for grpc, http://HOST:4318 for http/protobuf";
    let uri: Uri = endpoint.parse().map_err(|_| Fault::new(path, "not a URL").help(help))?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http"), Some(host)) if !host.is_empty() => Ok(()),
        (Some("https"), _) => Err(Fault::new(path, "export over TLS is not built yet")
            .help("send to a collector on this machine or in this network over http")),
        _ => Err(Fault::new(path, "not an http URL").help(help)),
    }
}

fn header(name: &str, value: &Secret) -> Result<(HeaderName, Secret), Fault> {
    let fault = |message: &str| Fault::new(format!("traces.otlp.headers.{name}"), message);
    let known = name.to_ascii_lowercase().parse().map_err(|_| fault("not a header name"))?;
    if HeaderValue::from_str(value.expose()).is_err() {
        return Err(fault("the value holds characters that a header cannot carry"));
    }
    Ok((known, value.clone()))
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
