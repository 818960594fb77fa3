//! One request and its response: the panic guard, the form of errors, and telemetry. No configuration turns these off.

use crate::grpc;
use crate::telemetry::{Observation, warn_of_failure};
use crate::tunnel;
use axum::response::IntoResponse;
use gatewright_sdk::{Body, Problem, References, Reply, Response};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, VARY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Tells browsers not to guess another media type for JSON.
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// The trace of a response (W3C Trace Context Level 2, section 4), so that an error can be looked up.
const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// The response to one request, on its way out of the gateway.
pub struct Exchange {
    reply: Reply,
    form: ProblemForm,
    observation: Option<Box<Observation>>,
    /// Whether the client asked for a tunnel.
    tunnel: bool,
}

/// The form in which this client receives errors.
pub(super) enum ProblemForm {
    Brief,
    /// A response of gRPC.
    Grpc,
    /// RFC 9457.
    Problem {
        /// The requested path.
        instance: Box<str>,
        /// The response headers that may carry the request id, those set last first.
        request_ids: Arc<[HeaderName]>,
    },
}

impl Exchange {
    /// A response that passed no chain.
    pub fn answered(response: impl IntoResponse) -> Self {
        Self::unobserved(Reply::ready(response))
    }

    /// A response that is not observed and that passed no chain.
    pub fn unobserved(reply: Reply) -> Self {
        Self { reply, form: ProblemForm::Brief, observation: None, tunnel: false }
    }

    /// Responds as to a request for a tunnel, if it was one.
    pub fn for_tunnel(mut self, tunnel: bool) -> Self {
        self.tunnel = tunnel;
        self
    }

    /// Calls `service` under the panic guard and inside the request's span.
    pub(super) fn start(
        form: ProblemForm,
        mut observation: Option<Box<Observation>>,
        call: impl FnOnce() -> Reply,
    ) -> Self {
        let reply = {
            let _observed = observation.as_deref_mut().map(Observation::enter);
            catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| Reply::ready(panicked()))
        };
        Self { reply, form, observation, tunnel: false }
    }

    fn finish(&mut self, mut response: Response) -> Response {
        if self.tunnel {
            response = tunnel::leave(response);
        }
        let failed = response.status().is_client_error() || response.status().is_server_error();
        let observation = self.observation.as_deref().filter(|_| failed);
        let trace = observation.and_then(Observation::trace);
        let trace_id = trace.map(|trace| trace.trace_id().to_string());
        if let (ProblemForm::Problem { instance, request_ids }, Some(problem)) =
            (&self.form, response.extensions().get::<Arc<Problem>>())
        {
            let id = request_ids.iter().find_map(|name| response.headers().get(name));
            let request_id = id.and_then(|id| id.to_str().ok());
            let body = problem.rfc9457(instance, References { request_id, trace_id: trace_id.as_deref() });
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
            headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
            headers.remove(CONTENT_ENCODING);
            headers.append(VARY, HeaderValue::from_static("accept"));
            *response.body_mut() = Body::from(body);
        }
        if let (ProblemForm::Grpc, Some(problem)) = (&self.form, response.extensions().get::<Arc<Problem>>().cloned()) {
            grpc::fail(&problem, &mut response);
        }
        if let (Some(trace), Some(trace_id)) = (trace, trace_id) {
            let flags = trace.trace_flags().to_u8();
            let text = format!("00-{trace_id}-{}-{flags:02x}", trace.span_id());
            if let Ok(value) = HeaderValue::try_from(text) {
                response.headers_mut().insert(TRACERESPONSE, value);
            }
        }
        // The file or the upstream may set another value.
        response.headers_mut().entry(X_CONTENT_TYPE_OPTIONS).or_insert(NOSNIFF);
        if failed && !self.observation.as_deref().is_some_and(Observation::is_logged) {
            warn_of_failure(&response);
        }
        if let Some(observation) = self.observation.take() {
            observation.finish(&mut response);
        }
        response
    }
}

fn panicked() -> Response {
    tracing::error!("request handler panicked");
    Problem::internal().log_reason("panic").into()
}

impl Future for Exchange {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response> {
        let this = &mut *self;
        // A ready response has nothing to poll.
        let polled = if matches!(this.reply, Reply::Ready(_)) {
            Ok(Pin::new(&mut this.reply).poll(cx))
        } else {
            let _observed = this.observation.as_deref_mut().map(Observation::enter);
            catch_unwind(AssertUnwindSafe(|| Pin::new(&mut this.reply).poll(cx)))
        };
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(response)) => Poll::Ready(this.finish(response)),
            Err(_) => {
                let response = panicked();
                Poll::Ready(this.finish(response))
            }
        }
    }
}
