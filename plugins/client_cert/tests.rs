//! Which certificates pass, what later plugins see of them, and what upstreams receive.

use super::*;
use gatewright_sdk::testing::{faults, install};
use gatewright_sdk::{Body, Derived, HttpService, Reply, Response};
use serde_json::json;

fn billing() -> ClientCertificate {
    ClientCertificate {
        subject: "CN=billing\\, EU,O=Example".to_owned(),
        names: vec![
            CertificateName::Dns("Billing.internal".to_owned()),
            CertificateName::Uri("spiffe://example/prod/billing".to_owned()),
            CertificateName::Email("billing@example.com".to_owned()),
            CertificateName::Ip("192.0.2.1".parse().unwrap()),
        ],
        fingerprint: "ab".repeat(32),
        derived: Derived::default(),
    }
}

/// The status; the subject, the field for upstreams and the claims, if the request passes.
async fn call(settings: Value, certificate: Option<ClientCertificate>) -> (u16, String, String, Value) {
    let next = HttpService::from_call(|request| {
        let identity = Facts::of(&request).identity.clone();
        let text =
            |name: HeaderName| request.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        let mut response = Response::new(Body::empty());
        let subject = identity.as_ref().map_or("", |identity| &identity.subject);
        response.headers_mut().insert("x-subject", subject.parse().unwrap());
        response.headers_mut().insert("x-forwarded", text(FORWARDED).parse().unwrap());
        let claims = identity.map(|identity| identity.claims.clone()).unwrap_or_default();
        response.headers_mut().insert("x-claims", Value::Object(claims).to_string().parse().unwrap());
        Reply::ready(response)
    });
    let mut request = Request::new(Body::empty());
    request.headers_mut().insert(FORWARDED, "Hash=forged".parse().unwrap());
    Facts::of_mut(&mut request).certificate = certificate.map(Arc::new);
    let response = install::<ClientCert>(settings, next).call(request).await;
    let header = |name: &str| response.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    let claims = serde_json::from_str(&header("x-claims")).unwrap_or_default();
    (response.status().as_u16(), header("x-subject"), header("x-forwarded"), claims)
}

use http::HeaderName;

#[tokio::test]
async fn a_certificate_must_match_an_entry_of_each_list() {
    let fingerprint = "AB:".repeat(31) + "AB";
    for (settings, status) in [
        (json!({}), 200),
        (json!({ "subjects": ["CN=other", "CN=billing\\, EU,O=Example"] }), 200),
        (json!({ "subjects": ["CN=billing"] }), 403),
        (json!({ "dns": ["billing.INTERNAL"] }), 200),
        (json!({ "dns": ["*.internal"] }), 200),
        (json!({ "dns": ["*.billing.internal", "internal", "*.ternal"] }), 403),
        (json!({ "uris": ["spiffe://example/prod/billing"] }), 200),
        (json!({ "uris": ["spiffe://example/prod/*"] }), 200),
        (json!({ "uris": ["spiffe://example/test/*"] }), 403),
        (json!({ "emails": ["billing@example.com"] }), 200),
        (json!({ "fingerprints": [fingerprint] }), 200),
        (json!({ "fingerprints": ["cd".repeat(32)] }), 403),
        (json!({ "dns": ["*.internal"], "uris": ["spiffe://other/*"] }), 403),
    ] {
        assert_eq!(call(settings.clone(), Some(billing())).await.0, status, "{settings}");
    }
    let climbing = CertificateName::Uri("spiffe://example/prod/../test/x".to_owned());
    let climbing = ClientCertificate { names: vec![climbing], ..billing() };
    assert_eq!(call(json!({ "uris": ["spiffe://example/prod/*"] }), Some(climbing)).await.0, 403);
}

#[tokio::test]
async fn without_a_certificate_a_request_is_rejected_or_has_no_identity() {
    assert_eq!(call(json!({}), None).await.0, 401);
    let (status, subject, forwarded, _) = call(json!({ "on_missing": "continue", "forward": true }), None).await;
    assert_eq!((status, &*subject, &*forwarded), (200, "", ""), "a forged field is removed");
}

#[tokio::test]
async fn later_plugins_see_the_chosen_part_and_all_claims() {
    let nameless = ClientCertificate { names: Vec::new(), ..billing() };
    for (part, subject) in [
        ("subject", "CN=billing\\, EU,O=Example"),
        ("common_name", "billing, EU"),
        ("dns", "Billing.internal"),
        ("uri", "spiffe://example/prod/billing"),
        ("email", "billing@example.com"),
        ("fingerprint", &*"ab".repeat(32)),
    ] {
        let settings = json!({ "identity": part });
        let (status, seen, forwarded, claims) = call(settings.clone(), Some(billing())).await;
        assert_eq!((status, &*seen, &*forwarded), (200, subject, ""), "{part}");
        assert_eq!(claims["ip"], json!(["192.0.2.1"]));
        assert_eq!(claims["common_name"], "billing, EU");
        let status = if ["dns", "uri", "email"].contains(&part) { 403 } else { 200 };
        assert_eq!(call(settings, Some(nameless.clone())).await.0, status, "{part}");
    }
}

#[tokio::test]
async fn upstreams_receive_the_certificate_as_envoy_writes_it() {
    let (_, _, forwarded, _) = call(json!({ "forward": true }), Some(billing())).await;
    let expected = format!(
        "Hash={};Subject=\"CN=billing\\, EU,O=Example\";DNS=Billing.internal;URI=spiffe://example/prod/billing",
        "ab".repeat(32)
    );
    assert_eq!(forwarded, expected);
    let names = vec![CertificateName::Uri("urn:a,b;By=x\r\n\"".to_owned())];
    let odd = ClientCertificate { subject: "CN=a\r\nx-admin: 1".to_owned(), names, ..billing() };
    let (status, _, forwarded, _) = call(json!({ "forward": true, "identity": "fingerprint" }), Some(odd)).await;
    assert_eq!(status, 200);
    assert!(forwarded.ends_with(";Subject=\"CN=a\\0D\\0Ax-admin: 1\";URI=\"urn:a,b;By=x\\\"\""), "{forwarded}");
}

#[test]
fn common_names_are_read_without_their_escapes() {
    for (subject, name) in [
        ("CN=a", Some("a")),
        ("O=b,CN=a\\,b", Some("a,b")),
        ("OU=x+CN=gr\\C3\\B6\\C3\\9Fer,O=y", Some("größer")),
        ("O=CN=a", None),
        ("O=a\\,CN=b", None),
        ("", None),
    ] {
        assert_eq!(common_name(subject).as_deref(), name, "{subject}");
    }
}

#[test]
fn entries_that_match_nothing_are_faults() {
    for (settings, text) in [
        (json!({ "subjects": [" "] }), "subjects[0]: the entry is empty"),
        (json!({ "dns": ["a.*.b"] }), "dns[0]: `a.*.b` is not a valid DNS name"),
        (json!({ "dns": ["*"] }), "dns[0]: `*` is not a valid DNS name"),
        (json!({ "uris": ["billing"] }), "uris[0]: `billing` is not a valid URI"),
        (json!({ "uris": ["spiffe://a/b*"] }), "uris[0]: `spiffe://a/b*` is not a valid URI"),
        (json!({ "fingerprints": ["ab"] }), "fingerprints[0]: `ab` is not a SHA-256 fingerprint"),
    ] {
        let found = faults::<ClientCert>(settings.clone(), false);
        assert!(found.len() == 1 && found[0].starts_with(text), "{settings}: {found:?}");
    }
}

#[tokio::test]
async fn an_identity_is_built_once_per_connection() {
    let next = HttpService::from_call(|request| {
        let mut response = Response::new(Body::empty());
        response.extensions_mut().insert(Facts::of(&request).identity.clone().unwrap());
        Reply::ready(response)
    });
    let certificate = Arc::new(billing());
    let identity = async |settings: Value| {
        let mut request = Request::new(Body::empty());
        Facts::of_mut(&mut request).certificate = Some(Arc::clone(&certificate));
        let response = install::<ClientCert>(settings, next.clone()).call(request).await;
        Arc::clone(response.extensions().get::<Arc<Identity>>().unwrap())
    };
    let first = identity(json!({})).await;
    assert!(Arc::ptr_eq(&first, &identity(json!({ "dns": ["*.internal"] })).await));
    assert_eq!(identity(json!({ "identity": "uri" })).await.subject, "spiffe://example/prod/billing");
    assert!(Arc::ptr_eq(&first, &identity(json!({})).await));
}
