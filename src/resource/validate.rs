//! Validates a body and converts it to the values of a row; reports every fault, in the order of the fields.

use super::body::Entries;
use super::field::Field;
use super::json::Json;
use super::model::Model;
use super::query;
use super::refusal::refusal;
use super::store::Param;
use crate::config::document::resource::{IdKind, UnknownFields};
use gatewright_sdk::{Detail, Problem};

/// What a body is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Create,
    /// Missing fields get their defaults.
    Replace,
    /// Missing fields stay as they are.
    Merge,
}

/// The values in a body, by position of the field; `None` if it has none.
#[derive(Clone)]
pub struct Values {
    pub id: Option<Param>,
    pub fields: Vec<Option<Param>>,
}

/// Validates a body. Passwords are returned as they were sent.
pub fn judge(model: &Model, entries: Entries, purpose: Purpose) -> Result<Values, Problem> {
    let mut faults = Vec::new();
    let id = id(model, entries.id, purpose, &mut faults);
    let mut fields = Vec::with_capacity(model.fields.len());
    for (field, value) in model.fields.iter().zip(entries.known) {
        let value = match value {
            Some(value) => given(model, field, value, purpose),
            None => absent(field, purpose).map(|()| None),
        };
        fields.push(value.unwrap_or_else(|fault| {
            faults.push(fault);
            None
        }));
    }
    if model.unknown == UnknownFields::Reject {
        faults.extend(entries.unknown.iter().map(|name| unknown(model, name, purpose)));
    }
    if faults.is_empty() { Ok(Values { id, fields }) } else { Err(refusal(faults)) }
}

/// Whether values that were meant to replace an item are enough for a new one.
pub fn complete(model: &Model, values: &Values) -> Result<(), Problem> {
    let pairs = model.fields.iter().zip(&values.fields).filter(|(_, value)| value.is_none());
    let faults: Vec<Detail> = pairs.filter_map(|(field, _)| absent(field, Purpose::Create).err()).collect();
    if faults.is_empty() { Ok(()) } else { Err(refusal(faults)) }
}

fn id(model: &Model, given: Option<Json>, purpose: Purpose, faults: &mut Vec<Detail>) -> Option<Param> {
    if model.id == IdKind::String && purpose == Purpose::Create {
        return chosen_id(given).map_err(|fault| faults.push(fault)).ok();
    }
    if given.is_some() {
        faults.push(Detail::new("id", "read_only", "is set by the server"));
    }
    None
}

/// The id that a client chooses for an item.
pub fn chosen_id(given: Option<Json>) -> Result<Param, Detail> {
    match given {
        None => Err(Detail::new("id", "required", "is required")),
        Some(Json::String(id)) if is_id(&id) => Ok(Param::Text(id)),
        Some(_) => Err(Detail::new("id", "format", ID_DEMAND)),
    }
}

pub const ID_DEMAND: &str = "must be 1-64 of the characters A-Z a-z 0-9 . _ ~ -";

/// An id chosen by a client: characters that mean the same in a path with and without percent-encoding.
pub fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._~-".contains(&b))
        && !matches!(id, "." | "..")
}

fn given(model: &Model, field: &Field, value: Json, purpose: Purpose) -> Result<Option<Param>, Detail> {
    if field.hidden {
        return match model.unknown {
            UnknownFields::Ignore => Ok(None),
            UnknownFields::Reject => Err(unknown(model, &field.name, purpose)),
        };
    }
    if field.read_only {
        return Err(Detail::new(&*field.name, "read_only", "is set by the server"));
    }
    match purpose {
        Purpose::Create if !field.creates => {
            Err(Detail::new(&*field.name, "not_allowed", "cannot be set by this operation"))
        }
        Purpose::Replace | Purpose::Merge if !field.updates => {
            Err(Detail::new(&*field.name, "not_allowed", "cannot be changed by this operation"))
        }
        Purpose::Merge => field.read_patch(value).map(Some),
        _ => field.read(value).map(Some),
    }
}

fn absent(field: &Field, purpose: Purpose) -> Result<(), Detail> {
    if demands(field, purpose) { Err(field.broken("required", "is required")) } else { Ok(()) }
}

/// Whether a body may have a value for `field`.
pub fn accepts(field: &Field, purpose: Purpose) -> bool {
    let writes = if purpose == Purpose::Create { field.creates } else { field.updates };
    writes && !field.hidden && !field.read_only
}

/// Whether a body must have a value for `field`.
pub fn demands(field: &Field, purpose: Purpose) -> bool {
    // A client that cannot see a value cannot send it back.
    let cannot_repeat = purpose == Purpose::Replace && field.write_only;
    let left_out = purpose == Purpose::Merge || field.default.is_some() || cannot_repeat;
    field.required && accepts(field, purpose) && !left_out
}

/// The error for an unknown key, with the field that was probably meant.
fn unknown(model: &Model, name: &str, purpose: Purpose) -> Detail {
    let may = |field: &&Field| accepts(field, purpose);
    let distance = |field: &Field| strsim::levenshtein(name, &field.name);
    let near = model.fields.iter().filter(may).min_by_key(|field| distance(field)).filter(|field| distance(field) <= 2);
    if let Some(field) = near {
        return Detail::new(name, "unknown", format!("unknown field, did you mean \"{}\"?", field.name));
    }
    let names = model.fields.iter().filter(may).map(|field| field.name.clone());
    Detail::new(name, "unknown", "unknown field").help(query::named("fields of this request", names))
}
