//! The servers of an upstream as requests see them: the connections to each, and its state.

use super::balance::Balance;
use super::load::Load;
use super::measure::{Durations, TargetConnections};
use super::transport::{Address, Pool, Transport};
use crate::config::document::server_url::ServerUrl;
use crate::config::document::upstream::Timeouts;
use crate::telemetry::ProxyTarget;
use gatewright_sdk::Keep;
use http::HeaderValue;
use std::net::SocketAddr;
use std::sync::Arc;

/// A server, the connections to it, and its state. The connections and the state outlive a reload.
pub(super) struct Backend {
    /// The value of `Host`.
    pub host: HeaderValue,
    pub name: Box<str>,
    pub port: u16,
    /// Its name in the access log.
    pub target: Arc<ProxyTarget>,
    pub transport: Transport,
    pub durations: Arc<Durations>,
    pub load: Arc<Load>,
}

impl Backend {
    /// Opens no connection.
    pub fn new(upstream: &str, url: &ServerUrl, timeouts: &Timeouts, keep: &Keep) -> Self {
        let ServerUrl { authority: host, name, port, .. } = url;
        let (connect, idle) = (timeouts.connect.get(), timeouts.idle.get());
        let key = format!("http://{name}:{port} connect={connect:?} idle={idle:?}");
        let connections = || TargetConnections::new(name, *port);
        let pool = keep.get_or_make(&key, || Pool::new(address(url), connect, idle, connections()));
        let series = format!("{upstream} {name}:{port}");
        let durations = keep.get_or_make(&series, || Durations::new(upstream, name, *port));
        let load = keep.get_or_make(&series, Load::new);
        let target = ProxyTarget { upstream: upstream.into(), address: format!("{name}:{port}").into() };
        Self {
            target: Arc::new(target),
            host: host.clone(),
            name: name.clone(),
            port: *port,
            transport: Transport::Http1(pool),
            durations,
            load,
        }
    }
}

fn address(url: &ServerUrl) -> Address {
    match url.ip {
        Some(ip) => Address::Socket(SocketAddr::new(ip, url.port)),
        None => Address::Name(url.name.clone(), url.port),
    }
}

/// The backends of an upstream, and how requests are distributed among them.
pub(super) struct Backends {
    pub list: Box<[Arc<Backend>]>,
    pub balance: Balance,
}

impl Backends {
    /// The backend for a request that `tried` have failed to take. `None` if no other is left.
    pub fn pick(&self, tried: &[Arc<Backend>]) -> Option<Arc<Backend>> {
        let fits = |index: usize| {
            tried.is_empty()
                || self.list.get(index).is_some_and(|backend| !tried.iter().any(|tried| Arc::ptr_eq(tried, backend)))
        };
        self.list.get(self.balance.pick(&fits)?).cloned()
    }
}
