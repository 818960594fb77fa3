//! The limits of a client: bytes, fields, time and connections.

use super::*;
use futures_util::FutureExt;
use gatewright_sdk::{ByteSize, HumanDuration};

const SHORT: HumanDuration = HumanDuration::from_millis(300);
const BOTH: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

#[tokio::test]
async fn a_head_is_bounded_in_bytes_fields_and_target() {
    let fixture = Fixture::new(|limits| limits.headers = 10, &[Protocol::Http1]);
    let fields = "X-A: b\r\n".repeat(11);
    let long = "a".repeat(40_000);
    let target = "a".repeat(9_000);
    for (request, expected) in [
        (format!("GET /hello HTTP/1.1\r\nHost: a\r\n{fields}\r\n"), "431"),
        (format!("GET /hello HTTP/1.1\r\nHost: a\r\nX-A: {long}\r\n\r\n"), "431"),
        (format!("GET /hello?{target} HTTP/1.1\r\nHost: a\r\n\r\n"), "414"),
    ] {
        let mut client = fixture.connect().await;
        let answer = client.send(&request).await.rest().await;
        assert_eq!(answer.get(9..12), Some(expected), "{answer}");
    }
}

#[tokio::test]
async fn silent_half_sent_and_dripping_heads_are_closed() {
    for protocols in [&BOTH[..1], &BOTH[..]] {
        let fixture = Fixture::new(|limits| limits.header_timeout = SHORT, protocols);
        let mut clients = Vec::new();
        for start in ["", "G", "PRI * HT", "GET / HTTP/1.1\r\nHost: a\r\nX-", "\r\n\r\n\r\n"] {
            let mut client = fixture.connect().await;
            client.send(start).await;
            clients.push((start, client));
        }
        for (start, mut client) in clients {
            assert_eq!(client.rest().await, "", "{start:?}");
        }
        let mut client = fixture.connect().await;
        client.send("GET /hello HTTP/1.1\r\nHost: a\r\n").await;
        let dripping = async {
            while client.0.write_all(b"X-A: b\r\n").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, dripping).await.expect("a drip does not keep a connection open");
    }
}

#[tokio::test]
async fn a_later_head_has_the_same_time_as_the_first() {
    let fixture = Fixture::new(|limits| limits.header_timeout = SHORT, &[Protocol::Http1]);
    let mut client = fixture.connect().await;
    assert_eq!(client.get("/hello").await.0, 200);
    client.send("GET /hello HTTP/1.1\r\n").await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let fixture = Fixture::new(|limits| limits.idle_timeout = SHORT, &[Protocol::Http1]);
    let mut client = fixture.connect().await;
    assert_eq!(client.get("/hello").await.0, 200);
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_slow_request_is_not_treated_as_an_idle_connection() {
    let fixture = Fixture::new(
        |limits| {
            limits.idle_timeout = HumanDuration::from_millis(1);
            limits.header_timeout = SHORT;
        },
        &[Protocol::Http1],
    );
    let mut client = fixture.connect().await;
    client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    fixture.app.reached.notified().await;
    // The deadline passes for another connection as well.
    let mut other = fixture.connect().await;
    other.send("GET /").await;
    assert_eq!(other.rest().await, "");
    fixture.app.release.notify_one();
    assert_eq!(client.answer().await.2, "done");
}

#[tokio::test]
async fn a_client_that_reads_nothing_of_its_response_is_reset() {
    let fixture = Fixture::new(|limits| limits.write_timeout = SHORT, &[Protocol::Http1]);
    let mut client = fixture.connect().await;
    client.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n").await;
    gone(&fixture, 0).await;
    let mut answer = Vec::new();
    assert!(client.0.read_to_end(&mut answer).await.is_err() || answer.len() < 8 << 20, "the answer is not whole");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_it_is_sent() {
    let fixture = Fixture::new(|limits| limits.body_bytes = ByteSize(10), &[Protocol::Http1]);
    let mut client = fixture.connect().await;
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n").await;
    let (status, head, _) = client.answer().await;
    assert_eq!(status, 413);
    assert!(head.contains("connection: close"), "{head}");
    assert_eq!(client.rest().await, "");

    let mut client = fixture.connect().await;
    client
        .send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n01234567890123456789\r\n")
        .await;
    assert_eq!(client.answer().await.0, 413);

    let mut client = fixture.connect().await;
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n").await;
    assert_eq!(client.answer().await.0, 100);
    assert_eq!(client.send("0123456789").await.answer().await.2, "0123456789");
}

#[tokio::test]
async fn a_body_that_stops_coming_is_answered_408() {
    let fixture = Fixture::new(|limits| limits.body_idle_timeout = SHORT, &[Protocol::Http1]);
    let mut client = fixture.connect().await;
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n123").await;
    assert_eq!(client.answer().await.0, 408);
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn the_rest_of_an_unread_body_is_not_parsed_as_a_request() {
    let fixture = Fixture::new(|limits| limits.body_bytes = ByteSize(10), &[Protocol::Http1]);
    let smuggled = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut client = fixture.connect().await;
    client.send(&format!("POST /none HTTP/1.1\r\nHost: a\r\nContent-Length: 60\r\n\r\n{smuggled}")).await;
    assert_eq!(client.answer().await.0, 413);
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn beyond_its_connections_a_listener_accepts_when_one_ends() {
    let fixture = Fixture::new(|limits| limits.connections = 1, &[Protocol::Http1]);
    let mut first = fixture.connect().await;
    assert_eq!(first.get("/hello").await.0, 200);
    let mut second = fixture.connect().await;
    second.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(first.get("/hello").await.0, 200, "the first is served while the second waits");
    assert_eq!(fixture.acceptor.accepted(), 1);
    drop(first);
    assert_eq!(second.answer().await.0, 200);
}

#[tokio::test]
async fn higher_limits_let_waiting_connections_in() {
    let fixture = Fixture::new(|limits| limits.connections = 1, &[Protocol::Http1]);
    let mut first = fixture.connect().await;
    assert_eq!(first.get("/hello").await.0, 200);
    let mut second = fixture.connect().await;
    fixture.acceptor.update(ConnectionTerms::default());
    assert_eq!(second.get("/hello").await.0, 200);
}

#[tokio::test]
async fn a_client_at_its_connection_limit_gets_no_more_connections() {
    let fixture = Fixture::new(|limits| limits.connections_per_client = 1, &[Protocol::Http1]);
    let mut first = fixture.connect().await;
    assert_eq!(first.get("/hello").await.0, 200);
    let mut second = fixture.connect().await;
    assert_eq!(second.rest().await, "");
    drop(first);
    gone(&fixture, 0).await;
    assert_eq!(fixture.connect().await.get("/hello").await.0, 200);
}

/// Waits until `left` connections are open.
async fn gone(fixture: &Fixture, left: usize) {
    let waiting = async {
        // The client side connects first: until the server has accepted, there is nothing to wait for.
        while fixture.acceptor.accepted() == 0 || fixture.acceptor.open() > left {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("the connection ends");
}

#[tokio::test]
async fn a_server_responds_only_while_all_its_workers_do() {
    let fixture = Fixture::http1();
    fixture.server.responds().await;
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    // A task that blocks its thread, as a fault in a plugin can.
    fixture.server.workers.all()[1].handle().spawn(async move {
        let _ = blocked.recv();
    });
    let mut responds = std::pin::pin!(fixture.server.responds());
    assert!(responds.as_mut().now_or_never().is_none());
    tokio::task::yield_now().await;
    assert!(responds.as_mut().now_or_never().is_none());
    drop(release);
    responds.await;
}
