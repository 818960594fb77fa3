//! The shape of a table that a resource needs. Rules of fields are not part of it.

use super::form::Form;
use crate::config::document::resource::IdKind;
use serde::{Deserialize, Serialize};

/// The table of a resource. Names were validated: `^[a-z][a-z0-9_]{0,47}$`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    pub name: String,
    /// The type of the primary key `id`.
    pub id: ColumnType,
    /// Whether the store counts `id` up.
    pub id_counts: bool,
    /// Columns other than `id` and `_version`, in declared order.
    pub columns: Vec<Column>,
    pub indexes: Vec<Index>,
}

/// A column. All are nullable in the store: what a client must send is checked before, so that changing a rule is
/// never a change of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    pub kind: ColumnType,
    /// The field's constant default as an SQL literal (`'text'` with quotes doubled, or a number), so that rows from
    /// before the column read it too.
    pub default: Option<String>,
    /// Whether no item may have null in it. Decides only which changes of the document are possible, see
    /// [`migrate`](super::migrate).
    #[serde(default)]
    pub required: bool,
    /// The form of its texts; `None` if it was recorded by a version that did not record it.
    #[serde(default)]
    pub form: Option<Form>,
    /// The table whose `id` its values are. What a delete there does here is not part of the table: the gateway does it, so
    /// that it can change, and so that the items it changes get new versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub references: Option<String>,
    /// What only the document says about it.
    #[serde(skip)]
    pub declared: Declared,
}

#[cfg(test)]
impl Column {
    /// A column that may be null, without a default.
    pub fn plain(name: &str, kind: ColumnType) -> Self {
        let (required, declared) = (false, Declared::default());
        Self { name: name.into(), kind, default: None, required, form: None, references: None, declared }
    }
}

/// What a document says about a column and the store does not record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declared {
    /// Its previous name.
    pub renamed_from: Option<String>,
    /// No client sees its values, so no report shows them.
    pub is_secret: bool,
    /// Its type includes the values of some other types, see [`widen`](super::migrate::widen).
    pub is_wide: bool,
    /// The maximum number of digits of a decimal.
    pub precision: Option<u32>,
    /// If it refers to ids: a delete there deletes its row, or makes it null.
    pub acts_on_delete: bool,
}

/// What a column holds, independent of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    Text,
    /// A hash, which is text but never shown.
    Password,
    Uuid,
    Integer,
    Number,
    Decimal,
    Boolean,
    Datetime,
    Date,
    Json,
}

/// An index. Its name is derived, see [`Index::name`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    pub columns: Vec<String>,
    pub unique: bool,
    /// Compare ASCII letters case-insensitively.
    pub ignore_case: bool,
    /// Has the [order](super::dialect::Dialect::ordered) of the decimals in its only column, in a store whose columns do not have it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ordered: bool,
}

impl Index {
    /// `gwu_<table>.<columns>` if unique, `gwo_…` if it has the order of decimals, otherwise `gwi_…`. Names contain no dot, so no two indexes share a name.
    pub fn name(&self, table: &str) -> String {
        let kind = match (self.unique, self.ordered) {
            (true, _) => "gwu",
            (false, true) => "gwo",
            (false, false) => "gwi",
        };
        format!("{kind}_{table}.{}", self.columns.join("."))
    }
}

/// The type of ids.
pub const fn id_column(kind: IdKind) -> ColumnType {
    match kind {
        IdKind::Uuid => ColumnType::Uuid,
        IdKind::Integer => ColumnType::Integer,
        IdKind::String => ColumnType::Text,
    }
}

impl ColumnType {
    /// Its name, as it is recorded.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Password => "password",
            Self::Uuid => "uuid",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Decimal => "decimal",
            Self::Boolean => "boolean",
            Self::Datetime => "datetime",
            Self::Date => "date",
            Self::Json => "json",
        }
    }
}

impl std::fmt::Display for ColumnType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}
