//! A request body on its way to the upstream; distinguishes a slow client from a slow upstream.

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;

/// The progress of an upload. The upstream's timeout runs only while we are not waiting for the client.
#[derive(Default)]
pub(super) struct Progress {
    steps: AtomicUsize,
    waits_for_client: AtomicBool,
    complete: AtomicBool,
    /// When it became complete.
    completed: OnceLock<Instant>,
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

    /// Since when it has been complete.
    pub fn completed(&self) -> Option<Instant> {
        self.completed.get().copied()
    }
}

pub(super) struct Upload {
    source: Source,
    progress: Option<Arc<Progress>>,
}

/// Where the bytes come from.
enum Source {
    Client(Body),
    Replayed(Replayed),
}

impl Upload {
    /// Without `progress` there is nothing to send.
    pub fn new(body: Body) -> Self {
        let progress = (!body.is_end_stream()).then(Arc::default);
        Self { source: Source::Client(body), progress }
    }

    /// An upload that can begin again, see [`Replay`].
    pub fn replayed(replay: &Replay) -> Self {
        let source = Source::Replayed(Replayed { replay: replay.clone(), next: 0 });
        Self { source, progress: Some(Arc::default()) }
    }

    pub fn empty() -> Self {
        Self { source: Source::Client(Body::empty()), progress: None }
    }

    /// The client's body. Empty if it is replayed.
    pub fn into_body(self) -> Body {
        match self.source {
            Source::Client(body) => body,
            Source::Replayed(_) => Body::empty(),
        }
    }

    /// The body, kept up to `room` bytes, so that it can be sent again.
    pub fn into_replay(self, room: usize) -> Replay {
        match self.source {
            Source::Client(body) => Replay::new(body, room),
            Source::Replayed(replayed) => replayed.replay,
        }
    }

    pub fn progress(&self) -> Option<Arc<Progress>> {
        self.progress.clone()
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = match &mut self.source {
            Source::Client(body) => Pin::new(body).poll_frame(cx),
            Source::Replayed(replayed) => replayed.poll_frame(cx),
        };
        if let Some(progress) = &self.progress {
            progress.waits_for_client.store(polled.is_pending(), Ordering::Relaxed);
            progress.steps.fetch_add(1, Ordering::Relaxed);
            let ended = matches!(polled, Poll::Ready(None | Some(Err(_))));
            let complete = ended || self.is_end_stream();
            progress.complete.store(complete, Ordering::Relaxed);
            if complete {
                progress.completed.get_or_init(Instant::now);
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Client(body) => body.is_end_stream(),
            Source::Replayed(replayed) => replayed.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Client(body) => body.size_hint(),
            Source::Replayed(replayed) => replayed.replay.0.lock().whole,
        }
    }
}

/// The body of a request that may be sent again: what was read of it is kept, up to a limit.
#[derive(Clone)]
pub(super) struct Replay(Arc<Mutex<Shared>>);

struct Shared {
    body: Body,
    /// What was read, unless it was more than `room`.
    read: Vec<Frame<Bytes>>,
    room: usize,
    /// Whether more was read than is kept.
    lost: bool,
    ended: bool,
    whole: SizeHint,
}

impl Replay {
    /// Keeps up to `room` bytes of `body`.
    pub fn new(body: Body, room: usize) -> Self {
        let whole = body.size_hint();
        Self(Arc::new(Mutex::new(Shared { body, read: Vec::new(), room, lost: false, ended: false, whole })))
    }

    /// Whether an upload can begin again.
    pub fn is_whole(&self) -> bool {
        !self.0.lock().lost
    }
}

/// One upload of a replayed body.
struct Replayed {
    replay: Replay,
    /// The index of the next frame.
    next: usize,
}

impl Replayed {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut shared = self.replay.0.lock();
        if let Some(frame) = shared.read.get(self.next).and_then(copy) {
            self.next += 1;
            return Poll::Ready(Some(Ok(frame)));
        }
        let polled = Pin::new(&mut shared.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) if !shared.lost => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                match (shared.room.checked_sub(length), copy(frame)) {
                    (Some(room), Some(copy)) => {
                        shared.room = room;
                        shared.read.push(copy);
                        self.next += 1;
                    }
                    _ => {
                        shared.lost = true;
                        shared.read = Vec::new();
                    }
                }
            }
            // What failed once would fail again.
            Poll::Ready(Some(Err(_))) => shared.lost = true,
            Poll::Ready(None) => shared.ended = true,
            _ => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        let shared = self.replay.0.lock();
        self.next >= shared.read.len() && (shared.ended || shared.body.is_end_stream())
    }
}

fn copy(frame: &Frame<Bytes>) -> Option<Frame<Bytes>> {
    match (frame.data_ref(), frame.trailers_ref()) {
        (Some(data), _) => Some(Frame::data(data.clone())),
        (None, Some(trailers)) => Some(Frame::trailers(trailers.clone())),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, StreamBody};

    fn body(pieces: &'static [&'static str]) -> Body {
        let pieces = pieces.iter().map(|piece| Ok::<_, axum::Error>(Frame::data(Bytes::from_static(piece.as_bytes()))));
        Body::new(StreamBody::new(futures_util::stream::iter(pieces)))
    }

    async fn all(upload: Upload) -> Bytes {
        upload.collect().await.unwrap().to_bytes()
    }

    #[tokio::test]
    async fn a_kept_body_is_sent_again_from_its_beginning() {
        let replay = Replay::new(body(&["one", "two", "three"]), 11);
        let mut first = Upload::replayed(&replay);
        assert_eq!(first.frame().await.unwrap().unwrap().into_data().unwrap(), "one");
        drop(first);
        assert!(replay.is_whole());
        assert_eq!(all(Upload::replayed(&replay)).await, "onetwothree");
        assert_eq!(all(Upload::replayed(&replay)).await, "onetwothree");
    }

    #[tokio::test]
    async fn a_body_that_is_too_long_to_keep_is_sent_once() {
        let replay = Replay::new(body(&["one", "two", "three"]), 10);
        assert_eq!(all(Upload::replayed(&replay)).await, "onetwothree");
        assert!(!replay.is_whole());
    }
}
