//! The steps of a plan, and how they are described.

use super::Demands;
use super::key::Acting;
use crate::resource::contract::Count;
use crate::resource::table::{Column, ColumnType, Index, Table};

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Creates a table of ours that belongs to no resource, or an index of it: the statement.
    Own(String),
    Create(Table),
    /// Something that makes a table of another program fit, in words before and after it is done.
    Adopt {
        table: String,
        column: Option<String>,
        before: String,
        after: String,
        sql: Vec<String>,
    },
    RenameColumn {
        table: String,
        from: String,
        to: String,
    },
    DropIndex {
        table: String,
        index: Index,
    },
    AddColumn {
        table: String,
        column: Column,
    },
    /// Makes a new column refer to the ids of a table.
    Refer {
        table: String,
        column: String,
        to: String,
    },
    /// Takes what the database does with rows out of a foreign key; its first column, if a field has it.
    CheckOnly {
        column: Option<String>,
        key: Acting,
    },
    /// Gives a column another type.
    Retype(Retype),
    CreateIndex {
        table: String,
        index: Index,
    },
    /// A unique index that returns to a table with duplicates: it is enforced for new writes only.
    GuardIndex {
        table: String,
        index: Index,
    },
    /// Rewrites e-mail addresses that were stored before there was a normal form.
    Respell {
        table: String,
        column: String,
    },
    DropColumn {
        table: String,
        column: String,
        values: Count,
    },
    /// Ends the references of a table that is dropped to another one that is dropped before.
    LetGo {
        table: String,
        column: String,
        to: String,
    },
    DropTable {
        table: String,
        rows: Count,
    },
    /// Records the shape, including what is no longer declared, and the demands.
    Record(Table, Demands),
}

/// A column that gets another type with the values it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retype {
    pub table: String,
    pub from: ColumnType,
    /// As it will be.
    pub column: Column,
    /// The existing indexes that contain it, and whether each is enforced for new writes only.
    pub indexes: Vec<(Index, bool)>,
}

/// What a step does, in words.
struct Words {
    /// As one word for programs.
    kind: &'static str,
    /// `create table`, and `created table` once it is done.
    before: String,
    after: String,
}

impl Step {
    fn words(&self) -> Words {
        let words = |kind, before: &str, after: &str, object: String| Words {
            kind,
            before: format!("{before} {object}"),
            after: format!("{after} {object}"),
        };
        let index = |table: &str, index: &Index| index.name(table);
        match self {
            Self::Own(sql) => words("own", "create", "created", own_name(sql).to_owned()),
            Self::Create(table) => words("create_table", "create table", "created table", table.name.clone()),
            Self::Adopt { before, after, .. } => Words { kind: "adopt", before: before.clone(), after: after.clone() },
            Self::RenameColumn { table, from, to } => {
                words("rename_column", "rename column", "renamed column", format!("{table}.{from} to {to}"))
            }
            Self::DropIndex { table, index: dropped } => {
                words("drop_index", "drop index", "dropped index", index(table, dropped))
            }
            Self::AddColumn { table, column } => {
                words("add_column", "add column", "added column", format!("{table}.{}", column.name))
            }
            Self::Refer { table, column, to } => {
                words("refer", "check references of", "checks references of", format!("{table}.{column} to {to}"))
            }
            Self::CheckOnly { key, .. } => words(
                "change_foreign_key",
                "change the foreign key of",
                "changed the foreign key of",
                format!("{} to {} from {} to NO ACTION", key.place(), key.parent, key.clauses),
            ),
            Self::Retype(Retype { table, from, column, .. }) if *from == column.kind => {
                let to = column.references.as_deref().unwrap_or_default();
                words("make_reference", "make", "made", format!("{table}.{} a reference to {to}", column.name))
            }
            Self::Retype(Retype { table, from, column, .. }) => words(
                "change_type",
                "change the type of",
                "changed the type of",
                format!("{table}.{} from {from} to {}", column.name, column.kind),
            ),
            Self::CreateIndex { table, index: made } => {
                words("create_index", "create index", "created index", index(table, made))
            }
            Self::GuardIndex { table, index: made } => {
                words("guard_index", "guard index", "guarded index", index(table, made))
            }
            Self::Respell { table, column } => words(
                "normalize_addresses",
                "normalize the addresses in",
                "normalized the addresses in",
                format!("{table}.{column}"),
            ),
            Self::DropColumn { table, column, values } => {
                let values = if values.found == 0 { String::new() } else { format!(" and its {}", values.of("value")) };
                words("drop_column", "drop column", "dropped column", format!("{table}.{column}{values}"))
            }
            Self::LetGo { table, column, to } => {
                words("let_go", "end the references of", "ended the references of", format!("{table}.{column} to {to}"))
            }
            Self::DropTable { table, rows } => {
                let rows = if rows.found == 0 { String::new() } else { format!(" and its {}", rows.of("row")) };
                words("drop_table", "drop table", "dropped table", format!("{table}{rows}"))
            }
            Self::Record(table, _) => {
                words("record", "save the schema of table", "saved the schema of table", table.name.clone())
            }
        }
    }

    /// `create table users`.
    pub fn before(&self) -> String {
        self.words().before
    }

    /// `created table users`.
    pub fn after(&self) -> String {
        self.words().after
    }

    /// Its kind as one word, for programs.
    pub fn kind(&self) -> &'static str {
        self.words().kind
    }

    /// Whether it only records, and changes no table of a resource.
    pub const fn is_minor(&self) -> bool {
        matches!(self, Self::Record(..))
    }

    /// Whether values are lost.
    pub const fn destroys(&self) -> bool {
        matches!(self, Self::DropColumn { .. } | Self::DropTable { .. })
    }

    /// The table it is about, and the column, when it is about one.
    pub fn place(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::Own(_) => (None, None),
            Self::Create(table) | Self::Record(table, _) => (Some(&table.name), None),
            Self::Adopt { table, column, .. } => (Some(table), column.as_deref()),
            Self::CheckOnly { column, key } => (Some(&key.served), column.as_deref()),
            Self::RenameColumn { table, to, .. } => (Some(table), Some(to)),
            Self::DropIndex { table, index }
            | Self::CreateIndex { table, index }
            | Self::GuardIndex { table, index } => (Some(table), index.columns.first().map(String::as_str)),
            Self::AddColumn { table, column } => (Some(table), Some(&column.name)),
            Self::Retype(retype) => (Some(&retype.table), Some(&retype.column.name)),
            Self::Respell { table, column }
            | Self::Refer { table, column, .. }
            | Self::LetGo { table, column, .. }
            | Self::DropColumn { table, column, .. } => (Some(table), Some(column)),
            Self::DropTable { table, .. } => (Some(table), None),
        }
    }
}

/// The name in `CREATE TABLE IF NOT EXISTS name …`, or the same with `INDEX`.
pub fn own_name(sql: &str) -> &str {
    sql.split_whitespace().nth(5).unwrap_or_default()
}
