//! Finds names in a JSON Schema that are not keywords: validators ignore them, so a typo would validate nothing.

use gatewright_openapi::members::{KEYWORDS, Kind, Next};
use gatewright_sdk::nearest;
use serde_json::Value;

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
        let next = KEYWORDS.iter().find(|(known, _)| known == name).map(|(_, next)| *next);
        match (next, value) {
            (Some(Next::One(Kind::Schema)), value) => visit(value, &format!("{path}."), found),
            (Some(Next::List(Kind::Schema)), Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    visit(item, &format!("{path}[{index}]."), found);
                }
            }
            (Some(Next::Named(Kind::Schema)), Value::Object(schemas)) => {
                for (name, schema) in schemas {
                    visit(schema, &format!("{path}.{name}."), found);
                }
            }
            (Some(_), _) => {}
            (None, _) if name.starts_with("x-") => {}
            (None, _) => found.push(Unknown { path, help: help(name) }),
        }
    }
}

/// What to do about a name that is not a keyword.
pub fn help(name: &str) -> String {
    match name {
        "nullable" => "write `type: [string, \"null\"]`".to_owned(),
        "dependencies" => "write `dependentRequired` or `dependentSchemas`".to_owned(),
        "additionalItems" => "write `prefixItems`, and `items` for the others".to_owned(),
        _ => did_you_mean(name, KEYWORDS.iter().map(|(known, _)| *known)),
    }
}

/// The same for a name that is none of `known`.
pub fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    match nearest(name, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "remove it, or begin its name with `x-`".to_owned(),
    }
}
