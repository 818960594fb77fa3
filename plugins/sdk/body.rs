//! Errors while reading a request body, and the problems they become.

use crate::Problem;
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// The client sent its body too slowly (RFC 9110 section 15.5.9).
#[derive(Debug)]
pub struct BodyTimeout(pub Duration);

impl fmt::Display for BodyTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the request body did not arrive within {:?}", self.0)
    }
}

impl Error for BodyTimeout {}

/// The body is longer than a limit allows; carries the limit in bytes.
#[derive(Debug)]
pub struct BodyTooLarge(pub u64);

impl fmt::Display for BodyTooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the request body exceeds {} bytes", self.0)
    }
}

impl Error for BodyTooLarge {}

/// The problem for a body that could not be read: 413, 408, or 400 if the client disconnected.
pub fn problem(error: &(dyn Error + 'static)) -> Problem {
    let mut cause = Some(error);
    while let Some(this) = cause {
        if let Some(BodyTooLarge(limit)) = this.downcast_ref() {
            return Problem::payload_too_large(crate::ByteSize(*limit));
        }
        if this.is::<BodyTimeout>() {
            return Problem::request_timeout();
        }
        cause = this.source();
    }
    Problem::validation("body: could not be read")
}
