//! Header fields named in a configuration: each setting takes effect or is rejected, and values stay secret.

use crate::harness::{Answer, Gateway, HEAD, command, head_of, send};
use crate::http2;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};

/// An upstream that sends `answer` to one request on each connection and reports its head, in lower case.
fn upstream(answer: &'static [u8]) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, seen) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let head = head_of(&mut stream);
            if sender.send(head).is_err() || stream.write_all(answer).is_err() {
                return;
            }
        }
    });
    (address, seen)
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\nx-second: from-upstream\r\n\r\nok";

/// The value of `name` in a head that is all lower case.
fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

const SECRETS: &str = r#"
listeners: { web: { address: "127.0.0.1:0", chain: edge } }
plugins:
  key: { headers: { request: { set: { x-key: hush-one }, add: { x-more: "hush-two" } }, response: { set: { x-back: hush-three } } } }
chains: { edge: [key] }
routes:
  fixed:   { path: /, respond: { text: x, headers: { x-fixed: hush-four } } }
  matched: { path: /m, headers: { x-origin-verify: hush-five }, respond: { text: matched } }
"#;

#[test]
fn a_header_value_in_the_file_is_shown_nowhere_and_works() {
    let mut gateway = Gateway::start(SECRETS);
    let answer = gateway.get("/");
    assert_eq!((answer.header("x-back"), answer.header("x-fixed")), (Some("hush-three"), Some("hush-four")));
    assert_eq!(gateway.send("GET", "/m", &[("x-origin-verify", "hush-five")], "").body, "matched");
    let shown = gateway.admin("GET", "/config");
    let config = shown.json();
    assert!(!shown.body.contains("hush"), "{config:#}");
    assert_eq!(config["plugins"]["key"]["headers"]["request"]["set"]["x-key"], "***");
    assert_eq!(config["routes"]["matched"]["headers"]["x-origin-verify"], "***");
    let broken = [
        ("set: { x-key", "sett: { x-key"),
        ("{ headers: { request", "{ haeders: { request"),
        ("key: { headers", "key: { header"),
        ("x-key: hush-one", "x-key: [hush-one]"),
        ("x-key: hush-one", "\"x key\": hush-one"),
        ("x-key: hush-one", "via: hush-one"),
        ("set: { x-key: hush-one }", "set: hush-one"),
        ("add: { x-more: \"hush-two\" }", "add: [\"hush-two\"]"),
        ("x-back: hush-three", "x-back: \"hush-three\\n\""),
        ("respond: { text: x, headers", "respond: { text: x, haeders"),
        ("x-fixed: hush-four", "content-length: hush-four"),
        ("x-origin-verify: hush-five", "x-origin-verify: { a: hush-five }"),
        ("x-origin-verify: hush-five", "x_origin_verify: hush-five"),
        ("x-key: hush-one", "x-key: \"hush-one"),
        ("plugins:\n", "plugin:\n"),
        ("plugins:\n", "anything:\n"),
    ];
    for (good, bad) in broken {
        assert!(SECRETS.contains(good), "{good}");
        let refused = gateway.reload(&SECRETS.replace(good, bad));
        assert_eq!(refused.status, 422, "{bad}: {refused:?}");
        assert!(!refused.body.contains("hush"), "{bad}: {}", refused.body);
        for format in ["human", "json", "sarif"] {
            let output =
                command(gateway.folder()).args(["check", "--format", format, "gateway.yaml"]).output().unwrap();
            let text = [output.stdout, output.stderr].concat();
            assert!(!String::from_utf8_lossy(&text).contains("hush"), "{bad}: {}", String::from_utf8_lossy(&text));
        }
    }
    assert!(!gateway.log().contains("hush"));
}

#[test]
fn a_password_in_the_address_of_a_store_is_shown_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    for url in [
        "postgres://app:hush@db/users?colour=hush",
        "postgres://app:hush@db/users?sslmode=hush",
        "postgres://app:hush@db:port/users",
        "postgres://app:hu/sh-hush@db/users?colour=red",
        "mysql://app:hush@db",
        "redis://:hush@[::1]:6379/0?x=hush",
    ] {
        for text in
            [format!("url: \"{url}\""), format!("url: {url}"), format!("ulr: \"{url}\""), format!("url: [\"{url}\"]")]
        {
            let yaml =
                format!("{HEAD}listeners: {{ web: {{ address: \"127.0.0.1:0\" }} }}\nstores:\n  main: {{ {text} }}\n");
            std::fs::write(folder.path().join("gateway.yaml"), yaml).unwrap();
            for format in ["human", "json"] {
                let output =
                    command(folder.path()).args(["check", "--format", format, "gateway.yaml"]).output().unwrap();
                let shown = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
                assert!(!output.status.success() && !shown.contains("hush"), "{text}: {shown}");
            }
        }
    }
}

fn two_ids(upstream: SocketAddr) -> String {
    format!(
        r#"
listeners:
  web:   {{ address: "127.0.0.1:0", chain: edge }}
  other: {{ address: "127.0.0.1:0", chain: other }}
plugins:
  third:  {{ request_id: {{ header: x-third }} }}
  first:  {{ request_id: {{ header: x-first }} }}
  second: {{ request_id: {{ header: x-second, format: uuid_v4 }} }}
  none:   {{ body_limit: {{ max: 1B }} }}
chains: {{ edge: [first], other: [third] }}
upstreams: {{ there: {{ targets: [{{ url: "http://{upstream}" }}] }} }}
routes:
  both: {{ path: /both, plugins: [second], upstream: there }}
  one:  {{ path: /one, upstream: there }}
  small: {{ path: /small, plugins: [none, second], upstream: there }}
"#
    )
}

fn id_in_body(answer: &Answer) -> String {
    answer.json()["request_id"].as_str().unwrap().to_owned()
}

#[test]
fn each_request_id_reaches_upstream_client_log_and_error_body_as_configured() {
    let (address, seen) = upstream(OK);
    let head = HEAD.replace("level: info }", "level: info, access: {} }");
    let mut gateway = Gateway::start_whole(&format!("{head}{}", two_ids(address)));
    let listening = |line: &serde_json::Value| line["message"] == "listening" && line["listener"] == "other";
    let other = gateway.wait_for_log(listening)["address"].as_str().unwrap().parse().unwrap();
    let problem = [("accept", "application/problem+json")];
    let both = gateway.send("GET", "/both", &[("x-first", "mine"), ("x-second", "mine")], "");
    let head = seen.recv().unwrap();
    let (first, second) = (both.header("x-first").unwrap(), both.header("x-second").unwrap());
    assert_ne!(first, second);
    assert_eq!((field(&head, "x-first"), field(&head, "x-second")), (Some(first), Some(second)));
    gateway.wait_for_log(|line| line["path"] == "/both" && line["request_id"] == *second);

    let nowhere = gateway.send("GET", "/nowhere", &problem, "");
    assert_eq!(id_in_body(&nowhere), nowhere.header("x-first").unwrap());
    gateway
        .wait_for_log(|line| line["path"] == "/nowhere" && line["request_id"] == *nowhere.header("x-first").unwrap());

    // Rejected between the two: only the first has assigned an id by then.
    let large = gateway.send("POST", "/small", &problem, "large");
    assert_eq!((large.status, large.header("x-second")), (413, None));
    assert_eq!(id_in_body(&large), large.header("x-first").unwrap());

    let one = send(other, "GET", "/one", &[], "");
    let head = seen.recv().unwrap();
    assert_eq!(field(&head, "x-third"), one.header("x-third"));
    assert_eq!((one.header("x-first"), one.header("x-second")), (None, Some("from-upstream")));
    gateway.wait_for_log(|line| line["path"] == "/one" && line["request_id"] == *one.header("x-third").unwrap());
    let nowhere = send(other, "GET", "/elsewhere", &problem, "");
    assert_eq!(id_in_body(&nowhere), nowhere.header("x-third").unwrap());
}

#[test]
fn no_name_in_the_file_replaces_a_default_plugin() {
    let gateway = Gateway::start(
        r#"
listeners: { web: { address: "127.0.0.1:0" } }
plugins:
  timeout:     { headers: { response: { set: { x-mine: "1" } } } }
  request_id:  { body_limit: { max: 1B } }
  compression: { request_id: { header: x-other } }
routes:
  plain: { path: /, respond: { text: hello } }
  named: { path: /named, plugins: [timeout, compression], respond: { text: hello } }
"#,
    );
    let plain = gateway.send("POST", "/", &[], "more than one byte");
    assert_eq!((plain.status, plain.header("x-mine"), plain.header("x-other")), (200, None, None));
    assert!(plain.header("x-request-id").is_some());
    let named = gateway.get("/named");
    assert!(named.header("x-request-id").is_some() && named.header("x-other").is_some());
    assert_eq!(named.header("x-mine"), Some("1"));
}

#[test]
fn settings_of_header_fields_take_effect() {
    let (address, seen) = upstream(OK);
    let gateway = Gateway::start(&format!(
        r#"
listeners: {{ web: {{ address: "127.0.0.1:0", chain: edge }} }}
plugins:
  fields:
    headers:
      request:
        set: {{ x-forwarded-prefix: /api, x-real-ip: 192.0.2.1, forwarded: "for=unknown", x-request-id: mine, accept-encoding: identity }}
        remove: [user-agent]
      response:
        set: {{ x-content-type-options: none, via: "1.1 us", server: mine, x-forwarded-proto: odd, vary: x-none, x-request-id: mine }}
        remove: [x-second]
chains: {{ edge: [fields] }}
upstreams: {{ there: {{ targets: [{{ url: "http://{address}" }}] }} }}
routes:
  there: {{ path: /, upstream: there }}
  fixed: {{ path: /fixed, plugins: [], respond: {{ text: x, headers: {{ x-request-id: fixed, content-encoding: identity }} }} }}
"#
    ));
    let answer = gateway.send("GET", "/", &[("user-agent", "me"), ("x-real-ip", "203.0.113.9")], "");
    let head = seen.recv().unwrap();
    for (name, value) in [
        ("x-forwarded-prefix", Some("/api")),
        ("x-real-ip", Some("192.0.2.1")),
        ("forwarded", Some("for=unknown")),
        ("x-request-id", Some("mine")),
        ("accept-encoding", Some("identity")),
        ("user-agent", None),
    ] {
        assert_eq!(field(&head, name), value, "{name}: {head}");
    }
    for (name, value) in [
        ("x-content-type-options", Some("none")),
        ("via", Some("1.1 us")),
        ("server", Some("mine")),
        ("x-forwarded-proto", Some("odd")),
        ("vary", Some("x-none")),
        ("x-request-id", Some("mine")),
        ("x-second", None),
    ] {
        assert_eq!(answer.header(name), value, "{name}: {answer:?}");
    }
    let fixed = gateway.get("/fixed");
    assert_eq!(
        (fixed.header("content-encoding"), fixed.header("x-content-type-options")),
        (Some("identity"), Some("none"))
    );
}

#[test]
fn a_response_has_nosniff_unless_another_value_is_set() {
    let gateway = Gateway::start(
        r#"
listeners: { web: { address: "127.0.0.1:0" } }
routes:
  plain: { path: /, respond: { text: hello } }
  other: { path: /other, respond: { text: hello, headers: { x-content-type-options: other } } }
"#,
    );
    assert_eq!(gateway.get("/").header("x-content-type-options"), Some("nosniff"));
    assert_eq!(gateway.get("/nowhere").header("x-content-type-options"), Some("nosniff"));
    assert_eq!(gateway.get("/other").header("x-content-type-options"), Some("other"));
}

#[test]
fn a_length_is_sent_once_to_upstreams_and_clients() {
    let twice = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2, 2\r\ncontent-length: 2\r\n\r\nok";
    let (address, seen) = upstream(twice);
    let gateway = Gateway::start(&format!(
        r#"
listeners: {{ web: {{ address: "127.0.0.1:0", protocols: [http1, http2] }} }}
upstreams: {{ app: {{ targets: [{{ url: "http://{address}" }}] }} }}
routes: {{ all: {{ path_prefix: /, upstream: app }} }}
"#
    ));
    let mut client = http2::Client::new(gateway.address);
    let answer = client.send("GET", "/", &[], "");
    assert_eq!((answer.status, &*answer.body), (200, "ok"));
    assert_eq!(answer.headers.get_all("content-length").iter().collect::<Vec<_>>(), ["2"]);
    assert_eq!(gateway.get("/").header("content-length"), Some("2"));
    assert_eq!(seen.iter().take(2).count(), 2);
    let answer = client.send("POST", "/", &[("content-length", "3"), ("content-length", "3")], "abc");
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert!(answer.body.contains("content-length: must be sent once"), "{}", answer.body);
}

#[test]
fn upstreams_find_one_description_of_the_client_even_if_a_trusted_proxy_passes_on_another() {
    for trusted in ["[]", "[127.0.0.1/32]"] {
        let (address, seen) = upstream(OK);
        let gateway = Gateway::start(&format!(
            "listeners: {{ web: {{ address: \"127.0.0.1:0\", trusted_proxies: {trusted} }} }}
upstreams: {{ app: {{ targets: [{{ url: \"http://{address}\" }}] }} }}
routes: {{ app: {{ path_prefix: /, upstream: app }} }}\n"
        ));
        let sent = [("forwarded", "for=6.6.6.6;proto=https;host=evil.example"), ("x-forwarded-for", "198.51.100.7")];
        assert_eq!(gateway.send("GET", "/", &sent, "").status, 200);
        let head = seen.recv().unwrap();
        assert_eq!(field(&head, "forwarded"), None, "{head}");
        let chain = if trusted == "[]" { "127.0.0.1" } else { "198.51.100.7, 127.0.0.1" };
        assert_eq!(field(&head, "x-forwarded-for"), Some(chain), "{head}");
    }
}
