//! Which plugins of a request have spans, and how an error links to its trace.

use crate::collector::{Collector, Received};
use crate::harness::Gateway;
use crate::tracing::{SERVER, span, traced_as};
use std::net::TcpListener;
use tokio::runtime::Runtime;

const INTERNAL: i32 = 1;

const YAML: &str = r#"
listeners: { web: { address: "127.0.0.1:0", chain: edge } }
plugins:
  stamp:    { request_id: {} }
  pages:    { cors: { allow_origins: ["https://app.example.com"] } }
  deadline: { timeout: { request: 50ms } }
  login:    { jwt: { issuer: iss, audiences: [api], algorithms: [HS256], secret: "${env.JWT_SECRET}" } }
  limited:  { rate_limit: { key: client.ip, quota: 1, window: 1h } }
chains: { edge: [stamp, pages], private: [login] }
upstreams: { silent: { targets: [{ url: "http://SILENT" }] } }
routes:
  open:    { path: /open, respond: { text: hello } }
  private: { path: /private, chain: private, respond: { text: secret } }
  limited: { path: /limited, plugins: [limited], respond: { text: once } }
  slow:    { path: /slow, plugins: [deadline], upstream: silent }
"#;

/// A gateway with `plugin_spans` set to `wanted`, and its span collector. Its upstream accepts connections and stays
/// silent.
fn start(wanted: &str) -> (Runtime, Collector, TcpListener, Gateway) {
    let runtime = Runtime::new().unwrap();
    let collector = runtime.block_on(Collector::grpc());
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let yaml = YAML.replace("SILENT", &silent.local_addr().unwrap().to_string());
    let gateway = traced_as(&collector.endpoint, &format!(", plugin_spans: {wanted}"), "", &yaml);
    (runtime, collector, silent, gateway)
}

/// The plugin spans in the trace of `server`. They are exported before it.
fn plugins(collector: &Collector, server: &Received) -> Vec<Received> {
    let mut found: Vec<_> = collector
        .received()
        .into_iter()
        .filter(|span| span.name.starts_with("plugin ") && span.trace == server.trace)
        .collect();
    found.sort_by_key(|span| span.times);
    found
}

fn attribute<'a>(span: &'a Received, name: &str) -> Option<&'a str> {
    span.attributes.get(name).map(String::as_str)
}

const PREFLIGHT: [(&str, &str); 2] = [("origin", "https://app.example.com"), ("access-control-request-method", "GET")];

#[test]
fn a_plugin_that_decides_has_a_span_and_an_event() {
    let (_runtime, collector, _silent, gateway) = start("on_decision");
    assert_eq!(gateway.get("/private").status, 401);
    assert_eq!(gateway.send("OPTIONS", "/open", &PREFLIGHT, "").status, 200);
    assert_eq!(gateway.get("/slow").status, 504);
    assert_eq!((gateway.get("/limited").status, gateway.get("/limited").status), (200, 429));
    for (name, status, plugin, kind, outcome, reason) in [
        ("GET /private", "401", "private/login", "jwt", "refused", Some("missing")),
        ("OPTIONS /open", "200", "web/pages", "cors", "answered", None),
        ("GET /slow", "504", "slow/deadline", "timeout", "refused", Some("timeout")),
        ("GET /limited", "429", "limited/limited", "rate_limit", "refused", Some("quota")),
    ] {
        let server =
            span(&collector, |span| span.name == name && span.attributes["http.response.status_code"] == status);
        for (key, value) in
            [("gateway.outcome", Some(outcome)), ("gateway.plugin", Some(plugin)), ("gateway.reason", reason)]
        {
            assert_eq!(attribute(&server, key), value, "{key} of {server:#?}");
        }
        let event = server.events.iter().position(|event| event == "gateway.decision").expect(name);
        let told = &server.details[event];
        assert_eq!((told["gateway.plugin"].as_str(), told["gateway.outcome"].as_str()), (plugin, outcome));
        assert_eq!(told.get("gateway.reason").map(String::as_str), reason);

        let spans = plugins(&collector, &server);
        assert_eq!(spans.len(), 1, "{name}: {spans:#?}");
        let own = &spans[0];
        assert_eq!(own.name, format!("plugin {}", plugin.split('/').nth(1).unwrap()));
        assert_eq!((own.kind, &own.parent), (INTERNAL, &server.id));
        for (key, value) in [
            ("gateway.plugin", Some(plugin)),
            ("gateway.plugin.type", Some(kind)),
            ("gateway.outcome", Some(outcome)),
            ("gateway.reason", reason),
        ] {
            assert_eq!(attribute(own, key), value, "{key} of {own:#?}");
        }
        assert!(server.times.0 <= own.times.0 && own.times.1 <= server.times.1, "{own:#?} in {server:#?}");
    }
}

#[test]
fn decisions_of_the_engine_and_passed_requests_are_counted() {
    let (_runtime, collector, _silent, gateway) = start("on_decision");
    assert_eq!((gateway.get("/open").status, gateway.get("/nowhere").status), (200, 404));
    assert_eq!(gateway.send("GET", "/a//b", &[], "").status, 400);
    let passed = span(&collector, |span| span.name == "GET /open");
    assert_eq!((attribute(&passed, "gateway.outcome"), passed.events.len()), (Some("passed"), 0));
    for (path, reason) in [("/nowhere", "no_route"), ("/a//b", "validation_error")] {
        let refused = span(&collector, |span| span.kind == SERVER && span.attributes["url.path"] == path);
        assert_eq!(
            (attribute(&refused, "gateway.outcome"), attribute(&refused, "gateway.plugin")),
            (Some("refused"), None)
        );
        assert_eq!(
            (attribute(&refused, "gateway.reason"), refused.events.as_slice()),
            (Some(reason), ["gateway.decision".to_owned()].as_slice())
        );
        assert!(plugins(&collector, &refused).is_empty());
    }
}

#[test]
fn always_means_every_plugin_in_order() {
    let (_runtime, collector, _silent, gateway) = start("always");
    assert_eq!((gateway.get("/limited").status, gateway.get("/slow").status), (200, 504));
    let names = |server: &Received| -> Vec<_> {
        plugins(&collector, server)
            .iter()
            .map(|span| (span.name.clone(), span.attributes["gateway.outcome"].clone()))
            .collect()
    };
    let all = |list: &[(&str, &str)]| -> Vec<_> {
        list.iter().map(|(name, outcome)| (format!("plugin {name}"), (*outcome).to_owned())).collect()
    };
    let server = span(&collector, |span| span.name == "GET /limited");
    assert_eq!(names(&server), all(&[("stamp", "passed"), ("pages", "passed"), ("limited", "passed")]));
    let server = span(&collector, |span| span.name == "GET /slow");
    assert_eq!(names(&server), all(&[("stamp", "passed"), ("pages", "passed"), ("deadline", "refused")]));
}

#[test]
fn never_means_none_until_an_edit_changes_it() {
    let (_runtime, collector, _silent, gateway) = start("never");
    assert_eq!(gateway.get("/private").status, 401);
    let refused = span(&collector, |span| span.name == "GET /private");
    assert_eq!(
        (refused.events.as_slice(), plugins(&collector, &refused).len()),
        (["gateway.decision".to_owned()].as_slice(), 0)
    );
    let text = std::fs::read_to_string(gateway.file()).unwrap();
    std::fs::write(gateway.file(), text.replace("plugin_spans: never", "plugin_spans: always")).unwrap();
    assert_eq!(gateway.admin("POST", "/reload").status, 200);
    assert_eq!(gateway.get("/open").status, 200);
    let passed = span(&collector, |span| span.name == "GET /open");
    assert_eq!(plugins(&collector, &passed).len(), 2);
}

#[test]
fn an_error_links_to_its_trace_and_states_the_reason_where_safe() {
    let (_runtime, collector, _silent, gateway) = start("on_decision");
    let ask = [("accept", "application/problem+json")];
    for (path, status, reason) in [
        ("/nowhere", 404, Some("no_route")),
        ("/private", 401, None),
        ("/slow", 504, Some("timeout")),
        ("/a//b", 400, Some("validation_error")),
    ] {
        let answer = gateway.send("GET", path, &ask, "");
        let body = answer.json();
        assert_eq!((answer.status, body["reason"].as_str()), (status, reason), "{path}: {body}");
        let trace = body["trace_id"].as_str().unwrap();
        let server = span(&collector, |span| span.kind == SERVER && span.trace == trace);
        assert_eq!(server.attributes["url.path"], path);
        assert_eq!(answer.header("traceresponse").unwrap(), format!("00-{trace}-{}-01", server.id));
        let id = answer.header("x-request-id").unwrap();
        assert_eq!((body["request_id"].as_str(), id.len()), (Some(id), 36));

        let brief = gateway.get(path);
        let keys: Vec<_> = brief.json().as_object().unwrap().keys().cloned().collect();
        assert_eq!(
            (keys.as_slice(), brief.header("traceresponse").is_some()),
            (["error", "message"].map(str::to_owned).as_slice(), true)
        );
    }
    assert_eq!(gateway.get("/open").header("traceresponse"), None);
}

#[test]
fn without_a_trace_an_error_names_none() {
    let gateway = Gateway::start(&YAML.replace("SILENT", "127.0.0.1:1"));
    let answer = gateway.send("GET", "/nowhere", &[("accept", "application/problem+json")], "");
    let body = answer.json();
    assert_eq!((answer.header("traceresponse"), body.get("trace_id")), (None, None));
    assert_eq!(
        (body["request_id"].as_str(), body["reason"].as_str()),
        (answer.header("x-request-id"), Some("no_route"))
    );
}
