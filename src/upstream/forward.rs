//! One request to an upstream: picks a backend, sends, waits for the response head, and retries where that is safe.

use super::attempt::Attempt;
use super::connection::Connection;
use super::failure::Failure;
use super::upload::Upload;
use super::{Backend, Upstream, download, headers};
use crate::telemetry::{self, Proxied, propagation};
use gatewright_sdk::{Facts, Problem, Request, Response};
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderValue};
use http::{Extensions, Method, StatusCode, Version};
use http_body::Body as _;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;
use tracing::field::Empty;
use tracing::{Instrument, Span};

type Outgoing = http::Request<Upload>;

/// A request that must not be sent twice uses an idle connection only if it was used within this time. An upstream
/// closes idle connections, and that may cross the request on the wire.
const SURELY_OPEN: Duration = Duration::from_millis(500);

/// The outcome of a request without a response.
enum Lost {
    /// Nothing was sent: the request is returned.
    Unsent(Box<Outgoing>),
    /// It was sent on a connection that ended without a byte of a response.
    Silent(Failure),
    Failed(Failure),
}

impl Upstream {
    /// Serves `request`, whose head is complete except for `Host`.
    pub(super) async fn answer(&self, request: Request) -> Response {
        let is_logged = Facts::of(&request).logged.is_some();
        let (mut parts, body) = request.into_parts();
        let mut attempt = Attempt::new(&self.backends, self.turns.next(), &parts.method);
        let span = self.span(&parts.method);
        if !span.is_disabled() {
            propagation::inject(&span, &mut parts.headers);
            attempt.trace(&span, &parts.uri);
        }
        parts.version = Version::HTTP_11;
        parts.extensions = Extensions::new();
        let outgoing = Outgoing::from_parts(parts, Upload::new(body));
        let answer = self.forward(outgoing, &mut attempt).instrument(span.clone()).await;
        let target = self.backends.get(attempt.backend).map(|backend| Arc::clone(&backend.target));
        let taken = attempt.ends(answer.as_ref().map(Response::status).map_err(Failure::reason));
        let Some(target) = target else { return Problem::bad_gateway().into() };
        let error = answer.as_ref().err().and_then(|failure| failure.describe(&target.address)).map(Arc::from);
        let mut response = answer.unwrap_or_else(|failure| failure.problem().into());
        // An extension is allocated, so there is none that no one reads.
        if is_logged || error.is_some() {
            Proxied { target, taken, error }.attach(&mut response);
        }
        response
    }

    fn span(&self, method: &Method) -> Span {
        // Clients may invent methods; span names must stay bounded.
        let known = telemetry::method(method);
        tracing::info_span!(
            target: "gatewright::upstream",
            "upstream",
            otel.kind = "client",
            otel.name = format_args!("{} {}", if known == "_OTHER" { "HTTP" } else { known }, self.name),
            otel.status_code = Empty,
            http.request.method = known,
            http.request.method_original = (known == "_OTHER").then(|| method.as_str()),
            http.request.resend_count = Empty,
            http.response.status_code = Empty,
            network.protocol.version = "1.1",
            server.address = Empty,
            server.port = Empty,
            error.type = Empty,
            gateway.upstream = &*self.name,
        )
    }

    async fn forward(&self, mut request: Outgoing, attempt: &mut Attempt<'_>) -> Result<Response, Failure> {
        let first = attempt.backend;
        let backend = self.backends.get(first).ok_or_else(no_target)?;
        request.headers_mut().insert(HOST, backend.host.clone());

        // A safe request without a body may be sent again if the idle connection turns out to be closed.
        let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        let repeatable = safe && request.body().is_end_stream();
        if let Some(connection) = backend.pool.take(if repeatable { Duration::MAX } else { SURELY_OPEN }) {
            let spare = repeatable.then(|| copy(&request));
            request = match (self.send(connection, request, backend).await, spare) {
                (Ok(response), _) => return Ok(response),
                (Err(Lost::Unsent(request)), _) => *request,
                (Err(Lost::Silent(_)), Some(spare)) => {
                    attempt.resends = 1;
                    spare
                }
                (Err(Lost::Silent(failure) | Lost::Failed(failure)), _) => return Err(failure),
            };
        }

        let (connection, backend) = match backend.pool.connect().await {
            Ok(connection) => (connection, backend),
            // Nothing was sent, so try the next backend.
            Err(failure) => {
                let next = (first + 1) % self.backends.len();
                let other = self.backends.get(next).ok_or_else(no_target)?;
                if self.backends.len() == 1 {
                    return Err(failure);
                }
                attempt.backend = next;
                request.headers_mut().insert(HOST, other.host.clone());
                let connection = match other.pool.take(SURELY_OPEN) {
                    Some(connection) => connection,
                    None => other.pool.connect().await?,
                };
                (connection, other)
            }
        };
        self.send(connection, request, backend).await.map_err(|lost| match lost {
            Lost::Unsent(_) => Failure::Reset,
            Lost::Silent(failure) | Lost::Failed(failure) => failure,
        })
    }

    async fn send(&self, mut connection: Connection, request: Outgoing, backend: &Backend) -> Result<Response, Lost> {
        let progress = request.body().progress();
        let mut answer = pin!(connection.send(request));
        let mut timer = pin!(tokio::time::sleep(self.response_header));
        let mut steps = 0;
        // The timeout counts from the last progress: the request was sent, or a piece of its body was accepted. It
        // stops while we wait for the client; the listener limits that time.
        let answered = poll_fn(|cx| {
            connection.drive(cx);
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(Some(answer));
            }
            if let Some(progress) = &progress
                && progress.steps() != steps
            {
                steps = progress.steps();
                timer.as_mut().reset(Instant::now() + self.response_header);
            }
            while timer.as_mut().poll(cx).is_ready() {
                if !progress.as_ref().is_some_and(|progress| progress.waits_for_client()) {
                    return Poll::Ready(None);
                }
                timer.as_mut().reset(Instant::now() + self.response_header);
            }
            Poll::Pending
        })
        .await;
        match answered {
            Some(Ok(response)) => {
                connection.head_limit.head_ends();
                let early = progress.is_some_and(|progress| !progress.is_complete());
                let mut response = self.receive(response, connection, backend).await.map_err(Lost::Failed)?;
                // The rest of the body will not be read, so the client's connection closes (RFC 9112 section 9.6). A
                // successful response may continue alongside the upload.
                if early && !response.status().is_success() {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok(response)
            }
            Some(Err(mut error)) => match error.take_message() {
                Some(request) => Err(Lost::Unsent(Box::new(request))),
                None => {
                    let failure = Failure::from(error.into_error());
                    let silent = connection.head_limit.silent() && matches!(failure, Failure::Reset);
                    Err(if silent { Lost::Silent(failure) } else { Lost::Failed(failure) })
                }
            },
            None => Err(Lost::Failed(Failure::Timeout)),
        }
    }

    async fn receive(
        &self,
        response: http::Response<hyper::body::Incoming>,
        connection: Connection,
        backend: &Backend,
    ) -> Result<Response, Failure> {
        let (mut parts, incoming) = response.into_parts();
        // No protocol switch was requested, and status codes end at 599 (RFC 9110 section 15).
        if parts.status.is_informational() || parts.status.as_u16() > 599 || !headers::inbound(&mut parts.headers) {
            return Err(Failure::Invalid);
        }
        if parts.status == StatusCode::NO_CONTENT {
            parts.headers.remove(CONTENT_LENGTH);
        }
        parts.version = Version::HTTP_11;
        parts.extensions = Extensions::new();
        let body = download::body(incoming, connection, backend.pool.clone()).await.map_err(|_| Failure::Invalid)?;
        Ok(Response::from_parts(parts, body))
    }
}

/// An upstream has at least one target, so this does not happen.
fn no_target() -> Failure {
    Failure::Connect(std::io::ErrorKind::NotFound.into())
}

/// A copy of the request; only for those without a body.
fn copy(request: &Outgoing) -> Outgoing {
    let mut copy = Outgoing::new(Upload::empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}
