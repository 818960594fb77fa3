//! Settings of an upstream: its targets and how to connect to them.

use super::server_url::ServerUrl;
use gatewright_sdk::HumanDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A group of servers that answer alike.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// The servers.
    #[schemars(length(min = 1))]
    pub targets: Vec<Target>,
    /// How requests are spread over the targets.
    #[serde(default)]
    pub load_balancing: LoadBalancing,
    /// How it is found out which targets can be used.
    #[serde(default)]
    pub health_checks: Option<HealthChecks>,
    /// Bounds on what the upstream is asked at once.
    #[serde(default)]
    pub circuit_breaker: Option<CircuitBreaker>,
    /// How long the upstream is waited for.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// TLS towards the targets.
    #[serde(default)]
    pub tls: Option<UpstreamTls>,
}

/// One server of an upstream.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Scheme, host and port: `http://10.0.1.11:8081`.
    pub url: ServerUrl,
    /// Its share of the requests, relative to its siblings.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 65535))]
    pub weight: u32,
}

const fn one() -> u32 {
    1
}

/// How requests are spread over the targets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LoadBalancing {
    /// The rule.
    pub policy: Policy,
}

/// How requests are spread over the targets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// In turn, by weight.
    #[default]
    RoundRobin,
    /// To the one with the fewest requests under way.
    LeastRequest,
    /// At random.
    Random,
    /// By a hash, so that a key stays on its target.
    RingHash,
}

/// How it is found out which targets can be used.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthChecks {
    /// By asking them.
    #[serde(default)]
    pub active: Option<ActiveCheck>,
    /// By watching their answers.
    #[serde(default)]
    pub passive: Option<PassiveCheck>,
}

/// Health by asking.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActiveCheck {
    /// The path that is asked.
    #[schemars(regex(pattern = "^/"))]
    pub path: String,
    /// How often.
    #[serde(default)]
    pub interval: Option<HumanDuration>,
    /// How long an answer may take.
    #[serde(default)]
    pub timeout: Option<HumanDuration>,
    /// How many good answers make a target usable.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub healthy_after: Option<u32>,
    /// How many bad answers make it unusable.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub unhealthy_after: Option<u32>,
}

/// Health by watching.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PassiveCheck {
    /// How many answers of 500 and above in a row eject a target.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub consecutive_5xx: Option<u32>,
    /// How long it stays out.
    #[serde(default)]
    pub ejection_time: Option<HumanDuration>,
    /// The most targets that may be out at once, in percent.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100))]
    pub max_ejection_percent: Option<u32>,
}

/// Bounds on what the upstream is asked at once.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CircuitBreaker {
    /// The most requests that wait for a connection.
    #[serde(default)]
    pub max_pending: Option<u32>,
    /// The most requests under way.
    #[serde(default)]
    pub max_requests: Option<u32>,
}

/// How long the upstream is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// Until the connection stands.
    pub connect: HumanDuration,
    /// Until the response head is there, from the moment the request was sent.
    pub response_header: HumanDuration,
    /// How long an unused connection is kept. Keep it below the idle time of the targets.
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

/// TLS towards the targets.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpstreamTls {
    /// The authorities that sign the targets' certificates, PEM.
    #[serde(default)]
    pub ca_file: Option<String>,
    /// The name their certificates must carry.
    #[serde(default)]
    pub server_name: Option<String>,
}
