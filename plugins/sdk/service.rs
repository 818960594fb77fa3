//! The one service type of the gateway: always ready, infallible, and cheap to clone.

use crate::Problem;
use axum::body::Body;
use axum::response::IntoResponse;
use bytes::Bytes;
use futures_util::FutureExt;
use http_body::Body as HttpBody;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tower::{BoxError, Layer, Service};

pub type Request = http::Request<Body>;
pub type Response = http::Response<Body>;

/// The response to a request: ready, or pending. A ready response passes through the chain without an allocation or a
/// second poll; most fixed responses and rejections are ready.
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

    /// Applies `change` to the response, now or once it is ready.
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

/// Behind [`HttpService`]. The request stays in its place and is passed by reference, because it is large.
pub(crate) trait Call: Send + Sync {
    /// Takes the request, or passes it on. It is there.
    fn call(&self, request: &mut Option<Request>) -> Reply;
}

/// Anything that responds to HTTP requests: a target, a plugin in front of it, a whole chain.
#[derive(Clone)]
pub struct HttpService(Arc<dyn Call>);

impl std::fmt::Debug for HttpService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HttpService")
    }
}

impl HttpService {
    pub fn call(&self, request: Request) -> Reply {
        self.0.call(&mut Some(request))
    }

    pub(crate) fn from_calls(call: impl Call + 'static) -> Self {
        Self(Arc::new(call))
    }

    /// Like [`HttpService::call`], without moving the request.
    pub(crate) fn pass(&self, request: &mut Option<Request>) -> Reply {
        self.0.call(request)
    }

    /// A service from a function that returns a [`Reply`].
    pub fn from_call(call: impl Fn(Request) -> Reply + Send + Sync + 'static) -> Self {
        struct Direct<F>(F);
        impl<F: Fn(Request) -> Reply + Send + Sync> Call for Direct<F> {
            fn call(&self, request: &mut Option<Request>) -> Reply {
                request.take().map_or_else(|| Reply::ready(Problem::internal()), &self.0)
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

    /// A service from any infallible tower service, including `axum::Router`.
    pub fn new<S, B>(service: S) -> Self
    where
        S: Service<Request, Response = http::Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send,
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self::from_call(move |request| {
            let mut service = service.clone();
            // Nearly every service is ready at once; then only its future is boxed, without the request.
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

    /// Wraps it in a tower layer.
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

/// A gatewright service is a tower service, so any tower layer can wrap it.
impl Service<Request> for HttpService {
    type Response = Response;
    type Error = Infallible;
    type Future = futures_util::future::Map<Reply, fn(Response) -> Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        FutureExt::map(Self::call(self, request), Ok as fn(Response) -> Result<Response, Infallible>)
    }
}
