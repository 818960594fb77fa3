//! The server span of a request, following the OpenTelemetry semantic conventions for HTTP.

use super::label::RouteLabel;
use super::{Decision, End, Observation, Tracing};
use crate::config::document::telemetry::{PluginSpans, Telemetry};
use crate::grpc;
use crate::telemetry::environment::TelemetryPlan;
use crate::telemetry::ids;
use crate::telemetry::methods;
use crate::telemetry::propagation::{Carried, Codecs};
use crate::telemetry::query::{Query, Words};
use crate::telemetry::sampling::Sampling;
use gatewright_sdk::{Facts, Refusal, Request};
use http::{HeaderValue, Uri, Version, header};
use opentelemetry::trace::{Span as _, SpanContext, SpanKind, Status, TraceContextExt, TraceFlags, Tracer};
use opentelemetry::{Context, ContextGuard, KeyValue, Value};
use std::borrow::Cow;
use std::sync::Arc;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The maximum length of an attribute value controlled by a client, in bytes.
const LONGEST: usize = 1024;

/// Capacity for the attributes of a span, so that their list does not grow.
const ROOM: usize = 24;

/// Which requests have a span, and what it contains.
#[derive(Clone)]
pub(super) struct Traces {
    sampling: Sampling,
    pub plugin_spans: PluginSpans,
    codecs: Codecs,
    words: Words,
    /// The initial context of every request.
    base: Context,
}

impl Traces {
    pub(super) fn new(plan: &TelemetryPlan, spec: &Telemetry, codecs: &Codecs, words: &Words) -> Self {
        let (codecs, words) = (codecs.clone(), words.clone());
        let base = Context::new().with_value(Carried { codecs: codecs.clone(), words: words.clone() });
        Self { sampling: plan.sampling, plugin_spans: spec.traces.plugin_spans, codecs, words, base }
    }

    /// The span of a request, if it is traced. The decision comes first, because creating a span costs more than
    /// everything else here.
    pub(super) fn begin(&self, request: &mut Request, facts: &Facts, route: Option<&RouteLabel>) -> Option<Traced> {
        let trusted = facts.client.trusted;
        // An untrusted header is not even parsed before the decision.
        let mut caller = if trusted { self.codecs.read(request.headers()) } else { None };
        let decided = caller.as_ref().filter(|caller| caller.decided).map(|caller| &caller.span);
        let root = ids::draw();
        if !self.sampling.decide(decided, trusted, root) {
            return None;
        }
        if !trusted {
            caller = self.codecs.read(request.headers());
        }
        let method = methods::method(request.method());
        let name = route.map_or(if method == "_OTHER" { "HTTP" } else { method }, |route| route.span(request.method()));
        Tracing::with(|tracer| {
            let builder = tracer.span_builder(name.to_owned()).with_kind(SpanKind::Server);
            let builder = builder.with_attributes(attributes(request, facts, route, &self.words));
            let span = match caller.map(|caller| caller.span).filter(SpanContext::is_valid) {
                Some(parent) => {
                    // We have made the decision; the SDK reads it from the flag. The trace of an untrusted client is
                    // joined, so that its id leads to ours, but its sampling flag is ignored.
                    let (trace, caller, state) = (parent.trace_id(), parent.span_id(), parent.trace_state().clone());
                    let flags = parent.trace_flags() | TraceFlags::SAMPLED;
                    let parent = SpanContext::new(trace, caller, flags, true, state);
                    tracer.build_with_context(builder, &self.base.with_remote_span_context(parent))
                }
                None => ids::with(root, || tracer.build_with_context(builder, &self.base)),
            };
            let id = span.span_context().clone();
            Traced { context: self.base.with_span(span), id, plugin_spans: self.plugin_spans }
        })
    }
}

/// A traced request.
pub(super) struct Traced {
    /// A context in which the request's span is current.
    pub context: Context,
    pub id: SpanContext,
    pub plugin_spans: PluginSpans,
}

impl Traced {
    pub fn enter(&self) -> ContextGuard {
        self.context.clone().attach()
    }

    /// Adds the decision about the request to the events of its span, with its time.
    pub fn decided(&self, decision: &Decision) {
        if decision.is_notable() {
            self.context.span().add_event("gateway.decision", said(decision).collect());
        }
    }

    /// Adds what a plugin that only observes would have refused to the events of its span.
    pub fn observed(&self, refusal: &Refusal) {
        let plugin = refusal.plugin.iter().map(|plugin| KeyValue::new("gateway.plugin", Arc::clone(plugin)));
        let attributes = plugin.chain([reason(refusal.reason.clone())]).collect();
        self.context.span().add_event("gateway.observed", attributes);
    }

    /// Records the end of the request, which is the end of its response.
    pub fn end(&self, observation: &Observation) {
        let span = self.context.span();
        let status = observation.status.map(|status| ("http.response.status_code", i64::from(status.as_u16()).into()));
        let server_error = observation.server_error();
        let call = observation.grpc_error();
        let error = observation.end.cut().or(call).map(Value::from);
        let error = error.or_else(|| server_error.map(|status| status.as_str().to_owned().into()));
        let told = status.into_iter().chain(error.map(|error| ("error.type", error)));
        let told = told.map(|(name, value): (_, Value)| KeyValue::new(name, value));
        span.set_attributes(told.chain(observation.decision.iter().flat_map(said)));
        if let Some(status) = observation.grpc {
            span.set_attribute(KeyValue::new("rpc.status_code", status.name()));
        }
        if server_error.is_some() || call.is_some() || observation.end == End::Broken {
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

fn reason(reason: Cow<'static, str>) -> KeyValue {
    let reason = match reason {
        Cow::Borrowed(reason) => Value::from(reason),
        Cow::Owned(reason) => Value::from(cut(&reason).to_owned()),
    };
    KeyValue::new("gateway.reason", reason)
}

/// The attributes of a decision in spans and events.
fn said(decision: &Decision) -> impl Iterator<Item = KeyValue> {
    let plugin = decision.plugin.as_ref().map(|plugin| KeyValue::new("gateway.plugin", Arc::clone(plugin)));
    let reason = decision.reason.clone().map(reason);
    [Some(KeyValue::new("gateway.outcome", decision.outcome.as_str())), plugin, reason].into_iter().flatten()
}

/// The attributes known at the beginning of a request, with room for those at its end.
fn attributes(request: &Request, facts: &Facts, route: Option<&RouteLabel>, words: &Words) -> Vec<KeyValue> {
    let method = methods::method(request.method());
    let (headers, uri) = (request.headers(), request.uri());
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(cut);
    let (host, port) = match uri.host() {
        Some(host) => (Some(host), uri.port_u16()),
        None => text(header::HOST).map_or((None, None), |host| {
            let (host, port) = split(host);
            (Some(host), port)
        }),
    };
    let (client, peer) = (facts.client.ip, facts.client.peer);
    let client_text: Arc<str> = client.to_canonical().to_string().into();
    let peer_text = match peer.address() {
        address if address == client => Arc::clone(&client_text),
        address => address.to_string().into(),
    };
    let mut all = Vec::with_capacity(ROOM);
    let mut say = |name: &'static str, value: Value| all.push(KeyValue::new(name, value));
    say("http.request.method", method.into());
    if method == "_OTHER" {
        say("http.request.method_original", cut(request.method().as_str()).to_owned().into());
    }
    if let Some(route) = route {
        say("http.route", Arc::clone(route.template()).into());
        say("gateway.route", Arc::clone(route.name()).into());
        say("gateway.target", Arc::clone(route.target()).into());
    }
    if grpc::is_call(request.version(), headers) {
        say("rpc.system.name", "grpc".into());
        say("rpc.method", cut(uri.path().trim_start_matches('/')).to_owned().into());
    }
    say("url.path", cut(uri.path()).to_owned().into());
    if let Some(query) = uri.query() {
        say("url.query", Query { query: cut(query), words }.to_string().into());
    }
    say("url.scheme", facts.client.scheme.as_str().into());
    if let Some(host) = host {
        say("server.address", host.to_owned().into());
    }
    if let Some(port) = port {
        say("server.port", i64::from(port).into());
    }
    if let Some(version) = version(request.version()) {
        say("network.protocol.version", version.into());
    }
    say("client.address", client_text.into());
    say("network.peer.address", peer_text.into());
    if let Some(port) = peer.port() {
        say("network.peer.port", i64::from(port).into());
    }
    if let Some(agent) = text(header::USER_AGENT) {
        say("user_agent.original", agent.to_owned().into());
    }
    say("gateway.listener", Arc::clone(&facts.listener).into());
    say("gateway.generation", i64::try_from(facts.generation).unwrap_or(i64::MAX).into());
    all
}

/// Adds the URL to the span of an upstream request: without credentials, and with secrets masked.
pub fn describe_url(span: &Span, host: &HeaderValue, uri: &Uri) {
    let (Ok(host), false) = (host.to_str(), span.is_disabled()) else { return };
    let mut url = format!("http://{host}{}", cut(uri.path()));
    if let Some(query) = uri.query() {
        use std::fmt::Write;
        let query = cut(query);
        // Writing to memory cannot fail.
        let _ = match span.context().get::<Carried>() {
            Some(Carried { words, .. }) => write!(url, "?{}", Query { query, words }),
            None => write!(url, "?***"),
        };
    }
    span.set_attribute("url.full", url);
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

/// The HTTP version as written in the access log.
pub(super) fn protocol(version: Version) -> &'static str {
    self::version(version).unwrap_or("other")
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(LONGEST)).unwrap_or(text)
}

/// The host and port of a Host field. An IPv6 address keeps its brackets.
fn split(host: &str) -> (&str, Option<u16>) {
    // There may be a password before an `@`.
    let host = host.rsplit('@').next().unwrap_or(host);
    let end = host.find(']').map_or_else(|| host.find(':'), |bracket| Some(bracket + 1));
    let (name, rest) = end.and_then(|end| host.split_at_checked(end)).unwrap_or((host, ""));
    (name, rest.strip_prefix(':').and_then(|port| port.parse().ok()))
}
