//! A request body on its way to its reader; tracks whether the client or the reader is being waited for.

use bytes::Bytes;
use gatewright_sdk::{Body, Request};
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// The progress of an upload.
pub(super) struct Progress {
    start: Instant,
    /// Milliseconds from `start` to the last piece.
    last: AtomicU64,
    /// The reader wants the next piece, and the client has not sent it.
    waits_for_client: AtomicBool,
}

impl Progress {
    /// Wraps the body of `request`, unless it is empty.
    pub fn watch(request: &mut Request) -> Option<Arc<Self>> {
        if request.body().is_end_stream() {
            return None;
        }
        let (start, last, waits_for_client) = (Instant::now(), AtomicU64::new(0), AtomicBool::new(false));
        let progress = Arc::new(Self { start, last, waits_for_client });
        let body = std::mem::take(request.body_mut());
        *request.body_mut() = Body::new(Upload { body, progress: Arc::clone(&progress) });
        Some(progress)
    }

    /// When we stopped waiting for the client; the current time while we are waiting.
    pub fn ours_since(&self) -> Instant {
        if self.waits_for_client.load(Relaxed) {
            return Instant::now();
        }
        self.start + Duration::from_millis(self.last.load(Relaxed))
    }

    /// The reader's turn begins.
    fn hand_over(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Relaxed);
        self.waits_for_client.store(false, Relaxed);
    }
}

struct Upload {
    body: Body,
    progress: Arc<Progress>,
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match polled {
            Poll::Pending => self.progress.waits_for_client.store(true, Relaxed),
            Poll::Ready(_) => self.progress.hand_over(),
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Upload {
    /// A body that is not read is not waited for.
    fn drop(&mut self) {
        if self.progress.waits_for_client.load(Relaxed) {
            self.progress.hand_over();
        }
    }
}
