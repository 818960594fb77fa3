//! Checks every span of a broad run against the semantic conventions: which attributes each kind requires, and when.

use crate::collector::{Collector, Received};
use crate::harness::{PATIENCE, head_of, send};
use crate::tracing::{CLIENT, SERVER, traced_as};
use std::io::Write;
use std::net::TcpListener;
use std::time::Instant;

const YAML: &str = r#"
listeners: { web: { address: "127.0.0.1:0", chain: edge } }
stores: { main: { url: "sqlite://data/semantics.db" } }
plugins:
  stamp:    { request_id: {} }
  pages:    { cors: { allow_origins: ["https://app.example.com"] } }
  login:    { jwt: { issuer: iss, audiences: [api], algorithms: [HS256], secret: "${env.JWT_SECRET}" } }
  hasty:    { timeout: { request: 200ms } }
  limited:  { rate_limit: { key: client.ip, quota: 1, window: 1h } }
chains: { edge: [stamp, pages], private: [login] }
resources:
  notes: { store: main, access: { default: public }, fields: { title: { type: string, required: true, unique: true } } }
  locked: { store: main, access: { default: authenticated }, fields: { title: { type: string } } }
upstreams:
  there: { targets: [{ url: "http://UPSTREAM" }] }
  gone:  { targets: [{ url: "http://127.0.0.1:1" }] }
  mute:  { targets: [{ url: "http://MUTE" }] }
routes:
  notes:   { path: /notes, resource: notes }
  locked:  { path: /locked, resource: locked }
  private: { path: /private, chain: private, respond: { text: secret } }
  limited: { path: /limited, plugins: [limited], respond: { text: once } }
  moved:   { path: /moved, redirect: { to: /notes } }
  there:   { path_prefix: /there, upstream: there }
  gone:    { path: /gone, upstream: gone }
  mute:    { path: /mute, plugins: [hasty], upstream: mute }
"#;

/// The required attributes of one kind of span, and whether each is an integer.
type Required = &'static [(&'static str, bool)];

/// HTTP server spans; `url.query`, `http.route`, `error.type` and `user_agent.original` are conditional.
const OF_SERVER: Required = &[
    ("http.request.method", false),
    ("url.path", false),
    ("url.scheme", false),
    ("http.response.status_code", true),
    ("network.protocol.version", false),
    ("server.address", false),
    ("server.port", true),
    ("client.address", false),
    ("network.peer.address", false),
    ("network.peer.port", true),
    ("gateway.listener", false),
    ("gateway.generation", true),
    ("gateway.outcome", false),
];

/// HTTP client spans; `http.response.status_code` is required if there was a response.
const OF_CLIENT: Required = &[
    ("http.request.method", false),
    ("server.address", false),
    ("server.port", true),
    ("url.full", false),
    ("network.protocol.version", false),
    ("gateway.upstream", false),
];

/// Database client spans.
const OF_DATABASE: Required = &[
    ("db.system.name", false),
    ("db.operation.name", false),
    ("db.collection.name", false),
    ("db.query.text", false),
    ("db.query.summary", false),
];

const OF_PLUGIN: Required = &[("gateway.plugin", false), ("gateway.plugin.type", false), ("gateway.outcome", false)];
const OF_RESOURCE: Required = &[("gateway.resource", false), ("gateway.operation", false)];

const ERROR: i32 = 2;

/// The violations in `span`.
fn violations(span: &Received) -> Vec<String> {
    let has = |name: &str| span.attributes.get(name).map(String::as_str);
    let status = has("http.response.status_code").and_then(|code| code.parse::<u16>().ok());
    let mut wrong = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            wrong.push(format!("{what}: {span:#?}"));
        }
    };
    must(span.repeated.is_empty(), "each attribute once");
    must(span.times.0 <= span.times.1, "it ends after it begins");
    must(span.status != ERROR || has("error.type").is_some(), "an error has a type");
    let required = match (span.kind, has("db.system.name"), span.name.starts_with("plugin ")) {
        (SERVER, ..) => {
            let failed = status.is_some_and(|status| status >= 500);
            must((span.status == ERROR) == failed, "the server's error is 5xx and nothing else");
            must(!failed || has("error.type") == has("http.response.status_code"), "error.type is the status");
            must(has("http.route").is_some() == has("gateway.route").is_some(), "http.route where a route took it");
            must(
                has("gateway.outcome") != Some("refused") || has("gateway.reason").is_some(),
                "refusals have a reason",
            );
            let method =
                has("http.request.method").map_or("", |method| if method == "_OTHER" { "HTTP" } else { method });
            let name = has("http.route").map_or(method.to_owned(), |route| format!("{method} {route}"));
            must(span.name == name, "the name is method and route");
            OF_SERVER
        }
        (CLIENT, Some(_), _) => {
            must(Some(span.name.as_str()) == has("db.query.summary"), "the name is the summary");
            must((span.status == ERROR) == has("error.type").is_some(), "what has an error type is an error");
            OF_DATABASE
        }
        (CLIENT, None, _) => {
            let failed = status.is_none_or(|status| status >= 400);
            must((span.status == ERROR) == failed, "the client's error is 4xx, 5xx or no answer");
            must(failed == has("error.type").is_some(), "an error has a type and nothing else has");
            must(status.is_some() || has("error.type").is_some(), "an answer or an error");
            must(has("url.full").is_some_and(|url| url.starts_with("http://")), "url.full is a URL");
            OF_CLIENT
        }
        (_, _, true) => OF_PLUGIN,
        _ => OF_RESOURCE,
    };
    for (name, integer) in required {
        must(has(name).is_some_and(|value| !value.is_empty()), name);
        must(!integer || span.integers.contains(*name), &format!("{name} is an integer"));
    }
    must(!format!("{span:?}").contains("hidden"), "secrets are masked");
    wrong
}

/// An upstream that returns 404 for missing resources, and 200 for everything else.
fn upstream() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let status = if head_of(&mut stream).contains("missing") { "404 Not Found" } else { "200 OK" };
            let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
        }
    });
    address
}

#[test]
fn no_span_of_a_broad_run_violates_the_conventions() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let collector = runtime.block_on(Collector::grpc());
    // Accepts connections and stays silent.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let yaml = YAML.replace("UPSTREAM", &upstream()).replace("MUTE", &mute.local_addr().unwrap().to_string());
    let gateway = traced_as(&collector.endpoint, ", plugin_spans: always", "", &yaml);
    let mut requests = 0;
    let mut ask = |method: &str, path: &str, headers: &[(&str, &str)], body: &str| {
        requests += 1;
        send(gateway.address, method, path, headers, body)
    };
    let json = [("content-type", "application/json"), ("user-agent", "tester/1")];
    let created = ask("POST", "/notes", &json, r#"{"title":"one"}"#);
    assert_eq!(created.status, 201);
    let item = created.header("location").unwrap().to_owned();
    let preflight = [("origin", "https://app.example.com"), ("access-control-request-method", "GET")];
    for (method, path, headers, body, status) in [
        ("POST", "/notes", &json[..], r#"{"title":"one"}"#, 409),
        ("POST", "/notes", &json, r#"{"title":1}"#, 400),
        ("POST", "/notes", &json, "{", 400),
        ("GET", "/notes?per_page=1&token=hidden", &[], "", 400),
        ("GET", "/notes?per_page=1", &[], "", 200),
        ("GET", &item, &[], "", 200),
        ("HEAD", &item, &[], "", 200),
        ("PATCH", &item, &json, r#"{"title":"two"}"#, 200),
        ("PATCH", &item, &json, r#"{"title":"two"}"#, 200),
        ("DELETE", &item, &[], "", 204),
        ("DELETE", &item, &[], "", 404),
        ("PATCH", &item, &json, r#"{"title":"two"}"#, 404),
        ("GET", "/notes/not-an-id", &[], "", 400),
        ("PUT", "/notes", &json, "{}", 405),
        ("BREW", "/notes", &[], "", 405),
        ("GET", "/locked", &[], "", 401),
        ("GET", "/private?access_token=hidden", &[], "", 401),
        ("GET", "/limited", &[], "", 200),
        ("GET", "/limited", &[], "", 429),
        ("OPTIONS", "/notes", &preflight, "", 200),
        ("OPTIONS", "/notes", &[], "", 204),
        ("GET", "/moved", &[], "", 307),
        ("GET", "/there/x?key=hidden&a=1", &[], "", 200),
        ("POST", "/there/x", &json, "{}", 200),
        ("GET", "/there/missing", &[], "", 404),
        ("GET", "/gone", &[], "", 502),
        ("GET", "/mute?key=hidden", &[], "", 504),
        ("GET", "/nowhere?secret=hidden", &[], "", 404),
        ("GET", "/a//b", &[], "", 400),
    ] {
        assert_eq!(ask(method, path, headers, body).status, status, "{method} {path}");
    }
    let until = Instant::now() + PATIENCE;
    let servers = || collector.received().iter().filter(|span| span.kind == SERVER).count();
    while servers() < requests {
        assert!(Instant::now() < until, "{} of {requests} requests have their span", servers());
        std::thread::yield_now();
    }
    let spans = collector.received();
    let wrong: Vec<_> = spans.iter().flat_map(violations).collect();
    assert!(wrong.is_empty(), "{} violations: {}", wrong.len(), wrong.join("\n"));

    let documented = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/observability.md")).unwrap();
    let said = spans.iter().flat_map(|span| span.attributes.keys());
    let silent: std::collections::BTreeSet<_> =
        said.filter(|name| !documented.contains(&format!("| `{name}` |"))).collect();
    assert!(silent.is_empty(), "docs/observability.md knows nothing of {silent:?}");

    let of = |kind: i32, path: &str| {
        let matching =
            |span: &&Received| span.kind == kind && span.attributes.values().any(|value| value.contains(path));
        spans.iter().find(matching).unwrap_or_else(|| panic!("no span about {path}"))
    };
    assert_eq!(of(SERVER, "/there/x").attributes["url.query"], "key=***&a=1");
    assert!(of(CLIENT, "/there/x").attributes["url.full"].ends_with("/there/x?key=***&a=1"));
    assert_eq!(of(CLIENT, "/there/missing").attributes["error.type"], "404");
    assert_eq!(of(CLIENT, "/gone").attributes["error.type"], "upstream_connect");
    assert_eq!(of(SERVER, "/gone").attributes["gateway.reason"], "upstream_connect");
    assert_eq!(of(CLIENT, "/mute").attributes["error.type"], "upstream_timeout", "the chain gave up on it");
    assert_eq!(of(CLIENT, "unique").attributes["db.operation.name"], "INSERT");
    let written = |name: &str| {
        let mut texts =
            spans.iter().filter(|span| span.name == name).map(|span| span.attributes["db.query.text"].clone());
        texts.next().unwrap()
    };
    assert!(
        written("UPDATE notes").contains("; UPDATE ") && written("DELETE notes").contains("; DELETE "),
        "{spans:#?}"
    );
    assert_eq!(of(SERVER, "tester/1").attributes["user_agent.original"], "tester/1");
    let names: std::collections::BTreeSet<_> = spans.iter().map(|span| span.name.as_str()).collect();
    let id = item.rsplit('/').next().unwrap();
    assert!(names.iter().all(|name| !name.contains(id) && !name.contains("BREW")), "{names:?}");
}
