//! Upstreams: groups of servers that requests are proxied to, streaming both ways over pooled connections.

mod attempt;
mod backend;
mod backends;
mod balance;
mod breaker;
mod broken;
mod call;
mod connector;
mod dns;
mod exposed;
mod failure;
mod faults;
mod forward;
mod gauges;
mod headers;
mod health;
mod load;
mod measure;
mod mirror;
mod outcome;
mod panic;
mod relay;
mod retry;
mod rewrite;
mod split;
mod state;
mod stream;
#[cfg(test)]
mod tests;
mod tls;
mod transport;
mod trust;
mod upgrade;
mod upload;
mod window;

use crate::concurrency::Gate;
use crate::config::document::dns::Dns;
use crate::config::document::server_url::ServerUrl;
use crate::config::document::upgrade::UpgradeProtocol;
use crate::config::document::upstream::{HashKey, HostPolicy, Policy};
use crate::config::document::{route, upstream as document};
use crate::config::rewriting::Rewriting;
use crate::field_list::cookie;
use crate::telemetry::ProxyTarget;
use crate::telemetry::instruments::{UPSTREAM_RETRIES, UPSTREAM_UPGRADES};
use crate::tls::certificate::Validity;
use backends::Backends;
use breaker::{Breaker, Limited};
use forward::Departing;
use gatewright_sdk::metrics::{Counter, Level, Observed, counter, level};
use gatewright_sdk::{Facts, Fault, Files, HttpService, Keep, Problem, Reply, Request};
pub use mirror::{Copies, mirrored};
use retry::{Budgets, Retry};
pub use split::{Share, split};
pub use state::UpstreamState;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tls::Tls;
use upgrade::Upgrade;

/// The validated configuration of an upstream.
pub struct Compiled(Arc<Settings>);

/// The validated settings of an upstream.
struct Settings {
    name: Box<str>,
    spec: document::Upstream,
    tls: Option<Tls>,
}

impl Compiled {
    /// Reads the settings of upstream `name`.
    ///
    /// # Errors
    /// All faults, with paths relative to the upstream's settings.
    pub fn new(name: &str, spec: &document::Upstream, files: &dyn Files) -> Result<Self, Vec<Fault>> {
        let mut faults = faults::of(spec);
        match Tls::compile(spec, files) {
            Ok(tls) if faults.is_empty() => {
                return Ok(Self(Arc::new(Settings { name: name.into(), spec: spec.clone(), tls })));
            }
            Ok(_) => {}
            Err(found) => faults.extend(found),
        }
        Err(faults)
    }

    pub fn servers(&self) -> impl Iterator<Item = &ServerUrl> {
        self.0.spec.targets.iter().map(|target| &target.url)
    }

    /// The certificate that targets see, if any, with its setting below `tls`, its file, and when it is valid.
    pub fn certificate(&self) -> Option<&(String, String, Validity)> {
        self.0.tls.as_ref()?.certificate.as_ref()
    }

    /// Creates the upstream. Connections are pooled through `keep`, and none is opened: the first request finds out
    /// whether a target is down, unless there are active checks, which begin after the swap.
    /// Names are looked up after the swap too. Relative paths of Unix sockets are resolved against `folder`.
    pub fn install(&self, folder: &Path, dns: &Dns, keep: &Keep) -> Upstream {
        let Settings { name, spec, .. } = &*self.0;
        let timeouts = &spec.timeouts;
        let backends = Backends::new(&self.0, folder, dns, keep);
        let breaker = spec.circuit_breaker.clone().map(|limits| {
            let breaker = keep.get_or_make(&format!("circuit breaker {name}"), Breaker::new);
            Limited { breaker, limits, patience: timeouts.connect.get() }
        });
        let gauges = gauges::series(name, &backends, breaker.as_ref().map(|limited| &limited.breaker));
        let hashed = spec.load_balancing.policy == Policy::RingHash;
        Upstream {
            name: name.clone(),
            backends,
            breaker,
            sends_clients_host: spec.host == HostPolicy::Client,
            key: spec.load_balancing.key.clone().filter(|_| hashed),
            response_header: timeouts.response_header.get(),
            stream_idle: timeouts.stream_idle.get(),
            retries: counter(&UPSTREAM_RETRIES, [("gateway.upstream", name.to_string().into())]),
            budgets: keep.get_or_make(&format!("retry budgets {name}"), Budgets::default),
            upgraded: level(&UPSTREAM_UPGRADES, [("gateway.upstream", name.to_string().into())]),
            nowhere: Arc::new(ProxyTarget { upstream: name.clone(), address: "".into(), peer: None }),
            _gauges: gauges,
        }
    }
}

/// A group of interchangeable servers.
pub struct Upstream {
    name: Box<str>,
    backends: Arc<Backends>,
    breaker: Option<Limited>,
    /// Whether targets receive the client's `Host`.
    sends_clients_host: bool,
    /// What requests are hashed by, if the policy hashes.
    key: Option<HashKey>,
    response_header: Duration,
    stream_idle: Duration,
    retries: Arc<Counter>,
    budgets: Arc<Budgets>,
    /// The open connections that were upgraded.
    upgraded: Arc<Level>,
    /// Stands for the target in the log if none was picked.
    nowhere: Arc<ProxyTarget>,
    _gauges: Vec<Arc<Observed>>,
}

impl Upstream {
    /// What counts its requests, and their limit.
    pub fn limited(&self) -> Option<(&Arc<Gate>, Option<u32>)> {
        self.breaker.as_ref().map(|limited| (limited.breaker.gate(), limited.limits.max_requests))
    }

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
#[derive(Clone, Default)]
pub struct RouteSettings {
    /// The name of the route.
    name: Box<str>,
    rewriting: Arc<Rewriting>,
    /// Whether header fields of responses that name the target are left as they are.
    keeps_responses: bool,
    retry: Option<route::Retry>,
    /// The protocols that connections may switch to. `None`: all.
    upgrades: Option<Vec<UpgradeProtocol>>,
}

impl RouteSettings {
    /// The settings of `route`, which has this name.
    ///
    /// # Errors
    /// The first fault of its `rewrite`.
    pub fn of(name: &str, route: &route::Route) -> Result<Self, Fault> {
        let rewriting = route.rewrite.as_ref().map(|rewrite| Rewriting::new(rewrite, route)).transpose()?;
        Ok(Self {
            name: name.into(),
            rewriting: Arc::new(rewriting.unwrap_or_default()),
            keeps_responses: route.rewrite.as_ref().is_some_and(|rewrite| !rewrite.response),
            retry: route.retry.clone(),
            upgrades: route.upgrades.clone(),
        })
    }
}

/// How the requests of one route are proxied.
struct Proxy {
    upstream: Arc<Upstream>,
    rewriting: Arc<Rewriting>,
    keeps_responses: bool,
    retry: Option<Retry>,
}

/// The target of a route: proxies its requests to `upstream`.
pub fn service(upstream: Arc<Upstream>, settings: RouteSettings) -> HttpService {
    let RouteSettings { name, rewriting, keeps_responses, retry, upgrades } = settings;
    let retry = retry.map(|retry| Retry::new(&retry, &upstream.budgets, &name));
    let proxy = Arc::new(Proxy { upstream, rewriting, keeps_responses, retry });
    HttpService::from_call(move |mut request| {
        let Ok(target) = rewrite::target(&proxy.rewriting, &request) else {
            return Reply::ready(Problem::validation("path: cannot be rewritten"));
        };
        let upgrade = match Upgrade::take(&mut request, upgrades.as_deref()) {
            Ok(upgrade) => upgrade,
            Err(problem) => return Reply::ready(problem),
        };
        let outside = headers::outbound(&mut request);
        if let Some(upgrade) = &upgrade {
            upgrade.announce(request.headers_mut());
        }
        *request.uri_mut() = target;
        let departing = Departing::new(&proxy.upstream, request, (upgrade, outside));
        Reply::pending(Upstream::answer(Arc::clone(&proxy), departing))
    })
}
