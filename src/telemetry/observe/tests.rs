//! The access log: its fields, what is masked, what is sampled.

use crate::telemetry::tests::{exchange, facts, observer, request, spec, telemetry};
use bytes::Bytes;
use gatewright_sdk::{Body, Problem, Refusal, Reply, Response};
use http::HeaderName;
use http_body_util::BodyExt;
use serde_json::{Value, json};

/// The log lines of the requests that `act` makes.
async fn lines<F: AsyncFnOnce(&super::Observer)>(access: Value, act: F) -> Vec<Value> {
    let spec = spec(json!({ "logs": { "level": "warn", "access": access } }));
    let (telemetry, lines, _guard) = telemetry(&spec);
    act(&observer(&spec)).await;
    drop(telemetry);
    lines.json()
}

fn ok() -> Reply {
    Reply::ready(Response::new(Body::from("hello")))
}

#[tokio::test]
async fn a_line_describes_a_request_without_secrets() {
    let access = json!({ "headers": ["User-Agent", "Authorization", "x-none", "x-odd"] });
    let query = "a=1&Token=SECRET&filter[password]=SECRET&%74oken=SECRET&b&c=d;key=SECRET;SECRET&e=f;g\
        &password[0]=SECRET&u[password][]=SECRET&%20secret=SECRET&+key=SECRET&token.x=SECRET&x-amz-signature=SECRET";
    let lines = lines(access, async |observer| {
        let headers = [("user-agent", "curl\t8"), ("authorization", "Bearer SECRET"), ("x-odd", "\"quoted\\\"")];
        let request = request(&format!("/api/users/5?{query}"), &headers);
        exchange(observer, request, &facts(false), || {
            let mut response: Response = Problem::forbidden().log_reason("role_missing").into();
            response.extensions_mut().get_mut::<Refusal>().unwrap().plugin = Some("users/only-admin".into());
            response.headers_mut().insert("x-request-id", "r-1".parse().unwrap());
            Reply::ready(response)
        })
        .await;
    })
    .await;
    assert_eq!(lines.len(), 1);
    let line = &lines[0];
    assert!(!line.to_string().contains("SECRET"), "{line}");
    let size = Problem::forbidden().brief().len();
    for (key, value) in [
        ("level", json!("INFO")),
        ("target", json!("gatewright::access")),
        ("method", json!("GET")),
        ("path", json!("/api/users/5")),
        (
            "query",
            json!(
                "a=1&Token=***&filter[password]=***&%74oken=***&b&c=d;key=***&e=f;g&password[0]=***&u[password][]=***\
                 &%20secret=***&+key=***&token.x=***&x-amz-signature=***"
            ),
        ),
        ("status", json!(403)),
        ("bytes", json!(size)),
        ("client_ip", json!("192.0.2.7")),
        ("listener", json!("web")),
        ("route", json!("users")),
        ("generation", json!(7)),
        ("request_id", json!("r-1")),
        ("plugin", json!("users/only-admin")),
        ("reason", json!("role_missing")),
        ("headers", json!({ "user-agent": "curl\t8", "authorization": "***", "x-odd": "\"quoted\\\"" })),
        ("end", Value::Null),
        ("trace_id", Value::Null),
    ] {
        assert_eq!(line[key], value, "{key}");
    }
    assert!(line["duration_ms"].as_f64().is_some_and(|millis| millis >= 0.0));
}

#[tokio::test]
async fn the_line_is_written_when_the_body_ends_and_reports_an_early_end() {
    let lines = lines(json!({}), async |observer| {
        let begin = || observer.begin(&mut request("/x", &[]), &facts(false), None).unwrap();
        let chunks = [Ok::<_, std::io::Error>(Bytes::from("abc")), Ok(Bytes::from("de"))];
        let mut response = Response::new(Body::from_stream(futures_util::stream::iter(chunks)));
        begin().finish(&mut response);
        let mut body = response.into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "abc");
        drop(body);
        drop(begin());
        let mut head = request("/x", &[]);
        *head.method_mut() = http::Method::HEAD;
        let mut response = ok().await;
        observer.begin(&mut head, &facts(false), None).unwrap().finish(&mut response);
        drop(response);
        exchange(observer, request("/x", &[]), &facts(false), ok).await;
    })
    .await;
    let told: Vec<_> =
        lines.iter().map(|line| (line["status"].clone(), line["bytes"].clone(), line["end"].clone())).collect();
    assert_eq!(
        told,
        [
            (json!(200), json!(3), json!("client_left")),
            (Value::Null, json!(0), json!("client_left")),
            (json!(200), json!(0), Value::Null),
            (json!(200), json!(5), Value::Null),
        ]
    );
}

#[tokio::test]
async fn sampling_keeps_every_server_error() {
    let lines = lines(json!({ "sample": 0.0 }), async |observer| {
        for _ in 0..20 {
            exchange(observer, request("/x", &[]), &facts(false), ok).await;
            exchange(observer, request("/x", &[]), &facts(false), || Reply::ready(Problem::internal())).await;
        }
    })
    .await;
    assert_eq!(lines.len(), 20);
    assert!(lines.iter().all(|line| line["status"] == 500));
}

#[tokio::test]
async fn sampling_keeps_every_request_that_ended_badly() {
    let lines = lines(json!({ "sample": 0.0, "fields": ["end", "status", "outcome"] }), async |observer| {
        drop(observer.begin(&mut request("/x", &[]), &facts(false), None));
        observer.begin(&mut request("/x", &[]), &facts(false), None).unwrap().finish(&mut ok().await);
    })
    .await;
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[0]["end"], &lines[0]["outcome"]), (&json!("client_left"), &Value::Null));
    assert_eq!((&lines[1]["end"], &lines[1]["outcome"]), (&json!("client_left"), &json!("passed")));
}

#[tokio::test]
async fn a_failing_body_is_distinguished_from_a_client_that_leaves() {
    let lines = lines(json!({ "fields": ["end"] }), async |observer| {
        let pieces = [Ok(http_body::Frame::data(Bytes::from("ab"))), Err(axum::Error::new("gone"))];
        let body = http_body_util::StreamBody::new(futures_util::stream::iter(pieces));
        let mut response = Response::new(Body::new(body));
        observer.begin(&mut request("/x", &[]), &facts(false), None).unwrap().finish(&mut response);
        assert!(response.into_body().collect().await.is_err());
    })
    .await;
    assert_eq!(lines[0]["end"], "response_cut_short");
}

#[tokio::test]
async fn the_chosen_fields_keep_their_order_in_human_format() {
    let spec = spec(
        json!({ "logs": { "format": "human", "access": { "fields": ["status", "path", "client_ip", "status"] } } }),
    );
    let (telemetry, lines, _guard) = telemetry(&spec);
    exchange(&observer(&spec), request("/a%20b", &[]), &facts(false), ok).await;
    drop(telemetry);
    let text = lines.text();
    assert!(text.ends_with("Z  200          /a%20b                    client_ip=192.0.2.7\n"), "{text}");
}

#[tokio::test]
async fn a_line_with_endless_values_is_truncated_and_stays_an_object() {
    let access =
        json!({ "fields": ["path", "query", "host", "user_agent", "headers", "status"], "headers": ["x-long"] });
    let lines = lines(access, async |observer| {
        let long = "\"".repeat(4_000);
        let target = format!("/{0}?{0}", "p".repeat(8_000));
        let request = request(&target, &[("host", &long), ("user-agent", &long), ("x-long", &long)]);
        exchange(observer, request, &facts(false), ok).await;
    })
    .await;
    let line = &lines[0];
    assert!(line.to_string().len() < 8 * 1024);
    assert!(line["path"].as_str().unwrap().ends_with('…') && line["query"].as_str().unwrap().ends_with('…'));
    assert_eq!(line["truncated"], true);
}

#[tokio::test]
async fn the_body_keeps_its_length_and_its_trailers() {
    let lines = lines(json!({}), async |observer| {
        let mut response = ok().await;
        observer.begin(&mut request("/x", &[]), &facts(false), None).unwrap().finish(&mut response);
        assert_eq!(http_body::Body::size_hint(response.body()).exact(), Some(5));
        drop(response);
        let mut trailers = http::HeaderMap::new();
        trailers.insert("x-sum", "1".parse().unwrap());
        let body = http_body_util::Full::new(Bytes::from("ab")).with_trailers(std::future::ready(Some(Ok(trailers))));
        let mut response = Response::new(Body::new(body));
        observer.begin(&mut request("/x", &[]), &facts(false), None).unwrap().finish(&mut response);
        let collected = response.into_body().collect().await.unwrap();
        assert_eq!(collected.trailers().unwrap()["x-sum"], "1");
    })
    .await;
    // The first body was dropped unread.
    assert_eq!((&lines[0]["end"], &lines[1]["end"]), (&json!("client_left"), &Value::Null));
    assert_eq!(lines[1]["bytes"], 2);
}

#[tokio::test]
async fn a_long_value_is_truncated_and_the_object_stays_valid() {
    let headers: Vec<_> = (0..8).map(|n| format!("x-h{n}")).collect();
    let lines = lines(json!({ "headers": headers }), async |observer| {
        let long = "é\"".repeat(2_000);
        let mut request = request("/x", &[]);
        for name in &headers {
            let name: HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, http::HeaderValue::from_bytes(long.as_bytes()).unwrap());
        }
        exchange(observer, request, &facts(false), ok).await;
    })
    .await;
    let written = lines[0]["headers"].as_object().unwrap();
    assert!((2..8).contains(&written.len()));
    assert!(written.values().all(|value| value.as_str().is_some_and(|text| text.ends_with('…'))));
}

#[tokio::test]
async fn without_an_access_log_there_is_no_line() {
    let spec = spec(json!({}));
    let (telemetry, lines, _guard) = telemetry(&spec);
    assert!(observer(&spec).begin(&mut request("/x", &[]), &facts(false), None).is_none());
    drop(telemetry);
    assert_eq!(lines.text(), "");
}
