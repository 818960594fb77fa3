//! The admin address and the health paths.

use crate::harness::{ADMIN_TOKEN, Gateway, HEAD, command, send};

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
fn health_needs_no_token_and_reports_the_state() {
    let gateway = Gateway::start(YAML);
    let summary = gateway.get("/health");
    assert_eq!((summary.status, summary.json()["status"].as_str()), (200, Some("ok")));
    assert_eq!(summary.json()["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(gateway.get("/health/live").status, 200);
    assert_eq!(gateway.get("/health/ready").status, 200);
    assert_eq!(gateway.send("POST", "/health/live", &[], "").status, 405);
}

#[test]
fn the_admin_address_requires_its_token_and_host_name() {
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
fn each_denied_request_is_one_audit_record_whatever_the_level() {
    let mut gateway = Gateway::start(YAML);
    std::fs::write(gateway.file(), HEAD.replace("level: info", "level: error") + YAML).unwrap();
    assert_eq!(gateway.admin("POST", "/reload").status, 200);
    let bearer = format!("Bearer {ADMIN_TOKEN}");
    let ask = |path: &str, headers: &[(&str, &str)]| send(gateway.admin, "GET", path, headers, "").status;
    ask("/status", &[("authorization", "Bearer wrong-token-0123456789")]);
    ask("/config", &[]);
    ask("/", &[("origin", "https://evil.example")]);
    ask("/status", &[("authorization", &bearer)]);
    // People write the token into the path.
    ask(&format!("/{ADMIN_TOKEN}"), &[]);
    ask(&format!("/status/{ADMIN_TOKEN}"), &[("authorization", "Bearer wrong-token-0123456789")]);
    ask(&format!("/status?token={ADMIN_TOKEN}"), &[]);
    let log = {
        gateway.signal("TERM");
        gateway.wait();
        gateway.whole_log()
    };
    let records: Vec<serde_json::Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let denied = records.iter().filter(|line| line["event"] == "admin_denied").map(|line| {
        assert_eq!((&line["target"], &line["client_ip"]), (&"gatewright::audit".into(), &"127.0.0.1".into()), "{line}");
        (line["path"].as_str().unwrap(), line["reason"].as_str().unwrap())
    });
    assert_eq!(
        denied.collect::<Vec<_>>(),
        [
            ("/status", "token_wrong"),
            ("/config", "token_missing"),
            ("/", "origin"),
            ("***", "token_missing"),
            ("***", "token_wrong"),
            ("/status", "token_missing"),
        ]
    );
    assert!(!log.contains(ADMIN_TOKEN), "{log}");
    assert!(records.iter().any(|line| line["event"] == "configuration_reloaded") && !log.contains("wrong-token"));
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

const OPEN: &str = r#"
listeners: { web: { address: "127.0.0.1:0", chain: edge }, "no": { address: "${env.NOWHERE:-127.0.0.1}:0" } }
plugins:
  id: { request_id: {} }
  calls: { rate_limit: { key: header.x-key, quota: 10, window: 90s } }
chains: { edge: [id], api: [{ use: calls }] }
upstreams: { up: { targets: [{ url: "http://127.0.0.1:9" }] } }
routes:
  page: { path: /page, respond: { body_file: page.txt } }
  text: { path: "/{name}", chain: api, methods: [GET], respond: { json: { written: "$${so}", when: "12:30" } } }
  up:   { path_prefix: /up, limits: { body_bytes: 1MiB }, upstream: up }
"#;

#[test]
fn the_shown_configuration_is_equivalent() {
    let gateway = Gateway::start_in(&[("gateway.yaml", &format!("{HEAD}{OPEN}")), ("page.txt", "a page")]);
    let shown = gateway.admin("GET", "/config?format=yaml").body;
    let calls = "\n  calls:\n    rate_limit:\n      key: header.x-key\n      quota: 10\n      window: 1m 30s\n      cost: 1\n      ipv6_prefix: 64\n";
    assert!(shown.contains(calls), "{shown}");
    assert!(shown.contains("\n  \"no\":\n    address: ${env.NOWHERE:-127.0.0.1}:0\n"), "{shown}");
    let routes = |file: &str| {
        let output = command(gateway.folder()).args(["routes", file]).output().unwrap();
        assert!(output.status.success(), "{}\n{shown}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let again = shown.replacen("token: '***'", &format!("token: {ADMIN_TOKEN}"), 1);
    assert!(!again.contains("***"), "{shown}");
    std::fs::write(gateway.folder().join("shown.yaml"), &again).unwrap();
    assert_eq!(routes("shown.yaml"), routes("gateway.yaml"));
    std::fs::write(gateway.file(), &again).unwrap();
    assert_eq!(gateway.admin("POST", "/reload").json()["generation"], 2);
    assert_eq!(gateway.admin("GET", "/config?format=yaml").body, shown);
    let files = gateway.admin("GET", "/status").json()["files"].clone();
    assert_eq!(
        files,
        serde_json::json!({ "page.txt": "9a8eeff1d0bc6b9b7acf170b1168d6d07f193dc770d4c1864b03e48d775e8d1a" })
    );
}
