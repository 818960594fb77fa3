//! OTLP over gRPC: a message in its frame, and what the status in the trailers means (OTLP 1.x, section OTLP/gRPC).

use super::http::{is_passing, status};
use super::wire::{Answer, Form, LONGEST_ANSWER, Wire};
use super::{Failure, Rejected};
use crate::telemetry::environment::Target;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::{BufMut, Bytes, BytesMut};
use flate2::read::GzDecoder;
use gatewright_sdk::Fault;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use percent_encoding::percent_decode;
use std::borrow::Cow;
use std::io::Read;
use std::path::Path;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// The most that `grpc-timeout` can say has eight digits.
const LONGEST_TIMEOUT: u128 = 99_999_999;

/// Details of a status come with padding or without.
const DETAILS: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(super) fn wire(target: &Target, folder: &Path) -> Result<Wire, Fault> {
    let mut more = vec![(header::TE, HeaderValue::from_static("trailers"))];
    let millis = target.timeout.as_millis().clamp(1, LONGEST_TIMEOUT);
    if let Ok(timeout) = HeaderValue::try_from(format!("{millis}m")) {
        more.push((HeaderName::from_static("grpc-timeout"), timeout));
    }
    let form = Form { http2: true, content_type: "application/grpc", encoding: ENCODING, more };
    Wire::new(target, &format!("{}{}", target.endpoint, target.signal.method()), form, folder)
}

/// A message behind its prefix: whether it is compressed, and its length.
pub(super) fn frame(wire: &Wire, message: Bytes) -> Bytes {
    let message = wire.compress(message);
    let mut frame = BytesMut::with_capacity(message.len() + 5);
    frame.put_u8(wire.is_compressed().into());
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put(message);
    frame.freeze()
}

pub(super) fn read(answer: &Answer) -> Result<Rejected, Failure> {
    // An answer without a message says all in its headers.
    let Some(status) = grpc_status(&answer.trailers).or_else(|| grpc_status(&answer.headers)) else {
        return Err(match answer.status {
            StatusCode::OK => Failure::lasting("the answer is no gRPC answer".to_owned()),
            other if is_passing(other) => Failure::passing(status(other), None),
            other => Failure::lasting(status(other)),
        });
    };
    if status.code() == Code::Ok {
        return Rejected::read(&message(answer)?);
    }
    let after = status.get_details_retry_info().map(|retry| retry.retry_delay);
    let text = format!("gRPC status {:?}: {}", status.code(), status.message());
    match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => Err(Failure::passing(text, after.flatten())),
        // Only who says when to come back wants to see us again.
        Code::ResourceExhausted if after.is_some() => Err(Failure::passing(text, after.flatten())),
        _ => Err(Failure::lasting(text)),
    }
}

/// Like `Status::from_header_map`, which panics when the details are no base64.
fn grpc_status(headers: &HeaderMap) -> Option<Status> {
    let code = Code::from_bytes(headers.get("grpc-status")?.as_bytes());
    let message = headers.get("grpc-message").map(|text| percent_decode(text.as_bytes()).decode_utf8_lossy());
    let details = headers.get("grpc-status-details-bin").and_then(|details| DETAILS.decode(details.as_bytes()).ok());
    Some(Status::with_details(code, message.unwrap_or_default(), details.unwrap_or_default().into()))
}

/// The message in an answer. Some servers compress it because the request was.
fn message(answer: &Answer) -> Result<Cow<'_, [u8]>, Failure> {
    let broken = || Failure::lasting("the answer is no gRPC message".to_owned());
    let (&[flag, ref length @ ..], message) = answer.body.split_first_chunk::<5>().ok_or_else(broken)?;
    if usize::try_from(u32::from_be_bytes(*length)) != Ok(message.len()) {
        return Err(broken());
    }
    match flag {
        0 => Ok(message.into()),
        1 if answer.headers.get(ENCODING).is_some_and(|encoding| encoding == "gzip") => {
            let mut plain = Vec::new();
            // A few bytes may become gigabytes.
            let mut decoder = GzDecoder::new(message).take(LONGEST_ANSWER as u64);
            decoder.read_to_end(&mut plain).map_err(|_| broken())?;
            Ok(plain.into())
        }
        _ => Err(broken()),
    }
}
