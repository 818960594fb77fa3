//! OTLP over gRPC: framing, and the meaning of the status in the trailers (OTLP 1.x, section OTLP/gRPC).

use super::http::{is_passing, name};
use super::status::Status;
use super::wire::{Answer, HttpUse, LONGEST_ANSWER, Wire};
use super::{ExportFailure, PartialRejection};
use crate::telemetry::receiver::Receiver;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::{BufMut, Bytes, BytesMut};
use flate2::read::GzDecoder;
use gatewright_sdk::Fault;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use percent_encoding::percent_decode;
use prost::Message as _;
use std::borrow::Cow;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

/// The help for a receiver that speaks another protocol.
const HINT: &str = "if this is an http/protobuf port, write `protocol: http/protobuf`";

const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// `grpc-timeout` has at most eight digits.
const LONGEST_TIMEOUT: u128 = 99_999_999;

/// The details of a status may come with or without padding.
const DETAILS: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(super) fn wire(receiver: &Receiver, folder: &Path) -> Result<Wire, Fault> {
    let mut more = vec![(header::TE, HeaderValue::from_static("trailers"))];
    let millis = receiver.timeout.as_millis().clamp(1, LONGEST_TIMEOUT);
    if let Ok(timeout) = HeaderValue::try_from(format!("{millis}m")) {
        more.push((HeaderName::from_static("grpc-timeout"), timeout));
    }
    let form = HttpUse {
        http2: true,
        content_type: "application/grpc",
        encoding: ENCODING,
        more,
        // The response of an HTTP/1 server is parsed as the head of a frame.
        mismatch: (&["frame with invalid size"], HINT),
    };
    let endpoint = receiver.endpoint.clone().with_end(receiver.signal.method());
    Wire::new(receiver, endpoint.uri().clone(), form, folder)
}

/// Adds the prefix to a message: whether it is compressed, and its length.
pub(super) fn frame(wire: &Wire, message: Bytes) -> Bytes {
    let message = wire.compress(message);
    let mut frame = BytesMut::with_capacity(message.len() + 5);
    frame.put_u8(wire.is_compressed().into());
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put(message);
    frame.freeze()
}

pub(super) fn read(answer: &Answer) -> Result<PartialRejection, ExportFailure> {
    // A response without a message has its status in the headers.
    let mut said = [&answer.trailers, &answer.headers].into_iter();
    let Some((code, fields)) = said.find_map(|fields| Some((code(fields)?, fields))) else {
        return Err(match answer.status {
            StatusCode::OK => ExportFailure::lasting(format!("the response is not a gRPC response; {HINT}")),
            other if is_passing(other) => ExportFailure::passing(name(other), None),
            other => ExportFailure::lasting(format!("{}; {HINT}", name(other))),
        });
    };
    if code == 0 {
        let broken = || ExportFailure::lasting("the response is not an OTLP response".to_owned());
        return PartialRejection::read(&message(answer)?).ok_or_else(broken);
    }
    let text = format!("gRPC status {}: {}", CODES.get(code).unwrap_or(&"Unknown"), explanation(fields));
    let retry = retry(fields);
    let after = retry.flatten();
    match CODES.get(code) {
        Some(&("Cancelled" | "DeadlineExceeded" | "Aborted" | "OutOfRange" | "Unavailable" | "DataLoss")) => {
            Err(ExportFailure::passing(text, after))
        }
        // Retriable only if the receiver says when to retry.
        Some(&"ResourceExhausted") if retry.is_some() => Err(ExportFailure::passing(text, after)),
        _ => Err(ExportFailure::lasting(text)),
    }
}

/// The names of the gRPC codes, by number.
const CODES: [&str; 17] = [
    "Ok",
    "Cancelled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

/// A code that is not a number or not defined counts as `Unknown`.
fn code(fields: &HeaderMap) -> Option<usize> {
    let code = fields.get("grpc-status")?.to_str().ok().and_then(|code| code.parse().ok());
    Some(code.filter(|code| *code < CODES.len()).unwrap_or(2))
}

fn explanation(fields: &HeaderMap) -> String {
    let message = fields.get("grpc-message").map(|text| percent_decode(text.as_bytes()).decode_utf8_lossy());
    message.unwrap_or_default().into_owned()
}

/// Whether the receiver asks for a retry, and when.
fn retry(fields: &HeaderMap) -> Option<Option<Duration>> {
    let details = DETAILS.decode(fields.get("grpc-status-details-bin")?.as_bytes()).ok()?;
    Status::decode(&*details).ok()?.retry()
}

/// The message in a response. Some servers compress it because the request was compressed.
fn message(answer: &Answer) -> Result<Cow<'_, [u8]>, ExportFailure> {
    let broken = || ExportFailure::lasting("the response is not a gRPC message".to_owned());
    let (&[flag, ref length @ ..], message) = answer.body.split_first_chunk::<5>().ok_or_else(broken)?;
    if usize::try_from(u32::from_be_bytes(*length)) != Ok(message.len()) {
        return Err(broken());
    }
    match flag {
        0 => Ok(message.into()),
        1 if answer.headers.get(ENCODING).is_some_and(|encoding| encoding == "gzip") => {
            let mut plain = Vec::new();
            // A few bytes may decompress to gigabytes.
            let mut decoder = GzDecoder::new(message).take(LONGEST_ANSWER as u64);
            decoder.read_to_end(&mut plain).map_err(|_| broken())?;
            Ok(plain.into())
        }
        _ => Err(broken()),
    }
}
