//! A response body on its way to the client; limits the pauses of the upstream.

use crate::upstream::headers;
use crate::upstream::load::Lease;
use axum::BoxError;
use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// Where the body comes from.
pub(super) trait Source: Send + Unpin + 'static {
    /// The next frame. `None` at the end.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>>;

    fn is_end_stream(&self) -> bool;

    fn size_hint(&self) -> SizeHint;

    /// Whether the upstream may still send something.
    fn is_open(&self) -> bool;

    /// Ends the use of the connection. `clean`: the response is complete, so the connection may carry the next request.
    fn finish(&mut self, clean: bool);
}

struct Download<S> {
    /// If dropped before the end, the upstream notices that the client has left.
    source: S,
    /// Held while the backend is busy with this request.
    lease: Option<Lease>,
    /// A piece that arrived together with the head.
    first: Option<Frame<Bytes>>,
    /// Why the body ends early. Reported one poll late: the server discards what it has not sent by then, and the
    /// client would not even receive the head of the response.
    broken: Option<Broken>,
    /// The longest pause.
    idle: Duration,
    /// Runs while the upstream is waited for.
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

/// Why a body ended early, for the log.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("{0}")]
    Upstream(BoxError),
    #[error("the response paused for longer than `timeouts.stream_idle`")]
    Idle,
}

/// The body of a response. Data that arrived with the head is included, so that a short body no longer needs its
/// connection when the client gets it; nothing is awaited.
///
/// # Errors
/// Why the body ended early.
pub(super) fn body(source: impl Source, (lease, idle): (Option<Lease>, Duration)) -> Result<Body, String> {
    let mut download = Download { source, lease, first: None, broken: None, idle, timer: None, waiting: false };
    if download.source.is_end_stream() {
        download.finish();
        return Ok(Body::empty());
    }
    // Whoever waits for the body polls it again.
    let cx = &mut Context::from_waker(Waker::noop());
    match Pin::new(&mut download).poll_frame(cx) {
        Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
            Ok(whole) if !download.source.is_open() => Ok(Body::from(whole)),
            Ok(piece) => {
                download.first = Some(Frame::data(piece));
                Ok(Body::new(download))
            }
            Err(trailers) => {
                download.first = Some(trailers);
                Ok(Body::new(download))
            }
        },
        Poll::Ready(Some(Err(error))) => Err(error.to_string()),
        Poll::Ready(None) => Ok(Body::empty()),
        Poll::Pending => match download.broken {
            Some(broken) => Err(broken.to_string()),
            None => Ok(Body::new(download)),
        },
    }
}

impl<S: Source> Download<S> {
    /// Whether the upstream has paused for too long.
    fn is_idle(&mut self, cx: &mut Context<'_>) -> bool {
        // The connection has ended, or the pause is not the upstream's: nothing is awaited.
        if !self.source.is_open() {
            return false;
        }
        let idle = self.idle;
        let waited = std::mem::replace(&mut self.waiting, true);
        match &mut self.timer {
            Some(timer) => {
                if !waited {
                    timer.as_mut().reset(Instant::now() + idle);
                }
                timer.as_mut().poll(cx).is_ready()
            }
            none => none.insert(Box::pin(tokio::time::sleep(idle))).as_mut().poll(cx).is_ready(),
        }
    }

    /// Ends the body early, one poll later.
    fn fail(&mut self, broken: Broken, cx: &Context<'_>) {
        self.source.finish(false);
        self.broken = Some(broken);
        cx.waker().wake_by_ref();
    }

    fn finish(&mut self) {
        self.source.finish(true);
        self.lease = None;
    }
}

fn with_safe_trailers(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            headers::remove_unsafe_trailers(&mut trailers);
            Frame::trailers(trailers)
        }
        Err(frame) => frame,
    }
}

impl<S: Source> HttpBody for Download<S> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Some(Err(axum::Error::new(error))));
        }
        match self.source.poll_frame(cx) {
            Poll::Ready(Some(Err(error))) => {
                self.fail(Broken::Upstream(error), cx);
                Poll::Pending
            }
            Poll::Pending => {
                if self.is_idle(cx) {
                    self.fail(Broken::Idle, cx);
                }
                Poll::Pending
            }
            Poll::Ready(None) => {
                self.finish();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Ok(frame))) => {
                self.waiting = false;
                if self.source.is_end_stream() {
                    self.finish();
                }
                Poll::Ready(Some(Ok(with_safe_trailers(frame))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.broken.is_none() && self.source.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.source.size_hint();
        let ahead = self.first.as_ref().and_then(Frame::data_ref).map_or(0, |piece| piece.len() as u64);
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(ahead));
        }
        hint.set_lower(hint.lower().saturating_add(ahead));
        hint
    }
}
