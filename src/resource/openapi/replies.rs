//! Parts of responses about items: their header fields, and responses without a body.

use serde_json::{Map, Value, json};

/// Entity tags, as examples.
pub(super) const ITEM_TAG: &str = "\"1022629924255464033.gcblrd\"";
pub(super) const LIST_TAG: &str = "W/\"hTbW4oJiAaZ0\"";

/// The header fields of a response with an item.
pub(super) fn tagged() -> Map<String, Value> {
    let tag = json!({
        "description": "The entity tag of the item, for `If-Match` and `If-None-Match`.",
        "required": true,
        "schema": { "type": "string" },
        "example": ITEM_TAG
    });
    crate::openapi::object([("ETag", tag)])
}

/// `Preference-Applied`, of a response that was made as the client prefers.
pub(super) fn applied(value: &str, required: bool) -> Value {
    json!({
        "description": "The preference that was applied (RFC 7240).",
        "required": required,
        "schema": { "type": "string", "enum": [value] }
    })
}

/// Adds the header field of a response to a create that was repeated.
pub(super) fn repeatable(created: &mut Value) {
    let Some(headers) = created.get_mut("headers").and_then(Value::as_object_mut) else { return };
    let replayed = json!({
        "description": "Sent if the response is that of an earlier request with the same `Idempotency-Key`.",
        "schema": { "type": "string", "enum": ["true"] }
    });
    headers.insert("Idempotency-Replayed".to_owned(), replayed);
}

/// 200 with an item of the schema `whole` after it was changed.
pub(super) fn now(whole: &Value) -> Value {
    json!({
        "description": "The item as it is now.",
        "headers": tagged(),
        "content": { "application/json": { "schema": whole } }
    })
}

/// 204 after a write, if the client prefers it.
pub(super) fn minimal(description: &str, mut headers: Map<String, Value>) -> Value {
    headers.insert("Preference-Applied".to_owned(), applied("return=minimal", true));
    json!({ "description": description, "headers": headers })
}

/// 304, with the entity tag.
pub(super) fn unchanged(example: &str) -> Value {
    let tag = json!({ "description": "Its entity tag.", "required": true, "schema": { "type": "string" }, "example": example });
    json!({ "description": "What the client has is still valid.", "headers": { "ETag": tag } })
}
