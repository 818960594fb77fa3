//! Which types a value can have. Clients send parameters as text: it depends on the schema whether `5` is a number.

use gatewright_openapi::Spec;
use serde_json::Value;
use std::ops::{BitAnd, BitOr};

/// A set of types of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinds(u8);

const NULL: Kinds = Kinds(1);
const BOOLEAN: Kinds = Kinds(2);
const INTEGER: Kinds = Kinds(4);
const TEXT: Kinds = Kinds(8);
const LIST: Kinds = Kinds(16);
const OBJECT: Kinds = Kinds(32);
/// Any number, including integers.
const NUMBER: Kinds = Kinds(64 | 4);
const NONE: Kinds = Kinds(0);

/// How deep schemas are looked into.
const DEEPEST: usize = 16;

impl BitOr for Kinds {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Kinds {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Kinds {
    /// Any type.
    pub const ALL: Self = Self(127);

    /// The types that a schema of a description allows, or more.
    pub fn of<'a>(spec: &'a Spec, schema: &'a Value) -> Self {
        Self::within(&|part| spec.resolved(part), schema, DEEPEST)
    }

    /// The same for a part of the schema `root`.
    pub fn inside<'a>(root: &'a Value, part: &'a Value) -> Self {
        let follow = |mut part: &'a Value| {
            let next = |part: &Value| root.pointer(part.get("$ref")?.as_str()?.strip_prefix('#')?);
            for _ in 0..DEEPEST {
                part = next(part).unwrap_or(part);
            }
            part
        };
        Self::within(&follow, part, DEEPEST)
    }

    fn within<'a>(resolve: &dyn Fn(&'a Value) -> &'a Value, schema: &'a Value, depth: usize) -> Self {
        let schema = resolve(schema);
        if depth == 0 || !schema.is_object() {
            return Self::ALL;
        }
        let mut found = match schema.get("type") {
            Some(Value::String(one)) => Self::named(one),
            Some(Value::Array(list)) => {
                list.iter().filter_map(Value::as_str).fold(NONE, |all, one| all | Self::named(one))
            }
            _ => Self::ALL,
        };
        for key in ["anyOf", "oneOf"] {
            if let Some(list) = schema.get(key).and_then(Value::as_array) {
                found = found & list.iter().fold(NONE, |all, one| all | Self::within(resolve, one, depth - 1));
            }
        }
        for one in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            found = found & Self::within(resolve, one, depth - 1);
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array) {
            found = found & values.iter().fold(NONE, |all, value| all | Self::value(value));
        }
        if let Some(value) = schema.get("const") {
            found = found & Self::value(value);
        }
        found
    }

    fn named(name: &str) -> Self {
        match name {
            "null" => NULL,
            "boolean" => BOOLEAN,
            "number" => NUMBER,
            "integer" => INTEGER,
            "string" => TEXT,
            "array" => LIST,
            "object" => OBJECT,
            _ => Self::ALL,
        }
    }

    const fn value(value: &Value) -> Self {
        match value {
            Value::Null => NULL,
            Value::Bool(_) => BOOLEAN,
            Value::Number(_) => NUMBER,
            Value::String(_) => TEXT,
            Value::Array(_) => LIST,
            Value::Object(_) => OBJECT,
        }
    }

    const fn has(self, kind: Self) -> bool {
        self.0 & kind.0 != 0
    }

    /// Whether it can be a list. A schema that says nothing about types means one value.
    pub fn list(self) -> bool {
        self != Self::ALL && self.has(LIST)
    }

    /// Whether a value of one type can be in both.
    pub const fn meets(self, other: Self) -> bool {
        self.has(other)
    }

    /// Their names in JSON Schema.
    pub fn types(self) -> Vec<&'static str> {
        let number = if self.0 & NUMBER.0 == NUMBER.0 { "number" } else { "integer" };
        let named = [
            (NULL, "null"),
            (BOOLEAN, "boolean"),
            (NUMBER, number),
            (TEXT, "string"),
            (LIST, "array"),
            (OBJECT, "object"),
        ];
        named.into_iter().filter(|(kind, _)| self.has(*kind)).map(|(_, name)| name).collect()
    }

    pub const fn text(self) -> bool {
        self.has(TEXT)
    }

    pub fn object(self) -> bool {
        self != Self::ALL && self.has(OBJECT)
    }

    /// Whether it can be one value: neither a list nor an object.
    pub const fn single(self) -> bool {
        self.has(Self(NULL.0 | BOOLEAN.0 | NUMBER.0 | TEXT.0))
    }

    /// The values that `text` can mean, the likeliest first. A number is written as in JSON, and an integer without a fraction and without
    /// an exponent: `05`, `+5` and `1e1` are different numbers to different servers.
    pub fn read(self, text: &str) -> Vec<Value> {
        let mut found = Vec::new();
        if self.has(NUMBER)
            && let Ok(number) = serde_json::from_str::<serde_json::Number>(text)
            && text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
            && text.ends_with(|last: char| last.is_ascii_digit())
            && (self.0 & NUMBER.0 == NUMBER.0 || !text.contains(['.', 'e', 'E']))
        {
            found.push(Value::Number(number));
        }
        match text {
            "true" | "false" if self.has(BOOLEAN) => found.push((text == "true").into()),
            "" if self.has(NULL) => found.push(Value::Null),
            _ => {}
        }
        if self.has(TEXT) || found.is_empty() {
            found.push(text.into());
        }
        found
    }
}
