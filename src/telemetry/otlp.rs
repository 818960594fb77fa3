//! The OTLP transport of all three signals: one connection to one receiver, over gRPC or HTTP, and when to try again.

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

/// The first pause before a failed export is tried again; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The longest text about a failure that is kept, in bytes: a receiver writes some of it.
const LONGEST_TEXT: usize = 300;

/// What a receiver refused of an export that it otherwise took.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PartialRejection {
    pub count: u64,
    pub message: String,
}

impl PartialRejection {
    /// Reads the answer to an export. Those of all three signals look the same on the wire.
    fn read(answer: &[u8]) -> Option<Self> {
        let partial = ExportTraceServiceResponse::decode(answer).ok()?.partial_success.unwrap_or_default();
        Some(Self { count: partial.rejected_spans.try_into().unwrap_or(0), message: cut(partial.error_message) })
    }
}

/// Why an export failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ExportFailure {
    pub message: String,
    /// Whether the same export may succeed later.
    passing: bool,
    /// The pause that the receiver asks for.
    after: Option<Duration>,
    /// Whether it is only that the export's time was over.
    late: bool,
}

impl ExportFailure {
    fn lasting(message: String) -> Self {
        Self { message: cut(message), passing: false, after: None, late: false }
    }

    fn passing(message: String, after: Option<Duration>) -> Self {
        Self { message: cut(message), passing: true, after, late: false }
    }

    /// A connection that could not be made, or that broke. Then it is not known whether the receiver took the export, and
    /// it may get it twice, which the specification prefers to losing it.
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

/// A receiver of one signal. It is connected to when something is first sent, and again when that is lost.
pub(super) struct Channel {
    wire: Wire,
    protocol: OtlpProtocol,
    timeout: Duration,
}

impl Channel {
    /// The channel to a receiver; relative files are sought in `folder`. Faults are relative to `telemetry`.
    pub(super) fn new(receiver: &Receiver, folder: &Path) -> Result<Self, Fault> {
        let wire = match receiver.protocol {
            OtlpProtocol::Grpc => grpc::wire(receiver, folder)?,
            OtlpProtocol::HttpProtobuf => http::wire(receiver, folder)?,
        };
        Ok(Self { wire, protocol: receiver.protocol, timeout: receiver.timeout })
    }

    /// Sends one encoded export request. Failures that may pass are tried again, in ever longer intervals, until the
    /// timeout of the export. Must run inside a Tokio runtime.
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
                // What cannot be waited for is not waited for.
                (Instant::now().checked_add(pause)? < deadline).then_some(pause)
            })
            .notify(|failure, _| before = Some(failure.message.clone()))
            .await;
        // Why it failed before says more than that time was over.
        sent.map_err(|failure| match before {
            Some(before) if failure.late => ExportFailure::lasting(format!("{before}; then {}", failure.message)),
            _ => failure,
        })
    }

    async fn attempt(&self, body: Bytes, deadline: Instant) -> Result<PartialRejection, ExportFailure> {
        let Ok(answer) = timeout_at(deadline, self.wire.post(body)).await else {
            let failure = ExportFailure::lasting(format!("no answer within {:?}", self.timeout));
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
