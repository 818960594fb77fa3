//! Reads the whole body of a request for plugins that decide by it.

use crate::{Body, ByteSize, Facts, Filter, Note, Problem, Request, body};
use axum::Error;
use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The whole body, in the extensions of a request whose body was read. The request still has it.
#[derive(Debug, Clone)]
pub struct WholeBody(pub Bytes);

impl WholeBody {
    /// The body of `request`, if a plugin asked for it with [`crate::Filter::reads_body`]. Empty if there is none.
    pub fn of(request: &Request) -> &[u8] {
        request.extensions().get::<Self>().map_or(&[], |whole| &whole.0)
    }

    /// The limit up to which the body of `request` must be read before `filter` decides.
    pub(crate) fn wanted(filter: &impl Filter, request: &Request, note: &mut Note) -> Option<ByteSize> {
        let missing = || !request.body().is_end_stream() && request.extensions().get::<Self>().is_none();
        filter.reads_body().filter(|_| missing() && filter.wants_body(request, note))
    }
}

/// Why there is no whole body.
enum Incomplete {
    TooLarge,
    Broken(Error),
}

/// Reads the body of `request`. If it cannot be read, or is larger than `limit`, the request has what was read and the
/// rest as its body.
async fn read(request: &mut Request, limit: ByteSize) -> Result<(), Incomplete> {
    let mut body = std::mem::take(request.body_mut());
    let (mut frames, mut length) = (VecDeque::new(), 0_u64);
    let end = loop {
        match body.frame().await {
            None => break None,
            Some(Err(error)) => break Some(Incomplete::Broken(error)),
            Some(Ok(frame)) => {
                length += frame.data_ref().map_or(0, |data| u64::try_from(data.len()).unwrap_or(u64::MAX));
                frames.push_back(frame);
                if length > limit.0 {
                    break Some(Incomplete::TooLarge);
                }
            }
        }
    };
    let Some(why) = end else {
        let trailers = frames.iter().any(|frame: &Frame<Bytes>| frame.is_trailers());
        let whole = match (frames.len(), frames.front().and_then(Frame::data_ref)) {
            (1, Some(only)) => only.clone(),
            _ => frames.iter().filter_map(Frame::data_ref).fold(BytesMut::new(), joined).freeze(),
        };
        *request.body_mut() = match trailers {
            true => Body::new(Again { frames, rest: Body::empty() }),
            false => Body::from(whole.clone()),
        };
        request.extensions_mut().insert(WholeBody(whole));
        return Ok(());
    };
    *request.body_mut() = Body::new(Again { frames, rest: body });
    Err(why)
}

fn joined(mut all: BytesMut, data: &Bytes) -> BytesMut {
    all.extend_from_slice(data);
    all
}

/// Reads the body of a request, or rejects it.
pub(crate) async fn read_or_refuse(request: &mut Request, limit: ByteSize) -> Result<(), Problem> {
    read(request, limit).await.map_err(|incomplete| match incomplete {
        Incomplete::TooLarge => Problem::payload_too_large(limit),
        Incomplete::Broken(error) => body::problem(&error),
    })
}

/// Reads the body of a request that goes on in any case. Returns why there is none, as a word for the operator.
pub(crate) async fn read_or_pass(request: &mut Request, limit: ByteSize) -> Result<(), &'static str> {
    read(request, limit).await.map_err(|incomplete| match incomplete {
        Incomplete::TooLarge => "body_too_large",
        Incomplete::Broken(error) => {
            // The target sees that the body is incomplete, as it would have without the plugin.
            *request.body_mut() = Body::new(Broken(Some(error)));
            "body_unreadable"
        }
    })
}

/// The largest body that may be read at this place: the plugin's limit, unless the route has a smaller one.
pub(crate) fn limit(request: &Request, own: ByteSize) -> ByteSize {
    let of_route = Facts::of(request).limits.as_ref().and_then(|limits| limits.body_bytes);
    of_route.filter(|limit| limit.0 < own.0).unwrap_or(own)
}

/// What was read of a body, and the rest.
struct Again {
    frames: VecDeque<Frame<Bytes>>,
    rest: Body,
}

impl HttpBody for Again {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.frames.pop_front() {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let read = self.frames.iter().filter_map(Frame::data_ref).map(Bytes::len).sum::<usize>();
        let (read, rest) = (u64::try_from(read).unwrap_or(u64::MAX), self.rest.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(read));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(read));
        }
        hint
    }
}

/// A body that ends with an error.
struct Broken(Option<Error>);

impl HttpBody for Broken {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Poll::Ready(self.0.take().map(Err))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observing::{Observed, WouldRefuse};
    use crate::{DynFilter, HttpService, Reply, Verdict};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    /// Needs what it found out before the body was read.
    #[derive(Default)]
    struct Noting {
        looked: AtomicUsize,
    }

    impl Filter for Noting {
        type Ticket = ();
        const RESPONDS: bool = false;

        fn reads_body(&self) -> Option<ByteSize> {
            Some(ByteSize::mib(1))
        }

        fn wants_body(&self, request: &Request, note: &mut Note) -> bool {
            self.looked.fetch_add(1, Relaxed);
            *note = Some(Box::new(request.uri().path().to_owned()));
            request.uri().path() == "/read"
        }

        fn decide(&self, _: &Request) -> Verdict<()> {
            Verdict::refuse(Problem::forbidden().log_reason("no_note"))
        }

        fn decide_with(&self, request: &Request, note: Note) -> Verdict<()> {
            match note.and_then(|note| note.downcast::<String>().ok()) {
                Some(note) if *note == request.uri().path() => {
                    let body = String::from_utf8_lossy(WholeBody::of(request)).into_owned();
                    Verdict::Break(http::Response::new(Body::from(body)))
                }
                _ => self.decide(request),
            }
        }
    }

    #[tokio::test]
    async fn what_is_known_before_the_body_was_read_is_passed_on() {
        let filter = Arc::new(Noting::default());
        let next = || HttpService::from_call(|_| Reply::ready("in"));
        let enforced = Arc::clone(&filter).seat("route/noting".into(), next());
        for (path, body, status) in [("/read", "all of it", 200), ("/", "unread", 200), ("/read", "", 403)] {
            let request = http::Request::builder().uri(path).body(Body::from(body)).unwrap();
            let response = enforced.call(request).await;
            assert_eq!(response.status(), status, "{path} {body}");
        }
        assert_eq!(filter.looked.load(Relaxed), 2, "once for each request with a body");
        let observed = Observed::new("route/noting".into(), Arc::default());
        let observes = Arc::clone(&filter).observe(observed, next());
        let request = http::Request::builder().uri("/read").body(Body::from("all of it")).unwrap();
        let response = observes.call(request).await;
        let would = response.extensions().get::<WouldRefuse>().unwrap();
        assert_eq!(would.0[0].reason, "answered", "it had its note");
        assert_eq!(filter.looked.load(Relaxed), 3);
    }
}
