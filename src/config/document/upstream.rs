//! Settings of an upstream: its targets, how requests are distributed among them, and how to connect to them.

mod balancing;
mod breaker;
mod health;
mod host;

pub use balancing::{HashKey, LoadBalancing, Policy};
pub use breaker::{CircuitBreaker, FailureRatio};
pub use health::{ActiveCheck, GrpcCheck, HealthChecks, PassiveCheck};
pub use host::HostPolicy;

use super::server_url::ServerUrl;
use gatewright_sdk::{HumanDuration, NamedFile};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A group of servers that serve the same content.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// The servers. A request that cannot connect to one is sent to another.
    #[schemars(length(min = 1))]
    pub targets: Vec<Target>,
    /// The `Host` that targets receive: `target` (host and port of its `url`, `localhost` for a Unix socket), `client` (what the client sent), or a value
    /// such as `shop.internal`.
    #[serde(default)]
    pub host: HostPolicy,
    /// How requests are distributed among the targets.
    #[serde(default)]
    pub load_balancing: LoadBalancing,
    /// How unhealthy targets are detected. They get no requests.
    #[serde(default)]
    pub health_checks: Option<HealthChecks>,
    /// Limits that protect the upstream. Requests beyond them get 503 at once.
    #[serde(default)]
    pub circuit_breaker: Option<CircuitBreaker>,
    /// How long to wait for the upstream.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// TLS to the targets with `https://`.
    #[serde(default)]
    pub tls: Option<UpstreamTls>,
    /// The version of HTTP that the targets get.
    #[serde(default)]
    pub protocol: Protocol,
}

/// A version of HTTP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// With `https://`, the version that the target prefers (ALPN); with `http://`, HTTP/1.1.
    #[default]
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2; with `http://`, without asking first (prior knowledge).
    Http2,
}

/// One server of an upstream.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Scheme, host and port: `http://10.0.1.11:8081`. A name such as `http://orders.internal:8081` is looked up again and
    /// again, and all of its addresses get requests (see `dns`). `unix:/run/app.sock` is a Unix socket, without TLS; relative paths are
    /// resolved against the folder of the main configuration file.
    pub url: ServerUrl,
    /// Its share of the requests, relative to the other targets. With weights 3 and 1, the first gets 75 %. With 0 it gets
    /// no new requests; those in progress finish. Each address of a name has this weight.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 65535))]
    pub weight: u32,
}

const fn one() -> u32 {
    1
}

/// How long to wait for an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// Time to establish a connection.
    pub connect: HumanDuration,
    /// Time from the end of the request to the response head. Then the client gets 504.
    pub response_header: HumanDuration,
    /// How long a response may pause while its body is sent. Then the response is cut off.
    pub stream_idle: HumanDuration,
    /// How long an unused connection is kept open. Keep it below the idle timeout of the targets.
    pub idle: HumanDuration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: HumanDuration::from_secs(1),
            response_header: HumanDuration::from_secs(30),
            stream_idle: HumanDuration::from_secs(60),
            idle: HumanDuration::from_secs(60),
        }
    }
}

/// TLS to the targets with `https://`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UpstreamTls {
    /// The authorities that sign the certificates of the targets, PEM. Default: those that browsers trust.
    pub ca_file: Option<NamedFile>,
    /// The name that the certificates must contain, also sent as SNI. Default: the host of the target.
    pub server_name: Option<String>,
    /// The certificate for targets that require one, PEM, with its chain; requires `key_file`.
    pub cert_file: Option<NamedFile>,
    /// The private key of `cert_file`, PEM.
    pub key_file: Option<NamedFile>,
}
