//! Metrics: what is measured of requests and of the process, and how it is reported.

pub(super) mod exports;
mod list;
pub(super) mod otlp;
mod process;
mod requests;
mod text;

pub use list::KeyedList;
pub use requests::{Amounts, RequestLabels, Requests, active};
pub use text::{TextFormat, name as prometheus_name};

use gatewright_sdk::metrics::{Observed, meters};
use http::StatusCode;
use std::sync::Arc;

/// The status that a series is told apart by. A status code without a meaning is taken for the first of its
/// class (RFC 9110, section 15): an upstream can answer with any of 500.
pub fn known(status: StatusCode) -> StatusCode {
    if status.canonical_reason().is_some() {
        return status;
    }
    StatusCode::from_u16(status.as_u16() / 100 * 100).unwrap_or(status)
}

/// What is measured of the process itself; for as long as this is held.
pub struct Process(#[expect(dead_code, reason = "held, not read")] Vec<Arc<Observed>>);

impl Process {
    pub fn observe() -> Self {
        Self(process::observe())
    }
}

/// Everything that is measured, as text for Prometheus.
pub fn text(format: TextFormat) -> String {
    text::write(&meters().collect(), format)
}
