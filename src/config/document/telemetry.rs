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
    /// `service.name` of traces, metrics and logs.
    pub service_name: String,
    /// Additional resource attributes, such as `deployment.environment.name: staging`.
    pub resource: Named<String>,
    /// Traces. They are exported if `otlp` is configured or `OTEL_EXPORTER_OTLP_ENDPOINT` is set.
    pub traces: Traces,
    /// Metrics, served for Prometheus or pushed over OTLP.
    pub metrics: Option<Metrics>,
    /// Logs on standard output, and access logs.
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

/// Traces. They are exported if `otlp` is configured or `OTEL_EXPORTER_OTLP_ENDPOINT` is set.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Traces {
    /// Where spans are sent. `OTEL_EXPORTER_OTLP_*` variables take precedence.
    pub otlp: Option<Otlp>,
    /// Which requests are traced. Default: `{ parentbased_traceidratio: 1.0 }`. `OTEL_TRACES_SAMPLER` takes precedence.
    pub sampler: Sampler,
    /// How trace context is propagated: which headers of a caller are read, in this order, and which are sent to
    /// upstreams. Without `tracecontext`, `b3` and `b3multi`, every request starts a new trace, and upstreams receive it
    /// as `traceparent`.
    pub propagators: Vec<Propagator>,
    /// When each plugin gets its own span.
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
    /// All requests.
    AlwaysOn,
    /// No requests.
    AlwaysOff,
    /// Follows the caller's decision; without one, all requests.
    ParentbasedAlwaysOn,
    /// This share of all traces, 0 to 1.
    Traceidratio(#[schemars(description = "The share, 0 to 1.", range(min = 0.0, max = 1.0))] f64),
    /// Follows the caller's decision; without one, this share of traces, 0 to 1.
    ParentbasedTraceidratio(#[schemars(description = "The share, 0 to 1.", range(min = 0.0, max = 1.0))] f64),
}

impl Default for Sampler {
    fn default() -> Self {
        Self::ParentbasedTraceidratio(1.0)
    }
}

/// How trace context is propagated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Propagator {
    /// W3C Trace Context: `traceparent`, `tracestate`.
    Tracecontext,
    /// W3C Baggage. It is forwarded to upstreams unchanged and not added to spans. If it is not listed, the header
    /// `baggage` is removed from requests.
    Baggage,
    /// B3 in one header: `b3`.
    B3,
    /// B3 in several headers: `x-b3-traceid`, `x-b3-spanid`, `x-b3-sampled`.
    #[serde(rename = "b3multi")]
    B3Multi,
}

/// When each plugin gets its own span. The span covers the work of the plugin before it passes the request on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PluginSpans {
    /// Never.
    Never,
    /// When it rejects a request, responds, or takes 10 ms or more itself.
    #[default]
    OnDecision,
    /// For every traced request.
    Always,
}

/// Metrics.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Serves metrics for Prometheus on the admin address.
    #[serde(default)]
    pub prometheus: Option<Prometheus>,
    /// Where metrics are pushed. `OTEL_EXPORTER_OTLP_*` variables take precedence.
    #[serde(default)]
    pub otlp: Option<OtlpMetrics>,
}

/// Metrics for Prometheus on the admin address.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Prometheus {
    /// The path.
    pub path: OwnPath,
    /// Whether metrics are served without the admin token. The Host name is still checked: see `admin.hosts`.
    pub open: bool,
}

impl Default for Prometheus {
    fn default() -> Self {
        Self { path: OwnPath::of("/metrics"), open: false }
    }
}
