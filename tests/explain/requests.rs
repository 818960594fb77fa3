//! Compares the output of `/explain` for many requests with the traces of the same requests.

mod generated;

use crate::collector::{Collector, Received};
use crate::harness::{Answer, Gateway, send_as_written};
use crate::tracing::{SERVER, traced_as, upstream};
use generated::{Asked, Generator};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use url::form_urlencoded;

const REQUESTS: usize = 800;

const YAML: &str = r#"
listeners:
  web:   { address: "127.0.0.1:0", chain: edge }
  inner: { address: "127.0.0.1:0" }
  front: { address: "127.0.0.1:0", chain: front, paths: { allow: [parameters] } }
stores: { main: { url: "sqlite://data/explained.db" } }
resources: { users: { store: main, access: { default: public }, fields: { name: { type: string } } } }
upstreams: { orders: { targets: [{ url: "http://UPSTREAM" }] } }
plugins:
  ids:    { request_id: {} }
  marks:  { headers: { response: { set: { x-mark: "1" } } } }
  pages:  { cors: { allow_origins: ["https://a.example"] } }
  apps:   { cors: { allow_origins: ["https://b.example"], allow_methods: [GET, PUT] } }
  slow:   { timeout: { request: 8s } }
  small:  { body_limit: { max: 8B } }
  scarce: { rate_limit: { key: client.ip, quota: 3, window: 1h } }
  login:  { jwt: { issuer: iss, audiences: [api], algorithms: [HS256], secret: "${env.JWT_SECRET}" } }
chains: { edge: [ids, marks], front: [marks, pages, ids], api: [slow, apps, small] }
routes:
  users:   { path: /api/users, chain: api, resource: users }
  orders:  { path: "/orders/{id}", methods: [GET, PUT], chain: api, without: [small], upstream: orders }
  canary:  { path: "/orders/{id}", methods: [GET], headers: { x-canary: "yes" }, respond: { status: 203, text: canary } }
  top:     { path: /orders/top, methods: [GET], respond: { text: top } }
  upload:  { path: /upload, methods: [POST, PUT], plugins: [small, marks], respond: { status: 202, text: taken } }
  scarce:  { path: /scarce, methods: [GET], plugins: [slow, scarce], respond: { text: scarce } }
  old:     { path_prefix: /old, methods: [GET], redirect: { to: "https://new.example/{rest}", status: 307 } }
  inside:  { path_prefix: /both, listeners: [inner], methods: [GET, DELETE], plugins: [apps], respond: { text: inside } }
  outside: { path_prefix: /both, listeners: [web, front], methods: [GET], respond: { status: 201, text: outside } }
  admin:   { path_prefix: /admin, hosts: [a.example], methods: [GET, POST], plugins: [apps, login], upstream: orders }
  files:
    path: "/files/{*rest}"
    hosts: [a.example, b.example]
    methods: [GET]
    paths: { allow: [encoded_slash, empty_segments] }
    respond: { text: files }
  shop:    { path_prefix: /, hosts: ["*.shop.example"], methods: [GET, POST], respond: { text: shop } }
  loose:
    path_prefix: /
    hosts: [loose.example]
    methods: [GET]
    paths: { allow: [encoded_slash, empty_segments, double_encoding] }
    respond: { text: loose }
  private: { path_prefix: /private, hosts: [loose.example], methods: [GET], plugins: [login], respond: { text: private } }
  item:    { path: "/items/{id}", hosts: ["*.shop.example"], methods: [PATCH], chain: api, respond: { text: item } }
"#;

/// A request, its explanation, and its outcome.
struct Case {
    asked: Asked,
    explained: Value,
    response: Answer,
}

#[test]
fn explanations_match_what_happens_to_requests() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let collector = runtime.block_on(Collector::grpc());
    let yaml = YAML.replace("UPSTREAM", &upstream());
    let mut gateway = traced_as(&collector.endpoint, ", plugin_spans: always", "", &yaml);
    let listeners = ["web", "inner", "front"].map(|name| (name, address(&mut gateway, name)));
    let listeners = HashMap::from(listeners);
    let document = gateway.admin("GET", "/config").json();
    let mut generator = Generator::new(&document["routes"], &["web", "inner", "front"]);
    let ask = |asked: Asked| {
        let explained = explain(&gateway, &asked);
        let response = send_as_written(listeners[&*asked.listener], &asked.written());
        Case { asked, explained, response }
    };
    let cases: Vec<Case> = (0..REQUESTS).map(|number| ask(generator.request(number))).collect();
    // Shutdown exports all spans.
    gateway.signal("TERM");
    assert_eq!(gateway.wait(), Some(0));
    let received = collector.received();
    let mut plugins: HashMap<&str, Vec<&Received>> = HashMap::new();
    for span in received.iter().filter(|span| span.name.starts_with("plugin ")) {
        plugins.entry(&span.parent).or_default().push(span);
    }
    plugins.values_mut().for_each(|spans| spans.sort_by_key(|span| span.times));
    let is_server = |span: &&Received| span.kind == SERVER && span.attributes.contains_key("user_agent.original");
    let servers: HashMap<&str, &Received> =
        received.iter().filter(is_server).map(|span| (&*span.attributes["user_agent.original"], span)).collect();
    let wrong: Vec<String> = (cases.iter())
        .filter_map(|case| {
            let server = servers.get(&*case.asked.name).copied();
            let passed = server.and_then(|server| plugins.get(&*server.id)).map(|spans| &**spans).unwrap_or_default();
            let message = compare(case, server, passed).err()?;
            Some(format!("{}\n{}\n{message}\n", case.asked.written(), case.explained))
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {REQUESTS} differ:\n{}", wrong.len(), wrong.join("\n"));
    look_at_shares(&cases, &document["routes"]);
}

fn address(gateway: &mut Gateway, listener: &str) -> SocketAddr {
    let line = gateway.wait_for_log(|line| line["message"] == "listening" && line["listener"] == listener);
    line["address"].as_str().unwrap().parse().unwrap()
}

fn explain(gateway: &Gateway, asked: &Asked) -> Value {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("method", &asked.method).append_pair("url", &asked.target);
    query.append_pair("listener", &asked.listener);
    for (name, value) in &asked.headers {
        query.append_pair("header", &format!("{name}: {value}"));
    }
    let explained = gateway.admin("GET", &format!("/explain?{}", query.finish()));
    assert_eq!(explained.status, 200, "{}\n{}", asked.written(), explained.body);
    explained.json()
}

fn attribute<'a>(span: &'a Received, name: &str) -> Option<&'a str> {
    span.attributes.get(name).map(String::as_str)
}

/// Returns an error that names both values unless they are equal.
fn same<T: PartialEq + std::fmt::Debug>(what: &str, said: T, seen: T) -> Result<(), String> {
    if said == seen { Ok(()) } else { Err(format!("{what}: said {said:?}, seen {seen:?}")) }
}

fn compare(case: &Case, server: Option<&Received>, passed: &[&Received]) -> Result<(), String> {
    let (outcome, response) = (&case.explained["outcome"], &case.response);
    let kind = outcome["kind"].as_str().unwrap();
    if kind == "health" {
        same(
            "whether health is asked for",
            outcome["method_allowed"] == true || outcome["plugin"].is_string(),
            response.status != 405,
        )?;
        return same("span of a health path", false, server.is_some());
    }
    let server = server.ok_or("it has no span")?;
    let route = if kind == "preflight" { &outcome["route"] } else { &outcome["name"] };
    same("route", route.as_str(), attribute(server, "gateway.route"))?;
    let target = attribute(server, "gateway.target");
    if kind == "preflight" {
        same("whether there is a target", route.is_string(), target.is_some())?;
    } else {
        same("target", label(&outcome["target"]).as_deref(), target)?;
    }
    let said: Vec<String> = case.explained["steps"].as_array().unwrap().iter().map(place).collect();
    let seen: Vec<&str> = passed.iter().map(|span| &*span.attributes["gateway.plugin"]).collect();
    let decided = passed.last().filter(|span| span.attributes["gateway.outcome"] != "passed");
    // A plugin that rejects or responds ends the path.
    let reached = if decided.is_some() { said.get(..seen.len()).unwrap_or(&said) } else { &said };
    same("plugins", reached.iter().map(String::as_str).collect(), seen)?;
    same("who decided", decided.map(|span| &*span.attributes["gateway.plugin"]), attribute(server, "gateway.plugin"))?;
    let status = response.status;
    same("status of the span", Some(&*status.to_string()), attribute(server, "http.response.status_code"))?;
    if let Some(decided) = decided {
        // This kind of plugin decides only about preflights.
        let is_preflight = decided.attributes["gateway.plugin.type"] == "cors";
        return if is_preflight { same("kind", kind, "preflight") } else { Ok(()) };
    }
    let told = match kind {
        "route" => match outcome["target"]["kind"].as_str().unwrap() {
            "respond" | "redirect" => outcome["target"]["status"].as_u64().unwrap(),
            "upstream" => 200,
            // A resource decides the rest.
            _ => status.into(),
        },
        "method_not_allowed" => {
            let allow: Vec<&str> = outcome["allow"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            same("Allow", Some(&*allow.join(", ")), response.header("allow"))?;
            405
        }
        "not_found" => 404,
        "refused" => {
            if case.asked.method != "HEAD" {
                same("message", outcome["message"].as_str(), response.json()["message"].as_str())?;
            }
            outcome["status"].as_u64().unwrap()
        }
        "server" => 204,
        other => return Err(format!("`{other}`: no plugin decided, {status}")),
    };
    same("status", told, status.into())
}

/// The label of a target in spans: `resource users`, `redirect 307`.
fn label(target: &Value) -> Option<String> {
    let of = target["name"].as_str().map_or_else(|| target["status"].to_string(), str::to_owned);
    Some(format!("{} {of}", target["kind"].as_str()?))
}

/// The label of a step in spans: `LISTENER_OR_ROUTE/PLUGIN`.
fn place(step: &Value) -> String {
    let because = step["because"].as_str().unwrap();
    format!("{}/{}", because.rsplit('`').nth(1).unwrap(), step["plugin"].as_str().unwrap())
}

/// Requests of every kind must have occurred in significant numbers.
fn look_at_shares(cases: &[Case], routes: &Value) {
    let (mut kinds, mut statuses) = (BTreeMap::<&str, usize>::new(), BTreeMap::<u16, usize>::new());
    for case in cases {
        *kinds.entry(case.explained["outcome"]["kind"].as_str().unwrap()).or_default() += 1;
        *statuses.entry(case.response.status).or_default() += 1;
    }
    for kind in ["not_found", "method_not_allowed", "refused"] {
        assert!(kinds[kind] * 5 >= REQUESTS, "too few are {kind}: {kinds:?}");
    }
    for (kind, least) in [("route", REQUESTS / 10), ("preflight", REQUESTS / 20), ("health", 1), ("server", 1)] {
        assert!(kinds.get(kind).is_some_and(|number| *number >= least), "too few are {kind}: {kinds:?}");
    }
    for status in [200, 307, 401, 403, 413, 429] {
        assert!(statuses.contains_key(&status), "none got {status}: {statuses:?}");
    }
    let other = |case: &Case| {
        case.explained["outcome"]["message"] == "path: is ambiguous, other servers may read it as another path"
    };
    assert!(cases.iter().any(other), "no doubtful path could go round a guard");
    let names = cases.iter().filter_map(|case| case.explained["outcome"]["name"].as_str());
    let taken: BTreeSet<&str> = names.collect();
    let all: BTreeSet<&str> = routes.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(taken, all, "every route takes some");
}
