//! Finds pairs of routes that could both match; such a configuration is rejected.

use super::pattern::Part;
use super::{Match, Pattern};
use std::collections::HashMap;

/// Two conflicting routes, by index.
#[derive(Debug, PartialEq, Eq)]
pub struct Clash {
    pub first: usize,
    pub second: usize,
    pub why: String,
}

/// The positions of trailing parameters. Whether one segment or the rest of the path is taken there does not decide
/// between two routes.
pub(super) fn find(routes: &[Match]) -> Vec<Clash> {
    let mut by_path: HashMap<Vec<Part>, Vec<usize>> = HashMap::new();
    let mut clashes = Vec::new();
    for (second, route) in routes.iter().enumerate() {
        let same_path = by_path.entry(place(&route.pattern)).or_default();
        for &first in same_path.iter() {
            let Some(other) = routes.get(first).filter(|other| both_could_win(other, route)) else { continue };
            let (ours, theirs) = (other.pattern.template(), route.pattern.template());
            let why = if other.pattern == route.pattern {
                "match the same requests".to_owned()
            } else {
                format!("match the same requests: `{ours}` and `{theirs}`")
            };
            clashes.push(Clash { first, second, why });
        }
        same_path.push(second);
    }
    clashes
}

fn place(pattern: &Pattern) -> Vec<Part> {
    let mut parts = pattern.parts.clone();
    if let Some(last) = parts.last_mut().filter(|last| **last == Part::Rest) {
        *last = Part::Parameter;
    }
    parts
}

fn both_could_win(a: &Match, b: &Match) -> bool {
    let methods_meet = a.methods.is_empty() || b.methods.is_empty() || a.methods.iter().any(|m| b.methods.contains(m));
    let headers_meet = !a.headers.iter().any(|(name, value)| b.headers.iter().any(|(n, v)| n == name && v != value));
    a.listeners.meet(b.listeners) && a.hosts.shared(&b.hosts) && a.rank() == b.rank() && methods_meet && headers_meet
}
