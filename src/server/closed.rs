//! Why connections were closed for what their client did: counted, since a line for each would let a client fill the log.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Why the gateway closed a connection, or did not take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// The client has as many connections as it may have.
    ClientLimit,
    /// No whole request head came in time.
    HeaderTimeout,
    /// The client took no byte of its response in time.
    WriteTimeout,
    /// What came is not HTTP, or not a version that the listener speaks.
    Malformed,
    /// An error of HTTP/2 that concerns the whole connection (RFC 9113 section 5.4.1).
    Http2Error,
}

impl Closed {
    pub const ALL: [Self; 5] =
        [Self::ClientLimit, Self::HeaderTimeout, Self::WriteTimeout, Self::Malformed, Self::Http2Error];

    /// What metrics call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientLimit => "client_limit",
            Self::HeaderTimeout => "header_timeout",
            Self::WriteTimeout => "write_timeout",
            Self::Malformed => "malformed",
            Self::Http2Error => "http2_error",
        }
    }
}

/// How many connections of one listener were closed, by reason.
#[derive(Default)]
pub(super) struct ClosedCounts([AtomicU64; Closed::ALL.len()]);

impl ClosedCounts {
    pub(super) fn add(&self, reason: Closed) {
        if let Some(count) = self.0.get(reason as usize) {
            count.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn of(&self, reason: Closed) -> u64 {
        self.0.get(reason as usize).map_or(0, |count| count.load(Relaxed))
    }
}
