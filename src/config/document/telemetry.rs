//! Settings of traces, metrics and logs.

mod logs;
mod otlp;

pub use logs::{AccessField, AccessLog, LogFormat, LogLevel, Logs};
pub use otlp::{Otlp, OtlpCompression, OtlpMetrics, OtlpProtocol, OtlpTls};

use crate::config::named::Named;
use crate::path::OwnPath;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Traces, metrics and logs.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
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
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
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

/// Which requests are traced.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sampler {
    /// All.
    AlwaysOn,
    /// None.
    AlwaysOff,
    /// What the caller decided; all requests if it did not decide.
    ParentbasedAlwaysOn,
    /// This share of all traces, 0 to 1.
    Traceidratio(#[schemars(description = "The share, 0 to 1.", range(min = 0.0, max = 1.0))] f64),
    /// What the caller decided; this share, 0 to 1, if it did not decide.
    ParentbasedTraceidratio(#[schemars(description = "The share, 0 to 1.", range(min = 0.0, max = 1.0))] f64),
}

impl Default for Sampler {
    fn default() -> Self {
        Self::ParentbasedTraceidratio(1.0)
    }
}

/// How the trace context travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
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
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Text for Prometheus on the admin address.
    #[serde(default)]
    pub prometheus: Option<Prometheus>,
    /// Where metrics are pushed. `OTEL_EXPORTER_OTLP_*` variables win.
    #[serde(default)]
    pub otlp: Option<OtlpMetrics>,
}

/// Text for Prometheus on the admin address.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Prometheus {
    /// The path.
    pub path: OwnPath,
    /// Whether it is read without the admin token. The name in the Host field is judged all the same: see `admin.hosts`.
    pub open: bool,
}

impl Default for Prometheus {
    fn default() -> Self {
        Self { path: OwnPath::of("/metrics"), open: false }
    }
}
