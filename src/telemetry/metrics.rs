//! Metrics: what is measured of requests and of the process, and how it is told.

pub(super) mod exports;
mod list;
pub(super) mod otlp;
mod process;
mod requests;
mod text;

pub use list::List;
pub use requests::{Amounts, Outcome, Requests, active};
pub use text::{Dialect, name as prometheus_name};

use gatewright_sdk::metrics::{Observed, meters};
use std::sync::Arc;

/// What is measured of the process itself; for as long as this is held.
pub struct Process(#[expect(dead_code, reason = "held, not read")] Vec<Arc<Observed>>);

impl Process {
    pub fn observe() -> Self {
        Self(process::observe())
    }
}

/// Everything that is measured, as text for Prometheus.
pub fn text(dialect: Dialect) -> String {
    text::write(&meters().collect(), dialect)
}
