//! The client's socket as seen by HTTP: records progress for the deadlines, and returns bytes that were read ahead.

use super::connection_limit::Permit;
use super::deadlines::{Deadlines, Ending};
use super::stream::{Io, tcp};
use bytes::Bytes;
use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

/// A client's socket. It releases its permit when it is dropped, whatever holds it by then.
pub(super) struct Socket {
    io: Io,
    /// Bytes read while detecting the protocol or the end of the client, to be read again.
    ahead: Bytes,
    deadlines: Arc<Deadlines>,
    _permit: Permit,
}

impl Socket {
    pub(super) const fn new(io: Io, deadlines: Arc<Deadlines>, permit: Permit) -> Self {
        Self { io, ahead: Bytes::new(), deadlines, _permit: permit }
    }

    /// Puts `ahead` back in front of what is still to be read.
    pub(super) fn unread(&mut self, ahead: &[u8]) {
        self.ahead = Bytes::copy_from_slice(ahead);
    }

    /// Fails an upgraded connection whose listener cuts it: no connection future would notice.
    fn check_upgraded(&self, cx: &Context<'_>) -> io::Result<()> {
        if self.deadlines.is_upgraded() {
            self.deadlines.waker.register(cx.waker());
            if self.deadlines.is_cut() || self.deadlines.ending() == Ending::Reset {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
        }
        Ok(())
    }

    /// While a response is pending, nothing is read. So nothing would notice that the client has shut down its sending
    /// half, which it may do (RFC 9112 section 9.6), or that it is gone. Peeking at the next byte shows it, and costs
    /// no system call unless something has arrived. TLS cannot be peeked at, so what arrived is kept to be read again.
    fn look_for_end(&mut self, cx: &mut Context<'_>) {
        if self.deadlines.is_finished() {
            // An end of stream would hide an error that follows it.
            if !matches!(tcp(&self.io).take_error(), Ok(None)) {
                self.deadlines.leave();
            }
            return;
        }
        match &mut self.io {
            Io::Left(stream) => match stream.poll_peek(cx, &mut ReadBuf::new(&mut [0])) {
                Poll::Ready(Ok(0)) => self.deadlines.finish(),
                Poll::Ready(Err(_)) => self.deadlines.leave(),
                // The end may be behind these bytes, such as those of the next request. Nothing reports it, so the sweep
                // makes us look again.
                Poll::Ready(Ok(_)) if is_read_closed(stream, cx) => self.deadlines.finish(),
                Poll::Ready(Ok(_)) => self.deadlines.look_again(),
                Poll::Pending => {}
            },
            Io::Right(stream) => {
                let mut bytes = [MaybeUninit::uninit(); AHEAD];
                let mut read = ReadBuf::uninit(&mut bytes);
                match Pin::new(&mut **stream).poll_read(cx, &mut read) {
                    Poll::Ready(Ok(())) if read.filled().is_empty() => self.deadlines.finish(),
                    Poll::Ready(Ok(())) => {
                        self.ahead = Bytes::copy_from_slice(read.filled());
                        // HTTP may be waiting for these bytes.
                        cx.waker().wake_by_ref();
                    }
                    // Many clients close TCP without closing TLS first.
                    Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => self.deadlines.finish(),
                    Poll::Ready(Err(_)) => self.deadlines.leave(),
                    Poll::Pending => {}
                }
            }
        }
    }

    /// TLS keeps what the kernel does not accept until it is flushed.
    fn note_flush(&self, flushed: &Poll<io::Result<()>>) {
        match (&self.io, flushed) {
            (Io::Left(_), _) | (_, Poll::Ready(Err(_))) => {}
            (Io::Right(_), Poll::Ready(Ok(()))) => self.deadlines.flushed(),
            (Io::Right(_), Poll::Pending) => self.deadlines.stall(),
        }
    }

    fn note_write(&self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Ready(Ok(bytes)) => self.deadlines.sent(*bytes),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.deadlines.stall(),
        }
    }
}

/// Whether the client has shut down its sending half, even if bytes before that are still to be read.
fn is_read_closed(stream: &TcpStream, cx: &mut Context<'_>) -> bool {
    let ready = pin!(stream.ready(Interest::READABLE)).poll(cx);
    matches!(ready, Poll::Ready(Ok(ready)) if ready.is_read_closed())
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let ready = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead.split_to(ready));
            self.deadlines.received();
            return Poll::Ready(Ok(()));
        }
        self.check_upgraded(cx)?;
        let before = buf.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.deadlines.received();
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check_upgraded(cx)?;
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.note_write(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check_upgraded(cx)?;
        // A head and a small body are sent with one plain write, which is cheaper for the kernel than gathering two
        // pieces.
        let mut together = [0; SMALL];
        let written = match gather(bufs, &mut together) {
            Some(together) => Pin::new(&mut self.io).poll_write(cx, together),
            None => Pin::new(&mut self.io).poll_write_vectored(cx, bufs),
        };
        self.note_write(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    /// hyper calls this whenever it is polled, including while it waits for a response.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() && self.deadlines.is_answering() {
            self.look_for_end(cx);
        }
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.note_flush(&flushed);
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.io).poll_shutdown(cx);
        self.note_flush(&closed);
        closed
    }
}

/// The maximum that is decrypted ahead while a response is pending, in bytes: one record (RFC 8446 section 5.1), because an
/// upload is read this way too while the upstream has not yet responded.
const AHEAD: usize = 16 * 1024;

/// The maximum copied to be sent in one piece.
const SMALL: usize = 1024;

/// The pieces joined into one, if they are small enough together.
fn gather<'a>(bufs: &[io::IoSlice<'_>], together: &'a mut [u8; SMALL]) -> Option<&'a [u8]> {
    let mut length = 0;
    for piece in bufs {
        together.get_mut(length..length + piece.len())?.copy_from_slice(piece);
        length += piece.len();
    }
    together.get(..length)
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Otherwise unread data would stay in the kernel for minutes.
        if self.deadlines.ending() == Ending::Reset || self.deadlines.is_cut() {
            let _ = tcp(&self.io).set_zero_linger();
        }
    }
}
