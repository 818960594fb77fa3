//! The OTLP transport of all three signals: one connection to one receiver, over gRPC or HTTP, with retries.

mod grpc;
mod http;
mod status;
mod tls;
mod wire;

use super::receiver::Receiver;
use crate::config::document::telemetry::OtlpProtocol;
use backon::{ExponentialBuilder, Retryable as _};
use bytes::Bytes;
use gatewright_sdk::Fault;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};
use wire::Wire;

/// The pause before the first retry of a failed export; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The maximum length of an error text, in bytes, because the receiver controls part of it.
const LONGEST_TEXT: usize = 300;

/// What a receiver rejected of an otherwise successful export.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PartialRejection {
    pub count: u64,
    pub message: String,
}

impl PartialRejection {
    /// Parses the response to an export. It has the same encoding for all three signals.
    fn read(answer: &[u8]) -> Option<Self> {
        let partial = ExportTraceServiceResponse::decode(answer).ok()?.partial_success.unwrap_or_default();
        Some(Self { count: partial.rejected_spans.try_into().unwrap_or(0), message: cut(partial.error_message) })
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct ExportFailure {
    pub message: String,
    /// Whether a retry may succeed.
    passing: bool,
    /// The pause that the receiver requests.
    after: Option<Duration>,
    /// Whether it failed only because of the timeout.
    late: bool,
}

impl ExportFailure {
    fn lasting(message: String) -> Self {
        Self { message: cut(message), passing: false, after: None, late: false }
    }

    fn passing(message: String, after: Option<Duration>) -> Self {
        Self { message: cut(message), passing: true, after, late: false }
    }

    /// A connection that failed or broke. The receiver may have accepted the export and may get it twice, which the
    /// specification prefers to losing it.
    fn of_connection(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let _ = write!(text, ": {error}");
            cause = error.source();
        }
        Self::passing(text, None)
    }
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(LONGEST_TEXT));
    text
}

/// The connection to the receiver of one signal. It is opened on first use, and again when it is lost.
pub(super) struct Channel {
    wire: Wire,
    protocol: OtlpProtocol,
    timeout: Duration,
}

impl Channel {
    /// The channel to a receiver; relative file paths start in `folder`. Paths of faults are relative to `telemetry`.
    pub(super) fn new(receiver: &Receiver, folder: &Path) -> Result<Self, Fault> {
        let wire = match receiver.protocol {
            OtlpProtocol::Grpc => grpc::wire(receiver, folder)?,
            OtlpProtocol::HttpProtobuf => http::wire(receiver, folder)?,
        };
        Ok(Self { wire, protocol: receiver.protocol, timeout: receiver.timeout })
    }

    /// Sends one encoded export request. Temporary failures are retried at increasing intervals until the export times
    /// out. Requires a Tokio runtime.
    pub(super) async fn send(&self, request: Bytes) -> Result<PartialRejection, ExportFailure> {
        let deadline = Instant::now() + self.timeout;
        let body = match self.protocol {
            OtlpProtocol::Grpc => grpc::frame(&self.wire, request),
            OtlpProtocol::HttpProtobuf => self.wire.compress(request),
        };
        let pauses = ExponentialBuilder::default().with_jitter().without_max_times();
        let attempt = || self.attempt(body.clone(), deadline);
        let mut before = None;
        let sent = attempt
            .retry(pauses.with_min_delay(FIRST_PAUSE).with_max_delay(LONGEST_PAUSE))
            .sleep(sleep)
            .when(|failure: &ExportFailure| failure.passing)
            .adjust(|failure, pause| {
                let pause = pause?.max(failure.after.unwrap_or_default());
                // No retry if the pause would exceed the deadline.
                (Instant::now().checked_add(pause)? < deadline).then_some(pause)
            })
            .notify(|failure, _| before = Some(failure.message.clone()))
            .await;
        // The earlier failure is more informative than the timeout.
        sent.map_err(|failure| match before {
            Some(before) if failure.late => ExportFailure::lasting(format!("{before}; then {}", failure.message)),
            _ => failure,
        })
    }

    async fn attempt(&self, body: Bytes, deadline: Instant) -> Result<PartialRejection, ExportFailure> {
        let Ok(answer) = timeout_at(deadline, self.wire.post(body)).await else {
            let failure = ExportFailure::lasting(format!("no response within {:?}", self.timeout));
            return Err(ExportFailure { late: true, ..failure });
        };
        match self.protocol {
            OtlpProtocol::Grpc => grpc::read(&answer?),
            OtlpProtocol::HttpProtobuf => http::read(&answer?),
        }
    }
}

#[cfg(test)]
mod tests;
