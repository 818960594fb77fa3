//! OTLP over HTTP: protobuf in both directions, and what the status of an answer means (OTLP 1.x, section OTLP/HTTP).

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
        // What an HTTP/2 server says is read as the first line of an answer.
        // It speaks first, so that may also come before the request.
        mismatch: (
            &["invalid HTTP version parsed", "received unexpected message from connection"],
            "is this a grpc port? Then write `protocol: grpc`",
        ),
    };
    Wire::new(receiver, receiver.endpoint.uri().clone(), form, folder)
}

pub(super) fn read(answer: &Answer) -> Result<PartialRejection, ExportFailure> {
    // A success is one whatever the body is: a receiver owes us no message that we can read.
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

/// What a receiver did not take of an export that was a success, where it says so in protobuf.
fn rejected(answer: &Answer) -> Option<PartialRejection> {
    let kind = answer.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_text = kind.starts_with("text/") || kind.contains("json");
    if is_text { None } else { PartialRejection::read(&answer.body) }
}

/// The word for a status in messages.
pub(super) fn name(status: StatusCode) -> String {
    format!("HTTP status {}", status.as_u16())
}

/// The statuses after which the same export may succeed.
pub(super) const fn is_passing(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

/// What the receiver says about it: a `google.rpc.Status`.
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
