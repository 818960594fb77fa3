//! A stream that limits what is read while a response head is awaited, in case an upstream never ends it.

use super::signal::Signal;
use crate::upstream::stream::Stream;
use crate::upstream::transport::deaf::Deaf;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The maximum read before the response head is complete, in bytes. Informational responses (1xx) count too: they are
/// discarded, so nothing else limits how many an upstream can send.
pub(super) const LONGEST_HEAD: usize = 64 * 1024;

/// Stands for a complete head: the body may have any length.
const UNBOUNDED: u64 = u64::MAX;

/// How much of a response head has been read; shared between a connection and the request that awaits its response.
#[derive(Default)]
pub(super) struct HeadLimit(AtomicU64);

impl HeadLimit {
    /// A request is sent: nothing of its response has been read yet.
    pub fn head_begins(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// The response head is complete.
    pub fn head_ends(&self) {
        self.0.store(UNBOUNDED, Ordering::Relaxed);
    }

    /// Whether no byte of the response has been read.
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

pub(in crate::upstream) struct LimitedStream {
    stream: Deaf,
    pub(super) head_limit: Arc<HeadLimit>,
    /// What it wakes, if that is always the same.
    signal: Option<Arc<Signal>>,
    /// How often that had been woken when nothing was left to read. Until it is woken again, reading is in vain, which
    /// hyper tries several times per request.
    drained: usize,
}

impl LimitedStream {
    /// A stream that is polled only with the waker of `signal`.
    pub(super) const fn new(stream: Stream, head_limit: Arc<HeadLimit>, signal: Arc<Signal>) -> Self {
        Self { stream: Deaf::new(stream), head_limit, signal: Some(signal), drained: 0 }
    }

    /// The same stream for any waker.
    #[must_use]
    pub(super) fn without_signal(self) -> Self {
        Self { signal: None, ..self }
    }
}

impl AsyncRead for LimitedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.head_limit.exhausted() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "the response head does not end")));
        }
        let wakes = self.signal.as_ref().map_or(0, |signal| signal.wakes());
        if wakes > 0 && wakes == self.drained {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if polled.is_pending() {
            self.drained = wakes;
        }
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
