//! Upstreams that speak HTTP/2: shared connections, trailers, and requests that were not processed.

use super::secure::{Authority, SecureServer};
use super::*;
use h2::Reason;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An HTTP/2 server without TLS. The path decides what it does.
struct Http2Server {
    url: String,
    connections: Arc<AtomicUsize>,
    /// How often each path was asked for.
    seen: Arc<Mutex<HashMap<String, usize>>>,
}

impl Http2Server {
    /// `most`: how many streams a connection may have.
    async fn start(most: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (connections, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(HashMap::new())));
        let (count, log) = (Arc::clone(&connections), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let log = Arc::clone(&log);
                tokio::spawn(async move {
                    let mut builder = h2::server::Builder::new();
                    let mut connection =
                        builder.max_concurrent_streams(most).handshake::<_, Bytes>(stream).await.unwrap();
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        let path = request.uri().path().to_owned();
                        let number = {
                            let mut log = log.lock();
                            let number = log.entry(path.clone()).or_insert(0);
                            *number += 1;
                            *number
                        };
                        if path == "/last" {
                            connection.graceful_shutdown();
                        }
                        tokio::spawn(respond_to(path, number, request, respond));
                    }
                });
            }
        });
        Self { url, connections, seen }
    }

    fn seen(&self, path: &str) -> usize {
        self.seen.lock().get(path).copied().unwrap_or(0)
    }

    fn proxy(&self) -> HttpService {
        let mut spec = spec(&[&self.url]);
        spec.protocol = document::Protocol::Http2;
        service(Arc::new(built(&spec, &Keep::default()).unwrap()), RouteSettings::default())
    }
}

async fn respond_to(
    path: String,
    number: usize,
    request: http::Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
) {
    match &*path {
        "/refused" if number == 1 => return respond.send_reset(Reason::REFUSED_STREAM),
        "/never" => return respond.send_reset(Reason::REFUSED_STREAM),
        "/broken" => return respond.send_reset(Reason::INTERNAL_ERROR),
        "/hang" => std::future::pending().await,
        _ => {}
    }
    let (head, mut body) = request.into_parts();
    let mut echo = format!("{:?} {} te={:?} ", head.version, head.uri, head.headers.get("te")).into_bytes();
    assert!(!head.headers.contains_key("host") && !head.headers.contains_key("connection"));
    while let Some(piece) = body.data().await {
        let piece = piece.unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        echo.extend_from_slice(&piece);
    }
    let mut trailers = body.trailers().await.unwrap().unwrap_or_default();
    trailers.extend(
        [("grpc-status", "0"), ("set-cookie", "a=b"), ("content-length", "5")]
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))),
    );
    let mut stream = respond.send_response(http::Response::new(()), false).unwrap();
    stream.send_data(echo.into(), false).unwrap();
    match &*path {
        "/cut" => return stream.send_reset(Reason::CANCEL),
        "/short" => return stream.send_reset(Reason::NO_ERROR),
        _ => {}
    }
    stream.send_trailers(trailers).unwrap();
}

#[tokio::test]
async fn requests_share_a_connection_and_trailers_pass_both_ways() {
    let server = Http2Server::start(100).await;
    let service = server.proxy();
    let mut trailers = HeaderMap::new();
    for (name, value) in [("content-digest", "sha-256=:AA==:"), ("authorization", "evil"), ("x-user", "admin")] {
        trailers.insert(name, value.parse().unwrap());
    }
    let frames = [Ok::<_, axum::Error>(Frame::data(Bytes::from_static(b"piece"))), Ok(Frame::trailers(trailers))];
    let mut request = post("/echo?x=1", Body::new(StreamBody::new(futures_util::stream::iter(frames))));
    request.headers_mut().insert("te", "trailers".parse().unwrap());
    let (first, second) = tokio::join!(service.call(request), service.call(get("/echo")));
    assert_eq!(second.status(), StatusCode::OK);
    let whole = first.into_body().collect().await.unwrap();
    // The rest could be merged into the head of the request, past every check, so it is dropped.
    let passed: Vec<_> = whole.trailers().unwrap().iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(passed, ["content-digest", "grpc-status"]);
    let text = String::from_utf8(whole.to_bytes().to_vec()).unwrap();
    assert_eq!(text, format!("HTTP/2.0 {}/echo?x=1 te=Some(\"trailers\") piece", server.url));
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn only_what_was_not_processed_is_sent_again() {
    let server = Http2Server::start(100).await;
    let service = server.proxy();
    let response = service.call(post("/refused", "body")).await;
    assert!(text(response).await.ends_with("body"));
    assert_eq!(server.seen("/refused"), 2);
    let response = service.call(post("/broken", "body")).await;
    assert_eq!((response.status(), reason(&response)), (StatusCode::BAD_GATEWAY, "upstream_reset"));
    assert_eq!(server.seen("/broken"), 1);
    assert_eq!(service.call(get("/never")).await.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(server.seen("/never"), 3);
    // The connection is still used.
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_response_that_is_reset_is_cut_off() {
    let server = Http2Server::start(100).await;
    for path in ["/cut", "/short"] {
        let response = server.proxy().call(get(path)).await;
        match response.status() {
            StatusCode::OK => assert!(response.into_body().collect().await.is_err(), "{path}"),
            status => assert_eq!(status, StatusCode::BAD_GATEWAY, "{path}"),
        }
    }
}

#[tokio::test]
async fn a_full_connection_is_followed_by_another() {
    let server = Http2Server::start(1).await;
    let service = server.proxy();
    let (one, other) = (service.clone(), service.clone());
    let hanging = tokio::spawn(async move { one.call(get("/hang")).await });
    while server.seen("/hang") == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(other.call(get("/echo")).await.status(), StatusCode::OK);
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
    hanging.abort();
}

#[tokio::test]
async fn a_target_that_closes_gets_no_further_requests_on_the_connection() {
    let server = Http2Server::start(100).await;
    let service = server.proxy();
    assert_eq!(service.call(get("/last")).await.status(), StatusCode::OK);
    for _ in 0..5 {
        let response = service.call(post("/echo", "body")).await;
        assert!(text(response).await.ends_with("body"));
    }
    assert_eq!(server.seen("/echo"), 5);
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_target_that_does_not_speak_http2_is_not_connected() {
    let server = Server::start(vec![Act::Last(OK.into())]).await;
    let mut spec = spec(&[&server.url]);
    spec.protocol = document::Protocol::Http2;
    let service = service(Arc::new(built(&spec, &Keep::default()).unwrap()), RouteSettings::default());
    let response = service.call(get("/0")).await;
    assert!(matches!(reason(&response), "upstream_connect" | "upstream_connect_timeout"));
}

#[tokio::test]
async fn a_target_with_tls_chooses_the_version() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    for (alpn, protocol, seen) in [
        (&["h2", "http/1.1"][..], document::Protocol::Auto, Some("HTTP/2.0 /x")),
        (&["http/1.1"], document::Protocol::Auto, Some("HTTP/1.1 /x")),
        (&[], document::Protocol::Auto, Some("HTTP/1.1 /x")),
        (&["h2", "http/1.1"], document::Protocol::Http1, Some("HTTP/1.1 /x")),
        (&["h2", "http/1.1"], document::Protocol::Http2, Some("HTTP/2.0 /x")),
        (&["http/1.1"], document::Protocol::Http2, None),
    ] {
        let server = SecureServer::start(authority.sign("localhost", 2100), None, alpn).await;
        let mut spec = spec(&[&format!("https://localhost:{}", server.port)]);
        spec.tls = Some(serde_json::from_value(serde_json::json!({ "ca_file": ca })).unwrap());
        spec.protocol = protocol;
        let service = service(Arc::new(built(&spec, &Keep::default()).unwrap()), RouteSettings::default());
        for _ in 0..3 {
            let response = service.call(get("/x")).await;
            match seen {
                Some(seen) => assert_eq!(text(response).await, seen),
                None => assert_eq!(reason(&response), "upstream_tls"),
            }
        }
        assert_eq!(server.connections(), usize::from(seen.is_some()), "{alpn:?}");
    }
}

#[tokio::test]
async fn a_connection_that_is_dead_is_left_although_no_request_waits_for_long() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut kept = Vec::new();
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            let mut connection = h2::server::handshake(stream).await.unwrap();
            if number == 0 {
                // It receives the request, and is no longer driven.
                kept.push((connection.accept().await.unwrap().unwrap(), connection));
                continue;
            }
            tokio::spawn(async move {
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    respond.send_response(http::Response::new(()), true).unwrap();
                }
            });
        }
    });
    let mut spec = spec(&[&url]);
    spec.protocol = document::Protocol::Http2;
    let service = service(Arc::new(built(&spec, &Keep::default()).unwrap()), RouteSettings::default());
    let recovered = async {
        // The response header may take 30 s, but no client waits for longer than half a second.
        while tokio::time::timeout(Duration::from_millis(500), service.call(get("/x"))).await.is_err() {}
    };
    tokio::time::timeout(Duration::from_secs(25), recovered).await.expect("another connection");
}

#[tokio::test]
async fn a_target_that_demands_http1_gets_it_unless_a_write_may_have_been_processed() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    let server = SecureServer::start(authority.sign("localhost", 2100), None, &["h2", "http/1.1"]).await;
    let with = |protocol| {
        let mut spec = spec(&[&format!("https://localhost:{}", server.port)]);
        spec.tls = Some(serde_json::from_value(serde_json::json!({ "ca_file": ca })).unwrap());
        spec.protocol = protocol;
        service(Arc::new(built(&spec, &Keep::default()).unwrap()), RouteSettings::default())
    };
    let service = with(document::Protocol::Auto);
    for _ in 0..2 {
        assert_eq!(text(service.call(get("/old")).await).await, "HTTP/1.1 /old");
        assert_eq!(text(service.call(get("/x")).await).await, "HTTP/2.0 /x", "only this request");
    }
    let response = service.call(post("/old", "body")).await;
    assert_eq!((response.status(), reason(&response)), (StatusCode::BAD_GATEWAY, "upstream_reset"));
    let response = with(document::Protocol::Http2).call(get("/old")).await;
    assert_eq!((response.status(), reason(&response)), (StatusCode::BAD_GATEWAY, "upstream_reset"));
}
