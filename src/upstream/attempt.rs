//! One attempt to get a response from a backend, recorded in its span and metrics however it ends.

use super::backend::Backend;
use super::measure::Ended;
use crate::telemetry::{describe_url, method_index};
use http::{Method, Uri};
use std::time::{Duration, Instant};
use tracing::Span;

/// `error.type` of a request whose response was no longer awaited: the client left, or one of our deadlines passed.
const CANCELLED: &str = "cancelled";

/// An attempt in progress. Recorded when it ends, even if the response is no longer awaited.
pub(super) struct Attempt<'a> {
    backend: &'a Backend,
    /// How often the request had been sent before this attempt, or was sent again within it.
    pub resends: u32,
    method: usize,
    started: Instant,
    /// How long it took, once it has ended.
    taken: Option<Duration>,
    ended: Ended,
    /// Its span, and the parts of the URL that do not depend on the backend.
    traced: Option<(Span, Uri)>,
}

impl<'a> Attempt<'a> {
    pub fn new(backend: &'a Backend, method: &Method) -> Self {
        let method = method_index(method);
        let started = Instant::now();
        Self { backend, resends: 0, method, started, taken: None, ended: Err(CANCELLED), traced: None }
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

    fn describe(&self, span: &Span, uri: &Uri) {
        let backend = self.backend;
        span.record("server.address", &*backend.name);
        if backend.port != 0 {
            span.record("server.port", i64::from(backend.port));
        }
        if self.resends > 0 {
            span.record("http.request.resend_count", i64::from(self.resends));
        }
        span.record("network.protocol.version", backend.transport.version());
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
        let taken = self.taken.unwrap_or_else(|| self.started.elapsed());
        let nanoseconds = u64::try_from(taken.as_nanos()).unwrap_or(u64::MAX);
        self.backend.durations.record(self.method, self.ended, nanoseconds);
        if let Some((span, uri)) = &self.traced {
            self.describe(span, uri);
        }
    }
}
