//! Request bodies: read within a bound, and taken apart without guessing.

use super::query::refusal;
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use gatewright_sdk::{ByteSize, Detail, Problem};
use http_body::Body as _;
use http_body_util::BodyExt;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use std::fmt;

/// Objects and lists within each other; the body itself is the first.
const DEEPEST: usize = 32;
/// More unknown or repeated keys than these are not listed.
const LISTED: usize = 16;

/// Whether the body says itself that it is too long.
pub fn announced_too_long(body: &Body, limit: ByteSize) -> bool {
    body.size_hint().lower() > limit.0
}

/// The whole body, at most `limit` of it. A body of one frame is not copied.
pub async fn read(mut body: Body, limit: ByteSize) -> Result<Bytes, Problem> {
    let mut first = Bytes::new();
    let mut more = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| gatewright_sdk::body::problem(&error))?;
        let Ok(data) = frame.into_data() else { continue };
        let so_far = first.len().saturating_add(more.len());
        if so_far.saturating_add(data.len()) > limit.get() {
            return Err(Problem::payload_too_large(limit));
        }
        if so_far == 0 {
            first = data;
        } else {
            if more.is_empty() {
                more.extend_from_slice(&first);
                first.clear();
            }
            more.extend_from_slice(&data);
        }
    }
    Ok(if more.is_empty() { first } else { more.freeze() })
}

/// A JSON object taken apart by the names of fields.
#[derive(Default)]
pub struct Entries {
    /// By position of the field.
    pub known: Vec<Option<Value>>,
    /// The value of `id`.
    pub id: Option<Value>,
    /// Keys that are no field, as they came.
    pub unknown: Vec<String>,
}

/// Reads a JSON object. `names` are the fields, by position.
pub fn parse(bytes: &[u8], names: &[String]) -> Result<Entries, Problem> {
    if bytes.is_empty() {
        return Err(Problem::validation("body: must not be empty"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Problem::validation("body: invalid UTF-8"))?;
    if too_deep(bytes) {
        return Err(Problem::validation("body: nested too deeply"));
    }
    let invalid = |error: &serde_json::Error| {
        Problem::validation(format!("body: invalid JSON at line {} column {}", error.line(), column(text, error)))
    };
    if !text.trim_ascii_start().starts_with('{') {
        return Err(match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => Problem::validation("body: must be a JSON object"),
            Err(error) => invalid(&error),
        });
    }
    let mut repeated = Vec::new();
    let mut reader = serde_json::Deserializer::from_str(text);
    let object = Object { names, repeated: &mut repeated };
    let entries = object.deserialize(&mut reader).map_err(|error| invalid(&error))?;
    reader.end().map_err(|error| invalid(&error))?;
    if repeated.is_empty() { Ok(entries) } else { Err(refusal(repeated)) }
}

/// The column of an error. At the end of the text the library names the last column; we name the one that is missing.
fn column(text: &str, error: &serde_json::Error) -> usize {
    if error.is_eof() {
        let last = text.rsplit('\n').next().unwrap_or_default();
        return last.len().saturating_add(1);
    }
    error.column().max(1)
}

/// Counts brackets outside of strings: before parsing, so that nothing is built that is thrown away.
fn too_deep(bytes: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in bytes {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (true, b'"') => in_string = false,
            (true, _) => {}
            (false, b'"') => in_string = true,
            (false, b'{' | b'[') => {
                depth = depth.saturating_add(1);
                if depth > DEEPEST {
                    return true;
                }
            }
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            (false, _) => {}
        }
    }
    false
}

struct Object<'a> {
    names: &'a [String],
    repeated: &'a mut Vec<Detail>,
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = Entries;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Entries, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
        let mut entries = Entries { known: vec![None; self.names.len()], ..Entries::default() };
        while let Some(key) = map.next_key_seed(Key(self.names))? {
            let (name, slot) = match key {
                Named::Id => ("id", &mut entries.id),
                Named::Field(at) => match (self.names.get(at), entries.known.get_mut(at)) {
                    (Some(name), Some(slot)) => (name.as_str(), slot),
                    _ => return Err(A::Error::custom("a key without a field")),
                },
                Named::Unknown(name) => {
                    map.next_value::<IgnoredAny>()?;
                    if entries.unknown.len() < LISTED {
                        entries.unknown.push(name);
                    }
                    continue;
                }
            };
            if slot.is_some() && self.repeated.len() < LISTED && !self.repeated.iter().any(|known| known.field == name)
            {
                self.repeated.push(Detail::new(name, "duplicate", "duplicate key"));
            }
            *slot = Some(map.next_value()?);
        }
        Ok(entries)
    }
}

enum Named {
    Id,
    Field(usize),
    Unknown(String),
}

struct Key<'a>(&'a [String]);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Named;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Named, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Named;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<Named, E> {
        if key == "id" {
            return Ok(Named::Id);
        }
        let found = self.0.iter().position(|name| name == key);
        Ok(found.map_or_else(|| Named::Unknown(key.chars().take(64).collect()), Named::Field))
    }
}

#[cfg(test)]
mod tests;
