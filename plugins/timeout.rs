//! Answers 504 when the rest of the chain takes too long, and cuts answers that stall.

use axum::response::IntoResponse;
use bytes::Bytes;
use gatewright_sdk::plugin::Setting;
use gatewright_sdk::{Body, Context, Fault, HttpService, HumanDuration, Plugin, Problem, Refusal, Reply, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use schemars::JsonSchema;
use serde::Deserialize;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context as Polling, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// Answers 504 when the rest of the chain takes too long, and cuts answers that stall.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeout {
    /// The longest a request may take until the head of its answer is there; then the client gets 504 and the work is
    /// given up.
    request: HumanDuration,
    /// The longest silence in the middle of an answer; then it is broken off, and the client can tell. Event streams
    /// and large downloads may take as long as they like while something keeps coming.
    stream_idle: HumanDuration,
}

impl Default for Timeout {
    fn default() -> Self {
        Self { request: HumanDuration::from_secs(10), stream_idle: HumanDuration::from_secs(60) }
    }
}

impl Plugin for Timeout {
    const NAME: &'static str = "timeout";

    fn install(&self, context: &Context<'_>, next: HttpService) -> Result<HttpService, Fault> {
        let (limit, idle) = (self.request.get(), self.stream_idle.get());
        let place: Arc<str> = context.place.into();
        Ok(HttpService::from_call(move |request| match next.call(request) {
            Reply::Ready(response) => Reply::Ready(response.map(|mut response| {
                // An answer that was there at once and knows its length is complete in memory.
                if response.body().size_hint().exact().is_none() {
                    guard(&mut response, idle);
                }
                response
            })),
            Reply::Pending(future) => {
                let place = Arc::clone(&place);
                Reply::pending(async move {
                    let Some(mut response) = within(limit, future).await else {
                        let mut response = Problem::gateway_timeout().told("timeout").into_response();
                        Refusal::sign(&mut response, &place);
                        return response;
                    };
                    guard(&mut response, idle);
                    response
                })
            }
        }))
    }

    fn validate(&self, _: &Setting<'_>) -> Vec<Fault> {
        let zero = |(path, duration): (&str, HumanDuration)| {
            duration
                .is_zero()
                .then(|| Fault::new(path, "a timeout of zero fails every request").help("write 10s or so"))
        };
        [("request", self.request), ("stream_idle", self.stream_idle)].into_iter().filter_map(zero).collect()
    }
}

/// What `future` gives, or `None` after `limit`. The timer is made when the first poll finds nothing.
async fn within<F: Future + Unpin>(limit: Duration, mut future: F) -> Option<F::Output> {
    let mut timer = pin!(None::<Sleep>);
    poll_fn(move |cx| {
        if let Poll::Ready(output) = Pin::new(&mut future).poll(cx) {
            return Poll::Ready(Some(output));
        }
        if timer.is_none() {
            timer.set(Some(sleep(limit)));
        }
        match timer.as_mut().as_pin_mut() {
            Some(timer) => timer.poll(cx).map(|()| None),
            None => Poll::Pending,
        }
    })
    .await
}

/// Has the body of `response` watched, unless there is none.
fn guard(response: &mut Response, idle: Duration) {
    if !response.body().is_end_stream() {
        let inner = std::mem::take(response.body_mut());
        *response.body_mut() = Body::new(Watched { inner, idle, timer: None, waiting: false });
    }
}

/// A body that ends with an error when it stays silent for `idle`.
struct Watched {
    inner: Body,
    idle: Duration,
    /// Made at the first silence, then used again.
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether the timer runs for the present silence.
    waiting: bool,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Polling<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            this.waiting = false;
            return Poll::Ready(frame);
        }
        let end = Instant::now() + this.idle;
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(end)));
        if !std::mem::replace(&mut this.waiting, true) {
            timer.as_mut().reset(end);
        }
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Some(Err(axum::Error::new(Stalled(this.idle)))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Nothing came for so long.
#[derive(Debug)]
struct Stalled(Duration);

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the answer stalled for {:?}", self.0)
    }
}

impl std::error::Error for Stalled {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::testing::{answers, bytes, faults, header, install, request};
    use futures_util::{StreamExt, stream};
    use http_body_util::BodyExt;
    use serde_json::json;
    use std::convert::Infallible;

    fn short() -> serde_json::Value {
        json!({ "request": "1s", "stream_idle": "2s" })
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_answer_is_504_in_the_plugins_name() {
        let service = install::<Timeout>(short(), HttpService::from_fn(|_| std::future::pending::<Response>()));
        let response = service.call(request("GET", &[])).await;
        assert_eq!(response.status(), 504);
        let refusal = response.extensions().get::<Refusal>().unwrap();
        assert_eq!((refusal.plugin.as_deref(), &*refusal.reason), (Some("test/timeout"), "timeout"));
        assert_eq!(header(&response, "content-type"), "application/json");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_just_in_time_passes() {
        let slow = HttpService::from_fn(|_| async {
            sleep(Duration::from_millis(900)).await;
            "made it"
        });
        let response = install::<Timeout>(short(), slow).call(request("GET", &[])).await;
        assert_eq!(bytes(response).await, b"made it");
    }

    /// An endless answer: three pieces a second and a half apart, then silence.
    fn stalling() -> Body {
        let pieces = stream::iter(0..3).then(|_| async {
            sleep(Duration::from_millis(1500)).await;
            Ok::<_, Infallible>("piece")
        });
        Body::from_stream(pieces.chain(stream::pending()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_stalled_stream_is_cut_and_a_lively_one_is_not() {
        for next in [answers(|_| stalling()), HttpService::from_fn(|_| async { stalling() })] {
            let mut body = install::<Timeout>(short(), next).call(request("GET", &[])).await.into_body();
            let start = Instant::now();
            for _ in 0..3 {
                assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "piece");
            }
            let error = body.frame().await.unwrap().unwrap_err();
            assert!(error.to_string().contains("stalled"), "{error}");
            assert_eq!(start.elapsed().as_millis() / 100, 65, "4.5 s of pieces, then 2 s of silence");
        }
    }

    #[tokio::test]
    async fn an_answer_in_memory_stays_as_it_is() {
        let reply = install::<Timeout>(short(), answers(|_| "here")).call(request("GET", &[]));
        let Reply::Ready(Some(response)) = reply else { panic!("the answer was there at once") };
        assert_eq!(response.body().size_hint().exact(), Some(4));
    }

    #[test]
    fn zero_is_a_fault_in_either_place() {
        let found = faults::<Timeout>(json!({ "request": "0s", "stream_idle": "0ms" }), false);
        assert!(found[0].starts_with("request: ") && found[1].starts_with("stream_idle: "), "{found:?}");
        assert!(faults::<Timeout>(json!({ "request": [1] }), false)[0].starts_with("request: "));
        assert!(faults::<Timeout>(json!({ "requst": "1s" }), false)[0].contains("requst"));
    }
}
