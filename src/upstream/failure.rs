//! Why an upstream gave no response, and the error for the client.

use super::broken::{self, Words, describe_io};
use super::trust;
use gatewright_sdk::{Problem, body};
use http::StatusCode;
use std::fmt;
use std::io;
use std::time::Duration;

#[derive(Debug)]
pub(super) enum Failure {
    /// No target accepted a connection.
    Connect(io::Error),
    /// The name of the target cannot be resolved.
    Unresolved(io::Error),
    /// The handshake of TLS failed, for this reason.
    Tls(String),
    /// No connection was established in time.
    ConnectTimeout,
    /// No target is healthy, or none has a weight.
    NoTarget,
    /// The circuit breaker rejected the request; it may be sent again after this time.
    CircuitOpen(Duration),
    /// Too many requests are in progress.
    Overloaded,
    /// The request was sent, but the response head did not arrive in time.
    Timeout,
    /// The connection or the stream ended before there was a response. This is how.
    Reset(Words),
    /// The response is not valid HTTP, too long, or must not be forwarded. This is why.
    Invalid(Words),
    /// The target demands HTTP/1.1 for this request (RFC 9113 section 7).
    Http1Required,
    /// The request is for a WebSocket, and the target does not support it over HTTP/2.
    NoWebSocket,
    /// The request is for a WebSocket, without a valid key.
    WebSocketKey,
    /// The client's body ended early or was rejected while it was forwarded.
    Client(Problem),
}

impl Failure {
    pub fn problem(self) -> Problem {
        let reason = self.reason();
        match self {
            Self::Connect(_) | Self::Unresolved(_) | Self::Tls(_) => {
                bad_gateway("The upstream could not be reached").log_reason(reason)
            }
            Self::Reset(_) | Self::Http1Required => {
                bad_gateway("The upstream broke off without a response").log_reason(reason)
            }
            Self::Invalid(_) => Problem::bad_gateway().log_reason(reason),
            Self::NoTarget | Self::Overloaded => Problem::unavailable(1).log_reason(reason),
            Self::CircuitOpen(time) => Problem::unavailable(time.as_secs() + 1).log_reason(reason),
            Self::ConnectTimeout | Self::Timeout => Problem::gateway_timeout().log_reason(reason),
            Self::NoWebSocket => {
                let message = "This resource does not switch to another protocol";
                Problem::new(StatusCode::NOT_IMPLEMENTED, "upgrade_not_supported", message).log_reason(reason)
            }
            Self::WebSocketKey => Problem::validation("sec-websocket-key: must be 16 bytes in Base64").reason(reason),
            // Too large or too slow: the part that set the limit already made the problem.
            Self::Client(problem) if problem.status() != StatusCode::BAD_REQUEST => problem,
            Self::Client(problem) => problem.log_reason(reason),
        }
    }

    /// The same failure, for another request that waited for the same connection.
    pub fn again(&self) -> Self {
        match self {
            Self::Connect(error) => Self::Connect(match error.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::new(error.kind(), error.to_string()),
            }),
            Self::Unresolved(error) => Self::Unresolved(io::Error::new(error.kind(), error.to_string())),
            Self::Tls(reason) => Self::Tls(reason.clone()),
            Self::Overloaded => Self::Overloaded,
            Self::ConnectTimeout => Self::ConnectTimeout,
            Self::Reset(how) => Self::Reset(how.clone()),
            _ => Self::Reset(broken::CLOSED),
        }
    }

    /// Whether no connection was established.
    pub const fn is_connect(&self) -> bool {
        matches!(self, Self::Connect(_) | Self::Unresolved(_) | Self::Tls(_) | Self::ConnectTimeout)
    }

    /// What went wrong with `target`, for the log. `None` if it was the client's fault.
    pub fn describe(&self, target: &impl fmt::Display) -> Option<String> {
        Some(match self {
            Self::Connect(error) | Self::Unresolved(error) => format!("connect {target}: {}", describe_io(error)),
            Self::Tls(reason) => format!("connect {target}: {reason}"),
            Self::ConnectTimeout => format!("connect {target}: timed out"),
            Self::NoTarget => "no target is healthy".to_owned(),
            Self::CircuitOpen(_) => "the circuit is open".to_owned(),
            Self::Overloaded => "too many requests are in progress".to_owned(),
            Self::Timeout => format!("{target}: no response in time"),
            Self::Reset(how) => format!("{target}: {how} before the response"),
            Self::Http1Required => format!("{target}: demands HTTP/1.1 (HTTP_1_1_REQUIRED)"),
            Self::Invalid(why) => format!("{target}: invalid response: {why}"),
            Self::NoWebSocket => format!("{target}: WebSockets over HTTP/2 are not supported by the target"),
            Self::WebSocketKey | Self::Client(_) => return None,
        })
    }

    /// For the span, the log and metrics.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Connect(_) => "upstream_connect",
            Self::Unresolved(_) => "upstream_unresolved",
            Self::Tls(_) => "upstream_tls",
            Self::ConnectTimeout => "upstream_connect_timeout",
            Self::NoTarget => "upstream_no_target",
            Self::CircuitOpen(_) => "upstream_circuit_open",
            Self::Overloaded => "upstream_overloaded",
            Self::Timeout => "upstream_timeout",
            Self::Reset(_) | Self::Http1Required => "upstream_reset",
            Self::Invalid(_) => "upstream_invalid",
            Self::NoWebSocket => "upstream_no_websocket",
            Self::WebSocketKey => "validation_error",
            Self::Client(_) => "client_body",
        }
    }
}

impl From<hyper::Error> for Failure {
    fn from(error: hyper::Error) -> Self {
        // hyper calls the sender of the body its user.
        if error.is_user() {
            return Self::Client(body::problem(&error));
        }
        let source = broken::io_error(&error);
        // With TLS 1.3, a target rejects the certificate of a client after the handshake.
        if let Some(error) = source.and_then(trust::tls_error) {
            return Self::Tls(trust::describe(error));
        }
        let endless = source.is_some_and(|source| source.kind() == io::ErrorKind::InvalidData);
        let words = broken::http1(&error);
        if error.is_parse() || endless { Self::Invalid(words) } else { Self::Reset(words) }
    }
}

fn bad_gateway(message: &'static str) -> Problem {
    Problem::new(StatusCode::BAD_GATEWAY, "bad_gateway", message)
}
