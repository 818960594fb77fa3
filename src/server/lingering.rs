//! Closes a connection so that the client gets the last response.

use super::deadlines::Deadlines;
use super::socket::Socket;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// After an early response the client may still be sending. Closing at once would reset the connection and lose the
/// response (RFC 9112 section 9.6), so incoming data is read and discarded, up to this time and amount.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 1024 * 1024;

/// Closes the sending half, and lets the client finish what it is sending.
pub(super) async fn linger(mut socket: Socket, deadlines: &Deadlines) {
    close_politely(&mut socket, || deadlines.is_cut()).await;
}

/// The same for any stream, until `is_cut`.
pub(super) async fn close_politely<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, is_cut: impl Fn() -> bool) {
    let reading = async {
        stream.shutdown().await?;
        let mut rest = [0; 1024];
        let mut thrown = 0;
        while thrown < LINGER_BYTES && !is_cut() {
            match stream.read(&mut rest).await? {
                0 => break,
                read => thrown += read,
            }
        }
        io::Result::Ok(())
    };
    // Whatever the result, the connection is over.
    let _ = tokio::time::timeout(LINGER, reading).await;
}
