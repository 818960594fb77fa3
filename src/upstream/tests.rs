//! Requests over real sockets on loopback.
mod balancing;
mod evil;
mod headers;
mod http2;
mod resilience;
mod secure;
mod server;
mod upgrades;

use super::*;
use crate::config::document::dns::Dns;
use axum::body::Body;
use bytes::Bytes;
use gatewright_sdk::testing::Disk;
use gatewright_sdk::{Client, Facts, Refusal, Request, Response, Scheme};
use http::{Method, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use parking_lot::Mutex;
use server::{Act, OK, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn built(spec: &document::Upstream, keep: &Keep) -> Result<Upstream, Vec<Fault>> {
    // The slot of other threads moves when another test starts workers, and connections are kept per slot.
    crate::worker::become_worker(0);
    Compiled::new("test", spec, &Disk).map(|compiled| compiled.install(Path::new(""), &Dns::default(), keep))
}

fn spec(urls: &[&str]) -> document::Upstream {
    let targets: Vec<_> = urls.iter().map(|url| serde_json::json!({ "url": url })).collect();
    let timeouts = serde_json::json!({ "connect": "1s", "response_header": "30s", "idle": "30s" });
    serde_json::from_value(serde_json::json!({ "targets": targets, "timeouts": timeouts })).unwrap()
}

fn proxy(urls: &[&str]) -> HttpService {
    service(Arc::new(built(&spec(urls), &Keep::default()).unwrap()), RouteSettings::default())
}

fn get(target: &str) -> Request {
    http::Request::builder().uri(target).header("host", "gate.example").body(Body::empty()).unwrap()
}

fn post(target: &str, body: impl Into<Body>) -> Request {
    let mut request = get(target);
    *request.method_mut() = Method::POST;
    *request.body_mut() = body.into();
    request
}

async fn text(response: Response) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

fn reason(response: &Response) -> &str {
    &response.extensions().get::<Refusal>().unwrap().reason
}

fn said(bytes: &str) -> Act {
    Act::Say(bytes.replace('\n', "\r\n").into_bytes())
}

/// A clock that only the test advances.
struct Clock(#[expect(dead_code, reason = "held")] std::sync::mpsc::Sender<()>);

impl Clock {
    fn stop() -> Self {
        tokio::time::pause();
        // While a blocking task runs, tokio does not advance the clock automatically.
        let (held, end) = std::sync::mpsc::channel();
        tokio::task::spawn_blocking(move || end.recv());
        Self(held)
    }
}

#[tokio::test]
async fn a_connection_is_used_again_after_a_clean_end_and_survives_a_reload() {
    let server = Server::start(vec![
        Act::Say(OK.into()),
        said("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\nok\n0\n\n"),
        said("HTTP/1.1 304 Not Modified\nContent-Length: 500\n\n"),
        said("HTTP/1.1 204 No Content\n\n"),
        said("HTTP/1.1 103 Early Hints\nLink: </a>\n\nHTTP/1.1 200 OK\nContent-Length: 2\n\nok"),
    ])
    .await;
    let keep = Keep::default();
    let build = || service(Arc::new(built(&spec(&[&server.url]), &keep).unwrap()), RouteSettings::default());
    let before = build();
    for target in ["/0", "/1", "/4"] {
        let response = before.call(get(target)).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert!(response.headers().get("link").is_none());
        assert_eq!(text(response).await, "ok");
    }
    assert_eq!(before.call(get("/2")).await.headers()["content-length"], "500");
    let after = build();
    drop(before);
    assert_eq!(after.call(get("/3")).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(text(after.call(post("/0", "body")).await).await, "ok");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_silent_upstream_is_504_but_a_slow_client_is_waited_for() {
    let server = Server::start(vec![Act::Hang, Act::Echo]).await;
    let service = proxy(&[&server.url]);
    let clock = Clock::stop();
    for (turn, request) in [get("/0"), post("/0", "body")].into_iter().enumerate() {
        let (response, ()) = tokio::join!(service.call(request), async {
            server.has_seen(turn + 1).await;
            tokio::time::advance(Duration::from_secs(31)).await;
        });
        assert_eq!((response.status(), reason(&response)), (StatusCode::GATEWAY_TIMEOUT, "upstream_timeout"));
    }
    // Each piece of the body takes longer than the upstream's response timeout.
    let pieces = futures_util::stream::unfold(0, |turn| async move {
        tokio::time::advance(Duration::from_secs(45)).await;
        (turn < 2).then(|| (Ok::<_, axum::Error>(http_body::Frame::data(Bytes::from_static(b"piece"))), turn + 1))
    });
    let response = service.call(post("/1", Body::new(StreamBody::new(pieces)))).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(text(response).await.contains("transfer-encoding: chunked"));
    drop(clock);
}

#[tokio::test]
async fn a_client_body_that_fails_is_the_clients_fault() {
    let server = Server::start(vec![Act::Echo]).await;
    let error = axum::Error::new(gatewright_sdk::body::BodyTooLarge(5));
    let pieces = futures_util::stream::iter([Ok(http_body::Frame::data(Bytes::from_static(b"piece"))), Err(error)]);
    let response = proxy(&[&server.url]).call(post("/0", Body::new(StreamBody::new(pieces)))).await;
    assert_eq!((response.status(), reason(&response)), (StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large"));
}

#[tokio::test]
async fn a_get_survives_a_dead_idle_connection_and_a_post_is_never_sent_twice() {
    // Promises to keep the connection, but closes it once it has read the next request.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                let mut buffer = vec![0; 4096];
                for answer in [true, false] {
                    let read = stream.read(&mut buffer).await.unwrap_or(0);
                    log.lock().push(String::from_utf8_lossy(&buffer[..read.min(4)]).into_owned());
                    if answer {
                        stream.write_all(OK).await.unwrap();
                    }
                }
            });
        }
    });
    let service = proxy(&[&url]);
    let clock = Clock::stop();
    for _ in 0..4 {
        assert_eq!(text(service.call(get("/")).await).await, "ok");
    }
    assert_eq!(seen.lock().len(), 7, "each but the first was sent on a dead connection, then on a fresh one");
    seen.lock().clear();
    let response = service.call(post("/", "pay")).await;
    assert_eq!(reason(&response), "upstream_reset");
    assert_eq!(*seen.lock(), ["POST"]);

    // A connection that has been idle for a while is not used for it: a new one is opened.
    assert_eq!(text(service.call(get("/")).await).await, "ok");
    seen.lock().clear();
    tokio::time::advance(Duration::from_millis(501)).await;
    assert_eq!(text(service.call(post("/", "pay")).await).await, "ok");
    assert_eq!(*seen.lock(), ["POST"]);
    drop(clock);
}

#[tokio::test]
async fn a_client_that_leaves_closes_the_upstream_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let service = proxy(&[&format!("http://{}", listener.local_addr().unwrap())]);
    let mut reply = Box::pin(service.call(get("/")));
    let (mut stream, _) = tokio::select! {
        accepted = listener.accept() => accepted.unwrap(),
        _ = &mut reply => panic!("nothing was answered yet"),
    };
    let mut buffer = Vec::new();
    tokio::select! {
        read = stream.read_buf(&mut buffer) => assert!(read.unwrap() > 0),
        _ = &mut reply => panic!("nothing was answered yet"),
    }
    drop(reply);
    stream.read_to_end(&mut buffer).await.unwrap();

    // The same after the head was forwarded.
    let mut reply = Box::pin(service.call(get("/")));
    let (mut stream, _) = tokio::select! {
        accepted = listener.accept() => accepted.unwrap(),
        _ = &mut reply => panic!("nothing was answered yet"),
    };
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc").await.unwrap();
    let response = reply.await;
    drop(response);
    stream.read_to_end(&mut buffer).await.unwrap();
}

#[tokio::test]
async fn bodies_stream_both_ways() {
    let server = Server::start(vec![Act::Echo]).await;
    let service = proxy(&[&server.url]);
    let sent = "0123456789abcdef".repeat(64 * 1024);
    let mut request = post("/0", sent.clone());
    request.headers_mut().insert("content-length", sent.len().into());
    let got = text(service.call(request).await).await;
    let (head, body) = got.split_once("\r\n\r\n").unwrap();
    assert!(!head.contains("chunked"), "a known length stays one: {head}");
    assert!(body == sent, "one mebibyte came back unchanged");
    let got = text(service.call(post("/0", Body::new(http_body_util::Full::from(sent.clone())))).await).await;
    assert_eq!(got.split_once("\r\n\r\n").unwrap().1.len(), sent.len());
}

#[tokio::test]
async fn the_next_target_is_tried_when_one_refuses_the_connection() {
    let server = Server::start(vec![Act::Say(OK.into())]).await;
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let service = proxy(&[&dead, &server.url]);
    for _ in 0..4 {
        assert_eq!(text(service.call(post("/0", "body")).await).await, "ok");
    }
    assert_eq!(server.heads().len(), 4);
    let host = server.url.replace("http://", "host: ");
    assert!(server.heads().iter().all(|head| head.contains(&host)));
    let response = proxy(&[&dead]).call(get("/")).await;
    assert_eq!((response.status(), reason(&response)), (StatusCode::BAD_GATEWAY, "upstream_connect"));
}

#[tokio::test]
async fn requests_follow_the_weights() {
    let (one, two) = (Server::start(vec![Act::Say(OK.into())]).await, Server::start(vec![Act::Say(OK.into())]).await);
    let mut spec = spec(&[&one.url, &two.url]);
    spec.targets[0].weight = 3;
    let service = service(Arc::new(built(&spec, &Keep::default()).unwrap()), RouteSettings::default());
    for _ in 0..8 {
        assert_eq!(service.call(get("/0")).await.status(), StatusCode::OK);
    }
    assert_eq!((one.heads().len(), two.heads().len()), (6, 2));
}

#[tokio::test]
async fn unused_connections_are_closed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut spec = spec(&[&format!("http://{}", listener.local_addr().unwrap())]);
    spec.timeouts.idle = gatewright_sdk::HumanDuration::from_millis(50);
    let service = service(Arc::new(built(&spec, &Keep::default()).unwrap()), RouteSettings::default());
    let accepted = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(OK).await.unwrap();
        // Ends only when the gateway closes the connection.
        stream.read_to_end(&mut Vec::new()).await.unwrap()
    });
    assert_eq!(text(service.call(get("/")).await).await, "ok");
    assert!(accepted.await.unwrap() > 0);
}

#[test]
fn every_fault_of_an_upstream_is_named() {
    let paths = |spec: serde_json::Value| {
        let spec: document::Upstream = serde_json::from_value(spec).unwrap();
        let faults = built(&spec, &Keep::default()).err().unwrap_or_default();
        faults.into_iter().map(|fault| fault.path).collect::<Vec<_>>()
    };
    let secured = serde_json::json!({ "targets": [{ "url": "http://a" }, { "url": "https://a" }] });
    assert!(paths(secured).is_empty());
    for url in ["http://a", "http://a/", "http://[::1]:80", "http://orders.internal:8081"] {
        assert!(paths(serde_json::json!({ "targets": [{ "url": url }] })).is_empty(), "{url}");
    }
    let all = serde_json::json!({
        "targets": [],
        "load_balancing": { "policy": "ring_hash" },
        "health_checks": { "active": { "interval": "0s", "timeout": "0s" } },
        "tls": {},
        "timeouts": { "connect": "0s", "response_header": "0s", "stream_idle": "0s" },
    });
    let expected = ["targets", "timeouts.connect", "timeouts.response_header", "timeouts.stream_idle"];
    let checks = ["", ".interval", ".timeout"].map(|key| format!("health_checks.active{key}"));
    let found = paths(all);
    assert_eq!(found[..4], expected);
    assert_eq!(found[4], "load_balancing");
    assert_eq!(found[5..], checks);
    let drained = serde_json::json!({ "targets": [{ "url": "http://a", "weight": 0 }] });
    assert_eq!(paths(drained), ["targets"]);
}
