//! A request body on its way to the upstream; distinguishes a slow client from a slow upstream.

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

/// The progress of an upload. The upstream's timeout runs only while we are not waiting for the client.
#[derive(Default)]
pub(super) struct Progress {
    steps: AtomicUsize,
    waits_for_client: AtomicBool,
    complete: AtomicBool,
}

impl Progress {
    /// Grows whenever the upstream accepts something.
    pub fn steps(&self) -> usize {
        self.steps.load(Ordering::Relaxed)
    }

    /// Whether the client has yet to send the next piece.
    pub fn waits_for_client(&self) -> bool {
        self.waits_for_client.load(Ordering::Relaxed)
    }

    /// Whether everything the client sent was handed over.
    pub fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Relaxed)
    }
}

pub(super) struct Upload {
    body: Body,
    progress: Option<Arc<Progress>>,
}

impl Upload {
    /// Without `progress` there is nothing to send.
    pub fn new(body: Body) -> Self {
        let progress = (!body.is_end_stream()).then(Arc::default);
        Self { body, progress }
    }

    pub fn empty() -> Self {
        Self { body: Body::empty(), progress: None }
    }

    pub fn progress(&self) -> Option<Arc<Progress>> {
        self.progress.clone()
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Some(progress) = &self.progress {
            progress.waits_for_client.store(polled.is_pending(), Ordering::Relaxed);
            progress.steps.fetch_add(1, Ordering::Relaxed);
            let ended = matches!(polled, Poll::Ready(None | Some(Err(_))));
            progress.complete.store(ended || self.body.is_end_stream(), Ordering::Relaxed);
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
