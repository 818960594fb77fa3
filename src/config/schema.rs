//! The JSON Schema of the configuration: one version for editors, and one for validation.

mod choice;
mod editor;
pub mod keys;
mod pointers;
mod publish;

pub use publish::{PENDING_KEY, Published};

use crate::config::document::Document;
use gatewright_sdk::PluginKind;
use pointers::reference;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::collections::HashSet;

/// Shown instead of a secret.
pub const MASK: &str = "***";

/// The schema of a file, including the settings of every known plugin type.
#[derive(Debug, Clone)]
pub struct ConfigSchema(Value);

impl ConfigSchema {
    /// The schema of a document with these plugin types.
    pub fn new<'a>(kinds: impl IntoIterator<Item = &'a dyn PluginKind>) -> Self {
        let mut generator = SchemaSettings::draft07().into_generator();
        let root = generator.subschema_for::<Document>();
        let settings: Map<String, Value> =
            kinds.into_iter().map(|kind| (kind.name().to_owned(), kind.schema(&mut generator).to_value())).collect();
        let mut definitions = Value::Object(generator.take_definitions(true));
        if let Some(properties) = definitions.pointer_mut("/Plugin/properties") {
            *properties = Value::Object(settings);
        }
        let mut whole = json!({ "definitions": definitions });
        if let (Some(whole), Some(name)) = (whole.as_object_mut(), root.get("$ref").and_then(Value::as_str)) {
            let document = whole.get("definitions").and_then(|all| all.get(name.rsplit('/').next()?)).cloned();
            whole.extend(document.and_then(|document| document.as_object().cloned()).unwrap_or_default());
        }
        without_null(&mut whole);
        Self(whole)
    }

    /// The schema of the whole document.
    pub const fn root(&self) -> &Value {
        &self.0
    }

    /// The known plugin types.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        let kinds = self.0.pointer("/definitions/Plugin/properties").and_then(Value::as_object);
        kinds.into_iter().flat_map(|kinds| kinds.keys().map(String::as_str))
    }

    /// Follows `$ref`; also returns the name of the definition.
    pub fn resolve<'a>(&'a self, mut schema: &'a Value) -> (Option<&'a str>, &'a Value) {
        let mut name = None;
        while let Some(target) =
            reference(schema).and_then(|found| Some((found, self.0.get("definitions")?.get(found)?)))
        {
            (name, schema) = (Some(target.0), target.1);
        }
        (name, schema)
    }

    /// The alternatives of a schema, or the schema itself.
    pub fn branches<'a>(&'a self, schema: &'a Value) -> Vec<(Option<&'a str>, &'a Value)> {
        let (name, resolved) = self.resolve(schema);
        match resolved.get("anyOf").or_else(|| resolved.get("oneOf")).and_then(Value::as_array) {
            Some(branches) => branches.iter().flat_map(|branch| self.branches(branch)).collect(),
            None => vec![(name, resolved)],
        }
    }

    /// The schema of the entry `name` of a map, if it may have one.
    pub fn entry<'a>(&'a self, schema: &'a Value, name: &str) -> Option<&'a Value> {
        self.branches(schema).into_iter().find_map(|(_, branch)| entry_of(branch, name))
    }

    /// Whether values of this schema are secrets or contain one.
    pub fn holds_secret(&self, schema: &Value) -> bool {
        fn search<'a>(whole: &'a ConfigSchema, schema: &'a Value, seen: &mut HashSet<&'a str>) -> bool {
            whole.branches(schema).into_iter().any(|(name, branch)| {
                // Rules contain rules, so each definition is visited only once.
                if name.is_some_and(|name| !seen.insert(name)) {
                    return false;
                }
                let properties = branch.get("properties").and_then(Value::as_object);
                let inner = properties.into_iter().flat_map(Map::values);
                let inner = inner.chain(branch.get("additionalProperties")).chain(branch.get("items"));
                let inner: Vec<&Value> = inner.filter(|inner| inner.is_object()).collect();
                is_secret(branch) || inner.into_iter().any(|inner| search(whole, inner, seen))
            })
        }
        search(self, schema, &mut HashSet::new())
    }

    /// Whether some map of the configuration has a key of this name.
    pub fn has_key(&self, name: &str) -> bool {
        let definitions = self.0.get("definitions").and_then(Value::as_object);
        let has = |schema: &Value| {
            let branches = self.branches(schema).into_iter();
            branches.filter_map(|(_, branch)| branch.get("properties")).any(|known| known.get(name).is_some())
        };
        has(&self.0) || definitions.is_some_and(|all| all.values().any(has))
    }

    /// The schemas of a key: a path with `*` for any name or index.
    #[cfg(test)]
    pub fn places(&self, path: &str) -> Vec<&Value> {
        let places = pointers::of_key(&self.0, path);
        let branches =
            places.iter().flat_map(|place| std::iter::once(place.clone()).chain(pointers::branches(&self.0, place)));
        branches.filter_map(|place| self.0.pointer(&place)).collect()
    }

    /// For editors, as `gatewright schema` prints it: without what is not implemented, and with `${…}` for any value.
    pub fn published(&self, part: Published) -> Value {
        publish::published(&self.0, part)
    }
}

/// The schema of the entry `name` of a map in this alternative, if it may have one.
pub fn entry_of<'a>(branch: &'a Value, name: &str) -> Option<&'a Value> {
    let named = branch.get("properties").and_then(|properties| properties.get(name));
    named.or_else(|| branch.get("additionalProperties").filter(|any| any.is_object()))
}

/// Whether values of this schema are secrets.
pub fn is_secret(schema: &Value) -> bool {
    schema.get("writeOnly").is_some_and(|secret| secret == true)
}

/// Removes `null` from optional keys: a key is either written with a value or omitted.
fn without_null(schema: &mut Value) {
    let null = json!({ "type": "null" });
    match schema {
        Value::Object(object) => {
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|kind| kind != "null");
                if let [kind] = types.as_slice() {
                    let kind = kind.clone();
                    object.insert("type".to_owned(), kind);
                }
            }
            if let Some(Value::Array(words)) = object.get_mut("enum") {
                words.retain(|word| !word.is_null());
            }
            // The keys of a map have their own defaults.
            if object.get("default").is_some_and(|value| value.is_null() || value.is_object()) {
                object.shift_remove("default");
            }
            if let Some(Value::Array(mut branches)) = object.remove("anyOf") {
                branches.retain(|branch| *branch != null);
                match (branches.len(), branches.pop()) {
                    (1, Some(Value::Object(only))) if only.contains_key("$ref") => {
                        object.insert("allOf".to_owned(), json!([only]));
                    }
                    (1, Some(Value::Object(only))) => object.extend(only),
                    (_, last) => {
                        branches.extend(last);
                        object.insert("anyOf".to_owned(), Value::Array(branches));
                    }
                }
            }
            for (key, value) in object {
                // The entries of these are names, and one of them is `default`.
                match value {
                    Value::Object(named) if ["properties", "definitions"].contains(&key.as_str()) => {
                        named.values_mut().for_each(without_null);
                    }
                    value => without_null(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(without_null),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
