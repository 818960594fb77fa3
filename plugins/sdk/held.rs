//! What is held until a request has ended: its response, or the connection that it upgrades.

use crate::{Request, Response};
use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// In the extensions of a request that may upgrade its connection: what is held until that connection is closed.
#[derive(Clone, Default)]
pub struct HeldByUpgrade(Vec<Arc<dyn Any + Send + Sync>>);

impl HeldByUpgrade {
    pub fn of(request: &mut Request) -> &mut Self {
        request.extensions_mut().get_or_insert_default()
    }

    pub fn push(&mut self, held: Arc<dyn Any + Send + Sync>) {
        self.0.push(held);
    }
}

struct Held<T> {
    body: Body,
    held: Option<T>,
}

/// `response`, which drops `held` when its body has ended.
pub fn hold<T: Send + Unpin + 'static>(response: Response, held: T) -> Response {
    if response.body().is_end_stream() {
        return response;
    }
    response.map(|body| Body::new(Held { body, held: Some(held) }))
}

impl<T: Unpin> HttpBody for Held<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) || (polled.is_ready() && self.body.is_end_stream()) {
            self.held = None;
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
