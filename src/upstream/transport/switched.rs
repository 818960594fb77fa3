//! A connection to a target that has switched to another protocol, or a stream that does the same over HTTP/2.

use super::http1::LimitedStream;
use super::http2::Tunnel;
use crate::upstream::load::Lease;
use crate::upstream::measure::Counted;
use bytes::Bytes;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::either::Either;

pub(in crate::upstream) struct Switched {
    pub stream: Either<LimitedStream, Tunnel>,
    /// What the target sent with the response.
    pub ahead: Bytes,
    /// The longest pause of both sides.
    pub idle: Duration,
    /// Held until it closes.
    pub guards: (Option<Lease>, Option<(Counted, Option<OwnedSemaphorePermit>)>),
}
