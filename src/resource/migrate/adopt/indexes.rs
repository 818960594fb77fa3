//! Unique indexes of a table of another program that no field expresses: writes that they reject would be errors of the server.

use crate::resource::table::{Index, Table};

/// Whether a table has an index that the document does not declare, and that rejects writes.
pub fn is_unwanted(wanted: &Table, index: &Index, partial: bool) -> bool {
    index.unique && (partial || !wanted.indexes.contains(index))
}

/// What is wrong with such an index, and what can be done. `known` tells the columns of the table from expressions.
pub fn unwanted(
    name: &str,
    (index, partial): (&Index, bool),
    definition: &str,
    known: impl Fn(&String) -> bool,
) -> (String, String) {
    let drop = format!("DROP INDEX \"{name}\";");
    let descending = |column: &String| column.strip_suffix(" DESC").is_some_and(|column| known(&column.to_owned()));
    let what = if partial {
        Some("is only for some rows")
    } else if index.columns.iter().any(descending) {
        Some("is in descending order")
    } else if !index.columns.iter().all(known) {
        Some("is on an expression")
    } else {
        None
    };
    if let Some(what) = what {
        let why = format!("its unique index `{name}` {what}, which no field can express: {definition}");
        let help = format!(
            "drop it, and write `unique` at the field if all rows must differ, with `ignore_case: true` for lower(…); \
             gatewright makes an index of its own: {drop}"
        );
        return (why, help);
    }
    let (first, with) = index.columns.split_first().map_or(("", &[][..]), |(first, with)| (first.as_str(), with));
    let value = unique(index.ignore_case, with);
    let why = format!("its unique index `{name}` on `{}` is not in the file", index.columns.join("`, `"));
    (why, format!("write `unique: {value}` at the field `{first}`, or drop the index: {drop}"))
}

/// What `unique` of a field says, in YAML: whether case counts, and the other fields.
pub fn unique(ignore_case: bool, with: &[String]) -> String {
    let mut parts = Vec::new();
    if ignore_case {
        parts.push("ignore_case: true".to_owned());
    }
    if !with.is_empty() {
        parts.push(format!("with: [{}]", with.join(", ")));
    }
    if parts.is_empty() { "true".to_owned() } else { format!("{{ {} }}", parts.join(", ")) }
}
