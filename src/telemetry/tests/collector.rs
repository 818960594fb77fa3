//! A real OTLP receiver of all three signals, over gRPC or HTTP, that stores what it receives and fails on demand.

use axum::routing::post;
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write;
use std::sync::Arc;
use tokio::task::JoinHandle;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::service::Routes;
use tonic::transport::ServerTlsConfig;
use tonic::{Request, Response, Status};
use tower::ServiceExt;

/// A received span.
#[derive(Debug, Clone)]
pub struct Received {
    pub name: String,
    pub trace: String,
    pub id: String,
    pub parent: String,
    pub kind: i32,
    pub status: i32,
    pub attributes: BTreeMap<String, String>,
    pub events: Vec<String>,
    /// The attributes of each event.
    pub details: Vec<BTreeMap<String, String>>,
    /// The attributes with integer values.
    pub integers: BTreeSet<String>,
    /// The attributes that occur more than once.
    pub repeated: Vec<String>,
    /// When it began and ended, in nanoseconds since 1970.
    pub times: (u64, u64),
    pub resource: BTreeMap<String, String>,
    /// The header field `x-tenant` of the export.
    pub tenant: Option<String>,
}

/// How a receiver fails an export.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// Temporarily unavailable.
    Unavailable,
    /// Rejects it permanently.
    Refused,
    /// Accepts all but this many items, and reports that.
    Rejects(usize),
    /// Never responds.
    Silence,
}

#[derive(Default)]
struct Held {
    spans: Vec<Received>,
    metrics: Vec<Metric>,
    records: Vec<LogRecord>,
    /// The header fields of each accepted export.
    headers: Vec<HeaderMap>,
    faults: VecDeque<Fault>,
}

#[derive(Clone, Default)]
struct Inbox(Arc<Mutex<Held>>);

pub struct Collector {
    pub endpoint: String,
    inbox: Inbox,
    server: JoinHandle<()>,
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Collector {
    pub async fn grpc() -> Self {
        Self::over_grpc(None).await
    }

    /// With a certificate, and optionally a required client certificate.
    pub async fn grpc_with(tls: ServerTlsConfig) -> Self {
        Self::over_grpc(Some(tls)).await
    }

    async fn over_grpc(tls: Option<ServerTlsConfig>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let endpoint = format!("{scheme}://{}", listener.local_addr().unwrap());
        let inbox = Inbox::default();
        let routes = inbox.routes();
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        let mut server = tonic::transport::Server::builder();
        if let Some(tls) = tls {
            server = server.tls_config(tls).unwrap();
        }
        let server =
            tokio::spawn(async move { server.add_routes(routes).serve_with_incoming(incoming).await.unwrap() });
        Self { endpoint, inbox, server }
    }

    pub async fn http() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let inbox = Inbox::default();
        let mut router = axum::Router::new();
        for (path, method) in [
            ("/v1/traces", "trace.v1.TraceService"),
            ("/v1/metrics", "metrics.v1.MetricsService"),
            ("/v1/logs", "logs.v1.LogsService"),
        ] {
            let routes = inbox.routes();
            let take = move |headers: HeaderMap, body: Bytes| as_grpc(routes.clone(), method, headers, body);
            router = router.route(path, post(take));
        }
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { endpoint, inbox, server }
    }

    /// How the next exports fail, one after the other, before it accepts them again.
    pub fn fails_with(&self, faults: impl IntoIterator<Item = Fault>) {
        self.inbox.0.lock().faults.extend(faults);
    }

    pub fn received(&self) -> Vec<Received> {
        self.inbox.0.lock().spans.clone()
    }

    pub fn metrics(&self) -> Vec<Metric> {
        self.inbox.0.lock().metrics.clone()
    }

    pub fn records(&self) -> Vec<LogRecord> {
        self.inbox.0.lock().records.clone()
    }

    pub fn headers(&self) -> Vec<HeaderMap> {
        self.inbox.0.lock().headers.clone()
    }
}

/// OTLP over HTTP uses the same messages; with framing, the gRPC service decodes them.
async fn as_grpc(routes: Routes, service: &str, headers: HeaderMap, body: Bytes) -> (StatusCode, Bytes) {
    if headers["content-type"] != "application/x-protobuf" {
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, Bytes::new());
    }
    let mut framed = BytesMut::new();
    framed.put_u8(headers.contains_key("content-encoding").into());
    framed.put_u32(u32::try_from(body.len()).unwrap());
    framed.put(body);
    let path = format!("/opentelemetry.proto.collector.{service}/Export");
    let mut request = http::Request::post(path).body(axum::body::Body::from(framed.freeze())).unwrap();
    *request.headers_mut() = headers;
    if let Some(encoding) = request.headers_mut().remove("content-encoding") {
        request.headers_mut().insert("grpc-encoding", encoding);
    }
    request.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    let (head, answer) = routes.oneshot(request).await.unwrap().into_parts();
    let answer = answer.collect().await.unwrap();
    let status = head.headers.get("grpc-status").or(answer.trailers().and_then(|all| all.get("grpc-status")));
    match status.unwrap().to_str().unwrap() {
        "0" => (StatusCode::OK, answer.to_bytes().slice(5..)),
        "14" => (StatusCode::SERVICE_UNAVAILABLE, Bytes::new()),
        _ => (StatusCode::BAD_REQUEST, Bytes::new()),
    }
}

impl Inbox {
    fn routes(&self) -> Routes {
        Routes::new(TraceServiceServer::new(self.clone()).accept_compressed(Gzip))
            .add_service(MetricsServiceServer::new(self.clone()).accept_compressed(Gzip))
            .add_service(LogsServiceServer::new(self.clone()).accept_compressed(Gzip))
    }

    /// Passes an export to `keep` unless it is to fail, with the number of items to reject.
    async fn take<T, A: Default>(
        &self,
        request: Request<T>,
        keep: impl FnOnce(&mut Held, T, usize) -> A + Send,
    ) -> Result<Response<A>, Status> {
        let fault = self.0.lock().faults.pop_front();
        let rejected = match fault {
            None => 0,
            Some(Fault::Rejects(items)) => items,
            Some(Fault::Unavailable) => return Err(Status::unavailable("not now")),
            Some(Fault::Refused) => return Err(Status::invalid_argument("never")),
            Some(Fault::Silence) => std::future::pending().await,
        };
        let (headers, _, request) = request.into_parts();
        let mut held = self.0.lock();
        held.headers.push(headers.into_headers());
        Ok(Response::new(keep(&mut held, request, rejected)))
    }
}

#[tonic::async_trait]
impl TraceService for Inbox {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let tenant = request.metadata().get("x-tenant").map(|value| value.to_str().unwrap().to_owned());
        self.take(request, |held, request, rejected| {
            for group in request.resource_spans {
                let resource = attributes(&group.resource.unwrap_or_default().attributes);
                for span in group.scope_spans.into_iter().flat_map(|scope| scope.spans).skip(rejected) {
                    held.spans.push(Received {
                        name: span.name,
                        trace: hex(&span.trace_id),
                        id: hex(&span.span_id),
                        parent: hex(&span.parent_span_id),
                        kind: span.kind,
                        status: span.status.map_or(0, |status| status.code),
                        attributes: attributes(&span.attributes),
                        details: span.events.iter().map(|event| attributes(&event.attributes)).collect(),
                        integers: integers(&span.attributes),
                        repeated: repeated(&span.attributes),
                        times: (span.start_time_unix_nano, span.end_time_unix_nano),
                        events: span.events.into_iter().map(|event| event.name).collect(),
                        resource: resource.clone(),
                        tenant: tenant.clone(),
                    });
                }
            }
            let partial = |rejected_spans| ExportTracePartialSuccess { rejected_spans, error_message: "old".into() };
            ExportTraceServiceResponse { partial_success: i64::try_from(rejected).ok().filter(|n| *n > 0).map(partial) }
        })
        .await
    }
}

#[tonic::async_trait]
impl MetricsService for Inbox {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.take(request, |held, request, _| {
            let scopes = request.resource_metrics.into_iter().flat_map(|group| group.scope_metrics);
            held.metrics.extend(scopes.flat_map(|scope| scope.metrics));
            ExportMetricsServiceResponse::default()
        })
        .await
    }
}

#[tonic::async_trait]
impl LogsService for Inbox {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        self.take(request, |held, request, rejected| {
            let scopes = request.resource_logs.into_iter().flat_map(|group| group.scope_logs);
            held.records.extend(scopes.flat_map(|scope| scope.log_records).skip(rejected));
            let partial =
                |rejected_log_records| ExportLogsPartialSuccess { rejected_log_records, ..Default::default() };
            ExportLogsServiceResponse { partial_success: i64::try_from(rejected).ok().filter(|n| *n > 0).map(partial) }
        })
        .await
    }
}

pub fn attributes(list: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let value = |pair: &KeyValue| pair.value.as_ref().and_then(|value| value.value.as_ref()).map(text);
    list.iter().filter_map(|pair| Some((pair.key.clone(), value(pair)?))).collect()
}

fn integers(list: &[KeyValue]) -> BTreeSet<String> {
    let is_integer = |pair: &&KeyValue| {
        matches!(pair.value.as_ref().and_then(|value| value.value.as_ref()), Some(Value::IntValue(_)))
    };
    list.iter().filter(is_integer).map(|pair| pair.key.clone()).collect()
}

fn repeated(list: &[KeyValue]) -> Vec<String> {
    let earlier = |place: usize| list.iter().take(place).any(|other| other.key == list[place].key);
    (0..list.len()).filter(|place| earlier(*place)).map(|place| list[place].key.clone()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
