//! Routes as the search for guard bypasses sees them.

use crate::engine::reach::{Reach, SAMPLE, Target};
use crate::engine::router::{Hosts, Router};
use http::Method;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// What the search needs to know about each route.
pub struct Guarded<'a> {
    pub name: &'a str,
    pub reach: Arc<Reach>,
    /// Methods that the target serves without authenticating the sender.
    pub unasked: Vec<Method>,
    /// The plugins of its chain that requests must not bypass.
    pub guards: Arc<[Arc<str>]>,
}

/// The routes that lead to the same targets as guarded ones with fewer guards. Routes with the same guards and targets
/// share them, and they are sorted by how they could become a bypass, because a file may contain many thousands of
/// routes.
#[derive(Default)]
pub struct Others {
    /// Those with parameters, by the first segment of the path that the target sees.
    parametric: HashMap<String, Vec<usize>>,
    pub with_headers: Vec<usize>,
    pub with_hosts: Vec<usize>,
    /// One of each kind, by rewrite, header fields and hosts.
    pub kinds: Vec<usize>,
    /// Those that change more than the prefix of the path. All of them, if the guarded route does.
    pub rewritten: Vec<usize>,
}

impl Others {
    pub fn of(
        guarded: &Guarded<'_>,
        router: &Router,
        routes: &[Guarded<'_>],
        by_target: &HashMap<&Target, Vec<usize>>,
    ) -> Self {
        let (mut others, mut kinds) = (Self::default(), HashSet::new());
        let there = guarded.reach.targets.iter().filter_map(|target| by_target.get(target)).flatten();
        for index in there.copied().collect::<BTreeSet<_>>() {
            let (Some(other), Some(rule)) = (routes.get(index), router.routes().get(index)) else { continue };
            if missing(guarded, other).is_none() {
                continue;
            }
            if !rule.pattern.parameters().is_empty() {
                let segment = other.first_segment(&rule.pattern.sample(SAMPLE));
                others.parametric.entry(segment).or_default().push(index);
            }
            if !rule.headers.is_empty() {
                others.with_headers.push(index);
            }
            if rule.hosts != Hosts::Any {
                others.with_hosts.push(index);
            }
            if kinds.insert((&other.reach.key, &rule.headers, &rule.hosts)) {
                others.kinds.push(index);
            }
            if guarded.reach.is_rewritten() || other.reach.is_rewritten() {
                others.rewritten.push(index);
            }
        }
        others
    }

    /// Those that may match a path whose first segment is `segment`, if the target sees it so.
    pub fn parametric(&self, segment: &str) -> Vec<usize> {
        let fits = |own: &str| segment == SAMPLE || own == SAMPLE || own == segment;
        let mut found: Vec<_> = self
            .parametric
            .iter()
            .filter(|(own, _)| fits(own))
            .flat_map(|(_, indices)| indices.iter().copied())
            .collect();
        found.sort_unstable();
        found
    }
}

impl Guarded<'_> {
    /// The first segment of `path` as the server sees it. For a resource nothing is stripped.
    pub fn first_segment(&self, path: &str) -> String {
        let seen = match self.reach.targets.first() {
            Some(Target::Server { .. } | Target::Service(_)) => self.reach.seen(path),
            _ => path.into(),
        };
        seen.split('/').nth(1).unwrap_or_default().to_owned()
    }
}

/// A guard of `guarded` that `other` lacks, if both lead to the same target.
pub fn missing<'a>(guarded: &'a Guarded<'_>, other: &Guarded<'_>) -> Option<&'a str> {
    let missing = guarded.guards.iter().find(|guard| !other.guards.contains(guard))?;
    guarded.reach.meets(&other.reach).then_some(missing)
}
