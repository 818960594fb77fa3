//! What a write does about the rows it found, and what its statements did.

use super::{Error, Param, Sql};

/// What a write does about the rows it found.
pub struct Decision<T> {
    /// The statements to run, in order.
    pub statements: Vec<Sql>,
    /// What the caller gets when they have worked.
    pub value: T,
    /// Whether they did what they must have done. If not, nothing is written, unless the only statement did nothing anyway.
    pub check: Option<Check>,
    /// Statements that must count no rows, by position, and what it means if they do. In PostgreSQL they fail by themselves.
    pub none: Vec<(usize, String)>,
    /// Deletes of rows that refer to each other.
    pub trees: Vec<Tree>,
}

/// A statement that deletes rows that refer to each other: if the database discards a part of it, a foreign key fails.
#[derive(Debug, Clone)]
pub struct Tree {
    /// The position of the statement.
    pub at: usize,
    /// Counts its rows, before.
    pub count: Sql,
    /// What it means if it does not delete them all.
    pub reason: String,
}

/// Judges what each statement did.
pub type Check = Box<dyn Fn(&[Done]) -> Result<(), Error> + Send + Sync>;

impl<T> Decision<T> {
    /// Writes nothing.
    pub const fn leave(value: T) -> Self {
        Self { statements: Vec::new(), value, check: None, none: Vec::new(), trees: Vec::new() }
    }

    pub fn run(statements: impl Into<Vec<Sql>>, value: T) -> Self {
        Self { statements: statements.into(), value, check: None, none: Vec::new(), trees: Vec::new() }
    }

    /// The same, if `check` agrees with what the statements do.
    pub fn checked(self, check: impl Fn(&[Done]) -> Result<(), Error> + Send + Sync + 'static) -> Self {
        Self { check: Some(Box::new(check)), ..self }
    }

    /// The same with deletes of rows that refer to each other.
    pub fn trees(self, trees: Vec<Tree>) -> Self {
        Self { trees, ..self }
    }

    /// The same, if each of these statements counts no rows. They are asked in their order, before the next one runs.
    pub fn none(self, none: Vec<(usize, String)>) -> Self {
        Self { none, ..self }
    }
}

/// What one statement of a write did.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// How many rows it changed.
    pub changed: u64,
    /// The first cell of the first row it returned.
    pub first: Param,
}

impl Done {
    /// An error if the statement was to write a row, and a trigger or a rule of the database discarded it without one.
    pub fn wrote(done: Option<&Self>, written: &str) -> Result<(), Error> {
        match done {
            Some(done) if done.changed > 0 => Ok(()),
            _ => Err(Error::discarded(written)),
        }
    }

    /// An error if the statement, the one at `position`, should have counted no rows.
    pub fn counts_none(&self, position: usize, none: &[(usize, String)]) -> Result<(), Error> {
        match none.iter().find(|(at, _)| *at == position) {
            Some((_, reason)) if self.first != Param::Integer(0) => Err(Error::Internal(reason.clone())),
            _ => Ok(()),
        }
    }
}
