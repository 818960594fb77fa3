//! Opens connections to a target.

use super::failure::Failure;
use super::measure::{Counted, TargetConnections};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

/// The address of a target.
#[derive(Clone, Debug)]
pub(super) enum Address {
    Socket(SocketAddr),
    /// Resolved whenever a connection is opened.
    Name(Box<str>, u16),
}

/// Opens connections to one target, and counts them.
pub(super) struct Connector {
    address: Address,
    within: Duration,
    connections: Arc<TargetConnections>,
}

impl Connector {
    /// `within`: how long connecting may take.
    pub fn new(address: Address, within: Duration, connections: TargetConnections) -> Self {
        Self { address, within, connections: Arc::new(connections) }
    }

    /// Opens a connection.
    pub async fn open(&self) -> Result<(TcpStream, Counted), Failure> {
        let opened = match tokio::time::timeout(self.within, self.connect()).await {
            Ok(opened) => opened.map_err(Failure::Connect),
            Err(_) => Err(Failure::ConnectTimeout),
        };
        self.connections.tried(opened.as_ref().map(|_| ()));
        opened.map(|stream| (stream, Counted::new(&self.connections)))
    }

    async fn connect(&self) -> std::io::Result<TcpStream> {
        let stream = match &self.address {
            Address::Socket(address) => TcpStream::connect(address).await?,
            Address::Name(host, port) => TcpStream::connect((&**host, *port)).await?,
        };
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}
