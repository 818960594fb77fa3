//! Who changes tables, and what they may change.

use super::Step;
use super::reason::Reason;
use crate::config::document::process::Migrate;
use crate::resource::contract::{Command, RefusedTable};
use gatewright_sdk::Code;

/// Who changes tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// A start or a reload: only what restoring the old document undoes, and only if the store's `migrate` allows it.
    Reload(Migrate),
    /// `gatewright migrate`.
    Command(Orders),
}

/// What the operator asks `gatewright migrate` for, besides what the document needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Orders {
    /// Drop columns and tables that are no longer declared.
    pub prune: bool,
    /// Tables that are not dropped, although none of the wanted ones: other resources have them.
    pub keep: Vec<String>,
    /// Take tables that gatewright did not create.
    pub adopt: bool,
}

impl Default for By {
    fn default() -> Self {
        Self::Reload(Migrate::Additive)
    }
}

impl By {
    pub const fn is_command(&self) -> bool {
        matches!(self, Self::Command(_))
    }

    pub const fn prunes(&self) -> bool {
        matches!(self, Self::Command(Orders { prune: true, .. }))
    }

    pub const fn adopts(&self) -> bool {
        matches!(self, Self::Command(Orders { adopt: true, .. }))
    }

    /// Whether it may make this step. What is only recorded is never a change of a table.
    pub const fn may(&self, step: &Step) -> bool {
        match self {
            Self::Reload(Migrate::Manual | Migrate::None) => step.is_minor(),
            Self::Reload(Migrate::Additive) | Self::Command(_) => true,
        }
    }

    /// The refusal of a step that it may not make.
    pub fn refusal(&self, step: &Step) -> RefusedTable {
        let (word, command) = match self {
            Self::Reload(Migrate::None) => ("none", Command::Print),
            _ => ("manual", Command::Apply),
        };
        let (table, column) = step.place();
        let message = format!("`migrate: {word}` does not allow a reload to {}", step.before());
        let reason = Reason::new(column, message, "").by(command);
        RefusedTable { table: table.map(str::to_owned), ..reason.about(Code::TABLE_CHANGE, "") }
    }
}
