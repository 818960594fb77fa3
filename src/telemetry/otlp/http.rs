//! OTLP over HTTP: protobuf in both directions, and what the status of an answer means (OTLP 1.x, section OTLP/HTTP).

use super::wire::{Answer, Form, Wire};
use super::{Failure, Rejected};
use crate::telemetry::environment::Target;
use gatewright_sdk::Fault;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use prost::Message as _;
use std::path::Path;
use std::time::Duration;

const PROTOBUF: &str = "application/x-protobuf";

pub(super) fn wire(target: &Target, folder: &Path) -> Result<Wire, Fault> {
    let form = Form { http2: false, content_type: PROTOBUF, encoding: CONTENT_ENCODING, more: Vec::new() };
    Wire::new(target, &target.endpoint, form, folder)
}

pub(super) fn read(answer: &Answer) -> Result<Rejected, Failure> {
    if answer.status.is_success() {
        return Rejected::read(&answer.body);
    }
    let message = format!("{}{}", status(answer.status), explanation(answer));
    if is_passing(answer.status) {
        Err(Failure::passing(message, retry_after(&answer.headers)))
    } else {
        Err(Failure::lasting(message))
    }
}

/// The word for a status in messages.
pub(super) fn status(status: StatusCode) -> String {
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
    let status = protobuf.then(|| tonic_types::Status::decode(&*answer.body).ok()).flatten();
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
