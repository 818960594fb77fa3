//! One request and its answer: the panic guard, the form of errors, and what is observed. Nobody can order it away.

use crate::telemetry::Observation;
use axum::response::IntoResponse;
use gatewright_sdk::{Body, Problem, Reply, Response};
use http::HeaderValue;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, VARY, X_CONTENT_TYPE_OPTIONS};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// What we call JSON is JSON: browsers are told not to guess otherwise.
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// The answer to one request, on its way out of the gateway.
pub struct Exchange {
    reply: Reply,
    form: Form,
    observation: Option<Box<Observation>>,
}

/// The form in which this client gets errors.
pub(super) enum Form {
    Brief,
    /// RFC 9457, with the path that was asked for.
    Problem(Box<str>),
}

impl Exchange {
    /// An answer that needed no chain.
    pub fn answered(response: impl IntoResponse) -> Self {
        Self::unobserved(Reply::ready(response))
    }

    /// An answer that nobody observes and no chain has seen.
    pub fn unobserved(reply: Reply) -> Self {
        Self { reply, form: Form::Brief, observation: None }
    }

    /// Calls `service` under the panic guard and inside the request's span.
    pub(super) fn start(form: Form, observation: Option<Box<Observation>>, call: impl FnOnce() -> Reply) -> Self {
        let reply = {
            let _entered = observation.as_deref().map(|observation| observation.span().enter());
            catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| Reply::ready(panicked()))
        };
        Self { reply, form, observation }
    }

    fn finish(&mut self, mut response: Response) -> Response {
        if let (Form::Problem(instance), Some(problem)) = (&self.form, response.extensions().get::<Arc<Problem>>()) {
            let body = problem.rfc9457(instance);
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
            headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
            headers.remove(CONTENT_ENCODING);
            headers.append(VARY, HeaderValue::from_static("accept"));
            *response.body_mut() = Body::from(body);
        }
        response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        if let Some(observation) = self.observation.take() {
            observation.finish(&mut response);
        }
        response
    }
}

fn panicked() -> Response {
    tracing::error!("a request ended in a panic");
    Problem::internal().reason("panic").into()
}

impl Future for Exchange {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response> {
        let this = &mut *self;
        let polled = {
            let _entered = this.observation.as_deref().map(|observation| observation.span().enter());
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
