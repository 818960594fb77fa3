//! Finds routes that could both win: a configuration with such a pair is refused, naming both.

use super::{Match, Pattern};
use std::collections::HashMap;

/// Routes that cannot stand together, by index.
#[derive(Debug, PartialEq, Eq)]
pub struct Clash {
    pub first: usize,
    pub second: Option<usize>,
    pub why: String,
}

pub(super) fn find(routes: &[Match]) -> Vec<Clash> {
    let mut by_pattern: HashMap<&Pattern, Vec<usize>> = HashMap::new();
    let mut clashes = Vec::new();
    for (second, route) in routes.iter().enumerate() {
        let same_path = by_pattern.entry(&route.pattern).or_default();
        for &first in same_path.iter() {
            if routes.get(first).is_some_and(|other| both_could_win(other, route)) {
                clashes.push(Clash { first, second: Some(second), why: "take the same requests".into() });
            }
        }
        same_path.push(second);
    }
    clashes
}

fn both_could_win(a: &Match, b: &Match) -> bool {
    let methods_meet = a.methods.is_empty() || b.methods.is_empty() || a.methods.iter().any(|m| b.methods.contains(m));
    let headers_meet = !a.headers.iter().any(|(name, value)| b.headers.iter().any(|(n, v)| n == name && v != value));
    a.hosts.shared(&b.hosts) && a.rank() == b.rank() && methods_meet && headers_meet
}
