//! What a real OTLP receiver gets about requests: the tree, names and attributes, and what an upstream sees.

use crate::collector::{Collector, Received};
use crate::harness::{Gateway, HEAD, PATIENCE, head_of, refusing};
use std::io::Write;
use std::net::TcpListener;
use std::time::Instant;

pub const SERVER: i32 = 2;
pub const CLIENT: i32 = 3;

/// A gateway that exports its traces to `endpoint`. `rest` follows the common beginning of the configuration.
pub fn traced(endpoint: &str, rest: &str) -> Gateway {
    traced_as(endpoint, "", "", rest)
}

/// The same with more settings of traces (`, key: value`) and logs.
pub fn traced_as(endpoint: &str, traces: &str, logs: &str, rest: &str) -> Gateway {
    let settings = format!(
        "telemetry: {{ service_name: tested, traces: {{ otlp: {{ endpoint: \"{endpoint}\" }}{traces} }}, logs:"
    );
    let head = HEAD.replace("telemetry: { logs:", &settings).replace("level: info", &format!("level: info{logs}"));
    Gateway::start_whole(&format!("{head}{rest}"))
}

const YAML: &str = r#"
listeners: { web: { address: "127.0.0.1:0", chain: edge, trusted_proxies: ["127.0.0.0/8"] } }
stores: { main: { url: "sqlite://data/traced.db" } }
plugins:
  login:   { jwt: { issuer: iss, audiences: [api], algorithms: [HS256], secret: "${env.JWT_SECRET}" } }
  limited: { rate_limit: { key: client.ip, quota: 1, window: 1h } }
chains: { edge: [], private: [login] }
resources: { notes: { store: main, access: { default: public }, fields: { title: { type: string, required: true } } } }
upstreams: { there: { targets: [{ url: "http://UPSTREAM" }] } }
routes:
  notes:   { path: /api/notes, resource: notes }
  private: { path: /private, chain: private, respond: { text: secret } }
  limited: { path: /limited, plugins: [limited], respond: { text: once } }
  there:   { path_prefix: /there, upstream: there }
"#;

/// Waits until the receiver has a span that `wanted` accepts.
pub fn span(collector: &Collector, wanted: impl Fn(&Received) -> bool) -> Received {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = collector.received().into_iter().find(&wanted) {
            return found;
        }
        assert!(Instant::now() < until, "no such span among {:#?}", collector.received());
        std::thread::yield_now();
    }
}

/// An upstream that serves one request after the other and returns the `traceparent` it received.
pub fn upstream() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let head = head_of(&mut stream);
            let seen = head.lines().find_map(|line| line.strip_prefix("traceparent: ")).unwrap_or("none").to_owned();
            let length = seen.len();
            let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{seen}");
        }
    });
    address
}

#[test]
fn each_request_is_a_trace_of_what_happened() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let collector = runtime.block_on(Collector::grpc());
    let gateway = traced(&collector.endpoint, &YAML.replace("UPSTREAM", &upstream()));

    let created = gateway.json("POST", "/api/notes", &serde_json::json!({ "title": "traced" }));
    assert_eq!(created.status, 201);
    let server = span(&collector, |span| span.name == "POST /api/notes");
    assert_eq!((server.kind, server.parent.as_str(), server.resource["service.name"].as_str()), (SERVER, "", "tested"));
    for (name, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/api/notes"),
        ("http.response.status_code", "201"),
        ("url.path", "/api/notes"),
        ("url.scheme", "http"),
        ("gateway.route", "notes"),
        ("gateway.listener", "web"),
        ("gateway.generation", "1"),
    ] {
        assert_eq!(server.attributes.get(name).map(String::as_str), Some(value), "{name} of {server:#?}");
    }
    let same_trace = |span: &Received| span.trace == server.trace;
    let resource = span(&collector, |span| same_trace(span) && span.name == "create notes");
    assert_eq!(resource.parent, server.id);
    let sql = span(&collector, |span| same_trace(span) && span.attributes.contains_key("db.query.text"));
    assert_eq!((sql.kind, sql.attributes["db.system.name"].as_str()), (CLIENT, "sqlite"));
    assert!(!sql.attributes["db.query.text"].contains("traced"), "{sql:#?}");

    let item = created.header("location").unwrap();
    assert_eq!(gateway.get(item).status, 200);
    span(&collector, |span| span.name == "GET /api/notes/{id}" && span.attributes["http.route"] == "/api/notes/{id}");

    assert_eq!(gateway.get("/private").status, 401);
    let refused = span(&collector, |span| span.name == "GET /private");
    assert_eq!(
        (refused.attributes["gateway.plugin"].as_str(), refused.attributes["gateway.reason"].as_str()),
        ("private/login", "missing")
    );

    assert_eq!((gateway.get("/limited").status, gateway.get("/limited").status), (200, 429));
    let limited =
        span(&collector, |span| span.attributes.get("http.response.status_code").is_some_and(|code| code == "429"));
    assert_eq!(limited.attributes["gateway.plugin"], "limited/limited");

    assert_eq!(gateway.get("/nowhere").status, 404);
    span(&collector, |span| span.name == "GET" && span.attributes["http.response.status_code"] == "404");
}

#[test]
fn the_trace_of_a_caller_continues_through_the_gateway_to_the_upstream() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let collector = runtime.block_on(Collector::http());
    let yaml = YAML.replace("UPSTREAM", &upstream());
    let gateway = traced(&format!("{}\", protocol: \"http/protobuf", collector.endpoint), &yaml);
    let caller = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let header = format!("00-{}-{}-01", caller.0, caller.1);
    let seen = gateway.send("GET", "/there/x", &[("traceparent", &header)], "").body;
    let server = span(&collector, |span| span.kind == SERVER);
    assert_eq!((server.trace.as_str(), server.parent.as_str()), caller);
    let client = span(&collector, |span| span.kind == CLIENT && span.trace == server.trace);
    assert_eq!((&client.parent, client.attributes["http.response.status_code"].as_str()), (&server.id, "200"));
    assert_eq!(seen, format!("00-{}-{}-01", caller.0, client.id), "the upstream sees the id of an exported span");
}

#[test]
fn a_dead_collector_affects_no_request_and_an_edit_redirects_the_export() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let collector = runtime.block_on(Collector::grpc());
    let (_socket, closed) = refusing();
    let mut gateway = traced(&format!("http://{closed}"), &YAML.replace("UPSTREAM", "127.0.0.1:1"));
    assert!((0..50).all(|_| gateway.get("/nowhere").status == 404));
    let text = std::fs::read_to_string(gateway.file()).unwrap();
    std::fs::write(gateway.file(), text.replace(&format!("http://{closed}"), &collector.endpoint)).unwrap();
    assert_eq!(gateway.admin("POST", "/reload").status, 200);
    gateway.wait_for_log(|line| line["message"] == "configuration reloaded");
    assert_eq!(gateway.get("/private").status, 401);
    span(&collector, |span| span.name == "GET /private" && span.attributes["gateway.generation"] == "2");
    gateway.signal("TERM");
    assert_eq!(gateway.wait(), Some(0));
}

#[test]
fn a_request_that_is_not_admitted_is_observed_and_gets_the_requested_error_form() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let collector = runtime.block_on(Collector::grpc());
    let yaml = YAML.replace("UPSTREAM", "127.0.0.1:1");
    let mut gateway = traced_as(&collector.endpoint, "", ", access: { sample: 1.0 }", &yaml);
    let answer = gateway.send("GET", "/a//b?token=hidden", &[("accept", "application/problem+json")], "");
    assert_eq!((answer.status, answer.header("content-type")), (400, Some("application/problem+json")));
    assert_eq!(answer.json()["instance"], "/a//b");
    let line = gateway.wait_for_log(|line| line["path"] == "/a//b");
    assert_eq!((line["status"].as_u64(), line["listener"].as_str()), (Some(400), Some("web")));
    assert_eq!((line["query"].as_str(), line["route"].as_str()), (Some("token=***"), None));
    let refused = span(&collector, |span| span.attributes["url.path"] == "/a//b");
    assert_eq!(refused.attributes["http.response.status_code"], "400");
    assert!(line["trace_id"] == *refused.trace);
}
