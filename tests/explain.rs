//! `gatewright explain`, for a file and on the running gateway.

mod requests;

use crate::harness::{Gateway, HEAD, command};
use serde_json::{Value, json};

const YAML: &str = r#"
listeners:
  web: { address: "127.0.0.1:0", chain: edge, trusted_proxies: [127.0.0.0/8] }
  inner: { address: "127.0.0.1:0" }
plugins:
  request-id: { request_id: {} }
  pages: { cors: { allow_origins: ["https://a.example"] } }
  slow: { timeout: { request: 3s } }
  small: { body_limit: { max: 1KiB } }
chains: { edge: [request-id, pages], api: [slow, small] }
routes:
  all:     { path_prefix: /, listeners: [web, inner], respond: { text: all } }
  orders:  { path: "/orders/{id}", chain: api, without: [small], respond: { text: order } }
  new:     { path: "/orders/{id}", methods: [PUT], headers: { x-new: "1" }, respond: { text: new } }
  host:    { path: /orders/7, hosts: [b.example], respond: { text: host } }
  hidden:  { path: /orders/8, listeners: [inner], limits: { body_bytes: 5B }, respond: { text: hidden } }
  only:    { path: /only, methods: [GET], hosts: [c.example], respond: { text: only } }
"#;

fn explain(arguments: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("gateway.yaml"), format!("{HEAD}{YAML}")).unwrap();
    let output =
        command(folder.path()).arg("explain").args(arguments).args(["--json", "gateway.yaml"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn others(explained: &Value) -> Vec<(&str, &str)> {
    let others = explained["others"].as_array().unwrap().iter();
    others.map(|lost| (lost["route"].as_str().unwrap(), lost["because"].as_str().unwrap())).collect()
}

#[test]
fn it_names_the_route_and_why_the_others_lose() {
    let explained = explain(&["GET", "http://a.example/orders/%38"]);
    assert_eq!(explained["path"], "/orders/8");
    assert_eq!(explained["outcome"]["name"], "orders");
    assert_eq!(explained["outcome"]["parameters"], json!([["id", "8"]]));
    assert_eq!(
        others(&explained),
        [
            ("hidden", "it serves only listener `inner`"),
            ("new", "it requires header `x-new`"),
            ("all", "`orders` takes precedence: an exact path beats a prefix"),
        ]
    );
    let steps: Vec<_> =
        explained["steps"].as_array().unwrap().iter().map(|step| step["plugin"].as_str().unwrap()).collect();
    assert_eq!(steps, ["request-id", "pages", "slow"]);
    assert_eq!(explained["steps"][2]["because"], "chain `api` of route `orders`");
    assert!(explained["steps"][2]["at"].as_str().unwrap().starts_with("gateway.yaml:"));
    assert_eq!(explained["without"], json!(["small"]));
    let limits: Vec<_> =
        explained["limits"].as_array().unwrap().iter().map(|bound| bound["limit"].as_str().unwrap()).collect();
    assert_eq!(
        limits,
        ["request body up to 2 MiB", "response must start within 3s", "response may pause for up to 1m"]
    );

    let put = explain(&["PUT", "/orders/7", "-H", "host: x.example", "-H", "x-new: 1"]);
    assert_eq!(put["outcome"]["name"], "new");
    assert_eq!(
        others(&put),
        [
            ("orders", "`new` takes precedence: it names its methods"),
            ("all", "`new` takes precedence: an exact path beats a prefix"),
            ("host", "it requires host `b.example`"),
        ]
    );
    let inner = explain(&["GET", "/orders/8", "--listener", "inner"]);
    assert_eq!(inner["outcome"]["name"], "hidden");
    assert_eq!(inner["steps"][0]["because"], "default chain of listener `inner`");
    let own = json!({ "who": "route `hidden`", "limit": "request body up to 5 B" });
    assert_eq!(inner["limits"].as_array().unwrap().iter().filter(|bound| **bound == own).count(), 1);
}

#[test]
fn it_explains_requests_that_match_no_route() {
    let preflight = ["-H", "origin: https://a.example", "-H", "access-control-request-method: PUT"];
    let of_route = explain(&[&["OPTIONS", "/orders/7"][..], &preflight].concat());
    assert_eq!(of_route["outcome"]["kind"], "preflight");
    assert_eq!(of_route["outcome"]["plugin"], "pages");
    let wrong = explain(&["POST", "http://c.example/only"]);
    assert_eq!(wrong["outcome"]["name"], "all", "the next best route takes it");
    assert_eq!(explain(&["GET", "/a/../b"])["outcome"]["status"], 400);
    assert_eq!(explain(&["GET", "/orders%2f7"])["outcome"]["kind"], "refused");
    let health = |method| explain(&[method, "/health/live"])["outcome"].clone();
    assert_eq!(health("GET"), json!({ "kind": "health", "about": "live", "method_allowed": true, "plugin": null }));
    assert_eq!(health("POST")["method_allowed"], false);
    assert_eq!(explain(&[&["OPTIONS", "/health/live"][..], &preflight].concat())["outcome"]["plugin"], "pages");
    assert_eq!(explain(&["OPTIONS", "*"])["outcome"]["kind"], "server");
    let of_server = explain(&[&["OPTIONS", "*"][..], &preflight].concat());
    assert_eq!((&of_server["outcome"]["kind"], &of_server["others"]), (&json!("preflight"), &json!([])));
    let no_method = ["OPTIONS", "/only", "-H", "origin: https://a.example", "-H", "access-control-request-method: P(T"];
    assert_eq!(explain(&no_method)["outcome"]["kind"], "preflight", "whatever it asks about");
}

#[test]
fn it_shows_the_plugin_that_checks_tokens_for_a_sign_in() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = r#"
listeners: { web: { address: "127.0.0.1:0" } }
stores: { main: { url: "sqlite::memory:" } }
plugins:
  slow: { timeout: { request: 3s } }
  bearer: { jwt: { issuer: here, audiences: [api], algorithms: [HS256], secret: "k7Qm2vXr9TfB4nLs8WdZ1pYc6HgJ3eRu" } }
chains: { edge: [slow] }
resources:
  users:
    store: main
    access: { create: public, default: { where: { id: $claims.sub } } }
    fields:
      email: { type: email, required: true, unique: { ignore_case: true } }
      password: { type: password, required: true, min: 8, accept_on: [create] }
routes:
  auth: { path: /auth, chain: edge, sign_in: { resource: users, token: { plugin: bearer } } }
"#;
    std::fs::write(folder.path().join("gateway.yaml"), format!("{HEAD}{yaml}")).unwrap();
    let steps = |method: &str, path: &str| -> Vec<(String, String)> {
        let output = command(folder.path()).args(["explain", method, path, "gateway.yaml", "--json"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let explained: Value = serde_json::from_slice(&output.stdout).unwrap();
        let text = |step: &Value, key: &str| step[key].as_str().unwrap().to_owned();
        let of_route = |step: &&Value| step["because"].as_str().unwrap().ends_with("of route `auth`");
        let steps = explained["steps"].as_array().unwrap().iter().filter(of_route);
        steps.map(|step| (text(step, "plugin"), text(step, "because"))).collect()
    };
    let slow = ("slow".to_owned(), "chain `edge` of route `auth`".to_owned());
    let bearer = ("bearer".to_owned(), "sign-in of route `auth`".to_owned());
    for (method, path) in [("GET", "/auth/me"), ("HEAD", "/auth/me"), ("POST", "/auth/password")] {
        assert_eq!(steps(method, path), [slow.clone(), bearer.clone()], "{method} {path}");
    }
    for (method, path) in
        [("POST", "/auth/login"), ("POST", "/auth/refresh"), ("GET", "/auth/jwks.json"), ("POST", "/auth/me")]
    {
        assert_eq!(steps(method, path), std::slice::from_ref(&slow), "{method} {path}");
    }
}

#[test]
fn it_names_the_routes_that_come_close_to_a_path() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = r#"
listeners: { web: { address: "127.0.0.1:0" }, inner: { address: "127.0.0.1:0" } }
routes:
  orders: { path: "/api/orders/{id}", methods: [GET], respond: { text: order } }
  list:   { path: /api/orders, methods: [GET], respond: { text: list } }
  hidden: { path: /api/orders/, listeners: [inner], respond: { text: hidden } }
  shop:   { path: /shop, hosts: [shop.example], respond: { text: shop } }
"#;
    std::fs::write(folder.path().join("gateway.yaml"), format!("{HEAD}{yaml}")).unwrap();
    let printed = |arguments: &[&str]| {
        let output = command(folder.path()).arg("explain").args(arguments).arg("gateway.yaml").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let missed = printed(&["GET", "/api/orders/"]);
    for part in [
        "\n  response      404: no route matches\n",
        "\n  near misses   `hidden` (gateway.yaml:",
        "): it serves only listener `inner`\n",
        "): its path `/api/orders` does not end with a slash\n",
        "): its path `/api/orders/{id}` has more segments\n",
    ] {
        assert!(missed.contains(part), "{part}\n{missed}");
    }
    assert!(printed(&["GET", "/api/order/7"]).contains("its path `/api/orders/{id}` has `orders`, not `order`"));
    assert!(printed(&["POST", "/api/orders"]).contains("405: this path accepts only GET, HEAD\n"));
    assert!(printed(&["GET", "/shop"]).contains("it requires host `shop.example`, and the request names none\n"));
    assert!(!printed(&["GET", "/nothing/like/that"]).contains("near misses"));
    let matched = printed(&["GET", "/api/orders/7"]);
    for part in
        ["\n  listener      `web`, 127.", "\n  route         `orders`, ", "\n  target        ", "\n  plugins       1. "]
    {
        assert!(matched.contains(part), "{part}\n{matched}");
    }
    assert!(matched.contains("\n  limits        listener `web`: "), "{matched}");
}

#[test]
fn explain_validates_a_head_as_admission_does() {
    let refused = |arguments: &[&str]| {
        let explained = explain(arguments);
        assert_eq!(
            (&explained["outcome"]["kind"], &explained["steps"]),
            (&json!("refused"), &json!([])),
            "{explained}"
        );
        (explained["outcome"]["status"].as_u64().unwrap(), explained["outcome"]["message"].as_str().unwrap().to_owned())
    };
    let invalid = "host: must be a name or an address, optionally with a port";
    for (arguments, status, message) in [
        (&["GET", "/", "-H", "host: a b"][..], 400, invalid),
        (&["GET", "http://a..example/"], 400, invalid),
        (&["GET", "http://a.example/", "-H", "host: b.example"], 400, "host: differs from the request target"),
        (&["GET", "/", "-H", "host: a", "-H", "host: a"], 400, "host: must be sent once"),
        (&["GET", "*"], 400, "path: must begin with a slash"),
        (&["GET", "a.example"], 400, "target: must be a path or a URL"),
        (&["delete", "/"], 400, "method: must be in upper case"),
        (&["TRACE", "/"], 405, "Method not allowed"),
        (&["GET", "/", "-H", "expect: more"], 417, "The only supported expectation is 100-continue"),
    ] {
        assert_eq!(refused(arguments), (status, message.to_owned()), "{arguments:?}");
    }
    assert_eq!(explain(&["GET", "/"])["outcome"]["name"], "all", "who asks about no host means any");
}

#[test]
fn the_running_gateway_gives_the_same_explanation_to_token_holders() {
    let gateway = Gateway::start(YAML);
    let query = "/explain?method=GET&url=/orders/8&header=x-new:%201&listener=inner";
    let answer = gateway.admin("GET", query);
    assert_eq!((answer.status, &answer.json()["outcome"]["name"]), (200, &json!("hidden")), "{}", answer.body);
    assert_eq!(gateway.admin("GET", "/explain?method=GET").status, 400, "no url");
    assert_eq!(gateway.admin("GET", "/explain?url=/&listener=nowhere").status, 400);
    assert_eq!(gateway.admin("GET", "/explain?uri=/").status, 400);
    assert_eq!(gateway.admin("POST", "/explain?url=/").status, 405);
}

#[test]
fn it_shows_how_requests_are_forwarded_and_the_maintenance_mode() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = r#"
listeners: { web: { address: "127.0.0.1:0" } }
maintenance: { enabled: true, except: [/plain] }
upstreams:
  one: { targets: [{ url: "http://127.0.0.1:1" }] }
  two: { targets: [{ url: "http://127.0.0.1:2" }] }
routes:
  plain: { path_prefix: /plain, upstream: one }
  all:
    path_prefix: /api
    split: [{ upstream: one, weight: 9 }, { upstream: two, weight: 1 }]
    sticky: { cookie: canary }
    rewrite: { strip_prefix: /api, add_prefix: /v2 }
    mirror: { upstream: two, percent: 10 }
    retry: { attempts: 3, retry_on: [timeout, "503"], per_try_timeout: 2s, methods: all }
"#;
    std::fs::write(folder.path().join("gateway.yaml"), format!("{HEAD}{yaml}")).unwrap();
    let explain = |path: &str| {
        let output = command(folder.path()).args(["explain", "GET", path, "gateway.yaml"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let shown = explain("/api/x");
    for line in [
        "  maintenance   503 before routing, until `maintenance.enabled` is false",
        "  split         one 9 (90 %), two 1 (10 %)",
        "  sticky        by the cookie `canary`",
        "  rewrite       removes `/api`, adds `/v2`",
        "  mirror        10 % of the requests to upstream two",
        "  retry         up to 3 on timeout, 503; all methods, 2s per try",
    ] {
        assert!(shown.lines().any(|printed| printed == line), "{line} in {shown}");
    }
    let shown = explain("/plain");
    assert!(!shown.contains("maintenance") && !shown.contains("rewrite"), "{shown}");
}
