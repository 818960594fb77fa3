//! A response body on its way to the client; drives its connection, and returns it to the pool at a clean end.

use super::connection::Connection;
use super::pool::Pool;
use crate::upstream::load::Lease;
use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use std::error::Error as _;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

pub(super) struct Download {
    incoming: Incoming,
    /// `None` once the body is complete or broken. If dropped earlier, the connection closes, so the upstream notices
    /// that the client has left.
    connection: Option<Connection>,
    pool: Arc<Pool>,
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

/// Why a body ended early.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Upstream(hyper::Error),
    #[error("the upstream paused for too long")]
    Idle,
}

/// The body of a response. Data that arrived with the head is included, so that a short body no longer needs its
/// connection when the client gets it; nothing is awaited.
pub(super) async fn body(
    incoming: Incoming,
    connection: Connection,
    pool: Arc<Pool>,
    (lease, idle): (Option<Lease>, Duration),
) -> Result<Body, ()> {
    let mut download = Download {
        incoming,
        connection: Some(connection),
        pool,
        lease,
        first: None,
        broken: None,
        idle,
        timer: None,
        waiting: false,
    };
    if download.incoming.is_end_stream() {
        download.finish();
        return Ok(Body::empty());
    }
    let polled = std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut download).poll_frame(cx))).await;
    match polled {
        Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
            Ok(whole) if download.connection.is_none() => Ok(Body::from(whole)),
            Ok(piece) => {
                download.first = Some(Frame::data(piece));
                Ok(Body::new(download))
            }
            Err(trailers) => {
                download.first = Some(trailers);
                Ok(Body::new(download))
            }
        },
        Poll::Ready(Some(Err(_))) => Err(()),
        Poll::Ready(None) => Ok(Body::empty()),
        Poll::Pending if download.broken.is_some() => Err(()),
        Poll::Pending => Ok(Body::new(download)),
    }
}

impl Download {
    /// Whether the upstream has paused for too long.
    fn is_idle(&mut self, cx: &mut Context<'_>) -> bool {
        // The connection has ended, or the pause is not the upstream's: nothing is awaited.
        if self.connection.is_none() {
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
        self.connection = None;
        self.broken = Some(broken);
        cx.waker().wake_by_ref();
    }

    /// The response is complete: a clean connection may carry the next request.
    fn finish(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.pool.give_back(connection);
        }
        self.lease = None;
    }
}

/// Whether only the trailers are invalid: they are parsed after the last chunk. The body is complete, so it ends
/// normally, without them (RFC 9110 section 6.5.1 allows discarding them).
fn is_of_trailers(error: &hyper::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<std::io::Error>());
    cause.and_then(std::io::Error::get_ref).is_some_and(|cause| cause.is::<httparse::Error>())
}

impl HttpBody for Download {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Some(Err(axum::Error::new(error))));
        }
        let mut polled = Pin::new(&mut self.incoming).poll_frame(cx);
        if polled.is_pending()
            && let Some(connection) = &mut self.connection
        {
            connection.drive(cx);
            polled = Pin::new(&mut self.incoming).poll_frame(cx);
        }
        match polled {
            Poll::Ready(Some(Err(error))) if is_of_trailers(&error) => {
                self.connection = None;
                Poll::Ready(None)
            }
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
                if self.incoming.is_end_stream() {
                    self.finish();
                }
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.incoming.size_hint();
        let ahead = self.first.as_ref().and_then(Frame::data_ref).map_or(0, |piece| piece.len() as u64);
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(ahead));
        }
        hint.set_lower(hint.lower().saturating_add(ahead));
        hint
    }
}
