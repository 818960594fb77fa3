//! Files that describe APIs: which are accepted, what is said about the others, and what becomes of 3.0.

use super::*;
use crate::config::document::process::ErrorFormat;
use crate::openapi::Components;
use crate::openapi::operation::Guards;
use serde_json::json;
use std::collections::BTreeSet;

const SMALL: &str = "openapi: 3.0.3\ninfo: { title: a, version: '1' }\npaths: { /a: { get: { responses: { 200: { description: ok } } } } }\n";

fn parse(text: &str) -> Result<Spec, String> {
    Spec::parse(text.as_bytes()).map_err(|flaw| flaw.message)
}

fn refused(text: &str) -> String {
    parse(text).expect_err("it is accepted")
}

#[test]
fn json_and_yaml_are_read_and_numbers_may_be_keys() {
    let yaml = parse(SMALL).unwrap();
    let json = r#"{"openapi":"3.1.0","paths":{"/a":{"get":{"responses":{"200":{"description":"ok"}}}}}}"#;
    for spec in [yaml, parse(json).unwrap()] {
        let (path, item) = spec.paths().next().unwrap();
        assert_eq!((path, &item["get"]["responses"]["200"]["description"]), ("/a", &json!("ok")));
    }
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let cases = [
        ("openapi: [", "not valid YAML: "),
        ("{\"openapi\": \"3.1.0\",}", "not valid JSON: trailing comma at line 1 column 21"),
        ("title: notes", "this is not an OpenAPI description: it has no `openapi`"),
        ("swagger: '2.0'", "this is Swagger 2.0"),
        ("openapi: 3.2.0\npaths: {}", "its version is `3.2.0`"),
        ("openapi: 3.1\npaths: {}", "`openapi` is not text"),
        ("openapi: 3.1.0", "it has no `paths`"),
        ("openapi: 3.1.0\npaths: { orders: {} }", "`paths.orders`: a path begins with a slash"),
        ("openapi: 3.1.0\npaths: { /a: 5 }", "`paths./a` is not an object"),
        (
            "openapi: 3.1.0\npaths: { /a: { get: { responses: { 200: ok } } } }",
            "`paths./a.get.responses.200` is not an object",
        ),
        (
            "openapi: 3.1.0\npaths: { /a: { get: { parameters: [{ in: query }] } } }",
            "`paths./a.get.parameters[0]` has no `in`",
        ),
        (
            "openapi: 3.1.0\npaths: { '/a/{id}': { get: {} } }",
            "`paths./a/{id}.get`: the parameter `id` of the path is not",
        ),
        (
            "openapi: 3.1.0\npaths: { /a: { get: { responses: { 200: { $ref: 'other.yaml#/ok' } } } } }",
            "`paths./a.get.responses.200`: the reference `other.yaml#/ok` does not lead to `#/components/…`",
        ),
        (
            "openapi: 3.1.0\npaths: { /a: { get: { responses: { 200: { $ref: '#/components/responses/Ok' } } } } }",
            "the reference `#/components/responses/Ok` leads nowhere",
        ),
        (
            "openapi: 3.1.0\npaths: {}\ncomponents: { schemas: { A: { $ref: '#/components/schemas/B' }, B: { $ref: '#/components/schemas/A' } } }",
            "`components.schemas.A`: the reference `#/components/schemas/B` leads back to itself",
        ),
    ];
    for (text, message) in cases {
        let found = refused(text);
        assert!(found.contains(message), "{text}: {found}");
    }
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut text = "openapi: 3.1.0\na0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = format!("*a{}", level - 1);
        text += &format!("a{level}: &a{level} [{}]\n", [before.as_str(); 9].join(", "));
    }
    let found = refused(&(text + "paths: {}\n"));
    assert!(found.contains("not valid YAML"), "{found}");
}

#[test]
fn the_first_server_has_the_base_of_all_paths() {
    let cases = [
        ("", ""),
        ("servers: [{ url: /v1/ }]", "/v1"),
        ("servers: [{ url: 'https://orders.internal/v2' }, { url: /v3 }]", "/v2"),
        (
            "servers: [{ url: 'https://{region}.example.com/{base}', variables: { region: { default: eu }, base: { default: api } } }]",
            "/api",
        ),
        ("servers: [{ url: 'orders' }]", ""),
    ];
    for (servers, base) in cases {
        assert_eq!(parse(&format!("{SMALL}{servers}\n")).unwrap().base(), base, "{servers}");
    }
}

/// The operation `get /a` of a description with these components, taken into an empty one behind `guards`.
fn taken(text: &str, guards: &Guards, components: &mut Components) -> Value {
    let spec = parse(text).unwrap();
    let (path, item) = spec.paths().next().unwrap();
    Import::new(&spec).operation((path, "get", item), "route", guards, components).unwrap()
}

#[test]
fn schemas_of_3_0_become_json_schema() {
    let text = r"
openapi: 3.0.3
paths:
  /a:
    get:
      responses:
        '200': { description: ok, content: { application/json: { schema: { $ref: '#/components/schemas/Order', nullable: true } } } }
components:
  schemas:
    Order:
      type: object
      nullable: true
      example: { nullable: true }
      properties:
        nullable: { type: boolean }
        example: { type: string, nullable: true, enum: [a, b] }
        size: { type: number, minimum: 0, exclusiveMinimum: true, maximum: 9, exclusiveMaximum: false }
        other: { nullable: true, allOf: [{ $ref: '#/components/schemas/Order' }] }
";
    let mut components = Components::new(ErrorFormat::Brief);
    let operation = taken(text, &Guards::default(), &mut components);
    let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
    assert_eq!(*schema, json!({ "$ref": "#/components/schemas/Order" }));
    let components = components.into_value();
    let order = &components["schemas"]["Order"];
    assert_eq!((&order["type"], &order["example"]), (&json!(["object", "null"]), &json!({ "nullable": true })));
    assert_eq!(order["properties"]["nullable"], json!({ "type": "boolean" }));
    assert_eq!(order["properties"]["example"], json!({ "type": ["string", "null"], "enum": ["a", "b", null] }));
    assert_eq!(order["properties"]["size"], json!({ "type": "number", "maximum": 9, "exclusiveMinimum": 0 }));
    let other = json!({ "anyOf": [{ "allOf": [{ "$ref": "#/components/schemas/Order" }] }, { "type": "null" }] });
    assert_eq!(order["properties"]["other"], other);
}

#[test]
fn components_that_are_used_come_along_under_free_names() {
    let text = r"
openapi: 3.1.0
paths:
  /a:
    parameters: [{ $ref: '#/components/parameters/Page' }, { name: shop, in: query }]
    get:
      operationId: listUsers
      parameters: [{ name: shop, in: query, required: true }]
      responses:
        '200':
          description: ok
          content:
            application/json:
              schema:
                oneOf: [{ $ref: '#/components/schemas/User' }, { $ref: '#/components/schemas/user' }]
                discriminator: { propertyName: kind, mapping: { a: user, b: '#/components/schemas/User' } }
              examples: { one: { value: { $ref: '#/not/a/reference' } } }
        default: { $ref: '#/components/responses/Bad' }
components:
  parameters: { Page: { name: page, in: query, schema: { $ref: '#/components/schemas/Tree/properties/size' } } }
  responses: { Bad: { description: Bad., content: { application/json: { schema: { $ref: '#/components/schemas/Error' } } } } }
  schemas:
    User: { type: object }
    user: { type: array }
    Error: { type: string }
    Unused: { type: string }
    Tree: { type: object, properties: { size: { type: integer }, left: { $ref: '#/components/schemas/Tree' } } }
";
    let mut components = Components::new(ErrorFormat::Brief);
    components.schema("User", json!({ "type": "string" }));
    let _ = components.operations.take("listUsers");
    let operation = taken(text, &Guards::default(), &mut components);
    assert_eq!((&operation["operationId"], &operation["tags"]), (&json!("listUsers2"), &json!(["route"])));
    let names: Vec<&str> =
        operation["parameters"].as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(names, ["shop"], "that of the operation counts");
    let content = &operation["responses"]["200"]["content"]["application/json"];
    assert_eq!(content["schema"]["oneOf"][0]["$ref"], "#/components/schemas/User3");
    assert_eq!(content["schema"]["oneOf"][1]["$ref"], "#/components/schemas/user2");
    let mapping = json!({ "a": "#/components/schemas/user2", "b": "#/components/schemas/User3" });
    assert_eq!(content["schema"]["discriminator"]["mapping"], mapping);
    assert_eq!(content["examples"]["one"]["value"]["$ref"], "#/not/a/reference", "an example is data");
    // Any other error comes from one or the other.
    let other = &operation["responses"]["default"]["content"]["application/json"]["schema"]["anyOf"];
    let all = components.into_value();
    let theirs = other[0]["$ref"].as_str().unwrap().trim_start_matches("#/components");
    assert_eq!(all.pointer(theirs).unwrap(), &json!({ "type": "string" }));
    assert_eq!(
        all.pointer(other[1]["$ref"].as_str().unwrap().trim_start_matches("#/components")).unwrap()["type"],
        "object"
    );
    assert_eq!(all["schemas"]["Tree"]["properties"]["left"]["$ref"], "#/components/schemas/Tree");
    assert_eq!(all["parameters"]["Page"]["schema"]["$ref"], "#/components/schemas/Tree/properties/size");
    assert!(all["schemas"].get("Unused").is_none());
}

#[test]
fn components_may_refer_to_each_other_to_any_depth() {
    let last = 5_000;
    let link = |at: usize| {
        format!("    S{at}: {{ properties: {{ next: {{ $ref: '#/components/schemas/S{}' }} }} }}\n", at + 1)
    };
    let links: String = (0..last).map(link).collect();
    let text = format!(
        "openapi: 3.1.0
paths: {{ /a: {{ get: {{ responses: {{ 200: {{ description: ok, content: {{ a/b: {{ schema: {{ $ref: '#/components/schemas/S0' }} }} }} }} }} }} }} }}
components:
  schemas:
{links}    S{last}: {{ type: string }}
"
    );
    let mut components = Components::new(ErrorFormat::Brief);
    taken(&text, &Guards::default(), &mut components);
    assert_eq!(components.into_value()["schemas"][format!("S{last}")], json!({ "type": "string" }));
}

#[test]
fn credentials_of_both_are_needed_and_the_same_ones_once() {
    let text = r"
openapi: 3.1.0
security: [{ token: [] }, { key: [] }]
paths: { /a: { get: { responses: {} } } }
components:
  securitySchemes:
    token: { type: http, scheme: Bearer, description: Theirs. }
    key: { type: apiKey, in: header, name: x-key }
";
    let mut components = Components::new(ErrorFormat::Brief);
    let bearer = components.security("bearer", json!({ "type": "http", "scheme": "bearer", "bearerFormat": "JWT" }));
    let guards = Guards { required: vec![BTreeSet::from([bearer])], ..Guards::default() };
    let operation = taken(text, &guards, &mut components);
    assert_eq!(operation["security"], json!([{ "bearer": [] }, { "key": [], "bearer": [] }]));
    let alone = taken(text, &Guards::default(), &mut Components::new(ErrorFormat::Brief));
    assert_eq!(alone["security"], json!([{ "token": [] }, { "key": [] }]));
    let open = taken(&text.replace("get: {", "get: { security: [],"), &guards, &mut components);
    assert_eq!(open["security"], json!([{ "bearer": [] }]), "the upstream asks for nothing, the gateway does");
}
