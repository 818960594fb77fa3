//! Finds names in a JSON Schema that are not keywords, and formats that are misspelled: validators ignore them, so a typo would validate
//! nothing.

use super::formats::{self, Formats};
use gatewright_openapi::members::{KEYWORDS, Kind, Next};
use gatewright_sdk::nearest;
use serde_json::Value;

/// At most so many names are reported.
const REPORTED: usize = 10;

/// A name that has no effect.
pub struct Ignored {
    /// Where it is: `properties.id.requierd`.
    pub path: String,
    pub why: String,
    pub help: String,
}

/// The names in `schema` that are not keywords, or typos of formats.
pub fn ignored(schema: &Value, formats: Formats) -> Vec<Ignored> {
    let mut found = Vec::new();
    visit(schema, "", formats, &mut found);
    found
}

/// What is said about a format that is misspelled, and what was meant.
pub fn misspelled(place: &dyn Fn() -> String, format: &str) -> Option<(String, String)> {
    let near = formats::meant(format)?;
    let (place, shown) = (place(), format.escape_debug());
    let why = format!("`{place}`: `{shown}` is not a format that is known, so it is not checked");
    Some((why, format!("did you mean `{near}`?")))
}

/// Looks at the schema at `path`, which ends with a dot unless it is empty.
fn visit(schema: &Value, path: &str, formats: Formats, found: &mut Vec<Ignored>) {
    let Value::Object(members) = schema else { return };
    for (name, value) in members {
        if found.len() >= REPORTED {
            return;
        }
        let path = format!("{path}{name}");
        let next = KEYWORDS.iter().find(|(known, _)| known == name).map(|(_, next)| *next);
        match (next, value) {
            (Some(Next::One(Kind::Schema)), value) => visit(value, &format!("{path}."), formats, found),
            (Some(Next::List(Kind::Schema)), Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    visit(item, &format!("{path}[{index}]."), formats, found);
                }
            }
            (Some(Next::Named(Kind::Schema)), Value::Object(schemas)) => {
                for (name, schema) in schemas {
                    visit(schema, &format!("{path}.{name}."), formats, found);
                }
            }
            (Some(_), Value::String(format)) if name == "format" && formats == Formats::Check => {
                if let Some((why, help)) = misspelled(&|| path.escape_debug().to_string(), format) {
                    found.push(Ignored { path, why, help });
                }
            }
            (Some(_), _) => {}
            (None, _) if name.starts_with("x-") => {}
            (None, _) => {
                let why = format!("`{}` is not a keyword of JSON Schema, and has no effect", path.escape_debug());
                found.push(Ignored { path, why, help: help(name) });
            }
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
