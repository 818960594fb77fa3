//! Responds with 504 if the rest of the chain takes too long, and aborts responses that stall.

mod timer;
mod upload;

use axum::response::IntoResponse;
use bytes::Bytes;
use gatewright_sdk::limits::{Bound, Limit};
use gatewright_sdk::{
    Body, CheckContext, Code, Compiled, Contract, Facts, Fault, HttpService, HumanDuration, Plugin, Problem, Refusal,
    Reply, Request, Response, Traits,
};
use http_body::{Body as HttpBody, Frame, SizeHint};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Polling, Poll, ready};
use std::time::Duration;
use timer::Timer;
use tokio::time::{Instant, Sleep, sleep_until};
use upload::Progress;

/// Limits how long a request may take to get a response, and how long a response may pause.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeout {
    /// Maximum time from the end of the request to the response head. Then the client gets 504 and the work is canceled.
    /// The time does not run while the client is still sending its body: `body_idle_timeout` of the listener limits
    /// pauses, and the client gets 408.
    request: HumanDuration,
    /// Maximum pause within a response. Then the response is cut off in a way the client can detect. Event streams and
    /// large downloads may take any time as long as data keeps coming.
    stream_idle: HumanDuration,
}

impl Default for Timeout {
    fn default() -> Self {
        Self { request: HumanDuration::from_secs(10), stream_idle: HumanDuration::from_secs(60) }
    }
}

impl Plugin for Timeout {
    const NAME: &'static str = "timeout";

    fn compile(self, _: &CheckContext<'_>) -> Compiled {
        let zero = |(path, duration): (&str, HumanDuration)| {
            duration.is_zero().then(|| {
                Fault::new(path, "a timeout of zero fails every request")
                    .code(Code::ZERO)
                    .help("write a time such as `10s`")
            })
        };
        let faults = [("request", self.request), ("stream_idle", self.stream_idle)].into_iter().filter_map(zero);
        let bounds = vec![
            Bound { path: "request", limit: Limit::Head(self.request) },
            Bound { path: "stream_idle", limit: Limit::Silence(self.stream_idle) },
        ];
        let own = (self.request.get(), self.stream_idle.get());
        let compiled = Compiled::layer(move |place, next| cut_off(own, place.name.into(), next));
        let contract = Contract::rejects(&[504]);
        compiled.traits(Traits { bounds, contract, ..Traits::default() }).faults(faults)
    }
}

/// Applies the plugin's timeouts, `own`, or those of the route to `next`.
fn cut_off(own: (Duration, Duration), place: Arc<str>, next: HttpService) -> HttpService {
    HttpService::from_call(move |mut request| {
        let (limit, idle) = limits_of(&request, own);
        let facts = Facts::of_mut(&mut request);
        facts.request_timeout = Some(facts.request_timeout.map_or(limit, |outer| outer.min(limit)));
        let upload = Progress::watch(&mut request);
        match next.call(request) {
            Reply::Ready(response) => Reply::Ready(response.map(|mut response| {
                // A ready response with a known length is complete in memory.
                if response.body().size_hint().exact().is_none() {
                    guard(&mut response, idle);
                }
                response
            })),
            Reply::Pending(future) => {
                let place = Arc::clone(&place);
                Reply::pending(async move {
                    let Some(mut response) = within(limit, upload.as_deref(), future).await else {
                        let mut response = Problem::gateway_timeout().reason("timeout").into_response();
                        Refusal::sign(&mut response, &place);
                        return response;
                    };
                    guard(&mut response, idle);
                    response
                })
            }
        }
    })
}

/// The timeouts for `request`: its route may set its own.
fn limits_of(request: &Request, (limit, idle): (Duration, Duration)) -> (Duration, Duration) {
    match &Facts::of(request).limits {
        None => (limit, idle),
        Some(route) => (
            route.request_timeout.map_or(limit, HumanDuration::get),
            route.stream_idle.map_or(idle, HumanDuration::get),
        ),
    }
}

/// The result of `future`, or `None` after `limit`, not counting the time spent waiting for the client. The timer is
/// created if the first poll is pending.
async fn within<F: Future + Unpin>(limit: Duration, upload: Option<&Progress>, mut future: F) -> Option<F::Output> {
    let mut timer = None;
    poll_fn(move |cx| {
        if let Poll::Ready(output) = Pin::new(&mut future).poll(cx) {
            return Poll::Ready(Some(output));
        }
        while let Some(mut timer) = timer.get_or_insert_with(|| Timer::start(limit)).sleep() {
            ready!(timer.as_mut().poll(cx));
            let begin = upload.map_or(timer.deadline() - limit, Progress::ours_since);
            if begin + limit <= Instant::now() {
                break;
            }
            timer.as_mut().reset(begin + limit);
        }
        Poll::Ready(None)
    })
    .await
}

/// Wraps the body of `response`, unless it is empty.
fn guard(response: &mut Response, idle: Duration) {
    if !response.body().is_end_stream() {
        let inner = std::mem::take(response.body_mut());
        *response.body_mut() = Body::new(Watched { inner, idle, timer: None, waiting: false });
    }
}

/// A body that fails after it has been silent for `idle`.
struct Watched {
    inner: Body,
    idle: Duration,
    /// Created at the first pause, then reused.
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether the timer is set for the current pause.
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

/// Nothing arrived for this long.
#[derive(Debug)]
struct Stalled(Duration);

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the response stalled for {:?}", self.0)
    }
}

impl std::error::Error for Stalled {}

#[cfg(test)]
mod tests;
