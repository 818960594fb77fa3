//! Settings of OTLP receivers.

use crate::config::document::fields::Fields;
use crate::config::document::receiver_url::ReceiverUrl;
use gatewright_sdk::{HumanDuration, NamedFile};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An OTLP receiver.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Otlp {
    /// The URL: `http://localhost:4317` for gRPC, `http://localhost:4318` for HTTP.
    pub endpoint: ReceiverUrl,
    /// The protocol.
    #[serde(default)]
    pub protocol: OtlpProtocol,
    /// Header fields to send with every export. Values are secrets and never shown.
    #[serde(default)]
    pub headers: Fields,
    /// How long an export may take, including all retries.
    #[serde(default = "five_seconds")]
    pub timeout: HumanDuration,
    /// The compression of exports.
    #[serde(default)]
    pub compression: OtlpCompression,
    /// Certificates for an `https` endpoint.
    #[serde(default)]
    pub tls: Option<OtlpTls>,
}

const fn five_seconds() -> HumanDuration {
    HumanDuration::from_secs(5)
}

/// The compression of exports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OtlpCompression {
    /// No compression.
    #[default]
    None,
    /// gzip.
    Gzip,
}

/// Certificates for an OTLP receiver with an `https` endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OtlpTls {
    /// Trusted certificate authorities, PEM. Default: those that browsers trust.
    pub ca_file: Option<NamedFile>,
    /// Client certificate chain, PEM; requires `key_file`.
    pub cert_file: Option<NamedFile>,
    /// Private key of `cert_file`, PEM.
    pub key_file: Option<NamedFile>,
}

/// The protocol of an OTLP receiver.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum OtlpProtocol {
    /// gRPC, usually on port 4317.
    #[default]
    #[serde(rename = "grpc")]
    Grpc,
    /// Protobuf over HTTP, usually on port 4318.
    #[serde(rename = "http/protobuf")]
    HttpProtobuf,
}

/// An OTLP receiver of metrics.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OtlpMetrics {
    /// The URL: `http://localhost:4317` for gRPC, `http://localhost:4318` for HTTP.
    pub endpoint: ReceiverUrl,
    /// The protocol.
    #[serde(default)]
    pub protocol: OtlpProtocol,
    /// Header fields to send with every export. Values are secrets and never shown.
    #[serde(default)]
    pub headers: Fields,
    /// How long an export may take, including all retries.
    #[serde(default = "five_seconds")]
    pub timeout: HumanDuration,
    /// The compression of exports.
    #[serde(default)]
    pub compression: OtlpCompression,
    /// Certificates for an `https` endpoint.
    #[serde(default)]
    pub tls: Option<OtlpTls>,
    /// The time between two exports. `OTEL_METRIC_EXPORT_INTERVAL` takes precedence.
    #[serde(default = "one_minute")]
    pub interval: HumanDuration,
}

const fn one_minute() -> HumanDuration {
    HumanDuration::from_secs(60)
}

impl OtlpMetrics {
    /// The receiver without the interval.
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
