//! JSON as clients send it and stores keep it: numbers stay as they were written, and no key has a special meaning.

use indexmap::IndexMap;
use json_event_parser::{JsonEvent, SliceJsonParser};
use serde_json::Value;

/// A JSON value. Unlike the library's own type it keeps every digit of a number, and an object is always an object:
/// the library interprets some keys (`$serde_json::private::…`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    Null,
    Bool(bool),
    /// As it was written, in the grammar of RFC 8259 section 6.
    Number(Box<str>),
    String(String),
    Array(Vec<Self>),
    Object(IndexMap<String, Self>),
}

/// Why a text cannot be parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Not JSON; counted from 1, columns in bytes.
    Syntax { line: u64, column: u64 },
    /// Nested more deeply than the reader allows.
    TooDeep,
}

/// Reads a text value by value.
pub struct Reader<'a> {
    parser: SliceJsonParser<'a>,
    deepest: usize,
    /// JSON pointers to repeated keys in the last value that was read.
    repeated: Vec<String>,
}

/// The maximum number of repeated keys that are listed.
const LISTED: usize = 16;

impl<'a> Reader<'a> {
    /// Goes `deepest` objects and lists deep in each value, and not deeper.
    pub fn new(text: &'a str, deepest: usize) -> Self {
        Self { parser: SliceJsonParser::new(text.as_bytes()), deepest, repeated: Vec::new() }
    }

    /// The next event.
    pub fn event(&mut self) -> Result<JsonEvent<'a>, Flaw> {
        self.parser.parse_next().map_err(|error| {
            let at = error.location().start;
            Flaw::Syntax { line: at.line.saturating_add(1), column: at.column.saturating_add(1) }
        })
    }

    /// The next value. The last value of a repeated key is kept, see [`Reader::repeated`].
    pub fn value(&mut self) -> Result<Json, Flaw> {
        let event = self.event()?;
        self.value_from(event)
    }

    /// The value that starts with `event`.
    pub fn value_from(&mut self, event: JsonEvent<'a>) -> Result<Json, Flaw> {
        self.repeated.clear();
        self.build(event, 0)
    }

    /// The keys that the last value had more than once, as JSON pointers.
    pub fn repeated(&self) -> &[String] {
        &self.repeated
    }

    fn build(&mut self, event: JsonEvent<'a>, depth: usize) -> Result<Json, Flaw> {
        if matches!(event, JsonEvent::StartArray | JsonEvent::StartObject) && depth >= self.deepest {
            return Err(Flaw::TooDeep);
        }
        let within = depth.saturating_add(1);
        Ok(match event {
            JsonEvent::Null => Json::Null,
            JsonEvent::Boolean(truth) => Json::Bool(truth),
            JsonEvent::Number(text) => Json::Number(text.into()),
            JsonEvent::String(text) => Json::String(text.into_owned()),
            JsonEvent::StartArray => {
                let mut items = Vec::new();
                loop {
                    match self.event()? {
                        JsonEvent::EndArray => break Json::Array(items),
                        event => {
                            let before = self.repeated.len();
                            items.push(self.build(event, within)?);
                            self.lies_in(before, &items.len().saturating_sub(1).to_string());
                        }
                    }
                }
            }
            JsonEvent::StartObject => {
                let mut entries = IndexMap::new();
                while let JsonEvent::ObjectKey(key) = self.event()? {
                    let before = self.repeated.len();
                    let event = self.event()?;
                    let value = self.build(event, within)?;
                    self.lies_in(before, &key);
                    if entries.contains_key(&*key) && self.repeated.len() < LISTED {
                        self.repeated.push(format!("/{}", segment(&key)));
                    }
                    entries.insert(key.into_owned(), value);
                }
                Json::Object(entries)
            }
            // The parser lets these stand where they belong only, and there they are taken above.
            JsonEvent::EndArray | JsonEvent::EndObject | JsonEvent::ObjectKey(_) | JsonEvent::Eof => {
                return Err(Flaw::Syntax { line: 1, column: 1 });
            }
        })
    }

    /// Prefixes the repeated keys found since `before` with `key`.
    fn lies_in(&mut self, before: usize, key: &str) {
        for pointer in self.repeated.iter_mut().skip(before) {
            pointer.insert_str(0, &format!("/{}", segment(key)));
        }
    }
}

/// A key as a part of a JSON pointer (RFC 6901).
fn segment(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

impl Json {
    /// Reads a text that was written by [`Json::write`]; `None` if it is something else.
    pub fn stored(text: &str) -> Option<Self> {
        let mut reader = Reader::new(text, DEEPEST_STORED);
        let value = reader.value().ok()?;
        (reader.event() == Ok(JsonEvent::Eof)).then_some(value)
    }

    /// Whether a text is a number in the grammar of RFC 8259 section 6, with nothing around it.
    pub fn is_number(text: &str) -> bool {
        let is_bare = text.ends_with(|last: char| last.is_ascii_digit())
            && text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
        is_bare && matches!(Self::stored(text), Some(Self::Number(_)))
    }

    /// The shortest text of it, with numbers as they were written and keys in their order.
    pub fn write(&self) -> String {
        let mut out = Vec::new();
        self.append(&mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    fn append(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(truth) => out.extend_from_slice(if *truth { b"true" } else { b"false" }),
            Self::Number(text) => out.extend_from_slice(text.as_bytes()),
            Self::String(text) => quote(text, out),
            Self::Array(items) => {
                out.push(b'[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    item.append(out);
                }
                out.push(b']');
            }
            Self::Object(entries) => {
                out.push(b'{');
                for (at, (key, value)) in entries.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    quote(key, out);
                    out.push(b':');
                    value.append(out);
                }
                out.push(b'}');
            }
        }
    }

    /// As the library's type, for validators that take no other. `None` if a number would change: a whole
    /// number of more than 64 bits, or one beyond the range of 64-bit fractions. Other fractions are the nearest.
    pub fn to_value(&self) -> Option<Value> {
        Some(match self {
            Self::Null => Value::Null,
            Self::Bool(truth) => Value::Bool(*truth),
            Self::Number(text) => Value::Number(number(text)?),
            Self::String(text) => Value::String(text.clone()),
            Self::Array(items) => Value::Array(items.iter().map(Self::to_value).collect::<Option<_>>()?),
            Self::Object(entries) => {
                let entries = entries.iter().map(|(key, value)| Some((key.clone(), value.to_value()?)));
                Value::Object(entries.collect::<Option<_>>()?)
            }
        })
    }

    /// Merges `patch` into it by the algorithm of RFC 7396 section 2. It gets no deeper than the deeper of the two.
    pub fn merge(&mut self, patch: Self) {
        let Self::Object(patch) = patch else {
            *self = patch;
            return;
        };
        if !matches!(self, Self::Object(_)) {
            *self = Self::Object(IndexMap::new());
        }
        let Self::Object(target) = self else { return };
        for (key, value) in patch {
            if value == Self::Null {
                target.shift_remove(&key);
            } else {
                target.entry(key).or_insert(Self::Null).merge(value);
            }
        }
    }

    /// Whether a string or a key in it contains NUL.
    pub fn holds_nul(&self) -> bool {
        match self {
            Self::String(text) => text.contains('\0'),
            Self::Array(items) => items.iter().any(Self::holds_nul),
            Self::Object(entries) => entries.iter().any(|(key, value)| key.contains('\0') || value.holds_nul()),
            Self::Null | Self::Bool(_) | Self::Number(_) => false,
        }
    }
}

/// What is stored comes from bodies, which are nested less; a value that is deeper was written by something else.
const DEEPEST_STORED: usize = 512;

fn quote(text: &str, out: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(out, text);
}

fn number(text: &str) -> Option<serde_json::Number> {
    if text.contains(['.', 'e', 'E']) {
        return text.parse().ok().and_then(serde_json::Number::from_f64);
    }
    text.parse::<i64>().map(Into::into).or_else(|_| text.parse::<u64>().map(Into::into)).ok()
}

impl From<Value> for Json {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(truth) => Self::Bool(truth),
            Value::Number(number) => Self::Number(number.to_string().into()),
            Value::String(text) => Self::String(text),
            Value::Array(items) => Self::Array(items.into_iter().map(Into::into).collect()),
            Value::Object(entries) => {
                Self::Object(entries.into_iter().map(|(key, value)| (key, value.into())).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests;
