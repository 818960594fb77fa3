//! What is observed of each request: its span and its access log line.

mod access;
mod body;
mod decision;
mod label;
mod measured;
mod plugin_timings;
mod plugins;
mod received;
mod span;
mod tracer;

pub use decision::Decision;
pub use label::RouteLabel;
pub use plugin_timings::{PluginLabel, probe};
pub use span::describe_url;
pub(super) use tracer::Tracing;

use self::access::{AccessLine, CompiledAccessLog};
use self::body::ObservedBody;
use self::measured::Measured;
use self::plugin_timings::{PluginTimings, Recording};
use self::received::Received;
use self::span::{Traced, Traces};
use super::environment::{self, Lookup, TelemetryPlan};
use super::metrics::Requests;
use super::propagation::Codecs;
use super::query::Words;
use crate::config::document::telemetry::{AccessLog, PluginSpans, Telemetry};
use gatewright_sdk::{Body, Facts, Request, Response};
use http::{HeaderName, Method, StatusCode};
use http_body::Body as _;
use opentelemetry::ContextGuard;
use opentelemetry::trace::SpanContext;
use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

/// What a snapshot observes of its requests, compiled.
#[derive(Clone)]
pub struct Observer {
    traces: Option<Traces>,
    access: Option<Arc<CompiledAccessLog>>,
    codecs: Codecs,
    /// The series of requests that no route takes; none where nothing is measured.
    requests: Option<Arc<Requests>>,
    /// Held by the observer and by each observation.
    held: Option<Held>,
}

/// Something that is kept as long as a generation answers requests.
type Held = Arc<dyn Any + Send + Sync>;

impl Observer {
    /// The observer of a document. Settings that [`super::check`] finds fault with count as no traces.
    pub fn new(spec: &Telemetry) -> Self {
        Self::with(spec, &environment::process)
    }

    pub(super) fn with(spec: &Telemetry, environment: Lookup<'_>) -> Self {
        let plan = TelemetryPlan::new(spec, environment).ok();
        let codecs = Codecs::new(plan.as_ref().map_or(&spec.traces.propagators, |plan| &plan.propagators));
        let plan = plan.filter(|plan| plan.traces.is_some() && !plan.sampling.is_never());
        let access = spec.logs.access.as_ref();
        // Spans mask what lines mask.
        let words = access.map_or_else(|| AccessLog::default().redact_query, |access| access.redact_query.clone());
        let words = Words::new(&words);
        Self {
            traces: plan.map(|plan| Traces::new(&plan, spec, &codecs, &words)),
            access: access.map(|access| Arc::new(CompiledAccessLog::new(access, words))),
            codecs,
            requests: None,
            held: None,
        }
    }

    /// Measures requests, those that no route takes in `requests`. `held` is held until the last of them has ended.
    #[must_use]
    pub fn measure(mut self, requests: Arc<Requests>, held: Held) -> Self {
        self.requests = Some(requests);
        self.held = Some(held);
        self
    }

    /// Whether plugins may have spans, so that chains need probes: see [`probe`].
    pub fn wants_probes(&self) -> bool {
        self.traces.as_ref().is_some_and(|traces| traces.plugin_spans != PluginSpans::Never)
    }

    /// Begins to observe `request`. `None` when nothing observes it; then nothing was allocated. A trace that a stranger
    /// wants and we do not is no longer wanted afterwards.
    pub fn begin(&self, request: &mut Request, facts: &Facts, route: Option<&RouteLabel>) -> Option<Box<Observation>> {
        let trusted = facts.client.trusted;
        let stranger = self.codecs.screen(request.headers_mut(), trusted);
        let trace = self.traces.as_ref().and_then(|traces| traces.begin(request, facts, route));
        if trace.is_none() && stranger {
            self.codecs.unsample(request.headers_mut());
        }
        let line = self.access.as_ref().map(|access| access.begin(request, facts));
        let measured = self.requests.as_ref().map(|rest| {
            let requests = route.map_or(rest, RouteLabel::requests);
            Measured::begin(Arc::clone(requests), request.method(), facts.client.scheme)
        });
        if trace.is_none() && line.is_none() && measured.is_none() {
            return None;
        }
        Some(Box::new(Observation {
            started: Instant::now(),
            trace,
            timings: PluginTimings::default(),
            line,
            measured,
            bodiless: request.method() == Method::HEAD,
            received: Received::of(request),
            bytes: 0,
            status: None,
            decision: None,
            end: End::Left,
            _held: self.held.clone(),
        }))
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The client left, or was sent away for its slowness, before it had the whole response.
    Left,
    /// The response's body broke off.
    Broken,
    /// The whole response was sent.
    Done,
}

impl End {
    /// What cut the exchange short, as spans, lines and metrics say it.
    const fn cut(self) -> Option<&'static str> {
        match self {
            Self::Done => None,
            Self::Left => Some("client_left"),
            Self::Broken => Some("response_cut_short"),
        }
    }
}

/// A request under observation. It ends, with its span, its access log line and its measurements, when the response body does or when
/// it is dropped.
pub struct Observation {
    started: Instant,
    trace: Option<Traced>,
    /// Until the spans of plugins are made from them.
    timings: PluginTimings,
    line: Option<AccessLine>,
    measured: Option<Measured>,
    bodiless: bool,
    received: Received,
    /// Bytes of the response body that were sent.
    bytes: u64,
    status: Option<StatusCode>,
    /// Known once there is a response.
    decision: Option<Decision>,
    end: End,
    _held: Option<Held>,
}

/// What happens on this thread while it exists happens for the request under observation.
pub struct Observed<'a> {
    _trace: Option<ContextGuard>,
    _timings: Option<Recording<'a>>,
}

impl Observation {
    /// Makes the request's span the current one, so that log lines and spans find it, and has its way through the
    /// chains recorded. Around every poll of what answers it.
    pub fn enter(&mut self) -> Observed<'_> {
        let trace = self.trace.as_ref();
        let recorded = trace.is_some_and(|trace| trace.plugin_spans != PluginSpans::Never);
        Observed { _trace: trace.map(Traced::enter), _timings: recorded.then(|| self.timings.record()) }
    }

    /// Names the response headers that may carry the request's id, for the access log; the first that is there does.
    pub fn finds_id_in(&mut self, headers: &Arc<[HeaderName]>) {
        if let Some(line) = &mut self.line {
            line.request_ids = Some(Arc::clone(headers));
        }
    }

    /// The request's own span, if it is traced.
    pub fn trace(&self) -> Option<&SpanContext> {
        self.trace.as_ref().map(|trace| &trace.id)
    }

    /// Takes note of the response. The observation ends at once where there is no body to send, else with the body:
    /// its time and size are those of what was really sent.
    pub fn finish(mut self: Box<Self>, response: &mut Response) {
        let status = response.status();
        self.status = Some(status);
        self.decision = Some(Decision::of(response));
        if let Some(line) = &mut self.line {
            line.answered(response, self.started.elapsed());
        }
        if let (Some(trace), Some(decision)) = (&self.trace, &self.decision) {
            trace.decided(decision);
        }
        self.report_plugins();
        let bodiless = self.bodiless
            || status.is_informational()
            || status == StatusCode::NO_CONTENT
            || status == StatusCode::NOT_MODIFIED;
        if bodiless || response.body().is_end_stream() {
            self.end = End::Done;
            return;
        }
        let body = std::mem::take(response.body_mut());
        *response.body_mut() = Body::new(ObservedBody::new(body, self));
    }

    fn report_plugins(&mut self) {
        let timings = std::mem::take(&mut self.timings);
        if let Some(trace) = self.trace.as_ref().filter(|_| !timings.0.is_empty()) {
            plugins::report(&timings, trace.plugin_spans, self.decision.as_ref(), &trace.context);
        }
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        // Of a request whose client left, which has got no response.
        self.report_plugins();
        if let Some(line) = &self.line {
            line.write(self);
        }
        if let Some(measured) = &self.measured {
            measured.end(self);
        }
        if let Some(trace) = &self.trace {
            trace.end(self);
        }
    }
}

#[cfg(test)]
mod tests;
