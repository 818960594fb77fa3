//! A TCP stream that counts what is read while a response head is awaited, and stops an upstream that never ends it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What may be read before the response head is complete, in bytes. Informational responses (1xx) count too: they are
/// swallowed, so only this bounds how many an upstream can send.
pub(super) const LONGEST_HEAD: usize = 64 * 1024;

/// Stands for "the head is there": the body may be of any length.
const UNBOUNDED: u64 = u64::MAX;

/// How much of a response head was read; shared between a connection and the request that waits for its answer.
#[derive(Default)]
pub(super) struct HeadLimit(AtomicU64);

impl HeadLimit {
    /// A request goes out: nothing of its answer was read yet.
    pub fn head_begins(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// The response head is complete.
    pub fn head_ends(&self) {
        self.0.store(UNBOUNDED, Ordering::Relaxed);
    }

    /// Whether not one byte of the answer was read.
    pub fn silent(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    fn exhausted(&self) -> bool {
        (LONGEST_HEAD as u64..UNBOUNDED).contains(&self.0.load(Ordering::Relaxed))
    }

    fn count(&self, bytes: usize) {
        let before = self.0.load(Ordering::Relaxed);
        if before != UNBOUNDED {
            self.0.store(before.saturating_add(bytes as u64), Ordering::Relaxed);
        }
    }
}

pub(super) struct LimitedStream {
    pub stream: TcpStream,
    pub head_limit: Arc<HeadLimit>,
}

impl AsyncRead for LimitedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.head_limit.exhausted() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "the response head does not end")));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.head_limit.count(buffer.filled().len() - before);
        polled
    }
}

impl AsyncWrite for LimitedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
