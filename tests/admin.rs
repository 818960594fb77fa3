//! The admin address and the health paths.

use crate::harness::{ADMIN_TOKEN, Gateway, send};

const YAML: &str = r#"
listeners: { web: { address: "127.0.0.1:0", chain: edge } }
stores: { main: { url: "sqlite://data/things.db" } }
plugins:
  login: { jwt: { issuer: iss, audiences: [api], algorithms: [HS256], secret: "a-literal-secret-in-the-file-0123456789" } }
chains: { edge: [login] }
resources: { things: { store: main, access: { default: public }, fields: { title: { type: string } } } }
routes: { things: { path: /things, resource: things } }
"#;

#[test]
fn health_needs_no_token_and_says_what_is() {
    let gateway = Gateway::start(YAML);
    let summary = gateway.get("/health");
    assert_eq!((summary.status, summary.json()["status"].as_str()), (200, Some("ok")));
    assert_eq!(summary.json()["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(gateway.get("/health/live").status, 200);
    assert_eq!(gateway.get("/health/ready").status, 200);
    assert_eq!(gateway.send("POST", "/health/live", &[], "").status, 405);
}

#[test]
fn the_admin_address_wants_its_token_and_its_own_name() {
    let gateway = Gateway::start(YAML);
    let bearer = format!("Bearer {ADMIN_TOKEN}");
    let ask = |headers: &[(&str, &str)]| send(gateway.admin, "GET", "/status", headers, "").status;
    assert_eq!(ask(&[]), 401);
    assert_eq!(ask(&[("authorization", "Bearer wrong")]), 401);
    assert_eq!(ask(&[("authorization", &bearer)]), 200);
    assert_eq!(ask(&[("authorization", &bearer), ("origin", "https://evil.example")]), 403);
    assert_eq!(gateway.get("/status").status, 401, "the chain of the public listener answers there");
}

#[test]
fn the_running_configuration_is_shown_without_secrets() {
    let gateway = Gateway::start(YAML);
    let shown = gateway.admin("GET", "/config");
    assert_eq!((shown.status, shown.header("cache-control")), (200, Some("no-store")));
    assert!(shown.body.contains("things") && shown.body.contains("login"), "{}", shown.body);
    assert!(!shown.body.contains("a-literal-secret") && !shown.body.contains(ADMIN_TOKEN), "{}", shown.body);
}

#[test]
fn the_status_names_the_generation_and_the_files() {
    let gateway = Gateway::start(YAML);
    let status = gateway.admin("GET", "/status").json();
    assert_eq!(status["generation"], 1);
    assert!(status["since"].is_string() && status["hash"].is_string(), "{status}");
}
