//! Warnings about columns with values, or gaps, from an earlier configuration.

use crate::config::diagnostic::Diagnostic;
use crate::engine::stores::Used;
use crate::resource::store::{Cause, DoubledColumn, UnevenColumn};
use gatewright_sdk::Code;

/// A field of `resource` was declared again, or is required again.
pub(super) fn column(resource: &str, used: &Used, uneven: &UnevenColumn) -> Diagnostic {
    let UnevenColumn { column, cause, items, sql, .. } = uneven;
    let file = used.store.file().map(|file| format!(" in {}", file.display())).unwrap_or_default();
    let (message, help) = match cause {
        Cause::Returned => (
            format!("field `{column}` of `{resource}` has {} from before it was removed", items.of("value")),
            format!("clients see the values again; to clear them, run this SQL{file}: {sql}"),
        ),
        Cause::Missing => (
            format!("field `{column}` of `{resource}` is required, but {} no value", with_verb(&items.of("item"))),
            format!("clients see null; give the items a value with this SQL{file}: {sql}"),
        ),
    };
    Diagnostic::warning(Code::UNEVEN_VALUES, format!("resources.{resource}.fields.{column}"), message).help(help)
}

/// A field of `resource` names a previous one whose column still has values beside it.
pub fn doubled(resource: &str, used: &Used, doubled: &DoubledColumn) -> Diagnostic {
    let DoubledColumn { table, column, former, values, sql } = doubled;
    let file = used.store.file().map(|file| format!(" in {}", file.display())).unwrap_or_default();
    let message = format!(
        "`{column}` of `{resource}` cannot be renamed from `{former}` any more: table `{table}` has both columns, and `{former}` \
         still has {}",
        values.of("value")
    );
    let copy = if sql.is_empty() {
        String::new()
    } else {
        format!("to copy them where `{column}` has none, run this SQL{file}: {sql} ")
    };
    let help = format!("{copy}then remove `renamed_from`; `gatewright migrate --prune` drops `{former}`");
    let path = format!("resources.{resource}.fields.{column}.renamed_from");
    Diagnostic::warning(Code::HIDDEN_VALUES, path, message).help(help)
}

/// `1 item has`, `2 items have`.
fn with_verb(items: &str) -> String {
    format!("{items} {}", if items.ends_with('s') { "have" } else { "has" })
}
