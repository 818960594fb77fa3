//! The decisions of the authorization server, as the client and the target see them.

use super::*;
use gatewright_sdk::testing::{answers, compile, faults, header, install_act, request};
use gatewright_sdk::{Fetching, Keep};
use parking_lot::Mutex;
use serde_json::json;

/// A server with a fixed response, or none, that records its requests.
struct Server {
    response: Option<http::Response<Bytes>>,
    asked: Mutex<Option<http::Request<Bytes>>>,
}

impl Services for Server {
    fn fetch(&self, request: http::Request<Bytes>, _: usize) -> Fetching {
        *self.asked.lock() = Some(request);
        match self.response.clone() {
            Some(response) => Box::pin(std::future::ready(Ok(response))),
            None => Box::pin(std::future::pending()),
        }
    }
}

fn server(status: u16, headers: &[(&str, &str)]) -> Arc<Server> {
    let mut response = http::Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    let response = response.body(Bytes::from_static(b"of the server")).unwrap();
    Arc::new(Server { response: Some(response), asked: Mutex::new(None) })
}

fn settings() -> Value {
    json!({ "url": "http://auth.internal/verify", "take": ["x-user", "x-groups"], "subject": "X-User" })
}

/// Sends a request with these headers past `server`. The target echoes the headers it received.
async fn ask(server: &Arc<Server>, settings: Value, sent: &[(&str, &str)]) -> Response {
    ask_about(server, settings, request("GET", sent)).await
}

async fn ask_about(server: &Arc<Server>, settings: Value, sent: Request) -> Response {
    let target = answers(|request: Request| {
        let mut response = Response::new(Body::empty());
        response.headers_mut().extend(request.headers().clone());
        let identity = Facts::of(&request).identity.as_ref();
        let subject =
            identity.map(|identity| format!("{}: {}", identity.subject, Value::from(identity.claims.clone())));
        let subject = HeaderValue::from_str(&subject.unwrap_or_default()).unwrap();
        response.headers_mut().insert("identity", subject);
        response
    });
    let services: Arc<dyn Services> = server.clone();
    let compiled = compile::<ForwardAuth>(settings, false);
    assert_eq!(compiled.faults, []);
    install_act(&compiled, "sso", &Keep::default(), &services, target).call(sent).await
}

#[tokio::test]
async fn the_host_is_the_one_that_a_trusted_proxy_reports() {
    for (trusted, host) in [(true, "shop.example"), (false, "internal")] {
        let server = server(204, &[("x-user", "u1")]);
        let mut sent = request("GET", &[("host", "internal"), ("x-forwarded-host", "shop.example")]);
        Facts::of_mut(&mut sent).client.trusted = trusted;
        assert_eq!(ask_about(&server, settings(), sent).await.status(), 200);
        let asked = server.asked.lock().take().unwrap();
        assert_eq!(asked.headers()["x-forwarded-host"], host, "trusted: {trusted}");
    }
}

#[tokio::test]
async fn a_request_that_passes_carries_fields_from_the_server_and_not_from_the_client() {
    let server = server(204, &[("x-user", "u1"), ("x-groups", "a"), ("x-groups", "b"), ("x-other", "no")]);
    let sent =
        [("x-user", "admin"), ("x-groups", "root"), ("cookie", "s=1"), ("x-own", "1"), ("x-forwarded-uri", "/x")];
    let response = ask(&server, settings(), &sent).await;
    assert_eq!(response.status(), 200);
    for (name, value) in [("x-user", "u1"), ("x-groups", "a, b"), ("x-other", ""), ("cookie", "s=1"), ("x-own", "1")] {
        assert_eq!(header(&response, name), value, "{name}");
    }
    assert_eq!(header(&response, "identity"), r#"u1: {"x-user":"u1","x-groups":"a, b","sub":"u1"}"#);
    let asked = server.asked.lock().take().unwrap();
    assert_eq!((asked.method().as_str(), asked.uri().to_string().as_str()), ("GET", "http://auth.internal/verify"));
    for (name, value) in [
        ("cookie", Some("s=1")),
        ("x-own", None),
        ("x-user", None),
        ("x-forwarded-method", Some("GET")),
        ("x-forwarded-uri", Some("/")),
        ("x-forwarded-proto", Some("http")),
        ("x-forwarded-for", Some("0.0.0.0")),
    ] {
        assert_eq!(asked.headers().get(name).map(|value| value.to_str().unwrap()), value, "{name}");
    }
}

#[tokio::test]
async fn roles_and_scopes_come_from_the_headers_of_the_server() {
    let server = server(200, &[("x-user", "u1"), ("x-groups", "a b,, c"), ("x-scopes", "read, write x")]);
    let mut settings = settings();
    settings["take"] = json!(["x-user", "x-groups", "x-scopes"]);
    (settings["roles"], settings["scopes"]) = ("x-groups".into(), "X-Scopes".into());
    let response = ask(&server, settings, &[]).await;
    let identity = header(&response, "identity");
    assert!(
        identity.contains(r#""roles":["a b","c"]"#) && identity.contains(r#""scope":"read write x""#),
        "{identity}"
    );
}

#[tokio::test(start_paused = true)]
async fn only_decisions_to_admit_the_same_request_are_cached() {
    let mut settings = settings();
    settings["cache"] = "30s".into();
    for (status, extra, cached) in [
        (204, &[][..], true),
        (204, &[("cache-control", "private, No-Store")], false),
        (403, &[], false),
        (500, &[], false),
    ] {
        let headers: Vec<_> = [("x-user", "u1")].iter().chain(extra).copied().collect();
        let server = server(status, &headers);
        let services: Arc<dyn Services> = server.clone();
        let echo = answers(|request: Request| request.headers()["x-user"].to_str().unwrap().to_owned());
        let service =
            install_act(&compile::<ForwardAuth>(settings.clone(), false), "sso", &Keep::default(), &services, echo);
        for (sent, asked) in [
            (&[("cookie", "a=1"), ("x-user", "root")][..], true),
            (&[("cookie", "a=1"), ("x-user", "root"), ("x-other", "1")], !cached),
            (&[("cookie", "a=2")], true),
            (&[("authorization", "a=1")], true),
        ] {
            let response = service.call(request("GET", sent)).await;
            assert_eq!(server.asked.lock().take().is_some(), asked, "{status} {extra:?} {sent:?}");
            if status == 204 {
                assert_eq!(gatewright_sdk::testing::bytes(response).await, b"u1", "{sent:?}");
            } else {
                assert!(!response.status().is_success());
            }
        }
        let mut other = request("POST", &[("cookie", "a=1")]);
        *other.uri_mut() = "/other".parse().unwrap();
        service.call(other).await;
        assert!(server.asked.lock().take().is_some(), "another request is another question");
    }
}

#[tokio::test]
async fn several_authorization_fields_are_rejected_without_asking() {
    let server = server(200, &[("x-user", "u1")]);
    let response = ask(&server, settings(), &[("authorization", "Basic a"), ("authorization", "Bearer b")]).await;
    let reason = response.extensions().get::<Refusal>().map(|refusal| refusal.reason.to_string());
    assert_eq!((response.status().as_u16(), reason.as_deref()), (400, Some("several_credentials")));
    assert!(server.asked.lock().is_none());
}

#[tokio::test]
async fn only_a_2xx_status_admits_a_request() {
    let location = [("location", "https://login.example/"), ("set-cookie", "a=1"), ("x-internal", "secret")];
    for (status, headers, expected, reason) in [
        (401, &[("www-authenticate", "Basic")][..], 401, "auth_denied"),
        (403, &[], 403, "auth_denied"),
        (429, &[("retry-after", "7")], 429, "auth_denied"),
        (302, &location, 302, "auth_denied"),
        (302, &[], 503, "auth_failed"),
        (304, &[], 503, "auth_failed"),
        (404, &[], 503, "auth_failed"),
        (500, &[], 503, "auth_failed"),
        (200, &[], 503, "auth_no_subject"),
        (200, &[("x-user", "")], 503, "auth_no_subject"),
    ] {
        let response = ask(&server(status, headers), settings(), &[]).await;
        let refusal = response.extensions().get::<Refusal>().unwrap();
        assert_eq!((response.status().as_u16(), &*refusal.reason), (expected, reason), "{status} {headers:?}");
        assert_eq!(refusal.plugin.as_deref(), Some("test/sso"));
        assert_eq!(header(&response, "x-internal"), "", "only what a client is to see");
        for (name, value) in headers.iter().filter(|(name, _)| expected == status && *name != "x-internal") {
            assert_eq!(header(&response, name), *value);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_or_is_down_costs_its_deadline_and_admits_nothing() {
    let hanging = Arc::new(Server { response: None, asked: Mutex::new(None) });
    let begun = tokio::time::Instant::now();
    let response = ask(&hanging, settings(), &[]).await;
    assert_eq!(begun.elapsed(), Duration::from_secs(1));
    assert_eq!(response.status(), 503);
    assert_eq!(response.extensions().get::<Refusal>().unwrap().reason, "auth_timeout");
    let compiled = compile::<ForwardAuth>(settings(), false);
    let services: Arc<dyn Services> = Arc::new(gatewright_sdk::testing::Nothing);
    let service = install_act(&compiled, "sso", &Keep::default(), &services, answers(|_| "in"));
    let response = service.call(request("GET", &[])).await;
    assert_eq!(response.extensions().get::<Refusal>().unwrap().reason, "auth_unreachable");
}

#[test]
fn settings_that_cannot_work_are_faults() {
    let with = |key: &str, value: Value| {
        let mut settings = settings();
        settings[key] = value;
        settings
    };
    for (settings, start) in [
        (with("url", json!("auth.internal")), "url: "),
        (with("url", json!("ftp://auth.internal/")), "url: "),
        (with("url", json!("http://u:p@auth.internal/")), "url: "),
        (with("send", json!(["a b"])), "send[0]: "),
        (with("take", json!(["x-user", "host"])), "take[1]: "),
        (with("take", json!(["x-user", "x-forwarded-for"])), "take[1]: "),
        (with("subject", json!("x-name")), "subject: `x-name` is not listed in"),
        (with("timeout", json!("31s")), "timeout: "),
        (with("timeout", json!("0s")), "timeout: "),
        (with("cache", json!("2h")), "cache: "),
        (with("roles", json!("x-roles")), "roles: `x-roles` is not listed in"),
    ] {
        let found = faults::<ForwardAuth>(settings.clone(), false);
        assert!(found.len() == 1 && found[0].starts_with(start), "{settings}: {found:?}");
    }
    let identity = |settings| compile::<ForwardAuth>(settings, false).traits.provides.contains(&IDENTITY);
    assert!(identity(settings()));
    assert!(!identity(json!({ "url": "https://auth.internal/" })));
}
