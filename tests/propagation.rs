//! How trace contexts from callers are handled, and what an upstream receives, in every format.

use crate::collector::{Collector, Received};
use crate::harness::{Gateway, head_of};
use crate::tracing::{CLIENT, SERVER, span, traced_as};
use std::io::Write;
use std::net::TcpListener;
use tokio::runtime::Runtime;

const YAML: &str = r#"
listeners: { web: { address: "127.0.0.1:0", chain: edge, trusted_proxies: [TRUSTED] } }
chains: { edge: [] }
upstreams: { there: { targets: [{ url: "http://UPSTREAM" }] } }
routes: { there: { path_prefix: /, upstream: there } }
"#;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// An upstream that returns the head it received, in lower case.
fn mirror() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let head = head_of(&mut stream);
            let length = head.len();
            let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{head}");
        }
    });
    address
}

struct Setup {
    _runtime: Runtime,
    collector: Collector,
    gateway: Gateway,
}

impl Setup {
    /// With a `share` of 0, only what a trusted caller requests is traced.
    fn new(propagators: &str, share: f64, trusted: bool) -> Self {
        let runtime = Runtime::new().unwrap();
        let collector = runtime.block_on(Collector::grpc());
        let trusted = if trusted { "\"127.0.0.0/8\"" } else { "" };
        let yaml = YAML.replace("UPSTREAM", &mirror()).replace("TRUSTED", trusted);
        let traces = format!(", propagators: [{propagators}], sampler: {{ parentbased_traceidratio: {share:.1} }}");
        let gateway = traced_as(&collector.endpoint, &traces, "", &yaml);
        Self { _runtime: runtime, collector, gateway }
    }

    /// The header fields that the upstream received.
    fn seen(&self, path: &str, headers: &[(&str, &str)]) -> Vec<(String, String)> {
        let head = self.gateway.send("GET", path, headers, "").body;
        let fields = head.lines().filter_map(|line| line.split_once(": "));
        fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn server(&self, path: &str) -> Received {
        span(&self.collector, |span| span.kind == SERVER && span.attributes["url.path"] == path)
    }

    fn client(&self, server: &Received) -> Received {
        span(&self.collector, |span| span.kind == CLIENT && span.parent == server.id)
    }
}

fn field<'a>(seen: &'a [(String, String)], name: &str) -> Option<&'a str> {
    seen.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

#[test]
fn a_trusted_caller_is_followed_in_b3() {
    let setup = Setup::new("b3, b3multi", 0.0, true);
    let single = format!("{TRACE}-{SPAN}-1");
    let multi = [("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN), ("x-b3-sampled", "1"), ("x-b3-parentspanid", SPAN)];
    for (path, headers) in [("/single", &[("b3", single.as_str())][..]), ("/multi", &multi)] {
        let seen = setup.seen(path, headers);
        let server = setup.server(path);
        assert_eq!((server.trace.as_str(), server.parent.as_str()), (TRACE, SPAN));
        let client = setup.client(&server);
        assert_eq!(field(&seen, "b3"), Some(format!("{TRACE}-{}-1", client.id).as_str()));
        assert_eq!(
            (field(&seen, "x-b3-traceid"), field(&seen, "x-b3-spanid")),
            (Some(TRACE), Some(client.id.as_str()))
        );
        assert_eq!((field(&seen, "x-b3-sampled"), field(&seen, "x-b3-parentspanid")), (Some("1"), None));
        assert_eq!(field(&seen, "traceparent"), None, "it is not among the propagators");
    }
    // A positive decision alone, and a negative one.
    let seen = setup.seen("/debug", &[("b3", "d")]);
    let server = setup.server("/debug");
    assert_eq!(server.parent, "");
    assert_eq!(field(&seen, "x-b3-traceid"), Some(server.trace.as_str()));
    let no = format!("{TRACE}-{SPAN}-0");
    assert_eq!(field(&setup.seen("/no", &[("b3", &no)]), "b3"), Some(no.as_str()), "it goes on as it came");
}

#[test]
fn an_untrusted_client_cannot_force_sampling_in_any_format() {
    let setup = Setup::new("tracecontext, b3, b3multi", 0.0, false);
    let traceparent = format!("00-{TRACE}-{SPAN}-01");
    let single = format!("{TRACE}-{SPAN}-d");
    let all = [
        ("traceparent", traceparent.as_str()),
        ("b3", &single),
        ("x-b3-traceid", TRACE),
        ("x-b3-spanid", SPAN),
        ("x-b3-sampled", "1"),
        ("x-b3-flags", "1"),
    ];
    let seen = setup.seen("/x", &all);
    let parent: Vec<_> = field(&seen, "traceparent").unwrap().split('-').collect();
    assert_eq!((parent[1], parent[3]), (TRACE, "00"));
    let parent: Vec<_> = field(&seen, "b3").unwrap().split('-').collect();
    assert_eq!((parent[0], parent[2]), (TRACE, "0"));
    assert_eq!((field(&seen, "x-b3-sampled"), field(&seen, "x-b3-flags")), (Some("0"), None));
    // Fields that request sampling without a valid trace are removed.
    for (name, value) in [("b3", "d"), ("b3", "1"), ("b3", "nonsense"), ("x-b3-flags", "1"), ("x-b3-sampled", "1")] {
        assert_eq!(field(&setup.seen("/y", &[(name, value)]), name), None, "{name}: {value}");
    }
    assert_eq!(setup.collector.received().len(), 0);
}

#[test]
fn the_b3_trace_of_an_untrusted_client_is_joined_if_we_trace_anyway() {
    let setup = Setup::new("b3", 1.0, false);
    setup.seen("/x", &[("b3", &format!("{TRACE}-{SPAN}-0"))]);
    let server = setup.server("/x");
    assert_eq!((server.trace.as_str(), server.parent.as_str()), (TRACE, SPAN));
}

#[test]
fn without_propagators_every_request_begins_a_trace_and_the_upstream_gets_it() {
    let setup = Setup::new("baggage", 1.0, true);
    let seen = setup.seen("/x", &[("traceparent", &format!("00-{TRACE}-{SPAN}-01"))]);
    let server = setup.server("/x");
    assert_eq!(server.parent, "");
    assert_ne!(server.trace, TRACE);
    let client = setup.client(&server);
    assert_eq!(field(&seen, "traceparent"), Some(format!("00-{}-{}-01", server.trace, client.id).as_str()));
}

#[test]
fn a_state_goes_on_as_the_specification_says_and_so_do_the_flags() {
    let setup = Setup::new("tracecontext", 1.0, true);
    let vendor = format!("{}@{}=1,other=2", "t".repeat(241), "v".repeat(14));
    for (state, flags, expected) in [
        (vendor.as_str(), "03", (Some(vendor.as_str()), "03")),
        ("foo=1,,bar=2", "ff", (Some("foo=1,bar=2"), "03")),
        ("=1", "01", (None, "01")),
        ("foo=", "01", (None, "01")),
    ] {
        let parent = format!("00-{TRACE}-{SPAN}-{flags}");
        let seen = setup.seen("/x", &[("traceparent", &parent), ("tracestate", state)]);
        let written = field(&seen, "traceparent").and_then(|parent| parent.split('-').nth(3)).unwrap();
        assert_eq!((field(&seen, "tracestate"), written), expected, "{state}");
    }
}

#[test]
fn baggage_is_forwarded_only_with_its_propagator() {
    const BAGGAGE: &str = "user=alice;private, flags=a%20b";
    let kept = Setup::new("tracecontext, baggage", 1.0, true);
    assert_eq!(field(&kept.seen("/x", &[("baggage", BAGGAGE)]), "baggage"), Some(BAGGAGE));
    let named = [("baggage", BAGGAGE), ("connection", "baggage")];
    assert_eq!(field(&kept.seen("/x", &named), "baggage"), Some(BAGGAGE), "`Connection` cannot name it away");
    let huge = "k=".to_owned() + &"v".repeat(64 * 1024);
    assert_eq!(kept.gateway.send("GET", "/x", &[("baggage", &huge)], "").status, 431);
    let dropped = Setup::new("tracecontext", 1.0, true);
    assert_eq!(field(&dropped.seen("/x", &[("baggage", BAGGAGE)]), "baggage"), None);
}
