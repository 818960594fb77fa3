//! Why an upstream gave no answer, and what the client is told.

use gatewright_sdk::{Problem, body};
use http::StatusCode;
use std::error::Error;

#[derive(Debug)]
pub(super) enum Failure {
    /// No target took a connection.
    Connect,
    /// No connection stood in time.
    ConnectTimeout,
    /// The request was sent, the response head did not come in time.
    Timeout,
    /// The connection ended before the answer did.
    Reset,
    /// What came is not an HTTP response, is too long, or may not be passed on.
    Invalid,
    /// The client's body broke off or was refused while it was sent on.
    Client(Problem),
}

impl Failure {
    pub fn problem(self) -> Problem {
        let reason = self.reason();
        match self {
            Self::Connect | Self::Reset | Self::Invalid => Problem::bad_gateway().log_reason(reason),
            Self::ConnectTimeout | Self::Timeout => Problem::gateway_timeout().log_reason(reason),
            // Too large, too slow: said by the part that set the limit.
            Self::Client(problem) if problem.status() != StatusCode::BAD_REQUEST => problem,
            Self::Client(problem) => problem.log_reason(reason),
        }
    }

    /// For span, log and metric.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Connect => "upstream_connect",
            Self::ConnectTimeout => "upstream_connect_timeout",
            Self::Timeout => "upstream_timeout",
            Self::Reset => "upstream_reset",
            Self::Invalid => "upstream_invalid",
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
        let endless = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
        let endless = endless.is_some_and(|source| source.kind() == std::io::ErrorKind::InvalidData);
        if error.is_parse() || endless { Self::Invalid } else { Self::Reset }
    }
}
