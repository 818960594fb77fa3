//! The paths of health checks, and the paths that are served during maintenance.

use super::Snapshot;
use crate::config::document::maintenance::Maintenance;
use crate::path::{self, Spelling};
use gatewright_sdk::Problem;
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

impl Snapshot {
    /// The response to a request for `path` during maintenance.
    pub(in crate::engine) fn maintenance(&self, path: &str) -> Option<Problem> {
        let Maintenance { enabled, retry_after, except } = &self.plan.document.maintenance;
        let served = || except.iter().any(|prefix| path::strip(path, prefix.trim_end_matches('/')).is_some());
        (*enabled && !served()).then(|| Problem::unavailable(retry_after.get().as_secs()).reason("maintenance"))
    }

    /// The health path that a request asks for.
    pub fn health_path(&self, path: &str, spelling: Spelling) -> Option<HealthPath> {
        let paths = &self.plan.document.health;
        let is = |own: &str| path == own || (spelling.escaped && path::same(path, own));
        if is(&paths.live) {
            Some(HealthPath::Live)
        } else if is(&paths.ready) {
            Some(HealthPath::Ready)
        } else {
            is(&paths.summary).then_some(HealthPath::Summary)
        }
    }
}
