//! What has to be done to a store's tables so that they match the document, and what must not be done.
//!
//! A change is made by a reload when putting the old document back undoes it, whatever clients wrote meanwhile.
//! Everything else is refused. So nothing is taken away: a table, a column or a plain index that is no longer declared
//! stays; see `docs/decisions/018-edits-of-tables.md`.

mod change;

use self::change::Change;
use super::contract::RefusedTable;
use super::table::{Column, Index, Table};
use gatewright_sdk::Code;
use serde::{Deserialize, Serialize};

/// Up to this many rows an index is built while others wait.
pub const MANY_ROWS: u64 = 100_000;

/// What a store has under the name of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableState {
    Absent,
    /// A table that gatewright did not make.
    Foreign,
    /// Made by a gatewright that writes another kind of record.
    Newer(String),
    Ours(Box<Ours>),
}

/// A table of ours, and what was found out about it for the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ours {
    /// Its shape as it was made, with what is no longer declared.
    pub recorded: Table,
    /// `None` when it was recorded by a version that kept none.
    pub demands: Option<Demands>,
    /// How many rows it has, counted up to just over [`MANY_ROWS`].
    pub rows: u64,
    /// Indexes made by hand as we would have made them, to get over a refusal.
    pub made: Vec<Index>,
    /// Recorded indexes that are not there.
    pub missing: Vec<Index>,
    /// Columns that are to be required from now on, and have rows without a value.
    pub nulls: Vec<String>,
    /// Unique indexes that are wanted and not in force, although some rows are equal.
    pub equal: Vec<Index>,
    /// How the catalog differs from the record, in words.
    pub drift: Option<String>,
}

impl Ours {
    /// As recorded, with nothing found that stands in the way.
    pub fn new(recorded: Table, demands: Option<Demands>, rows: u64) -> Self {
        let (made, missing, equal) = (Vec::new(), Vec::new(), Vec::new());
        Self { recorded, demands, rows, made, missing, nulls: Vec::new(), equal, drift: None }
    }
}

/// What documents demanded of a table, to know which demands may come back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demands {
    /// Columns that the last document declares, and those of them that it requires.
    pub declared: Vec<String>,
    pub required: Vec<String>,
    /// Required columns that cannot be taken out at once: the document before the last had them too.
    pub pinned: Vec<String>,
    /// Columns that one document required and the next one did not: rows without a value were allowed.
    pub loosened: Vec<String>,
    /// Unique indexes that an earlier document had and a later one had not.
    pub released: Vec<Index>,
    /// Unique indexes that hold for what is written alone: rows from before are equal.
    pub guarded: Vec<Index>,
}

/// One thing to do.
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
    /// A unique index that comes back to rows some of which are equal: it holds for what is written from now on.
    GuardIndex {
        table: String,
        index: Index,
    },
    /// E-mail addresses from before there was a normal form are brought into it.
    Respell {
        table: String,
        column: String,
    },
    /// Write down the shape, with what is no longer declared, and the demands.
    Record(Table, Demands),
}

/// The steps that bring the store from its present state to `wanted`, or everything that speaks against it.
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
            refuse(Code::SHARED_TABLE, None, message, "give each its own table".into());
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
                format!("the table `{name}` exists and was not created by gatewright"),
                "choose another name with `table: NAME`, or rename that table in the database".into(),
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

/// The statements that an operator can run by hand.
pub trait Dialect {
    fn create_index(&self, table: &str, index: &Index) -> String;
    /// Shows which rows are equal.
    fn find_equal(&self, table: &str, index: &Index) -> String;
}

fn declared(table: &Table) -> Vec<String> {
    table.columns.iter().map(|column| column.name.clone()).collect()
}

fn required(table: &Table) -> Vec<String> {
    table.columns.iter().filter(|column| column.required).map(|column| column.name.clone()).collect()
}

#[cfg(test)]
mod tests;
