//! The interface between the server and the application, and how a request reached it.

use super::body::Answering;
use super::rest::Rest;
use gatewright_sdk::{ClientCertificate, Peer, Response};
use hyper::body::Incoming;
use std::future::Future;
use std::sync::Arc;

/// Serves the requests of a listener. It is called for every request, so a new snapshot takes effect at once.
pub trait Application: Send + Sync + 'static {
    type Future: Future<Output = Response> + Send + Unpin + 'static;

    /// Serves `request`. Nothing has been checked yet beyond HTTP itself. See [`super::admit`].
    fn call(&self, arrival: Arrival, request: http::Request<Incoming>) -> Self::Future;
}

/// Identifies a listener to the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListenerId(pub u32);

/// Why a connection from before an edit must not be used any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outdated {
    /// The edit demands another certificate of the client.
    Certificates,
    /// The client was told to connect again, and goes on.
    Ignored,
}

/// How a request reached the server.
#[derive(Debug, Clone)]
pub struct Arrival {
    pub listener: ListenerId,
    /// The other end of the connection.
    pub peer: Peer,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// The verified certificate of the client.
    pub certificate: Option<Arc<ClientCertificate>>,
    /// Why the connection must not be used any more after an edit.
    pub outdated: Option<Outdated>,
    /// What becomes of the request's body, if that matters.
    pub rest: Option<Arc<Rest>>,
    /// Whether the response is being sent, for a request with a body.
    pub answering: Option<Answering>,
}
