//! Settings of an upstream: its targets and how to connect to them.

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
    /// How requests are distributed among the targets.
    #[serde(default)]
    pub load_balancing: LoadBalancing,
    /// How unhealthy targets are detected.
    #[serde(default)]
    pub health_checks: Option<HealthChecks>,
    /// Limits on concurrent requests to the upstream.
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
    /// Its share of the requests, relative to the other targets. With weights 3 and 1, the first gets 75 %.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 65535))]
    pub weight: u32,
}

const fn one() -> u32 {
    1
}

/// How requests are distributed among the targets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LoadBalancing {
    /// The load balancing policy.
    pub policy: Policy,
}

/// The load balancing policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// In turn, by weight.
    #[default]
    RoundRobin,
    /// To the target with the fewest active requests.
    LeastRequest,
    /// At random.
    Random,
    /// By a hash, so that a key stays on the same target.
    RingHash,
}

/// How unhealthy targets are detected.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthChecks {
    /// Active checks: requests that the gateway sends.
    #[serde(default)]
    pub active: Option<ActiveCheck>,
    /// Passive checks: the responses to normal requests.
    #[serde(default)]
    pub passive: Option<PassiveCheck>,
}

/// Active health checks.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActiveCheck {
    /// The path to request.
    #[schemars(regex(pattern = "^/"))]
    pub path: String,
    /// The time between two checks of a target.
    #[serde(default)]
    pub interval: Option<HumanDuration>,
    /// How long a response may take.
    #[serde(default)]
    pub timeout: Option<HumanDuration>,
    /// How many successful checks in a row make a target healthy.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub healthy_after: Option<u32>,
    /// How many failed checks in a row make a target unhealthy.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub unhealthy_after: Option<u32>,
}

/// Passive health checks.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PassiveCheck {
    /// How many responses of 500 or above in a row eject a target.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub consecutive_5xx: Option<u32>,
    /// How long an ejected target gets no requests.
    #[serde(default)]
    pub ejection_time: Option<HumanDuration>,
    /// Maximum share of the targets that may be ejected at the same time, in percent.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100))]
    pub max_ejection_percent: Option<u32>,
}

/// Limits on concurrent requests to an upstream.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CircuitBreaker {
    /// Maximum number of requests that wait for a connection.
    #[serde(default)]
    pub max_pending: Option<u32>,
    /// Maximum number of active requests.
    #[serde(default)]
    pub max_requests: Option<u32>,
}

/// How long to wait for an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// Time to establish a connection.
    pub connect: HumanDuration,
    /// Time from the end of the request to the response head. Then the client gets 504.
    pub response_header: HumanDuration,
    /// How long an unused connection is kept open. Keep it below the idle timeout of the targets.
    pub idle: HumanDuration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: HumanDuration::from_secs(1),
            response_header: HumanDuration::from_secs(30),
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
