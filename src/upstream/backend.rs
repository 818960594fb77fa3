//! The servers of an upstream as requests see them: the connections to each, and its state.

use super::balance::Balance;
use super::connector::{Address, Connector};
use super::health::{Outcome, Outcomes, Probe, TargetHealth};
use super::load::Load;
use super::measure::{Durations, EjectionReason, Ejections, TargetConnections};
use super::tls::{Handshake, Tls};
use super::transport::{Cap, Multiplexed, Negotiated, Pool, Transport};
use crate::config::document::server_url::ServerUrl;
use crate::config::document::upstream::{HealthChecks, HostPolicy, PassiveCheck, Protocol, Upstream};
use crate::telemetry::ProxyTarget;
use gatewright_sdk::{Keep, Scheme, WithTask};
use http::HeaderValue;
use http::uri;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A server, the connections to it, and its state. The connections and the state outlive a reload.
pub(super) struct Backend {
    /// The value of `Host`, unless it is the client's.
    pub host: HeaderValue,
    pub scheme: Scheme,
    /// Its host and port as written; `localhost` for a Unix socket.
    pub authority: HeaderValue,
    /// Its host, or the path of its Unix socket.
    pub name: Box<str>,
    /// 0 for a Unix socket.
    pub port: u16,
    /// Its name in the access log.
    pub target: Arc<ProxyTarget>,
    pub transport: Transport,
    pub durations: Arc<Durations>,
    pub load: Arc<Load>,
    outcomes: Arc<Outcomes>,
    /// Counts ejections, if there may be any.
    ejections: Option<Ejections>,
    probe: Option<Arc<WithTask<Probe>>>,
}

impl Backend {
    /// Opens no connection.
    pub fn new(upstream: &str, url: &ServerUrl, (spec, tls): (&Upstream, Option<&Tls>), keep: &Keep) -> Self {
        let (ServerUrl { authority, name, port, .. }, address) = (url, url.address());
        let host = if let HostPolicy::Value(host) = &spec.host { host } else { authority };
        let (connect, idle) = (spec.timeouts.connect.get(), spec.timeouts.idle.get());
        let handshake = tls.and_then(|tls| tls.to(url));
        let secured = handshake.as_ref().map(Handshake::key).unwrap_or_default();
        let key = format!("{address} connect={connect:?} {secured}");
        let connections = || TargetConnections::new(name, *port);
        let connector = keep.get_or_make(&key, || Connector::new(place(url), handshake, connect, connections()));
        // A pool with a limit is that of one upstream.
        let limits = spec.circuit_breaker.as_ref().and_then(|breaker| {
            let most = breaker.max_connections?;
            Some((upstream, most, breaker.max_pending.unwrap_or(0)))
        });
        let key = format!("{key} idle={idle:?} {limits:?}");
        let cap = || limits.map(|(_, most, pending)| Cap::new(most, pending, connect));
        let pool = || keep.get_or_make(&key, || Pool::new(Arc::clone(&connector), idle, cap()));
        let scheme = if url.tls { uri::Scheme::HTTPS } else { uri::Scheme::HTTP };
        let most = limits.map(|(_, most, _)| most);
        let multiplexed = || {
            let make = || Multiplexed::new(Arc::clone(&connector), scheme.clone(), (connect, idle), most);
            keep.get_or_make(&key, make)
        };
        let transport = match spec.protocol {
            Protocol::Http2 => Transport::Http2(multiplexed()),
            Protocol::Auto if url.tls => {
                let (pool, multiplexed) = (pool(), multiplexed());
                let make = || Negotiated::new(Arc::clone(&connector), pool, multiplexed);
                Transport::Negotiated(keep.get_or_make(&key, make))
            }
            Protocol::Auto | Protocol::Http1 => Transport::Http1(pool()),
        };
        let series = format!("{upstream} {address}");
        let target = Arc::new(ProxyTarget { upstream: upstream.into(), address: address.into() });
        let probe = spec.health_checks.as_ref().and_then(|checks| checks.active.as_ref()).map(|check| {
            let key = format!("{series} {host:?} {check:?} {secured} {:?}", spec.protocol);
            let to = (host.clone(), scheme.clone());
            let probe = || Probe::new(Arc::clone(&connector), Arc::clone(&target), to, (check.clone(), spec.protocol));
            keep.get_or_begin(&key, || WithTask::new("health check", probe(), |probe, _| Probe::run(probe)))
        });
        let passive = spec.health_checks.as_ref().and_then(|checks| checks.passive.as_ref());
        Self {
            target,
            host: host.clone(),
            scheme: if url.tls { Scheme::Https } else { Scheme::Http },
            authority: authority.clone(),
            name: name.clone(),
            port: *port,
            transport,
            durations: keep.get_or_make(&series, || Durations::new(upstream, name, *port)),
            load: keep.get_or_make(&series, Load::new),
            outcomes: keep.get_or_make(&series, Outcomes::new),
            ejections: passive.map(|_| Ejections::new(upstream, name, *port)),
            probe,
        }
    }

    /// Whether no check says otherwise.
    pub fn is_available(&self) -> bool {
        self.health() == TargetHealth::Healthy
    }

    pub fn health(&self) -> TargetHealth {
        if self.probe.as_ref().is_some_and(|probe| !probe.is_healthy()) {
            TargetHealth::Unhealthy
        } else if self.outcomes.is_ejected() {
            TargetHealth::Ejected
        } else {
            TargetHealth::Healthy
        }
    }

    /// Why its last active check failed.
    pub fn check_error(&self) -> Option<String> {
        self.probe.as_ref()?.error()
    }

    /// Whether it takes this request, for a target that became available less than `slow_start` ago: the longer ago, the
    /// more likely.
    fn is_warm(&self, slow_start: Duration) -> bool {
        let recovered = self.outcomes.recovered().max(self.probe.as_ref().and_then(|probe| probe.recovered()));
        let age = recovered.map_or(slow_start, |recovered| recovered.elapsed());
        age >= slow_start || age.as_secs_f32() > slow_start.as_secs_f32() * fastrand::f32()
    }
}

fn place(url: &ServerUrl) -> Address {
    match (&url.socket, url.ip) {
        (Some(path), _) => Address::Unix(path.clone()),
        (None, Some(ip)) => Address::Socket(SocketAddr::new(ip, url.port)),
        (None, None) => Address::Name(url.name.clone(), url.port),
    }
}

/// The backends of an upstream, and how requests are distributed among them.
pub(super) struct Backends {
    pub list: Box<[Arc<Backend>]>,
    pub balance: Balance,
    pub checks: Option<HealthChecks>,
    pub slow_start: Option<Duration>,
}

impl Backends {
    /// The backend for a request that `tried` have not served. `None` if no other can.
    pub fn pick(&self, tried: &[Arc<Backend>], hash: Option<u64>) -> Option<Arc<Backend>> {
        let is = |index: usize, holds: &dyn Fn(&Arc<Backend>) -> bool| self.list.get(index).is_some_and(holds);
        let fresh =
            |index| tried.is_empty() || is(index, &|backend| !tried.iter().any(|tried| Arc::ptr_eq(tried, backend)));
        let Some(checks) = &self.checks else { return self.choose(&fresh, hash) };
        let available = self.list.iter().filter(|backend| backend.is_available()).count();
        if available * 100 < self.list.len() * checks.panic_threshold as usize {
            return self.choose(&fresh, hash);
        }
        let healthy = |index| fresh(index) && is(index, &|backend| backend.is_available());
        let warm = self.slow_start.and_then(|slow_start| {
            self.choose(&|index| healthy(index) && is(index, &|backend| backend.is_warm(slow_start)), hash)
        });
        warm.or_else(|| self.choose(&healthy, hash))
    }

    fn choose(&self, eligible: &dyn Fn(usize) -> bool, hash: Option<u64>) -> Option<Arc<Backend>> {
        let load = |index: usize| self.list.get(index).map_or(0, |backend| backend.load.active());
        self.list.get(self.balance.pick(eligible, &load, hash)?).cloned()
    }

    /// Records what became of a request to `backend`, and ejects it if it failed too often.
    pub fn report(&self, backend: &Backend, outcome: Outcome) {
        let Some(passive) = self.checks.as_ref().and_then(|checks| checks.passive.as_ref()) else { return };
        if let Some(reason) = backend.outcomes.count(outcome, passive) {
            self.eject(backend, passive, reason);
        }
    }

    #[cold]
    fn eject(&self, backend: &Backend, passive: &PassiveCheck, reason: EjectionReason) {
        let ejected = self.list.iter().filter(|other| other.outcomes.is_ejected()).count();
        let most = (self.list.len() * passive.max_ejection_percent as usize / 100).max(1);
        if ejected >= most {
            return;
        }
        let Some(time) = backend.outcomes.eject(passive) else { return };
        if let Some(ejections) = &backend.ejections {
            ejections.count(reason);
        }
        let (ProxyTarget { upstream, address }, reason) = (&*backend.target, reason.text());
        tracing::warn!(
            target: "gatewright::upstream",
            upstream = &**upstream,
            target = &**address,
            reason,
            ejection_time = ?time,
            human = format!("upstream {upstream}: {address} gets no requests for {time:?}: {reason}"),
            "target was ejected"
        );
    }
}
