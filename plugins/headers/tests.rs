//! `headers`: what is changed, which values are refused, and that no client can set what comes from the identity.

use super::*;
use gatewright_sdk::HttpService;
use gatewright_sdk::testing::{answers, faults, header, install, request};
use serde_json::json;

fn echo() -> HttpService {
    answers(|request| {
        let mut response = http::Response::builder().header("x-inner", "1").header("server", "inner");
        for (name, value) in request.headers() {
            response = response.header(format!("seen-{name}"), value);
        }
        response.body(gatewright_sdk::Body::empty()).unwrap()
    })
}

#[tokio::test]
async fn requests_and_responses_are_changed() {
    let settings = json!({
        "request": { "set": { "X-A": "set" }, "add": { "x-b": "added" }, "remove": ["x-c"] },
        "response": { "set": { "x-inner": "2" }, "add": { "x-inner": "3" }, "remove": ["server"] },
    });
    let sent = [("x-a", "old"), ("x-b", "old"), ("x-c", "old")];
    let response = install::<Headers>(settings, echo()).call(request("GET", &sent)).await;
    assert_eq!(header(&response, "seen-x-a"), "set");
    assert_eq!(header(&response, "seen-x-b"), "old, added");
    assert_eq!(header(&response, "seen-x-c"), "");
    assert_eq!(header(&response, "x-inner"), "2, 3");
    assert_eq!(header(&response, "server"), "");
}

#[tokio::test]
async fn changes_to_requests_alone_leave_responses_alone() {
    let settings = json!({ "request": { "set": { "x-a": "1" } } });
    let response = install::<Headers>(settings, echo()).call(request("GET", &[])).await;
    assert_eq!((header(&response, "seen-x-a"), header(&response, "server")), ("1".into(), "inner".into()));
}

#[test]
fn all_faults_are_reported_at_once_and_name_the_header() {
    let found = faults::<Headers>(
        json!({
            "request": { "set": { "x y": "1", "x-a": "a\r\nb", "Transfer-Encoding": "chunked" } },
            "response": { "remove": ["content-length", "x-b", "X-B"] },
        }),
        false,
    );
    let starts = [
        "request.set.Transfer-Encoding: ",
        "request.set.x y: ",
        "request.set.x-a: a header value must not contain",
        "response.remove[0]: ",
        "response.remove[2]: ",
    ];
    assert_eq!(found.len(), starts.len(), "{found:?}");
    assert!(found.iter().zip(starts).all(|(fault, start)| fault.starts_with(start)), "{found:?}");
    assert_eq!(faults::<Headers>(json!({}), false), ["no headers to change"]);
}

#[test]
fn settings_that_would_be_overwritten_are_rejected() {
    let set = |way: &str, name: &str| json!({ way: { "set": { name: "1" } } });
    let remove = |way: &str, name: &str| json!({ way: { "remove": [name] } });
    for (settings, refused) in [
        (set("request", "x-forwarded-proto"), true),
        (set("response", "x-forwarded-proto"), false),
        (remove("request", "X-Forwarded-For"), true),
        (set("request", "via"), true),
        (set("response", "via"), false),
        (set("request", "traceparent"), true),
        (set("response", "traceresponse"), true),
        (set("response", "x-content-type-options"), false),
        (remove("response", "x-content-type-options"), true),
        (set("request", "forwarded"), false),
        (set("response", "vary"), false),
        (set("request", "x-request-id"), false),
    ] {
        assert_eq!(!faults::<Headers>(settings.clone(), false).is_empty(), refused, "{settings}");
    }
}

#[tokio::test]
async fn no_value_is_shown_by_a_fault_or_printed_with_the_request() {
    let found =
        faults::<Headers>(json!({ "request": { "set": { "x-key": "hush-hush\n7", "via": "hush-hush" } } }), false);
    assert!(found.len() == 2 && !found.concat().contains("hush"), "{found:?}");
    let found = faults::<Headers>(json!({ "response": { "add": { "x-key": ["hush-hush"] } } }), false);
    assert!(found.len() == 1 && !found.concat().contains("hush"), "{found:?}");
    let settings = json!({ "request": { "set": { "x-key": "hush" }, "add": { "x-more": "hush" } } });
    let printed = answers(|request| format!("{:?}", request.headers()));
    let response = install::<Headers>(settings, printed).call(request("GET", &[])).await;
    let printed = String::from_utf8(gatewright_sdk::testing::bytes(response).await).unwrap();
    assert!(printed.contains("x-key") && printed.contains("x-more") && !printed.contains("hush"), "{printed}");
}

/// The request's fields as the target sees them, for a caller with these claims.
async fn seen(
    set: serde_json::Value,
    claims: Option<serde_json::Value>,
    sent: &[(&str, &str)],
) -> gatewright_sdk::Response {
    let service = install::<Headers>(json!({ "request": { "set": set } }), echo());
    let mut request = request("GET", sent);
    Facts::of_mut(&mut request).identity = claims.map(|claims| {
        let serde_json::Value::Object(claims) = claims else { panic!("claims are an object") };
        std::sync::Arc::new(gatewright_sdk::Identity { subject: "u1".into(), method: "jwt", claims })
    });
    service.call(request).await
}

#[tokio::test]
async fn the_identity_reaches_the_target_and_no_client_can_forge_it() {
    let set =
        || json!({ "x-user": "{auth.subject}", "x-plan": "plan {auth.claims.plan}", "x-fixed": "{{auth.subject}}" });
    let forged = [("x-user", "root"), ("x-user", "root2"), ("x_user", "root"), ("x.user", "root"), ("x-plan", "root")];
    let response = seen(set(), Some(json!({ "plan": "pro" })), &forged).await;
    for (name, value) in [
        ("seen-x-user", "u1"),
        ("seen-x-plan", "plan pro"),
        ("seen-x-fixed", "{auth.subject}"),
        ("seen-x_user", ""),
        ("seen-x.user", ""),
    ] {
        assert_eq!(header(&response, name), value, "{name}");
    }
    for claims in [None, Some(json!({ "plan": null })), Some(json!({ "plan": { "name": "pro" } }))] {
        let response = seen(set(), claims.clone(), &forged).await;
        assert_eq!(header(&response, "seen-x-user"), if claims.is_some() { "u1" } else { "" }, "{claims:?}");
        assert_eq!(header(&response, "seen-x-plan"), "", "{claims:?}");
    }
    let response =
        seen(json!({ "x-name": "{auth.claims.name}" }), Some(json!({ "name": "Zo\u{eb}\r\nx-admin: 1" })), &[]).await;
    assert_eq!(header(&response, "seen-x-name"), "Zo%C3%AB%0D%0Ax-admin: 1");
}

#[test]
fn templates_say_what_they_need() {
    let traits = |settings| gatewright_sdk::testing::compile::<Headers>(settings, false).traits;
    let with = traits(json!({ "request": { "set": { "X-User": "{auth.subject}", "x-id": "{id}", "x-a": "b" } } }));
    assert_eq!((with.uses, with.asserts), (&[IDENTITY][..], vec![HeaderName::from_static("x-user")]));
    assert_eq!(with.placeholders.len(), 1);
    assert_eq!((with.placeholders[0].path.as_str(), with.placeholders[0].name.as_str()), ("request.set.x-id", "id"));
    let without = traits(json!({ "response": { "set": { "x-user": "{auth.subject}" } } }));
    assert!(without.uses.is_empty() && without.asserts.is_empty() && without.placeholders.is_empty());
    assert!(!without.protects());
    let found = faults::<Headers>(
        json!({ "request": { "add": { "x-user": "{auth.subject}", "x-ip": "{client.ip}" } } }),
        false,
    );
    assert_eq!(
        found,
        ["request.add.x-user: clients could send `x-user` too, and upstreams could not tell which is true"]
    );
    let found = faults::<Headers>(json!({ "request": { "set": { "x-user": "a\n{auth.subject}" } } }), false);
    assert!(
        found.len() == 1 && found[0].starts_with("request.set.x-user: a header value must not contain"),
        "{found:?}"
    );
}
