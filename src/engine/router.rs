//! Finds the route of a request: by host, then path, then method, then header fields. If the best candidate does not
//! accept the request, the next best is tried.

mod ambiguity;
mod listeners;
mod pattern;
#[cfg(test)]
mod tests;
mod tree;

pub use ambiguity::Clash;
pub use listeners::Listeners;
pub use pattern::{Hosts, Pattern};
pub use tree::Parameters;

use crate::path::Spelling;
use http::header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use std::collections::HashMap;
use tree::{Node, Walk};

/// The conditions of a route, independent of its target.
#[derive(Debug, Clone)]
pub struct Match {
    pub listeners: Listeners,
    pub hosts: Hosts,
    pub pattern: Pattern,
    /// If empty, all methods. HEAD follows GET.
    pub methods: Vec<Method>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether its chain handles preflights for its methods.
    pub preflights: bool,
}

impl Match {
    /// Whether it accepts requests with `method`.
    pub fn takes(&self, method: &Method) -> bool {
        self.methods.is_empty() || self.names(method) || (*method == Method::HEAD && self.names(&Method::GET))
    }

    fn names(&self, method: &Method) -> bool {
        self.methods.contains(method)
    }

    /// Adds the accepted methods, as `Allow` lists them.
    pub fn add_allowed(&self, allow: &mut Vec<Method>) {
        for method in &self.methods {
            let followed = (*method == Method::GET).then_some(&Method::HEAD);
            for method in [method].into_iter().chain(followed) {
                if !allow.contains(method) {
                    allow.push(method.clone());
                }
            }
        }
    }

    fn fits(&self, lookup: &Lookup<'_>) -> bool {
        self.listeners.has(lookup.listener)
            && self.headers.iter().all(|(name, value)| lookup.headers.get(name) == Some(value))
    }

    fn fit(&self, lookup: &Lookup<'_>, preflight: Option<&Method>) -> Fit {
        if !self.listeners.has(lookup.listener) {
            return Fit::OtherListener;
        }
        if let Some((name, _)) = self.headers.iter().find(|(name, value)| lookup.headers.get(name) != Some(value)) {
            return Fit::OtherHeader(name.clone());
        }
        match preflight {
            _ if self.takes(lookup.method) => Fit::Takes,
            Some(asked) if self.preflights && self.takes(asked) => Fit::TakesPreflight,
            _ => Fit::OtherMethod,
        }
    }

    /// Among routes with the same host and path: named listeners beat none, then named methods, then more header
    /// fields.
    fn rank(&self) -> (bool, bool, usize) {
        (self.listeners != Listeners::ALL, !self.methods.is_empty(), self.headers.len())
    }
}

/// The key by which a route is looked up.
#[derive(Clone, Copy)]
pub struct Lookup<'a> {
    /// The index of the listener that the request arrived on.
    pub listener: usize,
    /// Without port.
    pub host: Option<&'a str>,
    /// In normal form.
    pub path: &'a str,
    pub spelling: Spelling,
    pub method: &'a Method,
    pub headers: &'a HeaderMap,
}

impl<'a> Lookup<'a> {
    const fn walk(&self) -> Walk<'a> {
        Walk { path: self.path, escaped: self.spelling.escaped, parameters: Parameters::new() }
    }
}

/// The result of a lookup.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    Route {
        /// Index of the route, in insertion order.
        index: usize,
        parameters: Parameters,
        /// Whether the request is a preflight for a request that the route accepts, and not one it accepts itself.
        preflight: bool,
    },
    /// Routes match this path, but not with this method.
    WrongMethod {
        allow: Vec<Method>,
    },
    Nothing,
}

/// Finds routes. Immutable once built.
#[derive(Default)]
pub struct Router {
    routes: Vec<Match>,
    exact_hosts: HashMap<Box<str>, Node>,
    /// Longest first.
    wildcard_hosts: Vec<(Box<str>, Node)>,
    any_host: Node,
}

impl Router {
    /// Builds a router. `Err` contains every pair of routes that could both match.
    pub fn build(routes: Vec<Match>) -> Result<Self, Vec<Clash>> {
        let clashes = ambiguity::find(&routes);
        if !clashes.is_empty() {
            return Err(clashes);
        }
        let mut router = Self::default();
        let mut order: Vec<_> = routes.iter().enumerate().collect();
        // In tree order, so that nothing moves while the tree grows.
        order.sort_by_key(|(_, route)| &route.pattern.parts);
        for (_, route) in &order {
            for host in route.hosts.keys() {
                router.tree_of(host).list(&route.pattern);
            }
        }
        order.sort_by_key(|(index, route)| (std::cmp::Reverse(route.rank()), *index));
        for (index, route) in order {
            for host in route.hosts.keys() {
                router.tree_of(host).list(&route.pattern).push(index);
            }
        }
        router.wildcard_hosts.sort_by_key(|(suffix, _)| std::cmp::Reverse(suffix.len()));
        router.routes = routes;
        Ok(router)
    }

    fn tree_of(&mut self, host: Option<Box<str>>) -> &mut Node {
        let Some(host) = host else { return &mut self.any_host };
        let Some(suffix) = host.strip_prefix('*') else { return self.exact_hosts.entry(host).or_default() };
        let position = self.wildcard_hosts.iter().position(|(known, _)| **known == *suffix).unwrap_or_else(|| {
            self.wildcard_hosts.push((suffix.into(), Node::default()));
            self.wildcard_hosts.len() - 1
        });
        &mut self.wildcard_hosts[..].get_mut(position).expect("the position was just found or made").1
    }

    /// The routes, in insertion order.
    pub fn routes(&self) -> &[Match] {
        &self.routes
    }

    /// Whether any route requires a host.
    pub fn knows_hosts(&self) -> bool {
        !self.exact_hosts.is_empty() || !self.wildcard_hosts.is_empty()
    }

    /// The route for a request.
    pub fn find(&self, lookup: &Lookup<'_>) -> Found {
        let mut search = Search { routes: &self.routes, lookup, preflight: preflight(lookup), allow: Vec::new() };
        match self.each_tree(lookup.host, |tree| search.within(tree)) {
            Some(found) => found,
            None if search.allow.is_empty() => Found::Nothing,
            None => Found::WrongMethod { allow: search.allow },
        }
    }

    /// The routes whose host and path match, in the order in which they are tried, and whether they accept the request.
    pub fn candidates(&self, lookup: &Lookup<'_>) -> Vec<(usize, Fit)> {
        let (asked, mut candidates) = (preflight(lookup), Vec::new());
        let mut note = |indices: &[usize]| {
            let known = indices.iter().filter_map(|&index| Some((index, self.routes.get(index)?)));
            candidates.extend(known.map(|(index, route)| (index, route.fit(lookup, asked.as_ref()))));
            None::<()>
        };
        self.each_tree(lookup.host, |tree| {
            let mut walk = lookup.walk();
            let remaining = lookup.path.strip_prefix('/');
            tree.whole(&mut walk, remaining, &mut note);
            tree.prefixes(&mut walk, remaining, &mut note)
        });
        candidates
    }

    /// Whether the route `index` is the only match, if any, for `path` on `host`.
    pub fn is_alone(&self, index: usize, host: Option<&str>, path: &str) -> bool {
        let mut other = |indices: &[usize]| indices.iter().any(|known| *known != index).then_some(());
        let found = self.each_tree(host, |tree| {
            let mut walk = Walk { path, escaped: true, parameters: Parameters::new() };
            let remaining = path.strip_prefix('/');
            tree.whole(&mut walk, remaining, &mut other).or_else(|| tree.prefixes(&mut walk, remaining, &mut other))
        });
        found.is_none()
    }

    /// Visits the trees of the hosts that cover `host`, the most specific first, until one returns a result.
    fn each_tree<T>(&self, host: Option<&str>, mut visit: impl FnMut(&Node) -> Option<T>) -> Option<T> {
        if let Some(host) = host.filter(|_| self.knows_hosts()) {
            let host = pattern::host_key(host);
            if let Some(found) = self.exact_hosts.get(host.as_str()).and_then(&mut visit) {
                return Some(found);
            }
            for (suffix, tree) in &self.wildcard_hosts {
                let covered = host.len() > suffix.len() && host.ends_with(&**suffix);
                if let Some(found) = covered.then(|| visit(tree)).flatten() {
                    return Some(found);
                }
            }
        }
        visit(&self.any_host)
    }
}

/// Whether a route accepts a request that matches its host and path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    Takes,
    /// As the preflight of a request that it accepts.
    TakesPreflight,
    OtherListener,
    /// A required header field is missing or has another value.
    OtherHeader(HeaderName),
    OtherMethod,
}

/// Whether plugins treat a request as a preflight, regardless of the method it asks about.
pub fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS && headers.contains_key(ORIGIN) && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// The method that a CORS preflight asks about (the Fetch standard, section 3.2.2).
fn preflight(lookup: &Lookup<'_>) -> Option<Method> {
    let asked = || lookup.headers.get(ACCESS_CONTROL_REQUEST_METHOD).filter(|_| lookup.headers.contains_key(ORIGIN));
    let asked = (*lookup.method == Method::OPTIONS).then(asked).flatten()?;
    Method::from_bytes(asked.as_bytes()).ok()
}

/// The search for one request.
struct Search<'a> {
    routes: &'a [Match],
    lookup: &'a Lookup<'a>,
    preflight: Option<Method>,
    /// The methods that would have matched.
    allow: Vec<Method>,
}

impl Search<'_> {
    /// A whole path beats a template, which beats the longest prefix.
    fn within(&mut self, tree: &Node) -> Option<Found> {
        let mut walk = self.lookup.walk();
        let remaining = self.lookup.path.strip_prefix('/');
        let mut choose = |candidates: &[usize]| self.choose(candidates);
        let whole = tree.whole(&mut walk, remaining, &mut choose);
        let (index, preflight) = whole.or_else(|| tree.prefixes(&mut walk, remaining, &mut choose))?;
        Some(Found::Route { index, parameters: walk.parameters, preflight })
    }

    /// The first route that accepts the request, and whether only as a preflight. A route that names the method beats
    /// one that accepts it as a preflight for another.
    fn choose(&mut self, candidates: &[usize]) -> Option<(usize, bool)> {
        let (routes, lookup, method) = (self.routes, self.lookup, self.lookup.method);
        let fitting = candidates.iter().filter_map(|index| Some((*index, routes.get(*index)?)));
        let fitting = fitting.filter(|(_, route)| route.fits(lookup));
        if (*method == Method::HEAD || self.preflight.is_some())
            && let Some((index, _)) = fitting.clone().find(|(_, route)| route.names(method))
        {
            return Some((index, false));
        }
        let taken = fitting.clone().find_map(|(index, route)| {
            let asked = || self.preflight.as_ref().is_some_and(|asked| route.preflights && route.takes(asked));
            if route.takes(method) { Some((index, false)) } else { asked().then_some((index, true)) }
        });
        if taken.is_none() {
            fitting.for_each(|(_, route)| route.add_allowed(&mut self.allow));
        }
        taken
    }
}
