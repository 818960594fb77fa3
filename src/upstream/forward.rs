//! One request to an upstream: tries backends until one takes it, waits for the head of the response, and retries.

use super::attempt::Attempt;
use super::backend::Backend;
use super::breaker::Rejected;
use super::call;
use super::exposed::{self, Inside};
use super::failure::Failure;
use super::headers::Outside;
use super::health::Outcome;
use super::load::Lease;
use super::relay::{self, Relayed};
use super::retry::{Retry, retry_after};
use super::transport::{Lost, Outgoing, Sending};
use super::upgrade::Upgrade;
use super::upload::{Replay, Upload};
use super::{Proxy, Upstream};
use crate::grpc;
use crate::telemetry::{self, Proxied, propagation};
use gatewright_sdk::{Facts, Request, Response, hold};
use http::header::HOST;
use http::{Extensions, Method, Version};
use http_body::Body as _;
use std::sync::Arc;
use std::time::Duration;
use tracing::field::Empty;
use tracing::{Instrument, Span};

/// What has become of a request so far.
#[derive(Default)]
struct Tries {
    hash: Option<u64>,
    /// How long the client waits for it.
    deadline: Option<Duration>,
    /// The backends that did not serve it.
    tried: Vec<Arc<Backend>>,
    /// The last backend that was picked.
    last: Option<Arc<Backend>>,
    sent: Sent,
}

/// What an attempt leaves to the next one.
#[derive(Default)]
struct Sent {
    /// How long the chain waits for the response.
    patience: Option<Duration>,
    resends: u32,
    /// How often it may still be sent again although a target may have received it.
    spare_resends: u32,
    /// How often the request was sent, or a target was tried.
    attempts: u32,
    /// How long the last attempt took.
    taken: Duration,
    /// The other protocol that the request asks for.
    upgrade: Option<Box<Upgrade>>,
}

/// A request on its way to an upstream.
pub(super) struct Departing {
    request: Outgoing,
    outside: Outside,
    tries: Tries,
    is_logged: bool,
}

impl Departing {
    /// Of `request`, whose head is complete except for `Host`. Not part of the future that serves it, because that is
    /// large enough.
    pub fn new(upstream: &Upstream, request: Request, (upgrade, outside): (Option<Box<Upgrade>>, Outside)) -> Self {
        let is_logged = Facts::of(&request).logged.is_some();
        let patience = Facts::of(&request).request_timeout;
        let hash = upstream.hash(&request);
        let (mut parts, body) = request.into_parts();
        let deadline = if parts.version == Version::HTTP_2 { grpc::timeout(&parts.headers) } else { None };
        parts.version = Version::HTTP_11;
        parts.extensions = Extensions::new();
        let request = Box::new(http::Request::from_parts(parts, Upload::new(body)));
        let sent = Sent { patience, upgrade, spare_resends: 1, ..Sent::default() };
        Self { request, outside, tries: Tries { hash, deadline, sent, ..Tries::default() }, is_logged }
    }
}

impl Upstream {
    /// Serves a request.
    pub(super) async fn answer(route: Arc<Proxy>, departing: Departing) -> Response {
        let this = &*route.upstream;
        let Departing { request, outside, mut tries, is_logged } = departing;
        let is_upgrade = tries.sent.upgrade.is_some();
        let retry = route.retry.as_ref().filter(|retry| !is_upgrade && retry.applies(request.method()));
        let served = if let Some(breaker) = &this.breaker {
            match breaker.admit().await {
                Ok(mut permit) => {
                    let served = Box::pin(this.try_to_serve(request, &mut tries, retry)).await;
                    this.report(&mut permit, &served);
                    if let Some((upgrade, relayed)) = this.switched(&mut tries) {
                        relay::start(upgrade, relayed, permit);
                        served
                    } else {
                        served.map(|response| hold(response, permit))
                    }
                }
                Err(rejected) => Err(rejected.into()),
            }
        } else {
            let served = this.try_to_serve(request, &mut tries, retry).await;
            if let Some((upgrade, relayed)) = this.switched(&mut tries) {
                relay::start(upgrade, relayed, ());
            }
            served
        };
        let (mut response, error) = match served {
            Ok(mut response) => {
                if let (false, Some(backend)) = (route.keeps_responses, &tries.last) {
                    let inside =
                        Inside { backend, has_clients_host: this.sends_clients_host, rewriting: &route.rewriting };
                    exposed::expose(response.headers_mut(), &inside, &outside);
                }
                (response, None)
            }
            Err(failure) => {
                let target = tries.last.as_ref().map_or(&this.nowhere, |backend| &backend.label);
                let error = failure.describe(target).map(Arc::from);
                (failure.problem().into(), error)
            }
        };
        // An extension is allocated, so there is none that no one reads.
        if is_logged || error.is_some() {
            let target = tries.last.as_ref().map_or(&this.nowhere, |backend| &backend.label);
            let Sent { taken, attempts, .. } = tries.sent;
            Proxied { target: Arc::clone(target), taken, attempts, error }.attach(&mut response);
        }
        response
    }

    /// The two connections of a request whose upstream has switched to another protocol.
    fn switched(&self, tries: &mut Tries) -> Option<(Upgrade, Relayed)> {
        let upgrade = *tries.sent.upgrade.take().filter(|upgrade| upgrade.switched.is_some())?;
        let target = Arc::clone(tries.last.as_ref().map_or(&self.nowhere, |backend| &backend.label));
        Some((upgrade, Relayed { target, open: Arc::clone(&self.upgraded) }))
    }

    async fn try_to_serve(
        &self,
        request: Outgoing,
        tries: &mut Tries,
        retry: Option<&Retry>,
    ) -> Result<Response, Failure> {
        let deadline = tries.deadline;
        if retry.is_none() && deadline.is_none() {
            return self.once(request, tries, None).await;
        }
        // Boxed, because few requests are retried or have a deadline, and the other future is moved often.
        Box::pin(async {
            let serve = async {
                match retry {
                    Some(retry) => self.retry(request, tries, retry).await,
                    None => self.once(request, tries, None).await,
                }
            };
            match deadline {
                Some(deadline) => tokio::time::timeout(deadline, serve).await.unwrap_or(Err(Failure::Timeout)),
                None => serve.await,
            }
        })
        .await
    }

    /// Sends `request` to a backend. One that does not take it is followed by the next.
    async fn once(
        &self,
        mut request: Outgoing,
        tries: &mut Tries,
        within: Option<Duration>,
    ) -> Result<Response, Failure> {
        let mut failure = Failure::NoTarget;
        loop {
            let Some(backend) = self.backends.pick(&tries.tried, tries.hash) else { return Err(failure) };
            let backend = tries.last.insert(backend);
            match self.attempt(backend, request, &mut tries.sent, within).await {
                Ok(response) => return Ok(response),
                // Nothing was sent, so another backend may take it.
                Err(Lost::Unsent(reason, unsent)) => {
                    tries.tried.push(Arc::clone(backend));
                    failure = reason;
                    request = unsent;
                }
                Err(Lost::Failed(reason)) => return Err(reason),
            }
        }
    }

    /// Sends `request` until it succeeds or must not be sent again.
    async fn retry(&self, request: Outgoing, tries: &mut Tries, retry: &Retry) -> Result<Response, Failure> {
        retry.deposit();
        let (head, upload) = request.into_parts();
        let body = upload.into_body();
        let replay = (!body.is_end_stream()).then(|| Replay::new(body, retry.body()));
        tries.sent.spare_resends = retry.attempts();
        loop {
            let upload = replay.as_ref().map_or_else(Upload::empty, Upload::replayed);
            let request = Box::new(http::Request::from_parts(head.clone(), upload));
            let served = self.once(request, tries, retry.per_try_timeout()).await;
            let outcome = served.as_ref().map(Response::status);
            if !retry.wants(outcome) || !replay.as_ref().is_none_or(Replay::is_whole) {
                return served;
            }
            tries.tried.extend(tries.last.clone());
            let mut after = None;
            if self.backends.pick(&tries.tried, tries.hash).is_none() {
                // All were tried: begin again, when they ask for it.
                tries.tried.clear();
                after = served.as_ref().ok().and_then(retry_after);
            }
            let number = retry.attempts() - tries.sent.spare_resends;
            let Some(pause) = retry.pause(number, after) else { return served };
            self.retries.add(1);
            drop(served);
            tokio::time::sleep(pause).await;
            tries.sent.resends += 1;
            tries.sent.spare_resends -= 1;
        }
    }

    /// One attempt to get a response from `backend`, `within` this time.
    async fn attempt(
        &self,
        backend: &Backend,
        mut request: Outgoing,
        sent: &mut Sent,
        within: Option<Duration>,
    ) -> Result<Response, Lost> {
        let mut attempt = Attempt::new(self, backend, request.method());
        (attempt.patience, attempt.upload) = (sent.patience, request.body().progress());
        let span = self.span(request.method());
        if !span.is_disabled() {
            propagation::inject(&span, request.headers_mut());
            attempt.trace(&span, request.uri());
        }
        let call = (!span.is_disabled() && grpc::is_call(Version::HTTP_2, request.headers())).then(|| span.clone());
        if !(self.sends_clients_host && request.headers().contains_key(HOST)) {
            request.headers_mut().insert(HOST, backend.host.clone());
        }
        let lease = Some(Lease::new(&backend.load));
        let (response_header, stream_idle) = (self.response_header, self.stream_idle);
        let (resends, version, upgrade) = (sent.resends, attempt.version, sent.upgrade.take());
        let spare_resends = sent.spare_resends;
        let mut sending = Sending { response_header, stream_idle, lease, resends, spare_resends, version, upgrade };
        let transport = &backend.transport;
        let answer = match within {
            None => transport.send(request, &mut sending).instrument(span).await,
            Some(within) => {
                let response = Box::pin(transport.send(request, &mut sending).instrument(span));
                tokio::time::timeout(within, response).await.unwrap_or(Err(Lost::Failed(Failure::Timeout)))
            }
        };
        sent.attempts += 1 + sending.resends.saturating_sub(sent.resends);
        (sent.resends, sent.spare_resends) = (sending.resends, sending.spare_resends);
        sent.upgrade = sending.upgrade;
        (attempt.resends, attempt.version) = (sending.resends, sending.version);
        let ended = match &answer {
            Ok(response) => Ok(response.status()),
            Err(Lost::Unsent(failure, _) | Lost::Failed(failure)) => Err(failure),
        };
        if let Some(outcome) = Outcome::of(ended) {
            self.backends.report(backend, outcome);
        }
        sent.taken = attempt.ends(ended.map_err(Failure::reason));
        match call {
            Some(span) => answer.map(|response| call::follow(response, span)),
            None => answer,
        }
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
            network.protocol.version = Empty,
            server.address = Empty,
            server.port = Empty,
            network.peer.address = Empty,
            error.type = Empty,
            rpc.status_code = Empty,
            gateway.upstream = &*self.name,
        )
    }
}

impl From<Rejected> for Failure {
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::Full => Self::Overloaded,
            Rejected::Open(time) => Self::CircuitOpen(time),
        }
    }
}
