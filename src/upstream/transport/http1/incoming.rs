//! The body of an HTTP/1.1 response; drives its connection, and returns it to the pool at a clean end.

use super::connection::Connection;
use super::pool::Pool;
use crate::upstream::broken;
use crate::upstream::transport::download::Source;
use axum::BoxError;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use std::error::Error as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

pub(super) struct Incoming {
    pub body: hyper::body::Incoming,
    /// `None` once the body is complete or broken. If dropped earlier, the connection closes.
    pub connection: Option<Box<Connection>>,
    pub pool: Arc<Pool>,
}

/// Whether only the trailers are invalid: they are parsed after the last chunk. The body is complete, so it ends
/// normally, without them (RFC 9110 section 6.5.1 allows discarding them).
fn is_of_trailers(error: &hyper::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<std::io::Error>());
    cause.and_then(std::io::Error::get_ref).is_some_and(|cause| cause.is::<httparse::Error>())
}

impl Source for Incoming {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(connection) = &mut self.connection else {
            return Pin::new(&mut self.body).poll_frame(cx).map_err(BoxError::from);
        };
        // Only the connection brings more, so only that wakes the task.
        let silent = &mut Context::from_waker(Waker::noop());
        let mut polled = Pin::new(&mut self.body).poll_frame(silent);
        if polled.is_pending() {
            connection.drive();
            polled = Pin::new(&mut self.body).poll_frame(silent);
        }
        if polled.is_pending() {
            connection.watch(cx);
        }
        match polled {
            Poll::Ready(Some(Err(error))) if is_of_trailers(&error) => {
                self.connection = None;
                Poll::Ready(None)
            }
            polled => polled.map_err(|error| broken::midway(&broken::http1(&error)).into()),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    fn is_open(&self) -> bool {
        self.connection.is_some()
    }

    fn finish(&mut self, clean: bool) {
        if let Some(connection) = self.connection.take().filter(|_| clean) {
            self.pool.give_back(connection);
        }
    }
}
