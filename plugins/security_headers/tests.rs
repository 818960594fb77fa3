//! What browsers receive, from targets with and without headers of their own.

use super::*;
use gatewright_sdk::testing::{answers, compile, faults, header, install, request};
use serde_json::{Value, json};

/// The response for a client that uses `scheme`, if the target sets `own`.
async fn response(settings: Value, scheme: Scheme, own: &[(&'static str, &'static str)]) -> Response {
    let own = own.to_vec();
    let target = answers(move |_| {
        let mut response = Response::default();
        for (name, value) in &own {
            response.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        response
    });
    let mut request = request("GET", &[]);
    Facts::of_mut(&mut request).client.scheme = scheme;
    install::<SecurityHeaders>(settings, target).call(request).await
}

#[tokio::test]
async fn the_defaults_are_strict_and_each_can_be_changed_or_left_alone() {
    let plain = response(json!({}), Scheme::Http, &[]).await;
    assert_eq!(plain.headers().len(), 6, "{:?}", plain.headers());
    for (name, value) in [
        ("x-frame-options", "DENY"),
        ("content-security-policy", "frame-ancestors 'none'"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(header(&plain, name), value);
    }
    assert!(header(&plain, "permissions-policy").contains("camera=(), "));
    let secure = response(json!({}), Scheme::Https, &[]).await;
    assert_eq!(header(&secure, "strict-transport-security"), "max-age=63072000; includeSubDomains");
    let changed = json!({
        "strict_transport_security": "max-age=300",
        "frame_options": "SAMEORIGIN",
        "content_security_policy": "default-src 'self'",
        "referrer_policy": "none",
        "permissions_policy": "none",
        "cross_origin_opener_policy": "same-origin-allow-popups",
        "cross_origin_resource_policy": "none",
        "cross_origin_embedder_policy": "require-corp",
    });
    let changed = response(changed, Scheme::Https, &[("referrer-policy", "origin")]).await;
    assert_eq!(changed.headers().len(), 6, "{:?}", changed.headers());
    for (name, value) in [
        ("strict-transport-security", "max-age=300"),
        ("x-frame-options", "SAMEORIGIN"),
        ("content-security-policy", "default-src 'self'"),
        ("referrer-policy", "origin"),
        ("cross-origin-opener-policy", "same-origin-allow-popups"),
        ("cross-origin-embedder-policy", "require-corp"),
    ] {
        assert_eq!(header(&changed, name), value);
    }
}

#[tokio::test]
async fn values_of_the_target_are_kept_or_replaced_and_never_doubled() {
    let own = [
        ("strict-transport-security", "max-age=1"),
        ("referrer-policy", "origin"),
        ("cross-origin-resource-policy", "cross-origin"),
        ("cross-origin-resource-policy", "same-site"),
        ("x-content-type-options", "other"),
    ];
    let kept = response(json!({}), Scheme::Https, &own).await;
    for (name, value) in [
        ("strict-transport-security", "max-age=1"),
        ("referrer-policy", "origin"),
        ("cross-origin-resource-policy", "cross-origin, same-site"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        assert_eq!(header(&kept, name), value);
    }
    let replace = json!({ "existing": "override" });
    let replaced = response(replace.clone(), Scheme::Https, &own).await;
    for (name, value) in [
        ("strict-transport-security", "max-age=63072000; includeSubDomains"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(header(&replaced, name), value);
    }
    // RFC 6797 section 7.2.
    assert_eq!(header(&response(replace, Scheme::Http, &own).await, "strict-transport-security"), "");
}

#[tokio::test]
async fn who_may_frame_a_response_remains_the_choice_of_the_target() {
    let settings = json!({ "content_security_policy": "default-src 'self'; Frame-Ancestors 'none'; base-uri 'self'" });
    for (own, frames, content) in [
        (&[("x-frame-options", "SAMEORIGIN")][..], "SAMEORIGIN", "default-src 'self'; base-uri 'self'"),
        (&[("content-security-policy", "frame-ancestors 'self'")], "", "frame-ancestors 'self'"),
        (
            &[("content-security-policy", "img-src *, frame-ancestors https://a.example")],
            "",
            "img-src *, frame-ancestors https://a.example",
        ),
        (&[("content-security-policy", "default-src 'self'")], "DENY", "default-src 'self'"),
    ] {
        let response = response(settings.clone(), Scheme::Http, own).await;
        assert_eq!(header(&response, "x-frame-options"), frames, "{own:?}");
        assert_eq!(header(&response, "content-security-policy"), content, "{own:?}");
    }
    let own = [("x-frame-options", "SAMEORIGIN")];
    let response = response(json!({}), Scheme::Http, &own).await;
    assert_eq!(header(&response, "content-security-policy"), "", "nothing is left of the default");
}

#[test]
fn values_that_browsers_would_ignore_are_faults() {
    for (key, value, fault) in [
        ("strict_transport_security", "includeSubDomains", "`max-age` must be a number of seconds"),
        ("strict_transport_security", "max-age=1y", "`max-age` must be a number of seconds"),
        ("strict_transport_security", "max-age=1, includeSubDomains", "`max-age` must be a number of seconds"),
        ("strict_transport_security", "max-age=1; subdomains", "`subdomains` is not a valid directive"),
        ("content_security_policy", "default-src self", "`self` without quotes is a host name"),
        ("content_security_policy", "default-src: 'self'", "`default-src:` is not a valid directive"),
        ("content_security_policy", "", "`content_security_policy` must not be empty or contain a line break"),
        (
            "content_security_policy",
            "default-src 'self';\nimg-src *",
            "`content_security_policy` must not be empty or contain a line break",
        ),
        ("permissions_policy", "camera 'none'", "`camera 'none'` is not a valid member of `Permissions-Policy`"),
        ("permissions_policy", "camera=(), usb", "`usb` is not a valid member of `Permissions-Policy`"),
    ] {
        let found = faults::<SecurityHeaders>(json!({ key: value }), false);
        assert_eq!(found, [format!("{key}: {fault}")], "{value}");
    }
    for value in ["max-age=0", "Max-Age=\"31536000\" ; INCLUDESUBDOMAINS; preload;", "none"] {
        let compiled = compile::<SecurityHeaders>(json!({ "strict_transport_security": value }), false);
        assert!(compiled.faults.is_empty() && compiled.warnings.is_empty(), "{value}");
    }
    let short = compile::<SecurityHeaders>(json!({ "strict_transport_security": "max-age=300; preload" }), false);
    assert!(short.faults.is_empty() && short.warnings.len() == 1);
    let framed = compile::<SecurityHeaders>(json!({ "frame_options": "SAMEORIGIN" }), false);
    assert!(framed.faults.is_empty() && framed.warnings.len() == 1);
}

#[test]
fn a_plugin_without_headers_is_a_fault() {
    let none = [
        "strict_transport_security",
        "frame_options",
        "content_security_policy",
        "referrer_policy",
        "permissions_policy",
        "cross_origin_opener_policy",
        "cross_origin_resource_policy",
    ];
    let none: serde_json::Map<_, _> = none.map(|key| (key.to_owned(), json!("none"))).into_iter().collect();
    assert_eq!(faults::<SecurityHeaders>(Value::Object(none), false), ["every header is `none`"]);
}
