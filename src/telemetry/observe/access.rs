//! The access log: one line per request, without secrets.

use super::decision::{Decision, Outcome};
use super::span;
use super::{End, Observation};
use crate::config::document::telemetry::{AccessField, AccessLog};
use crate::grpc;
use crate::telemetry::logs::{Access, Encoder, write_access};
use crate::telemetry::query::{Query, Words, holds_credentials};
use crate::telemetry::sampling::SampleShare;
use gatewright_sdk::{
    AppliedRule, ClientAddress, Facts, Identity, Logged, Problem, Refusal, Request, Response, WouldRefuse,
};
use http::header::{HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};
use opentelemetry::trace::SpanContext;
use parking_lot::Mutex;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use tracing::Level;

/// The compiled settings.
#[derive(Debug, Clone)]
pub(super) struct CompiledAccessLog {
    /// Whether the fields are the default ones.
    usual: bool,
    fields: Box<[AccessField]>,
    /// Which header fields are logged, and which of them as `***`.
    headers: Box<[(HeaderName, bool)]>,
    words: Words,
    sample: SampleShare,
}

impl CompiledAccessLog {
    pub(super) fn new(spec: &AccessLog, words: Words) -> Self {
        let headers = spec.headers.iter().map(|name| (HeaderName::clone(name), spec.redact_headers.contains(name)));
        let mut fields = Vec::with_capacity(spec.fields.len());
        for field in &spec.fields {
            if !fields.contains(field) {
                fields.push(*field);
            }
        }
        let headers = if fields.contains(&AccessField::Headers) { headers.collect() } else { Box::default() };
        let usual = spec.fields == AccessLog::default().fields;
        Self { usual, fields: fields.into(), headers, words, sample: SampleShare::new(spec.sample) }
    }

    /// A value as logged: some, such as `Referer`, are URLs with a query.
    fn shown<'a>(&self, value: &'a HeaderValue) -> Cow<'a, str> {
        let text = String::from_utf8_lossy(value.as_bytes());
        let (start, query) = text.split_once('?').map_or((&*text, None), |(start, query)| (start, Some(query)));
        if holds_credentials(start) {
            return "***".into();
        }
        match query {
            Some(query) => format!("{start}?{}", Query { query, words: &self.words }).into(),
            None => text,
        }
    }

    fn has(&self, field: AccessField) -> bool {
        self.fields.contains(&field)
    }

    /// Saves what the line needs, because the request itself moves on to its target.
    pub(super) fn begin(self: &Arc<Self>, request: &Request, facts: &Facts) -> AccessLine {
        let headers = request.headers();
        let host = || {
            let written = match request.uri().authority() {
                Some(authority) => authority.as_str().as_bytes(),
                None => headers.get(HOST)?.as_bytes(),
            };
            // Text before an `@` may be a password.
            HeaderValue::from_bytes(written.rsplit(|byte| *byte == b'@').next()?).ok()
        };
        AccessLine {
            access: Arc::clone(self),
            answered: None,
            rule: None,
            problem: None,
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            host: if self.has(AccessField::Host) { host() } else { None },
            user_agent: if self.has(AccessField::UserAgent) { headers.get(USER_AGENT).cloned() } else { None },
            identity: (self.has(AccessField::Subject) || self.has(AccessField::AuthMethod)).then(Arc::default),
            client: facts.client.ip,
            listener: Arc::clone(&facts.listener),
            route: facts.route.clone(),
            generation: facts.generation,
            headers: self.headers.iter().map(|(name, _)| whole(headers, name)).collect(),
            request_ids: None,
            request_id: facts.request_id.as_ref().map(|id| id.value.clone()),
        }
    }
}

/// The value of a header field, across all its lines (RFC 9110, section 5.2).
fn whole(headers: &HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    let mut rest = values.peekable();
    if rest.peek().is_none() {
        return Some(first.clone());
    }
    let all: Vec<_> = std::iter::once(first).chain(rest).map(HeaderValue::as_bytes).collect();
    HeaderValue::from_bytes(&all.join(&b", "[..])).ok()
}

/// The data of an access log line.
pub(super) struct AccessLine {
    access: Arc<CompiledAccessLog>,
    answered: Option<Duration>,
    rule: Option<&'static str>,
    /// The error response, if it says what failed.
    problem: Option<Arc<Problem>>,
    method: Method,
    uri: Uri,
    version: Version,
    host: Option<HeaderValue>,
    user_agent: Option<HeaderValue>,
    /// The identity, once a plugin has verified it; `None` if it is not logged.
    identity: Option<Arc<Mutex<Option<Arc<Identity>>>>>,
    client: ClientAddress,
    listener: Arc<str>,
    route: Option<Arc<str>>,
    generation: u64,
    headers: Vec<Option<HeaderValue>>,
    /// The response headers that may carry the request id.
    pub(super) request_ids: Option<Arc<[HeaderName]>>,
    request_id: Option<HeaderValue>,
}

impl AccessLine {
    /// What it wants to know.
    pub(super) fn logged(&self) -> Logged {
        Logged { identity: self.identity.clone() }
    }

    /// The identity, if it is logged and there is one.
    fn identity(&self) -> Option<Arc<Identity>> {
        self.identity.as_ref()?.lock().clone()
    }

    pub(super) fn answered(&mut self, response: &Response, taken: Duration) {
        self.answered = Some(taken);
        self.rule = response.extensions().get::<AppliedRule>().map(|rule| rule.0);
        self.problem = response.extensions().get::<Arc<Problem>>().filter(|problem| problem.error().is_some()).cloned();
        let mut names = self.request_ids.iter().flat_map(|names| names.iter());
        if let Some(id) = names.find_map(|name| response.headers().get(name)) {
            self.request_id = Some(id.clone());
        }
    }

    /// Writes the line if it is sampled. Requests that ended badly are always logged.
    pub(super) fn write(&self, observation: &Observation) {
        let failed =
            observation.end != End::Done || observation.grpc_error().is_some() || observation.server_error().is_some();
        if !failed && !self.access.sample.draw() {
            return;
        }
        let trace = observation.trace();
        let record = AccessRecord { line: self, observation, trace, taken: observation.started.elapsed() };
        let level = if record.is_our_failure() { Level::WARN } else { Level::INFO };
        write_access(&Access { level, trace, usual: self.access.usual }, |out| record.encode(out));
    }
}

/// The access log record of one request.
struct AccessRecord<'a> {
    line: &'a AccessLine,
    observation: &'a Observation,
    trace: Option<&'a SpanContext>,
    taken: Duration,
}

impl AccessRecord<'_> {
    /// Whether the gateway itself responded with 5xx, or the same in terms of gRPC.
    fn is_our_failure(&self) -> bool {
        let refused = |decision: &Decision| decision.outcome == Outcome::Refused;
        let seen = self.observation;
        (seen.grpc_error().is_some() || seen.server_error().is_some())
            && self.observation.decision.as_ref().is_some_and(refused)
    }

    /// Writes the configured fields to `out`, in their order.
    fn encode(&self, out: &mut dyn Encoder) {
        for field in &self.line.access.fields {
            self.field(*field, out);
        }
    }

    fn field(&self, field: AccessField, out: &mut dyn Encoder) {
        let (line, seen) = (self.line, self.observation);
        let (decision, proxied) = (seen.decision.as_ref(), seen.proxied.as_ref());
        match field {
            AccessField::Method => out.text("method", line.method.as_str()),
            AccessField::Path => out.text("path", line.uri.path()),
            AccessField::Query => {
                if let Some(query) = line.uri.query() {
                    out.display("query", format_args!("{}", Query { query, words: &line.access.words }));
                }
            }
            AccessField::Host => out.header("host", line.host.as_ref()),
            AccessField::Protocol => out.text("protocol", span::protocol(line.version)),
            AccessField::Status => {
                if let Some(status) = seen.status {
                    out.number("status", status.as_u16().into());
                }
            }
            AccessField::GrpcStatus => out.maybe("grpc_status", seen.grpc.map(grpc::Status::name)),
            AccessField::DurationMs => out.millis("duration_ms", self.taken),
            AccessField::ResponseMs => {
                if let Some(answered) = line.answered {
                    out.millis("response_ms", answered);
                }
            }
            AccessField::Bytes => out.number("bytes", seen.bytes),
            AccessField::RequestBytes => out.number("request_bytes", seen.received.bytes()),
            AccessField::ClientIp => out.display("client_ip", format_args!("{}", line.client)),
            AccessField::Subject => {
                let identity = line.identity();
                let subject = identity.as_deref().map(|identity| &*identity.subject);
                out.maybe("subject", subject.filter(|subject| !subject.is_empty()));
            }
            AccessField::AuthMethod => out.maybe("auth_method", line.identity().map(|identity| identity.method)),
            AccessField::Listener => out.text("listener", &line.listener),
            AccessField::Route => out.maybe("route", line.route.as_deref()),
            AccessField::Generation => out.number("generation", line.generation),
            AccessField::RequestId => out.header("request_id", line.request_id.as_ref()),
            AccessField::TraceId => {
                if let Some(trace) = self.trace {
                    out.display("trace_id", format_args!("{}", trace.trace_id()));
                }
            }
            AccessField::SpanId => {
                if let Some(trace) = self.trace {
                    out.display("span_id", format_args!("{}", trace.span_id()));
                }
            }
            AccessField::Outcome => out.maybe("outcome", decision.map(|decision| decision.outcome.as_str())),
            AccessField::Plugin => out.maybe("plugin", decision.and_then(|decision| decision.plugin.as_deref())),
            AccessField::Reason => out.maybe("reason", decision.and_then(|decision| decision.reason.as_deref())),
            AccessField::Observed => {
                if let Some(WouldRefuse(refusals)) = &seen.observed {
                    let one = |refusal: &Refusal| {
                        format!("{}:{}", refusal.plugin.as_deref().unwrap_or_default(), refusal.reason)
                    };
                    out.text("observed", &refusals.iter().map(one).collect::<Vec<_>>().join(", "));
                }
            }
            AccessField::Rule => out.maybe("rule", line.rule),
            AccessField::Upstream => out.maybe("upstream", proxied.map(|proxied| &*proxied.target.upstream)),
            AccessField::UpstreamTarget => {
                // There is none if no target was available.
                let target = proxied.map(|proxied| &*proxied.target.address).filter(|address| !address.is_empty());
                out.maybe("upstream_target", target);
            }
            AccessField::Peer => out.maybe("peer", proxied.and_then(|proxied| proxied.target.peer.as_deref())),
            AccessField::UpstreamMs => {
                if let Some(proxied) = proxied {
                    out.millis("upstream_ms", proxied.taken);
                }
            }
            AccessField::Attempts => {
                if let Some(proxied) = proxied.filter(|proxied| proxied.attempts > 1) {
                    out.number("attempts", proxied.attempts.into());
                }
            }
            AccessField::Error => {
                let own = || line.problem.as_ref().and_then(|problem| problem.error());
                out.maybe("error", proxied.and_then(|proxied| proxied.error.as_deref()).or_else(own));
            }
            AccessField::UserAgent => out.header("user_agent", line.user_agent.as_ref()),
            AccessField::Headers => self.headers(out),
            AccessField::End => out.maybe("end", seen.end.cut()),
        }
    }

    /// Writes the header fields as an object.
    fn headers(&self, out: &mut dyn Encoder) {
        let line = self.line;
        if !line.headers.iter().any(Option::is_some) {
            return;
        }
        let values = line.access.headers.iter().zip(&line.headers);
        let mut written = values.filter_map(|((name, hidden), value)| {
            let value = value.as_ref()?;
            let value = if *hidden { "***".into() } else { line.access.shown(value) };
            Some((name.as_str(), value))
        });
        out.object("headers", &mut written);
    }
}
