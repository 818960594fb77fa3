//! No report shows a secret, however the file is broken.

use crate::harness::command;
use std::fs;

const GOOD: &str = "version: 1\nlisteners: { web: { address: \"127.0.0.1:3000\" } }\nroutes: { r: { path: /, respond: { text: x } } }\n";

/// Each with a mistake near the secret `S3cret`.
const BROKEN: [&str; 35] = [
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
];

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
