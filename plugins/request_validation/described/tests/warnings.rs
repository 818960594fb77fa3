//! What a file says in vain.

use super::*;

/// The warnings about a file, each with its help.
fn warnings(content: &str) -> Vec<(String, String)> {
    let file = Written::new(content);
    let compiled = compile::<RequestValidation>(json!({ "openapi": { "file": file.0 } }), false);
    assert_eq!(compiled.faults, [], "{content}");
    let start = format!("`{}`: ", file.0.display());
    let text = |warning: &gatewright_sdk::Fault| {
        assert_eq!(warning.path, "openapi.file");
        let message = warning.message.strip_prefix(&start).unwrap_or_else(|| panic!("{warning}"));
        (message.to_owned(), warning.help.clone().unwrap_or_default())
    };
    compiled.warnings.iter().map(text).collect()
}

const TYPOS: &str = r##"
openapi: 3.0.3
x-team: orders
inof: {}
paths:
  x-note: { gets: {} }
  /orders:
    gets: {}
    parametrs: []
    x-gets: {}
    post:
      requstBody: { required: true }
      parameters:
        - { name: q, in: query, requierd: true, schema: { type: string, nullable: true, maxLenght: 4 } }
      requestBody:
        contents: {}
        content: { application/json: { schema: { $ref: "#/components/schemas/Order" }, shema: {} } }
      callbacks: { done: { "{$request.body#/url}": { post: {}, posts: {} } } }
      responses: { 200: { description: ok, header: {}, content: { text/plain: { example: { shema: 1 } } } } }
components:
  schema: {}
  schemas:
    Order: { type: object, requird: [id], properties: { requird: { enum: [{ requird: 1 }] } }, x-owner: me }
    Alias: { $ref: "#/components/schemas/Order", propertis: {} }
"##;

#[test]
fn members_that_openapi_does_not_know_are_warnings_with_their_place() {
    let found = warnings(TYPOS);
    let wanted = [
        ("#/inof", "part of OpenAPI", "did you mean `info`?"),
        ("#/paths/~1orders/gets", "part of OpenAPI", "did you mean `get`?"),
        ("#/paths/~1orders/parametrs", "part of OpenAPI", "did you mean `parameters`?"),
        ("#/paths/~1orders/post/requstBody", "part of OpenAPI", "did you mean `requestBody`?"),
        ("#/paths/~1orders/post/parameters/0/requierd", "part of OpenAPI", "did you mean `required`?"),
        (
            "#/paths/~1orders/post/parameters/0/schema/maxLenght",
            "a keyword of JSON Schema",
            "did you mean `maxLength`?",
        ),
        ("#/paths/~1orders/post/requestBody/contents", "part of OpenAPI", "did you mean `content`?"),
        (
            "#/paths/~1orders/post/requestBody/content/application~1json/shema",
            "part of OpenAPI",
            "did you mean `schema`?",
        ),
        ("#/paths/~1orders/post/callbacks/done/{$request.body#~1url}/posts", "part of OpenAPI", "did you mean `post`?"),
        ("#/paths/~1orders/post/responses/200/header", "part of OpenAPI", "did you mean `headers`?"),
        ("#/components/schema", "part of OpenAPI", "did you mean `schemas`?"),
        ("#/components/schemas/Order/requird", "a keyword of JSON Schema", "did you mean `required`?"),
    ];
    let wanted = wanted
        .map(|(place, language, help)| (format!("`{place}` is not {language}, and has no effect"), help.to_owned()));
    assert_eq!(found, wanted);
    let newer =
        warnings("openapi: 3.1.0\npaths: {}\ncomponents: { schemas: { A: { type: string, nullable: true } } }\n");
    let nullable = "`#/components/schemas/A/nullable` is not a keyword of JSON Schema, and has no effect";
    assert_eq!(newer, [(nullable.to_owned(), "write `type: [string, \"null\"]`".to_owned())]);
    assert_eq!(warnings(SHOP), [], "a file without typos");
}

#[test]
fn paths_that_are_never_reached_are_warnings() {
    for (server, path, is_reached) in [
        ("/", "/a", true),
        ("/", "/a;v", false),
        ("/", "/{id};v", false),
        ("/", "/a%3Bv", false),
        ("/", "/a%2Fb", false),
        ("/", "/a//b", false),
        ("/", "/a%20b", true),
        ("/v1;x", "/a", false),
        ("/", "/a/../b", false),
        ("/", "/a/%2e%2E/b", false),
        ("/", "/./a", false),
        ("/", "/{id}/..", false),
        ("/", "/a?x=1", false),
        ("/", "/a#x", false),
        ("/", "/a\\b", false),
        ("/", "/a%5Cb", false),
        ("/", "/a%09b", false),
        ("/", "/{id}{id}", false),
        ("/", "/a/..b", true),
        ("/", "/.well-known/a", true),
        ("/", "/a%3Fb", true),
        ("/", "/{id}.json", true),
        ("/", "/caf\u{e9}", true),
    ] {
        let parameters = if path.contains('{') { "[{ name: id, in: path, required: true }]" } else { "[]" };
        let content = format!(
            "openapi: 3.1.0\nservers: [{{ url: '{server}' }}]\npaths: {{ '{path}': {{ parameters: {parameters}, get: {{}} }} }}\n"
        );
        let found = warnings(&content);
        assert_eq!(found.is_empty(), is_reached, "{server} {path}: {found:?}");
        let place = format!("`#/paths/{}` is never reached: ", path.replace('/', "~1").escape_debug());
        assert!(found.iter().all(|(message, _)| message.starts_with(&place)), "{found:?}");
    }
}

#[test]
fn an_operation_with_the_method_trace_is_a_warning() {
    let content = "openapi: 3.1.0\npaths: { /a/b: { get: {}, trace: {} } }\n";
    let found = warnings(content);
    let message = "`#/paths/~1a~1b/trace` is never reached: requests with the method `TRACE` get 405";
    assert_eq!(found, [(message.to_owned(), "remove it".to_owned())]);
}

/// What a path of a file says, and what the gateway does with a request for it.
#[tokio::test]
async fn paths_without_a_warning_are_reached() {
    for (path, uri) in [
        ("/a/..b", "/a/..b"),
        ("/.well-known/a", "/.well-known/a"),
        ("/a%3Fb", "/a%3Fb"),
        ("/{id}.json", "/5.json"),
        ("/caf\u{e9}", "/caf%C3%A9"),
    ] {
        let parameters = if path.contains('{') { "[{ name: id, in: path, required: true }]" } else { "[]" };
        let content = format!("openapi: 3.1.0\npaths: {{ '{path}': {{ parameters: {parameters}, get: {{}} }} }}\n");
        assert_eq!(warnings(&content), [], "{path}");
        assert_eq!(send(&door(&content, json!({})), Sent("GET", uri, &[], "")).await.0, 200, "{path}");
    }
}

#[test]
fn a_misspelled_format_is_a_warning_with_the_one_that_was_meant() {
    let content = r##"
openapi: 3.0.3
paths:
  /orders:
    post:
      parameters: [{ name: since, in: query, schema: { type: string, format: date-tme } }]
      requestBody: { content: { application/json: { schema: { $ref: "#/components/schemas/Order" }, example: { format: int46 } } } }
components:
  schemas:
    Order:
      properties:
        id: { type: integer, format: int46 }
        format: { type: string, format: phone, example: { format: int46 } }
        lines: { items: { type: integer, format: uint64 } }
      x-note: { format: int46 }
"##;
    let found = warnings(content);
    let wanted = [
        ("#/components/schemas/Order/properties/id/format", "int46", "did you mean `int64`?"),
        ("#/paths/~1orders/post/parameters/0/schema/format", "date-tme", "did you mean `date-time`?"),
    ];
    let wanted = wanted.map(|(place, name, help)| {
        (format!("`{place}`: `{name}` is not a format that is known, so it is not checked"), help.to_owned())
    });
    assert_eq!(found, wanted);
    let file = Written::new(content);
    let ignored = json!({ "openapi": { "file": file.0 }, "formats": "ignore" });
    assert_eq!(compile::<RequestValidation>(ignored, false).warnings, []);
}

#[test]
fn a_method_in_capitals_is_an_error() {
    for (item, place) in [
        ("{ GET: {} }", "#/paths/~1a/GET"),
        ("{ get: {}, Post: {} }", "#/paths/~1a/Post"),
        ("{ $ref: '#/components/pathItems/A' }", "#/paths/~1a/DELETE"),
    ] {
        let file = Written::new(&format!(
            "openapi: 3.1.0\npaths: {{ /a: {item} }}\ncomponents: {{ pathItems: {{ A: {{ DELETE: {{}} }} }} }}\n"
        ));
        let found = faults::<RequestValidation>(json!({ "openapi": { "file": file.0 } }), false);
        let wanted = format!("`{place}` describes nothing: the names of methods are in lower case");
        assert!(found.len() == 1 && found[0].contains(&wanted), "{item}: {found:?}");
    }
}
