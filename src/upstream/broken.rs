//! How a connection to a target ended before its response did, in words for the log.

use h2::Reason;
use std::borrow::Cow;
use std::error::Error;
use std::io;

pub(super) type Words = Cow<'static, str>;

pub(super) const CLOSED: Words = Cow::Borrowed("connection closed");

/// The maximum length of what a target says about its GOAWAY.
const LONGEST_SAYING: usize = 100;

/// The error of the connection inside `error`.
pub(super) fn io_error(error: &hyper::Error) -> Option<&io::Error> {
    error.source().and_then(|source| source.downcast_ref())
}

/// What `error` says about an HTTP/1.1 response or its connection.
pub(super) fn http1(error: &hyper::Error) -> Words {
    match io_error(error) {
        Some(error) => io(error),
        None if error.is_incomplete_message() || error.is_canceled() || error.is_closed() => CLOSED,
        // hyper says `invalid HTTP version parsed`.
        None => Cow::Owned(error.to_string().trim_end_matches(" parsed").to_owned()),
    }
}

/// What `error` says about an HTTP/2 stream or its connection.
pub(super) fn http2(error: &h2::Error) -> Words {
    if let Some(error) = error.get_io() {
        return io(error);
    }
    let Some(code) = error.reason().map(code) else { return CLOSED };
    if error.is_library() {
        return Cow::Owned(format!("violation of HTTP/2: {code}{}", saying(error)));
    }
    match (error.is_go_away(), error.is_reset()) {
        (true, _) => Cow::Owned(format!("connection closed with GOAWAY {code}{}", saying(error))),
        (false, true) => Cow::Owned(format!("stream reset with {code}")),
        (false, false) => CLOSED,
    }
}

/// The same for a response whose head has arrived.
pub(super) fn midway(words: &str) -> String {
    format!("{words} in the middle of the response")
}

/// `connection refused` rather than `Connection refused (os error 111)`.
pub(super) fn describe_io(error: &io::Error) -> String {
    let kind = error.kind().to_string();
    match error.raw_os_error() {
        // The socket of a target.
        Some(_) if error.kind() == io::ErrorKind::NotFound => "no such file".to_owned(),
        Some(_) if kind != "uncategorized error" => kind,
        _ => error.to_string(),
    }
}

fn io(error: &io::Error) -> Words {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::NotConnected => CLOSED,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => Cow::Borrowed("connection reset"),
        // Not of the system, but of what reads the response.
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
            Cow::Owned(error.to_string())
        }
        _ => Cow::Owned(format!("connection failed ({})", describe_io(error))),
    }
}

/// `INTERNAL_ERROR`, or the number of a code that RFC 9113 does not define.
fn code(reason: Reason) -> String {
    let name = format!("{reason:?}");
    if name.contains('(') { format!("code {:#x}", u32::from(reason)) } else { name }
}

/// What the target says about its GOAWAY, such as `too_many_pings` of gRPC servers.
fn saying(error: &h2::Error) -> String {
    // The data is only in the text, escaped.
    let text = error.to_string();
    let data = text.rsplit_once(" (b\"").and_then(|(_, data)| data.strip_suffix("\")"));
    data.map(|data| format!(" ({})", data.chars().take(LONGEST_SAYING).collect::<String>())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_the_names_of_the_rfc() {
        assert_eq!(code(Reason::ENHANCE_YOUR_CALM), "ENHANCE_YOUR_CALM");
        assert_eq!(code(Reason::from(0x2a)), "code 0x2a");
    }

    #[test]
    fn the_end_of_a_connection_has_its_own_words() {
        let words = |kind: io::ErrorKind| io(&kind.into()).into_owned();
        assert_eq!(words(io::ErrorKind::BrokenPipe), "connection closed");
        assert_eq!(words(io::ErrorKind::ConnectionReset), "connection reset");
        // ETIMEDOUT.
        assert_eq!(io(&io::Error::from_raw_os_error(110)), "connection failed (timed out)");
    }
}
