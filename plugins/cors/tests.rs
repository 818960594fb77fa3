//! CORS as a browser and as an attacker see it.

use super::*;
use axum::response::IntoResponse;
use gatewright_sdk::Refusal;
use gatewright_sdk::testing::{answers, faults, header, install, request};
use serde_json::{Value, json};

const APP: &str = "https://app.example.com";

fn settings() -> Value {
    json!({
        "allow_origins": [APP], "allow_methods": ["GET", "POST"], "allow_headers": ["authorization", "content-type"],
        "expose_headers": ["X-Request-Id"], "credentials": true, "max_age": "10m",
    })
}

async fn call(settings: Value, method: &str, headers: &[(&str, &str)]) -> Response {
    install::<Cors>(settings, answers(|_| "inner")).call(request(method, headers)).await
}

async fn preflight(settings: Value, origin: &str) -> Response {
    call(settings, "OPTIONS", &[("origin", origin), ("access-control-request-method", "POST")]).await
}

#[tokio::test]
async fn a_preflight_of_an_allowed_origin_is_answered_in_full() {
    let response = preflight(settings(), APP).await;
    assert_eq!(response.status(), 200);
    for (name, value) in [
        ("access-control-allow-origin", APP),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "GET, POST"),
        ("access-control-allow-headers", "authorization, content-type"),
        ("access-control-max-age", "600"),
        ("vary", "origin"),
        ("access-control-allow-private-network", ""),
        ("access-control-expose-headers", ""),
    ] {
        assert_eq!(header(&response, name), value, "{name}");
    }
}

#[tokio::test]
async fn other_origins_get_only_vary() {
    for origin in [
        "https://evil.example",
        "null",
        "https://evilapp.example.com",
        "https://app.example.com@evil.example",
        "HTTPS://APP.EXAMPLE.COM",
        "https://app.example.com.",
        "https://app.example.com_.evil.example",
        "https://app.example.com https://evil.example",
        "https://appXexample.com",
        "https://app.example.com:8443",
        "http://app.example.com",
        "*",
        "file://",
        "chrome-extension://abc",
        "",
    ] {
        let answers = [preflight(settings(), origin).await, call(settings(), "GET", &[("origin", origin)]).await];
        for response in answers {
            let shown = response.headers().keys().filter(|name| name.as_str().starts_with("access-control"));
            assert_eq!(shown.count(), 0, "{origin:?}");
            assert_eq!(header(&response, "vary"), "origin", "{origin:?}");
        }
    }
    let response = preflight(settings(), "https://evil.example").await;
    assert_eq!(response.status(), 403);
    assert_eq!(response.extensions().get::<Refusal>().unwrap().reason, "origin");
    let both = [("origin", APP), ("origin", APP)];
    assert_eq!(header(&call(settings(), "GET", &both).await, "access-control-allow-origin"), "");
}

#[tokio::test]
async fn a_response_carries_the_headers_even_if_it_is_an_error() {
    let failing = answers(|_| Problem::unauthorized(false).into_response());
    let response = install::<Cors>(settings(), failing).call(request("GET", &[("origin", APP)])).await;
    assert_eq!(response.status(), 401);
    assert_eq!(header(&response, "access-control-allow-origin"), APP);
    assert_eq!(header(&response, "access-control-allow-credentials"), "true");
    assert_eq!(header(&response, "access-control-expose-headers"), "etag, x-request-id");
    assert_eq!(header(&call(settings(), "GET", &[]).await, "vary"), "origin", "also without an origin");
}

#[tokio::test]
async fn other_options_requests_reach_the_target() {
    for headers in [&[("origin", APP)][..], &[], &[("access-control-request-method", "POST")]] {
        let response = call(settings(), "OPTIONS", headers).await;
        assert_eq!(gatewright_sdk::testing::bytes(response).await, b"inner");
    }
}

#[tokio::test]
async fn cors_headers_of_an_upstream_are_replaced() {
    let upstream = answers(|_| ([("access-control-allow-origin", "*"), ("vary", "accept, Origin")], "inner"));
    let service = install::<Cors>(settings(), upstream);
    let stranger = service.call(request("GET", &[("origin", "https://evil.example")])).await;
    assert_eq!(header(&stranger, "access-control-allow-origin"), "");
    assert_eq!(header(&stranger, "vary"), "accept, Origin");
}

#[tokio::test]
async fn any_origin_gets_one_constant_response() {
    let all = json!({ "allow_origins": ["*"], "allow_headers": ["*"] });
    for origin in ["https://a.example", "null"] {
        let response = call(all.clone(), "GET", &[("origin", origin)]).await;
        assert_eq!(
            (header(&response, "access-control-allow-origin"), header(&response, "vary")),
            ("*".into(), "".into())
        );
    }
    assert_eq!(header(&preflight(all, "https://a.example").await, "access-control-allow-headers"), "*");
}

#[test]
fn origins_match_exactly_as_configured() {
    let table: &[(&str, &[&str], &[&str])] = &[
        ("https://A.Example:443", &["https://a.example"], &["https://a.example:443", "http://a.example"]),
        ("http://a.example:80", &["http://a.example"], &["http://a.example:80"]),
        ("http://a.example:8080", &["http://a.example:8080"], &["http://a.example", "http://a.example:80800"]),
        (
            "https://*.example.com",
            &["https://a.example.com", "https://a.b.example.com", "https://a_b.example.com"],
            &[
                "https://example.com",
                "https://.example.com",
                "https://a..example.com",
                "https://aexample.com",
                "http://a.example.com",
                "https://a.example.com:8443",
                "https://a.example.com.evil.example",
                "https://evil.example/.example.com",
                "https://evil.example#.example.com",
                "https://u@.example.com",
                "https://A.example.com",
            ],
        ),
        (
            "http://localhost:*",
            &["http://localhost", "http://localhost:3000", "http://localhost:65535"],
            &[
                "https://localhost:3000",
                "http://localhost:",
                "http://localhost:+1",
                "http://localhost:080",
                "http://localhost:65536",
                "http://localhost:3000.evil.example",
                "http://localhost.evil.example:3000",
                "http://localhost:3000@evil.example",
            ],
        ),
        ("http://[::0001]:*", &["http://[::1]:3000", "http://[::1]"], &["http://[::2]", "http://::1"]),
        (
            "https://*.example.com:8443",
            &["https://a.example.com:8443"],
            &["https://a.example.com", "https://a.example.com:443"],
        ),
        ("capacitor://localhost", &["capacitor://localhost"], &["http://localhost"]),
    ];
    for (setting, yes, no) in table {
        let mut faults = Vec::new();
        let origins = Origins::compile("allow_origins", &[(*setting).to_owned()], &mut faults);
        assert_eq!(faults, [], "{setting}");
        assert!(yes.iter().all(|origin| origins.contains(origin.as_bytes())), "{setting} takes {yes:?}");
        for origin in *no {
            assert!(!origins.contains(origin.as_bytes()), "{setting} must not take {origin}");
        }
    }
}

#[test]
fn contradictions_and_typos_are_faults() {
    let with = |key: &str, value: Value| {
        let mut settings = settings();
        settings[key] = value;
        settings
    };
    for (settings, path) in [
        (with("allow_origins", json!(["*"])), "allow_origins: `*` cannot be combined"),
        (with("allow_origins", json!([])), "allow_origins: "),
        (with("allow_origins", json!(["https://a.b/x"])), "allow_origins[0]: `https://a.b/x`"),
        (with("allow_origins", json!([APP, "https://a.b/"])), "allow_origins[1]: "),
        (with("allow_origins", json!(["null"])), "allow_origins[0]: `null`"),
        (with("allow_origins", json!(["app.example.com"])), "allow_origins[0]: "),
        (with("allow_origins", json!(["https://"])), "allow_origins[0]: "),
        (with("allow_origins", json!(["https://*.com"])), "allow_origins[0]: "),
        (with("allow_origins", json!(["https://*example.com"])), "allow_origins[0]: "),
        (with("allow_origins", json!(["https://u@a.b"])), "allow_origins[0]: "),
        (with("allow_origins", json!(["https://é.example"])), "allow_origins[0]: "),
        (with("allow_origins", json!(["https://a.b:99999"])), "allow_origins[0]: "),
        (with("allow_methods", json!(["G T"])), "allow_methods[0]: `G T`"),
        (with("allow_methods", json!(["get"])), "allow_methods[0]: `get`"),
        (with("allow_methods", json!(["*"])), "allow_methods: "),
        (with("allow_headers", json!(["*"])), "allow_headers: "),
        (with("allow_headers", json!(["x y"])), "allow_headers[0]: `x y`"),
        (with("expose_headers", json!(["*"])), "expose_headers: "),
        (with("credentials", json!("yes")), "credentials: "),
        (json!({ "credentials": false }), "missing field `allow_origins`"),
    ] {
        let found = faults::<Cors>(settings.clone(), false);
        assert!(found.len() == 1 && found[0].starts_with(path), "{settings}: {found:?}");
    }
}
