//! How requests reach a backend: one transport per protocol.

mod http1;

use super::failure::Failure;
use super::load::Lease;
use super::upgrade::Upgrade;
use super::upload::Upload;
use gatewright_sdk::Response;
pub(super) use http1::{Cap, Pool, Switched};
use std::sync::Arc;
use std::time::Duration;

/// A request whose head is complete.
pub(super) type Outgoing = http::Request<Upload>;

/// The outcome of a request without a response.
pub(super) enum Lost {
    /// Nothing was sent: the request is returned.
    Unsent(Failure, Box<Outgoing>),
    Failed(Failure),
}

/// How one request is sent.
pub(super) struct Sending {
    /// From the end of the request to the head of the response.
    pub response_header: Duration,
    /// The longest pause within the body of the response.
    pub stream_idle: Duration,
    /// Held until the response has ended.
    pub lease: Option<Lease>,
    /// How often the request was sent again because an idle connection turned out to be closed.
    pub resends: u32,
    /// The other protocol that the request asks for.
    pub upgrade: Option<Box<Upgrade>>,
}

/// The connections to a backend.
pub(super) enum Transport {
    Http1(Arc<Pool>),
}

impl Transport {
    /// Sends `request` and waits for the head of the response. Its body streams.
    pub async fn send(&self, request: Outgoing, sending: &mut Sending) -> Result<Response, Lost> {
        match self {
            Self::Http1(pool) => http1::send(pool, request, sending).await,
        }
    }
}
