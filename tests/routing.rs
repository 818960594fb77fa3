//! Requests find their route: hosts, paths, methods, fixed responses and redirects, 404 and 405 through the chain.

use crate::harness::Gateway;

const YAML: &str = r#"
listeners: { web: { address: "127.0.0.1:0", chain: edge } }
plugins: { request-id: { request_id: {} } }
chains: { edge: [request-id] }
routes:
  root:     { path: /, respond: { json: { hello: world } } }
  item:     { path: "/items/{id}", respond: { text: item } }
  special:  { path: /items/special, respond: { text: special } }
  rest:     { path_prefix: /items, respond: { text: rest } }
  api:      { hosts: [api.example.com], path: /, respond: { text: api } }
  wild:     { hosts: ["*.example.com"], path: /, respond: { text: wild } }
  only-get: { path: /only-get, methods: [GET, HEAD], respond: { status: 202, headers: { x-mark: "1" } } }
  beta:     { path: /beta, headers: { x-beta: "1" }, respond: { text: beta } }
  stable:   { path: /beta, respond: { text: stable } }
  old:      { path_prefix: /v0, redirect: { to: "/v1{rest}", status: 308 } }
  files:    { path: "/t/{*tail}", redirect: { to: "https://files.example.com/{tail}" } }
  nothing:  { path: /null, respond: { json: null } }
  numbers:  { path: /numbers, respond: { json: { big: 12345678901234567890, least: -9223372036854775808, list: [null, 18446744073709551615], half: 0.5 } } }
  docs:     { path: /guide, redirect: { to: "/docs?from=guide#install" } }
"#;

#[test]
fn the_most_specific_route_wins() {
    let gateway = Gateway::start(YAML);
    for (path, body) in
        [("/items/7", "item"), ("/items/special", "special"), ("/items/7/8", "rest"), ("/items", "rest")]
    {
        assert_eq!(gateway.get(path).body, body, "{path}");
    }
    assert_eq!(gateway.get("/").json(), serde_json::json!({ "hello": "world" }));
    assert_eq!(gateway.get("/beta").body, "stable");
    assert_eq!(gateway.send("GET", "/beta", &[("x-beta", "1")], "").body, "beta");
}

#[test]
fn routes_are_distinguished_by_host() {
    let gateway = Gateway::start(YAML);
    let ask = |host: &str| {
        let mut stream = crate::harness::connect(gateway.address);
        std::io::Write::write_all(&mut stream, format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n").as_bytes()).unwrap();
        crate::harness::read_answer(&mut stream).unwrap().body
    };
    assert_eq!(ask("api.example.com:8080"), "api");
    assert_eq!(ask("API.EXAMPLE.COM"), "api");
    assert_eq!(ask("other.example.com"), "wild");
    assert_eq!(ask("example.org"), r#"{"hello":"world"}"#);
}

#[test]
fn requests_without_a_route_still_pass_the_chain() {
    let gateway = Gateway::start(YAML);
    let missing = gateway.get("/nope");
    assert_eq!((missing.status, &missing.json()["error"]), (404, &"not_found".into()));
    assert!(missing.header("x-request-id").is_some());
    let wrong = gateway.send("DELETE", "/only-get", &[], "");
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("GET, HEAD")));
    assert!(wrong.header("x-request-id").is_some());
}

#[test]
fn all_conditions_of_a_route_decide_and_the_next_best_that_fits_gets_the_request() {
    let gateway = Gateway::start(
        r#"
listeners: { web: { address: "127.0.0.1:0" } }
routes:
  api:       { path_prefix: /api, respond: { text: api } }
  canary:    { path_prefix: /api/orders, headers: { x-canary: "1" }, respond: { text: canary } }
  items:     { path: /api/items, methods: [GET], respond: { text: items } }
  me:        { path: /users/me, methods: [GET], respond: { text: me } }
  user:      { path: "/users/{id}", methods: [DELETE], respond: { text: user } }
  any-user:  { path: "/{kind}/me", methods: [PUT], respond: { text: any } }
  below:     { path: "/users/{*rest}", methods: [PATCH], respond: { text: below } }
  shallow:   { path_prefix: /deep, respond: { text: shallow } }
  middle:    { path_prefix: /deep/a, methods: [POST], respond: { text: middle } }
  deepest:   { path_prefix: /deep/a/b, methods: [PUT], respond: { text: deepest } }
  elsewhere: { hosts: ["127.0.0.1"], path: /hosted, methods: [GET], respond: { text: hosted } }
  anywhere:  { path: /hosted, methods: [POST], respond: { text: anywhere } }
"#,
    );
    for (method, path, body) in [
        ("GET", "/api/orders/7", "api"),
        ("GET", "/api/orders", "api"),
        ("POST", "/api/items", "api"),
        ("GET", "/api/items", "items"),
        ("GET", "/users/me", "me"),
        ("DELETE", "/users/me", "user"),
        ("PUT", "/users/me", "any"),
        ("PATCH", "/users/me", "below"),
        ("PUT", "/deep/a/b/c", "deepest"),
        ("POST", "/deep/a/b/c", "middle"),
        ("GET", "/deep/a/b/c", "shallow"),
        ("GET", "/hosted", "hosted"),
        ("POST", "/hosted", "anywhere"),
    ] {
        assert_eq!(gateway.send(method, path, &[], "").body, body, "{method} {path}");
    }
    assert_eq!(gateway.send("GET", "/api/orders/7", &[("x-canary", "1")], "").body, "canary");
    for (path, allow) in
        [("/users/me", "GET, HEAD, DELETE, PATCH, PUT"), ("/users/7", "DELETE, PATCH"), ("/hosted", "GET, HEAD, POST")]
    {
        let wrong = gateway.send("OPTIONS", path, &[], "");
        assert_eq!((wrong.status, wrong.header("allow")), (405, Some(allow)), "{path}");
    }
}

#[test]
fn head_is_answered_as_get_without_content() {
    let gateway = Gateway::start(
        r#"
listeners: { web: { address: "127.0.0.1:0", protocols: [http1, http2] } }
stores: { main: { url: "sqlite::memory:" } }
resources: { notes: { store: main, access: { default: public }, fields: { title: { type: string } } } }
routes:
  text:   { path: /text, methods: [GET], respond: { text: hello } }
  moved:  { path: /moved, methods: [GET, POST], redirect: { to: /text } }
  notes:  { path: /notes, methods: [GET], resource: notes }
  own:    { path: /own, methods: [GET], respond: { text: get } }
  own-h:  { path: /own, methods: [HEAD], respond: { status: 204 } }
"#,
    );
    let mut client = crate::http2::Client::new(gateway.address);
    for (path, status, length) in
        [("/text", 200, Some("5")), ("/moved", 307, None), ("/notes", 200, None), ("/own", 204, None)]
    {
        let answer = gateway.send("HEAD", path, &[], "");
        assert_eq!((answer.status, &*answer.body), (status, ""), "{path}");
        assert!(length.is_none() || answer.header("content-length") == length, "{path}");
        let answer = client.send("HEAD", path, &[], "");
        assert_eq!((answer.status, &*answer.body), (status, ""), "{path} over HTTP/2");
    }
    let wrong = gateway.send("POST", "/text", &[], "");
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("GET, HEAD")));
}

#[test]
fn a_preflight_is_handled_by_the_chain_of_the_route_it_asks_about() {
    let gateway = Gateway::start(
        r#"
listeners: { web: { address: "127.0.0.1:0" } }
plugins:
  pages:  { cors: { allow_origins: ["https://app.example"], allow_methods: [GET, POST] } }
  others: { cors: { allow_origins: ["https://other.example"], allow_methods: [DELETE] } }
routes:
  api:    { path: /api, methods: [GET, POST], plugins: [pages], respond: { text: api } }
  gone:   { path: /api, methods: [DELETE], plugins: [others], respond: { text: gone } }
  plain:  { path: /plain, methods: [POST], respond: { text: plain } }
  own:    { path: /own, methods: [POST], plugins: [pages], respond: { text: own } }
  own-o:  { path: /own, methods: [OPTIONS], respond: { text: own-o } }
"#,
    );
    let ask = |path: &str, origin: &str, method: &str| {
        let headers = [("origin", origin), ("access-control-request-method", method)];
        let answer = gateway.send("OPTIONS", path, &headers, "");
        let allowed = answer.header("access-control-allow-origin").map(str::to_owned);
        (answer.status, allowed, answer)
    };
    for method in ["GET", "POST", "HEAD"] {
        let (status, allowed, _) = ask("/api", "https://app.example", method);
        assert_eq!((status, allowed.as_deref()), (200, Some("https://app.example")), "{method}");
    }
    assert_eq!(ask("/api", "https://other.example", "DELETE").1.as_deref(), Some("https://other.example"));
    assert_eq!(ask("/api", "https://other.example", "GET").0, 403);
    let (status, allowed, answer) = ask("/api", "https://app.example", "PUT");
    assert_eq!((status, allowed, answer.header("allow")), (405, None, Some("GET, HEAD, POST, DELETE")));
    assert_eq!(ask("/plain", "https://app.example", "POST").0, 405);
    assert_eq!(ask("/own", "https://app.example", "POST").2.body, "own-o");
    assert_eq!(gateway.send("OPTIONS", "/api", &[], "").status, 405, "not a preflight");
}

#[test]
fn options_of_the_server_itself_are_answered() {
    let gateway = Gateway::start(YAML);
    let answer = gateway.send("OPTIONS", "*", &[], "");
    assert_eq!((answer.status, &*answer.body), (204, ""));
    assert!(answer.header("x-request-id").is_some(), "the listener's chain runs");
    assert!(answer.header("allow").is_some());
    assert_eq!(gateway.send("GET", "*", &[], "").status, 400);
}

#[test]
fn a_fixed_response_has_its_status_and_headers() {
    let gateway = Gateway::start(YAML);
    let answer = gateway.get("/only-get");
    assert_eq!((answer.status, answer.header("x-mark"), answer.body.as_str()), (202, Some("1"), ""));
}

#[test]
fn a_redirect_keeps_the_rest_and_the_query() {
    let gateway = Gateway::start(YAML);
    let answer = gateway.get("/v0/a/b?c=d");
    assert_eq!((answer.status, answer.header("location")), (308, Some("/v1/a/b?c=d")));
}

#[test]
fn a_redirect_may_keep_the_host_and_change_the_scheme() {
    let gateway = Gateway::start(
        r#"
listeners: { web: { address: "127.0.0.1:0" } }
routes:
  secure: { path_prefix: /, redirect: { to: "/{rest}", scheme: https, status: 308 } }
  port:   { path: "/p/{id}", redirect: { to: "/q/{id}", scheme: https, port: 8443 } }
  same:   { path: /same, redirect: { to: /same, scheme: http } }
"#,
    );
    for (path, expected) in [("/", "/"), ("/a/b?c=d", "/a/b?c=d"), ("/%C3%A9", "/%C3%A9")] {
        let answer = gateway.get(path);
        let location = format!("https://127.0.0.1{expected}");
        assert_eq!((answer.status, answer.header("location")), (308, Some(&*location)), "{path}");
    }
    assert_eq!(gateway.get("/p/7").header("location"), Some("https://127.0.0.1:8443/q/7"));
    assert_eq!(gateway.get("/same").status, 404, "it would lead to itself");
}

#[test]
fn a_redirect_leads_to_the_host_that_is_written_whatever_the_path_says() {
    let gateway = Gateway::start(YAML);
    for (path, location) in [
        ("/t/@evil.test/x", "https://files.example.com/@evil.test/x"),
        ("/t/.evil.test", "https://files.example.com/.evil.test"),
        ("/t/:80@evil.test", "https://files.example.com/:80@evil.test"),
    ] {
        assert_eq!(gateway.get(path).header("location"), Some(location), "{path}");
    }
}

#[test]
fn the_query_of_a_request_joins_that_of_its_redirect_before_the_fragment() {
    let gateway = Gateway::start(YAML);
    let location = |path: &str| gateway.get(path).header("location").map(str::to_owned);
    assert_eq!(location("/guide?utm=x").as_deref(), Some("/docs?from=guide&utm=x#install"));
    assert_eq!(location("/guide").as_deref(), Some("/docs?from=guide#install"));
}

#[test]
fn json_of_a_fixed_response_is_sent_as_written() {
    let gateway = Gateway::start(YAML);
    let nothing = gateway.get("/null");
    assert_eq!((&*nothing.body, nothing.header("content-type")), ("null", Some("application/json")));
    let expected =
        r#"{"big":12345678901234567890,"least":-9223372036854775808,"list":[null,18446744073709551615],"half":0.5}"#;
    assert_eq!(gateway.get("/numbers").body, expected);
}

#[test]
fn an_error_comes_as_problem_json_when_it_is_asked_for() {
    let gateway = Gateway::start(YAML);
    let answer = gateway.send("GET", "/nope", &[("accept", "application/problem+json")], "");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let body = answer.json();
    assert_eq!((body["status"].as_u64(), body["instance"].as_str()), (Some(404), Some("/nope")));
}

#[test]
fn an_invalid_host_is_rejected() {
    let yaml = YAML.replace("chain: edge }", "protocols: [http1, http2], chain: edge }");
    let gateway = Gateway::start(&yaml);
    let ask = |host: &str| {
        let mut stream = crate::harness::connect(gateway.address);
        std::io::Write::write_all(&mut stream, format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n").as_bytes()).unwrap();
        crate::harness::read_answer(&mut stream).unwrap().status
    };
    for host in [
        "a,b",
        "a;b",
        "a'b",
        "a(b)",
        "a=b",
        "a&b",
        "a*b",
        "a+b",
        "a!b",
        "a$b",
        "%61pi.example.com",
        "a@b",
        "-",
        ".",
        "..",
        "a..b",
    ] {
        assert_eq!(ask(host), 400, "{host}");
    }
    for host in ["a-b", "a_b", "_dmarc", "a~b", "a.", "a.b.:80", "127.0.0.1:1", "[::1]:1"] {
        assert_eq!(ask(host), 200, "{host}");
    }
}
