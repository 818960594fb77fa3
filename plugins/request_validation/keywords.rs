//! Finds names in a JSON Schema that are not keywords: validators ignore them, so a typo would validate nothing.

use gatewright_sdk::nearest;
use serde_json::Value;

/// Keywords with a schema, a list of schemas, and schemas by name.
const ONE: [&str; 11] = [
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];
const LISTS: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
const NAMED: [&str; 5] = ["$defs", "definitions", "dependentSchemas", "patternProperties", "properties"];
/// Keywords with other values, and annotations of OpenAPI that describe.
const OTHERS: [&str; 43] = [
    "$anchor",
    "$comment",
    "$dynamicAnchor",
    "$dynamicRef",
    "$id",
    "$recursiveRef",
    "$ref",
    "$schema",
    "$vocabulary",
    "const",
    "contentEncoding",
    "contentMediaType",
    "default",
    "dependentRequired",
    "deprecated",
    "description",
    "discriminator",
    "enum",
    "example",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "externalDocs",
    "format",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "pattern",
    "readOnly",
    "required",
    "title",
    "type",
    "uniqueItems",
    "writeOnly",
    "xml",
];

/// At most so many names are reported.
const REPORTED: usize = 10;

/// A name that is not a keyword.
pub struct Unknown {
    /// Where it is: `properties.id.requierd`.
    pub path: String,
    pub help: String,
}

/// The names in `schema` that are not keywords.
pub fn unknown(schema: &Value) -> Vec<Unknown> {
    let mut found = Vec::new();
    visit(schema, "", &mut found);
    found
}

/// Looks at the schema at `path`, which ends with a dot unless it is empty.
fn visit(schema: &Value, path: &str, found: &mut Vec<Unknown>) {
    let Value::Object(members) = schema else { return };
    for (name, value) in members {
        if found.len() >= REPORTED {
            return;
        }
        let path = format!("{path}{name}");
        match (name.as_str(), value) {
            (one, value) if ONE.contains(&one) => visit(value, &format!("{path}."), found),
            (list, Value::Array(items)) if LISTS.contains(&list) => {
                for (index, item) in items.iter().enumerate() {
                    visit(item, &format!("{path}[{index}]."), found);
                }
            }
            (named, Value::Object(schemas)) if NAMED.contains(&named) => {
                for (name, schema) in schemas {
                    visit(schema, &format!("{path}.{name}."), found);
                }
            }
            (name, _) if is_known(name) => {}
            (name, _) => found.push(Unknown { path, help: help(name) }),
        }
    }
}

fn all() -> impl Iterator<Item = &'static str> {
    ONE.into_iter().chain(LISTS).chain(NAMED).chain(OTHERS)
}

fn is_known(name: &str) -> bool {
    name.starts_with("x-") || all().any(|known| known == name)
}

fn help(name: &str) -> String {
    match name {
        "nullable" => "write `type: [string, \"null\"]`".to_owned(),
        "dependencies" => "write `dependentRequired` or `dependentSchemas`".to_owned(),
        "additionalItems" => "write `prefixItems`, and `items` for the others".to_owned(),
        _ => match nearest(name, all()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "remove it, or begin its name with `x-`".to_owned(),
        },
    }
}
