//! Requests find their route: hosts, paths, methods, fixed answers and redirects, 404 and 405 through the chain.

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
fn the_most_specific_route_answers() {
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
fn hosts_are_told_apart() {
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
fn what_no_route_takes_still_passes_the_chain() {
    let gateway = Gateway::start(YAML);
    let missing = gateway.get("/nope");
    assert_eq!((missing.status, &missing.json()["error"]), (404, &"not_found".into()));
    assert!(missing.header("x-request-id").is_some());
    let wrong = gateway.send("DELETE", "/only-get", &[], "");
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("GET, HEAD")));
    assert!(wrong.header("x-request-id").is_some());
}

#[test]
fn a_fixed_answer_has_its_status_and_headers() {
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
fn json_of_a_fixed_answer_is_as_it_is_written() {
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
