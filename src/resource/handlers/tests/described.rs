//! Checks every request and response of these tests against the OpenAPI description of the resource.

use crate::config::document::process::ErrorFormat;
use crate::openapi::operation::Guards;
use crate::openapi::{Components, names};
use crate::resource::model::Model;
use crate::resource::openapi::{Around, Names, Naming, operations};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;

/// The fields that a description does not list: of the message, of caches and of the connection.
const OF_EVERY_RESPONSE: [&str; 5] = ["content-type", "content-length", "cache-control", "vary", "connection"];

/// The value of a header field, as its schema has it.
fn as_value(schema: &Value, text: &str) -> Value {
    match schema["type"].as_str() {
        Some("integer") => json!(text.parse::<u64>().unwrap()),
        _ => text.into(),
    }
}

/// The description of one resource.
pub struct Described {
    /// By method: of the collection, of its items, and of what is below them.
    operations: [Value; 3],
    components: Value,
}

impl Described {
    pub fn of(model: &Model) -> Self {
        Self::among(model, &[], None)
    }

    /// The same for a resource that refers to others, below the items that the field `under` refers to.
    pub fn among(model: &Model, models: &[(String, Arc<Model>)], under: Option<&str>) -> Self {
        let names = Names::of(models);
        let name = names::pascal(&names::singular(&model.name));
        let naming = Naming { one: name, many: names::pascal(&model.name) };
        let mut components = Components::new(ErrorFormat::Auto);
        let described =
            operations(model, &naming, Around { models, names: &names, under }, &mut components).map(|operations| {
                let finished = operations.into_iter().map(|operation| {
                    let method = operation.method.to_owned();
                    (method, operation.finish(&Guards::default(), &mut components))
                });
                Value::Object(finished.collect())
            });
        Self { operations: described, components: components.into_value() }
    }

    /// For items that are older than the rules of their fields: a field may be null although it is required now.
    pub const fn nothing() -> Self {
        Self { operations: [Value::Null, Value::Null, Value::Null], components: Value::Null }
    }

    /// Panics if the exchange is not as described.
    pub fn check(&self, (method, below, sent): (&Method, usize, &[u8]), response: (StatusCode, &HeaderMap, &str)) {
        let (status, headers, body) = response;
        let Some(operation) = self.operations[below].get(method.as_str().to_ascii_lowercase()) else {
            return;
        };
        let responses = &operation["responses"];
        let described = responses.get(status.as_str()).unwrap_or(&responses["default"]);
        let described = self.resolved(described);
        // The description names these among any other errors.
        let is_rare = [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::REQUEST_TIMEOUT].contains(&status);
        assert!(is_rare || responses.get(status.as_str()).is_some(), "{method} with status {status} is not described");
        let none = serde_json::Map::new();
        let fields = described.get("headers").and_then(Value::as_object).unwrap_or(&none);
        for (name, field) in fields {
            let field = self.resolved(field);
            match headers.get(name) {
                Some(sent) => self
                    .validate(&field["schema"], &as_value(&field["schema"], sent.to_str().unwrap()))
                    .unwrap_or_else(|error| panic!("{method} {status}: {name}: {error}")),
                None => assert_ne!(field["required"], true, "{method} {status}: {name} is missing"),
            }
        }
        for name in headers.keys().filter(|name| !OF_EVERY_RESPONSE.contains(&name.as_str())) {
            let is_described = fields.keys().any(|field| field.eq_ignore_ascii_case(name.as_str()));
            assert!(is_described, "{method} {status}: the field {name} is not described");
        }
        // The body of 201 is left out on request; a description cannot say so.
        let left_out = status == StatusCode::CREATED && headers.contains_key("preference-applied");
        let content = described.get("content").and_then(Value::as_object).filter(|_| !left_out);
        assert_eq!(content.is_none(), body.is_empty(), "{method} {status}: {body}");
        if let Some(content) = content {
            let media = headers["content-type"].to_str().unwrap();
            let schema = &content.get(media).unwrap_or_else(|| panic!("{media} is not described"))["schema"];
            // The library does not read numbers and depths that stores keep.
            let Ok(shown) = serde_json::from_str(body) else { return };
            self.validate(schema, &shown).unwrap_or_else(|error| panic!("{method} {status}: {error} in {body}"));
        }
        // What is accepted is valid. Of a list whose items are written one by one, not every item is.
        let schema = operation.pointer("/requestBody/content/application~1json/schema");
        let accepted = status.is_success() && status != StatusCode::MULTI_STATUS;
        if let (true, Some(schema), Ok(sent)) = (accepted, schema, serde_json::from_slice(sent)) {
            self.validate(schema, &sent).unwrap_or_else(|error| panic!("{method} {status}: {error} in {sent}"));
        }
    }

    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        let path = value.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix("#/components"));
        path.map_or(value, |path| self.components.pointer(path).unwrap())
    }

    fn validate(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let mut root = schema.clone();
        root["components"] = self.components.clone();
        root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
        let validator = gatewright_openapi::json_schema().build(&root).unwrap();
        validator.validate(value).map_err(|error| format!("{error} at {}", error.instance_path()))
    }
}
