//! The path and host that an upstream sees, and what a client sees of the upstream's own host and paths.

use super::{response, upstream};
use crate::harness::{Answer, Gateway, head_of, send_as_written};
use std::io::Write;
use std::net::{SocketAddr, TcpListener};

fn start(address: SocketAddr, host: &str, routes: &str) -> Gateway {
    Gateway::start(&format!(
        "listeners: {{ web: {{ address: \"127.0.0.1:0\", trusted_proxies: [127.0.0.1/32] }} }}
upstreams: {{ app: {{ host: \"{host}\", targets: [{{ url: \"http://{address}\" }}] }} }}
routes:
{routes}"
    ))
}

#[test]
fn the_upstream_sees_the_rewritten_path_and_the_query() {
    let (address, heads) = upstream(response("200 OK", "", "ok"));
    let gateway = start(
        address,
        "target",
        r#"  swapped: { path_prefix: /v1, upstream: app, rewrite: { strip_prefix: /v1, add_prefix: /internal } }
  added:   { path_prefix: /added, split: [{ upstream: app, weight: 1 }], rewrite: { add_prefix: /x } }
  whole:   { path: "/i/{id}", upstream: app, rewrite: { replace: "/items/{id}/view" } }
  rest:    { path_prefix: /r, upstream: app, rewrite: { replace: "/rest/{rest}" } }
  regex:   { path_prefix: /u, upstream: app, rewrite: { regex: { pattern: "/u/(?<id>[0-9]+)(/.*)?", to: "/users/{id}{2}" } } }
  joined:  { path_prefix: /j, upstream: app, rewrite: { regex: { pattern: "/j/(.)a(.)", to: "/{1}{2}/" } } }
"#,
    );
    for (asked, seen) in [
        ("/v1/orders?full=%2F", "/internal/orders?full=%2f"),
        ("/v1", "/internal"),
        ("/added/a", "/x/added/a"),
        ("/i/a%3Fb%23c?x", "/items/a%3fb%23c/view?x"),
        ("/r/a/b?x?y", "/rest/a/b?x?y"),
        ("/r", "/rest/"),
        ("/u/7/name?x", "/users/7/name?x"),
        ("/u/seven", "/u/seven"),
    ] {
        assert_eq!(gateway.get(asked).status, 200, "{asked}");
        let head = heads.recv().unwrap();
        assert!(head.starts_with(&format!("get {seen} http/1.1\r\n")), "{asked}: {head}");
    }
    assert_eq!(gateway.get("/j/.a.").status, 400, "no path of the upstream has a segment `..`");
}

#[test]
fn the_host_is_that_of_the_target_or_the_client_or_a_value() {
    let (address, heads) = upstream(response("200 OK", "", "ok"));
    for (policy, seen) in
        [("target", address.to_string()), ("client", "shop.example:1".into()), ("inner", "inner".into())]
    {
        let gateway = start(address, policy, "  app: { path_prefix: /, upstream: app }\n");
        ask(&gateway, "/", "host: shop.example:1\r\n");
        let head = heads.recv().unwrap();
        assert!(head.contains(&format!("\r\nhost: {seen}\r\n")), "{policy}: {head}");
        assert!(head.contains("\r\nx-forwarded-host: shop.example:1\r\n"), "{policy}: {head}");
    }
}

fn ask(gateway: &Gateway, path: &str, headers: &str) -> Answer {
    send_as_written(gateway.address, &format!("GET {path} HTTP/1.1\r\nconnection: close\r\n{headers}\r\n"))
}

/// The response header `name` that the client of `scheme` gets, if the upstream sends the header lines `sent`. `TARGET` is
/// the address of the upstream.
fn seen(host: &str, rewrite: &str, name: &str, sent: &str, scheme: &str) -> Option<String> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let sent = sent.replace("TARGET", &address.to_string());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        head_of(&mut stream);
        stream.write_all(response("302 Found", &sent, "").as_bytes()).unwrap();
    });
    let route = format!("  app: {{ path_prefix: /api, upstream: app, rewrite: {{ strip_prefix: /api{rewrite} }} }}\n");
    let gateway = start(address, host, &route);
    let answer = ask(&gateway, "/api/x", &format!("host: shop.example\r\nx-forwarded-proto: {scheme}\r\n"));
    answer.header(name).map(|value| value.replace(&address.to_string(), "TARGET"))
}

#[test]
fn a_redirect_of_the_upstream_to_itself_leads_back_to_the_gateway() {
    let location = |host: &str, rewrite: &str, to: &str| {
        seen(host, rewrite, "location", &format!("location: {to}\r\n"), "https").unwrap()
    };
    for (host, to, client) in [
        ("target", "http://TARGET/cart?a=/b#c", "https://shop.example/api/cart?a=/b#c"),
        ("target", "HTTP://TARGET", "https://shop.example/api"),
        ("target", "//TARGET/cart", "https://shop.example/api/cart"),
        ("target", "/cart", "/api/cart"),
        ("target", "/api/cart", "/api/cart"),
        ("target", "cart", "cart"),
        ("target", "https://TARGET/cart", "https://TARGET/cart"),
        ("target", "http://other.example/cart", "http://other.example/cart"),
        ("target", "http://user@TARGET/", "http://user@TARGET/"),
        ("inner.example", "http://Inner.example:80/cart", "https://shop.example/api/cart"),
        ("inner.example", "http://TARGET/cart", "https://shop.example/api/cart"),
        ("client", "http://shop.example/cart", "http://shop.example/api/cart"),
        ("client", "https://shop.example/cart", "https://shop.example/api/cart"),
        ("client", "https://other.example/cart", "https://other.example/cart"),
    ] {
        assert_eq!(location(host, "", to), client, "{host} {to}");
    }
    assert_eq!(location("target", ", response: false", "http://TARGET/cart"), "http://TARGET/cart");
    assert_eq!(location("target", ", add_prefix: /v2", "/v2/cart"), "/api/cart");
}

#[test]
fn cookies_of_the_upstream_are_sent_to_the_gateway() {
    let cookie =
        |sent: &str| seen("inner.example", "", "set-cookie", &format!("set-cookie: {sent}\r\n"), "http").unwrap();
    for (sent, client) in [
        ("a=1; Path=/cart; HttpOnly", "a=1; Path=/api/cart; HttpOnly"),
        ("a=1; path=/api/cart", "a=1; path=/api/cart"),
        ("a=1; Path=/", "a=1; Path=/"),
        ("a=1; Path=\"/cart\"", "a=1; Path=\"/cart\""),
        ("a=1; Domain=.inner.example; Secure", "a=1; Secure"),
        ("a=1; Domain=127.0.0.1", "a=1"),
        ("a=1; Domain=shop.example", "a=1; Domain=shop.example"),
    ] {
        assert_eq!(cookie(sent), client, "{sent}");
    }
}
