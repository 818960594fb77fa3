//! OpenAPI 3.0 as 3.1: what schemas of 3.0 write in another way than JSON Schema.

use crate::parts;
use serde_json::{Map, Value, json};

pub(super) fn upgrade(document: &mut Value) {
    if let Some(components) = document.get_mut("components").and_then(Value::as_object_mut) {
        let named = components.values_mut().filter_map(Value::as_object_mut);
        named.flat_map(|named| named.values_mut()).for_each(|value| parts::each(value, &mut part));
    }
    if let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) {
        paths.values_mut().for_each(|item| parts::each(item, &mut part));
    }
}

fn part(object: &mut Map<String, Value>) {
    // In 3.0 nothing counts beside a reference.
    if let Some(reference) = object.get("$ref").filter(|reference| reference.is_string()).cloned() {
        *object = Map::from_iter([("$ref".to_owned(), reference)]);
        return;
    }
    bound(object, "exclusiveMinimum", "minimum");
    bound(object, "exclusiveMaximum", "maximum");
    if let Some(Value::Bool(nullable)) = object.get("nullable") {
        let nullable = *nullable;
        object.shift_remove("nullable");
        if nullable {
            or_null(object);
        }
    }
}

/// `minimum: 5, exclusiveMinimum: true` is `exclusiveMinimum: 5`.
fn bound(object: &mut Map<String, Value>, exclusive: &str, inclusive: &str) {
    let Some(Value::Bool(excluded)) = object.get(exclusive) else { return };
    if *excluded && let Some(value) = object.shift_remove(inclusive) {
        object.insert(exclusive.to_owned(), value);
    } else {
        object.shift_remove(exclusive);
    }
}

fn or_null(schema: &mut Map<String, Value>) {
    if let Some(kind) = schema.get("type").and_then(Value::as_str).map(str::to_owned) {
        schema.insert("type".to_owned(), json!([kind, "null"]));
        if let Some(values) = schema.get_mut("enum").and_then(Value::as_array_mut)
            && !values.contains(&Value::Null)
        {
            values.push(Value::Null);
        }
    } else if ["allOf", "anyOf", "oneOf"].iter().any(|key| schema.contains_key(*key)) {
        let rest = Value::Object(std::mem::take(schema));
        schema.insert("anyOf".to_owned(), json!([rest, { "type": "null" }]));
    }
}
