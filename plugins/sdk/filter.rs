//! A plugin that sees requests on their way in and responses on their way out, and how it is called.

use crate::observing::{BESIDE, Observed, Observes};
use crate::service::Call;
use crate::{Answered, ByteSize, HttpService, Problem, Reply, Request, Response, WholeBody, whole_body};
use std::any::Any;
use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::Semaphore;

/// What [`Filter::wants_body`] found out about a request, for [`Filter::decide_with`].
pub type Note = Option<Box<dyn Any + Send>>;

/// A plugin that decides about a request on its way in and may change the response on its way out. It allocates nothing
/// unless it has to wait or the response is pending.
pub trait Filter: Send + Sync + 'static {
    /// What the decision passes to [`Filter::admit`] and [`Filter::response`] of the same exchange.
    type Ticket: Send + 'static;

    /// Whether [`Filter::response`] does anything. If not, the filter skips the way out.
    const RESPONDS: bool = true;

    /// If set, the whole body of a request is read before [`Filter::decide`], which gets it from [`WholeBody::of`].
    /// Requests with a larger body get 413.
    fn reads_body(&self) -> Option<ByteSize> {
        None
    }

    /// Whether the body of this request is read; see [`Filter::reads_body`]. What it finds out may be left in the note, so that
    /// [`Filter::decide_with`] need not find it out again.
    fn wants_body(&self, _request: &Request, _note: &mut Note) -> bool {
        true
    }

    /// Reads the request and decides. The request is not changed here.
    fn decide(&self, request: &Request) -> Verdict<Self::Ticket>;

    /// The same with what [`Filter::wants_body`] left about this request. It is not asked about a request without a body.
    fn decide_with(&self, request: &Request, _note: Note) -> Verdict<Self::Ticket> {
        self.decide(request)
    }

    /// What counts the request for as long as it lasts. If the plugin only observes, it is held until the response has been sent,
    /// or until the connection is closed that the request upgrades; otherwise the plugin holds it itself.
    fn held(_ticket: &Self::Ticket) -> Option<Arc<dyn Any + Send + Sync>> {
        None
    }

    /// Changes a request that continues.
    fn admit(&self, _ticket: &mut Self::Ticket, _request: &mut Request) {}

    /// Changes the response to a request that continued.
    fn response(&self, _ticket: Self::Ticket, _response: &mut Response) {}
}

/// The decision of a [`Filter`].
pub enum Verdict<T> {
    /// The request continues.
    Continue(T),
    /// Responds with this: a [`Problem`] rejects the request, any other response answers it. Spans, logs and metrics
    /// report it with the filter's place.
    Break(Response),
    /// The decision takes time.
    Later(Wait<T>),
}

/// A decision that has to wait.
pub struct Wait<T> {
    decision: Decision<T>,
    within: Duration,
    late: Box<Problem>,
}

type Decision<T> = Pin<Box<dyn Future<Output = ControlFlow<Response, T>> + Send>>;

impl<T: Send + 'static> Wait<T> {
    /// The same with another outcome.
    pub(crate) fn map<U>(self, map: impl FnOnce(T) -> ControlFlow<Response, U> + Send + 'static) -> Wait<U> {
        let Self { decision, within, late } = self;
        let decision = Box::pin(async move {
            match decision.await {
                ControlFlow::Continue(outcome) => map(outcome),
                ControlFlow::Break(response) => ControlFlow::Break(response),
            }
        });
        Wait { decision, within, late }
    }

    /// How long it may take.
    pub(crate) const fn within(&self) -> Duration {
        self.within
    }

    /// The decision, or the rejection if it takes too long. `place` is reported then.
    pub(crate) async fn decide(self, place: &str) -> ControlFlow<Response, T> {
        let Self { decision, within, late } = self;
        tokio::time::timeout(within, decision).await.unwrap_or_else(|_| {
            tracing::warn!(plugin = place, ?within, "plugin did not decide in time");
            ControlFlow::Break((*late).into())
        })
    }
}

impl<T> Verdict<T> {
    /// Rejects the request.
    pub fn refuse(problem: Problem) -> Self {
        Self::Break(problem.into())
    }

    /// Waits for `decision`, which owns what it needs of the request. If it takes longer than `within`, the request is
    /// rejected with `late`.
    pub fn later(
        within: Duration,
        late: Problem,
        decision: impl Future<Output = ControlFlow<Response, T>> + Send + 'static,
    ) -> Self {
        Self::Later(Wait { decision: Box::pin(decision), within, late: Box::new(late) })
    }
}

/// A filter of any type, ready to be installed in front of a service.
pub trait DynFilter: Send + Sync {
    /// Installs it in front of `next`; `place` is reported when it rejects or responds.
    fn seat(self: Arc<Self>, place: Arc<str>, next: HttpService) -> HttpService;

    /// Installs it in front of `next` so that it only observes.
    fn observe(self: Arc<Self>, observed: Observed, next: HttpService) -> HttpService;
}

impl<F: Filter> DynFilter for F {
    fn seat(self: Arc<Self>, place: Arc<str>, next: HttpService) -> HttpService {
        HttpService::from_calls(Enforced { filter: self, place, next })
    }

    fn observe(self: Arc<Self>, observed: Observed, next: HttpService) -> HttpService {
        let beside = Arc::new(Semaphore::new(BESIDE));
        HttpService::from_calls(Observes { filter: self, observed, next, beside })
    }
}

/// A filter whose verdict is enforced.
struct Enforced<F> {
    filter: Arc<F>,
    place: Arc<str>,
    next: HttpService,
}

impl<F: Filter> Call for Enforced<F> {
    fn call(&self, passed: &mut Option<Request>) -> Reply {
        let Some(request) = passed else { return Reply::ready(Problem::internal()) };
        let mut note = None;
        match WholeBody::wanted(&*self.filter, request, &mut note) {
            Some(limit) => self.read_first((limit, note), passed),
            None => self.decide(note, passed),
        }
    }
}

impl<F: Filter> Enforced<F> {
    fn decide(&self, note: Note, passed: &mut Option<Request>) -> Reply {
        let Some(request) = passed else { return Reply::ready(Problem::internal()) };
        match self.filter.decide_with(request, note) {
            Verdict::Continue(mut ticket) => {
                self.filter.admit(&mut ticket, request);
                match self.next.pass(passed) {
                    reply if !F::RESPONDS => reply,
                    Reply::Ready(Some(mut response)) => {
                        self.filter.response(ticket, &mut response);
                        Reply::Ready(Some(response))
                    }
                    Reply::Ready(None) => Reply::ready(Problem::internal()),
                    Reply::Pending(future) => {
                        let filter = Arc::clone(&self.filter);
                        Reply::Pending(Box::pin(Awaited { future, filter, ticket: Some(ticket) }))
                    }
                }
            }
            Verdict::Break(mut response) => {
                Answered::sign(&mut response, &self.place);
                Reply::Ready(Some(Box::new(response)))
            }
            Verdict::Later(wait) => match passed.take() {
                Some(request) => self.wait(wait, request),
                None => Reply::ready(Problem::internal()),
            },
        }
    }

    /// Reads the body, and then decides.
    #[cold]
    fn read_first(&self, (limit, note): (ByteSize, Note), passed: &mut Option<Request>) -> Reply {
        let Some(mut request) = passed.take() else { return Reply::ready(Problem::internal()) };
        let (filter, place, next) = (Arc::clone(&self.filter), Arc::clone(&self.place), self.next.clone());
        let limit = whole_body::limit(&request, limit);
        Reply::pending(async move {
            if let Err(problem) = whole_body::read_or_refuse(&mut request, limit).await {
                let mut response = problem.into();
                Answered::sign(&mut response, &place);
                return response;
            }
            Self { filter, place, next }.decide(note, &mut Some(request)).await
        })
    }

    #[cold]
    fn wait(&self, wait: Wait<F::Ticket>, mut request: Request) -> Reply {
        let (filter, place, next) = (Arc::clone(&self.filter), Arc::clone(&self.place), self.next.clone());
        Reply::pending(async move {
            match wait.decide(&place).await {
                ControlFlow::Continue(mut ticket) => {
                    filter.admit(&mut ticket, &mut request);
                    let mut response = next.call(request).await;
                    if F::RESPONDS {
                        filter.response(ticket, &mut response);
                    }
                    response
                }
                ControlFlow::Break(mut response) => {
                    Answered::sign(&mut response, &place);
                    response
                }
            }
        })
    }
}

struct Awaited<F: Filter> {
    future: Pin<Box<dyn Future<Output = Response> + Send>>,
    filter: Arc<F>,
    ticket: Option<F::Ticket>,
}

/// Nothing in it needs pinning: the future is boxed.
impl<F: Filter> Unpin for Awaited<F> {}

impl<F: Filter> Future for Awaited<F> {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response> {
        let mut response = ready!(self.future.as_mut().poll(cx));
        if let Some(ticket) = self.ticket.take() {
            self.filter.response(ticket, &mut response);
        }
        Poll::Ready(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use futures_util::FutureExt;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    /// Waits for as long as the request's `wait` header states, and rejects if `refuse` is set.
    #[derive(Default)]
    struct Patient {
        admitted: AtomicUsize,
    }

    impl Filter for Patient {
        type Ticket = &'static str;

        fn decide(&self, request: &Request) -> Verdict<&'static str> {
            let refuse = request.headers().contains_key("refuse");
            let wait = request.headers().get("wait").and_then(|wait| wait.to_str().ok()?.parse().ok());
            let Some(wait) = wait.map(Duration::from_millis) else { return Verdict::Continue("at once") };
            let late = Problem::unavailable(1).log_reason("late");
            Verdict::later(Duration::from_secs(1), late, async move {
                tokio::time::sleep(wait).await;
                if refuse { ControlFlow::Break(Problem::forbidden().into()) } else { ControlFlow::Continue("later") }
            })
        }

        fn admit(&self, _: &mut &'static str, request: &mut Request) {
            self.admitted.fetch_add(1, Relaxed);
            request.headers_mut().insert("admitted", http::HeaderValue::from_static("yes"));
        }

        fn response(&self, ticket: &'static str, response: &mut Response) {
            response.headers_mut().insert("ticket", http::HeaderValue::from_static(ticket));
        }
    }

    async fn ask(filter: &Arc<Patient>, headers: &[(&'static str, &'static str)]) -> Response {
        let next = HttpService::from_call(|request| {
            assert!(request.headers().contains_key("admitted"));
            Reply::ready("in")
        });
        let mut request = Request::new(Body::empty());
        for (name, value) in headers {
            request.headers_mut().insert(*name, http::HeaderValue::from_static(value));
        }
        Arc::clone(filter).seat("route/patient".into(), next).call(request).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_filter_that_waits_admits_rejects_and_times_out() {
        let filter = Arc::new(Patient::default());
        for (headers, status, ticket) in [
            (&[][..], 200, Some("at once")),
            (&[("wait", "500")], 200, Some("later")),
            (&[("wait", "500"), ("refuse", "")], 403, None),
            (&[("wait", "1500")], 503, None),
        ] {
            let response = ask(&filter, headers).await;
            assert_eq!(response.status(), status, "{headers:?}");
            assert_eq!(response.headers().get("ticket").map(|ticket| ticket.to_str().unwrap()), ticket, "{headers:?}");
            let refusal = response.extensions().get::<crate::Refusal>();
            let named = refusal.and_then(|refusal| refusal.plugin.as_deref());
            assert_eq!(named, (status != 200).then_some("route/patient"), "{headers:?}");
        }
        assert_eq!(filter.admitted.load(Relaxed), 2, "only requests that go on are changed");
    }

    /// Decides and changes nothing.
    struct Idle;

    impl Filter for Idle {
        type Ticket = ();
        const RESPONDS: bool = false;

        fn decide(&self, _: &Request) -> Verdict<()> {
            Verdict::Continue(())
        }
    }

    #[test]
    fn filters_that_neither_wait_nor_respond_allocate_nothing() {
        let idle: Arc<dyn DynFilter> = Arc::new(Idle);
        let at_once = || HttpService::from_call(|_| Reply::Ready(Some(Box::default())));
        let later = || HttpService::from_call(|_| Reply::pending(std::future::ready(Response::default())));
        for target in [at_once(), later()] {
            let behind = |filters: usize| {
                let place: Arc<str> = "route/idle".into();
                let chain =
                    (0..filters).fold(target.clone(), |next, _| Arc::clone(&idle).seat(Arc::clone(&place), next));
                let request = Request::default();
                let counted = allocation_counter::measure(|| {
                    let response = chain.call(request).now_or_never().unwrap();
                    assert_eq!(response.status(), 200);
                });
                (counted.bytes_total, counted.count_total)
            };
            let without = behind(0);
            assert!(without.0 > 0, "something is counted at all");
            assert_eq!(behind(20), without);
        }
    }
}
