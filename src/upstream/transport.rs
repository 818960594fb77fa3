//! How requests reach a backend: one transport per protocol.

mod deaf;
mod download;
mod head;
mod http1;
mod http2;
mod negotiated;
mod opening;
mod switched;

use super::failure::Failure;
use super::load::Lease;
use super::upgrade::Upgrade;
use super::upload::Upload;
use gatewright_sdk::Response;
pub(super) use http1::{Cap, Pool};
pub(super) use http2::Multiplexed;
pub(super) use negotiated::Negotiated;
use std::sync::Arc;
use std::time::Duration;
pub(super) use switched::Switched;

/// A request whose head is complete. Boxed, because every function on its way would hold a copy of it otherwise.
pub(super) type Outgoing = Box<http::Request<Upload>>;

/// The outcome of a request without a response.
pub(super) enum Lost {
    /// Nothing was sent: the request is returned.
    Unsent(Failure, Outgoing),
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
    /// How often it may still be sent again for that reason.
    pub spare_resends: u32,
    /// The version of HTTP, for spans.
    pub version: &'static str,
    /// The other protocol that the request asks for.
    pub upgrade: Option<Box<Upgrade>>,
}

/// The connections to a backend.
pub(super) enum Transport {
    Http1(Arc<Pool>),
    Http2(Arc<Multiplexed>),
    Negotiated(Arc<Negotiated>),
}

impl Transport {
    /// The version of HTTP of most requests.
    pub fn version(&self) -> &'static str {
        match self {
            Self::Http1(_) => "1.1",
            Self::Http2(_) => "2",
            Self::Negotiated(negotiated) => {
                if negotiated.is_http1() {
                    "1.1"
                } else {
                    "2"
                }
            }
        }
    }

    /// Sends `request` and waits for the head of the response. Its body streams.
    pub async fn send(&self, request: Outgoing, sending: &mut Sending) -> Result<Response, Lost> {
        match self {
            Self::Http1(pool) => http1::send(pool, request, sending).await,
            // Boxed, because the other future is moved often.
            Self::Http2(connections) => match Box::pin(http2::send(connections, request, sending)).await {
                // There is no other protocol, and it was sent.
                Err(Lost::Unsent(Failure::Http1Required, _)) => Err(Lost::Failed(Failure::Http1Required)),
                sent => sent,
            },
            Self::Negotiated(negotiated) => Box::pin(negotiated.send(request, sending)).await,
        }
    }
}
