//! How a request finds its route: host, then path, then method, then header fields.

mod ambiguity;
mod pattern;
#[cfg(test)]
mod tests;

pub use ambiguity::Clash;
pub use pattern::{Hosts, Pattern};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use std::collections::HashMap;
use std::ops::Range;

/// What a route takes, independent of what answers.
#[derive(Debug, Clone)]
pub struct Match {
    pub hosts: Hosts,
    pub pattern: Pattern,
    /// Empty: all methods.
    pub methods: Vec<Method>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl Match {
    fn takes(&self, method: &Method, headers: &HeaderMap) -> Taken {
        if !self.headers.iter().all(|(name, value)| headers.get(name) == Some(value)) {
            return Taken::No;
        }
        if self.methods.is_empty() || self.methods.contains(method) { Taken::Yes } else { Taken::WrongMethod }
    }

    /// Among routes of one host and path: named methods beat none, more header fields beat fewer.
    fn rank(&self) -> (bool, usize) {
        (!self.methods.is_empty(), self.headers.len())
    }
}

enum Taken {
    Yes,
    WrongMethod,
    No,
}

/// What was found for a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    Route {
        /// Index of the route, as it was inserted.
        index: usize,
        /// Where the path parameters stand in the request's path, in the order of the template.
        parameters: Parameters,
    },
    /// Routes take this path, but not with this method.
    WrongMethod {
        allow: Vec<Method>,
    },
    Nothing,
}

/// Byte ranges of path parameters. A template has few, so most requests need no allocation.
pub type Parameters = Vec<Range<usize>>;

/// Finds routes. Immutable once built.
#[derive(Default)]
pub struct Router {
    routes: Vec<Match>,
    exact_hosts: HashMap<Box<str>, Paths>,
    /// Longest first.
    wildcard_hosts: Vec<(Box<str>, Paths)>,
    any_host: Paths,
}

/// The paths of one host: whole paths with templates, and prefixes.
#[derive(Default)]
struct Paths {
    whole: matchit::Router<Vec<usize>>,
    prefixes: matchit::Router<Vec<usize>>,
}

impl Router {
    /// Builds a router. `Err` names every pair of routes that could both win, and paths that cannot stand together.
    pub fn build(routes: Vec<Match>) -> Result<Self, Vec<Clash>> {
        let mut clashes = ambiguity::find(&routes);
        let mut router = Self::default();
        let mut grouped: HashMap<(Option<Box<str>>, &Pattern), Vec<usize>> = HashMap::new();
        for (index, route) in routes.iter().enumerate() {
            for host in route.hosts.keys() {
                grouped.entry((host, &route.pattern)).or_default().push(index);
            }
        }
        let mut groups: Vec<_> = grouped.into_iter().collect();
        groups.sort_by_key(|(_, indices)| indices.first().copied());
        for ((host, pattern), mut indices) in groups {
            indices.sort_by_key(|index| std::cmp::Reverse(routes.get(*index).map(Match::rank)));
            let first = indices.first().copied().unwrap_or_default();
            if let Err(error) = router.paths_of(host).insert(pattern, indices) {
                clashes.push(Clash { first, second: None, why: error });
            }
        }
        router.wildcard_hosts.sort_by_key(|(suffix, _)| std::cmp::Reverse(suffix.len()));
        router.routes = routes;
        if clashes.is_empty() { Ok(router) } else { Err(clashes) }
    }

    fn paths_of(&mut self, host: Option<Box<str>>) -> &mut Paths {
        let Some(host) = host else { return &mut self.any_host };
        let Some(suffix) = host.strip_prefix('*') else { return self.exact_hosts.entry(host).or_default() };
        let position = self.wildcard_hosts.iter().position(|(known, _)| **known == *suffix).unwrap_or_else(|| {
            self.wildcard_hosts.push((suffix.into(), Paths::default()));
            self.wildcard_hosts.len() - 1
        });
        &mut self.wildcard_hosts[..].get_mut(position).expect("the position was just found or made").1
    }

    /// Whether any route asks for a host.
    pub fn knows_hosts(&self) -> bool {
        !self.exact_hosts.is_empty() || !self.wildcard_hosts.is_empty()
    }

    /// The route for a request. `host` is without port; letter case does not matter.
    pub fn find(&self, host: Option<&str>, path: &str, method: &Method, headers: &HeaderMap) -> Found {
        let mut allow = Vec::new();
        if let Some(host) = host.filter(|_| self.knows_hosts()) {
            let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
            if let Some(found) =
                self.exact_hosts.get(host.as_str()).and_then(|p| self.at(p, path, method, headers, &mut allow))
            {
                return found;
            }
            for (suffix, paths) in &self.wildcard_hosts {
                let covered = host.len() > suffix.len() && host.ends_with(&**suffix);
                if let Some(found) = covered.then(|| self.at(paths, path, method, headers, &mut allow)).flatten() {
                    return found;
                }
            }
        }
        match self.at(&self.any_host, path, method, headers, &mut allow) {
            Some(found) => found,
            None if allow.is_empty() => Found::Nothing,
            None => Found::WrongMethod { allow },
        }
    }

    fn at(
        &self,
        paths: &Paths,
        path: &str,
        method: &Method,
        headers: &HeaderMap,
        allow: &mut Vec<Method>,
    ) -> Option<Found> {
        // Exact beats template beats longest prefix; a prefix route is asked when no whole path takes the request.
        [&paths.whole, &paths.prefixes].into_iter().find_map(|table| {
            let matched = table.at(path).ok()?;
            let index = self.choose(matched.value, method, headers, allow)?;
            let parameters = matched.params.iter().map(|(_, value)| range_in(path, value)).collect();
            Some(Found::Route { index, parameters })
        })
    }

    fn choose(
        &self,
        candidates: &[usize],
        method: &Method,
        headers: &HeaderMap,
        allow: &mut Vec<Method>,
    ) -> Option<usize> {
        candidates.iter().copied().find(|index| {
            let Some(route) = self.routes.get(*index) else { return false };
            match route.takes(method, headers) {
                Taken::Yes => true,
                Taken::No => false,
                Taken::WrongMethod => {
                    allow.extend(route.methods.iter().filter(|m| !allow.contains(m)).cloned().collect::<Vec<_>>());
                    false
                }
            }
        })
    }
}

/// Where `part`, a slice of `whole`, stands in it.
fn range_in(whole: &str, part: &str) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
    start..start + part.len()
}

impl Paths {
    fn insert(&mut self, pattern: &Pattern, indices: Vec<usize>) -> Result<(), String> {
        let conflict = |error: matchit::InsertError| format!("path cannot stand beside another: {error}");
        match pattern {
            Pattern::Whole { template, .. } => self.whole.insert(template, indices).map_err(conflict),
            Pattern::Prefix(prefix) => {
                let base = prefix.trim_end_matches('/');
                self.prefixes.insert(format!("{base}/{{*rest}}"), indices.clone()).map_err(conflict)?;
                self.prefixes.insert(format!("{base}/"), indices.clone()).map_err(conflict)?;
                if base.is_empty() { Ok(()) } else { self.prefixes.insert(base, indices).map_err(conflict) }
            }
        }
    }
}
