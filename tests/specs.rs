//! Routes to upstreams whose APIs are described in files: what clients read about them.

use crate::harness::{Gateway, HEAD, PATIENCE, command, send};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Instant;

const ORDERS: &str = r##"
openapi: 3.0.3
info: { title: Orders, version: "7" }
servers: [{ url: "https://orders.internal/v1" }]
tags: [{ name: orders, description: What customers order. }]
security: [{ token: [] }]
paths:
  /orders:
    get:
      operationId: listNotes
      tags: [orders]
      parameters: [{ $ref: "#/components/parameters/Page" }]
      responses:
        200: { description: A page., content: { application/json: { schema: { type: array, items: { $ref: "#/components/schemas/Note" } } } } }
        429: { description: Too many for the upstream., content: { text/plain: { schema: { type: string } }, application/json: { schema: { $ref: "#/components/schemas/Error" } } } }
    post:
      requestBody: { content: { application/json: { schema: { $ref: "#/components/schemas/Note" } } } }
      responses: { 201: { $ref: "#/components/responses/Made" } }
      security: []
  "/orders/{orderId}":
    parameters: [{ name: orderId, in: path, required: true, schema: { type: string } }]
    get: { responses: { 200: { description: One., content: { application/json: { schema: { $ref: "#/components/schemas/Note" } } } } } }
    delete: { responses: { 204: { description: Gone. } } }
    trace: { tags: [debug], responses: { 200: { description: What was sent. } } }
  /orders/sent: { trace: { responses: { 200: { description: What was sent. } } } }
  /internal/metrics:
    get: { responses: { 200: { description: Numbers. } } }
components:
  parameters: { Page: { name: page, in: query, schema: { type: integer, minimum: 0, exclusiveMinimum: true } } }
  responses: { Made: { description: Made., content: { application/json: { schema: { $ref: "#/components/schemas/Note" } } } } }
  schemas:
    Note: { type: object, properties: { text: { type: string, nullable: true } } }
    Error: { type: object, properties: { code: { type: integer } } }
    Unused: { type: string }
  securitySchemes: { token: { type: http, scheme: bearer } }
"##;

const YAML: &str = r#"
listeners:
  web: { address: "127.0.0.1:0" }
stores: { main: { url: "sqlite::memory:" } }
upstreams: { orders: { targets: [{ url: "http://127.0.0.1:1" }] } }
plugins:
  id: { request_id: { header: x-request-id } }
  slow: { rate_limit: { key: client.ip, quota: 100, window: 1s } }
  partners: { api_key: { header: x-api-key, keys: { file: keys.yaml } } }
  bearer: { jwt: { issuer: i, audiences: [a], algorithms: [HS256], secret: "a-secret-of-32-bytes-at-the-least" } }
resources:
  notes: { store: main, access: { default: public }, fields: { title: { type: string } } }
routes:
  orders: { path_prefix: /shop/orders, upstream: orders, rewrite: { strip_prefix: /shop, add_prefix: /v1 }, plugins: [id, slow, partners], openapi: orders.yaml }
  one: { path: "/one/{orderId}", methods: [GET], upstream: orders, plugins: [bearer], openapi: one.json }
  notes: { path: /api/notes, resource: notes }
  openapi: { path: /openapi.json, openapi: {} }
"#;

/// Of `a-key-of-32-bytes-at-the-very-least`.
const KEYS: &str =
    "[{ owner: acme, hash: \"sha256:c8815afcf183c14d749f7b414b2ec13e7d33bc46a8bb44894b357cec19f44f62\" }]";

const ONE: &str = r#"{ "openapi": "3.1.0", "info": { "title": "One", "version": "1" }, "paths": {
  "/one/{id}": { "parameters": [{ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } }],
    "get": { "operationId": "listNotes", "responses": { "default": { "description": "Anything.", "content": { "text/html": {} } } } },
    "put": { "responses": {} } },
  "/one/{id}/more": { "parameters": [{ "name": "id", "in": "path", "required": true }], "get": { "responses": {} } } } }"#;

fn start() -> Gateway {
    Gateway::start_in(&[
        ("gateway.yaml", &format!("{HEAD}{YAML}")),
        ("orders.yaml", ORDERS),
        ("one.json", ONE),
        ("keys.yaml", KEYS),
    ])
}

#[test]
fn clients_read_what_the_route_serves_of_the_upstream() {
    let gateway = start();
    let document = gateway.get("/openapi.json").json();
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    assert_eq!(paths, ["/api/notes", "/api/notes/{id}", "/shop/orders", "/shop/orders/{orderId}", "/one/{id}"]);
    let list = &document["paths"]["/shop/orders"]["get"];
    // The names of the gateway's own resources stay.
    assert_eq!((&list["operationId"], &list["tags"]), (&json!("listNotes2"), &json!(["orders"])));
    assert_eq!(document["paths"]["/api/notes"]["get"]["operationId"], "listNotes");
    let note = resolved(&document, &list["responses"]["200"]["content"]["application/json"]["schema"]["items"]);
    assert_eq!(note["properties"]["text"]["type"], json!(["string", "null"]));
    assert!(resolved(&document, &json!({ "$ref": "#/components/schemas/Note" }))["properties"].get("title").is_some());
    assert_eq!(
        resolved(&document, &list["parameters"][0])["schema"],
        json!({ "type": "integer", "exclusiveMinimum": 0 })
    );
    assert!(!document.to_string().contains("Unused"));
    let made = &document["paths"]["/shop/orders"]["post"];
    assert_eq!((&made["operationId"], &made["tags"]), (&json!("postOrders"), &json!(["orders"])));
    assert_eq!(resolved(&document, &made["responses"]["201"]["content"]["application/json"]["schema"]), note);
    let tags: Vec<&Value> = document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    assert_eq!(tags, ["notes", "orders", "one"]);
    assert_eq!(document["tags"][1]["description"], "What customers order.");
    let one = document["paths"]["/one/{id}"].as_object().unwrap();
    assert_eq!(one.keys().collect::<Vec<_>>(), ["get"], "the route accepts no PUT");
    let order = document["paths"]["/shop/orders/{orderId}"].as_object().unwrap();
    assert_eq!(order.keys().collect::<Vec<_>>(), ["get", "delete"], "the gateway accepts no TRACE");
    // No reference leads nowhere.
    each_reference(&document, &mut |reference| {
        assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
    });
}

#[test]
fn credentials_and_errors_of_the_gateway_are_added() {
    let gateway = start();
    let document = gateway.get("/openapi.json").json();
    let orders = &document["paths"]["/shop/orders"];
    assert_eq!(orders["get"]["security"], json!([{ "token": [], "partners": [] }]));
    assert_eq!(orders["post"]["security"], json!([{ "partners": [] }]));
    assert_eq!(document["components"]["securitySchemes"]["token"], json!({ "type": "http", "scheme": "bearer" }));
    let responses = &orders["get"]["responses"];
    for status in ["401", "502", "503", "504", "default"] {
        assert!(responses[status]["$ref"].is_string(), "{status}: {responses}");
    }
    assert!(resolved(&document, &responses["503"])["headers"].get("Retry-After").is_some());
    // Either the upstream or the gateway has had enough.
    let both = &responses["429"];
    assert_eq!(both["description"], "Too many for the upstream. From the gateway: Too many requests.");
    assert_eq!(both["content"]["text/plain"]["schema"], json!({ "type": "string" }));
    let bodies = both["content"]["application/json"]["schema"]["anyOf"].as_array().unwrap();
    assert!(resolved(&document, &bodies[0])["properties"].get("code").is_some(), "{bodies:?}");
    assert!(resolved(&document, &bodies[1])["properties"].get("error").is_some(), "{bodies:?}");
    for status in ["200", "429"] {
        for field in ["RateLimit", "RateLimit-Policy", "X-Request-Id"] {
            assert!(responses[status]["headers"].get(field).is_some(), "{status} {field}");
        }
    }
    let any = &document["paths"]["/one/{id}"]["get"]["responses"]["default"]["content"];
    assert!(any.get("text/html").is_some() && any.get("application/json").is_some(), "{any}");
    // What it says is true.
    let refused = gateway.get("/shop/orders");
    assert_eq!(refused.status, 401);
    assert!(responses["401"]["$ref"].as_str().is_some_and(|name| name.contains("Unauthorized")));
    let broken =
        send(gateway.address, "GET", "/shop/orders", &[("x-api-key", "a-key-of-32-bytes-at-the-very-least")], "");
    assert_eq!(broken.status, 502);
}

fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(reference) => document.pointer(&reference[1..]).unwrap(),
        None => value,
    }
}

fn each_reference(value: &Value, each: &mut impl FnMut(&str)) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                match value.as_str() {
                    Some(reference) if key == "$ref" => each(reference),
                    _ => each_reference(value, each),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| each_reference(item, each)),
        _ => {}
    }
}

fn checked(folder: &Path, yaml: &str) -> (bool, String) {
    std::fs::write(folder.join("gateway.yaml"), format!("version: 1\n{yaml}")).unwrap();
    let output = command(folder).args(["check", "gateway.yaml"]).output().unwrap();
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_file_that_cannot_be_used_is_an_error_at_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let route = |rest: &str| {
        let head = "listeners: { web: { address: \"127.0.0.1:0\" } }\nupstreams: { a: { targets: [{ url: \"http://127.0.0.1:1\" }] } }";
        format!("{head}\nroutes:\n  a:\n    path_prefix: /a\n    {rest}\n")
    };
    std::fs::write(folder.path().join("broken.yaml"), "openapi: 3.1.0\npaths:\n  /a: [\n").unwrap();
    std::fs::write(folder.path().join("good.yaml"), "openapi: 3.1.0\npaths: { /b: { get: { responses: {} } } }\n")
        .unwrap();
    std::fs::write(folder.path().join("braces.yaml"), "{ openapi: 3.1.0, paths: { /a: [ }\n").unwrap();
    std::fs::write(folder.path().join("large.yaml"), "# a line\n".repeat(1 << 20)).unwrap();
    std::fs::write(folder.path().join("secured.yaml"), "openapi: 3.1.0\nsecurity: [{ key: [] }]\npaths: {}\n").unwrap();
    let fifo = std::process::Command::new("mkfifo").arg(folder.path().join("fifo")).status().unwrap();
    assert!(fifo.success());
    let cases = [
        ("openapi: none.yaml\n    upstream: a", "cannot read none.yaml: it does not exist", "7:14"),
        ("openapi: .\n    upstream: a", "cannot read .: it is a directory, not a file", "7:14"),
        ("openapi: fifo\n    upstream: a", "cannot read fifo: it is not a regular file", "7:14"),
        (
            "openapi: large.yaml\n    upstream: a",
            "cannot read large.yaml: it has 9437184 bytes and exceeds the size limit of 8 MiB",
            "7:14",
        ),
        ("openapi: braces.yaml\n    upstream: a", "`braces.yaml`: not valid YAML: ", "7:14"),
        ("openapi: secured.yaml\n    upstream: a", "`#/security/0/key` requires the security scheme `key`", "7:14"),
        ("openapi: broken.yaml\n    upstream: a", "`broken.yaml`: not valid YAML: ", "7:14"),
        ("openapi: good.yaml\n    respond: { text: a }", "works only with `upstream` or `split`", "7:14"),
        (
            "openapi: good.yaml\n    upstream: a\n    rewrite: { replace: /b }",
            "`rewrite` makes them in another way",
            "7:14",
        ),
        ("openapi: good.yaml", "has no target", "5:3"),
    ];
    for (rest, message, place) in cases {
        let (good, report) = checked(folder.path(), &route(rest));
        assert!(!good && report.contains(message), "{rest}: {report}");
        assert!(report.contains(&format!("gateway.yaml:{place}")), "{rest}: {report}");
        assert_eq!(report.contains("add the file"), rest.contains("none.yaml"), "{rest}: {report}");
    }
    let (good, report) = checked(folder.path(), &route("openapi: good.yaml\n    upstream: a"));
    assert!(
        good && report.contains("the route `/a/**` serves none of the paths of `good.yaml`, such as `/b`"),
        "{report}"
    );
    let (good, report) =
        checked(folder.path(), &route("openapi: good.yaml\n    upstream: a\n    rewrite: { strip_prefix: /a }"));
    assert!(good && !report.contains("GW0532"), "{report}");
}

#[test]
fn a_changed_file_changes_the_description_and_a_broken_one_does_not() {
    let head = HEAD.replace("watch: false", "watch: true, debounce: 20ms, poll: 200ms");
    let gateway = Gateway::start_in(&[
        ("gateway.yaml", &format!("{head}{YAML}")),
        ("orders.yaml", ORDERS),
        ("one.json", ONE),
        ("keys.yaml", KEYS),
    ]);
    let said = || gateway.get("/openapi.json").json()["tags"][1]["description"].as_str().unwrap().to_owned();
    assert_eq!(said(), "What customers order.");
    let write = |text: &str| std::fs::write(gateway.folder().join("orders.yaml"), text).unwrap();
    write(&ORDERS.replace("What customers order.", "What they want."));
    let until = Instant::now() + PATIENCE;
    while said() != "What they want." {
        assert!(Instant::now() < until, "the edit was not seen");
    }
    write("openapi: 2\n");
    while gateway.admin("GET", "/status").json()["last_refused"].is_null() {
        assert!(Instant::now() < until, "the edit was not seen");
    }
    let refused = gateway.admin("GET", "/status").json()["last_refused"]["diagnostics"].to_string();
    assert!(refused.contains("GW0532") && refused.contains("`openapi` is not text"), "{refused}");
    assert_eq!(said(), "What they want.");
}

/// The names of parameters mean nothing, so `/shop/{id}` and `/shop/{orderId}` are one path, and a description may have it once.
#[test]
fn the_same_path_of_two_files_is_described_once() {
    let spec = |name: &str, method: &str| {
        format!(
            "openapi: 3.1.0\npaths:\n  '/shop/{{{name}}}':\n    {method}:\n      parameters: [{{ in: path, name: {name}, required: true, schema: {{ type: string }} }}]\n      responses: {{ 200: {{ description: ok }} }}\n"
        )
    };
    let yaml = r#"
listeners: { web: { address: "127.0.0.1:0" } }
upstreams: { shop: { targets: [{ url: "http://127.0.0.1:1" }] } }
routes:
  read: { path: "/shop/{a}", methods: [GET], upstream: shop, openapi: read.yaml }
  write: { path: "/shop/{b}", methods: [PUT], upstream: shop, openapi: write.yaml }
  openapi: { path: /openapi.json, openapi: {} }
"#;
    let gateway = Gateway::start_in(&[
        ("gateway.yaml", &format!("{HEAD}{yaml}")),
        ("read.yaml", &spec("id", "get")),
        ("write.yaml", &spec("orderId", "put")),
    ]);
    let document = gateway.get("/openapi.json").json();
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.keys().collect::<Vec<_>>(), ["/shop/{id}"]);
    for method in ["get", "put"] {
        assert_eq!(paths["/shop/{id}"][method]["parameters"][0]["name"], "id", "{method}: {document}");
    }
}
