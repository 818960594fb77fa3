//! Settings of traces, metrics and logs.

use crate::config::named::Named;
use gatewright_sdk::{HumanDuration, Secret};
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;

/// Traces, metrics and logs.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// `service.name` of every signal.
    pub service_name: String,
    /// Further resource attributes, such as `deployment.environment.name`.
    pub resource: Named<String>,
    /// Traces.
    pub traces: Traces,
    /// Metrics.
    pub metrics: Option<Metrics>,
    /// Logs.
    pub logs: Logs,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            service_name: "gatewright".into(),
            resource: Named::default(),
            traces: Traces::default(),
            metrics: None,
            logs: Logs::default(),
        }
    }
}

/// Traces. They are exported when `otlp` is given or `OTEL_EXPORTER_OTLP_ENDPOINT` is set.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Traces {
    /// Where spans are sent. `OTEL_EXPORTER_OTLP_*` variables win.
    pub otlp: Option<Otlp>,
    /// Which requests are traced. `OTEL_TRACES_SAMPLER` wins.
    pub sampler: Sampler,
    /// How contexts travel: what of a caller's is taken up, in this order, and what upstreams are sent. Where none of
    /// `tracecontext`, `b3` and `b3multi` is named, every request begins a trace of its own, and upstreams are sent that
    /// as `traceparent`.
    pub propagators: Vec<Propagator>,
    /// Whether each plugin has a span of its own.
    pub plugin_spans: PluginSpans,
}

impl Default for Traces {
    fn default() -> Self {
        Self {
            otlp: None,
            sampler: Sampler::default(),
            propagators: vec![Propagator::Tracecontext, Propagator::Baggage],
            plugin_spans: PluginSpans::default(),
        }
    }
}

/// An OTLP receiver.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Otlp {
    /// Its URL: `http://localhost:4317` for gRPC, `http://localhost:4318` for HTTP.
    #[schemars(regex(pattern = "^https?://[^/?#\\s]+"))]
    pub endpoint: String,
    /// How it is spoken to.
    #[serde(default)]
    pub protocol: OtlpProtocol,
    /// Header fields that go with every export.
    #[serde(default)]
    pub headers: Named<Secret>,
    /// How long one export may take, with all its retries.
    #[serde(default = "five_seconds")]
    pub timeout: HumanDuration,
    /// How exports are compressed.
    #[serde(default)]
    pub compression: OtlpCompression,
    /// How a receiver with an `https` endpoint is recognised, and how it recognises this gateway.
    #[serde(default)]
    pub tls: Option<OtlpTls>,
}

const fn five_seconds() -> HumanDuration {
    HumanDuration::from_secs(5)
}

/// How exports are compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OtlpCompression {
    /// Not at all.
    #[default]
    None,
    /// With gzip.
    Gzip,
}

/// Certificates for an OTLP receiver with an `https` endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OtlpTls {
    /// PEM certificates of the authorities that may vouch for the receiver. Without it, those that browsers trust.
    pub ca_file: Option<PathBuf>,
    /// PEM certificate chain that is shown to the receiver; needs `key_file`.
    pub cert_file: Option<PathBuf>,
    /// PEM private key of `cert_file`.
    pub key_file: Option<PathBuf>,
}

/// How an OTLP receiver is spoken to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum OtlpProtocol {
    /// gRPC, usually on port 4317.
    #[default]
    #[serde(rename = "grpc")]
    Grpc,
    /// Protobuf over HTTP, usually on port 4318.
    #[serde(rename = "http/protobuf")]
    HttpProtobuf,
}

/// Which requests are traced.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sampler {
    /// All.
    AlwaysOn,
    /// None.
    AlwaysOff,
    /// What the caller decided; all where nobody did.
    ParentbasedAlwaysOn,
    /// This share of all traces, 0 to 1.
    Traceidratio(#[schemars(description = "The share, 0 to 1.", range(min = 0.0, max = 1.0))] f64),
    /// What the caller decided; this share, 0 to 1, where nobody did.
    ParentbasedTraceidratio(#[schemars(description = "The share, 0 to 1.", range(min = 0.0, max = 1.0))] f64),
}

impl Default for Sampler {
    fn default() -> Self {
        Self::ParentbasedTraceidratio(1.0)
    }
}

/// How the trace context travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Propagator {
    /// W3C Trace Context: `traceparent`, `tracestate`.
    Tracecontext,
    /// W3C Baggage. An upstream gets it as the caller sent it; spans do not carry it. Where it is not named, the field
    /// `baggage` is taken out of requests.
    Baggage,
    /// B3 in one field: `b3`.
    B3,
    /// B3 in several fields: `x-b3-traceid`, `x-b3-spanid`, `x-b3-sampled`.
    #[serde(rename = "b3multi")]
    B3Multi,
}

/// When a plugin has a span of its own. It covers what the plugin did before it handed the request on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PluginSpans {
    /// Never.
    Never,
    /// When it refuses, answers, or takes 10 ms or more of its own, whatever is behind it left out.
    #[default]
    OnDecision,
    /// For every traced request.
    Always,
}

/// Metrics.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Text for Prometheus on the admin address.
    #[serde(default)]
    pub prometheus: Option<Prometheus>,
    /// Where metrics are pushed. `OTEL_EXPORTER_OTLP_*` variables win.
    #[serde(default)]
    pub otlp: Option<OtlpMetrics>,
}

/// An OTLP receiver of metrics.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OtlpMetrics {
    /// Its URL: `http://localhost:4317` for gRPC, `http://localhost:4318` for HTTP.
    #[schemars(regex(pattern = "^https?://[^/?#\\s]+"))]
    pub endpoint: String,
    /// How it is spoken to.
    #[serde(default)]
    pub protocol: OtlpProtocol,
    /// Header fields that go with every export.
    #[serde(default)]
    pub headers: Named<Secret>,
    /// How long one export may take, with all its retries.
    #[serde(default = "five_seconds")]
    pub timeout: HumanDuration,
    /// How exports are compressed.
    #[serde(default)]
    pub compression: OtlpCompression,
    /// How a receiver with an `https` endpoint is recognised, and how it recognises this gateway.
    #[serde(default)]
    pub tls: Option<OtlpTls>,
    /// The time from one push to the next. `OTEL_METRIC_EXPORT_INTERVAL` wins.
    #[serde(default = "one_minute")]
    pub interval: HumanDuration,
}

const fn one_minute() -> HumanDuration {
    HumanDuration::from_secs(60)
}

impl OtlpMetrics {
    /// The receiver alone.
    pub fn receiver(&self) -> Otlp {
        Otlp {
            endpoint: self.endpoint.clone(),
            protocol: self.protocol,
            headers: self.headers.clone(),
            timeout: self.timeout,
            compression: self.compression,
            tls: self.tls.clone(),
        }
    }
}

/// Text for Prometheus on the admin address.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Prometheus {
    /// The path.
    #[schemars(regex(pattern = "^/"))]
    pub path: String,
    /// Whether it is read without the admin token. The name in the Host field is judged all the same: see `admin.hosts`.
    pub open: bool,
}

impl Default for Prometheus {
    fn default() -> Self {
        Self { path: "/metrics".into(), open: false }
    }
}

/// Logs, on standard output and, where `otlp` is given, to an OTLP receiver too.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Logs {
    /// The form of a line.
    pub format: LogFormat,
    /// The least important level that is written. `RUST_LOG` wins.
    pub level: LogLevel,
    /// One line per request. Without this key there is none.
    pub access: Option<AccessLog>,
    /// Where every line is sent too, as a record. `OTEL_EXPORTER_OTLP_*` variables win.
    pub otlp: Option<Otlp>,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For reading in a terminal.
    Human,
}

/// How important a log line is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Everything.
    Trace,
    /// For looking into a fault.
    Debug,
    /// What happened.
    #[default]
    Info,
    /// What should be looked at.
    Warn,
    /// What must be looked at.
    Error,
}

/// One log line per request.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccessLog {
    /// What a line says, in this order. What is not known of a request is left out of its line.
    pub fields: Vec<AccessField>,
    /// Request header fields that `headers` says.
    pub headers: Vec<String>,
    /// Of those, the ones whose value is written as `***`.
    pub redact_headers: Vec<String>,
    /// Query parameters whose value is written as `***`.
    pub redact_query: Vec<String>,
    /// The share of requests that is written, 0 to 1. Answers of 500 and above always are, and requests whose client
    /// left or whose answer was cut short.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub sample: f64,
}

impl Default for AccessLog {
    fn default() -> Self {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        Self {
            fields: AccessField::USUAL.to_vec(),
            headers: Vec::new(),
            redact_headers: words(&["authorization", "cookie", "set-cookie", "proxy-authorization", "x-api-key"]),
            redact_query: words(&["token", "access_token", "password", "secret", "key", "sig", "code"]),
            sample: 1.0,
        }
    }
}

/// What a line of the access log can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccessField {
    /// The request's method.
    Method,
    /// The path that was asked for.
    Path,
    /// The query, with the values of `redact_query` as `***`.
    Query,
    /// The host that was asked for, with its port where one was given.
    Host,
    /// The version of HTTP: `1.1`, `2`.
    Protocol,
    /// The status of the answer.
    Status,
    /// Milliseconds from the request's head to the end of the answer.
    DurationMs,
    /// Milliseconds from the request's head to the answer's.
    ResponseMs,
    /// Bytes of the answer's body that were sent.
    Bytes,
    /// Bytes of the request's body: those announced, else those read.
    RequestBytes,
    /// The client's address.
    ClientIp,
    /// The listener.
    Listener,
    /// The route that took the request.
    Route,
    /// The generation of the configuration.
    Generation,
    /// The id of the request.
    RequestId,
    /// The id of its trace.
    TraceId,
    /// The id of its server span.
    SpanId,
    /// Whether it `passed`, was `refused`, or was `answered` by a plugin.
    Outcome,
    /// The place of the plugin that refused or answered.
    Plugin,
    /// Why it was refused.
    Reason,
    /// The field `User-Agent`.
    UserAgent,
    /// The fields of `headers`.
    Headers,
    /// How it ended, unless as it should: `client_left` or `response_cut_short`.
    End,
}

impl AccessField {
    /// What is written where nothing else is asked for.
    const USUAL: [Self; 18] = [
        Self::Method,
        Self::Path,
        Self::Query,
        Self::Status,
        Self::DurationMs,
        Self::Bytes,
        Self::ClientIp,
        Self::Listener,
        Self::Route,
        Self::Generation,
        Self::RequestId,
        Self::TraceId,
        Self::SpanId,
        Self::Outcome,
        Self::Plugin,
        Self::Reason,
        Self::Headers,
        Self::End,
    ];
}
