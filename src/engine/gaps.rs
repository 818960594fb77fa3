//! Finds requests that go round a guard: close to a guarded route, taken by another one to the same upstream without it.

use crate::engine::router::{Found, Lookup, Match, Router};
use crate::path::Spelling;
use gatewright_sdk::Fault;
use http::{HeaderMap, Method};
use std::sync::Arc;

/// What is asked of each route.
pub struct Guarded<'a> {
    pub name: &'a str,
    pub upstreams: Vec<&'a str>,
    /// The plugins of its chain that ask who is there.
    pub guards: Arc<[Arc<str>]>,
}

/// Methods that reach what a guard protects.
const TRIED: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// What stands for a parameter; no other route names it.
const SAMPLE: &str = "~";

/// Warnings with the index of the guarded route. `routes` are those that the router was built of.
pub fn find(router: &Router, routes: &[Guarded<'_>]) -> Vec<(usize, Fault)> {
    let mut found = Vec::new();
    for (index, (route, guarded)) in router.routes().iter().zip(routes).enumerate() {
        if guarded.guards.is_empty() || guarded.upstreams.is_empty() {
            continue;
        }
        let warnings = [by_method(router, routes, route, guarded), by_slash(router, routes, route, guarded)];
        found.extend(
            warnings.into_iter().chain([by_header(router, routes, route, guarded)]).flatten().map(|f| (index, f)),
        );
    }
    found
}

fn by_method(router: &Router, routes: &[Guarded<'_>], route: &Match, guarded: &Guarded<'_>) -> Option<Fault> {
    let path = route.pattern.sample(SAMPLE);
    let untaken = TRIED.iter().filter(|method| !route.takes(method));
    let open: Vec<_> = untaken
        .filter_map(|method| Some((method, open(router, routes, route, guarded, &path, method, true)?)))
        .collect();
    let (_, (other, missing)) = open.first()?;
    let methods = open.iter().map(|(method, _)| format!("`{method}`")).collect::<Vec<_>>().join(", ");
    let message =
        format!("requests with {methods} go to the same upstream through the route `{other}`, without `{missing}`");
    Some(
        Fault::new("methods", message)
            .help(format!("take `methods` out, or put `{missing}` into the chain of `{other}`")),
    )
}

fn by_slash(router: &Router, routes: &[Guarded<'_>], route: &Match, guarded: &Guarded<'_>) -> Option<Fault> {
    let path = route.pattern.with_slash()?.sample(SAMPLE);
    let method = TRIED.iter().find(|method| route.takes(method))?;
    let (other, missing) = open(router, routes, route, guarded, &path, method, true)?;
    let shown = format!("{}/", route.pattern.template());
    let message = format!("`{shown}` goes to the same upstream through the route `{other}`, without `{missing}`");
    let help = format!(
        "many servers take it for the same path: add a route for it, or put `{missing}` into the chain of `{other}`"
    );
    Some(Fault::new("path", message).help(help))
}

fn by_header(router: &Router, routes: &[Guarded<'_>], route: &Match, guarded: &Guarded<'_>) -> Option<Fault> {
    if route.headers.is_empty() {
        return None;
    }
    let path = route.pattern.sample(SAMPLE);
    let method = TRIED.iter().find(|method| route.takes(method))?;
    let (other, missing) = open(router, routes, route, guarded, &path, method, false)?;
    let message = format!(
        "without these fields requests go to the same upstream through the route `{other}`, without `{missing}`"
    );
    Some(Fault::new("headers", message).help(format!("put `{missing}` into the chain of `{other}`")))
}

/// The route that takes such a request for one of the upstreams of `guarded`, and what guards it less.
fn open<'a>(
    router: &Router,
    routes: &[Guarded<'a>],
    route: &Match,
    guarded: &'a Guarded<'_>,
    path: &str,
    method: &Method,
    with_headers: bool,
) -> Option<(&'a str, &'a str)> {
    let headers: HeaderMap = if with_headers { route.headers.iter().cloned().collect() } else { HeaderMap::new() };
    route.hosts.samples(SAMPLE).iter().find_map(|host| {
        let host = host.as_deref();
        let lookup = Lookup { host, path, spelling: Spelling::default(), method, headers: &headers };
        let Found::Route { index, .. } = router.find(&lookup) else { return None };
        let other =
            routes.get(index).filter(|other| other.upstreams.iter().any(|up| guarded.upstreams.contains(up)))?;
        let missing = guarded.guards.iter().find(|guard| !other.guards.contains(guard))?;
        Some((other.name, &**missing))
    })
}
