//! What clients and operators are told.

use super::*;

/// The message of a response to a POST of `x` with these header fields.
async fn message(media: &[(&str, &str)], content: &str) -> (u16, Value) {
    let file = format!("openapi: 3.1.0\npaths: {{ /a: {{ post: {{ requestBody: {{ content: {content} }} }} }} }}\n");
    let door = door(&file, json!({}));
    let mut request = http::Request::builder().method("POST").uri("/a");
    for (name, value) in media {
        request = request.header(*name, *value);
    }
    let response = door.call(request.body(Body::from("x")).unwrap()).await;
    let (status, body) = (response.status().as_u16(), bytes(response).await);
    (status, serde_json::from_slice::<Value>(&body).unwrap_or_default()["message"].clone())
}

#[tokio::test]
async fn a_body_of_another_type_is_told_which_ones_there_are() {
    for (content, wanted) in [
        ("{ application/json: {} }", "Content-Type must be application/json"),
        ("{ application/json: {}, 'text/*': {} }", "Content-Type must be one of: application/json, text/*"),
        ("{}", "This operation takes no media type"),
    ] {
        // One that is missing, wrong, or not one media type.
        for media in [
            &[][..],
            &[("content-type", "image/png")],
            &[("content-type", "json")],
            &[("content-type", "application/json, text/plain")],
            &[("content-type", "application/json"), ("content-type", "text/plain")],
        ] {
            assert_eq!(message(media, content).await, (415, json!(wanted)), "{content} {media:?}");
        }
    }
    let packed = [("content-type", "application/json"), ("content-encoding", "gzip")];
    let wanted = json!("Content-Encoding must be identity, or absent");
    assert_eq!(message(&packed, "{ application/json: {} }").await, (415, wanted));
}

#[test]
fn a_schema_that_cannot_be_used_says_what_to_write() {
    for (schema, why, help) in [
        (
            "{ type: int }",
            "the schema is not valid at `/type`: `int` is not a type of JSON",
            "did you mean `type: integer`?",
        ),
        ("{ pattern: '^(?!a)' }", "at `/pattern`: the pattern `^(?!a)` has look-around", "what must match too is"),
        (
            "{ $ref: '#/components/schemas/A' }",
            "`/components/schemas/A/items/type`: `text`",
            "did you mean `type: string`?",
        ),
        ("{ minLength: -1 }", "the schema is not valid at `/minLength`", "requests for it cannot be validated"),
    ] {
        for (operation, place) in [
            (
                format!("parameters: [{{ name: q, in: query, schema: {schema} }}]"),
                "`#/paths/~1a/post/parameters`: parameter `q`: ",
            ),
            (
                format!("requestBody: {{ content: {{ application/json: {{ schema: {schema} }} }} }}"),
                "`#/paths/~1a/post/requestBody`: `application/json`: ",
            ),
        ] {
            let file = Written::new(&format!(
                "openapi: 3.1.0\npaths: {{ /a: {{ post: {{ {operation} }} }} }}\ncomponents: {{ schemas: {{ A: {{ items: {{ type: text }} }} }} }}\n"
            ));
            let compiled = compile::<RequestValidation>(json!({ "openapi": { "file": file.0 } }), false);
            let [fault] = compiled.faults.as_slice() else { panic!("{schema}: {:?}", compiled.faults) };
            assert!(fault.message.contains(place) && fault.message.contains(why), "{fault}");
            assert!(fault.help.as_ref().is_some_and(|found| found.starts_with(help)), "{fault:?}");
        }
    }
}

/// The smallest number of `int64` is the nearest double of those below it.
#[tokio::test]
async fn numbers_just_out_of_range_are_rejected_wherever_they_are() {
    let file = "openapi: 3.1.0\npaths: { '/a/{id}': { post: { parameters: [{ name: id, in: path, required: true, schema: { $ref: '#/components/schemas/Id' } }], requestBody: { content: { application/json: { schema: { properties: { ids: { items: { $ref: '#/components/schemas/Id' } } } } }, application/x-www-form-urlencoded: { schema: { properties: { id: { $ref: '#/components/schemas/Id' } } } } } } } } }\ncomponents: { schemas: { Id: { type: integer, format: int64 } } }\n";
    let door = door(file, json!({}));
    let (json, form) =
        ([("content-type", "application/json")], [("content-type", "application/x-www-form-urlencoded")]);
    for (number, wanted) in [
        ("-9223372036854775808", 200),
        ("-9223372036854775809", 400),
        ("9223372036854775807", 200),
        ("9223372036854775808", 400),
    ] {
        let (path, ids) = (format!("/a/{number}"), format!("{{\"ids\":[1,{number}]}}"));
        assert_eq!(send(&door, Sent("POST", &path, &[], "")).await.0, wanted, "{number}");
        assert_eq!(send(&door, Sent("POST", "/a/1", &json, &ids)).await.0, wanted, "{number}");
        assert_eq!(send(&door, Sent("POST", "/a/1", &form, &format!("id={number}"))).await.0, wanted, "{number}");
    }
}

#[tokio::test]
async fn the_faults_of_a_body_are_those_of_what_was_sent_an_object_or_a_list() {
    let door = door(
        "openapi: 3.1.0\npaths:\n  /a: { post: { requestBody: { content: { application/json: { schema: { oneOf: [{ $ref: '#/components/schemas/User' }, \
         { type: array, maxItems: 200, items: { $ref: '#/components/schemas/User' } }] } } } } } }\ncomponents: { schemas: { User: \
         { type: object, required: [email], properties: { email: { type: string, pattern: '@' }, age: { type: [integer, 'null'] } } } } }\n",
        json!({}),
    );
    let many: Vec<Value> = (0..2000).map(|_| json!({})).collect();
    for (body, wanted) in [
        (json!({ "age": "x" }), json!([["email", "required"], ["age", "type"]])),
        (
            json!([{ "email": "a@b" }, {}, { "email": "x" }]),
            json!([["[1].email", "required"], ["[2].email", "pattern"]]),
        ),
        (json!("text"), json!([["", "type"]])),
        (json!([[]]), json!([["[0]", "type"]])),
        // Of a large body, the first one.
        (Value::Array(many), json!([["", "maxItems"]])),
    ] {
        let request = http::Request::builder().method("POST").uri("/a").header("content-type", "application/json");
        let response = door.call(request.body(Body::from(body.to_string())).unwrap()).await;
        let found: Value = serde_json::from_slice(&bytes(response).await).unwrap();
        let mut found: Vec<Value> = found["details"]
            .as_array()
            .unwrap()
            .iter()
            .map(|detail| json!([detail["field"], detail["code"]]))
            .collect();
        let mut wanted = wanted.as_array().unwrap().clone();
        for list in [&mut found, &mut wanted] {
            list.sort_by_key(Value::to_string);
        }
        assert_eq!(found, wanted, "{body}");
    }
}
