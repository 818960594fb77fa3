//! One server of an upstream, and the connections to it.

use super::measure::{Durations, TargetConnections};
use super::pool::{Address, Pool};
use crate::config::document::upstream::Timeouts;
use gatewright_sdk::{Fault, Keep};
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Uri};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// A server, from the URL the operator wrote.
pub(super) struct Server {
    /// The value of `Host`: the authority as written.
    pub host: HeaderValue,
    /// The name or address without port, for spans.
    pub name: Box<str>,
    pub port: u16,
}

impl Server {
    /// Reads `url`, the setting at `path`.
    pub fn read(url: &str, path: &str) -> Result<Self, Fault> {
        let fault =
            |message: &str| Fault::new(path, message).help("write scheme, host and port: http://10.0.1.11:8081");
        let uri: Uri = url.parse().map_err(|_| fault("not a URL"))?;
        let authority = uri.authority().ok_or_else(|| fault("the URL names no host"))?;
        if uri.scheme() == Some(&Scheme::HTTPS) {
            let message = "TLS towards upstreams is not available in this version";
            return Err(Fault::new(path, message).help("use http:// to a target in the same network"));
        }
        if uri.scheme() != Some(&Scheme::HTTP) {
            return Err(fault("the scheme must be http"));
        }
        if authority.as_str().contains('@') {
            return Err(fault("a user name or password is not allowed in the URL of a target"));
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() || url.contains('#') {
            return Err(fault("the URL of a target has no path"));
        }
        let port = port(authority).ok_or_else(|| fault("the port must be a number from 1 to 65535"))?;
        let name = authority.host().trim_start_matches('[').trim_end_matches(']');
        if name.is_empty() {
            return Err(fault("the URL names no host"));
        }
        let host = HeaderValue::from_str(authority.as_str())
            .map_err(|_| fault("the host is not allowed in a header value"))?;
        Ok(Self { host, name: name.into(), port })
    }

    fn address(&self) -> Address {
        match self.name.parse::<IpAddr>() {
            Ok(ip) => Address::Socket(SocketAddr::new(ip, self.port)),
            Err(_) => Address::Name(self.name.clone(), self.port),
        }
    }
}

/// A server and the connections to it.
pub(super) struct Backend {
    pub host: HeaderValue,
    pub name: Box<str>,
    pub port: u16,
    pub pool: Arc<Pool>,
    pub durations: Arc<Durations>,
}

impl Backend {
    /// The connections are kept through `keep`. None is opened.
    pub fn new(upstream: &str, server: &Server, timeouts: &Timeouts, keep: &Keep) -> Self {
        let Server { host, name, port } = server;
        let (connect, idle) = (timeouts.connect.get(), timeouts.idle.get());
        let key = format!("http://{name}:{port} connect={connect:?} idle={idle:?}");
        let connections = || TargetConnections::new(name, *port);
        let pool = keep.get_or_make(&key, || Pool::new(server.address(), connect, idle, connections()));
        let series = format!("{upstream} {name}:{port}");
        let durations = keep.get_or_make(&series, || Durations::new(upstream, name, *port));
        Self { host: host.clone(), name: name.clone(), port: *port, pool, durations }
    }
}

/// 80 where none is written; `None` where what is written is not a port.
fn port(authority: &Authority) -> Option<u16> {
    let after_host = authority.as_str().strip_prefix(authority.host())?;
    match after_host.strip_prefix(':') {
        None => Some(80),
        Some(digits) => digits.parse().ok().filter(|port| *port != 0),
    }
}
