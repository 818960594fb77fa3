//! The API of an upstream, and the paths by which clients reach what its file describes.

use super::PlannedPath;
use crate::openapi::Spec;
use crate::path;
use std::sync::Arc;

/// The API of an upstream, as clients of a route reach it.
#[derive(Debug, PartialEq)]
pub struct Proxied {
    pub spec: Arc<Spec>,
    /// What the route removes from the beginning of paths.
    pub strip: Box<str>,
    /// What it puts there.
    pub add: Box<str>,
}

impl Proxied {
    /// The path by which clients reach `path` of the file; `None` if the route does not serve it.
    pub fn reached(&self, route: &PlannedPath, path: &str) -> Option<String> {
        let base = self.spec.base();
        let whole = format!("{base}{path}");
        // A server whose path begins with what the route removes is the gateway itself.
        let is_ours = !self.strip.is_empty() && path::strip(base, &self.strip).is_some();
        let reached = if is_ours || (self.strip.is_empty() && self.add.is_empty()) {
            whole
        } else {
            match path::strip(&whole, &self.add)? {
                "/" if !self.strip.is_empty() => self.strip.to_string(),
                rest => format!("{}{rest}", self.strip),
            }
        };
        serves(route, &reached).then_some(reached)
    }
}

/// Whether a route serves a path with parameters. A parameter of the path may have any value, so it is not a fixed segment of the
/// route.
fn serves(route: &PlannedPath, path: &str) -> bool {
    match route {
        PlannedPath::Prefix(prefix) => path::strip(path, prefix.trim_end_matches('/')).is_some(),
        PlannedPath::Whole(template) => {
            let (mut wanted, mut given) = (template.split('/'), path.split('/'));
            loop {
                match (wanted.next(), given.next()) {
                    (None, None) => return true,
                    (Some(rest), Some(_)) if rest.starts_with("{*") => return true,
                    (Some(wanted), Some(given)) if wanted.starts_with('{') && !given.is_empty() => {}
                    (Some(wanted), Some(given)) if wanted == given => {}
                    _ => return false,
                }
            }
        }
        // Of other targets.
        PlannedPath::Collection(_)
        | PlannedPath::Restorable(_)
        | PlannedPath::Files { .. }
        | PlannedPath::Addresses { .. } => false,
    }
}
