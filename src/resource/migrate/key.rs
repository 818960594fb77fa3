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
    /// Where keys have names. Otherwise it is told by its position in its table.
    pub constraint: Option<Constraint>,
    pub columns: Vec<String>,
    /// What it refers to.
    pub parent: String,
    pub to: Vec<String>,
    pub on_delete: Action,
    pub on_update: Action,
    /// Whether texts are the same only if all their bytes are. Collations may say otherwise, and the gateway does not compare by them.
    pub is_exact: bool,
}

/// A foreign key in SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    pub table: String,
    pub name: String,
    pub definition: String,
    pub comment: Option<String>,
}

impl Key {
    /// Whether the database changes rows because of it.
    pub fn acts(&self) -> bool {
        self.on_delete != Action::Check || self.on_update != Action::Check
    }
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
    /// The table of the resource.
    pub served: String,
    /// The table of the key: the same, or one that shares rows with it.
    pub table: String,
    pub columns: Vec<String>,
    pub parent: String,
    /// What it is not to do any more, and the same in SQL: `ON DELETE CASCADE`.
    pub actions: Actions,
    pub clauses: String,
    /// Whether the file says `restrict` about the same field.
    pub contradicts: bool,
    /// Whether a field could refer to the same items, so that the gateway acts before the database.
    pub can_refer: bool,
    /// Whether a field does, and the gateway cannot act: the database may find other rows than the gateway.
    pub by_collation: bool,
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
        let Self { served, table, columns, parent, clauses, can_refer, by_collation, .. } = self.clone();
        ActingKey { served, table, columns, parent, clauses, can_refer, by_collation }
    }

    /// `kids.a, b`.
    pub fn place(&self) -> String {
        format!("{}.{}", self.table, self.columns.join(", "))
    }

    /// How many of these keys still do what this one is not to do.
    pub fn count(&self, keys: &[Key]) -> usize {
        let same = |key: &&Key| key.table == self.table && key.columns == self.columns && key.parent == self.parent;
        let Actions { delete, update } = self.actions;
        let acts = |key: &&Key| delete && key.on_delete != Action::Check || update && key.on_update != Action::Check;
        keys.iter().filter(same).filter(acts).count()
    }
}
