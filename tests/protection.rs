//! Plugins that filter requests by where they come from, as clients, proxies and the log see them.

use crate::harness::{Gateway, HEAD, PATIENCE, read_answer};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

const FILTERS: &str = r#"
listeners:
  web: { address: "127.0.0.1:0", trusted_proxies: [127.0.0.1/32], chain: edge }
  socket: { address: "unix:a.sock", chain: edge }
plugins:
  request-id: { request_id: {} }
  blocked: { ip_filter: { deny: [203.0.113.0/24] } }
  office: { ip_filter: { allow: [192.0.2.0/24, "2001:db8::/32"] } }
  local: { ip_filter: { allow: ["unix:", 127.0.0.1] } }
chains: { edge: [request-id, blocked] }
routes:
  home: { path: /, respond: { text: home } }
  office: { path: /office, plugins: [office], respond: { text: office } }
  local: { path: /local, plugins: [local], respond: { text: local } }
"#;

#[test]
fn clients_are_filtered_by_the_address_that_the_trusted_proxies_report() {
    let head =
        HEAD.replace("level: info", "level: info, access: { fields: [path, status, client_ip, plugin, reason] }");
    let mut gateway = Gateway::start_whole(&(head + FILTERS));
    let from = |client: &str, path: &str| gateway.send("GET", path, &[("x-forwarded-for", client)], "").status;
    assert_eq!((gateway.get("/").status, gateway.get("/office").status, gateway.get("/local").status), (200, 403, 200));
    for (client, path, status) in [
        ("192.0.2.1", "/office", 200),
        ("::ffff:192.0.2.1", "/office", 200),
        ("2001:db8::7", "/office", 200),
        ("192.0.3.1", "/office", 403),
        // Only the last hop was added by the trusted proxy.
        ("192.0.2.1, 192.0.3.1", "/office", 403),
        ("203.0.113.9", "/", 403),
        ("[::ffff:203.0.113.9]:1234", "/", 403),
        ("203.0.113.9", "/no-such-route", 403),
        ("192.0.2.1", "/local", 403),
        // Health does not depend on the client.
        ("203.0.113.9", "/health/live", 200),
    ] {
        assert_eq!(from(client, path), status, "{client} {path}");
    }
    let refused = gateway.send("GET", "/", &[("x-forwarded-for", "203.0.113.9")], "");
    assert_eq!(refused.body, r#"{"error":"forbidden","message":"Forbidden"}"#);
    assert!(refused.header("x-request-id").is_some());
    gateway.wait_for_log(|line| {
        line["reason"] == "address_denied" && line["client_ip"] == "203.0.113.9" && line["plugin"] == "web/blocked"
    });
    gateway.wait_for_log(|line| line["reason"] == "address_not_allowed" && line["client_ip"] == "192.0.3.1");
}

#[test]
fn a_client_without_an_address_passes_only_where_unix_sockets_are_allowed() {
    let gateway = Gateway::start(FILTERS);
    let status = |path: &str| {
        let stream = UnixStream::connect(gateway.folder().join("a.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut stream = std::net::TcpStream::from(OwnedFd::from(stream));
        // The socket is not trusted, so the field does not count.
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nx-forwarded-for: 192.0.2.1\r\n\r\n").unwrap();
        read_answer(&mut stream).unwrap().status
    };
    assert_eq!((status("/"), status("/office"), status("/local")), (200, 403, 200));
}

#[test]
fn a_way_around_an_address_filter_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = r#"
version: 1
listeners: { web: { address: "127.0.0.1:0" } }
plugins: { office: { ip_filter: { allow: [192.0.2.0/24] } } }
upstreams: { app: { targets: [{ url: "http://127.0.0.1:9" }] } }
routes:
  admin: { path: /admin, plugins: [office], upstream: app }
  rest: { path_prefix: /, upstream: app }
"#;
    std::fs::write(folder.path().join("gateway.yaml"), yaml).unwrap();
    let output = crate::harness::command(folder.path()).args(["check", "gateway.yaml"]).output().unwrap();
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(
        report.contains("requests for `/admin/` reach the same server through route `rest`, bypassing `office`"),
        "{report}"
    );
}

#[test]
fn browsers_get_strict_headers_also_with_errors_and_hsts_only_over_https() {
    let gateway = Gateway::start(
        r#"
listeners: { web: { address: "127.0.0.1:0", trusted_proxies: [127.0.0.1/32], chain: edge } }
plugins:
  secure: { security_headers: {} }
  office: { ip_filter: { allow: [192.0.2.0/24] } }
chains: { edge: [secure, office] }
routes:
  own: { path: /own, respond: { text: own, headers: { referrer-policy: origin, x-frame-options: SAMEORIGIN } } }
"#,
    );
    let get = |path: &str, proto: &str| {
        gateway.send("GET", path, &[("x-forwarded-for", "192.0.2.1"), ("x-forwarded-proto", proto)], "")
    };
    for (answer, status) in [(gateway.get("/own"), 403), (get("/nope", "https"), 404)] {
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
        assert_eq!(answer.header("content-security-policy"), Some("frame-ancestors 'none'"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    let own = get("/own", "http");
    assert_eq!(own.header("strict-transport-security"), None);
    assert_eq!((own.header("referrer-policy"), own.header("x-frame-options")), (Some("origin"), Some("SAMEORIGIN")));
    assert_eq!(own.header("content-security-policy"), None);
    assert_eq!(get("/own", "https").header("strict-transport-security"), Some("max-age=63072000; includeSubDomains"));
}

#[test]
fn a_form_on_another_site_is_rejected_and_one_on_a_trusted_site_is_not() {
    let head = HEAD.replace("level: info", "level: info, access: { fields: [status, plugin, reason] }");
    let mut gateway = Gateway::start_whole(
        &(head
            + r#"
listeners: { web: { address: "127.0.0.1:0", chain: edge } }
plugins: { same-site: { csrf: { trusted_origins: ["https://app.example.com"] } } }
chains: { edge: [same-site] }
routes: { transfer: { path: /transfer, respond: { text: done } } }
"#),
    );
    let post = |headers: &[(&str, &str)]| gateway.send("POST", "/transfer", headers, "").status;
    let own = format!("http://{}", gateway.address);
    assert_eq!(post(&[]), 200);
    assert_eq!(post(&[("origin", &own)]), 200);
    assert_eq!(post(&[("origin", "http://evil.example")]), 403);
    assert_eq!(post(&[("origin", "https://app.example.com"), ("sec-fetch-site", "cross-site")]), 200);
    let form = [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")];
    assert_eq!(gateway.send("GET", "/transfer", &form, "").status, 200);
    let refused = gateway.send("POST", "/transfer", &[form[0], form[1], ("accept", "application/problem+json")], "");
    assert_eq!((refused.status, &refused.json()["reason"]), (403, &serde_json::json!("cross_origin")));
    gateway.wait_for_log(|line| line["reason"] == "cross_origin" && line["plugin"] == "web/same-site");
}
