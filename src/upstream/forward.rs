//! One request to an upstream: tries backends until one takes it, and waits for the head of the response.

use super::Upstream;
use super::attempt::Attempt;
use super::backend::Backend;
use super::failure::Failure;
use super::load::Lease;
use super::transport::{Lost, Outgoing, Sending};
use super::upload::Upload;
use crate::telemetry::{self, Proxied, propagation};
use gatewright_sdk::{Facts, Problem, Request, Response};
use http::header::HOST;
use http::{Extensions, Method, Version};
use std::sync::Arc;
use std::time::Duration;
use tracing::field::Empty;
use tracing::{Instrument, Span};

impl Upstream {
    /// Serves `request`, whose head is complete except for `Host`.
    pub(super) async fn answer(&self, request: Request) -> Response {
        let is_logged = Facts::of(&request).logged.is_some();
        let (mut parts, body) = request.into_parts();
        parts.version = Version::HTTP_11;
        parts.extensions = Extensions::new();
        let mut request = Outgoing::from_parts(parts, Upload::new(body));
        let mut tried = Vec::new();
        let (mut resends, mut taken) = (0, Duration::ZERO);
        loop {
            let Some(backend) = self.backends.load().pick(&tried) else { return Problem::bad_gateway().into() };
            let failure = match self.attempt(&backend, request, (&mut resends, &mut taken)).await {
                Ok(mut response) => {
                    // An extension is allocated, so there is none that no one reads.
                    if is_logged {
                        Proxied { target: Arc::clone(&backend.target), taken, error: None }.attach(&mut response);
                    }
                    return response;
                }
                // Nothing was sent, so the next backend may take it.
                Err(Lost::Unsent(_, unsent)) if self.backends.load().list.len() > tried.len() + 1 => {
                    request = *unsent;
                    tried.push(backend);
                    continue;
                }
                Err(Lost::Unsent(failure, _) | Lost::Failed(failure)) => failure,
            };
            return failed(failure, &backend, taken);
        }
    }

    /// One attempt to get a response from `backend`.
    async fn attempt(
        &self,
        backend: &Backend,
        mut request: Outgoing,
        (resends, taken): (&mut u32, &mut Duration),
    ) -> Result<Response, Lost> {
        let mut attempt = Attempt::new(backend, request.method());
        let span = self.span(request.method());
        if !span.is_disabled() {
            propagation::inject(&span, request.headers_mut());
            attempt.trace(&span, request.uri());
        }
        request.headers_mut().insert(HOST, backend.host.clone());
        let lease = Some(Lease::new(&backend.load));
        let mut sending = Sending { response_header: self.response_header, lease, resends: *resends };
        let answer = backend.transport.send(request, &mut sending).instrument(span).await;
        *resends = sending.resends;
        attempt.resends = sending.resends;
        *taken = attempt.ends(match &answer {
            Ok(response) => Ok(response.status()),
            Err(Lost::Unsent(failure, _) | Lost::Failed(failure)) => Err(failure.reason()),
        });
        answer
    }

    fn span(&self, method: &Method) -> Span {
        // Clients may invent methods; span names must stay bounded.
        let known = telemetry::method(method);
        tracing::info_span!(
            target: "gatewright::upstream",
            "upstream",
            otel.kind = "client",
            otel.name = format_args!("{} {}", if known == "_OTHER" { "HTTP" } else { known }, self.name),
            otel.status_code = Empty,
            http.request.method = known,
            http.request.method_original = (known == "_OTHER").then(|| method.as_str()),
            http.request.resend_count = Empty,
            http.response.status_code = Empty,
            network.protocol.version = "1.1",
            server.address = Empty,
            server.port = Empty,
            error.type = Empty,
            gateway.upstream = &*self.name,
        )
    }
}

/// The response to a request that `backend`, the last one tried, failed to serve.
fn failed(failure: Failure, backend: &Backend, taken: Duration) -> Response {
    let error = failure.describe(&backend.target.address).map(Arc::from);
    let mut response = failure.problem().into();
    Proxied { target: Arc::clone(&backend.target), taken, error }.attach(&mut response);
    response
}
