//! Settings of traces, metrics and logs.

use crate::config::named::Named;
use gatewright_sdk::{HumanDuration, Secret};
use schemars::JsonSchema;
use serde::Deserialize;

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
    /// Which contexts of the caller are taken up. Without `tracecontext` every request begins a trace of its own.
    pub propagators: Vec<Propagator>,
    /// Whether each plugin has a span of its own.
    pub plugin_spans: Option<PluginSpans>,
}

impl Default for Traces {
    fn default() -> Self {
        Self {
            otlp: None,
            sampler: Sampler::default(),
            propagators: vec![Propagator::Tracecontext, Propagator::Baggage],
            plugin_spans: None,
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
    /// How long one export may take.
    #[serde(default = "five_seconds")]
    pub timeout: HumanDuration,
}

const fn five_seconds() -> HumanDuration {
    HumanDuration::from_secs(5)
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
    /// W3C Baggage. An upstream gets it as the caller sent it, like any other header field; spans do not carry it.
    Baggage,
}

/// When a plugin has a span of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PluginSpans {
    /// Never.
    Never,
    /// When it refuses, answers or is slow.
    OnDecision,
    /// For every request.
    Always,
}

/// Metrics.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Text for Prometheus on the admin address.
    #[serde(default)]
    pub prometheus: Option<Prometheus>,
    /// Where metrics are pushed.
    #[serde(default)]
    pub otlp: Option<Otlp>,
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

/// Logs, on standard output.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Logs {
    /// The form of a line.
    pub format: LogFormat,
    /// The least important level that is written. `RUST_LOG` wins.
    pub level: LogLevel,
    /// One line per request. Without this key there is none.
    pub access: Option<AccessLog>,
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
    /// Request header fields written beside the fixed ones.
    pub headers: Vec<String>,
    /// Of those, the ones whose value is written as `***`.
    pub redact_headers: Vec<String>,
    /// Query parameters whose value is written as `***`.
    pub redact_query: Vec<String>,
    /// The share of requests that is written, 0 to 1. Answers of 500 and above always are.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub sample: f64,
}

impl Default for AccessLog {
    fn default() -> Self {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        Self {
            headers: Vec::new(),
            redact_headers: words(&["authorization", "cookie", "set-cookie", "proxy-authorization", "x-api-key"]),
            redact_query: words(&["token", "access_token", "password", "secret", "key", "sig", "code"]),
            sample: 1.0,
        }
    }
}
