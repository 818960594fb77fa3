//! Requests that are validated against an OpenAPI file before they reach an upstream.

use crate::harness::{Gateway, HEAD, PATIENCE, send};
use serde_json::{Value, json};
use std::time::Instant;

const SPEC: &str = r##"
openapi: 3.0.3
info: { title: Orders, version: "1" }
paths:
  /orders:
    get: { parameters: [{ name: page, in: query, schema: { type: integer, minimum: 1 } }], responses: { 200: { description: ok } } }
    post:
      requestBody: { required: true, content: { application/json: { schema: { $ref: "#/components/schemas/Order" } } } }
      responses: { 201: { description: ok } }
  "/orders/{id}":
    get: { parameters: [{ name: id, in: path, required: true, schema: { type: integer } }], responses: { 200: { description: ok } } }
components:
  schemas:
    Order: { type: object, required: [item], properties: { item: { type: string }, lines: { type: array, items: { type: object, required: [sku] } } } }
"##;

const YAML: &str = r#"
listeners: { web: { address: "127.0.0.1:0" }, checked: { address: "127.0.0.1:0", chain: checked } }
errors: { format: problem }
upstreams: { app: { targets: [{ url: "http://UPSTREAM" }] } }
plugins:
  described: { request_validation: { openapi: { file: orders.yaml } } }
  loose: { request_validation: { openapi: { file: orders.yaml, undescribed: pass } } }
chains: { checked: [described] }
routes:
  api:     { path_prefix: /api, listeners: [web], upstream: app, rewrite: { strip_prefix: /api }, plugins: [described] }
  again:   { path_prefix: /again, listeners: [web], upstream: app, rewrite: { strip_prefix: /again }, plugins: [loose] }
  one:     { path: "/one/{id}", listeners: [web], upstream: app, rewrite: { replace: "/orders/{id}" }, plugins: [described] }
  old:     { path_prefix: /old, listeners: [web], upstream: app, rewrite: { regex: { pattern: "/old/o-([^/]+)", to: "/orders/{1}" } }, plugins: [described] }
  inner:   { path_prefix: /inner, listeners: [checked], upstream: app, rewrite: { strip_prefix: /inner } }
"#;

fn start() -> (Gateway, Gateway) {
    let app = "listeners: { web: { address: \"127.0.0.1:0\" } }\nroutes: { all: { path_prefix: /, respond: { text: app } } }\n";
    let app = Gateway::start(app);
    let head = HEAD.replace("watch: false", "watch: true, debounce: 20ms, poll: 200ms");
    let yaml = format!("{head}{}", YAML.replace("UPSTREAM", &app.address.to_string()));
    let gateway = Gateway::start_in(&[("gateway.yaml", &yaml), ("orders.yaml", SPEC)]);
    (app, gateway)
}

#[test]
fn requests_are_validated_by_the_paths_that_the_upstream_sees() {
    let (_app, gateway) = start();
    for (path, status) in [
        ("/api/orders", 200),
        ("/api/orders?page=2", 200),
        ("/api/orders?page=0", 400),
        ("/api/orders/7", 200),
        ("/api/orders/%37", 200),
        ("/api/orders/seven", 400),
        ("/api/orders/7/lines", 404),
        ("/api/order", 404),
        ("/again/orders/7/lines", 200),
        ("/again/orders?page=x", 400),
        ("/one/7", 200),
        ("/one/x", 400),
        ("/old/o-7", 200),
        ("/old/o-x", 400),
        ("/old/orders", 404),
    ] {
        let answer = gateway.get(path);
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        assert_eq!(answer.body == "app", status == 200, "{path}: {}", answer.body);
    }
    assert_eq!(gateway.send("DELETE", "/api/orders", &[], "").header("allow"), Some("GET, POST, HEAD"));
}

#[test]
fn the_faults_of_a_request_have_their_places() {
    let (_app, gateway) = start();
    let answer = gateway.json("POST", "/api/orders", &json!({ "lines": [{ "sku": 1 }, {}] }));
    let (answer, found) = (answer.status, answer.json());
    assert_eq!(
        (answer, &found["detail"]),
        (400, &json!("The request does not match the description of the API")),
        "{found}"
    );
    let places: Vec<&Value> = found["errors"].as_array().unwrap().iter().map(|error| &error["pointer"]).collect();
    assert_eq!(places.len(), 2, "{found}");
    for pointer in ["/item", "/lines/1/sku"] {
        assert!(places.iter().any(|place| place.as_str().is_some_and(|place| place.ends_with(pointer))), "{found}");
    }
    let found = gateway.get("/api/orders?page=0").json();
    assert_eq!(found["errors"][0]["parameter"], "page", "{found}");
    assert_eq!(gateway.json("POST", "/api/orders", &json!({ "item": "tea" })).status, 200);
}

#[test]
fn a_changed_description_is_followed_and_a_broken_one_is_not() {
    let (_app, gateway) = start();
    let write = |text: &str| std::fs::write(gateway.folder().join("orders.yaml"), text).unwrap();
    let until = Instant::now() + PATIENCE;
    write(&SPEC.replace("minimum: 1", "minimum: 5"));
    while gateway.get("/api/orders?page=2").status != 400 {
        assert!(Instant::now() < until, "the edit was not seen");
    }
    write(&SPEC.replace("type: integer, minimum: 1", "type: int"));
    while gateway.admin("GET", "/status").json()["last_refused"].is_null() {
        assert!(Instant::now() < until, "the edit was not seen");
    }
    let refused = gateway.admin("GET", "/status").json()["last_refused"]["diagnostics"].to_string();
    assert!(
        refused.contains("GW0532") && refused.contains("parameter `page`: the schema is not valid at `/type`"),
        "{refused}"
    );
    assert_eq!(gateway.get("/api/orders?page=2").status, 400, "the old description counts");
    assert_eq!(gateway.get("/api/orders?page=5").status, 200);
}

/// The chain of a listener runs before the route, and knows how the route changes the path.
#[test]
fn a_listener_can_validate_what_all_of_its_routes_forward() {
    let (_app, gateway) = start();
    let status = gateway.admin("GET", "/status").json();
    let listeners = status["listeners"].as_array().unwrap_or_else(|| panic!("{status}"));
    let checked = listeners.iter().find(|one| one["name"] == "checked").unwrap_or_else(|| panic!("{status}"));
    let address = checked["address"].as_str().unwrap().parse().unwrap();
    for (path, wanted) in [("/inner/orders/7", 200), ("/inner/orders/x", 400), ("/inner/other", 404)] {
        assert_eq!(send(address, "GET", path, &[], "").status, wanted, "{path}");
    }
}
