//! Plans the changes to a store's tables that make them match the document, and rejects changes that are not safe.
//!
//! A reload makes a change only if restoring the old document undoes it, whatever clients wrote in the meantime.
//! Everything else is rejected. So nothing is removed: a table, a column or a plain index that is no longer declared
//! stays; see `docs/decisions/018-edits-of-tables.md`.

pub mod apply;
mod change;
pub mod copied;
pub mod hidden;
mod indexes;
mod renamed;
mod respell;
pub mod session;

use self::change::Change;
use self::session::Dialect;
use super::contract::{HiddenColumn, RefusedTable, UnevenColumn};
use super::table::{Column, Index, Table};
use gatewright_sdk::Code;
use serde::{Deserialize, Serialize};

/// Up to this many rows, an index is built while other requests wait.
pub const MANY_ROWS: u64 = 100_000;

/// What a store has under a table's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableState {
    Absent,
    /// A table that gatewright did not create.
    Foreign,
    /// Created by a version of gatewright that writes another format of records.
    Newer(String),
    Ours(Box<Ours>),
}

/// A table of ours, and the facts the plan needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ours {
    /// Its recorded shape, including what is no longer declared.
    pub recorded: Table,
    /// `None` if it was recorded by a version that did not record them.
    pub demands: Option<Demands>,
    /// How many rows it has, counted up to [`MANY_ROWS`] and one more.
    pub rows: u64,
    /// Indexes that the operator created by hand after a rejection, exactly as we would.
    pub made: Vec<Index>,
    /// Recorded indexes that do not exist.
    pub missing: Vec<Index>,
    /// Columns that become required and have rows without a value.
    pub nulls: Vec<String>,
    /// Unique indexes that are wanted and not in force, although some rows are duplicates.
    pub equal: Vec<Index>,
    /// Columns that are no longer declared and have values.
    pub hidden: Vec<HiddenColumn>,
    /// Columns that are declared and have values, or gaps, from an earlier document.
    pub uneven: Vec<UnevenColumn>,
    /// Columns that the operator renamed in the database, as the document does: the old name and the new one. `recorded` and
    /// `demands` have the new ones.
    pub renamed: Vec<(String, String)>,
    /// How the catalog differs from the record, as text.
    pub drift: Option<String>,
}

impl Ours {
    /// As recorded, without obstacles.
    pub fn new(recorded: Table, demands: Option<Demands>, rows: u64) -> Self {
        let (made, missing, nulls, equal) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (hidden, uneven, renamed) = (Vec::new(), Vec::new(), Vec::new());
        Self { recorded, demands, rows, made, missing, nulls, equal, hidden, uneven, renamed, drift: None }
    }
}

/// What past documents required of a table, which decides what may be required again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demands {
    /// Columns that the last document declares, and those of them that it requires.
    pub declared: Vec<String>,
    pub required: Vec<String>,
    /// Required columns that cannot be removed in one step: the document before the last had them too.
    pub pinned: Vec<String>,
    /// Columns that one document required and the next one did not: rows without a value were allowed.
    pub loosened: Vec<String>,
    /// Unique indexes that an earlier document had and a later one did not.
    pub released: Vec<Index>,
    /// Unique indexes enforced for new writes only: older rows are duplicates.
    pub guarded: Vec<Index>,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Create(Table),
    DropIndex {
        table: String,
        index: Index,
    },
    AddColumn {
        table: String,
        column: Column,
    },
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
    /// Records the shape, including what is no longer declared, and the demands.
    Record(Table, Demands),
}

/// The steps from the current state of the store to `wanted`, or every reason against it.
pub fn plan(
    wanted: &[Table],
    state: impl Fn(&str) -> Option<TableState>,
    statements: &dyn Dialect,
) -> Result<Vec<Step>, Vec<RefusedTable>> {
    let mut steps = Vec::new();
    let mut refused = Vec::new();
    for (number, table) in wanted.iter().enumerate() {
        let name = &table.name;
        let mut refuse = |code: Code, column: Option<&str>, message: String, help: String| {
            let (table, column) = (Some(name.clone()), column.map(str::to_owned));
            refused.push(RefusedTable { code, table, column, message, help });
        };
        if wanted.iter().take(number).any(|other| other.name == *name) {
            let message = format!("two resources use the table `{name}`");
            refuse(Code::SHARED_TABLE, None, message, "use a different table for each".into());
            continue;
        }
        match state(name).unwrap_or(TableState::Absent) {
            TableState::Absent => {
                let required = required(table);
                let demands =
                    Demands { declared: declared(table), pinned: required.clone(), required, ..Demands::default() };
                steps.extend([Step::Create(table.clone()), Step::Record(table.clone(), demands)]);
            }
            TableState::Foreign => refuse(
                Code::FOREIGN_TABLE,
                None,
                format!("table `{name}` already exists and was not created by gatewright"),
                "set another name with `table: NAME`, or rename that table in the database".into(),
            ),
            TableState::Newer(version) => refuse(
                Code::FOREIGN_TABLE,
                None,
                format!("the table `{name}` was created by gatewright {version}, and this version cannot read it"),
                "run that version or a later one".into(),
            ),
            TableState::Ours(ours) => match &ours.drift {
                Some(drift) => refuse(
                    Code::FOREIGN_TABLE,
                    None,
                    format!("the table `{name}` was changed outside gatewright: {drift}"),
                    "undo that change in the database, then reload".into(),
                ),
                None => {
                    let mut refuse = |column: Option<&str>, message: String, help: String| {
                        refuse(Code::TABLE_CHANGE, column, message, help);
                    };
                    steps.extend(Change::new(table, &ours, statements, &mut refuse).plan());
                }
            },
        }
    }
    if refused.is_empty() { Ok(steps) } else { Err(refused) }
}

fn declared(table: &Table) -> Vec<String> {
    table.columns.iter().map(|column| column.name.clone()).collect()
}

fn required(table: &Table) -> Vec<String> {
    table.columns.iter().filter(|column| column.required).map(|column| column.name.clone()).collect()
}

#[cfg(test)]
mod tests;
