//! Where a request came from.

use std::fmt;
use std::net::{AddrParseError, IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// Where a request came from, determined once per request using the listener's `trusted_proxies`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The client's address: the right-most untrusted hop.
    pub ip: ClientAddress,
    /// The other end of the connection.
    pub peer: Peer,
    /// The scheme between the client and the outermost trusted hop.
    pub scheme: Scheme,
    /// Whether the peer is one of the listener's trusted proxies.
    pub trusted: bool,
}

/// The address of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientAddress {
    Ip(IpAddr),
    /// A Unix socket: its clients have no address. Printed as `unix:`.
    Unix,
}

/// The other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

impl ClientAddress {
    /// The IP address, if it has one.
    pub const fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(ip),
            Self::Unix => None,
        }
    }

    /// An IPv4 address that is mapped to IPv6 becomes an IPv4 address.
    #[must_use]
    pub fn to_canonical(self) -> Self {
        match self {
            Self::Ip(ip) => Self::Ip(ip.to_canonical()),
            Self::Unix => Self::Unix,
        }
    }

    /// The IPv4 address that a gateway between IPv4 and IPv6 has translated (NAT64, RFC 6052): `64:ff9b::192.0.2.1`. What admits clients
    /// must not look at it, because anyone in the network could use such an address as its own.
    pub fn translated(self) -> Option<Ipv4Addr> {
        let Some(IpAddr::V6(ip)) = self.ip() else { return None };
        let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = ip.segments() else { return None };
        Some(Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)))
    }
}

impl Peer {
    pub const fn address(self) -> ClientAddress {
        match self {
            Self::Tcp(address) => ClientAddress::Ip(address.ip()),
            Self::Unix => ClientAddress::Unix,
        }
    }

    /// The port, if it has one.
    pub const fn port(self) -> Option<u16> {
        match self {
            Self::Tcp(address) => Some(address.port()),
            Self::Unix => None,
        }
    }
}

impl Scheme {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Unix => f.write_str("unix:"),
        }
    }
}

impl FromStr for ClientAddress {
    type Err = AddrParseError;

    fn from_str(text: &str) -> Result<Self, AddrParseError> {
        if text == "unix:" { Ok(Self::Unix) } else { text.parse().map(Self::Ip) }
    }
}

impl From<IpAddr> for ClientAddress {
    fn from(ip: IpAddr) -> Self {
        Self::Ip(ip)
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}
