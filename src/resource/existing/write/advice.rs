//! What an operator can do with a table that does not fit: its key, and columns of types that no field has.

use super::super::{Column, Existing, Kind};
use super::comment;
use crate::resource::existing::default::quoted;
use crate::resource::migrate::session::{Counter, Dialect};
use crate::resource::postgres::schema::PostgresCatalog;
use crate::resource::sqlite::schema::SqliteCatalog;

/// The key, and what must be done before it can be one.
pub(super) fn id(found: &Existing, text: &mut String) {
    let has_id = found.columns.iter().any(|column| column.name == "id");
    let [key] = found.key.as_slice() else {
        let key = if found.key.is_empty() {
            "no primary key".to_owned()
        } else {
            format!("the primary key ({})", found.key.join(", "))
        };
        let how = dialect(found).give_key(&found.table, &found.key, has_id);
        comment(
            text,
            4,
            &format!(
                "The table has {key}, and a resource needs one column `id` as its key. Before `migrate --adopt`: {how}"
            ),
        );
        if !found.loose || !has_id {
            text.push_str("    id: { type: integer }\n");
        }
        return;
    };
    if key != "id" {
        let how = dialect(found).give_key(&found.table, &found.key, has_id);
        comment(
            text,
            4,
            &format!("The primary key is `{key}`, and a resource needs `id`. Before `migrate --adopt`: {how}"),
        );
    }
    let column = found.columns.iter().find(|column| column.name == *key);
    match column.map(|column| &column.kind) {
        Some(Kind::Uuid) => text.push_str("    id: { type: uuid }\n"),
        Some(Kind::Integer { .. }) => {
            if let Counter::Unfit { why, help } = &found.counter {
                comment(text, 4, &format!("Before `migrate --adopt`: {why}; {}", help.replace(", then reload", "")));
            }
            text.push_str("    id: { type: integer }\n");
        }
        Some(Kind::Text { .. }) => {
            comment(text, 4, "Ids are chosen by clients. In SQLite, texts that are all UUIDs can be `type: uuid`.");
            text.push_str("    id: { type: string }\n");
        }
        _ => {
            let written = column.map_or("unknown", |column| column.written.as_str());
            comment(text, 4, &format!("The key has the type {written}; a resource needs uuid, an integer or text."));
        }
    }
}

fn dialect(found: &Existing) -> &'static dyn Dialect {
    if found.loose { &SqliteCatalog } else { &PostgresCatalog }
}

/// How a column of a type that no field has can be served.
pub(super) fn instead(found: &Existing, column: &Column) -> String {
    let (table, name) = (quoted(&found.table), quoted(&column.name));
    if found.loose {
        let text = quoted(&format!("{}_text", column.name));
        // Only values that are bytes are not text already: `12:30` in a column of the type TIME is.
        let value = if column.written.to_ascii_uppercase().contains("BLOB") {
            format!("hex({name})")
        } else {
            format!("CASE typeof({name}) WHEN 'blob' THEN hex({name}) ELSE CAST({name} AS TEXT) END")
        };
        return format!(
            "To serve its values, keep them as text: ALTER TABLE {table} ADD COLUMN {text} TEXT; UPDATE {table} SET {text} = {value};"
        );
    }
    let to = match column.written.as_str() {
        list if list.ends_with("[]") => format!("json USING to_json({name})"),
        "bytea" => format!("text USING encode({name}, 'base64')"),
        _ => format!("text USING {name}::text"),
    };
    format!("To serve it, and if other programs can use that, too: ALTER TABLE {table} ALTER COLUMN {name} TYPE {to};")
}

/// The statements that give a decimal as few digits as a field has.
pub(super) fn fewer_digits(found: &Existing, name: &str) -> String {
    let (table, name) = (quoted(&found.table), quoted(name));
    if found.loose {
        return format!("SELECT max(length({name})) FROM {table};");
    }
    format!(
        "SELECT max(abs({name})), max(scale(trim_scale({name}))) FROM {table}; ALTER TABLE {table} ALTER COLUMN {name} TYPE \
         numeric(38,10);"
    )
}
