//! Opens connections to a target.

use super::dns::Addresses;
use super::failure::Failure;
use super::measure::{Counted, TargetConnections};
use super::stream::Stream;
use super::tls::{Alpn, Handshake};
use crate::net::as_tcp;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream, lookup_host};

/// The address of a target.
#[derive(Clone)]
pub(super) enum Address {
    Socket(SocketAddr),
    /// One of the addresses of a name.
    OneOf(SocketAddr, Arc<Addresses>),
    /// A name whose addresses are not known yet.
    Unknown(Arc<Addresses>, u16),
    /// Resolved by the system whenever a connection is opened: `localhost`.
    System(Box<str>, u16),
    Unix(PathBuf),
}

/// Opens connections to one target, and counts them.
pub(super) struct Connector {
    address: Address,
    tls: Option<Handshake>,
    within: Duration,
    connections: Arc<TargetConnections>,
    /// How many connections were opened by name.
    turn: AtomicUsize,
}

impl Connector {
    /// `within`: how long connecting may take, with the handshake of TLS.
    pub fn new(address: Address, tls: Option<Handshake>, within: Duration, connections: TargetConnections) -> Self {
        Self { address, tls, within, connections: Arc::new(connections), turn: AtomicUsize::new(0) }
    }

    /// Opens a connection. With TLS, the target may choose one of the protocols of `alpn`.
    pub async fn open(&self, alpn: Alpn) -> Result<(Stream, Counted), Failure> {
        let opened = match tokio::time::timeout(self.within, self.connect(alpn)).await {
            Ok(opened) => opened,
            Err(_) => Err(self.too_late()),
        };
        self.connections.tried(opened.as_ref().map(|_| ()));
        if let (Address::OneOf(_, addresses), Err(Failure::Connect(_) | Failure::ConnectTimeout)) =
            (&self.address, &opened)
        {
            addresses.doubt();
        }
        opened.map(|stream| (stream, Counted::new(&self.connections)))
    }

    fn too_late(&self) -> Failure {
        match &self.address {
            Address::Unknown(addresses, _) if addresses.current().is_empty() => {
                let last = addresses.error().map(|error| format!(": {error}")).unwrap_or_default();
                let error = format!("the DNS lookup takes longer than `timeouts.connect`{last}");
                Failure::Unresolved(io::Error::new(io::ErrorKind::TimedOut, error))
            }
            _ => Failure::ConnectTimeout,
        }
    }

    async fn connect(&self, alpn: Alpn) -> Result<Stream, Failure> {
        let connected = match &self.address {
            Address::Socket(address) | Address::OneOf(address, _) => TcpStream::connect(address).await,
            Address::Unknown(addresses, port) => {
                let unresolved = |error: Arc<str>| Failure::Unresolved(io::Error::other(error.to_string()));
                let found = addresses.wait().await.map_err(unresolved)?;
                let turn = self.turn.fetch_add(1, Relaxed);
                let found = found.iter().map(|ip| SocketAddr::new(*ip, *port)).collect();
                TcpStream::connect(&*in_turn(found, turn)).await
            }
            Address::System(host, port) => {
                let found = lookup_host((&**host, *port)).await.map_err(Failure::Unresolved)?;
                let turn = self.turn.fetch_add(1, Relaxed);
                TcpStream::connect(&*in_turn(found.collect(), turn)).await
            }
            Address::Unix(path) => return connect_unix(path).await.map(Stream::Left).map_err(Failure::Connect),
        };
        let stream =
            connected.and_then(|stream| stream.set_nodelay(true).map(|()| stream)).map_err(Failure::Connect)?;
        match &self.tls {
            None => Ok(Stream::Left(stream)),
            Some(tls) => Box::pin(tls.perform(stream, alpn)).await,
        }
    }
}

/// The addresses of a name in the order in which they are tried, so that connections are spread over all of them. The
/// resolver puts the preferred IP version first (RFC 6724), and the other one may not work at all, so it stays behind.
fn in_turn(addresses: Vec<SocketAddr>, turn: usize) -> Vec<SocketAddr> {
    let is_preferred = addresses.first().map(SocketAddr::is_ipv4);
    let (mut ordered, others): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| Some(address.is_ipv4()) == is_preferred);
    let first = turn % ordered.len().max(1);
    ordered.rotate_left(first);
    ordered.extend(others);
    ordered
}

/// There is no TLS on Unix sockets.
async fn connect_unix(path: &Path) -> io::Result<TcpStream> {
    TcpStream::from_std(as_tcp(UnixStream::connect(path).await?.into_std()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_take_turns_among_the_addresses_of_the_preferred_version() {
        let found =
            || ["10.0.0.1:80", "[::1]:80", "10.0.0.2:80", "[::2]:80"].map(|text| text.parse().unwrap()).to_vec();
        let order = |turn| in_turn(found(), turn).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        assert_eq!(order(0), "10.0.0.1:80 10.0.0.2:80 [::1]:80 [::2]:80");
        assert_eq!(order(1), "10.0.0.2:80 10.0.0.1:80 [::1]:80 [::2]:80");
        assert_eq!(order(2), order(0));
        assert_eq!(in_turn(Vec::new(), 3), []);
    }
}
