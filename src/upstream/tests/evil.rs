//! Malicious upstreams: the raw bytes they send, and what the client receives.

use super::server::{Act, OK, Server};
use super::*;

#[tokio::test]
async fn invalid_responses_become_502_and_their_connection_is_not_reused() {
    let long = format!("HTTP/1.1 200 OK\nX: {}\nContent-Length: 2\n\nok", "a".repeat(70_000));
    let many = format!("HTTP/1.1 200 OK\n{}Content-Length: 2\n\nok", "X: v\n".repeat(1000));
    let hints = "HTTP/1.1 103 Early Hints\nLink: </a>\n\n".repeat(100_000);
    let acts = vec![
        said("HTTP/1.1 200 OK\nContent-Length: +5\n\nhello"),
        said("HTTP/1.1 200 OK\nContent-Length: 5\nContent-Length: 6\n\nhello"),
        said("HTTP/1.1 200 OK\nContent-Length: 5\nTransfer-Encoding: chunked\n\n0\n\nHTTP/1.1 200 OK\nX-Poison: 1\n\n"),
        said("HTTP/1.1 200 OK\nTransfer-Encoding: gzip, chunked\n\n5\nhello\n0\n\n"),
        said("HTTP/1.1 200 OK\nTransfer-Encoding: gzip\nTransfer-Encoding: chunked\n\n5\nhello\n0\n\n"),
        said("HTTP/1.1 200 OK\nTransfer-Encoding: chunked, chunked\n\n5\nhello\n0\n\n"),
        Act::Last(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello".to_vec()),
        said("HTTP/1.0 200 OK\nTransfer-Encoding: chunked\n\n5\nhello\n0\n\n"),
        Act::Say(b"HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: evil=1\r\nContent-Length: 0\r\n\r\n".to_vec()),
        said("HTTP/1.1 200 OK\nX A: 1\nContent-Length: 2\n\nok"),
        said("HTTP/1.1 200 OK\n X: 1\nContent-Length: 2\n\nok"),
        said("HTTP/1.1 200 OK\nX: 1\n folded\nContent-Length: 2\n\nok"),
        said("HTTP/1.1 200 OK\n: 1\nContent-Length: 2\n\nok"),
        said(
            "HTTP/1.1 200 OK\nContent-Length : 5\nTransfer-Encoding : chunked\n\n0\n\nHTTP/1.1 200 OK\nX-Poison: 1\n\n",
        ),
        said("HTTP/1.1 101 Switching Protocols\nUpgrade: x\nConnection: Upgrade\n\nEVIL"),
        said("HTTP/1.1 999 X\nContent-Length: 2\n\nok"),
        Act::Last(b"<html>hello".to_vec()),
        Act::Last((0..=255).collect()),
        said(&long),
        said(&many),
        said(&hints),
        Act::Flood(b"HTTP/1.1 200 OK\r\nX: ".to_vec()),
        Act::Last(Vec::new()),
        said("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\nzz\nhello\n"),
        said("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\nffffffffffffffffff\nhello"),
    ];
    let count = acts.len();
    let server = Server::start([acts, vec![Act::Say(OK.into())]].concat()).await;
    let service = proxy(&[&server.url]);
    for act in 0..count {
        for request in [get(&format!("/{act}")), post(&format!("/{act}"), "body")] {
            let before = server.connections();
            let response = service.call(request).await;
            assert_eq!(response.status(), StatusCode::BAD_GATEWAY, "act {act}");
            assert!(matches!(reason(&response), "upstream_invalid" | "upstream_reset"), "act {act}");
            assert!(text(response).await.contains("\"error\":\"bad_gateway\""));
            assert_eq!(server.connections(), before + 1, "act {act} opened one connection and left none");
        }
    }
    assert_eq!(text(service.call(get(&format!("/{count}"))).await).await, "ok");
}

#[tokio::test]
async fn bytes_after_a_response_never_become_the_next_one() {
    let poison = "HTTP/1.1 200 OK\nContent-Length: 5\nX-Poison: 1\n\nEVIL!";
    let server = Server::start(vec![
        Act::Say(OK.into()),
        said(&format!("HTTP/1.1 200 OK\nContent-Length: 2\n\nok{poison}")),
        said(&format!("HTTP/1.1 204 No Content\n\n{poison}")),
        said(&format!("HTTP/1.1 304 Not Modified\nContent-Length: 9\n\n{poison}")),
        said(&format!("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\nok\n0\n\n{poison}")),
    ])
    .await;
    let service = proxy(&[&server.url]);
    for act in 1..5 {
        drop(text(service.call(get(&format!("/{act}"))).await).await);
        let next = service.call(get("/0")).await;
        assert!(next.headers().get("x-poison").is_none(), "after act {act}");
        assert_eq!(text(next).await, "ok", "after act {act}");
    }
    let mut head = get("/1");
    *head.method_mut() = Method::HEAD;
    assert_eq!(text(service.call(head).await).await, "");
    assert_eq!(text(service.call(get("/0")).await).await, "ok");
}

#[tokio::test]
async fn trailers_that_are_not_valid_are_dropped_and_the_body_is_whole() {
    let trailers = ["X-T : v", "X-T\t: v", ": v", "no colon", "X-T: 1\nX T: 2"];
    let head = "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\nok\n0\n";
    let acts = trailers.iter().map(|trailer| said(&format!("{head}{trailer}\n\n"))).collect();
    let server = Server::start(acts).await;
    let service = proxy(&[&server.url]);
    for (act, trailer) in trailers.iter().enumerate() {
        let whole = service.call(get(&format!("/{act}"))).await.into_body().collect().await;
        let whole = whole.unwrap_or_else(|error| panic!("{trailer}: {error}"));
        assert!(whole.trailers().is_none(), "{trailer}");
        assert_eq!(whole.to_bytes(), "ok", "{trailer}");
        assert_eq!(server.connections(), act + 1, "a connection is not used again after {trailer}");
    }
}

#[tokio::test]
async fn an_upstream_body_that_fails_fails_the_response() {
    let server = Server::start(vec![
        Act::Last(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789".to_vec()),
        Act::Last(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n".to_vec()),
        Act::Last(b"HTTP/1.0 200 OK\r\n\r\nuntil the end".to_vec()),
    ])
    .await;
    let service = proxy(&[&server.url]);
    for act in 0..2 {
        let response = service.call(get(&format!("/{act}"))).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert!(response.into_body().collect().await.is_err(), "act {act}");
    }
    let old = service.call(get("/2")).await;
    assert_eq!(old.version(), http::Version::HTTP_11);
    assert_eq!(text(old).await, "until the end");
}
