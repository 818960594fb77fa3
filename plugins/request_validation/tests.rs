//! Tests of request validation.

use super::*;
use gatewright_sdk::testing::{answers, bytes, compile, faults, install};
use gatewright_sdk::{Body, HttpService, Refusal, Request, WholeBody};
use serde_json::json;

fn order() -> Value {
    json!({
        "type": "object",
        "properties": {
            "item": { "type": "string", "minLength": 1, "pattern": "^[a-z]+$" },
            "count": { "type": "integer", "minimum": 1 },
            "lines": { "type": "array", "items": { "type": "object", "required": ["sku"] } },
        },
        "required": ["item"],
        "additionalProperties": false,
    })
}

fn door(body: Value) -> HttpService {
    install::<RequestValidation>(
        json!({ "body": body }),
        answers(|request: Request| {
            assert!(request.extensions().get::<WholeBody>().is_none_or(|whole| !whole.0.is_empty()));
            request.into_body()
        }),
    )
}

async fn send(door: &HttpService, method: &str, media: &str, body: &str) -> (u16, String, Value) {
    let request = http::Request::builder().method(method).uri("/").header("content-type", media);
    let response = door.call(request.body(Body::from(body.to_owned())).unwrap()).await;
    let reason = response.extensions().get::<Refusal>().map(|refusal| refusal.reason.to_string());
    let (status, body) = (response.status().as_u16(), bytes(response).await);
    (status, reason.unwrap_or_default(), serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn bodies_that_match_pass_unchanged_and_others_are_explained() {
    let door = door(json!({ "schema": order(), "max": "1KiB" }));
    let good = r#"{ "item": "tea", "lines": [{ "sku": 1 }] }"#;
    let (status, _, body) = send(&door, "POST", "application/json; charset=utf-8", good).await;
    assert_eq!((status, body), (200, serde_json::from_str(good).unwrap()));
    assert_eq!(send(&door, "PUT", "application/vnd.shop+json", good).await.0, 200);
    for (media, body, status, reason) in [
        ("application/json", r#"{"item":"tea","item":"<script>"}"#, 400, "body_not_json"),
        ("application/json", r#"{"item":"tea"} {}"#, 400, "body_not_json"),
        ("application/json", r#"{"item":"tea""#, 400, "body_not_json"),
        ("application/json", "", 400, "body_missing"),
        ("application/json", "{}", 400, "schema"),
        ("application/json", r#"{"item":"tea","more":1}"#, 400, "schema"),
        ("text/plain", good, 415, "media_type"),
        ("", good, 415, "media_type"),
        ("application/xml", good, 415, "media_type"),
        ("application/json; charset=utf-16", good, 415, "media_type"),
        ("application/json;charset=\"UTF-8\"", good, 200, ""),
    ] {
        let found = send(&door, "POST", media, body).await;
        assert_eq!((found.0, &*found.1), (status, reason), "{media} {body}");
    }
    let large = format!(r#"{{"item":"{}"}}"#, "a".repeat(2000));
    assert_eq!(send(&door, "POST", "application/json", &large).await.0, 413);
    let deep = "[".repeat(100_000);
    assert_eq!(send(&door, "POST", "application/json", &deep[..1000]).await.1, "body_not_json");
    // Other methods need no body, but a body is validated.
    assert_eq!(send(&door, "DELETE", "", "").await.0, 200);
    assert_eq!(send(&door, "DELETE", "application/json", "{}").await.1, "schema");
    assert_eq!(send(&door, "post", "text/plain", "x").await.0, 415);
    let packed = http::Request::builder().method("POST").uri("/").header("content-type", "application/json");
    let packed = packed.header("content-encoding", "br").body(Body::from(good)).unwrap();
    assert_eq!(door.call(packed).await.status(), 415);
}

#[tokio::test]
async fn each_fault_has_its_place_and_no_value() {
    let door = door(json!({ "schema": order() }));
    let body = r#"{ "item": "SECRET", "count": 0, "lines": [{ "sku": 1 }, {}] }"#;
    let (status, _, body) = send(&door, "POST", "application/json", body).await;
    assert_eq!((status, &body["message"]), (400, &json!("The body does not match the schema")));
    let details = body["details"].as_array().unwrap();
    let places: Vec<_> = details.iter().map(|detail| (&detail["field"], &detail["code"])).collect();
    assert_eq!(
        places,
        [
            (&json!("item"), &json!("pattern")),
            (&json!("count"), &json!("minimum")),
            (&json!("lines[1].sku"), &json!("required")),
        ]
    );
    assert!(!body.to_string().contains("SECRET"), "{body}");
}

#[tokio::test]
async fn a_body_may_be_optional() {
    let door = door(json!({ "schema": order(), "required": false }));
    assert_eq!(send(&door, "POST", "application/json", "").await.0, 200);
    assert_eq!(send(&door, "POST", "application/json", "{}").await.0, 400);
}

#[test]
fn names_that_are_not_keywords_are_warnings_with_their_place() {
    let compiled = compile::<RequestValidation>(
        json!({ "body": { "schema": {
        "type": "object",
        "requierd": ["id"],
        "x-team": "orders",
        "properties": {
            "id": { "type": "string", "maxLenght": 5, "nullable": true },
            "requierd": { "enum": [{ "requierd": 1 }], "default": { "unknown": 1 } },
        },
        "anyOf": [{ "propertis": {} }],
        "items": { "whatever": 1 },
    } } }),
        false,
    );
    assert_eq!(compiled.faults, []);
    let mut found: Vec<_> = compiled
        .warnings
        .iter()
        .map(|warning| {
            assert!(warning.message.contains("is not a keyword of JSON Schema, and has no effect"), "{warning}");
            (warning.path.as_str(), warning.help.as_deref().unwrap())
        })
        .collect();
    found.sort_unstable();
    let expected = [
        ("body.schema.anyOf[0].propertis", "did you mean `properties`?"),
        ("body.schema.items.whatever", "remove it, or begin its name with `x-`"),
        ("body.schema.properties.id.maxLenght", "did you mean `maxLength`?"),
        ("body.schema.properties.id.nullable", "write `type: [string, \"null\"]`"),
        ("body.schema.requierd", "did you mean `required`?"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_misspelled_format_is_a_warning_with_its_place() {
    let schema = json!({ "properties": {
        "id": { "type": "integer", "format": "int46" },
        "format": { "format": "phone", "default": { "format": "int46" } },
    } });
    let compiled = compile::<RequestValidation>(json!({ "body": { "schema": schema } }), false);
    let found: Vec<_> = compiled.warnings.iter().map(|warning| (&*warning.path, &*warning.message)).collect();
    let message = "`schema`: `properties.id.format`: `int46` is not a format that is known, so it is not checked";
    assert_eq!(found, [("body.schema.properties.id.format", message)]);
    assert_eq!(compiled.warnings[0].help.as_deref(), Some("did you mean `int64`?"));
    let ignored = json!({ "body": { "schema": schema }, "formats": "ignore" });
    assert_eq!(compile::<RequestValidation>(ignored, false).warnings, []);
}

#[tokio::test]
async fn a_body_of_another_type_is_told_which_ones_there_are() {
    let door = door(json!({ "schema": order() }));
    for media in ["", "text/plain", "application/json, text/plain"] {
        let body = send(&door, "POST", media, "x").await.2;
        assert_eq!(body["message"], json!("Content-Type must be application/json, or end with +json"), "{media}");
    }
}

#[tokio::test]
async fn a_number_out_of_the_range_of_its_format_is_rejected() {
    let door = door(json!({ "schema": { "properties": { "id": { "type": "integer", "format": "int64" } } } }));
    let json = "application/json";
    assert_eq!(send(&door, "POST", json, r#"{"id":-9223372036854775808}"#).await.0, 200);
    let (status, _, body) = send(&door, "POST", json, r#"{"id":-9223372036854775809}"#).await;
    let detail = json!([{ "field": "id", "code": "format", "message": "value does not have the format int64" }]);
    assert_eq!((status, &body["details"]), (400, &detail));
}

#[test]
fn a_schema_file_with_a_key_that_occurs_twice_is_a_fault() {
    let file = std::env::temp_dir().join(format!("schema-{}.json", std::process::id()));
    std::fs::write(&file, r#"{ "type": "object", "required": ["id"], "required": [] }"#).unwrap();
    let found = faults::<RequestValidation>(json!({ "body": { "schema_file": file } }), false);
    std::fs::remove_file(&file).unwrap();
    assert!(found.len() == 1 && found[0].contains("a member occurs twice at line 1"), "{found:?}");
}

#[test]
fn a_plugin_without_one_valid_schema_is_a_fault() {
    for (settings, start) in [
        (json!({ "body": {} }), "body: there is no schema"),
        (json!({ "body": { "schema": {}, "schema_file": "a.json" } }), "body: there are two schemas"),
        (json!({ "body": { "schema_file": "no-such.json" } }), "body.schema_file: cannot read no-such.json"),
        (json!({ "body": { "schema_file": "Cargo.toml" } }), "body.schema_file: `Cargo.toml` is not valid JSON"),
        (
            json!({ "body": { "schema": { "type": "text" } } }),
            "body.schema: `schema` is not a valid JSON Schema at `/type`: `text` is not a type of JSON",
        ),
        (
            json!({ "body": { "schema": { "$ref": "https://a.example/b" } } }),
            "body.schema: `schema`: the reference `https://a.example/b` leads out",
        ),
        (
            json!({ "body": { "schema": { "$ref": "#" } } }),
            "body.schema: `schema`: the reference `#` leads back to itself",
        ),
        (
            json!({ "body": { "schema": { "$ref": "#/$defs/n", "$defs": { "n": { "anyOf": [{ "properties": { "not": { "$ref": "#/$defs/n" } } }] } } } } }),
            "body.schema: `schema`: the reference `#/$defs/n` leads back to itself",
        ),
        (
            json!({ "body": { "schema": { "$ref": "#/$defs/n" } } }),
            "body.schema: `schema`: the reference `#/$defs/n` leads nowhere",
        ),
        (
            json!({ "body": { "schema": { "$dynamicRef": "#n" } } }),
            "body.schema: `schema`: `$dynamicRef` is not supported",
        ),
        (json!({ "body": { "schema": { "pattern": "(a" } } }), "body.schema: `schema` is not a valid JSON Schema"),
        (json!({ "body": { "schema": {}, "max": "0B" } }), "body.max: a limit of zero"),
    ] {
        let found = faults::<RequestValidation>(settings.clone(), false);
        assert!(found.len() == 1 && found[0].starts_with(start), "{settings}: {found:?}");
    }
}
