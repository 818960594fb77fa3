//! The span of a gRPC call to a target: it lasts as long as the response, whose trailers have the status of the call.

use crate::grpc::Status;
use axum::body::Body;
use bytes::Bytes;
use gatewright_sdk::Response;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tracing::Span;

struct Call {
    body: Body,
    /// `None` once the body has ended.
    span: Option<Span>,
    /// Whether the HTTP status is an error, which the span has already.
    failed: bool,
}

/// `response`, which ends `span` when its body has ended.
pub(super) fn follow(response: Response, span: Span) -> Response {
    // A call that fails at once has its status in the head.
    let failed = response.status().is_client_error() || response.status().is_server_error();
    record(&span, response.headers(), failed);
    if response.body().is_end_stream() {
        return response;
    }
    response.map(|body| Body::new(Call { body, span: Some(span), failed }))
}

fn record(span: &Span, fields: &HeaderMap, failed: bool) {
    let Some(status) = Status::of(fields) else { return };
    span.record("rpc.status_code", status.name());
    if !failed && !status.is_ok() {
        span.record("otel.status_code", "error");
        span.record("error.type", status.name());
    }
}

impl HttpBody for Call {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match (&polled, &self.span) {
            (Some(Ok(frame)), Some(span)) => match frame.trailers_ref() {
                Some(trailers) => record(span, trailers, self.failed),
                None if !self.body.is_end_stream() => return Poll::Ready(polled),
                None => {}
            },
            (Some(Err(_)), Some(span)) => {
                span.record("otel.status_code", "error");
            }
            _ => {}
        }
        self.span = None;
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
