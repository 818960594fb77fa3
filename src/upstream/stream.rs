//! A connection to a target: TCP, or TLS over it.

use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

/// TLS is boxed, so that connections without it stay small.
pub(super) type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// Whether the target chose HTTP/2.
pub(super) fn is_http2(stream: &Stream) -> bool {
    matches!(stream, Either::Right(tls) if tls.get_ref().1.alpn_protocol() == Some(b"h2"))
}
