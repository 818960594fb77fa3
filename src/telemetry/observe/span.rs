//! The server span of a request, by the semantic conventions of OpenTelemetry for HTTP.

use super::Observation;
use super::label::{self, RouteLabel};
use crate::telemetry::propagation;
use crate::telemetry::sampling::{Sampling, random};
use crate::telemetry::traces::REQUEST;
use gatewright_sdk::{Facts, Request};
use http::{HeaderMap, HeaderName, Version, header};
use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::{Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The longest value a client can put into an attribute, in bytes.
const LONGEST: usize = 1024;

/// Which requests have a span.
#[derive(Clone, Copy)]
pub(super) struct Traces {
    pub sampling: Sampling,
    pub reads_parent: bool,
}

impl Traces {
    /// The span of a request, disabled when it is not traced. The decision comes first: making a span costs more than
    /// everything else here.
    pub(super) fn begin(&self, request: &mut Request, facts: &Facts, route: Option<&RouteLabel>) -> Span {
        let trusted = facts.client.trusted;
        let read = || self.reads_parent.then(|| parent(request.headers())).flatten();
        // A stranger's header is not even read before the decision.
        let caller = if trusted { read() } else { None };
        if !self.sampling.decide(caller.as_ref(), trusted) {
            if !trusted {
                unsample(request.headers_mut());
            }
            return Span::none();
        }
        let span = start(request, facts, route);
        if let Some(parent) = caller.or_else(|| if trusted { None } else { read() }) {
            // The decision is made and is ours; the SDK reads it from the flag. A stranger's trace is joined, so that
            // its id leads to ours, but not obeyed.
            let (trace, caller, state) = (parent.trace_id(), parent.span_id(), parent.trace_state().clone());
            let parent = SpanContext::new(trace, caller, TraceFlags::SAMPLED, true, state);
            // Fails when no span layer is installed: then there is no span to have a parent.
            let _ = span.set_parent(Context::new().with_remote_span_context(parent));
        }
        span
    }
}

/// The caller's span, if the header is one (W3C Trace Context).
fn parent(headers: &HeaderMap) -> Option<SpanContext> {
    if !headers.contains_key(TRACEPARENT) {
        return None;
    }
    let extractor = HeaderExtractor(headers);
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &extractor);
    let parent = context.span().span_context().clone();
    parent.is_valid().then_some(parent)
}

/// Tells upstreams that a stranger's trace is not sampled, whatever its flag says: they trust us, and sampling all they
/// do would be one header away. Who changes the flag is the new parent (W3C Trace Context, section 3.4); the trace keeps
/// its id.
fn unsample(headers: &mut HeaderMap) {
    if !headers.contains_key(TRACEPARENT) {
        return;
    }
    match parent(headers) {
        Some(parent) => {
            let ours = SpanId::from_bytes((random() | 1).to_be_bytes());
            let state = parent.trace_state().clone();
            let parent = SpanContext::new(parent.trace_id(), ours, TraceFlags::NOT_SAMPLED, true, state);
            propagation::inject_parent(parent, headers);
        }
        // Others may read more into it than we can.
        None => {
            headers.remove(TRACEPARENT);
            headers.remove(TRACESTATE);
        }
    }
}

fn start(request: &Request, facts: &Facts, route: Option<&RouteLabel>) -> Span {
    let method = label::method(request.method());
    let name = route.map_or(if method == "_OTHER" { "HTTP" } else { method }, |route| route.span(request.method()));
    let headers = request.headers();
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(cut);
    let original = (method == "_OTHER").then(|| cut(request.method().as_str()));
    // A query may hold secrets, so there is no `url.query`.
    tracing::info_span!(
        target: REQUEST,
        parent: None,
        "request",
        "otel.name" = name,
        "otel.kind" = "server",
        "otel.status_code" = field::Empty,
        "http.request.method" = method,
        "http.request.method_original" = original,
        "http.route" = route.map(RouteLabel::template),
        "http.response.status_code" = field::Empty,
        "error.type" = field::Empty,
        "url.path" = cut(request.uri().path()),
        "url.scheme" = facts.client.scheme.as_str(),
        "server.address" = request.uri().host().or_else(|| text(header::HOST).map(without_port)),
        "network.protocol.version" = version(request.version()),
        "client.address" = field::display(facts.client.ip),
        "user_agent.original" = text(header::USER_AGENT),
        "gateway.listener" = &*facts.listener,
        "gateway.route" = route.map(RouteLabel::name),
        "gateway.generation" = facts.generation,
        "gateway.plugin" = field::Empty,
        "gateway.reason" = field::Empty,
    )
}

/// Writes the end of a request into its span.
pub(super) fn end(observation: &Observation) {
    let span = &observation.span;
    let (plugin, reason) = observation.refused();
    if let Some(plugin) = plugin {
        span.record("gateway.plugin", plugin);
    }
    if let Some(reason) = reason {
        span.record("gateway.reason", cut(reason));
    }
    if let Some(status) = observation.status {
        span.record("http.response.status_code", i64::from(status.as_u16()));
        if status.is_server_error() {
            span.record("otel.status_code", "error");
            span.record("error.type", status.as_str());
        }
    }
    if let Some(cut) = observation.end.cut() {
        span.record("error.type", cut);
    }
}

const fn version(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        Version::HTTP_3 => Some("3"),
        _ => None,
    }
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(LONGEST)).unwrap_or(text)
}

/// The host of a Host field; an IPv6 address keeps its brackets.
fn without_port(host: &str) -> &str {
    let end = host.find(']').map_or_else(|| host.find(':'), |bracket| Some(bracket + 1));
    end.and_then(|end| host.get(..end)).unwrap_or(host)
}
