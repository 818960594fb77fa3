//! Where one signal is sent, and how.

use super::signal::Signal;
use crate::config::document::telemetry::{OtlpCompression, OtlpProtocol, OtlpTls};
use gatewright_sdk::Secret;
use http::HeaderName;
use std::time::Duration;

/// Where a signal is sent. Two equal ones are one connection.
#[derive(Clone, PartialEq)]
pub(super) struct Receiver {
    pub signal: Signal,
    /// For HTTP with its path.
    pub endpoint: String,
    pub protocol: OtlpProtocol,
    pub headers: Vec<(HeaderName, Secret)>,
    /// How long one export may take, retries included.
    pub timeout: Duration,
    pub compression: OtlpCompression,
    /// Relative files are sought in the folder of the configuration.
    pub tls: OtlpTls,
}

impl Receiver {
    /// Whether files belong to it, whose content may change.
    pub(super) fn has_files(&self) -> bool {
        self.tls != OtlpTls::default()
    }
}
