//! The access log of the real program: which fields it has, their order, and their values.

use crate::collector::Collector;
use crate::harness::Gateway;
use crate::tracing::{SERVER, span, traced_as};

const YAML: &str = r#"
listeners: { web: { address: "127.0.0.1:0", chain: edge } }
plugins: { pages: { cors: { allow_origins: ["https://app.example.com"] } } }
chains: { edge: [pages] }
stores: { main: { url: "sqlite://data/log.db" } }
resources: { notes: { store: main, access: { default: public }, fields: { title: { type: string, required: true } } } }
routes:
  hello: { path: /hello, respond: { text: hello } }
  notes: { path: /notes, resource: notes }
"#;

/// The keys of the line for `path`, in order.
fn keys(gateway: &mut Gateway, path: &str) -> Vec<String> {
    let line = gateway.wait_for_log(|line| line["path"] == path);
    line.as_object()
        .unwrap()
        .keys()
        .filter(|key| !["timestamp", "level", "target", "message"].contains(&key.as_str()))
        .cloned()
        .collect()
}

#[test]
fn a_line_has_the_configured_fields_in_order() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let collector = runtime.block_on(Collector::grpc());
    let fields = "[status, path, method, host, protocol, user_agent, request_bytes, response_ms, headers, span_id, trace_id, outcome, plugin, method]";
    let logs = format!(", access: {{ fields: {fields}, headers: [x-tenant, authorization, referer, x-back] }}");
    let mut gateway = traced_as(&collector.endpoint, "", &logs, YAML);
    let headers = [
        ("user-agent", "curl/8"),
        ("x-tenant", "blue"),
        ("authorization", "secret"),
        ("content-type", "application/json"),
        ("referer", "https://a.example/?jwt=S3CRET"),
        ("x-back", "https://user:S3CRET@a.example/"),
    ];
    assert_eq!(gateway.send("POST", "/notes", &headers, r#"{"title":"a"}"#).status, 201);
    let line = gateway.wait_for_log(|line| line["path"] == "/notes");
    assert_eq!(
        keys(&mut gateway, "/notes"),
        [
            "status",
            "path",
            "method",
            "host",
            "protocol",
            "user_agent",
            "request_bytes",
            "response_ms",
            "headers",
            "span_id",
            "trace_id",
            "outcome"
        ]
    );
    assert_eq!((line["protocol"].as_str(), line["user_agent"].as_str()), (Some("1.1"), Some("curl/8")));
    assert_eq!((line["request_bytes"].as_u64(), line["outcome"].as_str()), (Some(13), Some("passed")));
    assert_eq!(line["host"], gateway.address.to_string());
    assert_eq!(
        line["headers"],
        serde_json::json!({
            "x-tenant": "blue", "authorization": "***", "referer": "https://a.example/?jwt=***", "x-back": "***"
        })
    );
    let server = span(&collector, |span| span.kind == SERVER);
    assert_eq!(
        (line["trace_id"].as_str(), line["span_id"].as_str()),
        (Some(server.trace.as_str()), Some(server.id.as_str()))
    );

    let preflight = [("origin", "https://app.example.com"), ("access-control-request-method", "GET")];
    assert_eq!(gateway.send("OPTIONS", "/hello", &preflight, "").status, 200);
    let line = gateway.wait_for_log(|line| line["path"] == "/hello");
    assert_eq!((line["outcome"].as_str(), line["plugin"].as_str()), (Some("answered"), Some("web/pages")));
}

#[test]
fn a_body_without_a_length_is_counted() {
    use std::io::Write;
    let logs = ", access: { fields: [path, request_bytes, status] }";
    let mut gateway = Gateway::start_whole(&format!(
        "{}{YAML}",
        crate::harness::HEAD.replace("level: info", &format!("level: info{logs}"))
    ));
    let mut stream = crate::harness::connect(gateway.address);
    let head =
        "POST /notes HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    write!(stream, "{head}d\r\n{{\"title\":\"a\"}}\r\n0\r\n\r\n").unwrap();
    assert_eq!(crate::harness::read_answer(&mut stream).unwrap().status, 201);
    let line = gateway.wait_for_log(|line| line["path"] == "/notes");
    assert_eq!((line["request_bytes"].as_u64(), line["status"].as_u64()), (Some(13), Some(201)));
}

#[test]
fn a_response_with_trailers_is_complete() {
    use std::io::Write;
    let upstream = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = upstream.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in upstream.incoming().map_while(Result::ok) {
            crate::harness::head_of(&mut stream);
            let response = "HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n\
                            5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n";
            stream.write_all(response.as_bytes()).unwrap();
        }
    });
    let head = crate::harness::HEAD.replace("level: info", "level: info, access: {}");
    let mut gateway = Gateway::start_whole(&format!(
        r#"{head}
listeners: {{ web: {{ address: "127.0.0.1:0", protocols: [http1, http2] }} }}
upstreams: {{ there: {{ targets: [{{ url: "http://{address}" }}] }} }}
routes: {{ all: {{ path_prefix: /, upstream: there }} }}
"#
    ));
    assert_eq!(gateway.get("/one").status, 200);
    assert_eq!(gateway.send("GET", "/trailers", &[("te", "trailers"), ("connection", "te")], "").status, 200);
    assert_eq!(crate::http2::Client::new(gateway.address).send("GET", "/two", &[("te", "trailers")], "").status, 200);
    for path in ["/one", "/trailers", "/two"] {
        let line = gateway.wait_for_log(|line| line["path"] == path);
        assert_eq!((line["end"].as_str(), line["bytes"].as_u64()), (None, Some(5)), "{line}");
    }
}

#[test]
fn the_default_fields_are_written_if_none_are_named() {
    let head = crate::harness::HEAD.replace("level: info", "level: info, access: {}");
    let mut gateway = Gateway::start_whole(&format!("{head}{YAML}"));
    assert_eq!(gateway.get("/hello?a=1&token=hidden").status, 200);
    let usual = [
        "method",
        "path",
        "query",
        "status",
        "duration_ms",
        "bytes",
        "client_ip",
        "listener",
        "route",
        "generation",
        "outcome",
    ];
    assert_eq!(keys(&mut gateway, "/hello"), usual);
    assert_eq!(gateway.wait_for_log(|line| line["path"] == "/hello")["query"], "a=1&token=***");
}

#[test]
fn a_line_names_the_access_rule_that_allowed_or_denied_the_request() {
    let rules = "access: { list: { where: { title: a } }, default: { role: admin } }";
    let head = crate::harness::HEAD.replace("level: info", "level: info, access: {}");
    let mut gateway = Gateway::start_whole(&format!("{head}{}", YAML.replace("access: { default: public }", rules)));
    assert_eq!(gateway.get("/notes").status, 200);
    assert_eq!(gateway.send("POST", "/notes", &[], "").status, 401);
    let allowed = gateway.wait_for_log(|line| line["method"] == "GET" && line["path"] == "/notes");
    assert_eq!(allowed["rule"], "access.list", "{allowed}");
    let denied = gateway.wait_for_log(|line| line["method"] == "POST");
    assert_eq!((&denied["rule"], &denied["reason"]), (&"access.default".into(), &"no_identity".into()), "{denied}");
    assert_eq!(gateway.get("/hello").status, 200);
    let other = gateway.wait_for_log(|line| line["path"] == "/hello");
    assert_eq!(other.get("rule"), None, "{other}");
}
