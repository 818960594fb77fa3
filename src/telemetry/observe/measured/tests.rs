//! Which metrics requests are counted in.

use crate::telemetry::metrics::Requests;
use crate::telemetry::tests::{answered, facts, observer, request, spec, telemetry};
use crate::telemetry::{Observer, RouteLabel};
use gatewright_sdk::metrics::{Family, Point, Reading, Value, meters};
use gatewright_sdk::{Body, Problem, Refusal, Reply, Request, Response};
use http::Method;
use http_body_util::BodyExt;
use serde_json::json;
use std::sync::Arc;

/// Series are global to the process, so each test has its own routes.
struct Route {
    observer: Observer,
    label: RouteLabel,
}

impl Route {
    fn new(name: &'static str, telemetry: serde_json::Value) -> Self {
        let requests = || Arc::new(Requests::new(Some((name.into(), "/things/{id}"))));
        let observer = observer(&spec(telemetry)).measure(Arc::new(Requests::new(None)), Arc::new(()));
        Self { observer, label: RouteLabel::new(name.into(), "/things/{id}", "respond 200".into(), requests()) }
    }

    async fn call(&self, mut request: Request, answer: impl FnOnce() -> Reply) {
        let mut observation = self.observer.begin(&mut request, &facts(false), Some(&self.label)).unwrap();
        let mut response = answered(&mut observation, answer).await;
        observation.finish(&mut response);
        let _ = response.into_body().collect().await;
    }
}

fn points(name: &str, route: &str) -> Vec<Point> {
    let family = |family: &Family| family.instrument.name == name;
    let points = meters().collect().into_iter().find(family).map(|family| family.points).unwrap_or_default();
    points.into_iter().filter(|point| attribute(point, "gateway.route") == route).collect()
}

fn attribute(point: &Point, name: &str) -> String {
    let found = point.attributes.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| value.to_string()).unwrap_or_default()
}

fn counted(reading: &Reading) -> (u64, u64) {
    let Reading::Distribution(read) = reading else { panic!("{reading:?}") };
    (read.counts.iter().sum(), read.sum)
}

fn hello() -> Reply {
    Reply::ready(Response::new(Body::from("hello")))
}

#[tokio::test]
async fn requests_are_measured_by_method_status_and_size() {
    let route = Route::new("measured", json!({}));
    for _ in 0..3 {
        route.call(request("/things/7?secret", &[]), hello).await;
    }
    let mut post = request("/things/7", &[]);
    *post.method_mut() = Method::from_bytes(b"BREW").unwrap();
    *post.body_mut() = Body::from("four");
    route.call(post, || Reply::ready(Problem::internal())).await;

    let durations = points("http.server.request.duration", "measured");
    let told: Vec<_> = durations
        .iter()
        .map(|point| {
            let names = ["http.request.method", "http.response.status_code", "error.type", "url.scheme", "http.route"];
            (names.map(|name| attribute(point, name)), counted(&point.reading).0)
        })
        .collect();
    let text = |words: [&str; 5]| words.map(str::to_owned);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.contains(&(text(["GET", "200", "", "http", "/things/{id}"]), 3)), "{told:?}");
    assert!(told.contains(&(text(["_OTHER", "500", "500", "http", "/things/{id}"]), 1)), "{told:?}");
    let code = durations[0].attributes.iter().find(|(name, _)| *name == "http.response.status_code");
    assert!(matches!(code, Some((_, Value::Integer(_)))));

    let sizes = |name| points(name, "measured").iter().map(|point| counted(&point.reading)).collect::<Vec<_>>();
    assert!(sizes("http.server.response.body.size").contains(&(3, 15)));
    assert!(sizes("http.server.request.body.size").contains(&(1, 4)));
}

#[tokio::test]
async fn a_client_that_leaves_early_is_counted_and_no_longer_active() {
    let route = Route::new("left", json!({}));
    let active =
        || match &meters().collect().iter().find(|family| family.instrument.name == "http.server.active_requests") {
            Some(family) => family
                .points
                .iter()
                .map(|point| match point.reading {
                    Reading::Level(level) if attribute(point, "http.request.method") == "TRACE" => level,
                    _ => 0,
                })
                .sum::<i64>(),
            None => 0,
        };
    let mut trace = request("/things/7", &[]);
    *trace.method_mut() = Method::TRACE;
    let observation = route.observer.begin(&mut trace, &facts(false), Some(&route.label)).unwrap();
    assert_eq!(active(), 1);
    drop(observation);
    assert_eq!(active(), 0);
    let durations = points("http.server.request.duration", "left");
    assert_eq!(attribute(&durations[0], "error.type"), "client_left");
    assert_eq!(attribute(&durations[0], "http.response.status_code"), "");
}

#[tokio::test]
async fn what_the_gateway_does_not_support_is_no_error_of_the_server() {
    let route = Route::new("unsupported", json!({}));
    let unsupported = || Problem::new(http::StatusCode::NOT_IMPLEMENTED, "upgrade_not_supported", "not here");
    route.call(request("/things/7", &[]), || Reply::ready(unsupported())).await;
    route.call(request("/things/7", &[]), || Reply::ready(Problem::bad_gateway())).await;
    let durations = points("http.server.request.duration", "unsupported");
    let mut seen: Vec<_> = (durations.iter())
        .map(|point| (attribute(point, "http.response.status_code"), attribute(point, "error.type")))
        .collect();
    seen.sort();
    assert_eq!(seen, [("501".to_owned(), String::new()), ("502".to_owned(), "502".to_owned())]);
}

#[tokio::test]
async fn a_refusal_is_counted_by_plugin_and_reason() {
    let route = Route::new("refusing", json!({}));
    for _ in 0..2 {
        route
            .call(request("/things/7", &[]), || {
                let mut response: Response = Problem::forbidden().log_reason("role_missing").into();
                Refusal::sign(&mut response, &"refusing/only-admin".into());
                Reply::ready(response)
            })
            .await;
    }
    let families = meters().collect();
    let decisions = families.iter().find(|family| family.instrument.name == "gateway.plugin.decisions").unwrap();
    let ours = |point: &&Point| attribute(point, "gateway.plugin") == "refusing/only-admin";
    let point = decisions.points.iter().find(ours).unwrap();
    assert_eq!(point.reading, Reading::Count(2));
    assert_eq!(
        (attribute(point, "gateway.outcome"), attribute(point, "gateway.reason")),
        ("refused".into(), "role_missing".into())
    );
}

#[tokio::test]
async fn series_for_invalid_upstream_statuses_are_bounded() {
    let route = Route::new("mad", json!({}));
    for (round, status) in (0..2).flat_map(|round| (200..600_u16).map(move |status| (round, status))) {
        let mut request = request("/things/7", &[]);
        let mut observation = route.observer.begin(&mut request, &facts(false), Some(&route.label)).unwrap();
        let answer = || {
            let mut response = Response::new(Body::from("hello"));
            *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
            Reply::ready(response)
        };
        let mut response = answered(&mut observation, answer).await;
        observation.finish(&mut response);
        // The second time, the client does not wait for the body.
        if round == 0 {
            let _ = response.into_body().collect().await;
        }
    }
    let durations = points("http.server.request.duration", "mad");
    assert_eq!(durations.len(), 65);
    assert_eq!(durations.iter().map(|point| counted(&point.reading).0).sum::<u64>(), 800);
    let of = |name: &str, value: &str| {
        let matching = durations.iter().filter(|point| attribute(point, name) == value);
        matching.map(|point| counted(&point.reading).0).sum::<u64>()
    };
    assert_eq!((of("http.response.status_code", "599"), of("http.response.status_code", "299")), (0, 0));
    assert!(of("error.type", "500") > 80, "a code without a meaning is the first of its class");
    let beyond = durations.iter().find(|point| attribute(point, "otel.metric.overflow") == "true").unwrap();
    assert_eq!(
        (attribute(beyond, "http.request.method"), attribute(beyond, "error.type")),
        ("GET".into(), String::new())
    );
}

#[tokio::test]
async fn a_traced_request_is_the_exemplar_of_its_bucket() {
    let spec = json!({ "traces": { "otlp": { "endpoint": "http://127.0.0.1:1" } } });
    let (_telemetry, _, _guard) = telemetry(&crate::telemetry::tests::spec(spec.clone()));
    let route = Route::new("traced", spec);
    route.call(request("/things/7", &[]), hello).await;
    let Reading::Distribution(read) = &points("http.server.request.duration", "traced")[0].reading else { panic!() };
    let exemplar = read.exemplars.iter().flatten().next().unwrap();
    assert_ne!((exemplar.trace, exemplar.span), ([0; 16], [0; 8]));
}
