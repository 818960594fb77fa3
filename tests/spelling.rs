//! However a path is spelled, it takes the same route or is rejected: a guard cannot be bypassed.

use crate::harness::{Gateway, command, head_of};
use crate::http2;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::io::Write;
use std::net::{SocketAddr, TcpListener};

const LISTENER: &str = r#"
listeners: { web: { address: "127.0.0.1:0", protocols: [http1, http2] } }
plugins: { login: { jwt: { issuer: iss, audiences: [api], algorithms: [HS256], secret: "${env.JWT_SECRET}" } } }
"#;

const ROUTES: &str = r#"
routes:
  admin:  { path_prefix: /admin, respond: { text: admin } }
  tilde:  { path: /~ada, respond: { text: tilde } }
  cafe:   { path: /caf%c3%a9, respond: { text: cafe } }
  at:     { path_prefix: "/@team/a+b", respond: { text: at } }
  brace:  { path: "/%7Bx%7D", respond: { text: brace } }
  item:   { path: "/items/{id}", respond: { text: item } }
  me:     { path: /items/me, respond: { text: me } }
  files:  { path: "/files/{*rest}", respond: { text: files } }
  rest:   { path_prefix: /, respond: { text: rest } }
"#;

/// Paths, and the routes that match them.
const PATHS: [(&str, &str); 12] = [
    ("/admin", "admin"),
    ("/admin/users", "admin"),
    ("/~ada", "tilde"),
    ("/caf\u{e9}", "cafe"),
    ("/@team/a+b/c", "at"),
    ("/{x}", "brace"),
    ("/items/7", "item"),
    ("/items/me", "me"),
    ("/files/a/b", "files"),
    ("/adminx", "rest"),
    ("/items/me/x", "rest"),
    ("/", "rest"),
];

/// A spelling of each byte: literal, escaped in lower or upper case, or with something that many servers drop.
fn spelled(path: &str, choices: &[u8]) -> String {
    let mut spelled = "/".to_owned();
    for (byte, choice) in path.bytes().skip(1).zip(choices.iter().cycle()) {
        let is_graphic = byte.is_ascii_graphic() && !b"{}".contains(&byte);
        if byte == b'/' {
            spelled += match choice {
                0..=5 => "/",
                6 => "//",
                7 => "/./",
                8 => ";a=b/",
                _ => "%2F",
            };
        } else if is_graphic && *choice < 5 {
            spelled.push(char::from(byte));
        } else if *choice < 8 {
            spelled += &format!("%{byte:02x}");
        } else {
            spelled += &format!("%{byte:02X}");
        }
    }
    spelled
}

/// Whether only escapes were changed.
fn is_escaped_only(spelled: &str) -> bool {
    !spelled.contains("//") && !spelled.contains("/./") && !spelled.contains(";a=b") && !spelled.contains("%2F")
}

#[test]
fn every_spelling_of_a_path_takes_the_same_route_or_is_refused() {
    let gateway = Gateway::start(&format!("{LISTENER}{ROUTES}"));
    let mut client = http2::Client::new(gateway.address);
    let strategy = (0..PATHS.len(), proptest::collection::vec(0_u8..10, 1..24));
    let mut runner = TestRunner::new(Config { cases: 300, failure_persistence: None, ..Config::default() });
    let client = std::cell::RefCell::new(&mut client);
    runner
        .run(&strategy, |(index, choices)| {
            let (path, route) = PATHS[index];
            let spelled = spelled(path, &choices);
            let first = gateway.get(&spelled);
            let second = client.borrow_mut().send("GET", &spelled, &[], "");
            for (status, body) in [(first.status, first.body), (second.status, second.body)] {
                if is_escaped_only(&spelled) {
                    prop_assert_eq!((status, &*body), (200, route), "{}", &spelled);
                } else {
                    prop_assert!(status == 400 || body == route, "{} took {}", &spelled, body);
                }
            }
            Ok(())
        })
        .unwrap();
}

/// An upstream that returns the target of each request.
fn upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let target = head_of(&mut stream).split(' ').nth(1).unwrap_or_default().to_owned();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", target.len());
            let _ = stream.write_all(format!("{head}{target}").as_bytes());
        }
    });
    address
}

#[test]
fn a_guard_applies_however_the_path_is_spelled() {
    let upstream = upstream();
    let gateway = Gateway::start(&format!(
        r#"{LISTENER}
upstreams: {{ app: {{ targets: [{{ url: "http://{upstream}" }}] }} }}
routes:
  admin: {{ path_prefix: /admin, plugins: [login], upstream: app }}
  rest:  {{ path_prefix: /, upstream: app }}
"#
    ));
    let mut client = http2::Client::new(gateway.address);
    for path in ["/admin", "/%61dmin/x", "/adm%69n", "/%61%64%6D%69%6e/", "/admin/%2E%2e%2fx"] {
        let second = client.send("GET", path, &[], "").status;
        assert!([400, 401].contains(&gateway.get(path).status) && [400, 401].contains(&second), "{path}");
    }
    for path in [
        "/admin;x/users",
        "/admin%3bx/y",
        "/;/admin",
        "//admin",
        "/%2fadmin",
        "/x%2f..%2fadmin",
        "/admin%2fx",
        "/%2561dmin",
        "/%25%36%31dmin/x",
    ] {
        let second = client.send("GET", path, &[], "").status;
        assert_eq!((gateway.get(path).status, second), (400, 400), "{path}");
    }
    assert_eq!(gateway.get("/%6fpen/caf%c3%a9/%40?q=%61").body, "/open/caf%c3%a9/%40?q=%61", "head_of lowers letters");
}

#[test]
fn the_listener_and_the_route_decide_about_ambiguous_paths() {
    let gateway = Gateway::start(
        r#"
listeners: { web: { address: "127.0.0.1:0", paths: { allow: [encoded_slash] } } }
routes:
  project: { path: "/projects/{id}", respond: { text: project } }
  shop:    { path: /shop, paths: { allow: [parameters] }, respond: { text: shop } }
  dav:     { path_prefix: /dav, paths: { allow: [empty_segments, non_utf8] }, respond: { text: dav } }
  strict:  { path_prefix: /strict, paths: {}, respond: { text: strict } }
  twice:   { path_prefix: /twice, paths: { allow: [double_encoding] }, respond: { text: twice } }
  rest:    { path_prefix: /, respond: { text: rest } }
"#,
    );
    for (path, status, body) in [
        ("/projects/group%2fname", 200, "project"),
        ("/projects/group;name", 400, ""),
        ("/shop;jsessionid=1", 200, "shop"),
        ("/shop%2f", 200, "rest"),
        ("/dav//a//caf%e9", 200, "dav"),
        ("/dav/a%2fb", 400, ""),
        ("/strict/a%2fb", 400, ""),
        ("/strict/a", 200, "strict"),
        ("/elsewhere/a%2fb", 200, "rest"),
        ("/elsewhere//b", 400, ""),
        ("/dav/a/%2e%2e/b", 400, ""),
        ("/dav//../b", 400, ""),
        ("/twice/%2561%257E", 200, "twice"),
        ("/twice/%252561", 400, ""),
        ("/dav/%2561", 400, ""),
        ("/dav/a%2520b", 200, "dav"),
        ("/dav/%2540team", 400, ""),
        ("/dav/a%253Ab", 400, ""),
        ("/twice/%2540team:a%253Ab", 200, "twice"),
        ("/dav/%40team/a%3Ab/100%25/5%25%20off", 200, "dav"),
    ] {
        let answer = gateway.get(path);
        assert_eq!(answer.status, status, "{path}");
        assert!(status == 400 || answer.body == body, "{path}: {}", answer.body);
    }
}

#[test]
fn an_ambiguous_path_never_bypasses_a_guard() {
    let gateway = Gateway::start(&format!(
        r#"{LISTENER}
routes:
  admin: {{ path_prefix: /admin, plugins: [login], respond: {{ text: admin }} }}
  team:  {{ path_prefix: "/@team", plugins: [login], respond: {{ text: team }} }}
  open:  {{ path_prefix: /open, respond: {{ text: open }} }}
  rest:  {{ path_prefix: /, paths: {{ allow: [encoded_slash, empty_segments, parameters, double_encoding] }}, respond: {{ text: rest }} }}
"#
    ));
    for path in [
        "//admin",
        "/%2fadmin/x",
        "/admin%2fx",
        "/;x/admin",
        "/;x//%2f/admin",
        "/%2561dmin",
        "//%2561dmin/x",
        "/%2540team/x",
    ] {
        assert_eq!(gateway.get(path).status, 400, "{path}");
    }
    for path in ["//open", "/a%2fb", "/a;x//b", "/open%2fx", "/%256fpen"] {
        assert_eq!(gateway.get(path).body, "rest", "{path}");
    }
    assert_eq!(gateway.get("/admin;x/users").status, 400, "the route itself allows nothing");
}

#[test]
fn an_ambiguous_path_never_bypasses_a_guard_with_a_condition() {
    let gateway = Gateway::start(&format!(
        r#"
listeners: {{ web: {{ address: "127.0.0.1:0", protocols: [http1, http2], paths: {{ allow: [encoded_slash, empty_segments, parameters, double_encoding] }} }} }}
plugins:
  office: {{ ip_filter: {{ allow: [10.0.0.0/8] }} }}
  outside: {{ authorize: {{ cel: "!request.path.startsWith('/zone/internal/')" }} }}
upstreams: {{ app: {{ targets: [{{ url: "http://{}" }}] }} }}
routes:
  all: {{ path_prefix: /, plugins: [{{ use: office, when: "request.path.startsWith('/internal/')" }}], upstream: app }}
  zone: {{ path_prefix: /zone, plugins: [outside], upstream: app }}
"#,
        upstream()
    ));
    for zone in ["", "/zone"] {
        for path in
            ["/internal/x", "/internal%2Fx", "//internal/x", "/internal;a/x", "/;/internal/x", "/%2569nternal/x"]
        {
            assert_eq!(gateway.get(&format!("{zone}{path}")).status, 403, "{zone}{path}");
        }
        for path in ["/open/x", "/open/a%2Fb;c//d"] {
            assert_eq!(gateway.get(&format!("{zone}{path}")).status, 200, "{zone}{path}");
        }
    }
}

/// Some servers take `delete` for DELETE, and then a rule about DELETE would not have seen it.
#[test]
fn methods_that_are_not_in_upper_case_are_refused() {
    let gateway = Gateway::start(&format!(
        r#"
listeners: {{ web: {{ address: "127.0.0.1:0", protocols: [http1, http2] }} }}
upstreams: {{ app: {{ targets: [{{ url: "http://{}" }}] }} }}
routes: {{ all: {{ path_prefix: /, upstream: app }} }}
"#,
        upstream()
    ));
    let mut client = http2::Client::new(gateway.address);
    for (method, status) in
        [("DELETE", 200), ("delete", 400), ("Get", 400), ("trace", 400), ("PROPFIND", 200), ("X-1", 200)]
    {
        assert_eq!(gateway.send(method, "/a", &[], "").status, status, "{method}");
        assert_eq!(client.send(method, "/a", &[], "").status, status, "{method} on HTTP/2");
    }
}

#[test]
fn an_ambiguous_path_never_bypasses_a_guard_after_a_rewrite() {
    let (upstream, elsewhere) = (upstream(), upstream());
    let gateway = Gateway::start(&format!(
        r#"{LISTENER}
upstreams:
  app:   {{ targets: [{{ url: "http://{upstream}" }}] }}
  other: {{ targets: [{{ url: "http://{elsewhere}" }}] }}
routes:
  secret: {{ path: /secret/users, plugins: [login], upstream: app }}
  slash:  {{ path: /secret/users/, plugins: [login], upstream: app }}
  v1:     {{ path_prefix: /v1/staff, rewrite: {{ strip_prefix: /v1 }}, plugins: [login], upstream: app }}
  files:  {{ path: "/pub/{{name}}", rewrite: {{ strip_prefix: /pub }}, paths: {{ allow: [encoded_slash] }}, upstream: app }}
  plain:  {{ path: "/{{name}}", paths: {{ allow: [encoded_slash] }}, upstream: app }}
  twice:
    path: "/dbl/secret/{{name}}"
    rewrite: {{ strip_prefix: /dbl }}
    paths: {{ allow: [double_encoding, empty_segments] }}
    upstream: app
  cloud:
    path_prefix: /nc
    rewrite: {{ strip_prefix: /nc }}
    paths: {{ allow: [encoded_slash, empty_segments] }}
    upstream: other
"#
    ));
    let mut client = http2::Client::new(gateway.address);
    for path in
        ["/pub/secret%2fusers", "/pub/secret%2fusers%2f", "/pub/staff%2fx", "/staff%2fx", "/dbl/secret/%2575sers"]
    {
        let second = client.send("GET", path, &[], "").status;
        assert_eq!((gateway.get(path).status, second), (400, 400), "{path}");
    }
    for (path, forwarded) in [
        ("/pub/open%2fusers", "/open%2fusers"),
        ("/pub/v1%2fstaff", "/v1%2fstaff"),
        ("/dbl/secret/%256fpen", "/secret/%256fpen"),
        ("/nc/secret%2fusers", "/secret%2fusers"),
        ("/nc//staff", "//staff"),
    ] {
        assert_eq!(gateway.get(path).body, forwarded, "{path}");
    }
}

#[test]
fn no_spelling_hides_a_path_that_a_guarded_route_makes() {
    let (upstream, elsewhere) = (upstream(), upstream());
    let gateway = Gateway::start(&format!(
        r#"{LISTENER}
upstreams:
  app:   {{ targets: [{{ url: "http://{upstream}" }}] }}
  other: {{ targets: [{{ url: "http://{elsewhere}" }}] }}
routes:
  vault: {{ path: "/vault/{{id}}", rewrite: {{ replace: "/secret/{{id}}/view" }}, plugins: [login], upstream: app }}
  users:
    path_prefix: /u
    rewrite: {{ regex: {{ pattern: "/u/([0-9]+)", to: "/users/{{1}}/private" }} }}
    plugins: [login]
    upstream: app
  staff: {{ path_prefix: /staff, rewrite: {{ add_prefix: /internal }}, plugins: [login], upstream: app }}
  files: {{ path: "/pub/{{name}}", rewrite: {{ strip_prefix: /pub }}, paths: {{ allow: [encoded_slash] }}, upstream: app }}
  named: {{ path: "/t/{{name}}", rewrite: {{ replace: "/{{name}}" }}, paths: {{ allow: [encoded_slash] }}, upstream: app }}
"#
    ));
    for hidden in ["secret%2f7%2fview", "users%2f7%2fprivate", "internal%2fstaff%2fx"] {
        for prefix in ["/pub/", "/t/"] {
            assert_eq!(gateway.get(&format!("{prefix}{hidden}")).status, 400, "{prefix}{hidden}");
        }
    }
    for open in ["open%2fusers", "secret%2f7", "users%2fada%2fprivate", "staff%2fx"] {
        let forwarded = format!("/{open}");
        assert_eq!(gateway.get(&format!("/pub/{open}")).body, forwarded, "{open}");
        assert_eq!(gateway.get(&format!("/t/{open}")).body, forwarded, "{open}");
    }
}

#[test]
fn the_gateways_own_paths_are_found_however_they_are_spelled() {
    let gateway = Gateway::start(&format!(
        "{LISTENER}health: {{ live: /%7elive }}\nroutes: {{ rest: {{ path_prefix: /, respond: {{ text: rest }} }} }}"
    ));
    for path in ["/~live", "/%7Elive", "/%6cive", "/%68ealth"] {
        let expected = if path == "/%6cive" { "rest" } else { r#"{"status":"ok"# };
        assert!(gateway.get(path).body.starts_with(expected.trim_end_matches('}')), "{path}");
    }
    assert_eq!(gateway.admin("GET", "/st%61tus").status, 200);
    assert_eq!(gateway.admin("GET", "//status").status, 400);
}

#[test]
fn allowed_empty_segments_survive_stripping_and_prefixing() {
    let upstream = upstream();
    let gateway = Gateway::start(&format!(
        r#"
listeners: {{ web: {{ address: "127.0.0.1:0", paths: {{ allow: [empty_segments] }} }} }}
upstreams: {{ app: {{ targets: [{{ url: "http://{upstream}" }}] }} }}
routes:
  cloud: {{ path_prefix: /nc, rewrite: {{ strip_prefix: /nc }}, upstream: app }}
  old:   {{ path_prefix: /old, redirect: {{ to: "/new{{rest}}" }} }}
  far:   {{ path: "/far/{{*rest}}", redirect: {{ to: "https://far.example/{{rest}}" }} }}
  bare:  {{ path: "/bare/{{*rest}}", redirect: {{ to: "/{{rest}}" }} }}
"#
    ));
    for (path, forwarded) in [("/nc//a", "//a"), ("/nc///a//b//", "///a//b//"), ("/nc//", "//"), ("/nc/", "/")] {
        assert_eq!(gateway.get(path).body, forwarded, "{path}");
    }
    for (path, location) in [
        ("/old//a//b", "/new//a//b"),
        ("/far//a//b/", "https://far.example//a//b/"),
        ("/bare//evil.example//a", "/evil.example//a"),
    ] {
        assert_eq!(gateway.get(path).header("location"), Some(location), "{path}");
    }
}

#[test]
fn a_path_that_check_accepts_is_one_that_requests_can_have() {
    let signs: Vec<char> = (b'!'..=b'~').map(char::from).filter(|sign| !sign.is_ascii_alphanumeric()).collect();
    let route = |at: usize, sign: &str| format!("  r{at}: {{ path: '/x{}y', respond: {{ text: r{at} }} }}\n", sign);
    let written = |sign: &char| sign.to_string().replace('\'', "''");
    let all: String = signs.iter().enumerate().map(|(at, sign)| route(at, &written(sign))).collect();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("all.yaml"), format!("version: 1\n{LISTENER}routes:\n{all}")).unwrap();
    let output = command(folder.path()).args(["check", "--format", "json", "all.yaml"]).output().unwrap();
    let found: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let is_refused = |at: &usize| found.iter().any(|fault| fault["path"] == format!("routes.r{at}.path"));
    let (refused, taken): (Vec<usize>, Vec<usize>) = (0..signs.len()).partition(is_refused);
    let refused: String = refused.into_iter().map(|at| signs[at]).collect();
    assert_eq!(refused, "#%*;<>?\\`{}", "and nothing that is fine is refused");
    let good: String = taken.iter().map(|at| route(*at, &written(&signs[*at]))).collect();
    let gateway = Gateway::start(&format!("{LISTENER}routes:\n{good}"));
    for at in taken {
        let path = format!("/x{}y", signs[at]);
        assert_eq!(gateway.get(&path).body, format!("r{at}"), "{path}");
    }
}
