//! Active health checks: a task that asks a target whether it can serve.

use crate::config::document::upstream::{ActiveCheck, GrpcCheck, Protocol};
use crate::telemetry::ProxyTarget;
use crate::upstream::connector::Connector;
use crate::upstream::stream::{Stream, is_http2};
use crate::upstream::tls::Alpn;
use bytes::{BufMut, Bytes, BytesMut};
use gatewright_sdk::WithTask;
use http::header::{CONTENT_TYPE, HOST, TE, USER_AGENT};
use http::uri::Scheme;
use http::{HeaderValue, Method, Request, Response, Uri};
use http_body_util::{BodyExt, Empty, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use prost::Message;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use tokio::time::{Instant, timeout_at};

/// The maximum length of a response to a check, in bytes.
const LONGEST: usize = 64 * 1024;

const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("gatewright/", env!("CARGO_PKG_VERSION"), " (health check)"));

/// Checks one target again and again. Kept across reloads by target and settings.
pub(in crate::upstream) struct Probe {
    connector: Arc<Connector>,
    target: Arc<ProxyTarget>,
    host: HeaderValue,
    scheme: Scheme,
    check: ActiveCheck,
    protocol: Protocol,
    healthy: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Checks in a row that disagree with `healthy`.
    disagreeing: u32,
    /// When it became healthy again.
    recovered: Option<Instant>,
    /// Why the last check failed.
    error: Option<String>,
}

/// The request of the gRPC health protocol, <https://github.com/grpc/grpc/blob/master/doc/health-checking.md>.
#[derive(Message)]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

#[derive(Message)]
struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// `HealthCheckResponse.ServingStatus.SERVING`.
const SERVING: i32 = 1;

impl Probe {
    /// Until a check has failed often enough, the target is healthy.
    pub fn new(
        connector: Arc<Connector>,
        target: Arc<ProxyTarget>,
        (host, scheme): (HeaderValue, Scheme),
        (check, protocol): (ActiveCheck, Protocol),
    ) -> Self {
        let (healthy, state) = (AtomicBool::new(true), Mutex::default());
        Self { connector, target, host, scheme, check, protocol, healthy, state }
    }

    pub fn is_healthy(&self) -> bool {
        self.healthy.load(Relaxed)
    }

    /// When it became healthy again.
    pub fn recovered(&self) -> Option<Instant> {
        self.state.lock().recovered
    }

    /// Why the last check failed.
    pub fn error(&self) -> Option<String> {
        self.state.lock().error.clone()
    }

    /// Checks the target while `probe` is held.
    pub async fn run(probe: Weak<WithTask<Self>>) {
        let Some(interval) = probe.upgrade().map(|probe| probe.check.interval.get()) else { return };
        // Targets that are configured together are not checked at the same moment.
        let mut pause = interval.mul_f32(fastrand::f32() / 2.0);
        loop {
            tokio::time::sleep(pause).await;
            let Some(probe) = probe.upgrade() else { return };
            let deadline = Instant::now() + probe.check.timeout.get();
            let outcome = match timeout_at(deadline, probe.ask(deadline)).await {
                Ok(outcome) => outcome,
                Err(_) => Err("timed out".to_owned()),
            };
            probe.record(outcome);
            pause = interval;
        }
    }

    fn record(&self, outcome: Result<(), String>) {
        let healthy = self.is_healthy();
        let mut state = self.state.lock();
        let enough = if healthy { self.check.unhealthy_after } else { self.check.healthy_after };
        state.disagreeing = if outcome.is_ok() == healthy { 0 } else { state.disagreeing + 1 };
        let changes = state.disagreeing >= enough;
        if changes {
            state.disagreeing = 0;
            state.recovered = (!healthy).then(Instant::now);
            self.healthy.store(!healthy, Relaxed);
        }
        state.error = outcome.err();
        let error = state.error.clone();
        drop(state);
        let ProxyTarget { upstream, address, peer } = &*self.target;
        match error {
            Some(error) if changes => tracing::warn!(
                target: "gatewright::upstream",
                upstream = &**upstream,
                upstream_target = &**address,
                peer = peer.as_deref(),
                error,
                human = format!("upstream {upstream}: {} is unhealthy: {error}", self.target),
                "target is unhealthy"
            ),
            _ if changes => tracing::info!(
                target: "gatewright::upstream",
                upstream = &**upstream,
                upstream_target = &**address,
                peer = peer.as_deref(),
                human = format!("upstream {upstream}: {} is healthy again", self.target),
                "target is healthy"
            ),
            _ => {}
        }
    }

    async fn ask(&self, deadline: Instant) -> Result<(), String> {
        let alpn = match self.protocol {
            _ if self.check.grpc.is_some() => Alpn::Http2,
            Protocol::Auto => Alpn::Any,
            Protocol::Http1 => Alpn::Http1,
            Protocol::Http2 => Alpn::Http2,
        };
        let (stream, _counted) =
            self.connector.open(alpn).await.map_err(|failure| failure.describe(&self.target).unwrap_or_default())?;
        match (&self.check.grpc, &self.check.path) {
            (Some(grpc), _) => self.ask_grpc(stream, grpc).await,
            (None, Some(path)) => self.ask_http(stream, path, deadline).await,
            (None, None) => Ok(()),
        }
    }

    async fn ask_http(&self, stream: Stream, path: &str, deadline: Instant) -> Result<(), String> {
        if is_http2(&stream) || self.protocol == Protocol::Http2 {
            return self.ask_http2(stream, path, deadline).await;
        }
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        let request = Request::builder().uri(path).header(HOST, &self.host).header(USER_AGENT, AGENT);
        let request = request.body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
        let asking = async {
            let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
            conclude(response, deadline).await
        };
        drive(connection, asking).await
    }

    async fn ask_http2(&self, stream: Stream, path: &str, deadline: Instant) -> Result<(), String> {
        let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
        let request = Request::builder().uri(self.uri(path)?).header(USER_AGENT, AGENT);
        let request = request.body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
        let asking = async {
            let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
            conclude(response, deadline).await
        };
        drive(connection, asking).await
    }

    /// An absolute URI, as HTTP/2 needs it.
    fn uri(&self, path: &str) -> Result<Uri, String> {
        let authority = self.host.to_str().unwrap_or_default();
        let uri = Uri::builder().scheme(self.scheme.clone()).authority(authority).path_and_query(path).build();
        uri.map_err(|error| error.to_string())
    }

    async fn ask_grpc(&self, stream: Stream, grpc: &GrpcCheck) -> Result<(), String> {
        let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.uri("/grpc.health.v1.Health/Check")?)
            .header(CONTENT_TYPE, "application/grpc")
            .header(TE, "trailers")
            .header(USER_AGENT, AGENT)
            .body(Full::new(framed(&HealthCheckRequest { service: grpc.service.clone() })))
            .map_err(|error| error.to_string())?;
        let asking = async {
            let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
            if !response.status().is_success() {
                return Err(format!("status {}", response.status().as_u16()));
            }
            let (head, body) = response.into_parts();
            let body = Limited::new(body, LONGEST).collect().await.map_err(|error| error.to_string())?;
            let trailers = body.trailers().cloned().unwrap_or_default();
            let code = trailers.get("grpc-status").or_else(|| head.headers.get("grpc-status"));
            if code.is_some_and(|code| code != "0") {
                return Err(format!("grpc-status {}", code.and_then(|code| code.to_str().ok()).unwrap_or("?")));
            }
            // One message: a flag, four bytes of length, the message.
            let bytes = body.to_bytes();
            let status = bytes.get(5..).and_then(|message| HealthCheckResponse::decode(message).ok());
            match status.map(|response| response.status) {
                Some(SERVING) => Ok(()),
                Some(_) => Err("not serving".to_owned()),
                None => Err("invalid response".to_owned()),
            }
        };
        drive(connection, asking).await
    }
}

/// The result of a check, which is the status of the response. The body is read too, so that the target can send it, but
/// only until `deadline`.
async fn conclude(response: Response<Incoming>, deadline: Instant) -> Result<(), String> {
    let (head, body) = response.into_parts();
    let mut body = Limited::new(body, LONGEST);
    let discarding = async { while let Some(Ok(_)) = body.frame().await {} };
    // The status is known, whether or not all of the body arrived.
    let _ = timeout_at(deadline, discarding).await;
    if head.status.is_success() { Ok(()) } else { Err(format!("status {}", head.status.as_u16())) }
}

/// A gRPC message with its prefix.
fn framed(message: &HealthCheckRequest) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.encoded_len()).unwrap_or(u32::MAX));
    frame.put_slice(&message.encode_to_vec());
    frame.freeze()
}

/// Polls `connection` until `asking` is done.
async fn drive(
    connection: impl Future<Output = hyper::Result<()>>,
    asking: impl Future<Output = Result<(), String>>,
) -> Result<(), String> {
    let connection = async {
        // Its errors also reach whoever awaits the response.
        let _ = connection.await;
        std::future::pending().await
    };
    tokio::select! {
        outcome = asking => outcome,
        () = connection => Ok(()),
    }
}
