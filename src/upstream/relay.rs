//! Copies bytes between a client and an upstream after both have switched to another protocol.

use super::transport::Switched;
use super::upgrade::Upgrade;
use crate::telemetry::ProxyTarget;
use bytes::{Buf, Bytes};
use gatewright_sdk::metrics::Level;
use hyper_util::rt::TokioIo;
use std::future::{Future, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep};

/// The maximum read at once, in bytes.
const PORTION: usize = 16 * 1024;

/// Where the bytes of a connection go, for metrics and the log.
pub(super) struct Relayed {
    pub target: Arc<ProxyTarget>,
    /// The number of upgraded connections that are open.
    pub open: Arc<Level>,
}

/// Copies until either side fails, both have ended, or no byte has moved for the idle time. `guard` is held until then.
/// The copy belongs to the client's connection and ends with it: the listener cuts both.
pub(super) fn start(upgrade: Upgrade, relayed: Relayed, guard: impl Send + 'static) {
    let Upgrade { client, tunnel, permits, switched: Some(switched), .. } = upgrade else { return };
    tokio::spawn(async move {
        let _guards = (guard, tunnel, permits);
        // Fails if the client left before it received the 101.
        let Ok(client) = client.await else { return };
        relayed.open.add(1);
        let _open = Open(&relayed.open);
        let started = Instant::now();
        let Switched { stream, ahead, idle, guards: _guards } = switched;
        let (mut up, mut down) = (Way::new(Bytes::new()), Way::new(ahead));
        let ended = copy((TokioIo::new(client), stream), (&mut up, &mut down), idle).await;
        let ProxyTarget { upstream, address, .. } = &*relayed.target;
        tracing::debug!(
            target: "gatewright::upstream",
            upstream = &**upstream,
            upstream_target = &**address,
            sent = up.bytes,
            received = down.bytes,
            duration = ?started.elapsed(),
            reason = ended.map_or("reset", |end| if end == End::Idle { "idle" } else { "closed" }),
            "upgraded connection ended"
        );
    });
}

/// Counts a connection while it is open.
struct Open<'a>(&'a Level);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    Closed,
    Idle,
}

async fn copy(
    (mut client, mut upstream): (impl AsyncRead + AsyncWrite + Unpin, impl AsyncRead + AsyncWrite + Unpin),
    (up, down): (&mut Way, &mut Way),
    idle: Duration,
) -> io::Result<End> {
    let (mut moved, mut last) = (0, Instant::now());
    let mut timer = pin!(sleep(idle));
    poll_fn(|cx| {
        let upwards = up.poll(&mut client, &mut upstream, cx)?;
        let downwards = down.poll(&mut upstream, &mut client, cx)?;
        if upwards.is_ready() && downwards.is_ready() {
            return Poll::Ready(Ok(End::Closed));
        }
        if moved != up.bytes + down.bytes {
            (moved, last) = (up.bytes + down.bytes, Instant::now());
        }
        while timer.as_mut().poll(cx).is_ready() {
            if last.elapsed() >= idle {
                return Poll::Ready(Ok(End::Idle));
            }
            timer.as_mut().reset(last + idle);
        }
        Poll::Pending
    })
    .await
}

/// One direction.
struct Way {
    /// What was read and not yet written; empty while the connection is idle, so it takes no memory.
    rest: Bytes,
    /// Whether something was written since the last flush.
    written: bool,
    /// Whether the reading side has ended.
    ended: bool,
    /// Whether that was passed on.
    shut: bool,
    /// The number of bytes written.
    bytes: u64,
}

impl Way {
    const fn new(rest: Bytes) -> Self {
        Self { rest, written: false, ended: false, shut: false, bytes: 0 }
    }

    /// Copies what it can. Ready once `from` has ended and `to` has been told.
    fn poll<F, T>(&mut self, from: &mut F, to: &mut T, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        F: AsyncRead + Unpin,
        T: AsyncWrite + Unpin,
    {
        while !self.shut {
            while !self.rest.is_empty() {
                let written = ready!(self.write(to, None, cx))?;
                self.rest.advance(written);
            }
            if self.ended {
                ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                self.shut = true;
                // The memory of a long piece is not kept while the other direction is open.
                self.rest = Bytes::new();
                break;
            }
            let mut space = [MaybeUninit::uninit(); PORTION];
            let mut read = ReadBuf::uninit(&mut space);
            if Pin::new(&mut *from).poll_read(cx, &mut read)?.is_pending() {
                if self.written {
                    ready!(Pin::new(&mut *to).poll_flush(cx))?;
                    self.written = false;
                }
                return Poll::Pending;
            }
            let read = read.filled();
            self.ended = read.is_empty();
            if !self.ended {
                let written = match self.write(to, Some(read), cx)? {
                    Poll::Ready(written) => written,
                    Poll::Pending => 0,
                };
                self.rest = Bytes::copy_from_slice(read.get(written..).unwrap_or_default());
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes `piece`, or else the rest.
    fn write<T>(&mut self, to: &mut T, piece: Option<&[u8]>, cx: &mut Context<'_>) -> Poll<io::Result<usize>>
    where
        T: AsyncWrite + Unpin,
    {
        let written = ready!(Pin::new(to).poll_write(cx, piece.unwrap_or(&self.rest)))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.written = true;
        self.bytes += written as u64;
        Poll::Ready(Ok(written))
    }
}
