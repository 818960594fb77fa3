//! The limits of connections and requests. A connection keeps the terms it was accepted with; a request gets those of
//! the current configuration, so an edit also affects open connections.

use crate::config::document::listener::{Limits, Listener, Protocol};
use crate::config::document::process::Reload;
use crate::config::document::trusted_proxy::TrustedProxy;
use crate::tls::server::ServerTls;
use gatewright_sdk::fields::spelling;
use gatewright_sdk::{ByteSize, ClientAddress, HumanDuration};
use http::HeaderName;
use ipnet::IpNet;
use rustls::pki_types::CertificateDer;
use std::sync::Arc;
use std::time::Duration;

/// The limits of a connection, fixed when it is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionTerms {
    pub http1: bool,
    pub http2: bool,
    /// Maximum length of a request head, in bytes.
    pub header_bytes: usize,
    /// Maximum number of header fields.
    pub headers: usize,
    pub times: Times,
    /// Maximum number of simultaneous connections of the listener.
    pub connections: u32,
    /// Maximum number of simultaneous connections of one client address.
    pub connections_per_client: u32,
    /// Encrypts the connection.
    pub tls: Option<ServerTls>,
}

/// The timeouts of a connection, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// For the head of a request.
    pub head: u64,
    /// Without a request.
    pub idle: u64,
    /// Until the client reads a byte.
    pub write: u64,
    /// Without a byte of the response, after the client has shut down its sending half.
    pub half_close: u64,
    /// For a client that was told to connect again.
    pub leave: u64,
}

fn millis(limit: HumanDuration) -> u64 {
    u64::try_from(limit.get().as_millis()).unwrap_or(u64::MAX)
}

/// The limits of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestTerms {
    /// Maximum length of the head, in bytes.
    pub header_bytes: usize,
    /// Maximum number of header fields.
    pub headers: usize,
    /// Maximum length of the body, unless its route sets another.
    pub body_bytes: ByteSize,
    /// How long a body may pause.
    pub body_idle: Duration,
    /// How long a whole body may take.
    pub body_whole: Option<Duration>,
    /// The proxies trusted to identify the client.
    pub trusted_proxies: TrustedProxies,
    /// Header fields that no client may send.
    pub asserted: AssertedFields,
}

/// Header fields in which plugins tell upstreams what they have proven about a client. No client may send them, on any
/// route.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AssertedFields(Arc<[HeaderName]>);

impl AssertedFields {
    pub fn new(names: impl IntoIterator<Item = HeaderName>) -> Self {
        Self(names.into_iter().collect())
    }

    /// Whether an upstream may take `name` for one of them.
    pub fn has(&self, name: &HeaderName) -> bool {
        let same = |own: &HeaderName| {
            own.as_str().len() == name.as_str().len() && (own == name || spelling(own).eq(spelling(name)))
        };
        self.0.iter().any(same)
    }
}

/// The proxies trusted to identify the client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    pub networks: Vec<IpNet>,
    /// Whether all peers on Unix sockets are trusted.
    pub unix: bool,
}

impl TrustedProxies {
    pub fn new(proxies: &[TrustedProxy]) -> Self {
        let mut trusted = Self::default();
        for proxy in proxies {
            match proxy {
                TrustedProxy::Network(network) => trusted.networks.push(**network),
                TrustedProxy::Unix => trusted.unix = true,
            }
        }
        trusted
    }

    /// `address` is in canonical form.
    pub fn contains(&self, address: ClientAddress) -> bool {
        match address {
            ClientAddress::Ip(ip) => self.networks.iter().any(|network| network.contains(&ip)),
            ClientAddress::Unix => self.unix,
        }
    }
}

impl ConnectionTerms {
    pub fn new(limits: &Limits, protocols: &[Protocol]) -> Self {
        let http2 = protocols.contains(&Protocol::Http2);
        Self {
            http1: protocols.contains(&Protocol::Http1) || !http2,
            http2,
            header_bytes: limits.header_bytes.get(),
            headers: usize::try_from(limits.headers).unwrap_or(usize::MAX),
            times: Times {
                head: millis(limits.header_timeout),
                idle: millis(limits.idle_timeout),
                write: millis(limits.write_timeout),
                half_close: millis(limits.half_close_timeout),
                leave: millis(Reload::default().drain),
            },
            connections: limits.connections,
            connections_per_client: limits.connections_per_client,
            tls: None,
        }
    }

    /// What a handshake establishes. `None`: there is none.
    pub fn trust(&self) -> Option<&str> {
        self.tls.as_ref().map(ServerTls::trust)
    }

    /// Whether these terms allow a connection whose client has presented these certificates.
    pub fn accept(&self, presented: &[CertificateDer<'_>]) -> bool {
        self.tls.as_ref().is_none_or(|tls| tls.accepts(presented))
    }

    /// The terms of a listener, with its TLS and `reload.drain`.
    pub fn of(listener: &Listener, tls: Option<ServerTls>, drain: HumanDuration) -> Self {
        let terms = Self::new(&listener.limits, &listener.protocols);
        Self { tls, times: Times { leave: millis(drain), ..terms.times }, ..terms }
    }
}

impl RequestTerms {
    pub fn new(limits: &Limits, trusted_proxies: &[TrustedProxy]) -> Self {
        Self {
            header_bytes: limits.header_bytes.get(),
            headers: usize::try_from(limits.headers).unwrap_or(usize::MAX),
            body_bytes: limits.body_bytes,
            body_idle: limits.body_idle_timeout.get(),
            body_whole: limits.body_timeout.map(HumanDuration::get),
            trusted_proxies: TrustedProxies::new(trusted_proxies),
            asserted: AssertedFields::default(),
        }
    }

    pub fn of(listener: &Listener) -> Self {
        Self::new(&listener.limits, &listener.trusted_proxies)
    }
}

/// The terms of an address without configured limits, such as the admin API: HTTP/1.1 and the default limits.
impl Default for ConnectionTerms {
    fn default() -> Self {
        Self::new(&Limits::default(), &[Protocol::Http1])
    }
}

impl Default for RequestTerms {
    fn default() -> Self {
        Self::new(&Limits::default(), &[])
    }
}
