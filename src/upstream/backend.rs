//! The servers of an upstream as requests see them: the connections to each, and its state.

use super::Settings;
use super::connector::{Address, Connector};
use super::dns::Addresses;
use super::health::{Outcomes, Probe, TargetHealth};
use super::load::Load;
use super::measure::{Durations, Ejections, TargetConnections};
use super::tls::Handshake;
use super::transport::{Cap, Multiplexed, Negotiated, Pool, Transport};
use crate::config::document::server_url::ServerUrl;
use crate::config::document::upstream::{HostPolicy, Protocol};
use crate::telemetry::ProxyTarget;
use gatewright_sdk::{Keep, Scheme, Services, WithTask};
use http::HeaderValue;
use http::uri;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Where the server of a target is.
#[derive(Clone)]
pub(super) enum Place {
    /// Where its URL says.
    Fixed(Address),
    /// At one of the addresses of its name.
    OneOf(IpAddr, Arc<Addresses>),
    /// Its name has not been looked up yet.
    Unknown(Arc<Addresses>),
}

impl Place {
    /// That of a `url` without a name to look up.
    pub fn of(url: &ServerUrl) -> Self {
        Self::Fixed(match (&url.socket, url.ip) {
            (Some(path), _) => Address::Unix(path.clone()),
            (None, Some(ip)) => Address::Socket(SocketAddr::new(ip, url.port)),
            (None, None) => Address::System(url.name.clone(), url.port),
        })
    }

    /// The address, if it was looked up.
    pub const fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::OneOf(ip, _) => Some(*ip),
            Self::Fixed(_) | Self::Unknown(_) => None,
        }
    }

    fn address(&self, port: u16) -> Address {
        match self {
            Self::Fixed(address) => address.clone(),
            Self::OneOf(ip, addresses) => Address::OneOf(SocketAddr::new(*ip, port), Arc::clone(addresses)),
            Self::Unknown(addresses) => Address::Unknown(Arc::clone(addresses), port),
        }
    }
}

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
    /// The position of its target in the upstream.
    pub target: usize,
    pub place: Place,
    /// Its name in the access log.
    pub label: Arc<ProxyTarget>,
    pub transport: Transport,
    pub durations: Arc<Durations>,
    pub load: Arc<Load>,
    pub outcomes: Arc<Outcomes>,
    /// Counts ejections, if there may be any.
    pub ejections: Option<Ejections>,
    probe: Option<Arc<WithTask<Probe>>>,
}

impl Backend {
    /// Opens no connection. `added`: when its address was added to those of its name, if it was.
    pub fn new(
        settings: &Settings,
        (index, url): (usize, &ServerUrl),
        place: Place,
        added: Option<Instant>,
        keep: &Keep,
    ) -> Self {
        let (upstream, spec, tls) = (&*settings.name, &settings.spec, settings.tls.as_ref());
        let ServerUrl { authority, name, port, .. } = url;
        let peer = place.ip().map(|ip| ip.to_string());
        // Connections and state belong to one address; measurements to the target.
        let target = url.address();
        let address = peer.as_ref().map_or_else(|| target.clone(), |peer| format!("{target} {peer}"));
        let host = if let HostPolicy::Value(host) = &spec.host { host } else { authority };
        let (connect, idle) = (spec.timeouts.connect.get(), spec.timeouts.idle.get());
        let handshake = tls.and_then(|tls| tls.to(url));
        let secured = handshake.as_ref().map(Handshake::key).unwrap_or_default();
        let key = format!("{address} connect={connect:?} {secured}");
        let connections = || TargetConnections::new(name, *port);
        let connector =
            keep.get_or_make(&key, || Connector::new(place.address(*port), handshake, connect, connections()));
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
        let (measured, state) = (format!("{upstream} {target}"), format!("{upstream} {address}"));
        let peer = peer.map(Into::into);
        let label = Arc::new(ProxyTarget { upstream: upstream.into(), address: target.into(), peer });
        let probe = spec.health_checks.as_ref().and_then(|checks| checks.active.as_ref()).map(|check| {
            let key = format!("{state} {host:?} {check:?} {secured} {:?}", spec.protocol);
            let to = (host.clone(), scheme.clone());
            let probe = || Probe::new(Arc::clone(&connector), Arc::clone(&label), to, (check.clone(), spec.protocol));
            keep.get_or_begin(&key, || WithTask::new("health check", probe(), |probe, _| Probe::run(probe)))
        });
        let passive = spec.health_checks.as_ref().and_then(|checks| checks.passive.as_ref());
        Self {
            target: index,
            label,
            host: host.clone(),
            scheme: if url.tls { Scheme::Https } else { Scheme::Http },
            authority: authority.clone(),
            name: name.clone(),
            port: *port,
            transport,
            durations: keep.get_or_make(&measured, || Durations::new(upstream, name, *port)),
            load: keep.get_or_make(&state, Load::new),
            outcomes: keep.get_or_make(&state, || Outcomes::new(added)),
            ejections: passive.map(|_| Ejections::new(upstream, name, *port)),
            probe,
            place,
        }
    }

    /// Whether it is the one for `place` of target `index`.
    pub fn is_at(&self, index: usize, place: &Place) -> bool {
        self.target == index && self.place.ip() == place.ip()
    }

    /// What it is called when keys are hashed: its address, so that all gateways agree.
    pub fn hashed(&self) -> String {
        self.place.ip().map_or_else(|| self.label.address.to_string(), |ip| format!("{ip}:{}", self.port))
    }

    /// Starts its health check, if it has not started.
    pub fn begin(&self, services: &Arc<dyn Services>) {
        if let Some(probe) = &self.probe {
            probe.start(services);
        }
    }

    /// Whether no check says otherwise.
    pub fn is_available(&self) -> bool {
        self.health() == TargetHealth::Healthy
    }

    pub fn health(&self) -> TargetHealth {
        if self.probe.as_ref().is_some_and(|probe| !probe.is_healthy()) {
            TargetHealth::Unhealthy
        } else if self.ejections.is_some() && self.outcomes.is_ejected() {
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
    pub fn is_warm(&self, slow_start: Duration) -> bool {
        let recovered = self.outcomes.recovered().max(self.probe.as_ref().and_then(|probe| probe.recovered()));
        let age = recovered.map_or(slow_start, |recovered| recovered.elapsed());
        age >= slow_start || age.as_secs_f32() > slow_start.as_secs_f32() * fastrand::f32()
    }
}
