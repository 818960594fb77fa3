//! The types between stores and resources: statements, values, rows, and errors.

mod decision;
mod equal;
mod foreign_key;
mod written;

pub use self::decision::{Decision, Done, Tree};
pub use self::equal::{Duplicate, KeptDuplicates};
pub use self::foreign_key::{ForeignKey, Side};
pub use self::written::{Verb, written};

use gatewright_sdk::Code;
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A bound value. Values are never part of the SQL text.
#[derive(Debug, Clone, PartialEq)]
pub enum Param {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
}

impl Param {
    /// A constant of the configuration as SQL text. Values of requests are never written like this.
    pub fn literal(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Integer(number) => Some(number.to_string()),
            Self::Real(number) => Some(format!("{number:?}")),
            Self::Text(text) => Some(format!("'{}'", text.replace('\'', "''"))),
        }
    }
}

/// SQL text, built from validated names, and the values bound to it: `$1` is the first one.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Sql {
    pub text: String,
    pub parameters: Vec<Param>,
    /// Whether it inserts one row, or is about the row whose id is its last parameter.
    pub of_row: bool,
}

impl Sql {
    /// A text whose values are all known.
    pub fn new(text: impl Into<String>, parameters: impl Into<Vec<Param>>) -> Self {
        Self { text: text.into(), parameters: parameters.into(), of_row: false }
    }

    /// The same about one row: see [`Sql::of_row`].
    pub fn of_row(text: impl Into<String>, parameters: impl Into<Vec<Param>>) -> Self {
        Self { of_row: true, ..Self::new(text, parameters) }
    }

    /// The version that it gives a row. Others begin with another value, which is no version.
    pub fn version(&self) -> Option<i64> {
        match self.parameters.first() {
            Some(Param::Integer(version)) => Some(*version),
            _ => None,
        }
    }
}

/// A row copied from a store, by column position of its statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Found(pub Vec<Param>);

impl Found {
    pub fn of(row: &dyn Row) -> Self {
        Self((0..row.width()).map(|column| row.cell(column).owned()).collect())
    }
}

/// What a write with one look found.
pub fn only(found: Vec<Option<Found>>) -> Option<Found> {
    found.into_iter().next().flatten()
}

impl Row for Found {
    fn width(&self) -> usize {
        self.0.len()
    }

    fn cell(&self, column: usize) -> Cell<'_> {
        self.0.get(column).map_or(Cell::Null, Cell::of)
    }
}

/// A statement: text built once from validated names, and the values of one request.
#[derive(Debug, Clone)]
pub struct Statement {
    pub sql: Arc<str>,
    pub parameters: Vec<Param>,
    /// How long it may run; then it fails with [`Error::Deadline`].
    pub deadline: Duration,
}

/// A cell of a row, borrowed from the store while the row is looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(&'a str),
}

impl<'a> Cell<'a> {
    pub fn of(value: &'a Param) -> Self {
        match value {
            Param::Null => Self::Null,
            Param::Integer(number) => Self::Integer(*number),
            Param::Real(number) => Self::Real(*number),
            Param::Text(text) => Self::Text(text),
        }
    }

    /// A value to keep.
    pub fn owned(self) -> Param {
        match self {
            Self::Null => Param::Null,
            Self::Integer(number) => Param::Integer(number),
            Self::Real(number) => Param::Real(number),
            Self::Text(text) => Param::Text(text.to_owned()),
        }
    }
}

/// One row, by column position of the statement.
pub trait Row {
    /// How many columns it has.
    fn width(&self) -> usize;

    fn cell(&self, column: usize) -> Cell<'_>;
}

/// The rows of one statement, in order.
pub trait Rows {
    /// The next row, or `None` after the last one.
    fn next(&mut self) -> Result<Option<&dyn Row>, Error>;
}

/// An error of a store.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A unique index was hit; carries the columns of the index.
    #[error("unique constraint on {0:?}")]
    Unique(Vec<String>),
    /// The row is still referenced, or refers to a missing row.
    #[error("foreign key constraint")]
    Referenced(ForeignKey),
    /// A value is too long for an index.
    #[error("a value is too long for an index")]
    TooLong,
    /// The queue to the store is full.
    #[error("store is busy")]
    Busy,
    /// The statement ran out of time.
    #[error("statement deadline")]
    Deadline,
    /// The store cannot be used now: locked, disk full, gone.
    #[error("store is unavailable: {0}")]
    Unavailable(String),
    /// A change of tables met something that the operator must change first: what, and how.
    #[error("{why}")]
    Blocked { why: String, help: String },
    /// Anything else: a bug.
    #[error("store failed: {0}")]
    Internal(String),
}

impl Error {
    /// A row that should have been `written`: inserted, changed or deleted.
    pub fn discarded(written: &str) -> Self {
        Self::Internal(discarded(written))
    }

    /// Its kind as one word, for spans and metrics.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unique(_) => "unique",
            Self::Referenced(_) => "referenced",
            Self::TooLong => "too_long",
            Self::Busy => "busy",
            Self::Deadline => "deadline",
            Self::Unavailable(_) => "unavailable",
            Self::Blocked { .. } => "blocked",
            Self::Internal(_) => "internal",
        }
    }
}

/// Why a transaction runs again: rows were added to those that it is about before all of them were locked.
pub const OVERTAKEN: &str = "another transaction added rows to those that are deleted";

/// Why a row was not written: inserted, changed or deleted.
pub fn discarded(written: &str) -> String {
    prevented(&format!("no row was {written}"))
}

/// Why `what` is so: the database accepted a statement and did not carry it out.
pub fn prevented(what: &str) -> String {
    format!("{what}: a trigger or a rule of the database prevents it")
}

/// Why a table cannot be migrated to the declared shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedTable {
    pub code: Code,
    /// The table it is about; `None` if the store itself cannot be used.
    pub table: Option<String>,
    /// The field it is about, when it is about one, or a key of it: `title`, `title.renamed_from`.
    pub column: Option<String>,
    pub message: String,
    /// What to do instead.
    pub help: String,
    /// What makes the change, if a command does.
    pub command: Option<Command>,
    /// Values that are not unique, if that is the reason.
    pub duplicates: Vec<Duplicate>,
}

/// What `gatewright migrate` is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Make the changes.
    Apply,
    /// Take tables that gatewright did not create.
    Adopt,
    /// Print the SQL, which someone else runs.
    Print,
}

/// The moment a deadline ends. A day is as good as any longer time, and can be added to every clock.
pub fn after(deadline: Duration) -> Instant {
    Instant::now() + deadline.min(Duration::from_secs(24 * 60 * 60))
}

/// What migrating the tables would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Planned {
    /// What would change, in order.
    pub steps: Vec<PlannedStep>,
    pub hidden: Vec<HiddenColumn>,
    pub uneven: Vec<UnevenColumn>,
    pub doubled: Vec<DoubledColumn>,
    pub acting: Vec<ActingKey>,
    pub kept: Vec<KeptDuplicates>,
    /// Tables with rows that gatewright created and that are not wanted.
    pub unused: Vec<(String, Count)>,
    /// Wanted tables that have no rows, or do not exist yet.
    pub empty: Vec<String>,
}

/// A step of a plan, for people and programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedStep {
    /// Its kind as one word.
    pub kind: &'static str,
    pub table: Option<String>,
    pub column: Option<String>,
    /// Its description: `create table users`.
    pub text: String,
    /// Whether values are lost.
    pub destructive: bool,
    /// Whether it is made before the transaction with all other steps, while others write.
    pub live: bool,
    /// Its statements.
    pub sql: Vec<String>,
    /// What the operator should know about it.
    pub warning: Option<String>,
}

/// A served column with values, or gaps, that come from an earlier document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnevenColumn {
    pub table: String,
    pub column: String,
    pub cause: Cause,
    /// How many items are concerned.
    pub items: Count,
    /// The statement that changes them.
    pub sql: String,
}

/// Why a column differs from what its field declares now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The field is declared again, so its old values are served again.
    Returned,
    /// The field is required again, and some items have no value.
    Missing,
}

/// A column whose field names a previous one that the table still has, with values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoubledColumn {
    pub table: String,
    pub column: String,
    pub former: String,
    pub values: Count,
    /// The statement that copies them.
    pub sql: String,
}

/// A foreign key of another program by which the database changes rows of a resource, without a field that says what happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActingKey {
    /// The table of the resource, and that of the key: the same, or one that shares rows with it.
    pub served: String,
    pub table: String,
    pub columns: Vec<String>,
    /// What it refers to.
    pub parent: String,
    /// `ON DELETE CASCADE`.
    pub clauses: String,
    /// Whether a field could refer to the same items.
    pub can_refer: bool,
    /// Whether a field does, and the database compares ids in another way than the gateway.
    pub by_collation: bool,
}

/// A column that was declared so far and no longer is, although it has values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HiddenColumn {
    pub table: String,
    pub column: String,
    pub values: Count,
    /// The new columns that could take the values.
    pub heirs: Vec<String>,
    /// The table whose rows cannot be deleted as long as the values refer to them.
    pub refers_to: Option<String>,
    /// A version for a row, in SQL.
    pub version: &'static str,
}

/// A count that ends at a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    pub found: u64,
    /// Whether everything was counted.
    pub complete: bool,
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.found.to_string();
        let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect::<Vec<_>>();
        write!(f, "{}{}", if self.complete { "" } else { "at least " }, groups.join(","))
    }
}

impl Count {
    /// `1 row`, `1,204 rows`.
    pub fn of(&self, noun: &str) -> String {
        format!("{self} {noun}{}", if self.found == 1 && self.complete { "" } else { "s" })
    }
}

impl HiddenColumn {
    /// The statement that copies the values into a column. It also gives the rows new versions, and so new entity tags.
    pub fn copy(&self, to: &str) -> String {
        let Self { table, column, version, .. } = self;
        format!(
            "UPDATE \"{table}\" SET \"{to}\" = \"{column}\", \"_version\" = {version} WHERE \"{column}\" IS NOT NULL;"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_written_in_groups_of_three_digits() {
        let text = |found, complete| Count { found, complete }.to_string();
        assert_eq!(text(0, true), "0");
        assert_eq!(text(999, true), "999");
        assert_eq!(text(1204, true), "1,204");
        assert_eq!(text(100_001, false), "at least 100,001");
        assert_eq!(text(1_000_000, true), "1,000,000");
    }
}
