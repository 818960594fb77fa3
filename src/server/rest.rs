//! What is left of a request's body when its response is ready. A little is read and discarded, so that the connection can carry
//! the next request. With more, the connection closes, and the response announces that (RFC 9112 section 9.6).

use bytes::Bytes;
use http_body::Body;
use hyper::body::Incoming;
use parking_lot::Mutex;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// The most that is read, in bytes.
const MOST: u64 = 64 * 1024;

/// How long the response waits for it. Many clients send the body right after the head, and a rejection may be faster.
const PATIENCE: Duration = Duration::from_millis(500);

/// What has become of a body.
#[derive(Debug)]
pub struct Rest<B = Incoming> {
    /// The announced length.
    length: Option<u64>,
    state: Mutex<State<B>>,
}

#[derive(Debug)]
enum State<B> {
    /// It may still be read, such as by an upstream that responds early, or is gone.
    Unread,
    Complete,
    /// No one reads it any more.
    Left(B),
}

impl<B: Body<Data = Bytes> + Unpin> Rest<B> {
    pub(super) const fn new(length: Option<u64>) -> Self {
        Self { length, state: Mutex::new(State::Unread) }
    }

    pub(super) fn complete(&self) {
        *self.state.lock() = State::Complete;
    }

    /// `body` is no longer read by anyone else.
    pub(super) fn leave(&self, body: B) {
        *self.state.lock() = if body.is_end_stream() { State::Complete } else { State::Left(body) };
    }
}

/// Discards the rest of a body.
pub(super) struct Discard<B = Incoming> {
    rest: Arc<Rest<B>>,
    succeeded: bool,
    /// Whether the client sends it only after `100 Continue`.
    withheld: bool,
    discarded: u64,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<B: Body<Data = Bytes> + Unpin> Discard<B> {
    /// `succeeded`: whether the response is a success.
    pub fn new(rest: Arc<Rest<B>>, succeeded: bool, withheld: bool) -> Self {
        Self { rest, succeeded, withheld, discarded: 0, timer: None }
    }

    /// Whether the body is complete now, so that the connection can be used again.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut state = self.rest.state.lock();
        let body = match &mut *state {
            // What is short arrives while the response is sent.
            State::Unread => {
                return Poll::Ready(self.succeeded && self.rest.length.is_none_or(|length| length <= MOST));
            }
            State::Complete => return Poll::Ready(true),
            State::Left(body) => body,
        };
        let length = body.size_hint().exact();
        if self.withheld || length.is_some_and(|left| self.discarded + left > MOST) {
            return Poll::Ready(false);
        }
        while let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) {
            match frame {
                None => return Poll::Ready(true),
                Some(Err(_)) => return Poll::Ready(false),
                Some(Ok(frame)) => {
                    let bytes = frame.data_ref().map_or(0, Bytes::len);
                    self.discarded += u64::try_from(bytes).unwrap_or(u64::MAX);
                    if body.is_end_stream() || self.discarded > MOST {
                        return Poll::Ready(self.discarded <= MOST);
                    }
                }
            }
        }
        // A body of unknown length may be one that never ends.
        if length.is_none() {
            return Poll::Ready(false);
        }
        self.timer.get_or_insert_with(|| Box::pin(sleep(PATIENCE))).as_mut().poll(cx).map(|()| false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{Stream, StreamExt, stream};
    use http_body::{Frame, SizeHint};
    use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
    use std::convert::Infallible;
    use tokio::time::Instant;

    /// A body of which `announced` bytes are announced.
    struct Sent(UnsyncBoxBody<Bytes, Infallible>, Option<u64>);

    impl Body for Sent {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let polled = Pin::new(&mut self.0).poll_frame(cx);
            if let (Poll::Ready(Some(Ok(frame))), Some(left)) = (&polled, self.1) {
                self.1 = Some(left - frame.data_ref().map_or(0, Bytes::len) as u64);
            }
            polled
        }

        fn is_end_stream(&self) -> bool {
            self.1 == Some(0)
        }

        fn size_hint(&self) -> SizeHint {
            self.1.map_or_else(SizeHint::default, SizeHint::with_exact)
        }
    }

    fn left(pieces: impl Stream<Item = usize> + Send + 'static, announced: Option<u64>) -> Arc<Rest<Sent>> {
        let body = StreamBody::new(pieces.map(|size| Ok(Frame::data(Bytes::from(vec![b'x'; size])))));
        let rest = Rest::new(announced);
        rest.leave(Sent(body.boxed_unsync(), announced));
        Arc::new(rest)
    }

    async fn discard(rest: Arc<Rest<Sent>>, withheld: bool) -> (bool, Duration) {
        let (start, mut discard) = (Instant::now(), Discard::new(rest, true, withheld));
        (std::future::poll_fn(|cx| discard.poll(cx)).await, start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_little_is_discarded_and_more_closes_the_connection() {
        let at_once = Duration::ZERO;
        assert_eq!(discard(left(stream::iter([10_000; 4]), Some(40_000)), false).await, (true, at_once));
        assert_eq!(discard(left(stream::iter([10_000; 4]), None), false).await, (true, at_once), "it ends in time");
        assert_eq!(discard(left(stream::iter([10_000; 9]), Some(90_000)), false).await, (false, at_once));
        assert_eq!(discard(left(stream::iter([10_000; 9]), None), false).await, (false, at_once));
        assert_eq!(discard(left(stream::iter([1]), Some(1)), true).await, (false, at_once), "100 Continue is awaited");
        for (length, is_kept) in [(Some(10), true), (Some(70_000), false), (None, true)] {
            let read = || Arc::new(Rest::new(length));
            assert_eq!(discard(read(), false).await, (is_kept, at_once), "it is still being read");
            let mut rejected = Discard::new(read(), false, false);
            assert!(!std::future::poll_fn(|cx| rejected.poll(cx)).await);
        }
        let late = stream::once(async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            5
        });
        assert!(discard(left(late, Some(5)), false).await.0);
        assert!(!discard(left(stream::pending(), Some(5)), false).await.0);
        assert_eq!(discard(left(stream::pending(), None), false).await, (false, at_once));
        let complete = Rest::<Sent>::new(None);
        complete.complete();
        assert_eq!(discard(Arc::new(complete), false).await, (true, at_once));
    }
}
