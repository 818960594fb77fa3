//! The server over loopback, with a minimal application.
mod ending;
mod http2;
mod limits;

use super::*;
use crate::config::document::listener::{Limits, Protocol};
use axum::body::Body;
use gatewright_sdk::{Reply, body as sdk_body};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// Longer than any expected wait; reaching it is a failure.
const PATIENCE: Duration = Duration::from_secs(20);

/// Serves `/hello`, echoes at `/echo`, waits for `release` at `/slow`, switches protocols at `/upgrade`, panics at
/// `/panic`, and sends a large body at `/big`.
struct App {
    limits: Limits,
    terms: RequestTerms,
    release: Notify,
    reached: Notify,
}

impl Application for Shared {
    type Future = Reply;

    fn call(&self, arrival: Arrival, request: http::Request<Incoming>) -> Reply {
        if request.uri().path() == "/upgrade" {
            return upgraded(request);
        }
        let (client, request) = admit(&arrival, &self.0.terms, request, |_, _| None);
        let request = match request {
            Ok(admitted) => admitted.request,
            Err(refused) => return Reply::ready(refused.response),
        };
        let app = Arc::clone(&self.0);
        match request.uri().path() {
            "/hello" => Reply::ready("hi"),
            "/client" => Reply::ready(client.ip.to_string()),
            "/worker" => Reply::ready(crate::worker::current().to_string()),
            "/big" => Reply::ready(Body::from(vec![b'x'; 8 << 20])),
            "/panic" => panic!("asked to"),
            "/slow" => Reply::pending(async move {
                app.reached.notify_one();
                app.release.notified().await;
                "done".into_response()
            }),
            "/echo" => Reply::pending(async move {
                match request.into_body().collect().await {
                    Ok(body) => body.to_bytes().into_response(),
                    Err(error) => sdk_body::problem(&error).into_response(),
                }
            }),
            _ => Reply::ready(Problem::not_found()),
        }
    }
}

/// Another protocol, which echoes each byte.
fn upgraded(request: http::Request<Incoming>) -> Reply {
    tokio::spawn(async move {
        let mut io = TokioIo::new(hyper::upgrade::on(request).await.unwrap());
        let mut byte = [0];
        while io.read_exact(&mut byte).await.is_ok() && io.write_all(&byte).await.is_ok() {}
    });
    let upgraded = http::Response::builder().status(101).header("upgrade", "echo").header("connection", "upgrade");
    Reply::ready(upgraded.body(Body::empty()).unwrap())
}

/// An application that the test can also access.
struct Shared(Arc<App>);

struct Fixture {
    app: Arc<App>,
    server: Server,
    acceptor: Acceptor,
    address: SocketAddr,
}

/// A socket on a free port.
fn socket() -> (Arc<BoundSocket>, SocketAddr) {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let address = socket.local_addr().unwrap();
    (Arc::new(BoundSocket::Tcp(TcpListener::from_std(socket).unwrap())), address)
}

impl Fixture {
    fn new(change: impl FnOnce(&mut Limits), protocols: &[Protocol]) -> Self {
        let mut limits = Limits::default();
        change(&mut limits);
        let terms = RequestTerms::new(&limits, &[]);
        let app = Arc::new(App { limits, terms, release: Notify::new(), reached: Notify::new() });
        let server = Server::start(Some(2)).unwrap();
        let (socket, address) = socket();
        let shared = Arc::new(Shared(Arc::clone(&app)));
        let acceptor = server.listen(shared, ListenerId(0), vec![socket], ConnectionTerms::new(&app.limits, protocols));
        Self { app, server, acceptor, address }
    }

    fn http1() -> Self {
        Self::new(|_| {}, &[Protocol::Http1])
    }

    async fn connect(&self) -> Client1 {
        Client1(TcpStream::connect(self.address).await.unwrap())
    }
}

/// A client connection that writes HTTP/1 by hand.
struct Client1(TcpStream);

impl Client1 {
    async fn send(&mut self, text: &str) -> &mut Self {
        self.0.write_all(text.as_bytes()).await.unwrap();
        self
    }

    /// Reads one response with a `Content-Length`: its status, head and body.
    async fn answer(&mut self) -> (u16, String, String) {
        let reading = async {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(self.0.read_u8().await.expect("the connection stays open until the answer is there"));
            }
            let head = String::from_utf8(head).unwrap().to_lowercase();
            let length =
                head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
            let mut body = vec![0; length];
            self.0.read_exact(&mut body).await.unwrap();
            (head[9..12].parse().unwrap(), head, String::from_utf8(body).unwrap())
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("an answer comes")
    }

    async fn get(&mut self, path: &str) -> (u16, String, String) {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await.answer().await
    }

    /// Reads until the server closes. Fails if it does not, or if it resets the connection.
    async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        tokio::time::timeout(PATIENCE, self.0.read_to_end(&mut rest)).await.expect("the connection ends").unwrap();
        String::from_utf8_lossy(&rest).into_owned()
    }
}

#[tokio::test]
async fn a_connection_is_kept_on_one_worker_and_answers_pipelined_requests_in_order() {
    let fixture = Fixture::http1();
    let mut client = fixture.connect().await;
    let (status, head, first) = client.get("/worker").await;
    assert_eq!(status, 200);
    assert!(!head.contains("connection: close"), "{head}");
    for _ in 0..20 {
        assert_eq!(client.get("/worker").await.2, first);
    }
    client
        .send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
        .await;
    client.send("GET /none HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.answer().await.2, "hi");
    assert_eq!(client.answer().await.2, "abc");
    assert_eq!(client.answer().await.0, 404);
    assert_eq!(fixture.acceptor.open(), 1);
    assert_eq!(fixture.acceptor.accepted(), 1);
}

#[tokio::test]
async fn connections_are_spread_over_the_workers() {
    let fixture = Fixture::http1();
    let mut clients = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for _ in 0..4 {
        let mut client = fixture.connect().await;
        seen.insert(client.get("/worker").await.2);
        clients.push(client);
    }
    assert_eq!(seen.len(), 2, "{seen:?}");
}

#[tokio::test]
async fn a_panic_ends_its_own_connection_only() {
    let fixture = Fixture::http1();
    let (mut one, mut other) = (fixture.connect().await, fixture.connect().await);
    assert_eq!(other.get("/hello").await.0, 200);
    one.send("GET /panic HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, one.0.read_to_end(&mut rest)).await.expect("the connection ends");
    assert!(rest.is_empty());
    assert_eq!(other.get("/hello").await.0, 200);
    assert_eq!(fixture.connect().await.get("/hello").await.0, 200);
}

#[tokio::test]
async fn untrusted_forwarding_fields_are_ignored() {
    let fixture = Fixture::http1();
    let mut client = fixture.connect().await;
    client.send("GET /client HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n").await;
    assert_eq!(client.answer().await.2, "127.0.0.1");
}

#[tokio::test]
async fn a_refusal_is_a_problem_and_closes_the_connection() {
    let fixture = Fixture::http1();
    for request in ["GET /hello HTTP/1.1\r\n\r\n", "GET /a%zz HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let mut client = fixture.connect().await;
        let (status, head, body) = client.send(request).await.answer().await;
        assert_eq!(status, 400);
        assert!(head.contains("content-type: application/json"), "{head}");
        assert!(body.starts_with(r#"{"error":"validation_error","message":"#), "{body}");
        assert_eq!(client.rest().await, "");
    }
}
