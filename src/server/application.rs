//! What the server calls for each request, and what it says of where the request came in.

use gatewright_sdk::Response;
use hyper::body::Incoming;
use std::future::Future;
use std::net::SocketAddr;

/// What answers the requests of a listener. It is asked for every request anew, so that a swap takes effect at once.
pub trait Application: Send + Sync + 'static {
    type Future: Future<Output = Response> + Send + Unpin + 'static;

    /// Answers `request`, of which nothing has been checked yet but what HTTP itself demands. See [`super::admit`].
    fn call(&self, arrival: Arrival, request: http::Request<Incoming>) -> Self::Future;
}

/// The name of a listener for those who accept its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListenerId(pub u32);

/// How a request reached us.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    pub listener: ListenerId,
    /// The other end of the connection.
    pub peer: SocketAddr,
    /// Whether the connection is encrypted.
    pub tls: bool,
}
