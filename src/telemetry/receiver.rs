//! Where one signal is sent, and how.

use super::signal::Signal;
use crate::config::document::receiver_url::ReceiverUrl;
use crate::config::document::telemetry::{OtlpCompression, OtlpProtocol, OtlpTls};
use http::{HeaderName, HeaderValue};
use std::time::Duration;

/// The receiver of a signal. Equal ones share a connection.
#[derive(Clone, PartialEq)]
pub(super) struct Receiver {
    pub signal: Signal,
    /// With its path for HTTP.
    pub endpoint: ReceiverUrl,
    pub protocol: OtlpProtocol,
    /// Their values are secrets.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How long one export may take, retries included.
    pub timeout: Duration,
    pub compression: OtlpCompression,
    /// Relative paths start in the folder of the configuration.
    pub tls: OtlpTls,
}

impl Receiver {
    /// Whether it uses files, whose content may change.
    pub(super) fn has_files(&self) -> bool {
        self.tls != OtlpTls::default()
    }
}
