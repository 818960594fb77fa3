//! Request bodies: read up to a limit and parsed strictly.

use super::json::{Flaw, Json, Reader};
use super::refusal::{cut, refusal};
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use gatewright_sdk::{ByteSize, Detail, Problem};
use http::StatusCode;
use http_body::Body as _;
use http_body_util::BodyExt;
use json_event_parser::JsonEvent;
use std::collections::HashSet;

/// The maximum nesting of objects and lists; the body itself is the first level.
const DEEPEST: usize = 32;
/// The maximum number of unknown or repeated keys that are listed.
const LISTED: usize = 16;

/// Whether the announced length of the body is too long.
pub fn announced_too_long(body: &Body, limit: ByteSize) -> bool {
    body.size_hint().lower() > limit.0
}

/// The whole body, if it is not longer than `limit`. A body of one frame is not copied.
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

/// A JSON object split by field names.
#[derive(Default)]
pub struct Entries {
    /// By position of the field.
    pub known: Vec<Option<Json>>,
    /// The value of `id`.
    pub id: Option<Json>,
    /// Keys that are not fields, as they were sent.
    pub unknown: Vec<String>,
}

/// Reads a JSON object. `names` are the fields, by position.
///
/// A repeated key is rejected wherever it is, including in json fields and unknown fields: parsers disagree on which
/// value counts, so one could check a different value than another stores.
pub fn parse(bytes: &[u8], names: &[String]) -> Result<Entries, Problem> {
    if bytes.is_empty() {
        return Err(Problem::validation("body: must not be empty"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Problem::validation("body: invalid UTF-8"))?;
    take_apart(text, names).map_err(|flaw| match flaw {
        Unreadable::Flaw(flaw) => invalid(flaw),
        Unreadable::NoObject => Problem::validation("body: must be a JSON object"),
        Unreadable::Repeated(details) => refusal(details),
    })
}

/// Whether a body is a list, or what is broken was meant to be one.
pub fn is_list(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().first() == Some(&b'[')
}

/// Reads a list of at most `most` JSON objects, as [`parse`] reads one.
pub fn parse_list(bytes: &[u8], names: &[String], most: u32) -> Result<Vec<Result<Entries, Problem>>, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|_| Problem::validation("body: invalid UTF-8"))?;
    // An item may be nested as deeply as one that is sent by itself.
    let mut reader = Reader::new(text, DEEPEST.saturating_sub(1));
    if reader.event().map_err(invalid)? != JsonEvent::StartArray {
        return Err(Problem::validation("body: must be a list of JSON objects"));
    }
    let mut items = Vec::new();
    loop {
        let entries = match reader.event().map_err(invalid)? {
            JsonEvent::EndArray => break,
            JsonEvent::StartObject => members(&mut reader, names),
            other => reader.value_from(other).map_err(Into::into).and(Err(Unreadable::NoObject)),
        };
        if items.len() >= usize::try_from(most).unwrap_or(usize::MAX) {
            let text = format!("Request has more than {most} items");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", text));
        }
        items.push(match entries {
            Ok(entries) => Ok(entries),
            Err(Unreadable::Flaw(flaw)) => return Err(invalid(flaw)),
            Err(Unreadable::NoObject) => Err(refusal(vec![Detail::new("", "type", "must be a JSON object")])),
            Err(Unreadable::Repeated(details)) => Err(refusal(details)),
        });
    }
    reader.event().map_err(invalid)?;
    Ok(items)
}

fn invalid(flaw: Flaw) -> Problem {
    match flaw {
        Flaw::TooDeep => Problem::validation("body: nested too deeply"),
        Flaw::Syntax { line, column } => {
            Problem::validation(format!("body: invalid JSON at line {line} column {column}"))
        }
    }
}

/// Why a body cannot be parsed.
enum Unreadable {
    Flaw(Flaw),
    NoObject,
    Repeated(Vec<Detail>),
}

impl From<Flaw> for Unreadable {
    fn from(flaw: Flaw) -> Self {
        Self::Flaw(flaw)
    }
}

fn take_apart(text: &str, names: &[String]) -> Result<Entries, Unreadable> {
    // RFC 8259 section 8.1: no byte order mark. The parser would skip it.
    if text.starts_with('\u{feff}') {
        return Err(Flaw::Syntax { line: 1, column: 1 }.into());
    }
    // The body itself is one level.
    let mut reader = Reader::new(text, DEEPEST.saturating_sub(1));
    let first = reader.event()?;
    if first != JsonEvent::StartObject {
        reader.value_from(first)?;
        reader.event()?;
        return Err(Unreadable::NoObject);
    }
    let entries = members(&mut reader, names);
    // What comes after the object is judged before what is in it.
    if !matches!(entries, Err(Unreadable::Flaw(_))) {
        reader.event()?;
    }
    entries
}

/// The members of the object that has just begun.
fn members(reader: &mut Reader<'_>, names: &[String]) -> Result<Entries, Unreadable> {
    let mut entries = Entries { known: names.iter().map(|_| None).collect(), ..Entries::default() };
    let mut unknown = HashSet::new();
    let mut repeated = Vec::new();
    while let JsonEvent::ObjectKey(key) = reader.event()? {
        let value = reader.value()?;
        note_repeated(&mut repeated, &key, reader.repeated());
        let slot = match names.iter().position(|name| *name == key) {
            _ if key == "id" => Some(&mut entries.id),
            Some(at) => entries.known.get_mut(at),
            None => None,
        };
        let again = match slot {
            Some(slot) => slot.replace(value).is_some(),
            None => {
                if entries.unknown.len() < LISTED {
                    entries.unknown.push(cut(&key));
                }
                !unknown.insert(key.clone())
            }
        };
        if again {
            note_repeated(&mut repeated, &key, &[String::new()]);
        }
    }
    if repeated.is_empty() { Ok(entries) } else { Err(Unreadable::Repeated(repeated)) }
}

/// `pointers` point to repeated keys in the value of `key`; an empty one points to `key` itself.
fn note_repeated(repeated: &mut Vec<Detail>, key: &str, pointers: &[String]) {
    for pointer in pointers {
        let message =
            if pointer.is_empty() { "duplicate key".to_owned() } else { format!("duplicate key at {}", cut(pointer)) };
        let detail = Detail::new(cut(key), "duplicate", message);
        if repeated.len() < LISTED && !repeated.contains(&detail) {
            repeated.push(detail);
        }
    }
}

#[cfg(test)]
mod tests;
