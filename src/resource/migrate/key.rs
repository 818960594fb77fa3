//! A foreign key of a table, and what the database does because of it.

use crate::resource::contract::ActingKey;
use crate::resource::table::Table;

/// What the database does with rows that refer to one that is deleted or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It rejects that.
    Check,
    Cascade,
    SetNull,
    SetDefault,
}

impl Action {
    /// Its name in SQL.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Check => "NO ACTION",
            Self::Cascade => "CASCADE",
            Self::SetNull => "SET NULL",
            Self::SetDefault => "SET DEFAULT",
        }
    }
}

/// A foreign key as the catalog describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub table: String,
    /// Its name in SQL, and its definition, where keys have them. Otherwise it is told by its position in its table.
    pub constraint: Option<(String, String)>,
    pub columns: Vec<String>,
    /// What it refers to.
    pub parent: String,
    pub to: Vec<String>,
    pub on_delete: Action,
    pub on_update: Action,
}

/// Which actions of a foreign key are to become checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actions {
    pub delete: bool,
    pub update: bool,
}

/// A foreign key by which the database changes rows of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acting {
    pub table: String,
    pub columns: Vec<String>,
    pub parent: String,
    /// `ON DELETE CASCADE`.
    pub clauses: String,
    /// Whether the file says `restrict` about the same field.
    pub contradicts: bool,
    /// The statements that make it check only.
    pub sql: Vec<String>,
}

impl Acting {
    /// The field it is about, if it is about one.
    pub fn column(&self, table: &Table) -> Option<&str> {
        let first = self.columns.first()?;
        table.columns.iter().any(|column| column.name == *first).then_some(first)
    }

    /// What a start and a reload say about it.
    pub(super) fn shown(&self) -> ActingKey {
        let Self { table, columns, parent, clauses, .. } = self.clone();
        ActingKey { table, columns, parent, clauses }
    }

    /// `kids.a, b`.
    pub fn place(&self) -> String {
        format!("{}.{}", self.table, self.columns.join(", "))
    }
}
