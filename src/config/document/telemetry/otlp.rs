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
    /// Its URL: `http://localhost:4317` for gRPC, `http://localhost:4318` for HTTP.
    pub endpoint: ReceiverUrl,
    /// How it is spoken to.
    #[serde(default)]
    pub protocol: OtlpProtocol,
    /// Header fields that go with every export.
    #[serde(default)]
    pub headers: Fields,
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OtlpCompression {
    /// Not at all.
    #[default]
    None,
    /// With gzip.
    Gzip,
}

/// Certificates for an OTLP receiver with an `https` endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OtlpTls {
    /// PEM certificates of the authorities that may vouch for the receiver. Without it, those that browsers trust.
    pub ca_file: Option<NamedFile>,
    /// PEM certificate chain that is shown to the receiver; needs `key_file`.
    pub cert_file: Option<NamedFile>,
    /// PEM private key of `cert_file`.
    pub key_file: Option<NamedFile>,
}

/// How an OTLP receiver is spoken to.
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
    /// Its URL: `http://localhost:4317` for gRPC, `http://localhost:4318` for HTTP.
    pub endpoint: ReceiverUrl,
    /// How it is spoken to.
    #[serde(default)]
    pub protocol: OtlpProtocol,
    /// Header fields that go with every export.
    #[serde(default)]
    pub headers: Fields,
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
