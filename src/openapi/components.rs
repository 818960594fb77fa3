//! What operations share and refer to by name: schemas, responses, header fields and security schemes.

use super::names::Unique;
use crate::config::document::process::ErrorFormat;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// The shared parts of one document.
pub struct Components {
    /// The format of error responses.
    pub errors: ErrorFormat,
    /// The names of operations.
    pub operations: Unique,
    /// By kind, then by name.
    parts: Map<String, Value>,
    /// The names of parts, by kind.
    taken: HashMap<String, Unique>,
}

impl Components {
    pub fn new(errors: ErrorFormat) -> Self {
        Self { errors, operations: Unique::default(), parts: Map::new(), taken: HashMap::new() }
    }

    /// A reference to the schema `name`.
    pub fn schema(&mut self, name: &str, schema: Value) -> Value {
        self.part("schemas", name, schema)
    }

    /// A reference to the schema `name`, which is made if there is none.
    pub fn schema_once(&mut self, name: &str, make: impl FnOnce(&mut Self) -> Value) -> Value {
        if self.has("schemas", name) {
            return reference("schemas", name);
        }
        let schema = make(self);
        self.schema(name, schema)
    }

    /// A reference to the response `name`.
    pub fn response(&mut self, name: &str, response: Value) -> Value {
        self.part("responses", name, response)
    }

    /// A reference to the header field `name`.
    pub fn header(&mut self, name: &str, header: Value) -> Value {
        self.part("headers", name, header)
    }

    /// The name of a security scheme.
    pub fn security(&mut self, name: &str, scheme: Value) -> String {
        let reference = self.part("securitySchemes", &clean(name), scheme);
        let name = reference.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
        name.unwrap_or_default().to_owned()
    }

    /// A part that is there.
    pub fn get(&self, kind: &str, name: &str) -> Option<&Value> {
        self.parts.get(kind)?.get(name)
    }

    /// A free name for a part whose content follows: `name` with the characters that are allowed, or `name2` if it is taken. Schemas whose names differ only in
    /// case would have the same file in generated clients.
    pub fn reserve(&mut self, kind: &str, name: &str) -> String {
        self.parts.entry(kind).or_insert_with(|| json!({}));
        let unique = self.taken.entry(kind.to_owned()).or_default().take(&clean(name));
        self.fill(kind, &unique, Value::Null);
        unique
    }

    /// The content of a part whose name was reserved.
    pub fn fill(&mut self, kind: &str, name: &str, content: Value) {
        if let Some(parts) = self.parts.get_mut(kind).and_then(Value::as_object_mut) {
            parts.insert(name.to_owned(), content);
        }
    }

    /// Everything, for the document.
    pub fn into_value(self) -> Value {
        Value::Object(self.parts)
    }

    fn has(&self, kind: &str, name: &str) -> bool {
        self.get(kind, name).is_some()
    }

    /// Adds a part, unless the same one is there. Another one with that name gets a number.
    fn part(&mut self, kind: &str, name: &str, part: Value) -> Value {
        let parts = self.parts.entry(kind).or_insert_with(|| json!({}));
        let Some(parts) = parts.as_object_mut() else { return Value::Null };
        let mut unique = name.to_owned();
        let mut count = 1_u32;
        while parts.get(&unique).is_some_and(|known| *known != part) {
            count = count.saturating_add(1);
            unique = format!("{name}{count}");
        }
        parts.entry(&unique).or_insert(part);
        self.taken.entry(kind.to_owned()).or_default().note(&unique);
        reference(kind, &unique)
    }
}

fn reference(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}

/// A name of the configuration as the name of a part: other characters are not allowed there.
fn clean(name: &str) -> String {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    let clean: String = name.chars().map(|letter| if allowed(letter) { letter } else { '_' }).collect();
    if clean.is_empty() { "_".to_owned() } else { clean }
}
