//! The admin API: who is admitted, and what it returns.

use super::*;
use crate::config::diagnostic::{Diagnostic, Diagnostics, Location, Severity};
use crate::engine::explain::Question;
use crate::path::OwnPath;
use crate::telemetry::{Counters, Exports};
use futures_util::future::BoxFuture;
use gatewright_sdk::{ClientAddress, Code, Facts, Peer};
use http_body_util::BodyExt;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

const TOKEN: &str = "k7Qm2vXr9TfB4nLs8WdZ1pYc6HgJ3eRu";

struct Running {
    faulty: bool,
}

impl AdminState for Running {
    fn status(&self) -> Status {
        let traces = Exports { dropped: 3, ..Exports::default() };
        let telemetry = Counters { traces, ..Counters::default() };
        Status {
            version: "0.1.0",
            started: "2026-01-02T03:04:00Z".into(),
            generation: 7,
            since: "2026-01-02T03:04:05Z".into(),
            hash: "abc".into(),
            files: BTreeMap::from([("page.html".to_owned(), "def".to_owned())]),
            counters: BTreeMap::new(),
            upstreams: BTreeMap::new(),
            stores: BTreeMap::from([("main".to_owned(), Some("/var/lib/gatewright/main.db".into()))]),
            warnings: Diagnostics(vec![
                Diagnostic::warning(Code::ADMIN_EXPOSED, "admin", "is reachable").help("bind it"),
            ]),
            last_refused: Some(LastRefused { at: "2026-01-02T03:04:06Z".into(), refused: refused() }),
            listeners: vec![ListeningOn { name: "web".into(), address: "127.0.0.1:3000".into() }],
            connections: 2,
            draining: false,
            maintenance: false,
            telemetry,
        }
    }

    fn explain(&self, question: &Question<'_>) -> Result<Value, String> {
        Ok(json!({ "method": question.method.as_str(), "path": question.uri.path(), "listener": question.listener }))
    }

    fn config(&self) -> Value {
        json!({ "version": 1, "plugins": { "login": { "jwt": { "secret": "***" } } } })
    }

    fn limits(&self) -> BTreeMap<String, Value> {
        BTreeMap::from([("web/per-ip".to_owned(), json!({ "type": "rate_limit" }))])
    }

    fn metrics(&self, format: TextFormat) -> String {
        format!("{format:?}")
    }

    fn reload(&self, _client: ClientAddress) -> BoxFuture<'_, Option<Result<AppliedReload, RefusedReload>>> {
        let applied = || AppliedReload {
            generation: 8,
            changed: true,
            warnings: self.status().warnings,
            report: "1 warning".into(),
        };
        let outcome = if self.faulty { Err(refused()) } else { Ok(applied()) };
        Box::pin(async { Some(outcome) })
    }
}

fn refused() -> RefusedReload {
    let diagnostic = Diagnostic {
        severity: Severity::Error,
        code: Code::INVALID_PATH,
        path: "routes.users.path".into(),
        message: "not a path".into(),
        help: Some("begin with a slash".into()),
        at: Some(Location { file: Path::new("gateway.yaml").into(), line: 3, column: 9, end_line: 3, end_column: 12 }),
        related: Vec::new(),
    };
    let warning = Diagnostic::warning(Code::ADMIN_EXPOSED, "admin", "found first, and not why it is refused");
    RefusedReload { diagnostics: Diagnostics(vec![warning, diagnostic]), report: "gateway.yaml:3:9: not a path".into() }
}

fn settings() -> Admin {
    let hosts = ["Admin.internal", "Gateway"].map(|host| host.parse().unwrap()).to_vec();
    Admin { hosts, ..Admin::default() }
}

fn admin(faulty: bool) -> HttpService {
    service(Arc::new(Running { faulty }), &Secret::new(TOKEN), &settings(), None)
}

fn request(method: &str, target: &str, headers: &[(&str, &str)]) -> Request {
    let mut builder = http::Request::builder().method(method).uri(target);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(Body::empty()).unwrap()
}

fn with_token(method: &str, target: &str) -> Request {
    request(method, target, &[("host", "127.0.0.1:9901"), ("authorization", &format!("Bearer {TOKEN}"))])
}

async fn told(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn only_the_token_grants_access() {
    let right = format!("Bearer {TOKEN}");
    let longer = format!("Bearer {TOKEN}x");
    for (authorization, status) in [
        (Some(right.as_str()), 200),
        (Some(&right.replace("Bearer", "bEARER")), 200),
        (None, 401),
        (Some("Bearer "), 401),
        (Some("Bearer"), 401),
        (Some(TOKEN), 401),
        (Some(&right[..right.len() - 1]), 401),
        (Some(&longer), 401),
        (Some(&right.replace("Bearer", "Basic")), 401),
    ] {
        let mut headers = vec![("host", "localhost")];
        headers.extend(authorization.map(|value| ("authorization", value)));
        let response = admin(false).call(request("GET", "/config", &headers)).await;
        assert_eq!(response.status().as_u16(), status, "{authorization:?}");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        assert_eq!(response.headers().contains_key("www-authenticate"), status == 401);
    }
}

#[tokio::test]
async fn a_foreign_host_or_origin_is_rejected_even_with_the_token() {
    let right = format!("Bearer {TOKEN}");
    for (host, origin, status) in [
        (Some("127.0.0.1:9901"), None, 200),
        (Some("10.1.2.3"), None, 200),
        (Some("[::1]:9901"), None, 200),
        (Some("LOCALHOST:9901"), None, 200),
        (Some("Admin.Internal:9901"), None, 200),
        (Some("gateway:9901"), None, 200),
        (Some("gateway.evil.example"), None, 403),
        (Some("evil.example"), None, 403),
        (Some("127.0.0.1.evil.example"), None, 403),
        (Some("localhost.evil.example:9901"), None, 403),
        (Some("x@localhost"), None, 403),
        (Some("a b"), None, 403),
        (None, None, 403),
        (Some("localhost:9901"), Some("http://localhost:9901"), 200),
        (Some("localhost:9901"), Some("https://localhost:9901"), 200),
        (Some("localhost:9901"), Some("http://localhost:3000"), 403),
        (Some("localhost:9901"), Some("http://evil.example"), 403),
        (Some("localhost:9901"), Some("null"), 403),
    ] {
        let mut headers = vec![("authorization", right.as_str())];
        headers.extend(host.map(|host| ("host", host)));
        headers.extend(origin.map(|origin| ("origin", origin)));
        let response = admin(false).call(request("GET", "/status", &headers)).await;
        assert_eq!(response.status().as_u16(), status, "{host:?} {origin:?}");
    }
}

#[test]
fn ten_wrong_tokens_a_minute_then_429_and_the_right_one_still_passes() {
    let guard = Guard::new(&Secret::new(TOKEN), &settings());
    let start = Instant::now();
    let from = |peer: &str, token: &str| {
        let authorization = format!("Bearer {token}");
        let headers = [("host", "localhost"), ("authorization", &*authorization)];
        let mut request = request("GET", "/status", &headers).map(drop);
        Facts::of_mut(&mut request).client.peer = Peer::Tcp(peer.parse().unwrap());
        request
    };
    let status = |outcome: Result<(), Problem>| outcome.map_or_else(|problem| problem.status().as_u16(), |()| 200);
    for _ in 0..10 {
        assert_eq!(status(guard.admit(&from("10.0.0.1:1", "wrong"), start)), 401);
    }
    assert_eq!(status(guard.admit(&from("10.0.0.1:2", "wrong"), start)), 429);
    assert_eq!(status(guard.admit(&from("10.0.0.1:2", TOKEN), start)), 200);
    assert_eq!(status(guard.admit(&from("10.0.0.1:2", "wrong"), start)), 429, "the right one forgives nothing");
    assert_eq!(status(guard.admit(&from("10.0.0.2:1", "wrong"), start)), 401);
    assert_eq!(status(guard.admit(&from("10.0.0.1:2", "wrong"), start + Duration::from_secs(60))), 401);
    let twice = [("host", "localhost"), ("authorization", "Bearer wrong"), ("authorization", "Bearer wrong")];
    let mut twice = request("GET", "/status", &twice).map(drop);
    assert_eq!(status(guard.admit(&twice, start)), 400);
    let right = HeaderValue::try_from(format!("Bearer {TOKEN}")).unwrap();
    twice.headers_mut().append("authorization", right);
    assert_eq!(status(guard.admit(&twice, start)), 400);
}

#[test]
fn many_addresses_neither_exhaust_memory_nor_gain_access() {
    let guard = Guard::new(&Secret::new(TOKEN), &settings());
    let start = Instant::now();
    let mut last = 0;
    for peer in 0..1100_u32 {
        let headers = [("host", "localhost"), ("authorization", "Bearer wrong")];
        let mut request = request("GET", "/status", &headers).map(drop);
        Facts::of_mut(&mut request).client.peer = Peer::Tcp(SocketAddr::new(std::net::Ipv4Addr::from(peer).into(), 1));
        last = guard.admit(&request, start).map_or_else(|problem| problem.status().as_u16(), |()| 200);
    }
    assert_eq!(last, 429);
}

#[tokio::test]
async fn the_status_reports_the_current_and_the_rejected_configuration() {
    let (status, body) = told(admin(false).call(with_token("GET", "/status")).await).await;
    assert_eq!(status, 200);
    assert_eq!(body["generation"], 7);
    assert_eq!(body["telemetry"]["traces"]["dropped"], 3);
    assert_eq!(body["last_refused"]["at"], "2026-01-02T03:04:06Z");
    assert_eq!((&body["warnings"][0]["code"], &body["warnings"][0]["help"]), (&json!("GW0703"), &json!("bind it")));
    let fault = &body["last_refused"]["diagnostics"][0];
    assert_eq!(
        *fault,
        json!({ "severity": "error", "code": "GW0226", "path": "routes.users.path", "message": "not a path",
        "help": "begin with a slash", "file": "gateway.yaml", "line": 3, "column": 9 })
    );
    assert_eq!(body["last_refused"]["report"], "gateway.yaml:3:9: not a path");
}

#[tokio::test]
async fn the_configuration_comes_as_json_or_as_yaml() {
    let (_, body) = told(admin(false).call(with_token("GET", "/config")).await).await;
    assert_eq!(body["plugins"]["login"]["jwt"]["secret"], "***");
    let mut accepting = with_token("GET", "/config");
    accepting.headers_mut().insert("accept", HeaderValue::from_static("application/yaml"));
    for request in [with_token("GET", "/config?format=yaml"), accepting] {
        let response = admin(false).call(request).await;
        assert_eq!(response.headers()["content-type"], "application/yaml");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let read: Value = serde_yaml::from_slice(&body).unwrap();
        assert_eq!(read["plugins"]["login"]["jwt"]["secret"], "***");
    }
}

#[tokio::test]
async fn a_reload_gives_the_generation_or_the_faults() {
    let (status, body) = told(admin(false).call(with_token("POST", "/reload")).await).await;
    assert_eq!((status, &body["generation"], &body["report"]), (200, &json!(8), &json!("1 warning")));
    assert_eq!(body["warnings"][0]["code"], "GW0703");
    let (status, body) = told(admin(true).call(with_token("POST", "/reload")).await).await;
    assert_eq!((status, &body["error"]), (422, &json!("reload_refused")));
    assert_eq!(body["diagnostics"][0]["line"], 3);
}

#[tokio::test]
async fn the_root_lists_the_endpoints_for_anyone() {
    let (status, index) = told(admin(false).call(request("GET", "/", &[("host", "127.0.0.1:9901")])).await).await;
    assert_eq!((status, index["endpoints"][0]["path"].as_str()), (200, Some("/status")));
    let foreign = admin(false).call(request("GET", "/", &[("host", "evil.example")])).await;
    assert_eq!(foreign.status(), 403);
}

#[tokio::test]
async fn wrong_paths_and_methods_are_problems() {
    for (method, target, status, allow) in [
        ("POST", "/", 405, Some("GET, HEAD")),
        ("GET", "/nothing", 404, None),
        ("GET", "/status/", 404, None),
        ("POST", "/status", 405, Some("GET, HEAD")),
        ("DELETE", "/config", 405, Some("GET, HEAD")),
        ("GET", "/reload", 405, Some("POST")),
        ("HEAD", "/status", 200, None),
    ] {
        let response = admin(false).call(with_token(method, target)).await;
        assert_eq!(response.status().as_u16(), status, "{method} {target}");
        assert_eq!(response.headers().get("allow").map(|value| value.to_str().unwrap()), allow);
    }
}

#[tokio::test]
async fn metrics_are_served_only_at_their_configured_path() {
    let metrics = |open| Some(Prometheus { path: OwnPath::of("/measured"), open });
    let bearer = format!("Bearer {TOKEN}");
    let (ours, theirs, token) = (("host", "gateway"), ("host", "evil.example"), ("authorization", &*bearer));
    for (metrics, method, path, headers, status) in [
        (None, "GET", "/measured", vec![ours, token], 404),
        (None, "GET", "/measured", vec![ours], 401),
        (metrics(false), "GET", "/measured", vec![ours, token], 200),
        (metrics(false), "HEAD", "/measured", vec![ours, token], 200),
        (metrics(false), "POST", "/measured", vec![ours, token], 405),
        (metrics(false), "GET", "/measured", vec![ours], 401),
        (metrics(false), "GET", "/metrics", vec![ours, token], 404),
        (metrics(true), "GET", "/measured", vec![ours], 200),
        (metrics(true), "POST", "/measured", vec![ours], 405),
        (metrics(true), "GET", "/measured", vec![theirs], 403),
        (metrics(true), "GET", "/measured", vec![ours, ("origin", "http://evil.example")], 403),
        (metrics(true), "GET", "/status", vec![ours], 401),
    ] {
        let asked = format!("{metrics:?} {method} {path} {headers:?}");
        let running = Arc::new(Running { faulty: false });
        let admin = service(running, &Secret::new(TOKEN), &settings(), metrics.as_ref());
        let response = admin.call(request(method, path, &headers)).await;
        assert_eq!(response.status().as_u16(), status, "{asked}");
        assert_eq!(response.headers()["cache-control"], "no-store");
    }
}

#[tokio::test]
async fn metrics_come_in_the_requested_format() {
    let prometheus = Prometheus { open: true, ..Prometheus::default() };
    let admin = service(Arc::new(Running { faulty: false }), &Secret::new(TOKEN), &settings(), Some(&prometheus));
    for (accept, kind, body) in [
        ("*/*", "text/plain; version=0.0.4; charset=utf-8", "Prometheus"),
        (
            "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            "OpenMetrics",
        ),
    ] {
        let response = admin.call(request("GET", "/metrics", &[("host", "localhost"), ("accept", accept)])).await;
        assert_eq!(response.headers()["content-type"], kind);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), body);
    }
}

#[test]
fn random_tokens_are_long_and_differ() {
    let (one, other) = (random_token(), random_token());
    assert_eq!(URL_SAFE_NO_PAD.decode(one.expose()).unwrap().len(), 32);
    assert_ne!(one.expose(), other.expose());
}
