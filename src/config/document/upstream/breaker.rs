//! Limits that protect an upstream from more requests than it can serve.

use crate::config::document::percent::Percent;
use gatewright_sdk::HumanDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Limits that protect an upstream, over all its targets. Requests beyond them get 503 at once.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CircuitBreaker {
    /// Maximum number of connections to each target, or to each address of its name, idle ones included.
    #[schemars(range(min = 1))]
    pub max_connections: Option<u32>,
    /// Maximum number of requests that wait because `max_requests` or `max_connections` is reached. They wait for up to
    /// `timeouts.connect`. Default: 0.
    pub max_pending: Option<u32>,
    /// Maximum number of requests in progress.
    #[schemars(range(min = 1))]
    pub max_requests: Option<u32>,
    /// The share of failed requests at which the circuit opens.
    pub failure_ratio: Option<FailureRatio>,
    /// How long an open circuit rejects all requests. Then one request is let through at a time; the circuit closes when
    /// it succeeds.
    pub open_time: HumanDuration,
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self {
            max_connections: None,
            max_pending: None,
            max_requests: None,
            failure_ratio: None,
            open_time: HumanDuration::from_secs(5),
        }
    }
}

/// A share of failed requests. A failure is a status of 500 or above, or no response.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FailureRatio {
    /// The share above which the limit applies: `50%`.
    pub over: Percent,
    /// The time over which requests are counted.
    #[serde(default = "window")]
    pub window: HumanDuration,
    /// Minimum number of requests in the window; with fewer, the share is ignored.
    #[serde(default = "twenty")]
    #[schemars(range(min = 1))]
    pub min_requests: u32,
}

const fn window() -> HumanDuration {
    HumanDuration::from_secs(10)
}

const fn twenty() -> u32 {
    20
}
