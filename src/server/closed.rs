//! Why connections were closed because of their client. Counted rather than logged, so that a client cannot flood the
//! log.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Why the gateway closed a connection or did not accept it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// The client has reached its maximum number of connections.
    ClientLimit,
    /// The TLS handshake was not completed in time.
    HandshakeTimeout,
    /// The TLS handshake failed: the data is not TLS, nothing in common was found, or a certificate was not accepted.
    TlsError,
    /// No complete request head arrived in time.
    HeaderTimeout,
    /// The client read no byte of its response in time.
    WriteTimeout,
    /// The data is not HTTP, or not a version that the listener speaks.
    Malformed,
    /// An HTTP/2 connection error (RFC 9113 section 5.4.1).
    Http2Error,
}

impl Closed {
    pub const ALL: [Self; 7] = [
        Self::ClientLimit,
        Self::HandshakeTimeout,
        Self::TlsError,
        Self::HeaderTimeout,
        Self::WriteTimeout,
        Self::Malformed,
        Self::Http2Error,
    ];

    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientLimit => "client_limit",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::TlsError => "tls_error",
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
