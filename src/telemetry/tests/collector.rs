//! A real OTLP receiver, over gRPC or HTTP, that keeps what it gets.

use axum::routing::post;
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use tokio::task::JoinHandle;
use tower::ServiceExt;

/// A span as it arrived.
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
    /// The attributes whose values are integers.
    pub integers: BTreeSet<String>,
    /// The attributes that are there more than once.
    pub repeated: Vec<String>,
    /// When it began and ended, in nanoseconds since 1970.
    pub times: (u64, u64),
    pub resource: BTreeMap<String, String>,
    /// The header field `x-tenant` of the export.
    pub tenant: Option<String>,
}

#[derive(Clone, Default)]
struct Inbox(Arc<Mutex<Vec<Received>>>);

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
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let inbox = Inbox::default();
        let service = TraceServiceServer::new(inbox.clone());
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        let server = tokio::spawn(async move {
            tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming).await.unwrap();
        });
        Self { endpoint, inbox, server }
    }

    pub async fn http() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let inbox = Inbox::default();
        let kept = inbox.clone();
        let take = move |headers: HeaderMap, body: Bytes| as_grpc(kept.clone(), headers, body);
        let router = axum::Router::new().route("/v1/traces", post(take));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { endpoint, inbox, server }
    }

    pub fn received(&self) -> Vec<Received> {
        self.inbox.0.lock().unwrap().clone()
    }
}

/// OTLP over HTTP carries the same message; framed, the gRPC service decodes it.
async fn as_grpc(inbox: Inbox, headers: HeaderMap, body: Bytes) -> StatusCode {
    if headers["content-type"] != "application/x-protobuf" {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE;
    }
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(u32::try_from(body.len()).unwrap());
    framed.put(body);
    let mut request = http::Request::post("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        .header("content-type", "application/grpc");
    if let Some(tenant) = headers.get("x-tenant") {
        request = request.header("x-tenant", tenant);
    }
    let request = request.body(axum::body::Body::from(framed.freeze())).unwrap();
    let answer = TraceServiceServer::new(inbox).oneshot(request).await.unwrap();
    if answer.headers().get("grpc-status").is_none_or(|status| status == "0") {
        StatusCode::OK
    } else {
        StatusCode::BAD_REQUEST
    }
}

#[tonic::async_trait]
impl TraceService for Inbox {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        let tenant = request.metadata().get("x-tenant").map(|value| value.to_str().unwrap().to_owned());
        for group in request.into_inner().resource_spans {
            let resource = attributes(&group.resource.unwrap_or_default().attributes);
            for span in group.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                self.0.lock().unwrap().push(Received {
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
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

fn attributes(list: &[KeyValue]) -> BTreeMap<String, String> {
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
