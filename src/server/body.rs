//! Limits the size of request bodies, and the time they take.
//!
//! Slow clients are fine as long as they keep sending; silence, or a rate so low that it amounts to silence, ends the
//! request.

use super::rest::Rest;
use crate::terms::RequestTerms;
use axum::body::Body;
use bytes::Bytes;
use gatewright_sdk::body::{BodyTimeout, BodyTooLarge};
use gatewright_sdk::{ByteSize, Problem};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// The minimum average rate of a body, in bytes per second, once one idle time has passed. Otherwise a client that
/// sends a byte now and then could hold its request for the whole body time.
const LEAST_RATE: u64 = 1024;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Limits the body of a request. One whose declared length is too large is rejected before it is read (and before `100
/// Continue` is sent, RFC 9110 section 10.1.1). The limit is computed only if there is a body.
pub(super) fn limited(
    (incoming, rest, answering): (Incoming, &Option<Arc<Rest>>, &Option<Answering>),
    terms: &RequestTerms,
    longest: impl FnOnce() -> ByteSize,
) -> Result<Body, Box<Problem>> {
    if incoming.is_end_stream() {
        return Ok(Body::empty());
    }
    let limit = longest().0;
    if incoming.size_hint().lower() > limit {
        return Err(Box::new(Problem::payload_too_large(ByteSize(limit))));
    }
    let mut body = Limited::new(incoming, limit, terms.body_idle, terms.body_whole);
    body.rest.clone_from(rest);
    body.answering.clone_from(answering);
    // Only the bodies of HTTP/1 are left to a rest.
    body.ends_with_stream = rest.is_none();
    Ok(Body::new(body))
}

/// Whether the response to a request is being sent. Its client may send its body as slowly as it likes meanwhile.
#[derive(Debug, Clone, Default)]
pub struct Answering(Arc<AtomicBool>);

impl Answering {
    pub(super) fn begin(self) -> Answer {
        self.0.store(true, Relaxed);
        Answer(self)
    }

    fn is_under_way(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// A response that is being sent.
pub(super) struct Answer(Answering);

impl Drop for Answer {
    fn drop(&mut self) {
        self.0.0.store(false, Relaxed);
    }
}

/// The stream of the body was reset, though without an error code.
#[derive(Debug, thiserror::Error)]
#[error("the stream was reset before the end of the request body")]
struct CutOff;

/// A body that counts and times what arrives. It starts a timer only when it has to wait.
struct Limited<B: HttpBody<Data = Bytes> + Unpin> {
    /// `None` once it was left to `rest`.
    body: Option<B>,
    rest: Option<Arc<Rest<B>>>,
    answering: Option<Answering>,
    /// Whether it is complete only if its HTTP/2 stream is. hyper ends it without an error if the client resets the stream with `NO_ERROR`.
    ends_with_stream: bool,
    limit: u64,
    received: u64,
    pause: Duration,
    whole: Option<Duration>,
    start: Instant,
    sleep: Option<Pin<Box<Sleep>>>,
    /// Whether `sleep` was set since the last byte arrived.
    armed: bool,
    failed: bool,
}

impl<B: HttpBody<Data = Bytes> + Unpin> Limited<B> {
    fn new(body: B, limit: u64, pause: Duration, whole: Option<Duration>) -> Self {
        let start = Instant::now();
        Self {
            body: Some(body),
            rest: None,
            answering: None,
            ends_with_stream: false,
            limit,
            received: 0,
            pause,
            whole,
            start,
            sleep: None,
            armed: false,
            failed: false,
        }
    }

    fn is_answered(&self) -> bool {
        self.answering.as_ref().is_some_and(Answering::is_under_way)
    }

    /// When the whole body must have arrived.
    fn end(&self) -> Option<Instant> {
        self.whole.map(|whole| self.start + whole)
    }

    /// When the next byte must have arrived.
    fn deadline(&self) -> Instant {
        let earned = Duration::from_secs(self.received / LEAST_RATE);
        let slowest = (!self.is_answered()).then(|| self.start + self.pause.saturating_add(earned));
        let next = Instant::now() + self.pause;
        [self.end(), slowest].into_iter().flatten().fold(next, Instant::min)
    }

    fn poll_timeout(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if !std::mem::replace(&mut self.armed, true) {
                let deadline = self.deadline();
                match &mut self.sleep {
                    Some(sleep) => sleep.as_mut().reset(deadline),
                    None => self.sleep = Some(Box::pin(tokio::time::sleep_until(deadline))),
                }
            }
            if let Some(sleep) = &mut self.sleep {
                ready!(sleep.as_mut().poll(cx));
            }
            // A stream in both directions may pause, as the response goes on. It is looked at again later, since the response may end first.
            if !self.is_answered() || self.end().is_some_and(|end| end <= Instant::now()) {
                return Poll::Ready(());
            }
            self.armed = false;
        }
    }
}

impl<B> HttpBody for Limited<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<Error>,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let failed = self.failed;
        let Some(body) = self.body.as_mut().filter(|_| !failed) else { return Poll::Ready(None) };
        let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) else {
            ready!(self.poll_timeout(cx));
            self.failed = true;
            return Poll::Ready(Some(Err(BodyTimeout(self.start.elapsed()).into())));
        };
        self.armed = false;
        let ended = match &frame {
            None => true,
            Some(Ok(_)) => self.is_end_stream(),
            Some(Err(_)) => false,
        };
        if let (true, Some(rest)) = (ended, &self.rest) {
            rest.complete();
        }
        match frame {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                self.received = self.received.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
                if self.received > self.limit {
                    self.failed = true;
                    return Poll::Ready(Some(Err(BodyTooLarge(self.limit).into())));
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                self.failed = true;
                Poll::Ready(Some(Err(error.into())))
            }
            None if self.ends_with_stream && !self.is_end_stream() => {
                self.failed = true;
                Poll::Ready(Some(Err(CutOff.into())))
            }
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.failed || self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, HttpBody::size_hint)
    }
}

impl<B: HttpBody<Data = Bytes> + Unpin> Drop for Limited<B> {
    fn drop(&mut self) {
        if let (false, Some(rest), Some(body)) = (self.failed, &self.rest, self.body.take()) {
            rest.leave(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{Stream, StreamExt, stream};
    use http_body_util::{BodyExt, StreamBody};
    use std::convert::Infallible;

    const PAUSE: Duration = Duration::from_millis(200);
    const LONG: Duration = Duration::from_secs(3600);

    fn body<S>(pieces: S) -> impl HttpBody<Data = Bytes, Error = Infallible> + Unpin
    where
        S: Stream<Item = usize> + Send + 'static,
    {
        StreamBody::new(pieces.map(|size| Ok(Frame::data(Bytes::from(vec![b'x'; size])))).boxed())
    }

    /// An endless series of chunks, with little time between them.
    fn endless(size: usize) -> impl Stream<Item = usize> + Send {
        stream::repeat(size).then(|size| async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            size
        })
    }

    async fn read<S>(pieces: S, limit: u64, pause: Duration, whole: impl Into<Option<Duration>>) -> Result<usize, u16>
    where
        S: Stream<Item = usize> + Send + 'static,
    {
        match Limited::new(body(pieces), limit, pause, whole.into()).collect().await {
            Ok(all) => Ok(all.to_bytes().len()),
            Err(error) => Err(gatewright_sdk::body::problem(&*error).status().as_u16()),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_cut_at_its_limit() {
        assert_eq!(read(stream::iter([25; 4]), 100, LONG, LONG).await, Ok(100));
        assert_eq!(read(stream::iter([25; 5]), 100, LONG, LONG).await, Err(413));
        assert_eq!(read(endless(25), 100, LONG, LONG).await, Err(413));
    }

    #[tokio::test(start_paused = true)]
    async fn an_ongoing_upload_may_take_any_time() {
        let start = Instant::now();
        let hour = stream::repeat(2048).take(3601).then(|size| async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            size
        });
        assert_eq!(read(hour, u64::MAX, 10 * PAUSE, None).await, Ok(2048 * 3601));
        assert!(start.elapsed() >= LONG);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_pauses_drips_or_takes_too_long_is_given_up() {
        let stopped = stream::iter([10_000]).chain(stream::pending());
        assert_eq!(read(stopped, u64::MAX, PAUSE, LONG).await, Err(408), "it pauses");
        assert_eq!(read(endless(1), u64::MAX, PAUSE, LONG).await, Err(408), "it drips");
        assert_eq!(read(endless(4096), u64::MAX, LONG, PAUSE).await, Err(408), "it takes too long");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_may_pause_while_the_response_is_sent() {
        let answering = Answering::default();
        let pieces = stream::iter([10]).chain(stream::once(async {
            tokio::time::sleep(LONG).await;
            10
        }));
        let mut body = Limited::new(body(pieces.chain(stream::pending())), u64::MAX, PAUSE, None);
        body.answering = Some(answering.clone());
        assert!(body.frame().await.unwrap().is_ok());
        let answer = answering.begin();
        assert!(body.frame().await.unwrap().is_ok(), "it came after an hour");
        let ended = tokio::spawn(async move { body.frame().await.unwrap().map(|_| ()) });
        tokio::time::sleep(LONG).await;
        assert!(!ended.is_finished());
        drop(answer);
        assert!(ended.await.unwrap().unwrap_err().is::<BodyTimeout>(), "the response has ended");
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_for_the_whole_body_does_not_depend_on_the_response() {
        let answering = Answering::default();
        let mut body = Limited::new(body(stream::pending()), u64::MAX, PAUSE, Some(10 * PAUSE));
        body.answering = Some(answering.clone());
        let (start, _answer) = (Instant::now(), answering.begin());
        assert!(body.frame().await.unwrap().unwrap_err().is::<BodyTimeout>());
        assert!(start.elapsed() >= 10 * PAUSE);
    }

    #[tokio::test]
    async fn a_body_is_complete_only_with_its_stream() {
        let mut body = Limited::new(body(stream::iter([10])), u64::MAX, LONG, None);
        body.ends_with_stream = true;
        assert!(body.frame().await.unwrap().is_ok());
        // The body has ended, and says that the stream has not.
        assert!(body.frame().await.unwrap().unwrap_err().is::<CutOff>());
        assert!(body.frame().await.is_none());
    }

    #[tokio::test]
    async fn nothing_follows_a_failure() {
        let mut body = Limited::new(body(stream::iter([10; 2])), 5, LONG, None);
        assert!(body.frame().await.unwrap().is_err());
        assert!(body.is_end_stream());
        assert!(body.frame().await.is_none());
    }
}
