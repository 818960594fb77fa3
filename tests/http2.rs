//! HTTP/2 through the real program, and handwritten frames for tests of what no client would send.

/// The connection preface (RFC 9113 section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Flags of a frame.
pub const ACK: u8 = 1;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// A frame (RFC 9113 section 4.1).
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

use crate::harness::{Gateway, connect, head_of};
use axum::body::Body;
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use tokio::runtime::{Builder, Runtime};

/// An HTTP/2 client with prior knowledge, on one connection.
pub struct Client {
    pub runtime: Runtime,
    pub sender: SendRequest<Body>,
}

/// A response, completely read.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Client {
    pub fn new(to: SocketAddr) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let sender = runtime.block_on(async {
            let stream = tokio::net::TcpStream::connect(to).await.unwrap();
            let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
            builder.max_header_list_size(1 << 20);
            let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            sender
        });
        Self { runtime, sender }
    }

    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
        let uri = format!("http://a{path}");
        let start = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(uri);
        let request = headers.iter().fold(start, |request, (name, value)| request.header(*name, *value));
        let request = request.body(body.into()).unwrap();
        self.runtime.block_on(async {
            self.sender.ready().await.unwrap();
            let (head, body) = self.sender.send_request(request).await.unwrap().into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let (status, headers) = (head.status.as_u16(), head.headers);
            Response { status, headers, body: String::from_utf8(body.to_vec()).unwrap() }
        })
    }
}

/// An upstream that responds `ok` to each request and hands its head to the test.
pub fn upstream() -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, heads) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let head = head_of(&mut stream);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
            if sender.send(head).is_err() {
                return;
            }
        }
    });
    (address, heads)
}

#[test]
fn http2_goes_through_chains_resources_and_upstreams() {
    let (address, heads) = upstream();
    let gateway = Gateway::start(&format!(
        r#"
listeners: {{ web: {{ address: "127.0.0.1:0", protocols: [http1, http2], chain: edge }} }}
stores: {{ main: {{ url: "sqlite::memory:" }} }}
plugins:
  request-id: {{ request_id: {{}} }}
  few: {{ rate_limit: {{ key: client.ip, quota: 1, window: 1h, burst: 1 }} }}
chains: {{ edge: [request-id] }}
upstreams: {{ there: {{ targets: [{{ url: "http://{address}" }}] }} }}
resources:
  notes: {{ store: main, access: {{ default: public }}, fields: {{ title: {{ type: string, required: true }} }} }}
routes:
  notes: {{ path: /notes, resource: notes }}
  there: {{ path_prefix: /there, upstream: there }}
  few: {{ path: /few, plugins: [few], respond: {{ text: one }} }}
"#
    ));
    let mut client = Client::new(gateway.address);
    let created = client.send("POST", "/notes", &[("content-type", "application/json")], r#"{"title":"first"}"#);
    assert_eq!(created.status, 201, "{created:?}");
    assert!(created.headers.contains_key("x-request-id"));
    let list = client.send("GET", "/notes", &[], "");
    assert!(list.status == 200 && list.body.contains("first"), "{list:?}");
    let proxied = client.send("POST", "/there/x?y=1", &[("te", "trailers"), ("x-kept", "yes")], "body");
    assert_eq!((proxied.status, &*proxied.body), (200, "ok"));
    let head = heads.recv().unwrap();
    assert!(head.starts_with("post /there/x?y=1 http/1.1\r\n") && head.contains("x-kept: yes"), "{head}");
    assert!(head.contains("x-request-id: "), "{head}");
    assert_eq!((client.send("GET", "/few", &[], "").status, client.send("GET", "/few", &[], "").status), (200, 429));
    assert_eq!(client.send("GET", "/nowhere", &[], "").status, 404);
    assert_eq!(client.send("GET", "/notes/%2e%2e/x", &[], "").status, 400);
    assert_eq!(client.send("CONNECT", "/notes", &[], "").status, 405);
    let head = client.send("HEAD", "/notes", &[], "");
    assert_eq!((head.status, &*head.body), (200, ""));
    // All of that used one connection.
    let status = gateway.admin("GET", "/status").json();
    assert!(status["connections"].as_u64().is_some_and(|open| open <= 3), "{status}");
}

#[test]
fn an_upload_with_an_early_response_ends_without_an_error_after_the_response() {
    let yaml = r#"
listeners: { web: { address: "127.0.0.1:0", protocols: [http1, http2] } }
routes: { hello: { path: /, respond: { text: hi } } }
"#;
    let gateway = Gateway::start(yaml);
    // `:method POST`, `:scheme http`, `:path /`, `:authority a`; the body exceeds the listener's limit, or never ends.
    let post = b"\x83\x86\x84\x41\x01a";
    for length in [&b"\x00\x0econtent-length\x0899999999"[..], b""] {
        let mut stream = connect(gateway.address);
        let head = frame(1, END_HEADERS, 1, &[post, length].concat());
        stream.write_all(&[PREFACE, &frame(4, 0, 0, b""), &head, &frame(0, 0, 1, b"some of it")].concat()).unwrap();
        let mut seen: Vec<(u8, u8, Vec<u8>)> = Vec::new();
        while seen.last().is_none_or(|(kind, ..)| *kind != 3) {
            let mut head = [0; 9];
            stream.read_exact(&mut head).unwrap();
            let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
            stream.read_exact(&mut payload).unwrap();
            if head[8] == 1 {
                seen.push((head[3], head[4] & END_STREAM, payload));
            }
        }
        let kinds: Vec<_> = seen.iter().map(|(kind, end, _)| (*kind, *end)).collect();
        assert_eq!(kinds, [(1, 0), (0, END_STREAM), (3, 0)], "HEADERS, all of the DATA, RST_STREAM");
        assert_eq!(seen[2].2, [0; 4], "NO_ERROR");
    }
}
