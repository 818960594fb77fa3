//! Requests with several items, and their responses.

use super::replies::applied;
use crate::config::document::resource::Put;
use crate::openapi::{Body, Components};
use crate::resource::model::{Model, Upsert};
use crate::resource::predicate::Column;
use serde_json::{Value, json};

const ONE_BY_ONE: &str = "With `Prefer: handling=lenient`, each item is written as if it had been sent by itself, and the response, \
                          207, has the outcome of each.";

/// What a POST of a list does.
pub(super) fn posted(model: &Model) -> String {
    let most = model.bulk.max;
    format!("With a list of up to {most} items, all of them are created or, if one cannot be, none. {ONE_BY_ONE}")
}

/// What a PUT of a list does.
pub(super) fn put(model: &Model, by: Upsert) -> String {
    let known = model.name_of(by.column);
    let does = match model.put {
        Put::Merge => "is changed as by PATCH",
        Put::Replace | Put::None => "is replaced",
    };
    format!(
        "An item with a `{known}` that exists {does}; another one is created. All items are written or, if one cannot be, none. \
         {ONE_BY_ONE}"
    )
}

/// A list of items of the schema `item`.
pub(super) fn of(model: &Model, item: &Value) -> Value {
    json!({ "type": "array", "maxItems": model.bulk.max, "items": item })
}

pub(super) fn or_list(model: &Model, body: Body) -> Body {
    Body { schema: json!({ "oneOf": [body.schema, of(model, &body.schema)] }), ..body }
}

/// Adds the list to the response with one item. Only one item has a path and an entity tag.
pub(super) fn created(whole: &Value, response: &mut Value) {
    if let Some(schema) = response.pointer_mut("/content/application~1json/schema") {
        *schema = json!({ "oneOf": [whole, { "type": "array", "items": whole }] });
    }
    let headers = response.get_mut("headers").and_then(Value::as_object_mut);
    for header in headers.into_iter().flat_map(|headers| headers.values_mut()) {
        header.as_object_mut().map(|header| header.remove("required"));
    }
}

/// 200 with the items as they are now.
pub(super) fn stored(whole: &Value) -> Value {
    json!({
        "description": "The items as they are now, in the order of the request.",
        "content": { "application/json": { "schema": { "type": "array", "items": whole } } }
    })
}

/// 207 with the outcome of each item.
pub(super) fn outcomes(whole: &Value, components: &mut Components) -> Value {
    let detail = json!({
        "type": "object",
        "properties": {
            "field": { "type": "string" },
            "code": { "type": "string" },
            "message": { "type": "string" },
            "help": { "type": "string" }
        },
        "required": ["field", "code", "message"]
    });
    let outcome = json!({
        "type": "object",
        "description": "What happened to one item: the item, or why it was rejected.",
        "properties": {
            "status": { "type": "integer", "description": "As if the item had been sent by itself.", "examples": [201] },
            "location": { "type": "string", "description": "The path of a new item." },
            "etag": { "type": "string", "description": "The entity tag of the item." },
            "item": whole,
            "error": { "type": "string", "examples": ["conflict"] },
            "message": { "type": "string" },
            "details": { "type": "array", "items": detail }
        },
        "required": ["status"]
    });
    let name = whole.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next()).unwrap_or("Item");
    let outcome = components.schema(&format!("{name}Outcome"), outcome);
    json!({
        "description": "The outcome of each item, in the order of the request.",
        "headers": { "Preference-Applied": applied("handling=lenient", true) },
        "content": { "application/json": { "schema": { "type": "array", "items": outcome } } }
    })
}

/// Requires the value by which an item is known.
pub(super) fn identify(model: &Model, by: Upsert, item: &mut Value) {
    let Some(item) = item.as_object_mut() else { return };
    if by.column == Column::Id
        && let Some(properties) = item.get_mut("properties").and_then(Value::as_object_mut)
    {
        let id =
            json!({ "type": "string", "pattern": "^[A-Za-z0-9._~-]{1,64}$", "description": "Identifies the item." });
        properties.insert("id".to_owned(), id);
    }
    let kind = item
        .get_mut("properties")
        .and_then(|all| all.get_mut(model.name_of(by.column)))
        .and_then(|one| one.get_mut("type"));
    if let Some(kinds) = kind.and_then(Value::as_array_mut) {
        kinds.retain(|kind| kind != "null");
    }
    let required = item.entry("required").or_insert_with(|| json!([]));
    let name = Value::from(model.name_of(by.column));
    if let Some(required) = required.as_array_mut().filter(|required| !required.contains(&name)) {
        required.push(name);
    }
}
