//! The size of a request body: as declared, or counted while it is read.

use axum::Error;
use bytes::Bytes;
use gatewright_sdk::{Body, Request};
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

/// The size of a request body in bytes.
pub(super) enum Received {
    /// Its declared length, or zero if there is no body.
    Announced(u64),
    /// The bytes read so far.
    Counted(Arc<AtomicU64>),
}

impl Received {
    /// Examines the body of `request`; it is counted only if it has no declared length.
    pub(super) fn of(request: &mut Request) -> Self {
        if let Some(length) = request.body().size_hint().exact() {
            return Self::Announced(length);
        }
        let count = Arc::new(AtomicU64::new(0));
        let inner = std::mem::take(request.body_mut());
        *request.body_mut() = Body::new(Counting { inner, count: Arc::clone(&count) });
        Self::Counted(count)
    }

    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Announced(length) => *length,
            Self::Counted(count) => count.load(Relaxed),
        }
    }
}

struct Counting {
    inner: Body,
    count: Arc<AtomicU64>,
}

impl HttpBody for Counting {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let Some(data) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
            self.count.fetch_add(u64::try_from(data.len()).unwrap_or(u64::MAX), Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
