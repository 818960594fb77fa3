//! Columns in comparisons: values from the file and from claims are converted to their stored form.

use crate::config::document::resource::{FilterOp, IdKind};
use crate::resource::claim;
use crate::resource::field::Field;
use crate::resource::field_type::FieldType;
use crate::resource::predicate::Column;
use crate::resource::store::Param;
use gatewright_sdk::Identity;
use serde_json::Value;

/// The columns of a resource.
#[derive(Clone, Copy)]
pub struct Columns<'a> {
    pub id: IdKind,
    pub fields: &'a [Field],
}

impl<'a> Columns<'a> {
    pub fn get(self, column: Column) -> Option<Compared<'a>> {
        match column {
            Column::Id => Some(Compared::Id(self.id)),
            Column::Field(at) => self.fields.get(at).map(Compared::Field),
            Column::Of(through, at) => {
                self.fields.get(through)?.reference.as_ref()?.fields.get(at).map(Compared::Field)
            }
        }
    }
}

/// A column in a comparison.
#[derive(Clone, Copy)]
pub enum Compared<'a> {
    Id(IdKind),
    Field(&'a Field),
}

impl<'a> Compared<'a> {
    pub const fn kind(self) -> &'a FieldType {
        match self {
            Self::Id(id) => id_kind(id),
            Self::Field(field) => &field.kind,
        }
    }

    /// A value as it is stored: trimmed and in lower case if the field is.
    fn read(self, value: Value) -> Option<Param> {
        match (self, value) {
            (_, Value::Null) => None,
            (_, Value::String(text)) if text.contains('\0') => None,
            (Self::Field(field), value) => field.stored(value),
            (Self::Id(id), value) => id_kind(id).read(value).ok(),
        }
    }

    /// The start or a part of a text. An empty one would match every text.
    fn part(self, operator: FilterOp, value: Value) -> Option<Param> {
        let part = match (self, value) {
            (_, Value::String(text)) if text.contains('\0') => None,
            (Self::Field(field), Value::String(text)) => Some(field.stored_piece(operator, &text)),
            (Self::Id(_), Value::String(text)) => Some(Param::Text(text)),
            _ => None,
        };
        part.filter(|part| !matches!(part, Param::Text(text) if text.is_empty()))
    }

    /// The values from the file for `operator`; the error states what they must be.
    pub fn constant(self, operator: FilterOp, value: &Value) -> Result<Vec<Param>, String> {
        let values = match (operator, value) {
            (FilterOp::Null, value) => value.as_bool().map(|null| vec![Param::Integer(i64::from(null))]),
            (FilterOp::In, Value::Array(items)) if items.is_empty() => None,
            (FilterOp::In, Value::Array(items)) => items.iter().map(|item| self.read(item.clone())).collect(),
            (FilterOp::Prefix | FilterOp::Contains, value) => self.part(operator, value.clone()).map(|part| vec![part]),
            (_, value) => self.read(value.clone()).map(|value| vec![value]),
        };
        values.ok_or_else(|| match operator {
            FilterOp::Null => "it must be true or false".to_owned(),
            FilterOp::Prefix | FilterOp::Contains => "it must be a text that is not empty".to_owned(),
            FilterOp::In => format!("list at least one value; each {}", self.kind().demand()),
            FilterOp::Ne if value.is_null() => "null cannot be compared: write `{ \"null\": false }`".to_owned(),
            _ if value.is_null() => "null cannot be compared: write `{ \"null\": true }`".to_owned(),
            _ => format!("it {}", self.kind().demand()),
        })
    }

    /// The values of a claim; `None` if it is absent or does not match the column's type: then nothing matches.
    pub fn claimed(self, operator: FilterOp, name: &str, identity: &Identity) -> Option<Vec<Param>> {
        let value = claim::claim(identity, name, self.kind())?;
        match (operator, value) {
            (FilterOp::In, Value::Array(items)) => {
                let items = items.into_iter().map(|item| claim::typed(item, self.kind()));
                Some(items.filter_map(|item| self.read(item)).collect())
            }
            (FilterOp::Prefix | FilterOp::Contains, value) => Some(vec![self.part(operator, value)?]),
            (_, value) => Some(vec![self.read(value)?]),
        }
    }
}

/// The type of ids as a field type.
const fn id_kind(id: IdKind) -> &'static FieldType {
    match id {
        IdKind::Uuid => &FieldType::Uuid,
        IdKind::Integer => &FieldType::Integer,
        IdKind::String => &FieldType::String,
    }
}
