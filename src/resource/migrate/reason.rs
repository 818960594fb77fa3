//! Why a change is not made, and what to do instead.

use crate::resource::contract::{Command, Duplicate, RefusedTable};
use gatewright_sdk::Code;

/// Why a change is not made, and what to do instead.
pub(super) struct Reason {
    column: Option<String>,
    message: String,
    help: String,
    command: Option<Command>,
    duplicates: Vec<Duplicate>,
}

impl Reason {
    pub fn new(column: Option<&str>, message: String, help: impl Into<String>) -> Self {
        let (column, help) = (column.map(str::to_owned), help.into());
        Self { column, message, help, command: None, duplicates: Vec::new() }
    }

    /// The same if a command makes the change.
    pub fn by(self, command: Command) -> Self {
        Self { command: Some(command), ..self }
    }

    /// The same if some values are the reason.
    pub fn because_of(self, duplicates: Vec<Duplicate>) -> Self {
        Self { duplicates, ..self }
    }

    pub fn about(self, code: Code, table: &str) -> RefusedTable {
        let Self { column, message, help, command, duplicates } = self;
        RefusedTable { code, table: Some(table.to_owned()), column, message, help, command, duplicates }
    }
}
