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
use gatewright_sdk::HumanDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A group of servers that serve the same content.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// The servers. A request that cannot connect to one is sent to another.
    #[schemars(length(min = 1))]
    pub targets: Vec<Target>,
    /// The `Host` that targets receive: `target` (host and port of its `url`), `client` (what the client sent), or a value
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
    /// TLS to the targets.
    #[serde(default)]
    pub tls: Option<UpstreamTls>,
}

/// One server of an upstream.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Scheme, host and port: `http://10.0.1.11:8081`.
    pub url: ServerUrl,
    /// Its share of the requests, relative to the other targets. With weights 3 and 1, the first gets 75 %. With 0 it gets
    /// no new requests; those in progress finish.
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

/// TLS to the targets.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpstreamTls {
    /// The authorities that sign the certificates of the targets, PEM.
    #[serde(default)]
    pub ca_file: Option<String>,
    /// The name that the certificates must contain.
    #[serde(default)]
    pub server_name: Option<String>,
}
