//! Finds requests that bypass a guard: they reach the target of a guarded route through another route without the
//! guard.

mod listed;
mod rewrite;
mod write;

use crate::engine::guarded::{Guarded, Others, missing};
use crate::engine::reach::{Reach, SAMPLE, Target};
use crate::engine::router::{Found, Hosts, Listeners, Lookup, Match, Pattern, Router};
use crate::path::Spelling;
use gatewright_sdk::{Code, Fault};
use http::{HeaderMap, Method};
use listed::listed;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// A bypass of a guard.
pub struct Gap {
    /// The index of the guarded route.
    pub guarded: usize,
    /// The index of the open route.
    pub open: usize,
    pub warning: Fault,
}

/// The methods to try: those in use, and an unregistered one.
pub static TRIED: LazyLock<Vec<Method>> = LazyLock::new(|| {
    let unknown = Method::from_bytes(b"ANY-OTHER").expect("a name of letters is a method");
    let known = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
    known.into_iter().chain([unknown]).collect()
});

/// The guards, the targets, and whether more than a prefix is changed: routes with the same share [`Others`].
type Alike<'a> = (&'a [Arc<str>], &'a [Target], bool);

/// Finds the bypasses of the guards of `routes`, the routes that the router was built from, on `listeners` listeners.
pub fn find(router: &Router, routes: &[Guarded<'_>], listeners: usize) -> Vec<Gap> {
    let mut by_target: HashMap<&Target, Vec<usize>> = HashMap::new();
    for (index, guarded) in routes.iter().enumerate() {
        let reached = guarded.reach.targets.iter().chain(&guarded.reach.copies);
        reached.for_each(|target| by_target.entry(target).or_default().push(index));
    }
    let mut known: HashMap<Alike<'_>, Others> = HashMap::new();
    let mut gaps: Vec<Gap> = Vec::new();
    // If no route names a listener, all listeners are alike.
    let named = router.routes().iter().any(|route| route.listeners != Listeners::ALL);
    let listeners = if named { listeners } else { 1 };
    for (index, (route, guarded)) in router.routes().iter().zip(routes).enumerate() {
        let Some(target) = guarded.reach.targets.first().filter(|_| !guarded.guards.is_empty()) else { continue };
        let others = known.entry((&guarded.guards, &guarded.reach.targets, guarded.reach.is_rewritten()));
        let others = others.or_insert_with(|| Others::of(guarded, router, routes, &by_target));
        let known = gaps.len();
        for listener in (0..listeners).filter(|listener| route.listeners.has(*listener)) {
            let (path, headers, protected) = (route.pattern.sample(SAMPLE), HeaderMap::new(), Vec::new());
            let of =
                Search { router, routes, index, route, guarded, target, others, listener, path, headers, protected };
            let search = of.on_own_requests();
            let by_path = [search.by_slash(), search.by_other_path()];
            let mut told: Vec<_> = by_path.iter().flatten().map(|(open, _)| *open).collect();
            let common = search.by_common_path(&told);
            told.extend(common.iter().map(|(open, _)| *open));
            let ways = [
                search.by_cover(),
                common,
                search.by_rewrite(&told),
                search.by_method(),
                search.by_write(),
                search.by_header(),
                search.by_host(),
                search.by_listener(listeners),
            ];
            for (open, warning) in ways.into_iter().chain(by_path).flatten() {
                if !gaps.iter().skip(known).any(|gap| gap.open == open && gap.warning == warning) {
                    gaps.push(Gap { guarded: index, open, warning });
                }
            }
        }
    }
    gaps
}

/// The search for bypasses of the guard of one route.
struct Search<'a> {
    router: &'a Router,
    routes: &'a [Guarded<'a>],
    index: usize,
    route: &'a Match,
    guarded: &'a Guarded<'a>,
    target: &'a Target,
    others: &'a Others,
    /// The index of the listener that requests arrive on.
    listener: usize,
    /// A path that the route matches.
    path: String,
    /// The header fields that it requires.
    headers: HeaderMap,
    /// The methods it accepts for that path.
    protected: Vec<&'static Method>,
}

/// A request that the guarded route does not accept.
#[derive(Clone, Copy)]
struct Asked<'a> {
    host: Option<&'a str>,
    path: &'a str,
    method: &'a Method,
    headers: &'a HeaderMap,
    /// The path that the target must see. Default: what it sees for `path` through the guarded route.
    seen: Option<&'a str>,
}

/// A route that accepts such a request and leads to the same target.
#[derive(Clone, Copy)]
struct Open<'a> {
    index: usize,
    name: &'a str,
    /// The guard that it lacks.
    missing: &'a str,
}

type Way = Option<(usize, Fault)>;

impl<'a> Search<'a> {
    /// With the header fields that the route requires, and the methods it accepts.
    fn on_own_requests(mut self) -> Self {
        self.headers = self.headers_beside(self.route);
        let hosts = self.route.hosts.samples(SAMPLE);
        let is_alone = hosts.iter().any(|host| self.router.is_alone(self.index, host.as_deref(), &self.path));
        let is_protected = |method: &&Method| {
            if is_alone {
                return self.route.takes(method);
            }
            let mut takers = hosts.iter().map(|host| self.taker(host.as_deref(), &self.path, method, &self.headers));
            takers.any(|taker| taker == Some(self.index))
        };
        self.protected = TRIED.iter().filter(is_protected).collect();
        self
    }

    /// Through a path that both routes match, or that the target sees as the same apart from a trailing slash:
    /// parameters of the other route take the literal segments of this one. Skips routes already in `told`.
    fn by_common_path(&self, told: &[usize]) -> Way {
        let near = self.others.parametric(&self.guarded.first_segment(&self.path));
        self.rules(&near).filter(|(index, ..)| !told.contains(index)).find_map(|(index, other, rule)| {
            let through = |from: &Reach, to: &Reach, path: &str| match self.target {
                Target::Server { .. } | Target::Service(_) => to.below(&from.seen(path)),
                Target::Resource(_) => Some(path.to_owned()),
            };
            let filled = rule.pattern.filled(&through(&self.guarded.reach, &other.reach, &self.path)?, SAMPLE)?;
            let (path, open) =
                spellings(filled).into_iter().filter(|path| rule.pattern.takes(path)).find_map(|path| {
                    let own = through(&other.reach, &self.guarded.reach, &path)?;
                    let own = spellings(own).into_iter().find(|own| self.route.pattern.takes(own))?;
                    let (headers, seen) = (self.headers_beside(rule), self.guarded.reach.seen(&own));
                    let mut taken = TRIED.iter().filter(|method| self.route.takes(method));
                    let open = taken.find_map(|method| {
                        let asked = Asked { headers: &headers, seen: Some(&seen), ..self.asked(None, &path, method) };
                        self.on_own_hosts(asked)
                    });
                    open.filter(|open| open.index == index).map(|open| (path, open))
                })?;
            let precedes =
                self.route.pattern.is_prefix() && !rule.pattern.is_prefix() && self.route.pattern.takes(&path);
            let first = if precedes { "`path` takes precedence over `path_prefix`: " } else { "" };
            let which = format!("requests for `{}` reach", path.replace(SAMPLE, "*"));
            self.way(open, self.path_key(), &which, format!("{first}{}", open.help()))
        })
    }

    /// Through a route for the same path with more conditions that takes every request this one should guard.
    fn by_cover(&self) -> Way {
        let known = TRIED.split_last().map(|(_, known)| known).unwrap_or_default();
        let mut taken = known.iter().filter(|method| self.route.takes(method));
        if taken.clone().any(|method| self.protected.contains(&method)) {
            return None;
        }
        let open = taken.find_map(|method| self.on_own_hosts(self.asked(None, &self.path, method)))?;
        self.router.routes().get(open.index).filter(|other| other.pattern == self.route.pattern)?;
        let help = format!("this route never receives requests; remove it, or {}", open.help());
        self.way(open, self.path_key(), "all its requests reach", help)
    }

    fn by_method(&self) -> Way {
        let untaken: Vec<_> = TRIED.iter().filter(|method| !self.route.takes(method)).collect();
        let open: Vec<_> = (untaken.into_iter())
            .filter_map(|method| Some((method, self.on_own_hosts(self.asked(None, &self.path, method))?)))
            .filter(|(method, open)| !self.is_meant(*open, method))
            .collect();
        let (_, first) = *open.first()?;
        let open = open.iter().filter(|(_, open)| open.index == first.index).map(|(method, _)| *method);
        let open: Vec<_> = open.collect();
        let methods = if open.contains(&TRIED.last()?) {
            let mut closed = Vec::new();
            self.route.add_allowed(&mut closed);
            let others = TRIED.iter().filter(|method| !open.contains(method) && !closed.contains(method));
            let others: Vec<_> = others.collect();
            format!("methods other than {}", listed(closed.iter().chain(others)))
        } else {
            listed(open.into_iter())
        };
        let help = format!("remove `methods`, or {}", first.help());
        self.way(first, "methods", &format!("requests with {methods} reach"), help)
    }

    fn by_slash(&self) -> Way {
        let open = |beside: &Pattern| {
            let path = beside.sample(SAMPLE);
            if self.is_alone(&path) {
                return None;
            }
            let open = self.protected.iter().find_map(|method| self.on_own_hosts(self.asked(None, &path, method)))?;
            // The root of a catch-all may well be a different page if it has its own route.
            let is_page = self.route.pattern.takes_rest() && self.router.routes().get(open.index)?.pattern == *beside;
            (!is_page).then_some(open)
        };
        let beside = self.route.pattern.beside();
        let open: Vec<_> = beside.iter().filter_map(|beside| Some((beside.template(), open(beside)?))).collect();
        let (_, first) = *open.first()?;
        let paths = open.iter().filter(|(_, open)| open.index == first.index).map(|(path, _)| *path);
        let help = format!("many servers treat it as the same path; add a route for it, or {}", first.help());
        self.way(first, "path", &format!("requests for {} reach", listed(paths)), help)
    }

    /// Without the header fields that this route requires, or with those that another route requires.
    fn by_header(&self) -> Way {
        let open = |headers: &HeaderMap| {
            let asked = |method| Asked { headers, ..self.asked(None, &self.path, method) };
            self.protected.iter().find_map(|method| self.on_own_hosts(asked(method)))
        };
        if !self.headers.is_empty()
            && let Some(open) = open(&HeaderMap::new())
        {
            return self.way(open, "headers", "requests without these headers reach", open.help());
        }
        self.rules(&self.others.with_headers).find_map(|(index, _, rule)| {
            let open = open(&self.headers_beside(rule)).filter(|open| open.index == index)?;
            let fields = rule.headers.iter().filter(|field| !self.route.headers.contains(field));
            let which = format!("requests with the header {} reach", listed(fields.map(|(name, _)| name)));
            self.way(open, self.path_key(), &which, open.help())
        })
    }

    /// Through a host that the guarded route covers and another route names, or one that no route names: the client
    /// chooses the host.
    fn by_host(&self) -> Way {
        let own = self.route.hosts.samples(SAMPLE);
        let others = self.rules(&self.others.with_hosts).filter(|(_, _, rule)| rule.pattern.takes(&self.path));
        let named = others.flat_map(|(_, _, rule)| rule.hosts.samples(SAMPLE));
        let covered =
            named.filter(|host| !own.contains(host) && host.as_ref().is_some_and(|h| self.route.hosts.cover(h)));
        let unnamed = (self.route.hosts != Hosts::Any).then_some(None);
        covered.chain(unnamed).find_map(|host| {
            let open =
                self.protected.iter().find_map(|method| self.open(self.asked(host.as_deref(), &self.path, method)))?;
            let (key, which) = match &host {
                Some(host) => (self.path_key(), format!("the host `{}`", host.replace(SAMPLE, "*"))),
                None => ("hosts", "other hosts".to_owned()),
            };
            self.way(open, key, &format!("requests for {which} reach"), open.help())
        })
    }

    /// Through a listener that the guarded route does not serve, by a route that serves all listeners.
    fn by_listener(&self, listeners: usize) -> Way {
        let mut elsewhere = (0..listeners).filter(|listener| !self.route.listeners.has(*listener));
        let open = elsewhere.find_map(|listener| {
            let there = Search {
                listener,
                path: self.path.clone(),
                headers: self.headers.clone(),
                protected: Vec::new(),
                ..*self
            };
            self.protected.iter().find_map(|method| there.on_own_hosts(there.asked(None, &there.path, method)))
        })?;
        let everywhere = self.router.routes().get(open.index)?.listeners == Listeners::ALL;
        let help = format!("add `listeners` to `{}`, or {}", open.name, open.help());
        if everywhere { self.way(open, "listeners", "requests on other listeners reach", help) } else { None }
    }

    /// Through a path that another route rewrites to the same upstream path, or under which it serves the same
    /// resource.
    fn by_other_path(&self) -> Way {
        let seen = self.guarded.reach.seen(&self.path);
        let own = self.route.hosts.samples(SAMPLE);
        self.rules(&self.others.kinds).find_map(|(_, other, rule)| {
            let path = other.reach.below(&seen)?;
            let headers = self.headers_beside(rule);
            let hosts = if matches!(self.target, Target::Server { .. } | Target::Service(_)) {
                own.clone()
            } else {
                rule.hosts.samples(SAMPLE)
            };
            let open = hosts.iter().filter(|host| path != self.path || !own.contains(host)).find_map(|host| {
                let asked = |method| Asked {
                    seen: Some(&seen),
                    headers: &headers,
                    ..self.asked(host.as_deref(), &path, method)
                };
                self.protected.iter().find_map(|method| self.open(asked(method)))
            })?;
            let shown = match self.target {
                Target::Server { .. } | Target::Service(_) => {
                    let template = self.guarded.reach.seen_template(self.route.pattern.template());
                    other.reach.below(&template).unwrap_or_else(|| path.replace(SAMPLE, "*"))
                }
                Target::Resource(_) => self.router.routes().get(open.index)?.pattern.template().to_owned(),
            };
            self.way(open, self.path_key(), &format!("requests for `{shown}` reach"), open.help())
        })
    }

    fn rules<'s>(
        &'s self,
        indices: &'s [usize],
    ) -> impl Iterator<Item = (usize, &'a Guarded<'a>, &'a Match)> + use<'s, 'a> {
        indices.iter().filter_map(|&index| Some((index, self.routes.get(index)?, self.router.routes().get(index)?)))
    }

    fn path_key(&self) -> &'static str {
        if self.route.pattern.is_prefix() { "path_prefix" } else { "path" }
    }

    /// A request that the target would see just as if the guarded route had taken it.
    fn asked<'r>(&'r self, host: Option<&'r str>, path: &'r str, method: &'r Method) -> Asked<'r> {
        Asked { host, path, method, headers: &self.headers, seen: None }
    }

    /// The header fields that this route and `other` require; where they conflict, those of this route.
    fn headers_beside(&self, other: &Match) -> HeaderMap {
        let mut headers: HeaderMap = other.headers.iter().cloned().collect();
        for (name, value) in &self.route.headers {
            headers.insert(name, value.clone());
        }
        headers
    }

    /// Whether no other route matches `path` on its hosts.
    fn is_alone(&self, path: &str) -> bool {
        let hosts = self.route.hosts.samples(SAMPLE);
        hosts.iter().all(|host| self.router.is_alone(self.index, host.as_deref(), path))
    }

    fn on_own_hosts(&self, asked: Asked<'_>) -> Option<Open<'a>> {
        let hosts = self.route.hosts.samples(SAMPLE);
        hosts.iter().find_map(|host| self.open(Asked { host: host.as_deref(), ..asked }))
    }

    /// The route that takes such a request to the same target with fewer guards.
    fn open(&self, asked: Asked<'_>) -> Option<Open<'a>> {
        let Asked { host, path, method, headers, seen } = asked;
        let seen = seen.map_or_else(|| self.guarded.reach.seen(path), Cow::Borrowed);
        let index = self.taker(host, path, method, headers).filter(|index| *index != self.index)?;
        let other = self.routes.get(index)?;
        let missing = missing(self.guarded, other)?;
        let same_path = other.reach.seen(path).trim_end_matches('/') == seen.trim_end_matches('/');
        let is_open = same_path && other.unasked.contains(method);
        is_open.then_some(Open { index, name: other.name, missing })
    }

    fn taker(&self, host: Option<&str>, path: &str, method: &Method, headers: &HeaderMap) -> Option<usize> {
        let spelling = Spelling { escaped: true, ..Spelling::default() };
        let lookup = Lookup { listener: self.listener, host, path, spelling, method, headers };
        if let Found::Route { index, .. } = self.router.find(&lookup) { Some(index) } else { None }
    }

    /// Whether the file states that this method needs no guard on this path.
    fn is_meant(&self, open: Open<'_>, method: &Method) -> bool {
        let other = self.router.routes().get(open.index);
        other.is_some_and(|other| {
            other.pattern == self.route.pattern && !other.methods.is_empty() && other.takes(method)
        })
    }

    fn way(&self, open: Open<'_>, key: &str, which: &str, help: String) -> Way {
        let Open { index, name, missing } = open;
        let message = format!("{which} the same {} through route `{name}`, bypassing `{missing}`", self.target.word());
        Some((index, Fault::new(key, message).code(Code::UNGUARDED).help(help)))
    }
}

impl Open<'_> {
    fn help(&self) -> String {
        format!("add `{}` to the chain of route `{}`", self.missing, self.name)
    }
}

/// A path, and the same path with a trailing slash added or removed, which many servers treat as equal.
fn spellings(path: String) -> Vec<String> {
    let other = match path.strip_suffix('/') {
        Some("") => return vec![path],
        Some(base) => base.to_owned(),
        None => format!("{path}/"),
    };
    vec![path, other]
}
