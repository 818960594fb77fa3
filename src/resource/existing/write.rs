//! Writes the YAML of a resource for a table. What a resource does not express is a comment at its place.

mod advice;

use self::advice::{fewer_digits, id, instead};
use super::default::{Default, default, quoted};
use super::{Column, Existing, FoundIndex, Kind};
use crate::config::document::store_url::{StoreKind, StoreUrl};
use crate::resource::migrate::adopt::indexes;
use crate::resource::model::{is_identifier, taken};
use std::borrow::Cow;
use std::fmt::Write as _;

/// Parts of the names of columns that clients should not see.
const SECRET: [&str; 6] = ["password", "passwd", "secret", "token", "hash", "salt"];
/// The longest comment in a line.
const WIDTH: usize = 140;

/// A whole configuration that `gatewright check` accepts.
pub fn yaml(found: &Existing, url: &StoreUrl) -> String {
    let (name, place) = (&found.table, &found.place);
    let key = plain(name);
    let shown = match &url.store {
        StoreKind::SqliteFile(_) => format!("sqlite://{place}"),
        _ => format!("${{env.DATABASE_URL:-{}}}", url.without_password()),
    };
    let mut text = format!(
        "# The table `{name}` of {} as a resource, written by `gatewright resource`.\n\
         #\n\
         # 1. Read the comments below: each is about something that the table has and a resource does not express.\n\
         # 2. In `access`, write who may do what. Until then, no one may do anything.\n\
         # 3. `gatewright check FILE` validates this file.\n\
         # 4. `gatewright migrate --adopt FILE` lists what gatewright needs to change in the table. With `--apply`, it takes the table.\n\
         version: 1\nlisteners: {{ web: {{ address: \"127.0.0.1:3000\" }} }}\nstores: {{ main: {{ url: {} }} }}\n\
         resources:\n  {key}:\n    store: main\n",
        one_line(place),
        quoted(&shown),
    );
    id(found, &mut text);
    let mut fields = String::new();
    for column in found.columns.iter().filter(|column| !is_own(found, column)) {
        field(found, column, &mut fields);
    }
    let some = fields.lines().any(|line| !line.trim_start().starts_with('#'));
    text.push_str("    access: { default: none }\n");
    text.push_str(if some { "    fields:\n" } else { "    fields: {}\n" });
    text.push_str(&fields);
    rest(found, &mut text);
    let _ = write!(text, "routes:\n  {key}: {{ path: /{name}, resource: {key} }}\n");
    text
}

/// A name in YAML. Some are no text there without quotes.
fn plain(name: &str) -> Cow<'_, str> {
    match name {
        "null" | "true" | "false" => Cow::Owned(quoted(name)),
        _ => Cow::Borrowed(name),
    }
}

/// The id and the version are not fields.
fn is_own(found: &Existing, column: &Column) -> bool {
    column.name == "id" || column.name == "_version" || found.key == [column.name.as_str()]
}

fn field(found: &Existing, column: &Column, text: &mut String) {
    let Column { name, written, kind, nullable, .. } = column;
    let missing = if *nullable || column.default.is_some() || column.generated {
        String::new()
    } else {
        " Creates fail, because the column has neither null nor a default.".to_owned()
    };
    let left_out = if column.generated {
        Some("the database computes it".to_owned())
    } else if *kind == Kind::Other {
        Some(format!("no field has this type. {}", instead(found, column)))
    } else if let Kind::Decimal { digits: Some((precision @ 39.., _)) } = kind {
        Some(format!(
            "a decimal field has at most 38 digits, and the column {precision}. To serve it, first look at how many there are, \
             and then give it a type with fewer: {}",
            fewer_digits(found, name)
        ))
    } else if let Some(why) = taken(name) {
        Some(format!("its name {why}; rename the column"))
    } else if !is_identifier(name) {
        Some("names of fields have small letters, digits and `_`; rename the column".to_owned())
    } else {
        None
    };
    if let Some(why) = left_out {
        let written = if written.is_empty() { "without a type" } else { written };
        let end = if why.ends_with(';') { "" } else { "." };
        comment(text, 6, &format!("The column `{name}` ({written}) is left out: {why}{end}{missing}"));
        return;
    }
    let mut keys: Vec<(&str, String)> = Vec::new();
    types(found, column, &mut keys, text);
    if let Some(what) = retype(found, column) {
        comment(text, 6, &format!("Before `migrate --adopt`: {what}"));
    }
    let secret = SECRET.iter().any(|part| name.contains(part));
    let written_by_server = defaults(column, &mut keys, text);
    if secret && !written_by_server {
        comment(
            text,
            6,
            "Clients never see it. If these are Argon2id hashes ($argon2id$…), write `type: password` instead, without `max`.",
        );
        keys.push(("write_only", "true".to_owned()));
    }
    unique(found, column, &mut keys);
    if is_indexed(found, name) {
        keys.push(("index", "true".to_owned()));
    }
    for (_, note) in found.notes.iter().filter(|(of, _)| of == name) {
        comment(text, 6, note);
    }
    let keys = keys.iter().map(|(key, value)| format!("{key}: {value}")).collect::<Vec<_>>().join(", ");
    let _ = writeln!(text, "      {}: {{ {keys} }}", plain(name));
}

/// What must be done before gatewright can take the column.
fn retype(found: &Existing, column: &Column) -> Option<String> {
    if found.loose {
        let text = ["char", "clob", "text"].iter().any(|part| column.written.to_ascii_lowercase().contains(part));
        let as_text = matches!(column.kind, Kind::Decimal { .. } | Kind::Uuid | Kind::Json) && !text;
        let what = format!("the column needs the type TEXT, because SQLite stores {} as a number", column.written);
        return as_text.then_some(what);
    }
    let (table, name) = (quoted(&found.table), quoted(&column.name));
    let alter = |to: &str| Some(format!("ALTER TABLE {table} ALTER COLUMN {name} TYPE {to};"));
    match (&column.kind, column.written.as_str()) {
        (Kind::Enum(_), _) if column.default.is_some() => {
            let default = format!("ALTER TABLE {table} ALTER COLUMN {name} DROP DEFAULT;");
            alter("text").map(|sql| format!("{default} {sql}"))
        }
        (Kind::Enum(_), _) | (_, "citext") => alter("text"),
        (Kind::Text { .. }, written) if written.starts_with("character(") => alter("text"),
        (_, written) if written.ends_with("without time zone") => {
            alter(&format!("timestamptz USING {name} AT TIME ZONE 'UTC'"))
        }
        _ => None,
    }
}

fn types(found: &Existing, column: &Column, keys: &mut Vec<(&str, String)>, text: &mut String) {
    let mut key = |name, value: &dyn ToString| keys.push((name, value.to_string()));
    match &column.kind {
        Kind::Text { max } => {
            key("type", &"string");
            if let Some(max) = max {
                key("max", max);
            }
        }
        Kind::Uuid => key("type", &"uuid"),
        Kind::Integer { bits } => {
            key("type", &"integer");
            if *bits < 64 {
                let half = 1_i64 << (bits - 1);
                key("min", &-half);
                key("max", &(half - 1));
            }
        }
        Kind::Number => key("type", &"number"),
        Kind::Decimal { digits } => {
            key("type", &"decimal");
            match digits {
                Some((precision @ 1..=38, scale)) if scale <= precision => {
                    key("precision", precision);
                    key("scale", scale);
                }
                _ => {
                    let alter = format!(
                        "ALTER TABLE {} ALTER COLUMN {} TYPE numeric(38,10);",
                        quoted(&found.table),
                        quoted(&column.name)
                    );
                    let give =
                        if found.loose { String::new() } else { format!(" Give the column as many, such as {alter}") };
                    let written = &column.written;
                    comment(
                        text,
                        6,
                        &format!("The column is {written}: write how many digits it has, at most 38.{give}"),
                    );
                    key("precision", &38);
                    key("scale", &10);
                }
            }
        }
        Kind::Boolean => key("type", &"boolean"),
        Kind::Datetime => {
            key("type", &"datetime");
            if !column.written.contains("with time zone") {
                let hint = "values are taken as UTC, in the form 2026-01-31T12:00:00.000000Z";
                comment(text, 6, &format!("The column is {}, without a time zone: {hint}.", column.written));
            }
        }
        Kind::Date => key("type", &"date"),
        Kind::Enum(values) => {
            key("type", &"enum");
            let values = values.iter().map(|value| quoted(value)).collect::<Vec<_>>().join(", ");
            key("values", &format!("[{values}]"));
            comment(text, 6, &format!("The column has the type {} of the database.", column.written));
        }
        Kind::Json => key("type", &"json"),
        Kind::Other => {}
    }
}

/// What a new item has; returns whether clients cannot set it.
fn defaults(column: &Column, keys: &mut Vec<(&str, String)>, text: &mut String) -> bool {
    let default = default(column);
    let (created, changed) = match column.name.as_str() {
        "created_at" | "created" | "created_on" | "inserted_at" => (true, false),
        "updated_at" | "updated" | "updated_on" | "modified_at" | "changed_at" => (false, true),
        _ => (false, false),
    };
    let time = matches!(column.kind, Kind::Datetime | Kind::Date);
    if time && (created || changed) {
        keys.push(("set", if created { "on_create" } else { "on_write" }.to_owned()));
        return true;
    }
    match default {
        Default::Constant(value) => keys.push(("default", value)),
        Default::Now => keys.push(("default", "now".to_owned())),
        Default::Uuid => keys.push(("default", "uuid".to_owned())),
        Default::Unknown(written) => {
            comment(text, 6, &format!("Its default is not applied, because every field is written: {written}"));
            if !column.nullable {
                keys.push(("required", "true".to_owned()));
            }
            return false;
        }
        Default::None => {
            if !column.nullable {
                keys.push(("required", "true".to_owned()));
            }
            return false;
        }
    }
    if !column.nullable {
        keys.push(("nullable", "false".to_owned()));
    }
    false
}

/// The unique rules that begin with a column.
fn unique(found: &Existing, column: &Column, keys: &mut Vec<(&str, String)>) {
    let rules = found.indexes.iter().filter(|index| is_rule(found, index));
    let mut own = rules.filter(|index| first(index) == Some(&column.name));
    if let Some(index) = own.next() {
        let with = index.columns.as_deref().unwrap_or_default().get(1..).unwrap_or_default();
        keys.push(("unique", indexes::unique(index.ignore_case, with)));
    }
}

/// Whether a field can express a unique index: one for each first column.
fn is_rule(found: &Existing, index: &FoundIndex) -> bool {
    let Some(columns) = index.columns.as_ref().filter(|_| index.unique && !index.partial) else { return false };
    let fit = |name: &String| {
        let column = found.columns.iter().find(|column| column.name == *name);
        column.is_some_and(|column| !is_own(found, column) && is_field(column))
    };
    let text = |name: &String| {
        let column = found.columns.iter().find(|column| column.name == *name);
        column.is_some_and(|column| matches!(column.kind, Kind::Text { .. } | Kind::Enum(_)))
    };
    let json =
        columns.iter().any(|name| found.columns.iter().any(|column| column.name == *name && column.kind == Kind::Json));
    let earlier = found.indexes.iter().take_while(|other| !std::ptr::eq(*other, index));
    let mut same_start = earlier.filter(|other| other.unique && !other.partial && first(other) == columns.first());
    columns.iter().all(fit)
        && !json
        && same_start.next().is_none()
        && (!index.ignore_case || columns.first().is_some_and(text))
}

fn first(index: &FoundIndex) -> Option<&String> {
    index.columns.as_ref()?.first()
}

fn is_field(column: &Column) -> bool {
    let large = matches!(column.kind, Kind::Decimal { digits: Some((39.., _)) });
    let usable = column.kind != Kind::Other && !large && !column.generated;
    usable && is_identifier(&column.name) && taken(&column.name).is_none()
}

/// Whether a plain index is on this column alone.
fn is_indexed(found: &Existing, name: &str) -> bool {
    let plain = found.indexes.iter().filter(|index| !index.unique && !index.partial && !index.ignore_case);
    let mut alone = plain.filter(|index| index.columns.as_deref().is_some_and(|columns| columns == [name]));
    alone.next().is_some()
}

/// What concerns the table as a whole.
fn rest(found: &Existing, text: &mut String) {
    for index in &found.indexes {
        let expressed = if index.unique {
            is_rule(found, index)
        } else {
            index.columns.as_deref().is_some_and(|columns| matches!(columns, [only] if is_indexed(found, only)))
        };
        if !expressed {
            comment(text, 4, &format!("The table also has: {}", index.written));
        }
    }
    let own = found.notes.iter().filter(|(of, _)| {
        let column = found.columns.iter().find(|column| column.name == *of);
        column.is_none_or(|column| is_own(found, column) || !is_field(column))
    });
    for note in own.map(|(_, note)| note).chain(&found.others) {
        comment(text, 4, &format!("The table also has: {note}"));
    }
}

/// A comment, in as many lines as it needs.
fn comment(text: &mut String, indent: usize, words: &str) {
    let mut line = String::new();
    for word in one_line(words).split(' ') {
        if !line.is_empty() && indent + line.chars().count() + word.chars().count() > WIDTH {
            let _ = writeln!(text, "{:indent$}# {line}", "");
            line.clear();
        }
        line.push_str(if line.is_empty() { "" } else { " " });
        line.push_str(word);
    }
    let _ = writeln!(text, "{:indent$}# {line}", "");
}

/// Names and expressions of the database are not trusted to stay in a comment.
fn one_line(words: &str) -> String {
    let plain: String = words.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}
