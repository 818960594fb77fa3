//! How a channel handles each response: a table for each protocol, and exports over real connections.

use super::wire::Answer;
use super::*;
use crate::config::document::telemetry::{OtlpCompression, OtlpTls};
use crate::telemetry::signal::Signal;
use ::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use http_body_util::BodyExt;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;
use parking_lot::Mutex;
use std::io::Read;
use std::sync::Arc;
use tonic_types::{ErrorDetails, StatusExt};

fn fields(fields: &[(&'static str, &str)]) -> HeaderMap {
    let field = |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), value.parse().unwrap());
    fields.iter().map(field).collect()
}

fn partial(rejected_spans: i64) -> Vec<u8> {
    let partial = ExportTracePartialSuccess { rejected_spans, error_message: "old".into() };
    ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec()
}

fn http_answer(status: u16, headers: &[(&'static str, &str)], body: &[u8]) -> Answer {
    let (status, headers) = (StatusCode::from_u16(status).unwrap(), fields(headers));
    Answer { status, headers, body: Bytes::copy_from_slice(body), trailers: HeaderMap::new() }
}

#[test]
fn over_http_the_status_decides_about_retries() {
    assert_eq!(http::read(&http_answer(200, &[], b"")).unwrap(), PartialRejection::default());
    assert_eq!(
        http::read(&http_answer(202, &[], &partial(3))).unwrap(),
        PartialRejection { count: 3, message: "old".into() }
    );
    assert_eq!(http::read(&http_answer(200, &[], &partial(-3))).unwrap().count, 0);
    for (status, passing) in
        [(429, true), (502, true), (503, true), (504, true), (500, false), (501, false), (400, false), (302, false)]
    {
        let failure = http::read(&http_answer(status, &[], b"")).unwrap_err();
        assert_eq!((failure.passing, failure.message), (passing, format!("HTTP status {status}")));
    }
}

#[test]
fn over_http_a_success_counts_whatever_its_body() {
    let kind = |kind: &'static str| vec![("content-type", kind)];
    for (status, headers, body) in [
        (200, kind("application/json"), &b"{\"partialSuccess\":{}}"[..]),
        (200, kind("text/plain"), b"OK\n"),
        (200, kind("text/html; charset=utf-8"), b"<html>welcome</html>"),
        (200, vec![], b"<html>welcome</html>"),
        (200, kind("application/x-protobuf"), b"\xff\xff"),
        // Parsed as protobuf, this would mean rejected items.
        (202, kind("text/plain"), b"\x0a\x02\x08\x03"),
        (204, vec![], b""),
        (299, vec![], b"{}"),
    ] {
        let answer = http_answer(status, &headers, body);
        assert_eq!(http::read(&answer).unwrap(), PartialRejection::default(), "{status} {headers:?}");
    }
}

#[test]
fn over_http_the_receiver_sets_the_retry_delay_and_explains_the_error() {
    let after = |value: &str| http::read(&http_answer(503, &[("retry-after", value)], b"")).unwrap_err().after;
    assert_eq!(after("7"), Some(Duration::from_secs(7)));
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(3_600);
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&soon).unwrap();
    assert!(after(&date).is_some_and(|pause| pause > Duration::from_secs(3_000)), "{date}");
    assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT"), None);
    assert_eq!(after("soon"), None);
    let status = tonic_types::Status { message: "bad name".into(), ..Default::default() }.encode_to_vec();
    let answer = http_answer(400, &[("content-type", "application/x-protobuf")], &status);
    assert_eq!(http::read(&answer).unwrap_err().message, "HTTP status 400: bad name");
}

fn grpc_answer(trailers: &[(&'static str, &str)], body: &[u8]) -> Answer {
    Answer { trailers: fields(trailers), ..http_answer(200, &[], body) }
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&[0], &u32::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
}

#[test]
fn over_grpc_the_code_decides_about_retries() {
    let taken = |body: &[u8]| grpc::read(&grpc_answer(&[("grpc-status", "0")], body));
    assert_eq!(taken(&framed(b"")).unwrap(), PartialRejection::default());
    assert_eq!(taken(&framed(&partial(2))).unwrap().count, 2);
    for broken in [&b""[..], b"\x00\x00\x00\x00\x05abc", b"\x01\x00\x00\x00\x00", b"\x00\x00\x00\x00\x03\xff\xff\xff"] {
        assert!(!taken(broken).unwrap_err().passing, "{broken:?}");
    }
    let compressed = |message: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, message).unwrap();
        let mut body = framed(&encoder.finish().unwrap());
        body[0] = 1;
        Answer { headers: fields(&[("grpc-encoding", "gzip")]), ..grpc_answer(&[("grpc-status", "0")], &body) }
    };
    assert_eq!(grpc::read(&compressed(&partial(2))).unwrap().count, 2);
    assert!(grpc::read(&compressed(&vec![0; 1 << 24])).is_err());
    for code in 1..=17 {
        let text = code.to_string();
        let failure = grpc::read(&grpc_answer(&[("grpc-status", &text), ("grpc-message", "a%20b")], b"")).unwrap_err();
        assert_eq!(failure.passing, [1, 4, 10, 11, 14, 15].contains(&code), "{failure:?}");
        assert!(failure.message.ends_with(": a b"), "{failure:?}");
    }
    // A response without trailers has its status in the headers; without gRPC, the HTTP status counts.
    let alone = http_answer(200, &[("grpc-status", "14")], b"");
    assert!(grpc::read(&alone).unwrap_err().passing);
    for (status, passing) in [(503, true), (404, false), (200, false)] {
        let failure = grpc::read(&http_answer(status, &[], b"")).unwrap_err();
        assert_eq!((failure.passing, failure.message.contains("http/protobuf port,")), (passing, !passing));
    }
}

#[test]
fn resource_exhausted_is_retried_only_with_a_retry_delay() {
    let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(9)));
    let status = tonic::Status::with_error_details(tonic::Code::ResourceExhausted, "full", details);
    let standard = base64::engine::general_purpose::STANDARD.encode(status.details());
    for details in [standard.as_str(), standard.trim_end_matches('=')] {
        let trailers = [("grpc-status", "8"), ("grpc-status-details-bin", details)];
        let failure = grpc::read(&grpc_answer(&trailers, b"")).unwrap_err();
        assert_eq!((failure.passing, failure.after), (true, Some(Duration::from_secs(9))));
    }
    for details in ["", "not base64 at all", "AAAA"] {
        let trailers = [("grpc-status", "8"), ("grpc-status-details-bin", details)];
        assert!(!grpc::read(&grpc_answer(&trailers, b"")).unwrap_err().passing);
    }
}

/// A response to send.
type Told = (u16, Vec<u8>);

/// The requests a server received, and the responses it sends; the last one is repeated.
#[derive(Clone, Default)]
struct Server {
    got: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
    answers: Arc<Mutex<Vec<Told>>>,
}

impl Server {
    async fn start(answers: &[(u16, &[u8])]) -> (Self, String) {
        let server = Self::default();
        *server.answers.lock() = answers.iter().rev().map(|(status, body)| (*status, body.to_vec())).collect();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback({
            let server = server.clone();
            move |request: Request| server.clone().answer(request)
        });
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (server, endpoint)
    }

    /// The next response; status 0 means none.
    async fn answer(self, request: Request) -> Response {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        self.got.lock().push((head.headers, body));
        let (status, body) = {
            let mut answers = self.answers.lock();
            if answers.len() > 1 { answers.pop().unwrap() } else { answers[0].clone() }
        };
        if status == 0 {
            return std::future::pending().await;
        }
        (StatusCode::from_u16(status).unwrap(), body).into_response()
    }
}

fn receiver(endpoint: &str, compression: OtlpCompression, timeout: Duration) -> Receiver {
    Receiver {
        signal: Signal::Traces,
        endpoint: endpoint.parse().unwrap(),
        protocol: OtlpProtocol::HttpProtobuf,
        headers: vec![("x-tenant".parse().unwrap(), "blue".parse().unwrap())],
        timeout,
        compression,
        tls: OtlpTls::default(),
    }
}

fn channel(endpoint: &str, compression: OtlpCompression, timeout: Duration) -> Channel {
    Channel::new(&receiver(endpoint, compression, timeout), Path::new("")).unwrap()
}

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn an_export_is_compressed_on_the_wire_and_carries_its_header_fields() {
    let (server, endpoint) = Server::start(&[(200, b"")]).await;
    let message = Bytes::from(vec![b'a'; 100_000]);
    channel(&endpoint, OtlpCompression::Gzip, PATIENCE).send(message.clone()).await.unwrap();
    channel(&endpoint, OtlpCompression::None, PATIENCE).send(message.clone()).await.unwrap();
    let got = server.got.lock();
    let (headers, body) = &got[0];
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(headers["user-agent"], format!("gatewright/{version} OTel-OTLP-Exporter-Rust/{version}").as_str());
    let header = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
    assert_eq!(header("content-encoding"), Some(&b"gzip"[..]));
    assert_eq!(
        (header("content-type"), header("x-tenant")),
        (Some(&b"application/x-protobuf"[..]), Some(&b"blue"[..]))
    );
    assert!(body.len() < 1_000, "{}", body.len());
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut plain).unwrap();
    assert_eq!(plain, message);
    assert_eq!((got[1].0.get("content-encoding"), &got[1].1), (None, &message));
}

#[tokio::test]
async fn temporary_failures_are_retried_and_permanent_ones_are_not() {
    let (server, endpoint) = Server::start(&[(503, b""), (429, b""), (200, &partial(4))]).await;
    let channel = |endpoint: &str, timeout| channel(endpoint, OtlpCompression::None, timeout);
    assert_eq!(channel(&endpoint, PATIENCE).send(Bytes::from_static(b"x")).await.unwrap().count, 4);
    assert_eq!(server.got.lock().len(), 3);
    let (server, endpoint) = Server::start(&[(400, b""), (200, b"")]).await;
    channel(&endpoint, PATIENCE).send(Bytes::new()).await.unwrap_err();
    assert_eq!(server.got.lock().len(), 1);
    // The last failure is reported, rather than the lack of time for a retry.
    let (_server, endpoint) = Server::start(&[(503, b"")]).await;
    let failure = channel(&endpoint, Duration::from_millis(600)).send(Bytes::new()).await.unwrap_err();
    assert!(failure.message.starts_with("HTTP status 503"), "{failure:?}");
}

#[tokio::test]
async fn a_timeout_after_a_failure_reports_the_failure() {
    let (_server, endpoint) = Server::start(&[(503, b"busy"), (0, b"")]).await;
    let channel = channel(&endpoint, OtlpCompression::None, Duration::from_secs(3));
    let failure = channel.send(Bytes::new()).await.unwrap_err();
    assert!(failure.message.starts_with("HTTP status 503"), "{failure:?}");
    assert!(failure.message.ends_with("; then no response within 3s"), "{failure:?}");
    let (_server, endpoint) = Server::start(&[(0, b"")]).await;
    let channel = self::channel(&endpoint, OtlpCompression::None, Duration::from_millis(50));
    assert_eq!(channel.send(Bytes::new()).await.unwrap_err().message, "no response within 50ms");
}

#[tokio::test]
async fn a_receiver_of_the_other_protocol_is_named_as_the_likely_cause() {
    let receiver = |endpoint: &str, protocol| Receiver {
        protocol,
        timeout: Duration::from_millis(500),
        ..receiver(endpoint, OtlpCompression::None, PATIENCE)
    };
    // How an HTTP/1 server responds to the first bytes of HTTP/2.
    let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let grpc = receiver(&format!("http://{}", plain.local_addr().unwrap()), OtlpProtocol::Grpc);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = plain.accept().await {
            let answer = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await;
            let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut Vec::new()).await;
        }
    });
    let failure = Channel::new(&grpc, Path::new("")).unwrap().send(Bytes::new()).await.unwrap_err();
    assert!(failure.message.contains("this is an http/protobuf port"), "{failure:?}");
    let collector = crate::telemetry::tests::collector::Collector::grpc().await;
    let http = receiver(&format!("{}/v1/traces", collector.endpoint), OtlpProtocol::HttpProtobuf);
    let failure = Channel::new(&http, Path::new("")).unwrap().send(Bytes::new()).await.unwrap_err();
    assert!(failure.message.contains("this is a grpc port"), "{failure:?}");
}

#[tokio::test]
async fn an_endless_response_is_not_read() {
    let (server, endpoint) = Server::start(&[(200, &vec![0; 1 << 20])]).await;
    let failure = channel(&endpoint, OtlpCompression::None, PATIENCE).send(Bytes::new()).await.unwrap_err();
    assert_eq!(failure.message, "the response is longer than 65536 bytes");
    assert_eq!(server.got.lock().len(), 1, "the receiver has taken it, perhaps");
}

#[test]
fn an_error_text_from_the_receiver_is_bounded() {
    let message = "é".repeat(100_000);
    assert!(ExportFailure::lasting(message.clone()).message.len() <= LONGEST_TEXT);
    let answer = grpc_answer(&[("grpc-status", "3"), ("grpc-message", &"x".repeat(10_000))], b"");
    assert!(grpc::read(&answer).unwrap_err().message.len() <= LONGEST_TEXT);
    assert!(cut(message).len() <= LONGEST_TEXT);
}
