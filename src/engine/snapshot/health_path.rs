//! The paths of health checks.

use serde::Serialize;
use std::fmt;

/// The health paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthPath {
    Live,
    Ready,
    Summary,
}

impl fmt::Display for HealthPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Live => "liveness check",
            Self::Ready => "readiness check",
            Self::Summary => "health summary",
        })
    }
}
