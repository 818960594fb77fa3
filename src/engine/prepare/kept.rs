//! Warnings about items with equal values that were kept when a unique rule came back.

use crate::config::diagnostic::Diagnostic;
use crate::engine::stores::Used;
use crate::resource::store::{KeptDuplicates, MOST_DUPLICATES};
use gatewright_sdk::Code;

/// Items of `resource` that are equal under one of its rules.
pub fn duplicates(resource: &str, used: &Used, kept: &KeptDuplicates) -> Diagnostic {
    let KeptDuplicates { columns, found, sql, .. } = kept;
    let file = used.store.file().map(|file| format!(" in {}", file.display())).unwrap_or_default();
    let is = if columns.len() > 1 { "are unique together" } else { "is unique" };
    let values = match found.len() {
        1 => "1 value".to_owned(),
        many if many < MOST_DUPLICATES => format!("{many} values"),
        many => format!("{many} values or more"),
    };
    let message = format!(
        "`{}` of `{resource}` {is}, but some items have equal values from before the rule came back ({values}): it holds for new writes \
         only",
        columns.join("`, `")
    );
    let help =
        format!("to find the items, run this SQL{file}: {sql} give them other values or delete some, then reload");
    let path = match columns.first() {
        Some(column) => format!("resources.{resource}.fields.{column}"),
        None => format!("resources.{resource}"),
    };
    Diagnostic::warning(Code::KEPT_DUPLICATES, path, message).help(help)
}
