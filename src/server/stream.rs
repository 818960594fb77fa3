//! The bytes of a connection: TCP, plain or encrypted.

use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

/// TLS is boxed, so that plain connections stay small.
pub(super) type Io = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// The TCP connection.
pub(super) fn tcp(io: &Io) -> &TcpStream {
    match io {
        Io::Left(stream) => stream,
        Io::Right(tls) => tls.get_ref().0,
    }
}
