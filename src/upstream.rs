//! Upstreams: groups of servers that requests are proxied to, streaming both ways over pooled connections.

mod attempt;
mod backend;
mod balance;
mod breaker;
mod connector;
mod failure;
mod faults;
mod forward;
mod guarded;
mod headers;
mod health;
mod load;
mod measure;
mod relay;
mod retry;
mod rewrite;
mod state;
#[cfg(test)]
mod tests;
mod transport;
mod upgrade;
mod upload;
mod window;

use crate::config::document::server_url::ServerUrl;
use crate::config::document::upgrade::UpgradeProtocol;
use crate::config::document::upstream::{HashKey, Policy};
use crate::config::document::{route, upstream as document};
use crate::field_list::cookie;
use crate::telemetry::ProxyTarget;
use crate::telemetry::instruments::{UPSTREAM_RETRIES, UPSTREAM_UPGRADES};
use arc_swap::ArcSwap;
use backend::{Backend, Backends};
use balance::Balance;
use breaker::{Breaker, Limited};
use gatewright_sdk::metrics::{Counter, Level, counter, level};
use gatewright_sdk::{Facts, Fault, HttpService, Keep, Reply, Request};
use retry::Retry;
pub use state::UpstreamState;
use std::sync::Arc;
use std::time::Duration;
use upgrade::Upgrade;

/// The validated configuration of an upstream.
pub struct Compiled {
    name: Box<str>,
    spec: document::Upstream,
}

impl Compiled {
    /// Reads the settings of upstream `name`.
    ///
    /// # Errors
    /// All faults, with paths relative to the upstream's settings.
    pub fn new(name: &str, spec: &document::Upstream) -> Result<Self, Vec<Fault>> {
        let faults = faults::of(spec);
        if faults.is_empty() { Ok(Self { name: name.into(), spec: spec.clone() }) } else { Err(faults) }
    }

    pub fn servers(&self) -> impl Iterator<Item = &ServerUrl> {
        self.spec.targets.iter().map(|target| &target.url)
    }

    /// Creates the upstream. Connections are pooled through `keep`, and none is opened: the first request finds out
    /// whether a target is down, unless there are active checks, which begin after the swap.
    pub fn install(&self, keep: &Keep) -> Upstream {
        let Self { name, spec } = self;
        let timeouts = &spec.timeouts;
        let list: Box<[_]> = self.servers().map(|url| Arc::new(Backend::new(name, url, spec, keep))).collect();
        let named = list.iter().zip(&spec.targets).map(|(backend, target)| (&*backend.target.address, target.weight));
        let backends = Backends {
            balance: Balance::new(spec.load_balancing.policy, &named.collect::<Vec<_>>()),
            list,
            checks: spec.health_checks.clone(),
            slow_start: spec.load_balancing.slow_start.map(|time| time.get()),
        };
        let breaker = spec.circuit_breaker.clone().map(|limits| {
            let breaker = keep.get_or_make(&format!("circuit breaker {name}"), Breaker::new);
            Limited { breaker, limits, patience: timeouts.connect.get() }
        });
        let hashed = spec.load_balancing.policy == Policy::RingHash;
        Upstream {
            name: name.clone(),
            backends: ArcSwap::from_pointee(backends),
            breaker,
            key: spec.load_balancing.key.clone().filter(|_| hashed),
            response_header: timeouts.response_header.get(),
            stream_idle: timeouts.stream_idle.get(),
            retries: counter(&UPSTREAM_RETRIES, [("gateway.upstream", name.to_string().into())]),
            upgraded: level(&UPSTREAM_UPGRADES, [("gateway.upstream", name.to_string().into())]),
            nowhere: Arc::new(ProxyTarget { upstream: name.clone(), address: "".into() }),
        }
    }
}

/// A group of interchangeable servers.
pub struct Upstream {
    name: Box<str>,
    backends: ArcSwap<Backends>,
    breaker: Option<Limited>,
    /// What requests are hashed by, if the policy hashes.
    key: Option<HashKey>,
    response_header: Duration,
    stream_idle: Duration,
    retries: Arc<Counter>,
    /// The open connections that were upgraded.
    upgraded: Arc<Level>,
    /// Stands for the target in the log if none was picked.
    nowhere: Arc<ProxyTarget>,
}

impl Upstream {
    /// The hash of the request's key.
    fn hash(&self, request: &Request) -> Option<u64> {
        let facts = || Facts::of(request);
        match self.key.as_ref()? {
            HashKey::Client => Some(balance::hash(facts().client.ip.to_string().as_bytes())),
            HashKey::Subject => facts().identity.as_ref().map(|identity| balance::hash(identity.subject.as_bytes())),
            HashKey::Header(name) => request.headers().get(name).map(|value| balance::hash(value.as_bytes())),
            HashKey::Cookie(name) => cookie(request.headers(), name).map(balance::hash),
        }
    }
}

/// The settings of a route to an upstream.
#[derive(Clone, Copy, Default)]
pub struct RouteSettings<'a> {
    pub rewrite: Option<&'a route::Rewrite>,
    pub retry: Option<&'a route::Retry>,
    /// The protocols that connections may switch to. `None`: all.
    pub upgrades: Option<&'a [UpgradeProtocol]>,
}

/// The target of a route: proxies its requests to `upstream`.
pub fn service(upstream: Arc<Upstream>, settings: RouteSettings<'_>) -> HttpService {
    let stripped = rewrite::Stripped::new(settings.rewrite);
    let proxy = Arc::new((upstream, settings.retry.map(Retry::new)));
    let upgrades = settings.upgrades.map(<[_]>::to_vec);
    HttpService::from_call(move |mut request| {
        let upgrade = match Upgrade::take(&mut request, upgrades.as_deref()) {
            Ok(upgrade) => upgrade,
            Err(problem) => return Reply::ready(problem),
        };
        headers::outbound(&mut request);
        if let Some(upgrade) = &upgrade {
            upgrade.announce(request.headers_mut());
        }
        *request.uri_mut() = stripped.apply(request.uri());
        let proxy = Arc::clone(&proxy);
        Reply::pending(async move {
            let (upstream, retry) = &*proxy;
            upstream.answer(request, retry.as_ref(), upgrade).await
        })
    })
}
