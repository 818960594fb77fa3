//! OTLP over HTTP: protobuf in both directions, and the meaning of a response status (OTLP 1.x, section OTLP/HTTP).

use super::wire::{Answer, HttpUse, Wire};
use super::{ExportFailure, PartialRejection, status};
use crate::telemetry::receiver::Receiver;
use gatewright_sdk::Fault;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use prost::Message as _;
use std::path::Path;
use std::time::Duration;

const PROTOBUF: &str = "application/x-protobuf";

pub(super) fn wire(receiver: &Receiver, folder: &Path) -> Result<Wire, Fault> {
    let form = HttpUse {
        http2: false,
        content_type: PROTOBUF,
        encoding: CONTENT_ENCODING,
        more: Vec::new(),
        // The response of an HTTP/2 server is parsed as a status line.
        // It speaks first, so that may even arrive before the request.
        mismatch: (
            &["invalid HTTP version parsed", "received unexpected message from connection"],
            "if this is a grpc port, write `protocol: grpc`",
        ),
    };
    Wire::new(receiver, receiver.endpoint.uri().clone(), form, folder)
}

pub(super) fn read(answer: &Answer) -> Result<PartialRejection, ExportFailure> {
    // A success is a success whatever the body is: it need not contain a message that we can parse.
    if answer.status.is_success() {
        return Ok(rejected(answer).unwrap_or_default());
    }
    let message = format!("{}{}", name(answer.status), explanation(answer));
    if is_passing(answer.status) {
        Err(ExportFailure::passing(message, retry_after(&answer.headers)))
    } else {
        Err(ExportFailure::lasting(message))
    }
}

/// What a receiver rejected of a successful export, if its body is protobuf.
fn rejected(answer: &Answer) -> Option<PartialRejection> {
    let kind = answer.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_text = kind.starts_with("text/") || kind.contains("json");
    if is_text { None } else { PartialRejection::read(&answer.body) }
}

/// The text for a status in messages.
pub(super) fn name(status: StatusCode) -> String {
    format!("HTTP status {}", status.as_u16())
}

/// The statuses after which a retry may succeed.
pub(super) const fn is_passing(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

/// The receiver's explanation: a `google.rpc.Status`.
fn explanation(answer: &Answer) -> String {
    let protobuf = answer.headers.get(CONTENT_TYPE).is_some_and(|kind| kind == PROTOBUF);
    let status = protobuf.then(|| status::Status::decode(&*answer.body).ok()).flatten();
    status.map_or_else(String::new, |status| format!(": {}", status.message))
}

/// Seconds or a date (RFC 9110 section 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Duration::try_from(date.duration_since(jiff::Timestamp::now())).ok()
}
