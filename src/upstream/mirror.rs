//! Copies of requests for another upstream. They never delay or fail a request, and their responses are discarded.

use super::{RouteSettings, Upstream, service};
use crate::concurrency::{Gate, Limits, Permit};
use crate::config::document::route;
use crate::telemetry::instruments::UPSTREAM_MIRRORED;
use crate::telemetry::is_traced;
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use gatewright_sdk::metrics::{Counter, counter};
use gatewright_sdk::{Facts, HttpService, Request};
use http::header::{TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use opentelemetry::Context;
use parking_lot::Mutex;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;
use tokio::task::JoinSet;
use tracing::field::Empty;
use tracing::{Instrument, Span};

/// How long a copy may take, with its whole response.
const PATIENCE: Duration = Duration::from_secs(30);

/// Tells the upstream that no one reads its response.
const MIRRORED: HeaderName = HeaderName::from_static("x-mirrored");

/// The copies in progress. They end with it.
#[derive(Default)]
pub struct Copies(Mutex<JoinSet<()>>);

/// Where copies go.
struct Mirror {
    /// The name of the upstream.
    upstream: Box<str>,
    service: HttpService,
    percent: u32,
    /// Maximum length of a body.
    room: usize,
    gate: Arc<Gate>,
    limits: Limits,
    copies: Arc<Copies>,
    sent: Arc<Counter>,
    failed: Arc<Counter>,
    too_large: Arc<Counter>,
    overloaded: Arc<Counter>,
}

/// `target`, with copies of its requests for the upstream.
pub fn mirrored(
    target: HttpService,
    spec: &route::Mirror,
    (upstream, settings): (Arc<Upstream>, &RouteSettings),
    copies: &Arc<Copies>,
) -> HttpService {
    let count = |outcome: &'static str| {
        let attributes = [("gateway.upstream", spec.upstream.clone().into()), ("gateway.outcome", outcome.into())];
        counter(&UPSTREAM_MIRRORED, attributes)
    };
    let mirror = Arc::new(Mirror {
        upstream: spec.upstream.as_str().into(),
        service: service(upstream, RouteSettings { retry: None, ..settings.clone() }),
        percent: spec.percent,
        room: spec.body.get(),
        gate: Arc::default(),
        limits: Limits { requests: spec.concurrency, queue: 0, patience: Duration::ZERO },
        copies: Arc::clone(copies),
        sent: count("sent"),
        failed: count("failed"),
        too_large: count("too_large"),
        overloaded: count("overloaded"),
    });
    HttpService::from_call(move |request| target.call(mirror.watch(request)))
}

impl Mirror {
    /// `request`, which is copied when its body has been read.
    fn watch(self: &Arc<Self>, request: Request) -> Request {
        let is_upgrade = request.headers().contains_key(UPGRADE) || *request.method() == Method::CONNECT;
        if is_upgrade || fastrand::u32(..100) >= self.percent {
            return request;
        }
        let size = request.body().size_hint();
        if size.lower() > u64::try_from(self.room).unwrap_or(u64::MAX) {
            self.too_large.add(1);
            return request;
        }
        let Some(permit) = self.gate.try_enter(&self.limits) else {
            self.overloaded.add(1);
            return request;
        };
        let (parts, body) = request.into_parts();
        let context = is_traced().then(Context::current);
        let copy = Copy { mirror: Arc::clone(self), parts: copied(&parts), permit, context };
        if body.is_end_stream() {
            copy.send(Bytes::new());
            return Request::from_parts(parts, body);
        }
        let kept = Kept { copy, read: BytesMut::new() };
        Request::from_parts(parts, Body::new(Watched { body, whole: size.exact(), kept: Some(Box::new(kept)) }))
    }
}

impl Mirror {
    /// The span of a copy, below the span of its request. The request to the upstream is below it.
    fn span(&self) -> Span {
        tracing::info_span!(
            target: "gatewright::mirror",
            "mirror",
            otel.kind = "internal",
            otel.name = format_args!("mirror {}", self.upstream),
            otel.status_code = Empty,
            gateway.upstream = &*self.upstream,
            gateway.outcome = Empty,
            http.response.status_code = Empty,
            error.type = Empty,
        )
    }

    /// Records the end of a copy; without a status, it took too long.
    fn ended(&self, status: Option<StatusCode>, span: &Span) {
        let error = match status {
            Some(status) if status.is_server_error() => Some(status.as_str().to_owned()),
            Some(_) => None,
            None => Some("timeout".to_owned()),
        };
        let (count, outcome) = if error.is_none() { (&self.sent, "sent") } else { (&self.failed, "failed") };
        count.add(1);
        span.record("gateway.outcome", outcome);
        if let Some(status) = status {
            span.record("http.response.status_code", i64::from(status.as_u16()));
        }
        if let Some(error) = error {
            span.record("otel.status_code", "error").record("error.type", error);
        }
    }
}

/// The head of the copy.
fn copied(parts: &Parts) -> Parts {
    let (mut copy, ()) = http::Request::new(()).into_parts();
    copy.method = parts.method.clone();
    copy.uri = parts.uri.clone();
    copy.version = parts.version;
    copy.headers = parts.headers.clone();
    // The length is known once the body has been read.
    copy.headers.remove(TRANSFER_ENCODING);
    copy.headers.insert(MIRRORED, HeaderValue::from_static("true"));
    if let Some(facts) = parts.extensions.get::<Facts>() {
        copy.extensions.insert(Facts { logged: None, answering: None, ..facts.clone() });
    }
    copy
}

/// A copy that is not sent yet.
struct Copy {
    mirror: Arc<Mirror>,
    parts: Parts,
    permit: Permit,
    /// The trace of the request, if it is traced.
    context: Option<Context>,
}

impl Copy {
    fn send(self, body: Bytes) {
        let Self { mirror, parts, permit, context } = self;
        let span = {
            let _request = context.map(Context::attach);
            mirror.span()
        };
        let copies = Arc::clone(&mirror.copies);
        let mut tasks = copies.0.lock();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            let exchange = async {
                let mut response = mirror.service.call(Request::from_parts(parts, Body::from(body))).await;
                // Read to its end, so that the connection can be used again.
                while let Some(Ok(_)) = response.body_mut().frame().await {}
                response.status()
            };
            let status = tokio::time::timeout(PATIENCE, exchange.instrument(span.clone())).await;
            mirror.ended(status.ok(), &span);
            drop(permit);
        });
    }
}

/// What was read of a body, for the copy.
struct Kept {
    copy: Copy,
    read: BytesMut,
}

/// A request body that is kept while it is read.
struct Watched {
    body: Body,
    /// Its length, if known.
    whole: Option<u64>,
    /// `None` if it is sent, too long, or incomplete.
    kept: Option<Box<Kept>>,
}

impl Watched {
    fn saw(&mut self, frame: Option<&Frame<Bytes>>) {
        let Some(mut kept) = self.kept.take() else { return };
        let data = frame.and_then(Frame::data_ref).map_or(&[][..], Bytes::as_ref);
        if kept.read.len() + data.len() > kept.copy.mirror.room {
            kept.copy.mirror.too_large.add(1);
            return;
        }
        kept.read.extend_from_slice(data);
        let length = u64::try_from(kept.read.len()).ok();
        if frame.is_none() || self.body.is_end_stream() || (self.whole.is_some() && self.whole == length) {
            let Kept { copy, read } = *kept;
            copy.send(read.freeze());
        } else {
            self.kept = Some(kept);
        }
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => self.saw(Some(frame)),
            Poll::Ready(None) => self.saw(None),
            Poll::Ready(Some(Err(_))) => self.kept = None,
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
