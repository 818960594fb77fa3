//! Tables that cannot be changed, as diagnostics.

use crate::config::diagnostic::Diagnostic;
use crate::engine::stores::Used;
use crate::resource::store::{Command, RefusedTable};

/// The flags of `gatewright migrate` for a command.
pub const fn flags(command: Command) -> &'static str {
    match command {
        Command::Apply => "--apply",
        Command::Adopt => "--adopt",
        Command::Print => "--format sql",
    }
}

/// The diagnostic about a table of `used`; `advice` says how to run the command that makes the change.
pub fn diagnostic(used: &Used, refused: RefusedTable, advice: Option<String>) -> Diagnostic {
    let resource = used.tables.iter().find(|(_, table)| Some(&table.name) == refused.table.as_ref());
    let path = match (resource, &refused.column) {
        // It is no field: `id` of the resource says what it is.
        (Some((resource, _)), Some(column)) if column == "id" => format!("resources.{resource}.id"),
        (Some((resource, _)), Some(column)) => format!("resources.{resource}.fields.{column}"),
        (Some((resource, _)), None) => format!("resources.{resource}"),
        (None, _) => format!("stores.{}.url", used.name),
    };
    let help = [advice.unwrap_or_default(), refused.help];
    let help = help.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; or ");
    Diagnostic {
        help: Some(help).filter(|help| !help.is_empty()),
        ..Diagnostic::error(refused.code, path, refused.message)
    }
}
