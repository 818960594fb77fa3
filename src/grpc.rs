//! gRPC: requests, their deadlines, and errors as their clients understand them.

use gatewright_sdk::{Body, Problem, Response};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use std::time::Duration;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// The names of the statuses, by number.
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The status of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(&'static str);

impl Status {
    /// The status in `headers`, which may be trailers. Numbers without a name count as `UNKNOWN`.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let number = headers.get(GRPC_STATUS)?.to_str().ok().and_then(|text| text.parse::<usize>().ok());
        Some(Self(number.and_then(|number| NAMES.get(number)).copied().unwrap_or("UNKNOWN")))
    }

    /// Its name: `DEADLINE_EXCEEDED`.
    pub const fn name(self) -> &'static str {
        self.0
    }

    pub fn is_ok(self) -> bool {
        self.0 == "OK"
    }

    /// Whether it is the fault of the server, by the semantic conventions of OpenTelemetry.
    pub fn is_server_error(self) -> bool {
        matches!(self.0, "UNKNOWN" | "DEADLINE_EXCEEDED" | "UNIMPLEMENTED" | "INTERNAL" | "UNAVAILABLE" | "DATA_LOSS")
    }
}

/// The bytes that a message escapes, apart from those that are not ASCII.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

/// Whether a request with these headers is a gRPC call. gRPC requires HTTP/2.
pub fn is_call(version: Version, headers: &HeaderMap) -> bool {
    version == Version::HTTP_2 && has_grpc_type(headers)
}

fn has_grpc_type(headers: &HeaderMap) -> bool {
    let Some(media_type) = headers.get(CONTENT_TYPE) else { return false };
    let rest = media_type.as_bytes().strip_prefix(b"application/grpc");
    // `application/grpc-web` is another protocol.
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// How long the client waits for the response to a call.
pub fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(GRPC_TIMEOUT).filter(|_| has_grpc_type(headers))?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

/// Turns `response`, made from `problem`, into one that gRPC clients understand: 200, with the error in the headers.
pub fn fail(problem: &Problem, response: &mut Response) {
    let message = utf8_percent_encode(problem.message(), ESCAPED).to_string();
    let code = code(problem.status());
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.remove(CONTENT_LENGTH);
    headers.insert(GRPC_STATUS, HeaderValue::from(code));
    if let Ok(message) = HeaderValue::try_from(message) {
        headers.insert(GRPC_MESSAGE, message);
    }
    *response.body_mut() = Body::empty();
}

/// The gRPC status for an HTTP status, by "HTTP to gRPC Status Code Mapping" of the gRPC documentation. 504 is a deadline
/// here, because it is ours.
fn code(status: StatusCode) -> u16 {
    const INTERNAL: u16 = 13;
    const UNAUTHENTICATED: u16 = 16;
    const PERMISSION_DENIED: u16 = 7;
    const UNIMPLEMENTED: u16 = 12;
    const UNAVAILABLE: u16 = 14;
    const DEADLINE_EXCEEDED: u16 = 4;
    const RESOURCE_EXHAUSTED: u16 = 8;
    const UNKNOWN: u16 = 2;
    match status.as_u16() {
        400 | 431 => INTERNAL,
        401 => UNAUTHENTICATED,
        403 => PERMISSION_DENIED,
        404 => UNIMPLEMENTED,
        413 => RESOURCE_EXHAUSTED,
        429 | 502 | 503 => UNAVAILABLE,
        504 => DEADLINE_EXCEEDED,
        _ => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(media_type: &str, timeout: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, media_type.parse().unwrap());
        headers.insert(GRPC_TIMEOUT, timeout.parse().unwrap());
        headers
    }

    #[test]
    fn a_call_is_known_by_its_media_type() {
        for (media_type, call) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;charset=utf-8", true),
            ("application/grpc-web+proto", false),
            ("application/json", false),
        ] {
            assert_eq!(is_call(Version::HTTP_2, &headers(media_type, "1S")), call, "{media_type}");
        }
        assert!(!is_call(Version::HTTP_11, &headers("application/grpc", "1S")));
    }

    #[test]
    fn a_timeout_has_up_to_eight_digits_and_a_unit() {
        let after = |text: &str| timeout(&headers("application/grpc", text));
        assert_eq!(after("2H"), Some(Duration::from_secs(7200)));
        assert_eq!(after("250m"), Some(Duration::from_millis(250)));
        assert_eq!(after("99999999n"), Some(Duration::from_nanos(99_999_999)));
        for bad in ["", "S", "1", "1x", "-1S", "123456789S", "1.5S", "1 S"] {
            assert_eq!(after(bad), None, "{bad}");
        }
        assert_eq!(timeout(&headers("application/json", "1S")), None);
    }

    #[test]
    fn a_status_has_the_name_of_its_number() {
        let named = |text: &str| {
            let headers = HeaderMap::from_iter([(GRPC_STATUS, text.parse().unwrap())]);
            Status::of(&headers).map(Status::name)
        };
        assert_eq!((named("0"), named("14"), named("16")), (Some("OK"), Some("UNAVAILABLE"), Some("UNAUTHENTICATED")));
        assert_eq!((named("17"), named("-1"), named("x")), (Some("UNKNOWN"), Some("UNKNOWN"), Some("UNKNOWN")));
        assert_eq!(Status::of(&HeaderMap::new()), None);
    }

    #[test]
    fn problems_become_statuses() {
        for (problem, status) in [
            (Problem::not_found(), "12"),
            (Problem::unauthorized(false), "16"),
            (Problem::forbidden(), "7"),
            (Problem::too_many_requests(1), "14"),
            (Problem::unavailable(1), "14"),
            (Problem::gateway_timeout(), "4"),
            (Problem::internal(), "2"),
        ] {
            let mut response = Response::from(problem.clone());
            fail(&problem, &mut response);
            assert_eq!(
                (response.status(), &response.headers()["grpc-status"]),
                (StatusCode::OK, &status.parse().unwrap())
            );
        }
        let problem = Problem::new(StatusCode::FORBIDDEN, "forbidden", "50 % größer");
        let mut response = Response::from(problem.clone());
        fail(&problem, &mut response);
        assert_eq!(response.headers()["grpc-message"], "50 %25 gr%C3%B6%C3%9Fer");
    }
}
