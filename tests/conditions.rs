//! Plugins that run under a condition, plugins that only observe, and conditions of `authorize`.

use crate::harness::{Answer, Gateway, HEAD, command};
use serde_json::{Value, json};
use std::path::Path;

const SECRET: &str = "Vt4yQ8mKz2RbX6nLw9DcH3sGf7JpT5ae";

const CONDITIONS: &str = r#"
environment: development
listeners: { web: { address: "127.0.0.1:0", chain: edge, trusted_proxies: [127.0.0.1/32] } }
plugins:
  request-id: { request_id: {} }
  inside: { ip_filter: { allow: [10.0.0.0/8] } }
  login: { jwt: { issuer: a, audiences: [b], algorithms: [HS256], secret: "Vt4yQ8mKz2RbX6nLw9DcH3sGf7JpT5ae", on_missing: continue } }
  paid: { authorize: { cel: "auth.claims.plan in ['pro', 'team']" } }
  marked: { headers: { response: { set: { x-marked: "yes" } } } }
chains:
  edge: [request-id, { use: inside, when: "request.path.startsWith('/internal')" }]
  api: [login, { use: marked, when: "has(auth.subject) && auth.claims.level > 2" }]
routes:
  home:     { path: /, respond: { text: home } }
  internal: { path: "/internal/{*rest}", respond: { text: internal } }
  api:      { path: /api, chain: api, respond: { text: api } }
  reports:  { path: /reports, chain: api, without: [marked], plugins: [paid], respond: { text: reports } }
"#;

fn head() -> String {
    HEAD.replace("level: info", "level: info, access: { fields: [path, status, outcome, plugin, reason, observed] }")
}

fn token(folder: &Path, arguments: &[&str]) -> String {
    let output = command(folder).args(["token", "--sub", "u1"]).args(arguments).arg("gateway.yaml").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    format!("Bearer {}", String::from_utf8(output.stdout).unwrap().trim())
}

fn ask(gateway: &Gateway, path: &str, token: Option<&str>) -> Answer {
    let headers: Vec<_> = token.iter().map(|token| ("authorization", *token)).collect();
    gateway.send("GET", path, &headers, "")
}

#[test]
fn a_plugin_runs_only_for_requests_that_meet_its_condition() {
    let mut gateway = Gateway::start_whole(&(head() + CONDITIONS));
    let from = |client: &str, path: &str| gateway.send("GET", path, &[("x-forwarded-for", client)], "").status;
    assert_eq!((from("192.0.2.1", "/"), from("10.1.2.3", "/")), (200, 200));
    assert_eq!((from("192.0.2.1", "/internal/a"), from("10.1.2.3", "/internal/a")), (403, 200));
    // The path is compared in normal form.
    assert_eq!(from("192.0.2.1", "/%69nternal/a"), 403);

    let marked = |answer: &Answer| answer.header("x-marked").is_some();
    let high = token(gateway.folder(), &["--claim", "level=3", "--claim", "plan=pro"]);
    let low = token(gateway.folder(), &["--claim", "level=1"]);
    assert!(marked(&ask(&gateway, "/api", Some(&high))));
    assert!(!marked(&ask(&gateway, "/api", Some(&low))) && !marked(&ask(&gateway, "/api", None)));

    // Neither true nor false: the request is rejected.
    let text = token(gateway.folder(), &["--claim", "level=high"]);
    let refused = ask(&gateway, "/api", Some(&text));
    assert_eq!((refused.status, marked(&refused)), (403, false));
    gateway.wait_for_log(|line| line["reason"] == "condition_failed" && line["plugin"] == "api/marked");

    for (token, status) in [(Some(&high), 200), (Some(&low), 403), (None, 401)] {
        assert_eq!(ask(&gateway, "/reports", token.map(String::as_str)).status, status);
    }
    gateway.wait_for_log(|line| line["reason"] == "cel_error" && line["plugin"] == "reports/paid");
}

#[test]
fn a_plugin_that_only_observes_changes_no_byte_and_is_counted() {
    let observing = |mode: &str| {
        format!(
            r#"{}
listeners: {{ web: {{ address: "127.0.0.1:0", chain: edge }} }}
plugins:
  office: {{ ip_filter: {{ allow: [10.0.0.0/8] }} }}
  login: {{ jwt: {{ issuer: a, audiences: [b], algorithms: [HS256], secret: "{SECRET}" }} }}
  few: {{ rate_limit: {{ key: client.ip, quota: 1, window: 1h }} }}
  sso: {{ forward_auth: {{ url: "http://127.0.0.1:9/verify", timeout: 1s }} }}
chains:
  edge: [{{ use: office, mode: {mode} }}, {{ use: login, mode: {mode} }}, {{ use: few, mode: {mode} }}, {{ use: sso, mode: {mode} }}]
routes: {{ home: {{ path: /, respond: {{ text: home, headers: {{ x-own: "1" }} }} }} }}
"#,
            head().replace("telemetry: {", "telemetry: { metrics: { prometheus: {} },")
        )
    };
    let mut gateway = Gateway::start_whole(&observing("observe"));
    let plain = Gateway::start(
        r#"
listeners: { web: { address: "127.0.0.1:0", chain: edge } }
chains: { edge: [] }
routes: { home: { path: /, respond: { text: home, headers: { x-own: "1" } } } }
"#,
    );
    let comparable = |gateway: &Gateway| {
        let answer = gateway.get("/");
        let fields: Vec<_> = answer.headers.iter().filter(|(name, _)| name != "date").cloned().collect();
        (answer.status, fields, answer.body)
    };
    for _ in 0..3 {
        assert_eq!(comparable(&gateway), comparable(&plain));
    }
    let line = gateway.wait_for_log(|line| line["observed"].as_str().is_some_and(|seen| seen.contains("few")));
    let seen = line["observed"].as_str().unwrap();
    assert!(seen.contains("web/office:address_not_allowed") && seen.contains("web/login:"), "{line}");
    assert_eq!((&line["outcome"], &line["status"]), (&json!("passed"), &json!(200)), "{line}");

    let metrics = gateway.admin("GET", "/metrics").body;
    let counted =
        r#"gateway_plugin_observed_total{gateway_plugin="web/office",gateway_reason="address_not_allowed"} 3"#;
    assert!(metrics.contains(counted), "{metrics}");

    // The same file without `mode` rejects the request, so the observation was about something.
    assert_eq!(gateway_enforcing(&observing("enforce")), 403);
}

fn gateway_enforcing(yaml: &str) -> u16 {
    Gateway::start_whole(yaml).get("/").status
}

fn check(rest: &str) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("gateway.yaml"), format!("version: 1\n{rest}")).unwrap();
    let output = command(folder.path()).args(["check", "gateway.yaml"]).output().unwrap();
    (
        output.status.success(),
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout),
    )
}

#[test]
fn what_runs_under_a_condition_or_only_observes_provides_nothing() {
    let with = |chain: &str| {
        check(&format!(
            r#"listeners: {{ web: {{ address: "127.0.0.1:3000" }} }}
plugins:
  login: {{ jwt: {{ issuer: a, audiences: [b], algorithms: [HS256], secret: "{SECRET}" }} }}
  admin: {{ authorize: {{ role: admin }} }}
  slow: {{ timeout: {{ request: 1s }} }}
chains: {{ api: {chain} }}
routes: {{ a: {{ path: /, chain: api, respond: {{ text: a }} }} }}
"#
        ))
    };
    assert!(with("[login, admin, slow]").0);
    for (chain, message) in [
        ("[{ use: login, mode: observe }, admin]", "remove `mode: observe` from `login`: it only observes"),
        ("[{ use: login, when: \"request.method == 'GET'\" }, admin]", "remove `when` from `login`"),
        ("[{ use: slow, when: \"auth.subject == 'a'\" }]", "this condition requires a verified identity"),
        ("[{ use: slow, mode: observe }]", "`slow` rejects nothing, so there is nothing to observe"),
        ("[{ use: slow, when: \"request.pth == '/'\" }]", "did you mean `request.path`?"),
        ("[{ use: slow, when: \"\" }]", "an expression must not be empty"),
        ("[{ use: slow, mode: watch }]", "observe"),
    ] {
        let (good, said) = with(chain);
        assert!(!good && said.contains(message), "{chain}: {said}");
    }
}

#[test]
fn explain_shows_conditions_and_who_only_observes() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = CONDITIONS
        .replace("chains:\n", "chains:\n  seen: [{ use: inside, mode: observe }]\n")
        .replace("home:     { path: /,", "home:     { path: /, chain: seen,");
    std::fs::write(folder.path().join("gateway.yaml"), head() + &yaml).unwrap();
    let explain = |arguments: &[&str]| {
        let output = command(folder.path()).arg("explain").args(arguments).arg("gateway.yaml").output().unwrap();
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr)
    };
    let said = explain(&["GET", "/internal/a"]);
    assert!(said.contains("only if request.path.startsWith('/internal')"), "{said}");
    let said = explain(&["GET", "/"]);
    assert!(said.contains("only observes: it rejects nothing"), "{said}");
    let said: Value = serde_json::from_str(&explain(&["GET", "/", "--json"])).unwrap();
    assert_eq!(said["steps"][2]["step"]["observes"].as_bool().or(said["steps"][2]["observes"].as_bool()), Some(true));
}

const VALIDATED: &str = r#"
listeners: { web: { address: "127.0.0.1:0" } }
plugins:
  order:
    request_validation:
      body: { schema_file: order.json, max: 64KiB }
stores: { main: { url: "sqlite://data/orders.db" } }
resources: { orders: { store: main, access: { default: public }, fields: { item: { type: text }, pieces: { type: integer } } } }
routes: { orders: { path: /orders, plugins: [STEP], resource: orders } }
"#;

const SCHEMA: &str =
    r#"{ "type": "object", "properties": { "pieces": { "type": "integer", "minimum": 1 } }, "required": ["item"] }"#;

#[test]
fn bodies_are_validated_before_they_reach_the_target_or_only_observed() {
    let start = |step: &str| {
        let yaml = head() + &VALIDATED.replace("STEP", step);
        Gateway::start_in(&[("gateway.yaml", &yaml), ("order.json", SCHEMA)])
    };
    let post = |gateway: &Gateway, body: &Value| gateway.json("POST", "/orders", body);
    let enforcing = start("order");
    assert_eq!(post(&enforcing, &json!({ "item": "tea", "pieces": 1 })).status, 201);
    let refused = post(&enforcing, &json!({ "pieces": 0 }));
    let details: Vec<_> = refused.json()["details"].as_array().unwrap().iter().map(|it| it["field"].clone()).collect();
    assert_eq!((refused.status, details), (400, vec![json!("item"), json!("pieces")]), "{refused:?}");
    assert_eq!(enforcing.get("/orders").json().as_array().map(Vec::len).or(Some(1)), Some(1));

    let mut observing = start("{ use: order, mode: observe }");
    assert_eq!(post(&observing, &json!({ "item": "tea", "pieces": -5 })).status, 201);
    observing.wait_for_log(|line| line["observed"] == "orders/order:schema");
    // A body that is too large for the plugin reaches the target whole.
    let long = "a".repeat(100_000);
    assert_eq!(post(&observing, &json!({ "item": long })).status, 201);
    observing.wait_for_log(|line| line["observed"] == "orders/order:body_too_large");
    let stored = observing.get("/orders").body;
    assert!(stored.contains(&long), "{} bytes", stored.len());
    assert_eq!(post(&enforcing, &json!({ "item": long })).status, 413);
}
