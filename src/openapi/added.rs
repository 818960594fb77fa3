//! The header fields that plugins add to responses.

use super::Components;
use super::names::pascal;
use gatewright_sdk::AddedField;
use serde_json::{Map, Value, json};

/// References to the descriptions of header fields, by name.
pub(super) fn added_fields(adds: &[AddedField], components: &mut Components) -> Map<String, Value> {
    let mut fields = Map::new();
    for AddedField { name, description, example } in adds {
        let header = json!({ "description": description, "schema": { "type": "string" }, "example": example });
        let shown = shown(name.as_str());
        let reference = components.header(&shown, header);
        fields.insert(shown, reference);
    }
    fields
}

/// The usual spelling of the name of a header field: `X-Request-Id`.
fn shown(name: &str) -> String {
    if name.starts_with("ratelimit") {
        return name.replace("ratelimit", "RateLimit").replace("-policy", "-Policy");
    }
    name.split('-').map(pascal).collect::<Vec<_>>().join("-")
}
