//! A stream that carries a WebSocket (RFC 8441): the request for it, and the bytes once the target has accepted.

use super::link::Seat;
use bytes::Bytes;
use h2::ext::Protocol;
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONTENT_LENGTH, SEC_WEBSOCKET_KEY};
use http::{Method, Request};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub(super) const WEBSOCKET: &str = "websocket";

/// Turns the head of a request for a WebSocket into an extended CONNECT.
pub(super) fn connect(request: &mut Request<()>) {
    *request.method_mut() = Method::CONNECT;
    request.extensions_mut().insert(Protocol::from_static(WEBSOCKET));
    for name in [CONTENT_LENGTH, SEC_WEBSOCKET_KEY] {
        request.headers_mut().remove(name);
    }
}

/// The bytes of a WebSocket. Its end is END_STREAM; if dropped earlier, the stream is reset with CANCEL.
pub(in crate::upstream) struct Tunnel {
    sending: SendStream<Bytes>,
    receiving: RecvStream,
    /// What was received and not yet read.
    rest: Bytes,
    /// Dropped after the stream.
    seat: Seat,
}

impl Tunnel {
    pub(super) fn new(sending: SendStream<Bytes>, receiving: RecvStream, seat: Seat) -> Self {
        Self { sending, receiving, rest: Bytes::new(), seat }
    }

    fn failed(&self, error: &h2::Error) -> io::Error {
        if error.is_io() || error.is_go_away() {
            self.seat.retire();
        }
        io::ErrorKind::ConnectionReset.into()
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.rest.is_empty() {
            match ready!(this.receiving.poll_data(cx)) {
                Some(Ok(piece)) => this.rest = piece,
                Some(Err(error)) if error.is_remote() && error.reason() == Some(Reason::NO_ERROR) => {
                    return Poll::Ready(Ok(()));
                }
                Some(Err(error)) => return Poll::Ready(Err(this.failed(&error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let piece = this.rest.split_to(this.rest.len().min(buffer.remaining()));
        buffer.put_slice(&piece);
        // The target may send as much again.
        let _ = this.receiving.flow_control().release_capacity(piece.len());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.sending.reserve_capacity(bytes.len());
        while this.sending.capacity() == 0 {
            match ready!(this.sending.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(this.failed(&error))),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
        let room = this.sending.capacity().min(bytes.len());
        let piece = Bytes::copy_from_slice(bytes.get(..room).unwrap_or_default());
        match this.sending.send_data(piece, false) {
            Ok(()) => Poll::Ready(Ok(room)),
            Err(error) => Poll::Ready(Err(this.failed(&error))),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The task of the connection sends what it was given.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Fails if the target has reset the stream, which is its end too.
        let _ = self.sending.send_data(Bytes::new(), true);
        Poll::Ready(Ok(()))
    }
}
