//! Passes the requests of a connection to the application, and sends the responses.

use super::application::{Application, Arrival, Outdated};
use super::body::{Answer, Answering};
use super::deadlines::Deadlines;
use super::listening::Stage;
use super::rest::{Discard, Rest};
use crate::admission;
use crate::tunnel;
use axum::body::Body;
use bytes::Bytes;
use gatewright_sdk::Response;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HeaderValue};
use http::{Method, Request, StatusCode, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use rustls::pki_types::CertificateDer;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Passes the requests of one connection to the application.
pub(super) struct Front<A> {
    pub(super) application: Arc<A>,
    pub(super) arrival: Arrival,
    /// The certificates that the client has presented.
    pub(super) presented: Option<Arc<[CertificateDer<'static>]>>,
    pub(super) deadlines: Arc<Deadlines>,
}

impl<A: Application> hyper::service::Service<Request<Incoming>> for Front<A> {
    type Response = http::Response<ResponseBody>;
    type Error = Infallible;
    type Future = Responding<A::Future>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let refused = self.deadlines.refuses_streams();
        if !refused && tunnel::is_requested(request.version(), request.method(), request.extensions()) {
            request.extensions_mut().insert(tunnel::Held::new(OpenTunnel::new(&self.deadlines)));
        }
        let with_body = !request.body().is_end_stream();
        let open = Open::new(&self.deadlines, with_body, refused);
        let (head, http10) = (*request.method() == Method::HEAD, request.version() == Version::HTTP_10);
        let switching = admission::is_upgrade_requested(request.version(), request.headers());
        // The streams of HTTP/2 end one by one.
        let rest = (with_body && request.version() != Version::HTTP_2)
            .then(|| Arc::new(Rest::new(request.body().size_hint().exact())));
        let withheld = rest.is_some() && request.headers().contains_key(EXPECT);
        let outdated = if self.deadlines.is_outdated()
            && !self.deadlines.listening.terms().accept(self.presented.as_deref().unwrap_or_default())
        {
            Some(Outdated::Certificates)
        } else {
            refused.then_some(Outdated::Ignored)
        };
        let answering = with_body.then(Answering::default);
        let arrival = Arrival { rest: rest.clone(), answering: answering.clone(), outdated, ..self.arrival.clone() };
        let answer = self.application.call(arrival, request);
        Responding {
            answer,
            rest: rest.map(|rest| (rest, withheld)),
            discarding: None,
            answering,
            open: Some(open),
            head,
            http10,
            switching,
        }
    }
}

/// An open exchange: from the request's head until the last byte of the response is handed over.
struct Open {
    deadlines: Arc<Deadlines>,
    /// Whether the connection stays open for it. Not for one that is refused.
    keeps: bool,
}

impl Open {
    fn new(deadlines: &Arc<Deadlines>, with_body: bool, refused: bool) -> Self {
        if !refused {
            deadlines.begin_exchange(with_body);
        }
        Self { deadlines: Arc::clone(deadlines), keeps: !refused }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.keeps {
            self.deadlines.end_exchange();
        }
    }
}

/// An HTTP/2 stream that carries another protocol, or may soon.
struct OpenTunnel(Arc<Deadlines>);

impl OpenTunnel {
    fn new(deadlines: &Arc<Deadlines>) -> Self {
        deadlines.begin_tunnel();
        Self(Arc::clone(deadlines))
    }
}

impl Drop for OpenTunnel {
    fn drop(&mut self) {
        self.0.end_tunnel();
    }
}

/// A pending response.
pub(super) struct Responding<F> {
    answer: F,
    /// The body of the request, if it may be left unread, and whether the client waits for `100 Continue` before it sends it.
    rest: Option<(Arc<Rest>, bool)>,
    /// The response, while what is left of the body arrives.
    discarding: Option<Box<(Response, Discard)>>,
    answering: Option<Answering>,
    open: Option<Open>,
    /// Whether only the head of the response is wanted (RFC 9110 section 9.3.2).
    head: bool,
    http10: bool,
    /// Whether the client asked for another protocol.
    switching: bool,
}

impl<F: Future<Output = Response> + Unpin> Future for Responding<F> {
    type Output = Result<http::Response<ResponseBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (mut response, complete) = ready!(self.poll_complete(cx));
        let open = self.open.take();
        if let Some(Open { deadlines, .. }) = &open {
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                deadlines.upgrade();
            } else if self.switching
                || !complete
                || ((deadlines.listening.stage() != Stage::Open || deadlines.is_outdated())
                    && !deadlines.is_multiplexed())
            {
                // What follows a refused request for another protocol may be in that protocol.
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            // hyper does this itself for HTTP/1.
            if self.head && deadlines.is_multiplexed() {
                response = without_content(response);
            }
        }
        if self.http10 {
            end_http10(&mut response);
        }
        let answer = self.answering.take().map(Answering::begin);
        let body = |body| ResponseBody { body, rest: Bytes::new(), open, _answer: answer, handed_over: false };
        Poll::Ready(Ok(response.map(body)))
    }
}

impl<F: Future<Output = Response> + Unpin> Responding<F> {
    /// The response, and whether the whole request was received.
    fn poll_complete(&mut self, cx: &mut Context<'_>) -> Poll<(Response, bool)> {
        let (response, mut discard) = match self.discarding.take() {
            Some(discarding) => *discarding,
            None => {
                let response = ready!(Pin::new(&mut self.answer).poll(cx));
                let Some((rest, withheld)) = self.rest.take() else { return Poll::Ready((response, true)) };
                let succeeded = response.status().is_success();
                (response, Discard::new(rest, succeeded, withheld))
            }
        };
        if let Poll::Ready(complete) = discard.poll(cx) {
            return Poll::Ready((response, complete));
        }
        self.discarding = Some(Box::new((response, discard)));
        Poll::Pending
    }
}

/// Announces in an HTTP/1.0 response that the connection closes, if it does: without chunks, only that ends a body of
/// unknown length (RFC 9112 section 6.3). If the client asked for `keep-alive`, hyper would promise it whatever the
/// response says, unless the response is HTTP/1.0 itself.
#[cold]
fn end_http10(response: &mut Response) {
    if response.body().size_hint().exact().is_none() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if response.headers().contains_key(CONNECTION) {
        *response.version_mut() = Version::HTTP_10;
    }
}

/// The response without its content; the content length is kept.
#[cold]
fn without_content(mut response: Response) -> Response {
    if let Some(length) = response.body().size_hint().exact().filter(|length| *length > 0) {
        response.headers_mut().entry(CONTENT_LENGTH).or_insert(HeaderValue::from(length));
    }
    response.map(|_| Body::empty())
}

/// The maximum handed to HTTP/2 at once. It buffers whatever it gets, even beyond the client's window, and we could no
/// longer tell whether the client is reading.
const PORTION: usize = 64 * 1024;

/// The body of a response on its way out.
pub(super) struct ResponseBody {
    body: Body,
    /// The rest of a chunk that was too large.
    rest: Bytes,
    open: Option<Open>,
    /// Set while the body is sent, if the request has one.
    _answer: Option<Answer>,
    /// HTTP/2 polls for more only after the client has read enough of what it has.
    handed_over: bool,
}

impl ResponseBody {
    fn is_multiplexed(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.deadlines.is_multiplexed())
    }

    fn note(&mut self, handed_over: bool) {
        let Some(Open { deadlines, .. }) = &self.open else { return };
        if handed_over != std::mem::replace(&mut self.handed_over, handed_over) {
            if handed_over { deadlines.block() } else { deadlines.unblock() }
        }
    }

    /// At most one portion, from the rest or from the body.
    fn poll_portion(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => self.rest = data,
                Some(Ok(Err(other))) => return Poll::Ready(Some(Ok(other))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        let portion = self.rest.split_to(self.rest.len().min(PORTION));
        Poll::Ready(Some(Ok(Frame::data(portion))))
    }
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if !self.is_multiplexed() {
            return Pin::new(&mut self.body).poll_frame(cx);
        }
        let portion = self.poll_portion(cx);
        self.note(matches!(portion, Poll::Ready(Some(Ok(_)))));
        portion
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    /// Called before the first portion.
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        self.note(false);
    }
}
