//! One server of an upstream, and the connections to it.

use super::measure::{Durations, TargetConnections};
use super::pool::{Address, Pool};
use crate::config::document::server_url::ServerUrl;
use crate::config::document::upstream::Timeouts;
use crate::telemetry::ProxyTarget;
use gatewright_sdk::Keep;
use http::HeaderValue;
use std::net::SocketAddr;
use std::sync::Arc;

/// The address of a server.
fn address(url: &ServerUrl) -> Address {
    match url.ip {
        Some(ip) => Address::Socket(SocketAddr::new(ip, url.port)),
        None => Address::Name(url.name.clone(), url.port),
    }
}

/// A server and the connections to it.
pub(super) struct Backend {
    pub host: HeaderValue,
    pub name: Box<str>,
    /// Its name in the access log.
    pub target: Arc<ProxyTarget>,
    pub port: u16,
    pub pool: Arc<Pool>,
    pub durations: Arc<Durations>,
}

impl Backend {
    /// Its connections are pooled through `keep`. None is opened.
    pub fn new(upstream: &str, url: &ServerUrl, timeouts: &Timeouts, keep: &Keep) -> Self {
        let ServerUrl { authority: host, name, port, .. } = url;
        let (connect, idle) = (timeouts.connect.get(), timeouts.idle.get());
        let key = format!("http://{name}:{port} connect={connect:?} idle={idle:?}");
        let connections = || TargetConnections::new(name, *port);
        let pool = keep.get_or_make(&key, || Pool::new(address(url), connect, idle, connections()));
        let series = format!("{upstream} {name}:{port}");
        let durations = keep.get_or_make(&series, || Durations::new(upstream, name, *port));
        let target = ProxyTarget { upstream: upstream.into(), address: format!("{name}:{port}").into() };
        Self { target: Arc::new(target), host: host.clone(), name: name.clone(), port: *port, pool, durations }
    }
}
