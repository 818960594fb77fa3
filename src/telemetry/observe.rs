//! Observes requests: the span, metrics and access log line of each.

mod access;
mod body;
mod decision;
mod label;
mod measured;
mod plugin_timings;
mod plugins;
mod proxied;
mod received;
mod span;
mod tracer;

pub use decision::Decision;
pub use label::RouteLabel;
pub use plugin_timings::{PluginLabel, probe};
pub use proxied::{Proxied, ProxyTarget, warn_of_failure};
pub use span::describe_url;
pub(super) use tracer::Tracing;

use self::access::{AccessLine, CompiledAccessLog};
use self::body::ObservedBody;
use self::measured::Measured;
use self::plugin_timings::{PluginTimings, Recording};
use self::received::Received;
use self::span::{Traced, Traces};
use super::console::Console;
use super::environment::{self, Lookup, TelemetryPlan};
use super::metrics::Requests;
use super::propagation::Codecs;
use super::query::Words;
use crate::config::document::telemetry::{AccessLog, PluginSpans, Telemetry};
use crate::grpc;
use gatewright_sdk::{Body, Facts, Logged, Request, Response, WouldRefuse};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use http_body::Body as _;
use opentelemetry::ContextGuard;
use opentelemetry::trace::SpanContext;
use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

/// The compiled telemetry settings of a snapshot.
#[derive(Clone)]
pub struct Observer {
    traces: Option<Traces>,
    access: Option<Arc<CompiledAccessLog>>,
    codecs: Codecs,
    /// The series of requests that match no route; `None` if nothing is measured.
    requests: Option<Arc<Requests>>,
    /// Held by the observer and by each observation.
    held: Option<Held>,
}

/// Something kept while a generation serves requests.
type Held = Arc<dyn Any + Send + Sync>;

impl Observer {
    /// The observer of a document. Settings that [`super::check`] rejects count as no traces.
    pub fn new(spec: &Telemetry) -> Self {
        Self::with(spec, &environment::process, Console::stdout())
    }

    pub(super) fn with(spec: &Telemetry, environment: Lookup<'_>, console: Console) -> Self {
        let plan = TelemetryPlan::new(spec, environment).ok();
        let codecs = Codecs::new(plan.as_ref().map_or(&spec.traces.propagators, |plan| &plan.propagators));
        let plan = plan.filter(|plan| plan.traces.is_some() && !plan.sampling.is_never());
        let access = console.access(&spec.logs);
        // Spans mask the same parameters as log lines.
        let words =
            access.as_ref().map_or_else(|| AccessLog::default().redact_query, |access| access.redact_query.clone());
        let words = Words::new(&words);
        Self {
            traces: plan.map(|plan| Traces::new(&plan, spec, &codecs, &words)),
            access: access.map(|access| Arc::new(CompiledAccessLog::new(&access, words))),
            codecs,
            requests: None,
            held: None,
        }
    }

    /// Enables metrics; requests that match no route are measured in `requests`. `held` is held until the last request
    /// has ended.
    #[must_use]
    pub fn measure(mut self, requests: Arc<Requests>, held: Held) -> Self {
        self.requests = Some(requests);
        self.held = Some(held);
        self
    }

    /// Whether plugins may have spans, which requires probes in chains: see [`probe`].
    pub fn wants_probes(&self) -> bool {
        self.traces.as_ref().is_some_and(|traces| traces.plugin_spans != PluginSpans::Never)
    }

    /// Starts to observe `request`. `None` if nothing observes it, in which case nothing is allocated. If an untrusted
    /// client requests sampling and we do not sample, the request is no longer marked as sampled afterwards.
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
            is_call: grpc::is_call(request.version(), request.headers()),
            grpc: None,
            decision: None,
            observed: None,
            proxied: None,
            end: End::Left,
            _held: self.held.clone(),
        }))
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The client left, or was cut off for being slow, before it had received the whole response.
    Left,
    /// The response body ended with an error.
    Broken,
    /// The whole response was sent.
    Done,
}

impl End {
    /// What ended the exchange early, as in spans, log lines and metrics.
    const fn cut(self) -> Option<&'static str> {
        match self {
            Self::Done => None,
            Self::Left => Some("client_left"),
            Self::Broken => Some("response_cut_short"),
        }
    }
}

/// A request under observation. It ends when the response body ends or when it is dropped; its span, access log line
/// and metrics are then recorded.
pub struct Observation {
    started: Instant,
    trace: Option<Traced>,
    /// Kept until they are turned into spans of plugins.
    timings: PluginTimings,
    line: Option<AccessLine>,
    measured: Option<Measured>,
    bodiless: bool,
    received: Received,
    /// Bytes of the response body sent.
    bytes: u64,
    status: Option<StatusCode>,
    /// Whether it is a gRPC call.
    is_call: bool,
    /// The status of the call, once it is known.
    grpc: Option<grpc::Status>,
    /// Known once there is a response.
    decision: Option<Decision>,
    /// What plugins that only observe would have refused, if anything.
    observed: Option<WouldRefuse>,
    /// The target of the upstream that served it.
    proxied: Option<Proxied>,
    end: End,
    _held: Option<Held>,
}

/// While this exists, whatever happens on this thread belongs to the observed request.
pub struct Observed<'a> {
    _trace: Option<ContextGuard>,
    _timings: Option<Recording<'a>>,
}

impl Observation {
    /// Makes the request's span current, so that log lines and spans belong to it, and records its path through the
    /// chains. Held during every poll of the service.
    pub fn enter(&mut self) -> Observed<'_> {
        let trace = self.trace.as_ref();
        let recorded = trace.is_some_and(|trace| trace.plugin_spans != PluginSpans::Never);
        Observed { _trace: trace.map(Traced::enter), _timings: recorded.then(|| self.timings.record()) }
    }

    /// Names the response headers that may carry the request id, for the access log; the first one present is used.
    pub fn finds_id_in(&mut self, headers: &Arc<[HeaderName]>) {
        if let Some(line) = &mut self.line {
            line.request_ids = Some(Arc::clone(headers));
        }
    }

    /// What the access log wants to know, if the request gets a line.
    pub fn logged(&self) -> Option<Logged> {
        self.line.as_ref().map(AccessLine::logged)
    }

    /// Whether the request gets a line in the access log.
    pub fn is_logged(&self) -> bool {
        self.line.is_some()
    }

    /// The request's own span, if it is traced.
    pub fn trace(&self) -> Option<&SpanContext> {
        self.trace.as_ref().map(|trace| &trace.id)
    }

    /// Records the response. The observation ends now if there is no body to send, or else with the body: duration and
    /// size are those actually sent.
    pub fn finish(mut self: Box<Self>, response: &mut Response) {
        let status = response.status();
        self.status = Some(status);
        self.saw_status(response.headers());
        self.decision = Some(Decision::of(response));
        self.observed = response.extensions_mut().remove();
        self.proxied = Proxied::of(response);
        if let Some(line) = &mut self.line {
            line.answered(response, self.started.elapsed());
        }
        if let (Some(trace), Some(decision)) = (&self.trace, &self.decision) {
            trace.decided(decision);
        }
        if let (Some(trace), Some(WouldRefuse(refusals))) = (&self.trace, &self.observed) {
            refusals.iter().for_each(|refusal| trace.observed(refusal));
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

    /// Records why the body of a response of an upstream ended early.
    fn breaks(&mut self, error: &(dyn std::error::Error + 'static)) {
        if let Some(proxied) = &mut self.proxied {
            // The innermost error is that of the upstream. Plugins that change bodies wrap it.
            let cause = std::iter::successors(Some(error), |error| error.source()).last().unwrap_or(error);
            proxied.error = Some(format!("{}: {cause}", proxied.target).into());
        }
    }

    /// Records the status of a gRPC call, which is in the trailers, or in the header of a response without a body.
    fn saw_status(&mut self, headers: &HeaderMap) {
        if self.is_call {
            self.grpc = grpc::Status::of(headers).or(self.grpc);
        }
    }

    /// The status of a gRPC call that failed because of the server.
    fn grpc_error(&self) -> Option<&'static str> {
        self.grpc.filter(|status| status.is_server_error()).map(grpc::Status::name)
    }

    /// The status of a failure of the server. 501 from the gateway itself is not one: the client asked for something that is
    /// not supported.
    fn server_error(&self) -> Option<StatusCode> {
        let refused = || self.decision.as_ref().is_some_and(|decision| decision.outcome == decision::Outcome::Refused);
        let status = self.status.filter(StatusCode::is_server_error)?;
        (status != StatusCode::NOT_IMPLEMENTED || !refused()).then_some(status)
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
        // The client left before there was a response.
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
