//! Plugins in a chain: their order holds, each one takes effect, and none can be silently missing.

use crate::harness::Gateway;
use std::io::Write;

const YAML: &str = r#"
listeners: { web: { address: "127.0.0.1:0", chain: edge } }
plugins:
  request-id: { request_id: {} }
  compress:   { compression: { min_size: 1KiB } }
  cors-web:   { cors: { allow_origins: ["https://app.example.com"], allow_methods: [GET, POST], credentials: true } }
  deadline:   { timeout: { request: 10s } }
  login:      { jwt: { issuer: iss, audiences: [api], algorithms: [HS256], secret: "${env.JWT_SECRET}" } }
  only-admin: { authorize: { role: admin } }
  small:      { body_limit: { max: 10B } }
  mark:       { headers: { response: { set: { x-mark: "1" } } } }
chains:
  edge: [request-id, compress, cors-web, deadline]
  private: [login, only-admin]
routes:
  open:    { path: /, plugins: [mark], respond: { text: hello } }
  long:    { path: /long, respond: { body_file: long.txt } }
  private: { path: /private, chain: private, respond: { text: secret } }
  small:   { path: /small, plugins: [small], respond: { text: taken } }
"#;

fn start() -> Gateway {
    Gateway::start(&YAML.replace("{ body_file: long.txt }", &format!("{{ text: \"{}\" }}", "long text ".repeat(500))))
}

#[test]
fn every_response_carries_a_request_id_and_the_fields_of_its_chain() {
    let gateway = start();
    let (one, two) = (gateway.get("/"), gateway.get("/"));
    assert_ne!(one.header("x-request-id").unwrap(), two.header("x-request-id").unwrap());
    assert_eq!(one.header("x-mark"), Some("1"));
    assert!(gateway.get("/nope").header("x-mark").is_none());
}

#[test]
fn a_preflight_needs_no_token_and_other_origins_get_no_permission() {
    let gateway = start();
    let preflight = |origin: &str| {
        let headers = [("origin", origin), ("access-control-request-method", "POST")];
        gateway.send("OPTIONS", "/private", &headers, "")
    };
    let known = preflight("https://app.example.com");
    assert_eq!(known.status, 200);
    assert_eq!(known.header("access-control-allow-origin"), Some("https://app.example.com"));
    assert!(preflight("https://evil.example").header("access-control-allow-origin").is_none());
    let refused = gateway.send("GET", "/private", &[("origin", "https://app.example.com")], "");
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (401, Some("https://app.example.com")));
}

#[test]
fn a_long_response_is_compressed_for_clients_that_accept_it() {
    let gateway = start();
    let plain = gateway.get("/long");
    let packed = gateway.send("GET", "/long", &[("accept-encoding", "gzip, zstd;q=0.5")], "");
    assert_eq!(plain.header("content-encoding"), None);
    assert!(packed.header("content-encoding").is_some());
    assert!(packed.body.len() < plain.body.len() / 5);
    let vary = plain.headers.iter().filter(|(name, _)| name == "vary");
    assert!(vary.into_iter().any(|(_, value)| value.split(", ").any(|name| name == "accept-encoding")), "{plain:?}");
}

#[test]
fn a_body_over_the_limit_is_answered_before_it_is_sent() {
    let gateway = start();
    let mut stream = crate::harness::connect(gateway.address);
    stream.write_all(b"POST /small HTTP/1.1\r\nhost: a\r\ncontent-length: 11\r\nexpect: 100-continue\r\n\r\n").unwrap();
    assert_eq!(crate::harness::read_answer(&mut stream).unwrap().status, 413);
    assert_eq!(gateway.send("POST", "/small", &[], "0123456789").body, "taken");
}

#[test]
fn a_security_plugin_that_cannot_be_built_refuses_the_whole_file() {
    let gateway = start();
    for (good, bad) in [
        ("secret: \"${env.JWT_SECRET}\"", "secret: short"),
        ("algorithms: [HS256]", "algorithms: [RS256]"),
        ("private: [login, only-admin]", "private: [only-admin, login]"),
        ("private: [login, only-admin]", "private: [only-admin]"),
        ("private: [login, only-admin]", "private: [logn, only-admin]"),
        ("chain: private, respond", "chain: privat, respond"),
        ("authorize: { role: admin }", "authorize: {}"),
    ] {
        let refused = gateway.reload(&YAML.replace("{ body_file: long.txt }", "{ text: x }").replace(good, bad));
        assert_eq!(refused.status, 422, "{bad}");
        assert_eq!(gateway.get("/private").status, 401, "{bad}");
    }
}

#[test]
fn the_access_log_has_the_request_id_from_any_header() {
    let head = crate::harness::HEAD.replace("level: info }", "level: info, access: {} }");
    let mut gateway = Gateway::start_whole(&format!(
        "{head}
listeners: {{ web: {{ address: \"127.0.0.1:0\", chain: edge }} }}
plugins: {{ id: {{ request_id: {{ header: x-correlation-id }} }} }}
chains: {{ edge: [id] }}
routes: {{ root: {{ path: /, respond: {{ text: hello }} }} }}\n"
    ));
    let answer = gateway.get("/");
    let id = answer.header("x-correlation-id").unwrap();
    gateway.wait_for_log(|line| line["request_id"] == *id);
}
