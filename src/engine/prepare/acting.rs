//! Warnings about foreign keys by which the database changes items without the gateway.

use crate::config::diagnostic::Diagnostic;
use crate::resource::store::{ActingKey, by_collation};
use gatewright_sdk::Code;

/// A key of the table of `resource`.
pub(super) fn key(resource: &str, key: &ActingKey) -> Diagnostic {
    let ActingKey { table, columns, parent, clauses, .. } = key;
    let field = match columns.first() {
        Some(column) if key.can_refer => {
            format!("; or declare `{column}` with `type: ref`, and `on_delete: cascade` or `set_null`")
        }
        Some(column) if key.by_collation => format!("; {}", by_collation(column)),
        _ => String::new(),
    };
    let columns = columns.join("`, `");
    let message = format!(
        "the foreign key of `{columns}` in table `{table}` has {clauses}: when rows of `{parent}` are deleted or changed, the database \
         changes items of `{resource}`, and their entity tags stay"
    );
    let help = format!("`gatewright migrate --apply` makes the key check only{field}");
    Diagnostic::warning(Code::ACTING_KEY, format!("resources.{resource}"), message).help(help)
}
