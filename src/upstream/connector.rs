//! Opens connections to a target.

use super::failure::Failure;
use super::measure::{Counted, TargetConnections};
use super::stream::Stream;
use super::tls::{Alpn, Handshake};
use crate::net::as_tcp;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream, lookup_host};

/// The address of a target.
#[derive(Clone, Debug)]
pub(super) enum Address {
    Socket(SocketAddr),
    /// Resolved whenever a connection is opened.
    Name(Box<str>, u16),
    Unix(PathBuf),
}

/// Opens connections to one target, and counts them.
pub(super) struct Connector {
    address: Address,
    tls: Option<Handshake>,
    within: Duration,
    connections: Arc<TargetConnections>,
}

impl Connector {
    /// `within`: how long connecting may take, with the handshake of TLS.
    pub fn new(address: Address, tls: Option<Handshake>, within: Duration, connections: TargetConnections) -> Self {
        Self { address, tls, within, connections: Arc::new(connections) }
    }

    /// Opens a connection. With TLS, the target may choose one of the protocols of `alpn`.
    pub async fn open(&self, alpn: Alpn) -> Result<(Stream, Counted), Failure> {
        let opened = match tokio::time::timeout(self.within, self.connect(alpn)).await {
            Ok(opened) => opened,
            Err(_) => Err(Failure::ConnectTimeout),
        };
        self.connections.tried(opened.as_ref().map(|_| ()));
        opened.map(|stream| (stream, Counted::new(&self.connections)))
    }

    async fn connect(&self, alpn: Alpn) -> Result<Stream, Failure> {
        let connected = match &self.address {
            Address::Socket(address) => TcpStream::connect(address).await,
            Address::Name(host, port) => {
                let found = lookup_host((&**host, *port)).await.map_err(Failure::Unresolved)?;
                TcpStream::connect(&*found.collect::<Vec<_>>()).await
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

/// There is no TLS on Unix sockets.
async fn connect_unix(path: &Path) -> io::Result<TcpStream> {
    TcpStream::from_std(as_tcp(UnixStream::connect(path).await?.into_std()?))
}
