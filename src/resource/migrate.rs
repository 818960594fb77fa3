//! Plans the changes to a store's tables that make them match the document, and rejects changes that are not safe.
//!
//! A reload makes a change only if restoring the old document undoes it, whatever clients wrote in the meantime.
//! Everything else is rejected. So nothing is removed: a table, a column or a plain index that is no longer declared
//! stays; see `docs/decisions/018-edits-of-tables.md`.

pub mod adopt;
pub mod apply;
mod by;
mod change;
pub mod copied;
mod drift;
pub mod duplicates;
pub mod families;
pub mod hidden;
mod indexes;
pub mod key;
pub mod keys;
pub mod long;
mod reason;
mod record;
mod recorder;
mod renamed;
mod respell;
mod run;
pub mod session;
mod states;
mod step;
mod unwanted;
pub mod widen;

pub use self::by::{By, Orders};
pub use self::step::{Retype, Step};

use self::adopt::Strange;
use self::adopt::rows::Rows;
use self::change::Change;
use self::drift::Drift;
use self::key::Acting;
use self::reason::Reason;
use self::session::Dialect;
use super::contract::{Command, Count, DoubledColumn, Duplicate, HiddenColumn, RefusedTable, UnevenColumn};
use super::model::deleted::live_name;
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
    /// The same, looked at in order to take it.
    Strange(Box<Strange>),
    /// Created by a version of gatewright that writes another format of records.
    Newer(String),
    /// One of ours with columns that the document renames: the old names and the new ones. A command renames them.
    Renamed(Vec<(String, String)>),
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
    /// Unique indexes that are wanted and not in force, although some rows are duplicates; and some of those.
    pub equal: Vec<(Index, Vec<Duplicate>)>,
    /// Columns whose type could be widened but for some of their values, and why.
    pub unfit: Vec<(String, String)>,
    /// Columns that become references, and their values that refer to nothing.
    pub lost: Vec<(String, Rows)>,
    /// Columns that become references, and are foreign keys already.
    pub referring: Vec<String>,
    /// Columns that are no longer declared and have values.
    pub hidden: Vec<HiddenColumn>,
    /// Columns that are declared and have values, or gaps, from an earlier document.
    pub uneven: Vec<UnevenColumn>,
    /// Columns whose previous names are columns with values, too.
    pub doubled: Vec<DoubledColumn>,
    /// Columns that the operator renamed in the database, as the document does: the old name and the new one. `recorded` and
    /// `demands` have the new ones.
    pub renamed: Vec<(String, String)>,
    /// Columns that are not declared: how many values each has. Only if they are to be dropped.
    pub orphans: Vec<(String, Count)>,
    /// Foreign keys by which the database changes rows.
    pub acting: Vec<Acting>,
    /// How the catalog differs from the record.
    pub drift: Vec<Drift>,
}

impl Ours {
    /// As recorded, without obstacles.
    pub fn new(recorded: Table, demands: Option<Demands>, rows: u64) -> Self {
        let (made, missing, nulls, equal) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (hidden, uneven, doubled, renamed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (unfit, lost, referring, orphans) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (acting, drift) = (Vec::new(), Vec::new());
        Self {
            recorded,
            demands,
            rows,
            made,
            missing,
            nulls,
            equal,
            unfit,
            lost,
            referring,
            hidden,
            uneven,
            doubled,
            renamed,
            orphans,
            acting,
            drift,
        }
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
    /// Columns of a table that was adopted and that no field has: other programs use them.
    #[serde(default)]
    pub others: Vec<String>,
}

/// The steps from the current state of the store to `wanted`, or every reason against it.
pub fn plan(
    wanted: &[Table],
    state: impl Fn(&str) -> Option<TableState>,
    statements: &dyn Dialect,
    by: &By,
) -> Result<Vec<Step>, Vec<RefusedTable>> {
    let (mut steps, mut references) = (Vec::new(), Vec::new());
    let mut refused = Vec::new();
    for (number, table) in wanted.iter().enumerate() {
        let name = &table.name;
        let mut refuse = |code: Code, reason: Reason| refused.push(reason.about(code, name));
        if wanted.iter().take(number).any(|other| other.name == *name) {
            let message = format!("two resources use the table `{name}`");
            refuse(Code::SHARED_TABLE, Reason::new(None, message, "use a different table for each"));
            continue;
        }
        match state(name).unwrap_or(TableState::Absent) {
            TableState::Absent => {
                let required = required(table);
                let demands =
                    Demands { declared: declared(table), pinned: required.clone(), required, ..Demands::default() };
                references.extend(table.columns.iter().filter_map(|column| refer(table, column)));
                steps.extend([Step::Create(table.clone()), Step::Record(table.clone(), demands)]);
            }
            TableState::Foreign => {
                let message = format!("table `{name}` already exists and was not created by gatewright");
                let help = "set another name with `table: NAME`, or rename that table in the database";
                refuse(Code::FOREIGN_TABLE, Reason::new(None, message, help).by(Command::Adopt));
            }
            // Its rows may refer to what is not there, and its columns may not check that.
            TableState::Strange(strange)
                if let Some(column) = table.columns.iter().find(|column| !strange.refers(column)) =>
            {
                let (message, help) = strange.unfit_reference(column, name);
                refuse(Code::FOREIGN_TABLE, Reason::new(Some(&column.name), message, help));
            }
            TableState::Strange(strange) => {
                let is_kept = wanted.iter().any(|other| live_name(&other.name) == Some(name));
                if let Some(column) = strange.others(table).next().filter(|_| is_kept) {
                    let (message, help) = lost(column, name);
                    refuse(Code::FOREIGN_TABLE, Reason::new(None, message, help));
                }
                let mut refuse = |reason| refuse(Code::FOREIGN_TABLE, reason);
                let adopted = adopt::plan(table, &strange, statements, &mut refuse);
                steps.extend(keys::steps(&strange.acting, table, by, &mut refuse));
                steps.extend(adopted);
            }
            TableState::Newer(version) => {
                let message =
                    format!("the table `{name}` was created by gatewright {version}, and this version cannot read it");
                refuse(Code::FOREIGN_TABLE, Reason::new(None, message, "run that version or a later one"));
            }
            TableState::Renamed(renamed) => {
                for (old, new) in renamed {
                    let message = format!(
                        "column `{old}` of table `{name}` becomes `{new}`, which only `gatewright migrate` does"
                    );
                    let key = format!("{new}.renamed_from");
                    refuse(Code::TABLE_CHANGE, Reason::new(Some(&key), message, "").by(Command::Apply));
                }
            }
            TableState::Ours(ours) if !ours.drift.is_empty() => {
                for drift in &ours.drift {
                    let message = format!("the table `{name}` was changed outside gatewright: {}", drift.what);
                    let help = match &drift.undo {
                        Some(sql) => format!("undo that change in the database, then reload: {sql}"),
                        None => "undo that change in the database, or restore a backup, then reload".to_owned(),
                    };
                    let field = drift.column.as_deref().filter(|name| table.columns.iter().any(|c| c.name == **name));
                    refuse(Code::FOREIGN_TABLE, Reason::new(field, message, help));
                }
            }
            TableState::Ours(ours) if let Some((message, help)) = unkept(wanted, &ours, name) => {
                refuse(Code::TABLE_CHANGE, Reason::new(None, message, help));
            }
            TableState::Ours(ours) => {
                let mut refuse = |reason| refuse(Code::TABLE_CHANGE, reason);
                steps.extend(keys::steps(&ours.acting, table, by, &mut refuse));
                let changes = Change::new(table, &ours, (statements, by), &mut refuse).plan();
                references.extend(changes.iter().filter_map(|step| match step {
                    Step::AddColumn { column, .. } => refer(table, column),
                    // One whose type stays becomes a reference.
                    Step::Retype(Retype { from, column, .. }) if *from == column.kind => refer(table, column),
                    _ => None,
                }));
                steps.extend(changes);
            }
        }
    }
    // Tables may refer to each other, so all of them exist first.
    steps.extend(references);
    // They were planned for the definitions as they are, and other steps may have those of other tables written anew.
    steps.sort_by_key(|step| !matches!(step, Step::CheckOnly { .. }));
    if refused.is_empty() { Ok(steps) } else { Err(once(refused)) }
}

/// What is wrong with a table is not said again about the table of its deleted items.
fn once(mut refused: Vec<RefusedTable>) -> Vec<RefusedTable> {
    let said: Vec<_> = refused.iter().map(|one| (one.code, one.table.clone(), one.column.clone())).collect();
    refused.retain(|one| {
        let live = one.table.as_deref().and_then(live_name);
        live.is_none_or(|live| !said.contains(&(one.code, Some(live.to_owned()), one.column.clone())))
    });
    refused
}

fn refer(table: &Table, column: &Column) -> Option<Step> {
    let to = column.references.clone()?;
    Some(Step::Refer { table: table.name.clone(), column: column.name.clone(), to })
}

/// Why the deleted rows of an adopted table cannot be kept, if it has columns that no field has: they would come back without them.
fn unkept(wanted: &[Table], ours: &Ours, name: &str) -> Option<(String, String)> {
    let is_kept = wanted.iter().any(|table| live_name(&table.name) == Some(name));
    ours.demands.as_ref()?.others.first().filter(|_| is_kept).map(|column| lost(column, name))
}

/// What is wrong with such a column, and what to do.
fn lost(column: &str, table: &str) -> (String, String) {
    let message = format!(
        "with `soft_delete`, deleted items of table `{table}` would lose their values of `{column}`, which no field has"
    );
    (message, format!("declare a field `{column}`, drop that column, or remove `soft_delete`"))
}

fn declared(table: &Table) -> Vec<String> {
    table.columns.iter().map(|column| column.name.clone()).collect()
}

fn required(table: &Table) -> Vec<String> {
    table.columns.iter().filter(|column| column.required).map(|column| column.name.clone()).collect()
}

#[cfg(test)]
mod tests;
