//! One attempt to get a response from a backend, recorded in its span and metrics however it ends.

use super::Upstream;
use super::backend::Backend;
use super::failure::Failure;
use super::measure::Ended;
use super::upload::Progress;
use crate::telemetry::{describe_url, method_index};
use http::{Method, Uri};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::Span;

/// `error.type` of a request whose response was no longer awaited, because the client left.
const CANCELLED: &str = "cancelled";

/// How much earlier than the chain's timer an attempt may have begun or ended.
const TOLERANCE: Duration = Duration::from_millis(10);

/// An attempt in progress. Recorded when it ends, even if the response is no longer awaited.
pub(super) struct Attempt<'a> {
    upstream: &'a Upstream,
    backend: &'a Backend,
    /// How long the chain waits for the response, from the end of the request.
    pub patience: Option<Duration>,
    /// The body of the request, unless it is empty.
    pub upload: Option<Arc<Progress>>,
    /// How often the request had been sent before this attempt, or was sent again within it.
    pub resends: u32,
    /// The version of HTTP.
    pub version: &'static str,
    method: usize,
    started: Instant,
    /// How long it took, once it has ended.
    taken: Option<Duration>,
    ended: Ended,
    /// Its span, and the parts of the URL that do not depend on the backend.
    traced: Option<(Span, Uri)>,
}

impl<'a> Attempt<'a> {
    pub fn new(upstream: &'a Upstream, backend: &'a Backend, method: &Method) -> Self {
        let method = method_index(method);
        let started = Instant::now();
        Self {
            upstream,
            backend,
            patience: None,
            upload: None,
            resends: 0,
            version: backend.transport.version(),
            method,
            started,
            taken: None,
            ended: Err(CANCELLED),
            traced: None,
        }
    }

    /// Records the result in `span`.
    pub fn trace(&mut self, span: &Span, uri: &Uri) {
        self.traced = Some((span.clone(), uri.clone()));
    }

    /// Ends it, and returns how long it took.
    pub fn ends(mut self, ended: Ended) -> Duration {
        self.ended = ended;
        *self.taken.insert(self.started.elapsed())
    }

    /// Whether the chain has stopped waiting for the response, rather than the client.
    fn is_late(&self) -> bool {
        let begin = match &self.upload {
            None => Some(self.started),
            Some(upload) => upload.completed().map(|completed| completed.max(self.started)),
        };
        match (begin, self.patience) {
            (Some(begin), Some(patience)) => begin.elapsed() + TOLERANCE >= patience,
            _ => false,
        }
    }

    fn describe(&self, span: &Span, uri: &Uri) {
        let backend = self.backend;
        span.record("server.address", &*backend.name);
        if backend.port != 0 {
            span.record("server.port", i64::from(backend.port));
        }
        if let Some(peer) = &backend.label.peer {
            span.record("network.peer.address", &**peer);
        }
        if self.resends > 0 {
            span.record("http.request.resend_count", i64::from(self.resends));
        }
        span.record("network.protocol.version", self.version);
        describe_url(span, &backend.host, uri);
        if let Ok(status) = &self.ended {
            span.record("http.response.status_code", i64::from(status.as_u16()));
        }
        let error = match &self.ended {
            Ok(status) if status.is_client_error() || status.is_server_error() => status.as_str(),
            Ok(_) => return,
            Err(reason) => reason,
        };
        span.record("otel.status_code", "error");
        span.record("error.type", error);
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.taken.is_none() && self.is_late() {
            self.ended = Err(Failure::Timeout.reason());
            self.upstream.timed_out(self.backend, self.started.elapsed());
        }
        let taken = self.taken.unwrap_or_else(|| self.started.elapsed());
        let nanoseconds = u64::try_from(taken.as_nanos()).unwrap_or(u64::MAX);
        self.backend.durations.record(self.method, self.ended, nanoseconds);
        if let Some((span, uri)) = &self.traced {
            self.describe(span, uri);
        }
    }
}
