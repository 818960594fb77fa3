//! The one service type of the gateway: always ready, never fails, and a clone is one count.

use crate::{Answered, Problem};
use axum::body::Body;
use axum::response::IntoResponse;
use bytes::Bytes;
use futures_util::FutureExt;
use http_body::Body as HttpBody;
use std::convert::Infallible;
use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use tower::{BoxError, Layer, Service};

pub type Request = http::Request<Body>;
pub type Response = http::Response<Body>;

/// The answer to a request: there already, or still to come. An answer that is there costs no allocation and no
/// second poll on its way out through the chain; most fixed answers and refusals are.
pub enum Reply {
    Ready(Option<Box<Response>>),
    Pending(Pin<Box<dyn Future<Output = Response> + Send>>),
}

impl Reply {
    pub fn ready(response: impl IntoResponse) -> Self {
        Self::Ready(Some(Box::new(response.into_response())))
    }

    pub fn pending(future: impl Future<Output = Response> + Send + 'static) -> Self {
        Self::Pending(Box::pin(future))
    }

    /// Applies `change` to the response, at once or when it comes.
    pub fn map(self, change: impl FnOnce(&mut Response) + Send + 'static) -> Self {
        match self {
            Self::Ready(Some(mut response)) => {
                change(&mut response);
                Self::Ready(Some(response))
            }
            Self::Ready(None) => Self::Ready(None),
            Self::Pending(future) => Self::pending(async move {
                let mut response = future.await;
                change(&mut response);
                response
            }),
        }
    }
}

impl Future for Reply {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response> {
        match &mut *self {
            Self::Ready(response) => Poll::Ready(*response.take().expect("a reply is not polled after it was given")),
            Self::Pending(future) => future.as_mut().poll(cx),
        }
    }
}

trait Call: Send + Sync {
    fn call(&self, request: Request) -> Reply;
}

/// Anything that answers HTTP requests: a target, a plugin in front of it, a whole chain.
#[derive(Clone)]
pub struct HttpService(Arc<dyn Call>);

impl std::fmt::Debug for HttpService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HttpService")
    }
}

/// A plugin that looks at the request on its way in and at the response on its way out, without waiting in between.
/// It costs no allocation where the answer is there at once.
pub trait Filter: Send + Sync + 'static {
    /// What the request phase leaves for the response phase of the same exchange.
    type Ticket: Send + 'static;

    /// Whether [`Filter::response`] does anything. Without it the filter leaves the way out untouched.
    const RESPONDS: bool = true;

    /// Lets the request pass (`Continue`), or answers it (`Break`): a [`Problem`] refuses it, any other response does not.
    /// Either is reported with this filter's place in spans, logs and metrics.
    fn request(&self, request: &mut Request) -> ControlFlow<Response, Self::Ticket>;

    /// Changes the response of a request that passed.
    fn response(&self, _ticket: Self::Ticket, _response: &mut Response) {}
}

impl HttpService {
    pub fn call(&self, request: Request) -> Reply {
        self.0.call(request)
    }

    /// A service from a function that gives its [`Reply`] itself.
    pub fn from_call(call: impl Fn(Request) -> Reply + Send + Sync + 'static) -> Self {
        struct Direct<F>(F);
        impl<F: Fn(Request) -> Reply + Send + Sync> Call for Direct<F> {
            fn call(&self, request: Request) -> Reply {
                (self.0)(request)
            }
        }
        Self(Arc::new(Direct(call)))
    }

    /// A service from an async function.
    pub fn from_fn<F, Fut, R>(call: F) -> Self
    where
        F: Fn(Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: IntoResponse + 'static,
    {
        Self::from_call(move |request| Reply::pending(call(request).map(IntoResponse::into_response)))
    }

    /// A service from any infallible tower service, `axum::Router` included.
    pub fn new<S, B>(service: S) -> Self
    where
        S: Service<Request, Response = http::Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send,
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self::from_call(move |request| {
            let mut service = service.clone();
            // Nearly every service is ready at once: then only its future is boxed, not the request with it.
            match service.poll_ready(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Ok(())) => Reply::Pending(Box::pin(service.call(request).map(infallible))),
                Poll::Pending => Reply::pending(async move {
                    match std::future::poll_fn(|cx| service.poll_ready(cx)).await {
                        Ok(()) => infallible(service.call(request).await),
                        Err(never) => match never {},
                    }
                }),
                Poll::Ready(Err(never)) => match never {},
            }
        })
    }

    /// Puts a tower layer in front.
    pub fn layer<L, B>(self, layer: L) -> Self
    where
        L: Layer<Self>,
        L::Service: Service<Request, Response = http::Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Future: Send,
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self::new(layer.layer(self))
    }

    /// Puts a filter in front; `place` is who is named when it refuses or answers.
    pub(crate) fn filter<F: Filter>(self, place: Arc<str>, filter: F) -> Self {
        Self(Arc::new(Filtered { filter: Arc::new(filter), place, next: self }))
    }
}

fn infallible<B>(result: Result<http::Response<B>, Infallible>) -> Response
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    match result {
        Ok(response) => response.map(Body::new),
        Err(never) => match never {},
    }
}

struct Filtered<F> {
    filter: Arc<F>,
    place: Arc<str>,
    next: HttpService,
}

impl<F: Filter> Call for Filtered<F> {
    fn call(&self, mut request: Request) -> Reply {
        match self.filter.request(&mut request) {
            ControlFlow::Continue(_) if !F::RESPONDS => self.next.call(request),
            ControlFlow::Continue(ticket) => match self.next.call(request) {
                Reply::Ready(Some(mut response)) => {
                    self.filter.response(ticket, &mut response);
                    Reply::Ready(Some(response))
                }
                Reply::Ready(None) => Reply::ready(Problem::internal()),
                Reply::Pending(future) => {
                    let filter = Arc::clone(&self.filter);
                    Reply::Pending(Box::pin(Awaited { future, filter, ticket: Some(ticket) }))
                }
            },
            ControlFlow::Break(mut response) => {
                Answered::sign(&mut response, &self.place);
                Reply::Ready(Some(Box::new(response)))
            }
        }
    }
}

struct Awaited<F: Filter> {
    future: Pin<Box<dyn Future<Output = Response> + Send>>,
    filter: Arc<F>,
    ticket: Option<F::Ticket>,
}

/// Nothing in it is pinned in place: the future has its own box.
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

/// A gatewright service is a tower service, so that any tower layer fits around it.
impl Service<Request> for HttpService {
    type Response = Response;
    type Error = Infallible;
    type Future = futures_util::future::Map<Reply, fn(Response) -> Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        FutureExt::map(self.0.call(request), Ok as fn(Response) -> Result<Response, Infallible>)
    }
}
