//! Which files are accepted, and what is said about the others.

use super::*;
use serde_json::json;

const SMALL: &str = "openapi: 3.0.3\ninfo: { title: a, version: '1' }\npaths: { /a: { get: { responses: { 200: { description: ok } } } } }\n";

fn parse(text: &str) -> Result<Spec, String> {
    Spec::parse(text.as_bytes(), Path::new("spec.yaml")).map_err(|flaw| flaw.message)
}

fn refused(text: &str) -> String {
    parse(text).expect_err("it is accepted")
}

#[test]
fn json_and_yaml_are_read_and_numbers_may_be_keys() {
    let yaml = parse(SMALL).unwrap();
    let braces =
        parse("{ openapi: 3.1.0, paths: { /a: { get: { responses: { 200: { description: ok } } } } } }").unwrap();
    let json = r#"{"openapi":"3.1.0","paths":{"/a":{"get":{"responses":{"200":{"description":"ok"}}}}}}"#;
    for spec in [yaml, braces, parse(json).unwrap()] {
        let (path, item) = spec.paths().next().unwrap();
        assert_eq!((path, &item["get"]["responses"]["200"]["description"]), ("/a", &json!("ok")));
    }
}

#[test]
fn a_file_is_called_what_its_name_says() {
    let message = |text: &str, name: &str| Spec::parse(text.as_bytes(), Path::new(name)).unwrap_err().message;
    let broken = "{ \"openapi\": \"3.1.0\", \"paths\": { }";
    for (name, language) in [("a.yaml", "YAML"), ("a.yml", "YAML"), ("a.json", "JSON"), ("a", "JSON")] {
        let found = message(broken, name);
        assert!(found.starts_with(&format!("not valid {language}: ")), "{name}: {found}");
    }
    assert!(message("openapi: 3.1.0", "a.JSON").starts_with("not valid JSON: "));
    assert!(message("openapi: [", "a").starts_with("not valid YAML: "));
}

#[test]
fn a_key_that_occurs_twice_is_refused_in_every_language() {
    let twice = r#"{ "openapi": "3.1.0", "paths": { "/a": { "get": {}, "get": {} } } }"#;
    for (name, message) in [
        ("a.json", "not valid JSON: a member occurs twice at line 1 column 63"),
        ("a", "not valid JSON: a member occurs twice at line 1 column 63"),
        ("a.yaml", "not valid YAML: "),
    ] {
        let found = Spec::parse(twice.as_bytes(), Path::new(name)).unwrap_err().message;
        assert!(found.starts_with(message), "{name}: {found}");
    }
    let responses = |inner: &str| format!("openapi: 3.1.0\npaths: {{ /a: {{ get: {{ responses: {{ {inner} }} }} }} }}");
    for inner in ["a: {}, a: {}", "200: {}, '200': {}", "true: {}, 'true': {}"] {
        assert!(refused(&responses(inner)).starts_with("not valid YAML: "), "{inner}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let cases = [
        ("openapi: [", "not valid YAML: "),
        ("title: notes", "this is not an OpenAPI description: it has no `openapi`"),
        ("swagger: '2.0'", "this is Swagger 2.0"),
        ("openapi: 3.2.0\npaths: {}", "its version is `3.2.0`"),
        ("openapi: 3.1\npaths: {}", "`openapi` is not text"),
        ("openapi: 3.1.0", "it has no `paths`"),
        ("openapi: 3.1.0\npaths: { orders: {} }", "`#/paths/orders`: a path begins with a slash"),
        ("openapi: 3.1.0\npaths: { /a: 5 }", "`#/paths/~1a` is not an object"),
        (
            "openapi: 3.1.0\npaths: { /a: { get: { responses: { 200: ok } } } }",
            "`#/paths/~1a/get/responses/200` is not an object",
        ),
        (
            "openapi: 3.1.0\npaths: { /a: { get: { parameters: [{ in: query }] } } }",
            "`#/paths/~1a/get/parameters/0` has no `in`",
        ),
        (
            "openapi: 3.1.0\npaths: { '/a/{id}': { get: {} } }",
            "`#/paths/~1a~1{id}/get`: the parameter `id` of the path is not",
        ),
        (
            "openapi: 3.1.0\npaths: { /a: { get: { responses: { 200: { $ref: 'other.yaml#/ok' } } } } }",
            "`#/paths/~1a/get/responses/200`: the reference `other.yaml#/ok` does not lead to `#/components/…`",
        ),
        (
            "openapi: 3.1.0\npaths: { /a: { get: { responses: { 200: { $ref: '#/components/responses/Ok' } } } } }",
            "the reference `#/components/responses/Ok` leads nowhere",
        ),
        (
            "openapi: 3.1.0\npaths: {}\ncomponents: { schemas: { A: { $ref: '#/components/schemas/B' }, B: { $ref: '#/components/schemas/A' } } }",
            "`#/components/schemas/A`: the reference `#/components/schemas/B` leads back to itself",
        ),
        (
            "openapi: 3.1.0\npaths: { '/a/{x}': {}, '/a/{y}': {} }",
            "`#/paths/~1a~1{y}` is the same path as `#/paths/~1a~1{x}`",
        ),
        (
            "openapi: 3.1.0\npaths: { /a: { get: { parameters: [{ in: path, name: x }] } } }",
            "`#/paths/~1a/get`: the path has no parameter `x`",
        ),
        (
            "openapi: 3.1.0\npaths: { /a: { get: { parameters: [{ in: body, name: x }] } } }",
            "`#/paths/~1a/get/parameters/0` is in none of `query`",
        ),
        ("openapi: 3.1.0\npaths: { /a: { $ref: 5 } }", "`#/paths/~1a/$ref` is not text"),
        (
            "openapi: 3.1.0\npaths: {}\ncomponents: { schemas: { A: { items: { $ref: [A] } } } }",
            "`#/components/schemas/A/items/$ref` is not text",
        ),
        ("openapi: 3.1.0\npaths: {}\ncomponents: { schemas: { A: 5 } }", "`#/components/schemas/A` is not an object"),
        ("openapi: 3.1.0\npaths: {}\ncomponents: { schemas: 5 }", "`#/components/schemas` is not an object"),
        ("openapi: 3.1.0\nsecurity: { a: [] }\npaths: {}", "`#/security` is not a list"),
        (
            "openapi: 3.1.0\nsecurity: [{ key: [] }]\npaths: {}",
            "`#/security/0/key` requires the security scheme `key`, which the file does not describe",
        ),
        (
            "openapi: 3.1.0\npaths: { /a: { get: { security: [{ key: 5 }] } } }\ncomponents: { securitySchemes: { key: { type: http, scheme: basic } } }",
            "`#/paths/~1a/get/security/0/key` is not a list of scopes",
        ),
        ("openapi: 3.1.0\npaths: { /a: { get: { tags: [5] } } }", "`#/paths/~1a/get/tags` is not a list of texts"),
        (
            "openapi: 3.1.0\npaths: {}\ncomponents: { schemas: { A: { discriminator: { propertyName: kind, mapping: { b: B } } } } }",
            "`#/components/schemas/A/discriminator/mapping/b` is `B`, which is not a schema of the file",
        ),
        (
            "openapi: 3.1.0\npaths: {}\ncomponents: { schemas: { A: { discriminator: kind } } }",
            "`#/components/schemas/A/discriminator` is not an object",
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

/// Each part is looked at once. Doing so once for each reference, or for each path, would take hours here.
#[test]
fn a_file_with_many_paths_and_long_chains_is_validated_in_one_pass() {
    let mut text = "openapi: 3.1.0\npaths:\n".to_owned();
    for number in 0..5_000 {
        text += &format!(
            "  '/a{number}/{{id}}': {{ parameters: [{{ $ref: '#/components/parameters/Id' }}], get: {{ responses: {{ 200: {{ $ref: '#/components/responses/R{number}' }} }} }} }}\n"
        );
    }
    text += "components:\n  parameters: { Id: { in: path, name: id, required: true } }\n  responses:\n";
    for number in 0..5_000 {
        text += &format!("    R{number}: {{ description: ok }}\n");
    }
    assert_eq!(parse(&text).unwrap().paths().count(), 5_000);
    // Each reference of a chain would be followed to its end.
    let links: String =
        (0..100).map(|at| format!("    S{at}: {{ $ref: '#/components/schemas/S{}' }}\n", at + 1)).collect();
    let chain = format!("openapi: 3.1.0\npaths: {{}}\ncomponents:\n  schemas:\n{links}    S100: {{}}\n");
    assert!(refused(&chain).contains("leads through more than 32 other references"), "{}", refused(&chain));
}
