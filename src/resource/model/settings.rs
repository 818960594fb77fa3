//! Checks a resource apart from its fields and rules: names, pages, order, indexes.

use crate::config::document::resource::{Count, Generate, IdKind, Resource};
use crate::resource::field::Field;
use crate::resource::order::SortKey;
use crate::resource::predicate::Column;
use crate::resource::table::Index;
use gatewright_sdk::{Code, Fault, HumanDuration};

/// Names become part of SQL, so only few characters are allowed.
pub fn is_identifier(name: &str) -> bool {
    let rest = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    name.len() <= 48 && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.bytes().all(rest)
}

pub const NAME_HELP: &str =
    "start with a lowercase letter; use lowercase letters, digits and `_`, at most 48 characters";

pub(super) fn check(name: &str, table: &str, spec: &Resource, faults: &mut Vec<Fault>) {
    let reserved = ["_gw_", "sqlite_", "pg_"].iter().find(|prefix| table.starts_with(**prefix));
    let place = if spec.table.is_some() { "table" } else { "" };
    if let Some(prefix) = reserved {
        let message = format!("table name `{table}` is not allowed: the store reserves the prefix `{prefix}`");
        faults.push(Fault::new(place, message).code(Code::TABLE_NAME).help("set another name: `table: NAME`"));
    } else if !is_identifier(table) {
        let what = if spec.table.is_some() { "table" } else { "the name of the resource, which is also its table," };
        let message = format!("{what} `{}` is not a valid table name", shown(table));
        faults.push(Fault::new(place, message).code(Code::TABLE_NAME).help(NAME_HELP));
    }
    let fits = match (spec.id.r#type, spec.id.generate) {
        (_, None) | (IdKind::Uuid, Some(Generate::V7 | Generate::V4)) | (IdKind::Integer, Some(Generate::Auto)) => true,
        (IdKind::Uuid | IdKind::Integer | IdKind::String, Some(_)) => false,
    };
    if !fits {
        faults.push(
            Fault::new("id.generate", format!("`generate` does not match the type of the `id` of {name}"))
                .code(Code::ID_GENERATE)
                .help("use `v7` or `v4` for uuid, or `auto` for integer; remove `generate` for string"),
        );
    }
    if spec.idempotency.ttl < HumanDuration::from_secs(1) {
        let fault = Fault::new("idempotency.ttl", "`ttl` must be at least 1s").code(Code::OUT_OF_RANGE);
        faults.push(fault.help("use a time such as 24h"));
    }
    let pages = &spec.pagination;
    if pages.per_page == 0 {
        faults.push(Fault::new("pagination.per_page", "`per_page` must be at least 1").code(Code::OUT_OF_RANGE));
    }
    if !(1..=1000).contains(&pages.max_per_page) {
        faults.push(
            Fault::new("pagination.max_per_page", "`max_per_page` must be between 1 and 1000").code(Code::OUT_OF_RANGE),
        );
    }
    if pages.per_page > pages.max_per_page {
        let text = format!("`per_page` ({}) is greater than `max_per_page` ({})", pages.per_page, pages.max_per_page);
        faults.push(Fault::new("pagination.per_page", text).code(Code::OUT_OF_RANGE));
    }
    if spec.count == Count::Capped(0) {
        faults.push(
            Fault::new("count", "`cap` must be at least 1")
                .code(Code::OUT_OF_RANGE)
                .help("to disable counting, write `count: none`"),
        );
    }
    if spec.body_limit.0 == 0 {
        faults.push(Fault::new("body_limit", "`body_limit` must not be zero").code(Code::ZERO));
    }
    if spec.timeout.is_zero() {
        faults.push(Fault::new("timeout", "`timeout` must not be zero").code(Code::ZERO));
    }
    if spec.operations.as_ref().is_some_and(Vec::is_empty) {
        faults.push(
            Fault::new("operations", "`operations` is empty")
                .code(Code::WRONG_LENGTH)
                .help("add at least one, or remove the key to allow all"),
        );
    }
}

/// A name from the file, cut to a length that fits a line.
pub(super) fn shown(name: &str) -> String {
    name.chars().take(80).collect()
}

pub(super) fn sort(spec: &Resource, fields: &[Field], faults: &mut Vec<Fault>) -> Vec<SortKey> {
    let Some(text) = &spec.sort else { return Vec::new() };
    let mut keys: Vec<SortKey> = Vec::new();
    for word in text.split(',') {
        let word = word.trim();
        let (descending, name) = word.strip_prefix('-').map_or((false, word), |name| (true, name));
        let column = if name == "id" {
            Column::Id
        } else {
            match fields.iter().position(|field| field.name == name) {
                None => {
                    let message = format!("`sort` contains `{}`, which is not a field", shown(name));
                    faults.push(Fault::new("sort", message).code(Code::UNKNOWN_FIELD));
                    continue;
                }
                Some(position) if !fields.get(position).is_some_and(|field| field.sort) => {
                    let fault =
                        Fault::new("sort", format!("`sort` contains `{name}`, which is not sortable")).code(Code::SORT);
                    faults.push(fault.help(format!("add `sort: true` to the field `{name}`")));
                    continue;
                }
                Some(position) => Column::Field(position),
            }
        };
        if keys.iter().any(|key| key.column == column) {
            faults.push(Fault::new("sort", format!("`sort` contains `{name}` twice")).code(Code::SORT));
            continue;
        }
        keys.push(SortKey { column, descending });
    }
    keys
}

pub(super) fn indexes(spec: &Resource, faults: &mut Vec<Fault>) -> Vec<Index> {
    let mut made = Vec::new();
    for (at, columns) in spec.indexes.iter().enumerate() {
        if columns.is_empty() {
            faults.push(Fault::new(format!("indexes[{at}]"), "an index requires at least one field").code(Code::INDEX));
        }
        for (nth, column) in columns.iter().enumerate() {
            let place = format!("indexes[{at}][{nth}]");
            if !spec.fields.contains(column) {
                let message = format!("the index contains `{}`, which is not a field", shown(column));
                faults.push(Fault::new(place, message).code(Code::UNKNOWN_FIELD));
            } else if columns.iter().take(nth).any(|earlier| earlier == column) {
                faults.push(Fault::new(place, format!("the index contains `{column}` twice")).code(Code::INDEX));
            }
        }
        if made.iter().any(|index: &Index| index.columns == *columns) {
            faults.push(Fault::new(format!("indexes[{at}]"), "this index is listed twice").code(Code::INDEX));
        }
        made.push(Index { columns: columns.clone(), unique: false, ignore_case: false, ordered: false });
    }
    made
}
