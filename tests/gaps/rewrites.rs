//! `check` follows rewrites when it looks for ways around a guard.

use super::{HEAD, said, said_beside, warnings, with_rest};

/// A route that is open, the guarded one, and the path through which the first reaches what the second protects.
const BYPASSES: &[(&str, &str, &str)] = &[
    ("path_prefix: /x, rewrite: { strip_prefix: /x, add_prefix: /admin }", "path_prefix: /admin", "/x/{*rest}"),
    ("path_prefix: /users, rewrite: { add_prefix: /admin }", "path_prefix: /admin/users", "/users/{*rest}"),
    ("path_prefix: /v1/admin", "path_prefix: /admin, rewrite: { add_prefix: /v1 }", "/v1/admin/{*rest}"),
    ("path_prefix: /open, rewrite: { replace: \"/{rest}\" }", "path_prefix: /admin", "/open/admin/{*rest}"),
    ("path: /open, rewrite: { replace: /admin }", "path: /admin", "/open"),
    ("path: \"/u/{id}\", rewrite: { replace: \"/users/{id}\" }", "path: \"/users/{id}\"", "/u/{id}"),
    ("path: \"/u/{id}\", rewrite: { replace: \"/{id}/users\" }", "path: /admin/users", "/u/admin"),
    ("path: /secret", "path: /admin, rewrite: { replace: /secret }", "/secret"),
    ("path_prefix: /users", "path: \"/u/{id}\", rewrite: { replace: \"/users/{id}\" }", "/users/{id}"),
    (
        "path_prefix: /, rewrite: { regex: { pattern: \"/old(/.*)\", to: \"/{1}\" } }",
        "path_prefix: /admin",
        "/old/admin/{*rest}",
    ),
    (
        "path_prefix: /, rewrite: { regex: { pattern: \"/[a-z]{2}/(.*)\", to: \"/{1}\" } }",
        "path_prefix: /admin",
        "/aa/admin/{*rest}",
    ),
    (
        "path: \"/{u}\", rewrite: { regex: { pattern: \"/u([0-9]+)\", to: \"/users/{1}\" } }",
        "path: \"/users/{id}\"",
        "/u0",
    ),
    (
        "path_prefix: /users",
        "path_prefix: /u, rewrite: { regex: { pattern: \"/u/([0-9]+)\", to: \"/users/{1}\" } }",
        "/users/0",
    ),
    ("path_prefix: /, mirror: { upstream: app }, upstream: other", "path: /admin", "/admin/"),
];

#[test]
fn every_kind_of_rewrite_is_followed() {
    for (rest, matching, which) in BYPASSES {
        let upstream = if rest.contains("upstream: other") { "" } else { ", upstream: app" };
        let said = said(&format!("{rest}{upstream}"), &format!("{matching}, upstream: app"));
        let key = if matching.starts_with("path_prefix") { "path_prefix" } else { "path" };
        assert_eq!(said, with_rest(key, &format!("for `{which}`"), "server"), "{matching} beside {rest}");
    }
}

#[test]
fn rewrites_that_cannot_reach_a_guarded_path_are_silent() {
    for (rest, matching) in [
        ("path_prefix: /assets, rewrite: { strip_prefix: /assets, add_prefix: /static }", "path_prefix: /admin"),
        ("path_prefix: /admin, methods: [GET]", "path_prefix: /admin, rewrite: { add_prefix: /v1 }, methods: [POST]"),
        ("path_prefix: /assets, rewrite: { replace: \"/static/{rest}\" }", "path_prefix: /admin"),
        ("path_prefix: /, rewrite: { replace: /index.html }", "path_prefix: /api"),
        (
            "path_prefix: /, rewrite: { regex: { pattern: \"/assets/(.*)\", to: \"/static/{1}\" } }",
            "path_prefix: /admin",
        ),
        ("path_prefix: /, rewrite: { regex: { pattern: \"/u([0-9]+)\", to: \"/{1}\" } }", "path_prefix: /admin"),
        ("path_prefix: /, rewrite: { regex: { pattern: \"/(.*)\", to: \"/v2/{1}\" } }", "path_prefix: /admin"),
        // The file names a deeper path, or a whole one.
        ("path: /login, rewrite: { replace: /admin/login }", "path_prefix: /admin"),
        ("path: /admin-page, rewrite: { replace: /admin }", "path_prefix: /admin"),
        (
            "path_prefix: /x, rewrite: { regex: { pattern: \"/x/(.*)\", to: \"/admin/public/{1}\" } }",
            "path_prefix: /admin",
        ),
        ("path_prefix: /pub, rewrite: { replace: \"/admin/public/{rest}\" }", "path_prefix: /admin"),
    ] {
        let said = said_beside(&format!("{rest}, upstream: app"), &format!("{matching}, upstream: app"));
        assert_eq!(said, [], "{matching} beside {rest}");
    }
    // A guarded route that copies its requests does not protect the copies.
    let mirrored = "  guarded: { path_prefix: /a, plugins: [login], upstream: app, mirror: { upstream: other } }\n";
    assert_eq!(warnings(HEAD, &format!("{mirrored}  rest: {{ path_prefix: /, upstream: other }}")), []);
}

#[test]
fn an_expression_that_cannot_be_compared_is_a_warning() {
    // The values of the groups depend on each other.
    for (pattern, to, guarded) in
        [("/([a-z]+)\\\\B(.*)", "/{1}/{2}", "/admin/users"), ("/(x|admin)(?:\\\\b|y)", "/{1}{1}", "/xadmin")]
    {
        let rest = format!(
            "path: \"/{{page}}\", rewrite: {{ regex: {{ pattern: \"{pattern}\", to: \"{to}\" }} }}, upstream: app"
        );
        let (key, message) = said(&rest, &format!("path: {guarded}, upstream: app"));
        let expected = "some requests may reach the same server through route `rest`, bypassing `login`";
        assert_eq!((&*key, &*message), ("path", expected), "{pattern}");
    }
}
