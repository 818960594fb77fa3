//! Discriminators: a value that `mapping` does not list is the name of a schema. Schemas get other names where they are joined with those
//! of other files, so `mapping` is made to list all of them.

use crate::{Reference, parts};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// The schemas that are made of another one, by its name: those whose `allOf` refers to it.
type Heirs = HashMap<String, Vec<String>>;

/// Adds what `mapping` leaves out.
pub(crate) fn complete(document: &mut Value) {
    let heirs = heirs(document);
    let mend = |object: &mut Map<String, Value>, own: Option<&str>| {
        let alternatives = ["oneOf", "anyOf"].iter().filter_map(|key| object.get(*key)?.as_array()).flatten();
        let mut names: Vec<String> = alternatives.filter_map(schema).collect();
        if names.is_empty() {
            names = own.and_then(|own| heirs.get(own)).cloned().unwrap_or_default();
        }
        let Some(discriminator) = object.get_mut("discriminator").and_then(Value::as_object_mut) else { return };
        let Some(mapping) = discriminator.entry("mapping").or_insert_with(|| json!({})).as_object_mut() else { return };
        for name in names {
            // A schema that is listed under another value is meant by that one.
            let listed =
                mapping.values().filter_map(Value::as_str).any(|target| target_of(target).as_deref() == Some(&name));
            if !listed && !mapping.contains_key(&name) {
                mapping.insert(name.clone(), reference(&name).into());
            }
        }
        if mapping.is_empty() {
            discriminator.shift_remove("mapping");
        }
    };
    if let Some(components) = document.get_mut("components").and_then(Value::as_object_mut) {
        for (kind, named) in components.iter_mut() {
            for (name, value) in named.as_object_mut().into_iter().flatten() {
                let own = (kind == "schemas").then_some(name.as_str());
                let mut first = true;
                parts::each(value, &mut |object| {
                    mend(object, own.filter(|_| first));
                    first = false;
                });
            }
        }
    }
    if let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) {
        paths.values_mut().for_each(|item| parts::each(item, &mut |object| mend(object, None)));
    }
}

fn heirs(document: &Value) -> Heirs {
    let mut heirs = Heirs::new();
    let schemas = document.pointer("/components/schemas").and_then(Value::as_object);
    for (name, schema_here) in schemas.into_iter().flatten() {
        for parent in schema_here.get("allOf").and_then(Value::as_array).into_iter().flatten().filter_map(schema) {
            heirs.entry(parent).or_default().push(name.clone());
        }
    }
    heirs
}

/// The name of the schema that a part refers to.
fn schema(part: &Value) -> Option<String> {
    named(part.get("$ref")?.as_str()?)
}

fn named(reference: &str) -> Option<String> {
    Reference::read(reference).filter(|found| found.kind == "schemas" && found.below.is_empty()).map(|found| found.name)
}

/// The schema that a value of `mapping` means: a name, or a reference.
pub(crate) fn target_of(target: &str) -> Option<String> {
    if target.starts_with('#') { named(target) } else { Some(target.to_owned()) }
}

fn reference(name: &str) -> String {
    crate::write_reference("schemas", name, "")
}
