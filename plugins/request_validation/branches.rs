//! Alternatives for values of different types, such as an object or a list of objects. Of such a value, validators say only that it matches
//! none of them. Here, what is wrong with it is what the alternative for its type says.

use super::described::kinds::Kinds;
use super::formats::{self, Formats};
use super::invalid::Unusable;
use gatewright_openapi::parts;
use jsonschema::Validator;
use serde_json::{Map, Value, json};

/// The validator of a schema; `kinds` are the types that a part of it allows.
///
/// # Errors
/// Where the schema is not valid, and why.
pub fn validator(schema: &Value, formats: Formats, kinds: &dyn Fn(&Value) -> Kinds) -> Result<Validator, Unusable> {
    // What is wrong with the schema is at its own place.
    let built = formats::validator(schema, formats)?;
    let (mut with_conditions, mut is_other, mut bases) = (schema.clone(), false, 0);
    parts::each(&mut with_conditions, &mut |object| bases += usize::from(object.contains_key("$id")));
    // A reference in a part with an `$id` means another schema than the same one at the root.
    if bases > usize::from(schema.get("$id").is_some()) {
        return Ok(built);
    }
    parts::each(&mut with_conditions, &mut |object| is_other |= by_type(object, kinds));
    Ok(if is_other { formats::validator(&with_conditions, formats).unwrap_or(built) } else { built })
}

/// Writes `oneOf` and `anyOf` of an object of a schema as conditions on the type of the value, if that leaves fewer alternatives for it. The
/// schema is valid for the same values.
fn by_type(object: &mut Map<String, Value>, kinds: &dyn Fn(&Value) -> Kinds) -> bool {
    let mut parts = Vec::new();
    for keyword in ["oneOf", "anyOf"] {
        let groups = object.get(keyword).and_then(Value::as_array).map(|list| grouped(list, kinds));
        let Some(groups) = groups.filter(|groups| groups.len() > 1) else { continue };
        let all: Vec<&str> = groups.iter().flat_map(|(kinds, _)| kinds.types()).collect();
        parts.push(json!({ "type": all }));
        parts.extend(groups.into_iter().map(|(kinds, schemas)| {
            let then = match schemas.as_slice() {
                [only] => only.clone(),
                _ => json!({ keyword: schemas }),
            };
            json!({ "if": { "type": kinds.types() }, "then": then })
        }));
        object.shift_remove(keyword);
    }
    if parts.is_empty() {
        return false;
    }
    if let Some(all) = object.entry("allOf").or_insert_with(|| json!([])).as_array_mut() {
        all.extend(parts);
    }
    true
}

/// The schemas of a list, together with those that a value of the same type can match, and these types.
fn grouped(list: &[Value], kinds: &dyn Fn(&Value) -> Kinds) -> Vec<(Kinds, Vec<Value>)> {
    let mut groups: Vec<(Kinds, Vec<Value>)> = Vec::new();
    for schema in list {
        let own = kinds(schema);
        let (same, mut others): (Vec<_>, Vec<_>) = groups.into_iter().partition(|(kinds, _)| kinds.meets(own));
        let all = same.iter().fold(own, |all, (kinds, _)| all | *kinds);
        let schemas = same.into_iter().flat_map(|(_, schemas)| schemas).chain([schema.clone()]).collect();
        // One that no value can match has no types.
        others.extend((!all.types().is_empty()).then_some((all, schemas)));
        groups = others;
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(schema: &Value) -> [Validator; 2] {
        let conditional = validator(schema, Formats::Check, &|part| Kinds::inside(schema, part)).unwrap();
        [formats::validator(schema, Formats::Check).unwrap(), conditional]
    }

    #[test]
    fn the_same_values_are_valid() {
        let item = json!({ "type": "object", "required": ["a"], "properties": { "a": { "type": "integer" } } });
        let schemas = [
            json!({ "oneOf": [item, { "type": "array", "items": item }] }),
            json!({ "anyOf": [{ "$ref": "#/$defs/item" }, { "type": "null" }], "$defs": { "item": item } }),
            json!({ "oneOf": [{ "type": "integer" }, { "type": "number" }, item, { "type": "string" }] }),
            json!({ "oneOf": [{ "type": ["string", "object"] }, item, { "type": "array" }] }),
            json!({ "oneOf": [item, { "type": "array" }], "anyOf": [{ "type": "object" }, { "maxItems": 1 }] }),
            json!({ "oneOf": [item, { "type": "array" }], "allOf": [{ "maxProperties": 1 }] }),
            json!({ "oneOf": [item, { "type": "string", "const": 5 }, { "type": "array" }] }),
            json!({ "oneOf": [item, { "type": "array" }], "unevaluatedProperties": false, "unevaluatedItems": false }),
            json!({ "oneOf": [true, item] }),
            json!({ "items": { "oneOf": [item, { "anyOf": [{ "enum": ["a", 1] }, { "type": "null" }] }] } }),
            json!({ "not": { "oneOf": [item, { "type": "array" }] } }),
            json!({ "$defs": { "item": { "type": "string" } }, "allOf": [{ "$id": "https://a.example/part", "$defs": { "item": item },
                "oneOf": [{ "$ref": "#/$defs/item" }, { "type": "object", "required": ["b"] }, { "type": "array" }] }] }),
        ];
        let plain = [
            json!(null),
            json!(true),
            json!(1),
            json!(1.5),
            json!(1.0),
            json!("a"),
            json!("b"),
            json!({}),
            json!({ "a": 1 }),
            json!({ "a": "b" }),
            json!({ "a": 1, "b": 2 }),
            json!([]),
        ];
        let lists = plain.iter().flat_map(|one| [json!([one]), json!([one, { "a": 1 }])]);
        for value in plain.iter().cloned().chain(lists) {
            for schema in &schemas {
                let [one, other] = both(schema);
                assert_eq!(other.is_valid(&value), one.is_valid(&value), "{schema} {value}");
            }
        }
    }

    #[test]
    fn what_is_wrong_is_said_by_the_alternative_for_the_type() {
        let item = json!({ "type": "object", "required": ["a"], "properties": { "a": { "type": "integer" } } });
        let list = json!({ "type": "array", "items": { "anyOf": [{ "$ref": "#/$defs/item" }, { "type": "null" }] } });
        let schema = json!({ "oneOf": [{ "$ref": "#/$defs/item" }, list], "$defs": { "item": item } });
        let [_, conditional] = both(&schema);
        for (value, places) in [
            (json!({ "a": "b" }), &["/a type"][..]),
            (json!([null, { "a": 1 }, {}, { "a": "b" }, 5]), &["/2 required", "/3/a type", "/4 type"]),
            (json!("text"), &[" type"]),
        ] {
            let found = conditional.iter_errors(&value);
            let found: Vec<String> =
                found.map(|error| format!("{} {}", error.instance_path(), error.kind().keyword())).collect();
            assert_eq!(found, places, "{value}");
        }
    }
}
