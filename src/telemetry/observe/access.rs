//! The access log: one line per request, secrets left out.

use super::Observation;
use crate::config::document::telemetry::AccessLog;
use crate::telemetry::logs::{ACCESS, Escaped};
use crate::telemetry::sampling::Share;
use gatewright_sdk::{Facts, Request, Response};
use http::{HeaderName, HeaderValue, Method, Uri};
use opentelemetry::trace::TraceContextExt;
use std::fmt::{self, Write};
use std::net::IpAddr;
use std::sync::Arc;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The longest header value that is written, and the longest object of them, in bytes.
const VALUE: usize = 512;
const HEADERS: usize = 2048;

/// The settings, compiled.
#[derive(Debug, Clone)]
pub(super) struct Access {
    /// Which header fields are written, and whether as `***`.
    headers: Box<[(HeaderName, bool)]>,
    /// In lower case.
    redact_query: Box<[Box<str>]>,
    sample: Share,
    pub request_id: HeaderName,
}

impl Access {
    pub(super) fn new(spec: &AccessLog) -> Self {
        let redacted =
            |name: &HeaderName| spec.redact_headers.iter().any(|word| name.as_str().eq_ignore_ascii_case(word));
        let names = spec.headers.iter().filter_map(|name| name.to_ascii_lowercase().parse::<HeaderName>().ok());
        Self {
            headers: names.map(|name| (redacted(&name), name)).map(|(hidden, name)| (name, hidden)).collect(),
            redact_query: spec.redact_query.iter().map(|word| word.to_lowercase().into_boxed_str()).collect(),
            sample: Share::new(spec.sample),
            request_id: HeaderName::from_static("x-request-id"),
        }
    }

    /// Keeps what the line will say: the request itself goes to whoever answers it.
    pub(super) fn begin(self: &Arc<Self>, request: &Request, facts: &Facts) -> Line {
        let headers = self.headers.iter().map(|(name, _)| request.headers().get(name).cloned());
        Line {
            access: Arc::clone(self),
            method: request.method().clone(),
            uri: request.uri().clone(),
            client: facts.client.ip,
            listener: Arc::clone(&facts.listener),
            route: facts.route.clone(),
            generation: facts.generation,
            headers: headers.collect(),
            request_id: facts.request_id.as_ref().map(|id| id.value.clone()),
        }
    }
}

/// What an access log line will say.
pub(super) struct Line {
    access: Arc<Access>,
    method: Method,
    uri: Uri,
    client: IpAddr,
    listener: Arc<str>,
    route: Option<Arc<str>>,
    generation: u64,
    headers: Vec<Option<HeaderValue>>,
    request_id: Option<HeaderValue>,
}

impl Line {
    pub(super) fn answered(&mut self, response: &Response) {
        if let Some(id) = response.headers().get(&self.access.request_id) {
            self.request_id = Some(id.clone());
        }
    }

    pub(super) fn write(&self, observation: &Observation) {
        let failed = observation.status.is_some_and(|status| status.is_server_error());
        if !failed && !self.access.sample.draw() {
            return;
        }
        let (plugin, reason) = observation.refused();
        let trace =
            (!observation.span.is_disabled()).then(|| observation.span.context().span().span_context().trace_id());
        let micros = u32::try_from(observation.started.elapsed().as_micros()).unwrap_or(u32::MAX);
        tracing::info!(
            target: ACCESS,
            parent: None,
            method = self.method.as_str(),
            path = self.uri.path(),
            query = self.uri.query().map(|query| tracing::field::debug(Query { query, words: &self.access.redact_query })),
            status = observation.status.map(|status| status.as_u16()),
            duration_ms = f64::from(micros) / 1000.0,
            bytes = observation.bytes,
            client_ip = tracing::field::display(self.client),
            listener = &*self.listener,
            route = self.route.as_deref(),
            generation = self.generation,
            request_id = self.request_id.as_ref().and_then(|id| id.to_str().ok()),
            trace_id = trace.map(tracing::field::display),
            plugin,
            reason,
            headers = self.headers.iter().any(Option::is_some).then(|| tracing::field::debug(Headers(self))),
            end = observation.end.cut(),
            "request"
        );
    }
}

/// The header fields of a line as a JSON object, bounded.
struct Headers<'a>(&'a Line);

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::from("{");
        for ((name, hidden), value) in self.0.access.headers.iter().zip(&self.0.headers) {
            let Some(value) = value else { continue };
            let value = if *hidden { "***".into() } else { String::from_utf8_lossy(value.as_bytes()) };
            let start = text.len();
            let separator = if start > 1 { "," } else { "" };
            write!(text, "{separator}\"{name}\":\"")?;
            let end = text.len() + VALUE;
            let mut out = Escaped { text: &mut text, end, cut: false };
            let _ = out.write_str(&value);
            let cut = out.cut;
            text.push_str(if cut { "…\"" } else { "\"" });
            if text.len() > HEADERS {
                text.truncate(start);
            }
        }
        text.push('}');
        f.write_str(&text)
    }
}

/// A query with the values of some parameters as `***`.
struct Query<'a> {
    query: &'a str,
    words: &'a [Box<str>],
}

impl Query<'_> {
    fn hides(&self, name: &str) -> bool {
        let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
        // `user[password]`, `filter.token`: the last word of a nested name says what it is.
        let last = name.rsplit(['[', '.']).next().unwrap_or(&name).trim_end_matches(']');
        self.words.iter().any(|word| name.to_lowercase() == **word || last.to_lowercase() == **word)
    }
}

impl fmt::Debug for Query<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, pair) in self.query.split('&').enumerate() {
            if place > 0 {
                f.write_char('&')?;
            }
            // Some servers part parameters by a semicolon, too.
            for (place, part) in pair.split(';').enumerate() {
                if place > 0 {
                    f.write_char(';')?;
                }
                match part.split_once('=') {
                    // What follows may belong to the secret.
                    Some((name, _)) if self.hides(name) => {
                        write!(f, "{name}=***")?;
                        break;
                    }
                    _ => f.write_str(part)?,
                }
            }
        }
        Ok(())
    }
}
