//! Targets that fail: retries, ejection, active checks, and the circuit breaker.

use super::server::{Act, OK, Server};
use super::*;
use gatewright_sdk::{FetchError, Fetching, Services};
use serde_json::json;

const BUSY: &str = "HTTP/1.1 503 Busy\nContent-Length: 4\n\nbusy";

/// A proxy to `urls` with more settings of the upstream, and the `retry` of its route.
pub(super) fn proxy_with(
    urls: &[&str],
    settings: serde_json::Value,
    retry: Option<serde_json::Value>,
) -> (HttpService, Keep) {
    let targets: Vec<_> = urls.iter().map(|url| json!({ "url": url })).collect();
    let mut spec = json!({ "targets": targets });
    spec.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let spec: document::Upstream = serde_json::from_value(spec).unwrap();
    let retry: Option<route::Retry> = retry.map(|retry| serde_json::from_value(retry).unwrap());
    let keep = Keep::default();
    let upstream = Arc::new(built(&spec, &keep).unwrap());
    (service(upstream, RouteSettings { retry, ..RouteSettings::default() }), keep)
}

async fn status(service: &HttpService, request: Request) -> u16 {
    let response = service.call(request).await;
    let status = response.status().as_u16();
    text(response).await;
    status
}

/// The URL of a port on which nothing listens.
async fn refusing() -> String {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", gone.local_addr().unwrap())
}

#[tokio::test]
async fn every_target_is_tried_before_a_502() {
    let (one, two) = (refusing().await, refusing().await);
    let server = Server::start(vec![Act::Say(OK.into())]).await;
    let service = proxy(&[&one, &two, &server.url]);
    for _ in 0..6 {
        assert_eq!(status(&service, post("/0", "body")).await, 200);
    }
    assert_eq!(server.heads().len(), 6);
    let service = proxy(&[&one, &two]);
    let response = service.call(get("/0")).await;
    assert_eq!((response.status().as_u16(), reason(&response)), (502, "upstream_connect"));
}

#[tokio::test]
async fn a_target_that_ends_connections_gets_a_request_as_often_as_the_route_says() {
    let server = Server::start(vec![Act::Say(OK.into()), Act::Last(Vec::new())]).await;
    for (retry, sent) in [(None, 2), (Some(json!({ "attempts": 1 })), 2), (Some(json!({ "attempts": 4 })), 5)] {
        let (service, _) = proxy_with(&[&server.url], json!({}), retry);
        let warm = (0..8).map(|_| status(&service, get("/0")));
        assert_eq!(futures_util::future::join_all(warm).await, [200; 8]);
        let before = server.heads().len();
        assert_eq!(status(&service, get("/1")).await, 502);
        assert_eq!(server.heads().len() - before, sent);
    }
}

#[tokio::test]
async fn a_busy_target_is_left_for_another_and_a_write_is_never_sent_twice() {
    let (busy, good) = (Server::start(vec![said(BUSY)]).await, Server::start(vec![Act::Say(OK.into())]).await);
    let (service, _) = proxy_with(&[&busy.url, &good.url], json!({}), Some(json!({})));
    for _ in 0..4 {
        assert_eq!(status(&service, get("/0")).await, 200);
    }
    let mut seen: Vec<_> = Vec::new();
    for _ in 0..2 {
        seen.push(status(&service, post("/0", "body")).await);
    }
    seen.sort_unstable();
    assert_eq!(seen, [200, 503], "POST is not retried");
    let posts = |server: &Server| server.heads().iter().filter(|head| head.starts_with("POST")).count();
    assert_eq!((posts(&busy), posts(&good)), (1, 1));
}

#[tokio::test]
async fn a_kept_body_is_sent_again_and_a_longer_one_is_not() {
    let (busy, echo) = (Server::start(vec![said(BUSY)]).await, Server::start(vec![Act::Echo]).await);
    let retry = json!({ "methods": "all", "body": "1KiB" });
    let (service, _) = proxy_with(&[&busy.url, &echo.url], json!({}), Some(retry));
    for _ in 0..4 {
        let response = service.call(post("/0", "a body")).await;
        assert!(text(response).await.ends_with("a body"));
    }
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(status(&service, post("/0", "x".repeat(2000))).await);
    }
    assert!(seen.contains(&503), "{seen:?}");
}

#[tokio::test]
async fn retries_end_and_the_last_response_is_passed_on() {
    let busy = Server::start(vec![said(BUSY)]).await;
    let (service, _) =
        proxy_with(&[&busy.url], json!({}), Some(json!({ "attempts": 3, "backoff": { "base": "1ms" } })));
    assert_eq!(text(service.call(get("/0")).await).await, "busy");
    assert_eq!(busy.heads().len(), 4);
    let later = Server::start(vec![said("HTTP/1.1 503 Busy\nRetry-After: 9\nContent-Length: 0\n\n")]).await;
    let (service, _) = proxy_with(&[&later.url], json!({}), Some(json!({})));
    assert_eq!(status(&service, get("/0")).await, 503);
    assert_eq!(later.heads().len(), 1, "it asked for a longer pause");
}

#[tokio::test]
async fn a_target_that_fails_in_a_row_is_ejected_and_comes_back() {
    let (broken, good) = (Server::start(vec![said(BUSY)]).await, Server::start(vec![Act::Say(OK.into())]).await);
    let checks = json!({ "passive": { "consecutive_failures": 2, "ejection_time": "200ms" } });
    let (service, _) = proxy_with(&[&broken.url, &good.url], json!({ "health_checks": checks }), None);
    for _ in 0..12 {
        status(&service, get("/0")).await;
    }
    assert_eq!(broken.heads().len(), 2);
    tokio::time::sleep(Duration::from_millis(250)).await;
    for _ in 0..2 {
        status(&service, get("/0")).await;
    }
    assert_eq!(broken.heads().len(), 3, "it gets requests again");
}

#[tokio::test]
async fn an_ejection_ends_with_the_checks_that_caused_it() {
    let (broken, good) = (Server::start(vec![said(BUSY)]).await, Server::start(vec![Act::Say(OK.into())]).await);
    let checks = json!({ "consecutive_failures": 1, "ejection_time": "1h" });
    let with = |checks: serde_json::Value| -> document::Upstream {
        let targets = [&broken.url, &good.url].map(|url| json!({ "url": url }));
        serde_json::from_value(json!({ "targets": targets, "health_checks": checks })).unwrap()
    };
    let keep = Keep::default();
    for (checks, expected) in [(json!({ "passive": checks }), 1), (json!({ "panic_threshold": 0 }), 3)] {
        let service = service(Arc::new(built(&with(checks), &keep).unwrap()), RouteSettings::default());
        for _ in 0..4 {
            status(&service, get("/0")).await;
        }
        assert_eq!(broken.heads().len(), expected);
    }
}

#[tokio::test]
async fn the_last_target_is_never_left_out() {
    let broken = Server::start(vec![said(BUSY)]).await;
    let passive = json!({ "passive": { "consecutive_failures": 1 } });
    let (service, _) = proxy_with(&[&broken.url], json!({ "health_checks": passive }), None);
    for _ in 0..3 {
        assert_eq!(status(&service, get("/0")).await, 503);
    }
    assert_eq!(broken.heads().len(), 3, "with no healthy target, all get requests");
    let strict = json!({ "passive": { "consecutive_failures": 1 }, "panic_threshold": 0 });
    let (service, _) = proxy_with(&[&broken.url], json!({ "health_checks": strict }), None);
    status(&service, get("/0")).await;
    let response = service.call(get("/0")).await;
    assert_eq!((response.status().as_u16(), reason(&response)), (503, "upstream_no_target"));
    assert_eq!(response.headers()["retry-after"], "1");
}

struct NoServices;
impl Services for NoServices {
    fn fetch(&self, _: http::Request<Bytes>, _: usize) -> Fetching {
        Box::pin(std::future::ready(Err(FetchError("no network".to_owned()))))
    }
}

#[tokio::test]
async fn an_active_check_finds_out_that_a_target_is_unhealthy() {
    let sick = Server::start(vec![Act::Say(OK.into()), said(BUSY)]).await;
    let good = Server::start(vec![Act::Say(OK.into()), Act::Say(OK.into())]).await;
    let active = json!({ "path": "/1", "interval": "5ms", "unhealthy_after": 2 });
    let (service, keep) = proxy_with(&[&sick.url, &good.url], json!({ "health_checks": { "active": active } }), None);
    let services: Arc<dyn Services> = Arc::new(NoServices);
    keep.begin(&services);
    let checks = |server: &Server| server.heads().iter().filter(|head| head.starts_with("GET /1 ")).count();
    while checks(&sick) < 4 || checks(&good) < 4 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(sick.heads()[0].contains("user-agent: gatewright/"));
    for _ in 0..4 {
        assert_eq!(status(&service, get("/0")).await, 200);
    }
    assert_eq!(sick.heads().iter().filter(|head| head.starts_with("GET /0 ")).count(), 0);
}

#[tokio::test]
async fn an_active_check_reads_the_body_before_it_closes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let active = json!({ "path": "/", "interval": "5ms", "timeout": "10s" });
    let (_service, keep) = proxy_with(&[&url], json!({ "health_checks": { "active": active } }), None);
    let services: Arc<dyn Services> = Arc::new(NoServices);
    keep.begin(&services);
    let (mut stream, _) = listener.accept().await.unwrap();
    let body = "a".repeat(60_000);
    let response = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(response.as_bytes()).await.unwrap();
    // A connection that closes with unread bytes is reset.
    let mut received = Vec::new();
    stream.read_to_end(&mut received).await.unwrap();
    assert!(received.starts_with(b"GET / "));
}

#[tokio::test]
async fn requests_beyond_a_limit_are_rejected_until_a_response_has_ended() {
    let server = Server::start(vec![Act::Hang, Act::Say(OK.into())]).await;
    let (service, _) = proxy_with(&[&server.url], json!({ "circuit_breaker": { "max_requests": 1 } }), None);
    let hanging = tokio::spawn(service.call(get("/0")));
    server.has_seen(1).await;
    let response = service.call(get("/1")).await;
    assert_eq!((response.status().as_u16(), reason(&response)), (503, "upstream_overloaded"));
    hanging.abort();
    let _ = hanging.await;
    assert_eq!(status(&service, get("/1")).await, 200);
    assert_eq!(status(&service, get("/1")).await, 200, "each response freed its place");
}

#[tokio::test]
async fn requests_wait_for_one_of_the_connections_there_may_be() {
    let server = Server::start(vec![Act::Say(OK.into()), Act::Hang]).await;
    let breaker = json!({ "max_connections": 2, "max_pending": 8 });
    let (service, _) = proxy_with(&[&server.url], json!({ "circuit_breaker": breaker }), None);
    let all = futures_util::future::join_all((0..10).map(|_| status(&service, get("/0")))).await;
    assert!(all.iter().all(|status| *status == 200), "{all:?}");
    assert!(server.connections() <= 2, "{}", server.connections());

    let breaker = json!({ "max_connections": 1, "max_pending": 1 });
    let settings = json!({ "circuit_breaker": breaker, "timeouts": { "connect": "50ms" } });
    let (service, _) = proxy_with(&[&server.url], settings, None);
    let hanging = tokio::spawn(service.call(get("/1")));
    server.has_seen(11).await;
    let (one, two) = tokio::join!(service.call(get("/0")), service.call(get("/0")));
    assert_eq!((reason(&one), reason(&two)), ("upstream_overloaded", "upstream_overloaded"));
    hanging.abort();
    let _ = hanging.await;
    assert_eq!(status(&service, get("/0")).await, 200);
}

#[tokio::test]
async fn a_circuit_opens_when_too_many_requests_fail() {
    let server = Server::start(vec![said(BUSY)]).await;
    let ratio = json!({ "over": "50%", "min_requests": 3 });
    let (service, _) = proxy_with(&[&server.url], json!({ "circuit_breaker": { "failure_ratio": ratio } }), None);
    for _ in 0..3 {
        status(&service, get("/0")).await;
    }
    let response = service.call(get("/0")).await;
    assert_eq!(reason(&response), "upstream_circuit_open");
    assert_eq!(response.headers()["retry-after"], "5");
    assert_eq!(server.heads().len(), 3);
}

#[tokio::test]
async fn a_response_that_pauses_for_too_long_is_cut_off() {
    let server = Server::start(vec![said("HTTP/1.1 200 OK\nContent-Length: 100\n\nabc")]).await;
    let (service, _) = proxy_with(&[&server.url], json!({ "timeouts": { "stream_idle": "50ms" } }), None);
    let response = service.call(get("/0")).await;
    assert_eq!(response.status().as_u16(), 200);
    let error = response.into_body().collect().await.unwrap_err();
    assert!(error.to_string().contains("paused for longer than `timeouts.stream_idle`"), "{error}");
}

/// A gRPC server whose health is `status`: 1 is `SERVING`.
async fn grpc_health(status: u8) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let respond = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| async move {
                assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
                let asked = request.into_body().collect().await.unwrap().to_bytes();
                assert_eq!(&asked[..], b"\0\0\0\0\x08\x0a\x06orders");
                let mut trailers = http::HeaderMap::new();
                trailers.insert("grpc-status", "0".parse().unwrap());
                let message = Bytes::from(vec![0, 0, 0, 0, 2, 8, status]);
                let frames =
                    [Ok::<_, axum::Error>(http_body::Frame::data(message)), Ok(http_body::Frame::trailers(trailers))];
                let body = StreamBody::new(futures_util::stream::iter(frames));
                http::Response::builder().header("content-type", "application/grpc").body(body)
            });
            let io = hyper_util::rt::TokioIo::new(stream);
            let executor = hyper_util::rt::TokioExecutor::new();
            tokio::spawn(hyper::server::conn::http2::Builder::new(executor).serve_connection(io, respond));
        }
    });
    url
}

/// The health of each target, once a check has failed.
async fn found(urls: &[&str], active: serde_json::Value) -> Vec<(&'static str, String)> {
    let targets: Vec<_> = urls.iter().map(|url| json!({ "url": url })).collect();
    let spec = json!({ "targets": targets, "health_checks": { "active": active } });
    let keep = Keep::default();
    let upstream = built(&serde_json::from_value(spec).unwrap(), &keep).unwrap();
    let services: Arc<dyn Services> = Arc::new(NoServices);
    keep.begin(&services);
    loop {
        let state = serde_json::to_value(upstream.state()).unwrap();
        let targets = state["targets"].as_array().unwrap();
        if targets.iter().any(|target| target["health"] == "unhealthy") {
            let healthy =
                |target: &serde_json::Value| if target["health"] == "healthy" { "healthy" } else { "unhealthy" };
            let error = |target: &serde_json::Value| target["last_error"].as_str().unwrap_or_default().to_owned();
            return targets.iter().map(|target| (healthy(target), error(target))).collect();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_check_may_be_a_connection_or_a_grpc_call() {
    let good = Server::start(vec![Act::Hang]).await;
    let check = json!({ "tcp": true, "interval": "20ms", "unhealthy_after": 2 });
    let found_by_tcp = found(&[&good.url, &refusing().await], check).await;
    assert_eq!(found_by_tcp[0], ("healthy", String::new()));
    assert!(found_by_tcp[1].1.contains("connection refused"), "{found_by_tcp:?}");

    let check = json!({ "grpc": { "service": "orders" }, "interval": "20ms", "unhealthy_after": 2 });
    let found_by_call = found(&[&grpc_health(1).await, &grpc_health(2).await], check).await;
    assert_eq!(found_by_call, [("healthy", String::new()), ("unhealthy", "not serving".to_owned())]);
}

#[tokio::test]
async fn a_target_that_the_chain_does_not_wait_for_any_longer_has_failed() {
    let (hanging, good) = (Server::start(vec![Act::Hang]).await, Server::start(vec![Act::Say(OK.into())]).await);
    let settings = json!({
        "health_checks": { "passive": { "consecutive_failures": 2, "ejection_time": "1h" } },
        "circuit_breaker": { "failure_ratio": { "over": "10%", "min_requests": 1000 } },
    });
    let (service, _keep) = proxy_with(&[&hanging.url, &good.url], settings, None);
    let limit = Duration::from_millis(200);
    let ask = |mut request: Request, waits: Duration| {
        Facts::of_mut(&mut request).request_timeout = Some(limit);
        let service = service.clone();
        async move { tokio::time::timeout(waits, service.call(request)).await.is_ok() }
    };
    // Clients that leave earlier say nothing about the target.
    for _ in 0..10 {
        ask(get("/0"), limit / 10).await;
    }
    let mut served = Vec::new();
    for number in 0..12 {
        let request = if number % 4 < 2 { get("/0") } else { post("/0", "body") };
        served.push(ask(request, limit + Duration::from_millis(5)).await);
    }
    assert_eq!(served.iter().filter(|served| !**served).count(), 2, "it is ejected after two: {served:?}");
}
