//! What is observed of each request: its span and its access log line.

mod access;
mod body;
mod label;
mod measured;
mod span;

pub use label::{METHOD_NAMES, RouteLabel, method_index};

use self::access::{Access, Line};
use self::body::ObservedBody;
use self::measured::Measured;
use self::span::Traces;
use super::environment::{self, Lookup, Plan};
use super::metrics::Requests;
use crate::config::document::telemetry::Telemetry;
use gatewright_sdk::{Body, Facts, Refusal, Reply, Request, Response};
use http::{HeaderName, Method, StatusCode};
use http_body::Body as _;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;
use tracing::{Instrument, Span};

/// What a snapshot observes of its requests, compiled.
#[derive(Clone)]
pub struct Observer {
    traces: Option<Traces>,
    access: Option<Arc<Access>>,
    /// The series of requests that no route takes; none where nothing is measured.
    requests: Option<Arc<Requests>>,
}

impl Observer {
    /// The observer of a document. Settings that [`super::check`] finds fault with count as no traces.
    pub fn new(spec: &Telemetry) -> Self {
        Self::with(spec, &environment::process)
    }

    pub(super) fn with(spec: &Telemetry, environment: Lookup<'_>) -> Self {
        let plan = Plan::new(spec, environment).ok();
        let traces = plan.filter(|plan| plan.target.is_some() && !plan.sampling.is_never());
        Self {
            traces: traces.map(|plan| Traces { sampling: plan.sampling, reads_parent: plan.reads_parent }),
            access: spec.logs.access.as_ref().map(|access| Arc::new(Access::new(access))),
            requests: None,
        }
    }

    /// Measures requests, those that no route takes in `requests`.
    #[must_use]
    pub fn measure(mut self, requests: Arc<Requests>) -> Self {
        self.requests = Some(requests);
        self
    }

    /// Names the response header that carries the request id, for the access log; `x-request-id` unless said.
    #[must_use]
    pub fn request_id_header(mut self, name: HeaderName) -> Self {
        if let Some(access) = &mut self.access {
            Arc::make_mut(access).request_id = name;
        }
        self
    }

    /// Begins to observe `request`. `None` when nothing observes it; then nothing was allocated. A trace that a stranger
    /// wants and we do not is no longer wanted afterwards.
    pub fn begin(&self, request: &mut Request, facts: &Facts, route: Option<&RouteLabel>) -> Option<Box<Observation>> {
        let span = self.traces.as_ref().map_or_else(Span::none, |traces| traces.begin(request, facts, route));
        let line = self.access.as_ref().map(|access| access.begin(request, facts));
        let measured = self.requests.as_ref().map(|rest| {
            let requests = route.map_or(rest, RouteLabel::requests);
            Measured::begin(Arc::clone(requests), request, facts.client.scheme)
        });
        if span.is_disabled() && line.is_none() && measured.is_none() {
            return None;
        }
        let bodiless = request.method() == Method::HEAD;
        let started = Instant::now();
        Some(Box::new(Observation {
            started,
            span,
            line,
            measured,
            bodiless,
            bytes: 0,
            status: None,
            refusal: None,
            end: End::Left,
        }))
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The client left before there was a response.
    Left,
    /// The response is known, its body was not sent to the end.
    Broken,
    /// The whole response was sent.
    Done,
}

impl End {
    /// What cut the exchange short, as spans, logs and metrics say it.
    const fn cut(self) -> Option<&'static str> {
        match self {
            Self::Done => None,
            Self::Left => Some("client_left"),
            Self::Broken => Some("response_cut_short"),
        }
    }
}

/// A request under observation. It ends, with its span and its access log line, when the response body does or when
/// it is dropped.
pub struct Observation {
    started: Instant,
    span: Span,
    line: Option<Line>,
    measured: Option<Measured>,
    bodiless: bool,
    bytes: u64,
    status: Option<StatusCode>,
    refusal: Option<Refusal>,
    end: End,
}

impl Observation {
    /// The span of the request; disabled when it is not traced.
    pub const fn span(&self) -> &Span {
        &self.span
    }

    /// Runs what answers the request inside its span, so that log lines and spans below find it.
    pub fn call(&self, answer: impl FnOnce() -> Reply) -> Reply {
        if self.span.is_disabled() {
            return answer();
        }
        match self.span.in_scope(answer) {
            Reply::Pending(future) => Reply::Pending(Box::pin(future.instrument(self.span.clone()))),
            ready @ Reply::Ready(_) => ready,
        }
    }

    /// Takes note of the response. The observation ends at once where there is no body to send, else with the body:
    /// its time and size are those of what was really sent.
    pub fn finish(mut self: Box<Self>, response: &mut Response) {
        let status = response.status();
        self.status = Some(status);
        self.refusal = response.extensions().get::<Refusal>().cloned();
        if let Some(line) = &mut self.line {
            line.answered(response);
        }
        let bodiless = self.bodiless
            || status.is_informational()
            || status == StatusCode::NO_CONTENT
            || status == StatusCode::NOT_MODIFIED;
        if bodiless || response.body().is_end_stream() {
            self.end = End::Done;
            return;
        }
        self.end = End::Broken;
        let body = std::mem::take(response.body_mut());
        *response.body_mut() = Body::new(ObservedBody::new(body, self));
    }

    /// Who refused, and why.
    fn refused(&self) -> (Option<&str>, Option<&str>) {
        let plugin = self.refusal.as_ref().and_then(|refusal| refusal.plugin.as_deref());
        (plugin, self.refusal.as_ref().map(|refusal| Cow::as_ref(&refusal.reason)))
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        if !self.span.is_disabled() {
            span::end(self);
        }
        if let Some(line) = &self.line {
            line.write(self);
        }
        if let Some(measured) = &self.measured {
            measured.end(self);
        }
    }
}

#[cfg(test)]
mod tests;
