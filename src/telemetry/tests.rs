//! Telemetry with real OTLP receivers: trees, names, parents, and collectors that fail.

#[expect(dead_code, reason = "shared with the black-box tests, which look at more")]
pub(super) mod collector;
mod export;
mod tls;

use super::*;
use crate::telemetry::export_stats::Export;
use collector::{Collector, Received};
use gatewright_sdk::{Body, Facts, Problem, Reply, Request, Response, Secret};
use parking_lot::Mutex;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use tracing::dispatcher::DefaultGuard;

/// Captured log lines.
#[derive(Clone, Default)]
pub(super) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).unwrap()
    }

    pub(super) fn json(&self) -> Vec<serde_json::Value> {
        self.text().lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) fn spec(json: serde_json::Value) -> Spec {
    serde_json::from_value(json).unwrap()
}

/// While there is only one subscriber, tracing asks the thread that first reaches a callsite, which in a test may have
/// none, and caches the result for all others. This adds a second one.
static ANOTHER: std::sync::LazyLock<Dispatch> =
    std::sync::LazyLock::new(|| Dispatch::new(tracing_subscriber::registry()));

/// Telemetry that receives what happens on this thread.
pub(super) fn telemetry(spec: &Spec) -> (Telemetry, Lines, DefaultGuard) {
    telemetry_on(Console::default(), spec)
}

/// The same, for a terminal or a pipe.
pub(super) fn telemetry_on(console: Console, spec: &Spec) -> (Telemetry, Lines, DefaultGuard) {
    std::sync::LazyLock::force(&ANOTHER);
    let lines = Lines::default();
    let (telemetry, dispatch) = Telemetry::build(spec, Path::new(""), &|_| None, console, lines.clone()).unwrap();
    (telemetry, lines, tracing::dispatcher::set_default(&dispatch))
}

fn exporting(endpoint: &str, protocol: &str) -> Spec {
    spec(serde_json::json!({
        "service_name": "users-gateway",
        "resource": { "deployment.environment.name": "test" },
        "traces": { "otlp": { "endpoint": endpoint, "protocol": protocol, "headers": { "X-Tenant": "blue" } } },
    }))
}

pub(super) fn observer(spec: &Spec) -> Observer {
    Observer::with(spec, &|_| None, Console::default())
}

pub(super) fn request(target: &str, headers: &[(&str, &str)]) -> Request {
    let mut builder = http::Request::builder().uri(target);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(Body::empty()).unwrap()
}

pub(super) fn facts(trusted: bool) -> Facts {
    let mut facts = Facts { listener: "web".into(), route: Some("users".into()), generation: 7, ..Facts::default() };
    facts.client.ip = "192.0.2.7".parse().unwrap();
    facts.client.trusted = trusted;
    facts
}

fn label() -> RouteLabel {
    RouteLabel::new("users".into(), "/api/users/{id}", "resource users".into(), Arc::new(metrics::Requests::new(None)))
}

/// Responds to a request under observation, as the engine does.
pub(super) async fn answered(observation: &mut Observation, answer: impl FnOnce() -> Reply) -> Response {
    let mut reply = {
        let _observed = observation.enter();
        answer()
    };
    std::future::poll_fn(|cx| {
        let _observed = observation.enter();
        Pin::new(&mut reply).poll(cx)
    })
    .await
}

/// One request, from its start to the end of its response body.
pub(super) async fn exchange(observer: &Observer, mut request: Request, facts: &Facts, answer: impl FnOnce() -> Reply) {
    let mut observation = observer.begin(&mut request, facts, Some(&label())).unwrap();
    observation.finds_id_in(&[http::HeaderName::from_static("x-request-id")].into());
    let mut response = answered(&mut observation, answer).await;
    observation.finish(&mut response);
    let _ = http_body_util::BodyExt::collect(response.into_body()).await;
}

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";

async fn one_of_everything(observer: &Observer) {
    let headers = [("traceparent", &*format!("{PARENT}-01")), ("host", "api.example.com:80"), ("user-agent", "curl/8")];
    let request = request("/api/users/5?token=secret", &headers);
    exchange(observer, request, &facts(true), || {
        Reply::pending(async {
            let span = tracing::info_span!(target: "gatewright::sql", "SELECT users", "otel.kind" = "client");
            span.in_scope(|| tracing::info!(target: "gatewright::resource", rows = 1, "read"));
            let mut headers = http::HeaderMap::new();
            propagation::inject(&span, &mut headers);
            let parent = headers["traceparent"].to_str().unwrap().to_owned();
            assert!(parent.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && parent.ends_with("-01"), "{parent}");
            let refusal = Problem::forbidden().log_reason("role_missing").into();
            tracing::info_span!(target: "somebody::elses", "not ours");
            refusal
        })
    })
    .await;
}

fn check_everything(received: &[Received]) {
    assert_eq!(received.len(), 2, "{received:?}");
    let server = received.iter().find(|span| span.name == "GET /api/users/{id}").unwrap();
    let sql = received.iter().find(|span| span.name == "SELECT users").unwrap();
    assert_eq!(server.trace, "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(server.parent, "b7ad6b7169203331");
    assert_eq!((&sql.trace, &sql.parent), (&server.trace, &server.id));
    assert_eq!((server.kind, sql.kind), (2, 3));
    for (name, value) in [
        ("http.request.method", "GET"),
        ("http.route", "/api/users/{id}"),
        ("http.response.status_code", "403"),
        ("url.path", "/api/users/5"),
        ("url.scheme", "http"),
        ("server.address", "api.example.com"),
        ("network.protocol.version", "1.1"),
        ("client.address", "192.0.2.7"),
        ("user_agent.original", "curl/8"),
        ("gateway.listener", "web"),
        ("gateway.route", "users"),
        ("gateway.target", "resource users"),
        ("gateway.generation", "7"),
        ("gateway.reason", "role_missing"),
    ] {
        assert_eq!(server.attributes.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(!format!("{server:?}").contains("secret"));
    assert!(!server.attributes.contains_key("error.type"));
    assert_eq!(sql.events, ["read"]);
    for (name, value) in [("service.name", "users-gateway"), ("deployment.environment.name", "test")] {
        assert_eq!(server.resource.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert_eq!(server.tenant.as_deref(), Some("blue"));
}

#[tokio::test]
async fn spans_arrive_over_grpc_as_a_tree_below_the_caller() {
    let collector = Collector::grpc().await;
    let spec = exporting(&collector.endpoint, "grpc");
    let (telemetry, lines, _guard) = telemetry(&spec);
    one_of_everything(&observer(&spec)).await;
    telemetry.flush_and_stop(Duration::from_secs(60)).await;
    check_everything(&collector.received());
    assert_eq!(telemetry.counters().traces.exported, 2);
    drop(telemetry);
    let read = lines.json().into_iter().find(|line| line["message"] == "read").unwrap();
    assert_eq!(read["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(read["span_id"].as_str().unwrap().len(), 16);
}

#[tokio::test]
async fn spans_arrive_the_same_over_http() {
    let collector = Collector::http().await;
    let spec = exporting(&collector.endpoint, "http/protobuf");
    let (telemetry, _, _guard) = telemetry(&spec);
    one_of_everything(&observer(&spec)).await;
    telemetry.flush_and_stop(Duration::from_secs(60)).await;
    check_everything(&collector.received());
}

#[tokio::test]
async fn a_server_error_is_the_spans_error_and_an_unknown_method_is_other() {
    let collector = Collector::grpc().await;
    let spec = exporting(&collector.endpoint, "grpc");
    let (telemetry, _, _guard) = telemetry(&spec);
    let observer = observer(&spec);
    exchange(&observer, request("/x", &[]), &facts(false), || Reply::ready(Problem::bad_gateway())).await;
    let mut odd = request("/x", &[]);
    *odd.method_mut() = "BREW".parse().unwrap();
    drop(observer.begin(&mut odd, &facts(false), None));
    telemetry.flush_and_stop(Duration::from_secs(60)).await;
    let received = collector.received();
    let failed = received.iter().find(|span| span.name == "GET /api/users/{id}").unwrap();
    assert_eq!(failed.status, 2);
    assert_eq!(failed.attributes["error.type"], "502");
    let odd = received.iter().find(|span| span.name == "HTTP").unwrap();
    assert_eq!(odd.attributes["http.request.method"], "_OTHER");
    assert_eq!(odd.attributes["http.request.method_original"], "BREW");
    assert_eq!(odd.attributes["error.type"], "client_left");
    assert!(!odd.attributes.contains_key("http.route"));
}

#[tokio::test]
async fn untrusted_traces_are_joined_but_do_not_decide_what_is_traced() {
    let never = serde_json::json!({ "traces": { "otlp": { "endpoint": "http://127.0.0.1:1" },
        "sampler": { "parentbased_traceidratio": 0.0 } } });
    let spec = spec(never);
    let (_telemetry, _, _guard) = telemetry(&spec);
    let observer = observer(&spec);
    let sampled = format!("{PARENT}-01");
    let mut request = request("/x", &[("traceparent", &sampled)]);
    assert!(observer.begin(&mut request, &facts(true), None).is_some());
    assert_eq!(request.headers()["traceparent"], sampled);
    request.headers_mut().insert("tracestate", "a=b".parse().unwrap());
    assert!(observer.begin(&mut request, &facts(false), None).is_none());
    let told: Vec<_> = request.headers()["traceparent"].to_str().unwrap().split('-').collect();
    assert_eq!((told[1], told[3]), ("0af7651916cd43dd8448eb211c80319c", "00"), "what a stranger wants upstream");
    assert_ne!(told[2], "b7ad6b7169203331", "who changes the flag is the parent");
    assert_eq!(request.headers()["tracestate"], "a=b");
    request.headers_mut().insert("traceparent", "00-nonsense-01".parse().unwrap());
    assert!(observer.begin(&mut request, &facts(false), None).is_none());
    assert!(request.headers().is_empty(), "{:?}", request.headers());

    let collector = Collector::grpc().await;
    let spec = exporting(&collector.endpoint, "grpc");
    let (telemetry, _, _guard) = tests::telemetry(&spec);
    let observer = tests::observer(&spec);
    for header in [&*format!("{PARENT}-00"), "x", "00-00000000000000000000000000000000-0000000000000001-01"] {
        exchange(&observer, tests::request("/x", &[("traceparent", header)]), &facts(false), || {
            Reply::ready(Response::new(Body::empty()))
        })
        .await;
    }
    telemetry.flush_and_stop(Duration::from_secs(60)).await;
    let received = collector.received();
    assert_eq!(received.len(), 3);
    let joined = received.iter().filter(|span| span.trace == "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(joined.map(|span| span.parent.as_str()).collect::<Vec<_>>(), ["b7ad6b7169203331"]);
    assert_eq!(received.iter().filter(|span| span.parent.is_empty()).count(), 2);
}

#[tokio::test]
async fn nothing_is_allocated_if_nothing_is_observed() {
    for json in [
        serde_json::json!({}),
        serde_json::json!({ "traces": { "otlp": { "endpoint": "http://127.0.0.1:1" }, "sampler": "always_off" } }),
    ] {
        let spec = spec(json);
        let (telemetry, _, _guard) = telemetry(&spec);
        let sampled = format!("{PARENT}-01");
        let mut request = request("/x", &[("traceparent", &sampled)]);
        assert!(observer(&spec).begin(&mut request, &facts(true), None).is_none());
        assert!(tracing::info_span!(target: "gatewright::sql", "alone").is_disabled());
        assert_eq!(telemetry.counters().traces.dropped, 0);
    }
}

#[tokio::test]
async fn a_reload_that_moves_the_collector_loses_no_span() {
    let (first, second) = (Collector::grpc().await, Collector::http().await);
    let before = exporting(&first.endpoint, "grpc");
    let (telemetry, _, _guard) = telemetry(&before);
    let observer = observer(&before);
    let answer = || Reply::ready(Response::new(Body::from("ok")));
    let running = observer.begin(&mut request("/x", &[]), &facts(false), None);
    exchange(&observer, request("/x", &[]), &facts(false), answer).await;
    let after = exporting(&second.endpoint, "http/protobuf");
    telemetry.apply_with(&after, Path::new(""), &|_| None).unwrap();
    exchange(&tests::observer(&after), request("/x", &[]), &facts(false), answer).await;
    drop(running);
    telemetry.flush_and_stop(Duration::from_secs(60)).await;
    assert_eq!(first.received().len() + second.received().len(), 3);
    assert!(second.received().len() >= 2);
}

#[tokio::test]
async fn switching_traces_off_still_exports_requests_in_progress() {
    let collector = Collector::grpc().await;
    let on = exporting(&collector.endpoint, "grpc");
    let (telemetry, _, _guard) = telemetry(&on);
    let running = observer(&on).begin(&mut request("/x", &[]), &facts(false), None);
    telemetry.apply_with(&spec(serde_json::json!({})), Path::new(""), &|_| None).unwrap();
    assert_eq!(telemetry.counters().traces.state, Export::Off);
    drop(running);
    telemetry.flush_and_stop(Duration::from_secs(60)).await;
    assert_eq!(collector.received().len(), 1);
}

#[tokio::test]
async fn an_unavailable_collector_costs_spans_which_are_counted_and_reported_once() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let spec = spec(
        serde_json::json!({ "traces": { "otlp": { "endpoint": format!("http://{closed}"), "timeout": "50ms" } } }),
    );
    let (telemetry, lines, _guard) = telemetry(&spec);
    let observer = observer(&spec);
    for _ in 0..3_000 {
        drop(observer.begin(&mut request("/x", &[]), &facts(false), None));
    }
    telemetry.flush_and_stop(Duration::from_secs(60)).await;
    let counters = telemetry.counters().traces;
    assert_eq!((counters.state, counters.exported), (Export::Failing, 0));
    assert_eq!((counters.failed, counters.dropped), (2_048, 952));
    drop(observer.begin(&mut request("/x", &[]), &facts(false), None));
    assert_eq!(telemetry.counters().traces.dropped, 953);
    drop(telemetry);
    assert_eq!(lines.text().matches("cannot export telemetry").count(), 1);
}

#[tokio::test]
async fn a_collector_that_never_responds_does_not_delay_shutdown() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let spec = spec(serde_json::json!({ "traces": { "otlp": { "endpoint": endpoint, "timeout": "1h" } } }));
    let (telemetry, _, _guard) = telemetry(&spec);
    drop(observer(&spec).begin(&mut request("/x", &[]), &facts(false), None));
    telemetry.flush_and_stop(Duration::from_millis(50)).await;
    let counters = telemetry.counters().traces;
    assert_eq!((counters.exported, counters.failed, counters.dropped), (0, 1, 0));
}

#[tokio::test]
async fn a_change_that_cannot_work_changes_nothing() {
    let collector = Collector::grpc().await;
    let good = exporting(&collector.endpoint, "grpc");
    let (telemetry, _, _guard) = telemetry(&good);
    let otlp = serde_json::json!({ "endpoint": "http://127.0.0.1:4317", "headers": { "te": "trailers" } });
    let refused = spec(serde_json::json!({ "traces": { "otlp": otlp } }));
    assert!(telemetry.apply_with(&refused, Path::new(""), &|_| None).is_err());
    drop(observer(&good).begin(&mut request("/x", &[]), &facts(false), None));
    telemetry.flush_and_stop(Duration::from_secs(60)).await;
    assert_eq!(collector.received().len(), 1);
}

#[test]
fn without_a_span_an_upstream_gets_the_headers_as_they_came() {
    let mut headers = http::HeaderMap::new();
    headers.insert("traceparent", PARENT.parse().unwrap());
    propagation::inject(&tracing::Span::none(), &mut headers);
    assert_eq!(headers["traceparent"], PARENT);
}

#[tokio::test]
async fn a_panic_is_reported_by_its_place_alone() {
    let (telemetry, lines, _guard) = telemetry(&spec(serde_json::json!({})));
    let former = std::panic::take_hook();
    panics::install();
    let secret = Secret::new("payload");
    let caught = std::panic::catch_unwind(|| std::panic::panic_any(secret.expose().to_owned()));
    std::panic::set_hook(former);
    assert!(caught.is_err());
    drop(telemetry);
    let line = lines.json().remove(0);
    assert!(line["file"].as_str().unwrap().ends_with("telemetry/tests.rs"));
    assert!(line["line"].is_u64());
    assert!(!lines.text().contains("payload"));
}
