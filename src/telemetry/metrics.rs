//! Metrics of requests and of the process, and how they are reported.

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

/// The status by which series are distinguished. An undefined status code counts as the first of its class (RFC 9110,
/// section 15), because an upstream can respond with any of 500.
pub fn known(status: StatusCode) -> StatusCode {
    if status.canonical_reason().is_some() {
        return status;
    }
    StatusCode::from_u16(status.as_u16() / 100 * 100).unwrap_or(status)
}

/// The metrics of the process itself, while this is held.
pub struct Process(#[expect(dead_code, reason = "held, not read")] Vec<Arc<Observed>>);

impl Process {
    pub fn observe() -> Self {
        Self(process::observe())
    }
}

/// All metrics as text for Prometheus.
pub fn text(format: TextFormat) -> String {
    text::write(&meters().collect(), format)
}
