//! The schema for editors: without what is not implemented, with what only editors read.

use super::choice::choose;
use super::editor;
use super::pointers::{branches, of_key};
use crate::config::document::route::Target;
use crate::config::pending::{PENDING, Pending};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Which files a schema is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// A whole configuration.
    Document,
    /// A file that another one includes: nothing is required in it.
    Fragment,
}

/// Marks a key that is read and not implemented.
pub const PENDING_KEY: &str = "x-pending";

/// Keys of which a map has one: the definition, the keys, and whether one is required.
pub const CHOICES: [(&str, &[&str], bool); 7] = [
    ("Route", &Target::KEYS, true),
    ("Route", &["path", "path_prefix"], true),
    ("Respond", &["json", "text", "body_file"], false),
    ("Jwt", &["issuer", "issuers"], true),
    ("Jwt", &["secret", "public_key_file", "jwks", "private_key_files", "issuers"], true),
    ("JwtIssuer", &["secret", "public_key_file", "jwks", "private_key_files"], true),
    ("Jwks", &["url", "file", "discovery"], true),
];

/// Makes the schema for editors out of the one that files are checked by.
pub fn published(schema: &Value, part: Published) -> Value {
    let mut schema = schema.clone();
    editor::list_words(&mut schema);
    take_out_pending(&mut schema);
    for (definition, keys, required) in CHOICES {
        if let Some(map) = schema.pointer_mut(&format!("/definitions/{definition}")).and_then(Value::as_object_mut) {
            choose(map, keys, required);
        }
    }
    editor::for_editors(&mut schema);
    let (file, about) = match part {
        Published::Document => ("gateway.schema.json", "The configuration of gatewright."),
        Published::Fragment => {
            ("gateway.fragment.schema.json", "A file that the `include` of a gatewright configuration names.")
        }
    };
    // Without a title: editors would put it above the text of every key.
    let mut whole = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": format!("https://gatewright.dev/{file}"),
        "description": about,
    });
    if let (Some(whole), Value::Object(mut schema)) = (whole.as_object_mut(), schema) {
        let mut definitions = match schema.shift_remove("definitions") {
            Some(Value::Object(definitions)) => definitions,
            _ => Map::new(),
        };
        schema.shift_remove("description");
        if part == Published::Fragment {
            schema.shift_remove("required");
        }
        keep_used(&mut definitions, &schema);
        whole.extend(schema);
        whole.insert("definitions".to_owned(), Value::Object(definitions));
    }
    whole
}

/// Takes out keys and words that `check` refuses because they are not implemented.
fn take_out_pending(schema: &mut Value) {
    for Pending { pattern: path, values: words, .. } in PENDING {
        for place in of_key(schema, path) {
            if words.is_empty() {
                take_out(schema, &place);
                continue;
            }
            for place in branches(schema, &place) {
                let Some(here) = schema.pointer_mut(&place).and_then(Value::as_object_mut) else { continue };
                if here.get("type").is_some_and(|kind| kind == "boolean") {
                    here.insert("enum".to_owned(), json!([false]));
                    here.insert("doNotSuggest".to_owned(), true.into());
                    continue;
                }
                let pending =
                    |word: &Value| word.as_str().is_some_and(|word| words.iter().any(|w| word.starts_with(w)));
                let mut left = Vec::new();
                if let Some(Value::Array(all)) = here.get_mut("enum") {
                    left = all.iter().map(|word| !pending(word)).collect();
                    let mut keep = left.iter();
                    all.retain(|_| keep.next() == Some(&true));
                }
                if let Some(Value::Array(all)) = here.get_mut("enumDescriptions") {
                    let mut keep = left.iter();
                    all.retain(|_| keep.next() == Some(&true));
                }
            }
        }
    }
    take_out_marked(schema);
}

/// Takes the key at this pointer out of its map.
fn take_out(schema: &mut Value, place: &str) {
    let Some((properties, name)) = place.rsplit_once('/') else { return };
    if let Some(properties) = schema.pointer_mut(properties).and_then(Value::as_object_mut) {
        properties.shift_remove(name);
    }
}

fn take_out_marked(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Object(properties)) = object.get_mut("properties") {
                properties.retain(|_, property| property.get(PENDING_KEY).is_none());
            }
            object.values_mut().for_each(take_out_marked);
        }
        Value::Array(items) => items.iter_mut().for_each(take_out_marked),
        _ => {}
    }
}

/// Drops the definitions that nothing refers to.
fn keep_used(definitions: &mut Map<String, Value>, root: &Map<String, Value>) {
    fn search(schema: &Value, found: &mut Vec<String>) {
        match schema {
            Value::Object(object) => {
                let name = object.get("$ref").and_then(Value::as_str).and_then(|name| name.rsplit('/').next());
                found.extend(name.map(str::to_owned));
                object.values().for_each(|value| search(value, found));
            }
            Value::Array(items) => items.iter().for_each(|item| search(item, found)),
            _ => {}
        }
    }
    let (mut used, mut open) = (BTreeSet::new(), Vec::new());
    root.values().for_each(|value| search(value, &mut open));
    while let Some(name) = open.pop() {
        if let Some(definition) = definitions.get(&name)
            && used.insert(name)
        {
            search(definition, &mut open);
        }
    }
    definitions.retain(|name, _| used.contains(name));
}
