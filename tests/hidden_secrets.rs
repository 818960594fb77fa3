//! No report shows a secret, however the file is broken.

use crate::harness::command;
use std::fs;

const GOOD: &str = "version: 1\nlisteners: { web: { address: \"127.0.0.1:3000\" } }\nroutes: { r: { path: /, respond: { text: x } } }\n";

/// Each with a mistake near the secret `S3cret`.
const BROKEN: [&str; 51] = [
    r#"admin: { address: "127.0.0.1:9901" token: "S3cret" }"#,
    "admin: { address: 127.0.0.1:9901 token: S3cret }",
    r#"admin: { address: "127.0.0.1:9901", token: abc,S3cret }"#,
    r#"admin: { address: "127.0.0.1:9901", tokn: abc,S3cret }"#,
    r#"admin: { address: "127.0.0.1:9901", token: "${env.N:-S3cret" }"#,
    r#"admin: { address: "127.0.0.1:9901", token: !S3cret }"#,
    r#"admin: { address: "127.0.0.1:9901", token: pa${S3cret}w }"#,
    r#"admin: { address: "127.0.0.1:9901", token: [S3cret] }"#,
    r#"admin: { address: "127.0.0.1:9901", token: {S3cret: 1} }"#,
    r#"admin: { address: "127.0.0.1:9901", token: *S3cret }"#,
    "plugins: { login: { jwt: { issuer: x, audiences: [a], algorithms: [HS256], secret: abc,S3cret } } }",
    "plugins: { login: { jwt: { issuer: x, audiences: [a], algorithms: [HS256], secret: S3cret{w} } } }",
    "plugins: { login: { jwt: { issuer: a: b, audiences: [a], algorithms: [HS256], secret: S3cret } }",
    r#"telemetry: { traces: { otlp: { endpoint: "http://a:1", headers: { authorization: Bearer S3cret: x } } } }"#,
    r#"telemetry: { traces: { otlp: { endpoint: "http://a:1", headers: { authorization: Bearer x,S3cret } } } }"#,
    "plugins: { h: { headers: { request: { set: { authorization: Bearer S3cret{w} } } } } }",
    "plugins: { h: { headers: { request: { set: { authorization: Bearer x,S3cret } } } } }",
    r#"admin: { address: "127.0.0.1:9901", token: &S3cret x, foo: 1 }"#,
    r#"admin: { address: "127.0.0.1:9901", token: &S3cret x: y }"#,
    r#"admin: { address: "127.0.0.1:9901", token: S3&cret, foo: 1 }"#,
    r#"admin: { address: "127.0.0.1:9901", token: &S3cret [x], foo: 1 }"#,
    "admin: { token: &S3cret \"x\" }",
    "admin:\n  address: \"127.0.0.1:9901\"\n  token: &S3cret x",
    "admin:\n  address: \"127.0.0.1:9901\"\n  token:\n    &S3cret\n    x",
    "admin: { <<: { token: S3cret }, token: S3cret, foo: 1 }",
    r#"admin: { address: "127.0.0.1:9901", token: S3cret, token: S3cret }"#,
    "admin: { token: x }\nadmin: { token: S3cret }",
    "plugins:\n  a: { headers: { request: { set: { x-api-key: x, x-api-key: S3cret } } } }",
    "plugins:\n  a: { timeout: {} }\n  a:\n    jwt:\n      secret: S3cret",
    "plugins:\n  login:\n    jwt:\n      secret: |\nS3cret\n      issuer: x",
    "plugins:\n  login:\n    jwt:\n      secret: >-\n  S3cret\n      issuer: x",
    "plugins:\n  login:\n    jwt:\n      secret:\nS3cret\n      issuer: x",
    r#"admin: { token: "${JWT_SECRET:-S3cret}" }"#,
    r#"admin: { token: "${env.X-S3cret}" }"#,
    r#"admin: { token: "${env.X:S3cret}", foo: 1 }"#,
    r#"upstreams: { a: { targets: [{ url: "http://h:1/?token=S3cret&x=S3cret" }] } }"#,
    "upstreams: { a: { targets: [{ url: 'http://h:1/?token=a S3cret' }] } }",
    r#"plugins: { l: { jwt: { issuer: x, audiences: [a], algorithms: [RS256], jwks: { url: "ftp://h/?key=S3cret" } } } }"#,
    "plugins: { l: { jwtt: { issuer: x, secret: S3cret } } }",
    "plugins: { l: { jwt: { issuer: x, audiences: [a], algorithms: [HS256], secrt: S3cret } } }",
    "plugins: { l: { jwt: { isuer: x, secret: abc,S3cret } } }",
    "plugins: { l: { jwt: { issuer: x, secret: S3cret }, timeout: { request: 1s } } }",
    "plugins: { l: { vault: { path: /x, S3cret: 1, key: [S3cret], pass: { text: S3cret }, more: { to: u:S3cret@h } } } }",
    "plugins: { l: { headers: { request: { sett: { authorization: S3cret }, add: { x: y } } } } }",
    "plugins: { l: { headers: { reqest: { set: { authorization: S3cret } } } } }",
    "upstreams: { a: { pass: S3cret, targets: [{ url: \"http://h:1\" }] } }",
    "admin: [{ address: \"127.0.0.1:9901\", token: S3cret }]",
    "admin: { tokens: { text: S3cret } }",
    "routez: { a: { path: /, respons: { headers: { x-key: S3cret } } } }",
    "admin: { auth: &S3cret [a, b] }",
    "stores: { m: { url: 'mysql://h/db?key=S3cret' } }",
];

/// Lines that must be shown as they are, with only what may be a secret masked: a user looks for a typo in them.
const SHOWN: [(&str, &str); 12] = [
    ("routez: { a: { path: /a, respond: { json: { message: hello } } } }", "respond: { json: { message: hello } } } }"),
    (
        "x: { hello: { path: /hello, respnd: { json: { message: hello } } } }",
        "x: { *****: { path: /hello, ******: { json: { message: ***** } } } }",
    ),
    (
        "upstreams: { a: { healh_checks: { active: { path: /x } }, targets: [{ url: \"http://h:1\" }] } }",
        "healh_checks: { active: { path: /x } }, t",
    ),
    ("admin: { address: \"127.0.0.1:9901\", tokn: \"S3cret\" }", "tokn: \"******\" }"),
    (
        "plugins: { l: { jwtt: { issuer: x, audiences: [a], secret: S3cret } } }",
        "jwtt: { issuer: x, audiences: [a], secret: ****** } } }",
    ),
    ("plugins: { l: { basic: { htpasswd_fle: users } } }", "htpasswd_fle: users } } }"),
    (
        "plugins: { l: { jwt: { secret: S3cret }, timeout: { request: 1s } } }",
        "jwt: { secret: ****** }, timeout: { request: 1s } } }",
    ),
    ("plugins: { l: { headers: { reqest: { set: { x-a: S3cret } } } } }", "reqest: { set: { x-a: ****** } } } } }"),
    ("upstreams: { a: { targets: [{ url: \"http://h:1/?token=S3cret\" }] } }", "\"http://h:1/?token=******\" }] } }"),
    ("routes2: &r { a: { path: / } }", "routes2: &r { a: { path: / } }"),
    // A file that is not valid YAML.
    (
        "routes: { a: { path: /a, respnd: { json: { message: hello } } }",
        "{ *: { path: /a, respnd: { json: { *******: ***** } } }",
    ),
    ("plugins: { l: { jwt: { issuer: x, secret: S3cret } }", "plugins: { *: { jwt: { issuer: *, secret: ****** } }"),
];

#[test]
fn a_report_masks_values_that_may_be_secrets_and_neither_brackets_nor_known_keys() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.yaml");
    for (line, shown) in SHOWN {
        fs::write(&file, format!("version: 1\nlisteners: {{ web: {{ address: \"127.0.0.1:3000\" }} }}\n{line}\n"))
            .unwrap();
        let output = command(folder.path()).arg("check").arg(&file).output().unwrap();
        let report = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        assert!(report.contains(shown), "{line}\n{report}");
    }
}

#[test]
fn the_help_about_a_url_with_a_password_is_not_masked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.yaml");
    fs::write(&file, format!("{GOOD}stores: {{ m: {{ url: \"postgres://app:S3cret@h:x/db\" }} }}\n")).unwrap();
    let output = command(folder.path()).arg("check").arg(&file).output().unwrap();
    let report = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    assert!(report.contains("write `postgres://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full`"), "{report}");
    assert!(!report.contains("S3cret"), "{report}");
}

#[test]
fn no_report_shows_a_secret_next_to_a_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.yaml");
    for broken in BROKEN {
        fs::write(&file, format!("{GOOD}{broken}\n")).unwrap();
        for format in ["human", "json", "sarif"] {
            let output = command(folder.path()).args(["check", "--format", format]).arg(&file).output().unwrap();
            let report = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
            assert_eq!(output.status.code(), Some(1), "{broken}\n{report}");
            assert!(!report.contains("S3cret"), "{broken}\n{report}");
        }
    }
}
