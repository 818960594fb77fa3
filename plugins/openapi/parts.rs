//! Walks through the objects of a description, and passes by the data in it: examples and values.

use crate::Place;
use serde_json::{Map, Value};

/// How the value of a key is read.
enum Kind {
    /// An object of the specification, or a list of them.
    Part,
    /// Objects of the specification, by names that mean nothing.
    Names,
    /// Anything.
    Data,
}

fn kind(key: &str, value: &Value) -> Kind {
    match key {
        "properties" | "patternProperties" | "dependentSchemas" | "$defs" | "definitions" | "responses" | "headers"
        | "content" | "links" | "callbacks" | "encoding" | "variables" => Kind::Names,
        "examples" if value.is_object() => Kind::Names,
        // Of a link, where they are expressions.
        "parameters" if value.is_object() => Kind::Data,
        "example" | "examples" | "default" | "enum" | "const" | "value" | "security" | "required" => Kind::Data,
        key if key.starts_with("x-") => Kind::Data,
        _ => Kind::Part,
    }
}

/// Calls `visit` with `value` and each object in it, the outer ones first.
pub fn each(value: &mut Value, visit: &mut impl FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            visit(object);
            for (key, value) in object.iter_mut() {
                match (kind(key, value), value) {
                    (Kind::Part, value) => each(value, visit),
                    (Kind::Names, Value::Object(named)) => named.values_mut().for_each(|value| each(value, visit)),
                    (Kind::Names | Kind::Data, _) => {}
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| each(item, visit)),
        _ => {}
    }
}

/// Calls `visit` with each object of a document that is described, and its place.
pub(crate) fn every<'a, E>(
    document: &'a Value,
    visit: &mut impl FnMut(&Place<'_>, &'a Map<String, Value>) -> Result<(), E>,
) -> Result<(), E> {
    let components = document.get("components").and_then(Value::as_object);
    let at = Place::root("components");
    for (kind, named) in components.into_iter().flatten().filter(|(kind, _)| !kind.starts_with("x-")) {
        let at = at.key(kind);
        for (name, value) in named.as_object().into_iter().flatten() {
            each_at(value, &at.key(name), visit)?;
        }
    }
    let at = Place::root("paths");
    for (path, item) in document.get("paths").and_then(Value::as_object).into_iter().flatten() {
        each_at(item, &at.key(path), visit)?;
    }
    Ok(())
}

/// The same as `each` for reading, with the place of each object.
fn each_at<'a, E>(
    value: &'a Value,
    at: &Place<'_>,
    visit: &mut impl FnMut(&Place<'_>, &'a Map<String, Value>) -> Result<(), E>,
) -> Result<(), E> {
    match value {
        Value::Object(object) => {
            visit(at, object)?;
            for (key, value) in object {
                let at = at.key(key);
                match (kind(key, value), value) {
                    (Kind::Part, value) => each_at(value, &at, visit)?,
                    (Kind::Names, Value::Object(named)) => {
                        named.iter().try_for_each(|(name, value)| each_at(value, &at.key(name), visit))?;
                    }
                    (Kind::Names | Kind::Data, _) => {}
                }
            }
            Ok(())
        }
        Value::Array(items) => {
            items.iter().enumerate().try_for_each(|(index, item)| each_at(item, &at.index(index), visit))
        }
        _ => Ok(()),
    }
}
