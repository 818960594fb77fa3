//! The access log: one line per request, secrets left out.

use super::span::{self, Traced};
use super::{End, Observation};
use crate::config::document::telemetry::{AccessField, AccessLog};
use crate::telemetry::logs::{ACCESS, Line as Text};
use crate::telemetry::query::{Query, Words};
use crate::telemetry::sampling::Share;
use gatewright_sdk::{Facts, Request, Response};
use http::header::{HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};
use opentelemetry::trace::SpanContext;
use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// The longest header value that is written, and the longest object of them, in bytes.
const VALUE: usize = 512;
const HEADERS: usize = 2048;

/// The settings, compiled.
#[derive(Debug, Clone)]
pub(super) struct Access {
    fields: Box<[AccessField]>,
    /// Which header fields are written, and whether as `***`.
    headers: Box<[(HeaderName, bool)]>,
    words: Words,
    sample: Share,
}

impl Access {
    pub(super) fn new(spec: &AccessLog, words: Words) -> Self {
        let redacted =
            |name: &HeaderName| spec.redact_headers.iter().any(|word| name.as_str().eq_ignore_ascii_case(word));
        let names = spec.headers.iter().filter_map(|name| name.to_ascii_lowercase().parse::<HeaderName>().ok());
        let headers = names.map(|name| (redacted(&name), name)).map(|(hidden, name)| (name, hidden));
        let mut fields = Vec::with_capacity(spec.fields.len());
        for field in &spec.fields {
            if !fields.contains(field) {
                fields.push(*field);
            }
        }
        let headers = if fields.contains(&AccessField::Headers) { headers.collect() } else { Box::default() };
        Self { fields: fields.into(), headers, words, sample: Share::new(spec.sample) }
    }

    /// A value as it is written: some are URLs, such as `Referer`, with a query.
    fn shown<'a>(&self, value: &'a HeaderValue) -> Cow<'a, str> {
        let text = String::from_utf8_lossy(value.as_bytes());
        match text.split_once('?') {
            Some((start, query)) => format!("{start}?{}", Query { query, words: &self.words }).into(),
            None => text,
        }
    }

    fn has(&self, field: AccessField) -> bool {
        self.fields.contains(&field)
    }

    /// Keeps what the line will say: the request itself goes to whoever answers it.
    pub(super) fn begin(self: &Arc<Self>, request: &Request, facts: &Facts) -> Line {
        let headers = request.headers();
        let host = || {
            let written = match request.uri().authority() {
                Some(authority) => authority.as_str().as_bytes(),
                None => headers.get(HOST)?.as_bytes(),
            };
            // What stands before an `@` may be a password.
            HeaderValue::from_bytes(written.rsplit(|byte| *byte == b'@').next()?).ok()
        };
        Line {
            access: Arc::clone(self),
            answered: None,
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            host: if self.has(AccessField::Host) { host() } else { None },
            user_agent: if self.has(AccessField::UserAgent) { headers.get(USER_AGENT).cloned() } else { None },
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

/// The value of a header field, of all its lines (RFC 9110, section 5.2).
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

/// What an access log line will say.
pub(super) struct Line {
    access: Arc<Access>,
    answered: Option<Duration>,
    method: Method,
    uri: Uri,
    version: Version,
    host: Option<HeaderValue>,
    user_agent: Option<HeaderValue>,
    client: IpAddr,
    listener: Arc<str>,
    route: Option<Arc<str>>,
    generation: u64,
    headers: Vec<Option<HeaderValue>>,
    /// The response headers that may carry the request's id.
    pub(super) request_ids: Option<Arc<[HeaderName]>>,
    request_id: Option<HeaderValue>,
}

impl Line {
    pub(super) fn answered(&mut self, response: &Response, taken: Duration) {
        self.answered = Some(taken);
        let mut names = self.request_ids.iter().flat_map(|names| names.iter());
        if let Some(id) = names.find_map(|name| response.headers().get(name)) {
            self.request_id = Some(id.clone());
        }
    }

    /// Writes the line, unless it is not among those that are drawn. Those of requests that ended badly all are.
    pub(super) fn write(&self, observation: &Observation) {
        let failed = observation.end != End::Done || observation.status.is_some_and(|status| status.is_server_error());
        if !failed && !self.access.sample.draw() {
            return;
        }
        let whole = Whole { line: self, observation, trace: observation.trace(), taken: observation.started.elapsed() };
        // For the record that an OTLP receiver gets, whatever the fields say.
        let _current = observation.trace.as_ref().map(Traced::enter);
        tracing::info!(target: ACCESS, fields = tracing::field::debug(whole), "request");
    }
}

/// The fields of a line as text: members of a JSON object, or for people in the alternate form.
struct Whole<'a> {
    line: &'a Line,
    observation: &'a Observation,
    trace: Option<&'a SpanContext>,
    taken: Duration,
}

impl fmt::Debug for Whole<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut buffer = String::with_capacity(768);
        let mut text = Text::fields(&mut buffer, f.alternate());
        self.line.access.fields.iter().for_each(|field| self.write(*field, &mut text));
        text.close();
        f.write_str(&buffer)
    }
}

impl Whole<'_> {
    fn write(&self, field: AccessField, text: &mut Text<'_>) {
        let (line, seen) = (self.line, self.observation);
        let decision = seen.decision.as_ref();
        match field {
            AccessField::Method => text.text("method", line.method.as_str()),
            AccessField::Path => text.text("path", line.uri.path()),
            AccessField::Query => {
                if let Some(query) = line.uri.query() {
                    text.escaped("query", format_args!("{}", Query { query, words: &line.access.words }));
                }
            }
            AccessField::Host => text.header("host", line.host.as_ref()),
            AccessField::Protocol => text.text("protocol", span::protocol(line.version)),
            AccessField::Status => {
                if let Some(status) = seen.status {
                    text.plain("status", status.as_u16());
                }
            }
            AccessField::DurationMs => text.plain("duration_ms", Millis(self.taken)),
            AccessField::ResponseMs => {
                if let Some(answered) = line.answered {
                    text.plain("response_ms", Millis(answered));
                }
            }
            AccessField::Bytes => text.plain("bytes", seen.bytes),
            AccessField::RequestBytes => text.plain("request_bytes", seen.received.bytes()),
            AccessField::ClientIp => text.escaped("client_ip", format_args!("{}", line.client)),
            AccessField::Listener => text.text("listener", &line.listener),
            AccessField::Route => text.maybe("route", line.route.as_deref()),
            AccessField::Generation => text.plain("generation", line.generation),
            AccessField::RequestId => text.header("request_id", line.request_id.as_ref()),
            AccessField::TraceId => {
                if let Some(trace) = self.trace {
                    text.escaped("trace_id", format_args!("{}", trace.trace_id()));
                }
            }
            AccessField::SpanId => {
                if let Some(trace) = self.trace {
                    text.escaped("span_id", format_args!("{}", trace.span_id()));
                }
            }
            AccessField::Outcome => text.maybe("outcome", decision.map(|decision| decision.outcome.as_str())),
            AccessField::Plugin => text.maybe("plugin", decision.and_then(|decision| decision.plugin.as_deref())),
            AccessField::Reason => text.maybe("reason", decision.and_then(|decision| decision.reason.as_deref())),
            AccessField::UserAgent => text.header("user_agent", line.user_agent.as_ref()),
            AccessField::Headers => self.headers(text),
            AccessField::End => text.maybe("end", seen.end.cut()),
        }
    }

    /// The header fields of the line as an object, bounded.
    fn headers(&self, text: &mut Text<'_>) {
        let line = self.line;
        if !line.headers.iter().any(Option::is_some) {
            return;
        }
        let values = line.access.headers.iter().zip(&line.headers);
        let written = values.filter_map(|((name, hidden), value)| {
            let value = value.as_ref()?;
            let value = if *hidden { "***".into() } else { line.access.shown(value) };
            Some((name.as_str(), value))
        });
        text.object("headers", written, VALUE, HEADERS);
    }
}

/// A duration in milliseconds, to the microsecond.
struct Millis(Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        write!(f, "{}.{:03}", micros / 1000, micros % 1000)
    }
}
