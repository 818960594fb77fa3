//! Requests that are validated against a description.

mod forms;
mod messages;
mod warnings;
mod ways_around;

use crate::request_validation::RequestValidation;
use gatewright_sdk::testing::{answers, bytes, compile, faults, install};
use gatewright_sdk::{Body, HttpService, Refusal};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

const SHOP: &str = r##"
openapi: 3.0.3
info: { title: Shop, version: "1" }
paths:
  /orders:
    get:
      parameters:
        - { name: page, in: query, schema: { type: integer, minimum: 1 } }
        - { name: state, in: query, schema: { type: array, items: { type: string, enum: [open, paid] }, maxItems: 2 } }
        - { name: ids, in: query, explode: false, schema: { type: array, items: { type: integer } } }
        - { name: price, in: query, style: deepObject, schema: { type: object, properties: { min: { type: number }, max: { type: number } }, additionalProperties: false } }
        - { name: pageable, in: query, schema: { type: object, properties: { size: { type: integer, maximum: 50 }, sort: { type: array, items: { type: string } } } } }
        - { name: q, in: query, content: { application/json: { schema: { type: object, required: [word] } } } }
        - { name: draft, in: query, allowEmptyValue: true, schema: { type: boolean } }
        - { name: either, in: query, schema: { oneOf: [{ type: integer, minimum: 10 }, { type: string, pattern: "^[0-9]$" }] } }
        - { name: X-Tenant, in: header, required: true, schema: { type: string, minLength: 2 } }
        - { name: Accept, in: header, required: true, schema: { type: integer } }
        - { name: visit, in: cookie, schema: { type: integer } }
      responses: {}
    post:
      requestBody: { required: true, content: { application/json: { schema: { $ref: "#/components/schemas/Order" } } } }
      responses: {}
  /orders/{id}:
    parameters: [{ $ref: "#/components/parameters/Id" }]
    get: { responses: {} }
    put:
      requestBody:
        content:
          application/merge-patch+json: { schema: { type: object, minProperties: 1 } }
          application/*: { schema: { type: array } }
          text/plain: { schema: { type: integer } }
      responses: {}
  /orders/new: { delete: { responses: {} } }
  /trees: { post: { requestBody: { $ref: "#/components/requestBodies/Tree" }, responses: {} } }
components:
  parameters: { Id: { name: id, in: path, required: true, schema: { type: integer, maximum: 99 } } }
  requestBodies: { Tree: { content: { application/json: { schema: { $ref: "#/components/schemas/Tree" } } } } }
  schemas:
    Order:
      type: object
      required: [id, sku, amount]
      properties:
        id: { type: integer, readOnly: true }
        sku: { type: string, maxLength: 4, nullable: true }
        amount: { type: integer, minimum: 0, exclusiveMinimum: true }
        lines: { type: array, items: { $ref: "#/components/schemas/Line" } }
    Line: { type: object, required: [sku, made], properties: { sku: { type: string }, made: { $ref: "#/components/schemas/Made" } } }
    Made: { type: string, readOnly: true }
    Tree:
      oneOf: [{ $ref: "#/components/schemas/Leaf" }, { $ref: "#/components/schemas/Branch" }]
    Leaf: { type: object, required: [value], properties: { value: { type: integer } }, additionalProperties: false }
    Branch: { type: object, required: [left, right], properties: { left: { $ref: "#/components/schemas/Tree" }, right: { $ref: "#/components/schemas/Tree" } } }
"##;

/// A file with this content, until the end of the test.
struct Written(PathBuf);

impl Written {
    fn new(content: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("described-{}-{}.yaml", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let file = std::env::temp_dir().join(name);
        std::fs::write(&file, content).unwrap();
        Self(file)
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn door(content: &str, more: Value) -> HttpService {
    let file = Written::new(content);
    let mut settings = json!({ "file": file.0 });
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    install::<RequestValidation>(json!({ "openapi": settings }), answers(|_| "in"))
}

struct Sent<'a>(&'a str, &'a str, &'a [(&'a str, &'a str)], &'a str);

/// The status, the reason in the log, and the fields with their codes.
async fn send(door: &HttpService, sent: Sent<'_>) -> (u16, String, Vec<(String, String)>, String) {
    let Sent(method, uri, headers, body) = sent;
    let mut request = http::Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = door.call(request.body(Body::from(body.to_owned())).unwrap()).await;
    let reason = response.extensions().get::<Refusal>().map(|refusal| refusal.reason.to_string());
    let status = response.status().as_u16();
    let allow = response.headers().get("allow").map(|allow| allow.to_str().unwrap().to_owned()).unwrap_or_default();
    let body: Value = serde_json::from_slice(&bytes(response).await).unwrap_or_default();
    let text = |detail: &Value, key: &str| detail[key].as_str().unwrap().to_owned();
    let details = body["details"].as_array().into_iter().flatten();
    let details = details.map(|detail| (text(detail, "field"), text(detail, "code"))).collect();
    (status, reason.unwrap_or_default(), details, allow)
}

#[tokio::test]
async fn parameters_are_as_they_are_described() {
    let door = door(SHOP, json!({}));
    let none: &[(&str, &str)] = &[];
    for (query, wrong) in [
        ("", none),
        ("page=1", none),
        ("page=0", &[("page", "minimum")]),
        ("page=one", &[("page", "type")]),
        ("page=1&page=2", &[("page", "repeated")]),
        ("page=%31", none),
        ("state=open&state=paid", none),
        ("state=open&state=lost", &[("state[1]", "enum")]),
        ("state=open&state=paid&state=open", &[("state", "maxItems")]),
        ("ids=1,2,3", none),
        ("ids=1,x", &[("ids[1]", "type")]),
        ("ids=1&ids=2", &[("ids", "repeated")]),
        ("price[min]=1.5&price[max]=3", none),
        ("price%5Bmin%5D=1.5", none),
        ("price[min]=low", &[("price.min", "type")]),
        ("price[other]=1", &[("price", "additionalProperties")]),
        ("size=20&sort=a&sort=b", none),
        ("size=200", &[("pageable.size", "maximum")]),
        ("q={\"word\":\"a\"}", none),
        ("q={}", &[("q.word", "required")]),
        ("q=x", &[("q", "json")]),
        ("draft", none),
        ("draft=true", none),
        ("draft=yes", &[("draft", "type")]),
        ("either=12", none),
        ("either=7", none),
        ("either=a", &[("either", "pattern")]),
        ("unknown=anything", none),
    ] {
        let uri = format!("/orders?{}", query.replace('"', "%22").replace('{', "%7B").replace('}', "%7D"));
        let (status, _, details, _) = send(&door, Sent("GET", &uri, &[("x-tenant", "acme")], "")).await;
        let details: Vec<_> = details.iter().map(|(field, code)| (field.as_str(), code.as_str())).collect();
        assert_eq!((status, details.as_slice()), (if wrong.is_empty() { 200 } else { 400 }, wrong), "{query}");
    }
    for (headers, wrong) in [
        (&[][..], &[("X-Tenant", "required")][..]),
        (&[("x-tenant", "a")], &[("X-Tenant", "minLength")]),
        (&[("x-tenant", "acme"), ("x-tenant", "other")], &[("X-Tenant", "repeated")]),
        (&[("x-tenant", "acme"), ("cookie", "a=b; visit=3")], none),
        (&[("x-tenant", "acme"), ("cookie", "visit=x")], &[("visit", "type")]),
    ] {
        let (_, _, details, _) = send(&door, Sent("GET", "/orders", headers, "")).await;
        let details: Vec<_> = details.iter().map(|(field, code)| (field.as_str(), code.as_str())).collect();
        assert_eq!(details, wrong, "{headers:?}");
    }
    assert_eq!(send(&door, Sent("GET", "/orders/7", &[], "")).await.0, 200);
    let (status, reason, details, _) = send(&door, Sent("GET", "/orders/100", &[], "")).await;
    assert_eq!((status, &*reason, &details[0]), (400, "schema", &("id".to_owned(), "maximum".to_owned())));
    assert_eq!(send(&door, Sent("GET", "/orders/x", &[], "")).await.0, 400);
    assert_eq!(send(&door, Sent("GET", "/orders?page=%FF", &[("x-tenant", "acme")], "")).await.0, 400);
}

#[tokio::test]
async fn bodies_are_as_they_are_described() {
    let door = door(SHOP, json!({ "max": "1KiB" }));
    let json = [("content-type", "application/json")];
    for (body, wrong) in [
        (r#"{"sku":"tea","amount":1}"#, &[][..]),
        (r#"{"sku":null,"amount":1,"id":4}"#, &[]),
        (r#"{"sku":"coffee","amount":0}"#, &[("sku", "maxLength"), ("amount", "exclusiveMinimum")]),
        (r#"{"amount":1}"#, &[("sku", "required")]),
        (r#"{"sku":"tea","amount":1,"lines":[{"sku":"a"},{}]}"#, &[("lines[1].sku", "required")]),
    ] {
        let (_, _, mut details, _) = send(&door, Sent("POST", "/orders", &json, body)).await;
        details.sort_by_key(|(field, _)| !field.starts_with("sku"));
        let details: Vec<_> = details.iter().map(|(field, code)| (field.as_str(), code.as_str())).collect();
        assert_eq!(details, wrong, "{body}");
    }
    let merge = [("content-type", "application/merge-patch+json")];
    let (text, xml) = ([("content-type", "text/plain")], [("content-type", "application/xml")]);
    let large = format!("{{\"sku\":\"{}\"}}", "a".repeat(2000));
    for (method, uri, headers, body, status, reason) in [
        ("POST", "/orders", &json, "", 400, "body_missing"),
        ("POST", "/orders", &json, "{", 400, "body_not_json"),
        ("POST", "/orders", &json, r#"{"sku":"a","sku":"b"}"#, 400, "body_not_json"),
        ("POST", "/orders", &json, &*large, 413, ""),
        ("POST", "/orders", &text, "x", 415, "media_type"),
        ("PUT", "/orders/5", &json, "", 200, ""),
        ("PUT", "/orders/5", &json, "[1]", 200, ""),
        ("PUT", "/orders/5", &json, "{}", 400, "schema"),
        ("PUT", "/orders/5", &merge, "{}", 400, "schema"),
        ("PUT", "/orders/5", &merge, r#"{"a":1}"#, 200, ""),
        ("PUT", "/orders/5", &text, "what it wants", 200, ""),
        ("PUT", "/orders/5", &xml, "<a/>", 200, ""),
        ("PUT", "/orders/5", &[("content-type", "image/png")], "x", 415, "media_type"),
        ("GET", "/orders/5", &json, "{}", 400, "body_unexpected"),
        ("POST", "/trees", &json, r#"{"left":{"value":1},"right":{"left":{"value":1},"right":{"value":2}}}"#, 200, ""),
        (
            "POST",
            "/trees",
            &json,
            r#"{"left":{"value":1},"right":{"left":{"value":1},"right":{"value":"x"}}}"#,
            400,
            "schema",
        ),
    ] {
        let found = send(&door, Sent(method, uri, headers, body)).await;
        assert_eq!(
            (found.0, &*found.1),
            (status, if status == 413 { &found.1 } else { reason }),
            "{method} {uri} {headers:?} {body}"
        );
    }
}

#[tokio::test]
async fn what_is_not_described_is_rejected_unless_it_may_pass() {
    let strict = door(SHOP, json!({}));
    for (method, uri, status, allow) in [
        ("GET", "/", 404, ""),
        ("GET", "/orders/", 404, ""),
        ("GET", "/orders/1/lines", 404, ""),
        ("PATCH", "/orders", 405, "GET, POST, HEAD"),
        ("GET", "/orders/new", 405, "DELETE"),
        ("HEAD", "/orders/5", 200, ""),
    ] {
        let found = send(&strict, Sent(method, uri, &[], "")).await;
        assert_eq!((found.0, &*found.3), (status, allow), "{method} {uri}");
        assert_eq!(&*found.1, if status == 200 { "" } else { "undescribed" }, "{method} {uri}");
    }
    let open = door(SHOP, json!({ "undescribed": "pass" }));
    for (method, uri, status) in [("GET", "/", 200), ("PATCH", "/orders", 200), ("GET", "/orders/x", 400)] {
        assert_eq!(send(&open, Sent(method, uri, &[], "x")).await.0, status, "{uri}");
    }
    // One that is rejected whatever the file says does not make a path.
    let traced = "openapi: 3.1.0\npaths: { '/{a}': { get: { parameters: [{ name: a, in: path, required: true, schema: {} }] } }, /b: { trace: {} }, /c: {} }\n";
    let (strict, open) = (door(traced, json!({})), door(traced, json!({ "undescribed": "pass" })));
    for (uri, status) in [("/a", 200), ("/b", 404), ("/c", 404)] {
        let found = send(&strict, Sent("GET", uri, &[], "")).await;
        assert_eq!((found.0, &*found.3), (status, ""), "{uri}");
        assert_eq!(send(&open, Sent("GET", uri, &[], "")).await.0, 200, "{uri}");
    }
    let based = door(&format!("{SHOP}servers: [{{ url: 'https://shop.internal/v1' }}]\n"), json!({}));
    assert_eq!(send(&based, Sent("GET", "/v1/orders/5", &[], "")).await.0, 200);
    assert_eq!(send(&based, Sent("GET", "/v10/orders/5", &[], "")).await.0, 404);
    assert_eq!(send(&based, Sent("GET", "/orders/5", &[], "")).await.0, 404);
}

/// With `transfer-encoding: chunked`, and in HTTP/2, the length of a body is known when it ends.
#[tokio::test]
async fn an_empty_body_is_no_body_however_it_is_announced() {
    let door = door(SHOP, json!({}));
    for (method, uri, bytes, status) in [
        ("GET", "/orders/5", "", 200),
        ("GET", "/orders/5", "x", 400),
        ("PUT", "/orders/5", "", 200),
        ("PUT", "/orders/5", "x", 415),
        ("POST", "/orders", "", 400),
    ] {
        let stream = futures_util::stream::iter([Ok::<_, std::io::Error>(bytes)]);
        let request = http::Request::builder().method(method).uri(uri).body(Body::from_stream(stream)).unwrap();
        assert!(!http_body::Body::is_end_stream(request.body()));
        assert_eq!(door.call(request).await.status(), status, "{method} {uri} {bytes:?}");
    }
}

/// A body of 60 levels would be validated 2^60 times.
#[test]
fn schemas_whose_validation_could_take_forever_are_refused() {
    let file = |schema: &str| {
        format!(
            "openapi: 3.1.0\npaths: {{ /a: {{ post: {{ requestBody: {{ content: {{ application/json: {{ schema: {{ $ref: '#/components/schemas/T' }} }} }} }} }} }} }}\ncomponents: {{ schemas: {{ T: {schema}, U: {{ properties: {{ a: {{ $ref: '#/components/schemas/T' }} }} }} }} }}\n"
        )
    };
    let t = "{ $ref: '#/components/schemas/T' }";
    for (schema, refused) in [
        (format!("{{ properties: {{ a: {t}, b: {{ items: {t} }} }} }}"), false),
        (
            format!("{{ oneOf: [{{ properties: {{ and: {{ items: {t} }} }} }}, {{ properties: {{ not: {t} }} }}] }}"),
            false,
        ),
        ("{ properties: { a: { $ref: '#/components/schemas/U' } } }".to_owned(), false),
        (format!("{{ anyOf: [{{ properties: {{ a: {t} }} }}, {{ properties: {{ a: {t} }} }}] }}"), true),
        ("{ allOf: [{ $ref: '#/components/schemas/U' }, { $ref: '#/components/schemas/U' }] }".to_owned(), true),
        (format!("{{ properties: {{ a: {t} }}, additionalProperties: {t} }}"), true),
        (format!("{{ items: {t}, contains: {t} }}"), true),
        // At each value, `T` applies once.
        (
            format!(
                "{{ properties: {{ a: {{ properties: {{ b: {t} }} }}, }}, anyOf: [{{ properties: {{ a: {t} }} }}] }}"
            ),
            false,
        ),
        (format!("{{ allOf: [{t}] }}"), true),
    ] {
        let file = Written::new(&file(&schema));
        let found = faults::<RequestValidation>(json!({ "openapi": { "file": file.0 } }), false);
        assert_eq!(found.len(), usize::from(refused), "{schema}: {found:?}");
        if refused {
            let why =
                ["`#/components/schemas/T` leads back to itself", "more than 2000 schemas apply to the same value"];
            assert!(
                why.iter().any(|why| {
                    found[0].contains(&format!("`#/paths/~1a/post/requestBody`: `application/json`: {why}"))
                }),
                "{found:?}"
            );
        }
    }
}

#[test]
fn what_cannot_be_validated_is_a_fault_with_its_place() {
    let operation = |inner: &str| format!("openapi: 3.1.0\npaths: {{ '/a/{{id}}': {{ get: {{ {inner} }} }} }}\n");
    let id = "{ name: id, in: path, required: true, schema: { type: string } }";
    for (content, wanted) in [
        ("openapi: 2\n".to_owned(), "`openapi` is not text"),
        (
            operation("parameters: [{ name: id, in: path, style: matrix }]"),
            "`#/paths/~1a~1{id}/get/parameters`: parameter `id`: the style `matrix` is not supported there",
        ),
        (
            operation(&format!("parameters: [{id}, {{ name: q, in: query, schema: {{ type: text }} }}]")),
            "parameter `q`: the schema is not valid at `/type`",
        ),
        (
            operation(&format!("parameters: [{id}, {{ name: q, in: query, schema: {{ pattern: '(a' }} }}]")),
            "parameter `q`: the schema is not valid",
        ),
        (
            operation(&format!(
                "parameters: [{id}], requestBody: {{ content: {{ a/json: {{}}, application/json: {{ schema: {{ $dynamicRef: '#a' }} }} }} }}"
            )),
            "`#/paths/~1a~1{id}/get/requestBody`: `application/json`: `$dynamicRef` is not supported",
        ),
        (
            operation(&format!("parameters: [{id}, {{ name: q, in: query, required: 'true', schema: {{}} }}]")),
            "parameter `q`: `required` must be `true` or `false`, without quotes",
        ),
        (
            operation(&format!("parameters: [{id}], requestBody: {{ required: 'true', content: {{}} }}")),
            "`#/paths/~1a~1{id}/get/requestBody`: `required`: must be `true` or `false`, without quotes",
        ),
    ] {
        let file = Written::new(&content);
        let found = faults::<RequestValidation>(json!({ "openapi": { "file": file.0 } }), false);
        assert!(
            found.len() == 1 && found[0].starts_with("openapi.file: `") && found[0].contains(wanted),
            "{content}: {found:?}"
        );
    }
    let file = Written::new(SHOP);
    for (settings, wanted) in [
        (json!({}), "there is neither `body` nor `openapi`"),
        (json!({ "body": { "schema": {} }, "openapi": { "file": file.0 } }), "there are both `body` and `openapi`"),
        (json!({ "openapi": { "file": file.0 }, "methods": ["POST"] }), "methods: `methods` applies only to `body`"),
        (json!({ "openapi": { "file": file.0, "max": "0B" } }), "openapi.max: a limit of zero"),
        (json!({ "openapi": { "file": "no-such.yaml" } }), "openapi.file: cannot read no-such.yaml"),
    ] {
        let found = faults::<RequestValidation>(settings.clone(), false);
        assert!(found.len() == 1 && found[0].contains(wanted), "{settings}: {found:?}");
    }
}

/// Each schema is compiled once, however many operations refer to it: 2 million of them would not fit into memory.
#[test]
fn many_operations_share_their_schemas() {
    let mut text = "openapi: 3.1.0\npaths:\n".to_owned();
    for number in 0..2_000 {
        text += &format!(
            "  /a{number}: {{ post: {{ requestBody: {{ content: {{ application/json: {{ schema: {{ $ref: '#/components/schemas/S0' }} }} }} }} }} }}\n"
        );
    }
    text += "components:\n  schemas:\n";
    for number in 0..100 {
        text += &format!(
            "    S{number}: {{ properties: {{ next: {{ $ref: '#/components/schemas/S{}' }} }} }}\n",
            number + 1
        );
    }
    text += "    S100: { type: integer }\n";
    let file = Written::new(&text);
    assert_eq!(compile::<RequestValidation>(json!({ "openapi": { "file": file.0 } }), false).faults, []);
}
