//! Settings of the maintenance mode.

use crate::path::PathPrefix;
use gatewright_sdk::HumanDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The maintenance mode: every request gets 503, except for health endpoints and the admin API.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Maintenance {
    /// Whether it is active.
    pub enabled: bool,
    /// When clients may try again, as `Retry-After`.
    pub retry_after: HumanDuration,
    /// Paths that are still served, with everything below them: `[/status, /webhooks]`.
    pub except: Vec<PathPrefix>,
}

impl Default for Maintenance {
    fn default() -> Self {
        Self { enabled: false, retry_after: HumanDuration::from_secs(600), except: Vec::new() }
    }
}
