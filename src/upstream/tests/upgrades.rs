//! Connections that switch to another protocol, between a raw client and a raw upstream.

use super::*;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use tokio::net::TcpStream;

const SWITCH: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\nX-Own: 1\r\n\r\n";
const WEBSOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A client of `service`, which an HTTP/1.1 server serves.
async fn client(service: HttpService) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let call = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let reply = service.call(request.map(Body::new));
            async move { Ok::<_, Infallible>(reply.await) }
        });
        let server = hyper::server::conn::http1::Builder::new();
        drop(server.serve_connection(TokioIo::new(stream), call).with_upgrades().await);
    });
    TcpStream::connect(address).await.unwrap()
}

async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

async fn send(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

async fn receive(stream: &mut TcpStream, length: usize) -> String {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

struct Pair {
    client: TcpStream,
    upstream: TcpStream,
    asked: String,
    granted: String,
}

/// A client and an upstream that have switched; `ahead` follows the upstream's head in the same packet.
async fn switched(change: impl FnOnce(&mut document::Upstream), ahead: &str) -> (Pair, Arc<Upstream>) {
    let (listener, upstream) = target(change).await;
    let mut client = client(service(Arc::clone(&upstream), RouteSettings::default())).await;
    send(&mut client, &format!("GET /chat?a=b HTTP/1.1\r\nHost: gate.example\r\nTE: trailers\r\n{WEBSOCKET}\r\n"))
        .await;
    let (mut far, _) = listener.accept().await.unwrap();
    let asked = head(&mut far).await.to_ascii_lowercase();
    send(&mut far, &format!("{SWITCH}{ahead}")).await;
    let granted = head(&mut client).await.to_ascii_lowercase();
    (Pair { client, upstream: far, asked, granted }, upstream)
}

async fn target(change: impl FnOnce(&mut document::Upstream)) -> (TcpListener, Arc<Upstream>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let mut spec = spec(&[&format!("http://{address}")]);
    change(&mut spec);
    let upstream = Arc::new(built(&spec, &Keep::default()).unwrap());
    (listener, upstream)
}

fn active(upstream: &Upstream) -> u64 {
    upstream.backends.now().list[0].load.active()
}

#[tokio::test]
async fn both_sides_switch_and_bytes_are_copied_until_both_have_ended() {
    let (mut pair, upstream) = switched(|_| (), "early").await;
    assert!(pair.asked.starts_with("get /chat?a=b http/1.1\r\n"), "{}", pair.asked);
    for there in ["connection: upgrade\r\n", "upgrade: websocket\r\n", "sec-websocket-key: dghl"] {
        assert!(pair.asked.contains(there), "{there} not in {}", pair.asked);
    }
    assert!(!pair.asked.contains("\r\nte: "), "{}", pair.asked);
    assert!(pair.granted.starts_with("http/1.1 101 "), "{}", pair.granted);
    for there in ["connection: upgrade\r\n", "upgrade: websocket\r\n", "x-own: 1\r\n"] {
        assert!(pair.granted.contains(there), "{there} not in {}", pair.granted);
    }
    assert_eq!(receive(&mut pair.client, 5).await, "early");
    let long = "0123456789abcdef".repeat(64 * 1024);
    let (mut reader, mut writer) = pair.upstream.into_split();
    let echo = tokio::spawn(async move { tokio::io::copy(&mut reader, &mut writer).await.unwrap() });
    let (mut reader, mut writer) = pair.client.into_split();
    let sent = long.clone();
    let sending = tokio::spawn(async move {
        writer.write_all(sent.as_bytes()).await.unwrap();
        // Only this half ends; the other still carries the echo.
        writer.shutdown().await.unwrap();
    });
    assert_eq!(active(&upstream), 1);
    let mut received = String::new();
    reader.read_to_string(&mut received).await.unwrap();
    assert!(received == long, "one mebibyte came back unchanged");
    sending.await.unwrap();
    assert_eq!(echo.await.unwrap(), long.len() as u64);
    while active(&upstream) > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_side_that_fails_ends_the_other() {
    let (mut pair, upstream) = switched(|_| (), "").await;
    pair.client.set_zero_linger().unwrap();
    drop(pair.client);
    let mut rest = Vec::new();
    drop(pair.upstream.read_to_end(&mut rest).await);
    assert!(rest.is_empty());
    while active(&upstream) > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_connection_without_a_byte_in_both_directions_ends() {
    let (mut pair, _upstream) = switched(|_| (), "").await;
    let clock = Clock::stop();
    for _ in 0..3 {
        tokio::time::advance(Duration::from_secs(59)).await;
        send(&mut pair.upstream, "x").await;
        assert_eq!(receive(&mut pair.client, 1).await, "x");
    }
    let gone = tokio::spawn(async move { pair.client.read_to_end(&mut Vec::new()).await });
    while !gone.is_finished() {
        tokio::time::advance(Duration::from_secs(1)).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(gone.await.unwrap().unwrap(), 0);
    drop(clock);
}

#[tokio::test]
async fn a_circuit_breaker_counts_an_upgraded_connection_until_it_ends() {
    let limit = |spec: &mut document::Upstream| {
        spec.circuit_breaker = serde_json::from_value(serde_json::json!({ "max_requests": 1 })).unwrap();
    };
    let (pair, upstream) = switched(limit, "").await;
    let service = service(upstream, RouteSettings::default());
    assert_eq!(service.call(get("/")).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(pair);
    while service.call(get("/")).await.status() == StatusCode::SERVICE_UNAVAILABLE {
        tokio::task::yield_now().await;
    }
}

/// What the client receives when the upstream sends `answer` to a request with `fields`.
async fn answered(fields: &str, answer: &str, settings: RouteSettings) -> (String, usize) {
    let (listener, upstream) = target(|_| ()).await;
    let mut client = client(service(upstream, settings)).await;
    send(&mut client, &format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).await;
    let answer = answer.to_owned();
    let seen = Arc::new(Mutex::new(0));
    let count = Arc::clone(&seen);
    tokio::spawn(async move {
        loop {
            let (mut far, _) = listener.accept().await.unwrap();
            *count.lock() += 1;
            head(&mut far).await;
            send(&mut far, &answer).await;
        }
    });
    let head = head(&mut client).await;
    let seen = *seen.lock();
    (head, seen)
}

#[tokio::test]
async fn a_switch_to_a_protocol_that_was_not_offered_is_invalid() {
    let settings = RouteSettings::default;
    for (fields, answer) in [
        (WEBSOCKET, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n"),
        (WEBSOCKET, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket, foo\r\n\r\n"),
        (WEBSOCKET, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\r\n"),
        ("", SWITCH),
    ] {
        let (head, seen) = answered(fields, answer, settings()).await;
        assert!(head.starts_with("HTTP/1.1 502 "), "{answer}: {head}");
        assert_eq!(seen, 1, "it was sent, so it is not sent again");
    }
    let retry: route::Retry =
        serde_json::from_value(serde_json::json!({ "attempts": 2, "retry_on": ["503", "reset"] })).unwrap();
    let settings = || RouteSettings { retry: Some(retry.clone()), ..RouteSettings::default() };
    let (head, seen) =
        answered(WEBSOCKET, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nUpgrade: websocket\r\n\r\n", settings()).await;
    assert!(head.starts_with("HTTP/1.1 503 ") && !head.contains("upgrade"), "{head}");
    assert_eq!(seen, 1, "a request for another protocol is not retried");
    let (_, seen) = answered("", "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", settings()).await;
    assert_eq!(seen, 3, "another is");
}

#[tokio::test]
async fn a_route_may_forbid_or_limit_upgrades() {
    let websocket = vec!["websocket".parse().unwrap()];
    let only = |upgrades| RouteSettings { upgrades: Some(upgrades), ..RouteSettings::default() };
    let (head, seen) = answered(WEBSOCKET, SWITCH, only(vec![])).await;
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
    assert_eq!(seen, 0);
    let (head, _) = answered(WEBSOCKET, SWITCH, only(websocket.clone())).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let (head, _) = answered("Connection: upgrade\r\nUpgrade: foo\r\n", SWITCH, only(websocket.clone())).await;
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
}
