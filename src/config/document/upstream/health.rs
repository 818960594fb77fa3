//! How unhealthy targets are detected.

use super::breaker::FailureRatio;
use gatewright_sdk::HumanDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How unhealthy targets are detected.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HealthChecks {
    /// Active checks: requests that the gateway sends.
    pub active: Option<ActiveCheck>,
    /// Passive checks: the outcome of normal requests.
    pub passive: Option<PassiveCheck>,
    /// If fewer targets than this are healthy, in percent, all of them get requests: too many failed checks may mean that
    /// the checks are wrong. With 0, requests get 503 once no target is healthy.
    #[schemars(range(min = 0, max = 100))]
    pub panic_threshold: u32,
}

impl Default for HealthChecks {
    fn default() -> Self {
        Self { active: None, passive: None, panic_threshold: 10 }
    }
}

/// Active health checks: exactly one of `path`, `tcp` and `grpc`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActiveCheck {
    /// The path to request with GET. The target is healthy if the status is from 200 to 299.
    #[serde(default)]
    #[schemars(regex(pattern = "^/"))]
    pub path: Option<String>,
    /// Whether to only open a connection.
    #[serde(default)]
    pub tcp: bool,
    /// Calls `grpc.health.v1.Health/Check`. The target is healthy if it is `SERVING`.
    #[serde(default)]
    pub grpc: Option<GrpcCheck>,
    /// The time between two checks of a target.
    #[serde(default = "interval")]
    pub interval: HumanDuration,
    /// How long a check may take.
    #[serde(default = "second")]
    pub timeout: HumanDuration,
    /// How many successful checks in a row make a target healthy.
    #[serde(default = "two")]
    #[schemars(range(min = 1))]
    pub healthy_after: u32,
    /// How many failed checks in a row make a target unhealthy.
    #[serde(default = "three")]
    #[schemars(range(min = 1))]
    pub unhealthy_after: u32,
}

/// A check by the gRPC health protocol.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GrpcCheck {
    /// The name of the service. Default: the server as a whole.
    pub service: String,
}

const fn interval() -> HumanDuration {
    HumanDuration::from_secs(5)
}

const fn second() -> HumanDuration {
    HumanDuration::from_secs(1)
}

const fn two() -> u32 {
    2
}

const fn three() -> u32 {
    3
}

/// Passive health checks. A failure is a status of 500 or above, or no response.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PassiveCheck {
    /// How many failures in a row eject a target.
    #[schemars(range(min = 1))]
    pub consecutive_failures: u32,
    /// The share of failed requests that ejects a target.
    pub failure_ratio: Option<FailureRatio>,
    /// How long an ejected target gets no requests. It doubles with each ejection in a row, up to ten times.
    pub ejection_time: HumanDuration,
    /// Maximum share of the targets that may be ejected at the same time, in percent. One target may always be ejected.
    #[schemars(range(min = 0, max = 100))]
    pub max_ejection_percent: u32,
}

impl Default for PassiveCheck {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            failure_ratio: None,
            ejection_time: HumanDuration::from_secs(30),
            max_ejection_percent: 50,
        }
    }
}
