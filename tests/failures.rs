//! What operators see of upstreams that fail: causes in spans, log lines and metrics, and the state of targets.

use crate::collector::{Collector, Received};
use crate::harness::{Gateway, HEAD, head_of};
use crate::metrics::{Scraped, wait_for};
use crate::tracing::{CLIENT, SERVER, span};
use std::io::Write;
use std::net::{SocketAddr, TcpListener};

/// A gateway with all three signals. `rest` follows the common beginning of the configuration.
pub fn observed(endpoint: &str, rest: &str) -> Gateway {
    let telemetry = format!(
        "telemetry: {{ metrics: {{ prometheus: {{}} }}, traces: {{ otlp: {{ endpoint: \"{endpoint}\" }} }}, logs:"
    );
    let head = HEAD.replace("telemetry: { logs:", &telemetry).replace("level: info", "level: info, access: {}");
    Gateway::start_whole(&format!("{head}{rest}"))
}

/// A server that sends `response` to each request, and then closes the connection.
fn server(response: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                head_of(&mut stream);
                let _ = stream.write_all(response.as_bytes());
            });
        }
    });
    address
}

/// A server that sends a response at once, which is not TLS.
fn talkative() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    address
}

#[test]
fn each_cause_of_a_failure_is_in_the_span_the_log_and_the_metrics() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let collector = runtime.block_on(Collector::grpc());
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let (closing, garbled) = (server(""), server("no http\r\n\r\n"));
    let (silent, plain) = (silent.local_addr().unwrap(), talkative());
    let yaml = format!(
        r#"listeners: {{ web: {{ address: "127.0.0.1:0" }} }}
upstreams:
  refused:    {{ targets: [{{ url: "http://127.0.0.1:1" }}] }}
  unresolved: {{ targets: [{{ url: "http://nowhere.invalid:80" }}] }}
  reset:      {{ targets: [{{ url: "http://{closing}" }}] }}
  untrusted:  {{ targets: [{{ url: "https://{plain}" }}] }}
  garbled:    {{ targets: [{{ url: "http://{garbled}" }}] }}
  slow:       {{ targets: [{{ url: "http://{silent}" }}], timeouts: {{ response_header: 100ms }} }}
routes:
  refused:    {{ path: /refused, upstream: refused }}
  unresolved: {{ path: /unresolved, upstream: unresolved }}
  reset:      {{ path: /reset, upstream: reset }}
  untrusted:  {{ path: /untrusted, upstream: untrusted }}
  garbled:    {{ path: /garbled, upstream: garbled }}
  slow:       {{ path: /slow, upstream: slow }}
"#
    );
    let mut gateway = observed(&collector.endpoint, &yaml);
    for (name, status, cause, error) in [
        ("refused", 502, "upstream_connect", "connect 127.0.0.1:1: connection refused"),
        ("unresolved", 502, "upstream_unresolved", "connect nowhere.invalid:80: "),
        ("reset", 502, "upstream_reset", "connection closed before the response"),
        ("untrusted", 502, "upstream_tls", "connect 127.0.0.1:"),
        ("garbled", 502, "upstream_invalid", "invalid response: invalid HTTP version"),
        ("slow", 504, "upstream_timeout", "no response in time"),
    ] {
        let path = format!("/{name}");
        assert_eq!(gateway.get(&path).status, status, "{name}");
        let line = gateway.wait_for_log(|line| line["path"] == *path);
        assert_eq!((&line["level"], &line["reason"]), (&"WARN".into(), &cause.into()), "{line}");
        assert_eq!((&line["upstream"], line.get("attempts")), (&name.into(), None), "{line}");
        assert!(line["error"].as_str().unwrap().contains(error), "{name}: {line}");

        let has = |span: &Received, key: &str, value: &str| span.attributes.get(key).is_some_and(|had| had == value);
        let client = span(&collector, |span| span.kind == CLIENT && has(span, "gateway.upstream", name));
        assert_eq!(client.attributes["error.type"], cause, "{name}");
        let server = span(&collector, |span| span.kind == SERVER && has(span, "url.path", &path));
        assert_eq!(server.attributes["gateway.reason"], cause, "{name}");

        let scraped = Scraped::of(&gateway);
        let failed = [("gateway_upstream", name), ("error_type", cause)];
        assert_eq!(scraped.sum("http_client_request_duration_seconds_count", &failed), 1.0, "{name}");
        assert_eq!(scraped.sum("gateway_plugin_decisions_total", &[("gateway_reason", cause)]), 1.0, "{name}");
    }
    let scraped = Scraped::of(&gateway);
    for cause in ["upstream_connect", "upstream_unresolved", "upstream_tls"] {
        assert_eq!(scraped.sum("gateway_upstream_connects_total", &[("error_type", cause)]), 1.0, "{cause}");
    }
}

#[test]
fn the_state_of_targets_and_circuits_is_measured() {
    let failing = server("HTTP/1.1 500 x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let yaml = format!(
        r#"listeners: {{ web: {{ address: "127.0.0.1:0" }} }}
upstreams:
  pool:
    targets: [{{ url: "http://{failing}" }}, {{ url: "http://127.0.0.1:1" }}]
    health_checks: {{ passive: {{ consecutive_failures: 2, ejection_time: 1h, max_ejection_percent: 50 }}, panic_threshold: 0 }}
  one:
    targets: [{{ url: "http://{failing}" }}]
    circuit_breaker: {{ failure_ratio: {{ over: "50%", min_requests: 2 }}, open_time: 1h }}
routes:
  pool: {{ path: /pool, upstream: pool }}
  one:  {{ path: /one, upstream: one }}
"#
    );
    let gateway =
        Gateway::start_whole(&(HEAD.replace("telemetry: {", "telemetry: { metrics: { prometheus: {} },") + &yaml));
    let sum = |scraped: &Scraped, name: &str| scraped.sum(name, &[("gateway_upstream", "pool")]);
    let circuit = |scraped: &Scraped| scraped.value("gateway_upstream_circuit_open", &[("gateway_upstream", "one")]);
    let before = Scraped::of(&gateway);
    assert_eq!(sum(&before, "gateway_upstream_target_healthy"), 2.0);
    assert_eq!((sum(&before, "gateway_upstream_ejections_total"), circuit(&before)), (0.0, 0.0));
    for _ in 0..5 {
        gateway.get("/pool");
        gateway.get("/one");
    }
    let after = wait_for(&gateway, |scraped| sum(scraped, "http_client_active_requests") == 0.0);
    assert_eq!(sum(&after, "gateway_upstream_target_healthy"), 1.0);
    assert_eq!(sum(&after, "gateway_upstream_target_ejected"), 1.0);
    let ejections = [("gateway_upstream", "pool"), ("gateway_reason", "consecutive_failures")];
    assert_eq!(after.sum("gateway_upstream_ejections_total", &ejections), 1.0);
    assert_eq!(circuit(&after), 1.0);
    let refused = [("gateway_reason", "upstream_circuit_open")];
    assert_eq!(after.sum("gateway_plugin_decisions_total", &refused), 3.0);
}

#[test]
fn a_line_counts_the_attempts_if_there_were_several() {
    let failing = server("HTTP/1.1 503 x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let good = server("HTTP/1.1 200 x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let yaml = format!(
        r#"listeners: {{ web: {{ address: "127.0.0.1:0" }} }}
upstreams:
  failing: {{ targets: [{{ url: "http://{failing}" }}] }}
  partly:  {{ targets: [{{ url: "http://127.0.0.1:1", weight: 1000 }}, {{ url: "http://{good}" }}] }}
routes:
  failing: {{ path: /failing, upstream: failing, retry: {{ attempts: 2, backoff: {{ base: 1ms }} }} }}
  partly:  {{ path: /partly, upstream: partly }}
"#
    );
    let head = HEAD.replace("level: info", "level: info, access: {}");
    let mut gateway = Gateway::start_whole(&format!("{head}{yaml}"));
    for (path, status, attempts) in [("/failing", 503, 3), ("/partly", 200, 2)] {
        assert_eq!(gateway.get(path).status, status);
        let line = gateway.wait_for_log(|line| line["path"] == path);
        assert_eq!(line["attempts"], attempts, "{line}");
    }
}

#[test]
fn a_target_that_is_used_although_it_was_ejected_is_shown_as_such() {
    let failing = server("HTTP/1.1 500 x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let good = server("HTTP/1.1 200 x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let yaml = format!(
        r#"listeners: {{ web: {{ address: "127.0.0.1:0" }} }}
upstreams:
  one:
    targets: [{{ url: "http://{failing}" }}, {{ url: "http://{good}", weight: 0 }}]
    health_checks: {{ passive: {{ consecutive_failures: 1, ejection_time: 1h }}, panic_threshold: 60 }}
  brief:
    targets: [{{ url: "http://{failing}" }}]
    health_checks: {{ passive: {{ consecutive_failures: 1, ejection_time: 100ms }} }}
  two:
    targets: [{{ url: "http://{failing}" }}, {{ url: "http://{good}" }}]
    health_checks: {{ passive: {{ consecutive_failures: 1, ejection_time: 1h }} }}
routes:
  one: {{ path: /one, upstream: one }}
  two: {{ path: /two, upstream: two }}
  brief: {{ path: /brief, upstream: brief }}
"#
    );
    let head = HEAD.replace("telemetry: {", "telemetry: { metrics: { prometheus: {} },");
    let mut gateway = Gateway::start_whole(&format!("{head}{yaml}"));
    let state = |gateway: &Gateway, name: &str| gateway.admin("GET", "/status").json()["upstreams"][name].clone();
    let seen = |state: &serde_json::Value| {
        let target = |index: usize| {
            (state["targets"][index]["health"].clone(), state["targets"][index]["gets_requests"].clone())
        };
        (state["panic"].clone(), target(0), target(1))
    };
    let panics =
        |gateway: &Gateway| Scraped::of(gateway).value("gateway_upstream_panic", &[("gateway_upstream", "one")]);
    let usual = (false.into(), ("healthy".into(), true.into()), ("healthy".into(), false.into()));
    assert_eq!((seen(&state(&gateway, "one")), panics(&gateway)), (usual, 0.0));

    // Half of the targets are healthy, which is below the threshold.
    assert_eq!(gateway.get("/one").status, 500);
    let ejected = (true.into(), ("ejected".into(), true.into()), ("healthy".into(), false.into()));
    assert_eq!((seen(&state(&gateway, "one")), panics(&gateway)), (ejected, 1.0));
    let line = gateway.wait_for_log(|line| line["message"] == "too few targets are healthy, so all get requests");
    assert_eq!((&line["level"], &line["healthy"], &line["targets"]), (&"WARN".into(), &1.into(), &2.into()), "{line}");

    assert_eq!(gateway.get("/brief").status, 500);
    let line = gateway.wait_for_log(|line| line["message"] == "ejection ended");
    assert_eq!((&line["level"], &line["upstream_target"]), (&"INFO".into(), &failing.to_string().into()), "{line}");
    assert_eq!(state(&gateway, "brief")["panic"], false);
    let line = gateway.wait_for_log(|line| line["message"] == "only healthy targets get requests again");
    assert_eq!((&line["upstream"], &line["healthy"]), (&"brief".into(), &1.into()), "{line}");

    while state(&gateway, "two")["targets"][0]["health"] == "healthy" {
        gateway.get("/two");
    }
    let spared = (false.into(), ("ejected".into(), false.into()), ("healthy".into(), true.into()));
    assert_eq!(seen(&state(&gateway, "two")), spared);
}

#[test]
fn a_request_that_no_target_got_is_logged_without_a_target() {
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut gateway = Gateway::start(&format!(
        "listeners: {{ web: {{ address: \"127.0.0.1:0\" }} }}
upstreams: {{ app: {{ targets: [{{ url: \"http://{}\" }}], circuit_breaker: {{ max_requests: 1, max_pending: 0 }} }} }}
routes: {{ app: {{ path_prefix: /, upstream: app }} }}\n",
        target.local_addr().unwrap()
    ));
    let mut busy = crate::harness::connect(gateway.address);
    busy.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let _held = target.accept().unwrap();
    assert_eq!(gateway.get("/").status, 503);
    let line = gateway.wait_for_log(|line| line["message"] == "upstream request failed");
    assert_eq!(
        (&line["error"], line.get("upstream_target")),
        (&"too many requests are in progress".into(), None),
        "{line}"
    );
}
