//! The shape of a table: what a resource needs the store to have. Rules of fields are not part of it.

use serde::{Deserialize, Serialize};

/// The table of a resource. Names were validated: `^[a-z][a-z0-9_]{0,47}$`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    pub name: String,
    /// How the primary key `id` is typed.
    pub id: ColumnType,
    /// Whether the store counts `id` up.
    pub id_counts: bool,
    /// Columns beside `id` and `_version`, in declared order.
    pub columns: Vec<Column>,
    pub indexes: Vec<Index>,
}

/// A column. All are nullable in the store: what a client must send is checked before, so that changing a rule is
/// never a change of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    pub kind: ColumnType,
    /// The field's constant default as SQL text, so that rows from before the column read it too.
    pub default: Option<String>,
    /// Whether a new item must carry it. Decides only whether the column can be added to a table that has rows.
    #[serde(default)]
    pub required: bool,
}

/// What a column holds, independent of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    Text,
    Uuid,
    Integer,
    Number,
    Decimal,
    Boolean,
    Datetime,
    Date,
    Json,
}

/// An index. Its name is derived: `gwu_<table>_<first column>` when unique, else `gwi_<table>_<columns>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    pub columns: Vec<String>,
    pub unique: bool,
    /// Compare ASCII letters without case.
    pub ignore_case: bool,
}
