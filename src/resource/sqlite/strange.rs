//! Tables of other programs in SQLite, where types are only hints: what their columns may have.

use super::indexes::KEYS;
use crate::resource::contract::{Cell, Error, Param, Row};
use crate::resource::decimal::Decimal;
use crate::resource::migrate::session::{Counter, Session, StrangeColumn, text};
use crate::resource::migrate::widen;
use crate::resource::table::{Column, ColumnType};

/// The digits of a time in the one form in which it is stored.
const DATE: &str = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]";
const TIME: &str = "T[0-9][0-9]:[0-9][0-9]:[0-9][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z";

/// How SQLite stores what is written to a column of a type (section 3.1 of its page about data types).
fn affinity(kind: &str) -> &'static str {
    let kind = kind.to_ascii_uppercase();
    let has = |parts: &[&str]| parts.iter().any(|part| kind.contains(part));
    if has(&["INT"]) {
        "INTEGER"
    } else if has(&["CHAR", "CLOB", "TEXT"]) {
        "TEXT"
    } else if kind.is_empty() || has(&["BLOB"]) {
        "BLOB"
    } else if has(&["REAL", "FLOA", "DOUB"]) {
        "REAL"
    } else {
        "NUMERIC"
    }
}

/// Whether a column of this type stores the values of a kind as they are. `own` is the type we give to it.
pub fn fits(kind: ColumnType, own: &str, found: &str) -> bool {
    let numeric = matches!(kind, ColumnType::Integer | ColumnType::Boolean | ColumnType::Datetime | ColumnType::Date);
    match affinity(found) {
        // A text that is no number stays a text there.
        "NUMERIC" => numeric,
        affinity => affinity == own,
    }
}

/// The condition on values that a field cannot have, and why.
pub fn misfit(table: &str, column: &Column) -> Option<(String, String)> {
    let name = format!("\"{}\"", column.name);
    let (those, why) = match column.kind {
        ColumnType::Text => (format!("typeof({name}) <> 'text'"), "are not text".to_owned()),
        ColumnType::Password => (format!("{name} NOT LIKE '$argon2id$%'"), "are not Argon2id hashes".to_owned()),
        ColumnType::Uuid => (
            format!("typeof({name}) <> 'text' OR length({name}) <> 36 OR {name} GLOB '*[^0-9a-f-]*'"),
            "are not UUIDs in lower case".to_owned(),
        ),
        ColumnType::Integer => (format!("typeof({name}) <> 'integer'"), "are not integers".to_owned()),
        ColumnType::Boolean => (format!("{name} NOT IN (0, 1)"), "are neither 0 nor 1".to_owned()),
        ColumnType::Number => (
            format!("typeof({name}) NOT IN ('real', 'integer') OR {name} IN (9e999, -9e999)"),
            "are not numbers, or are infinite".to_owned(),
        ),
        ColumnType::Decimal => {
            let scale = widen::scale(column);
            (
                format!("typeof({name}) <> 'text' OR {}", not_decimal(&name, scale)),
                format!("are not decimals with {scale} digits after the point, written like {}", sample(scale)),
            )
        }
        ColumnType::Datetime => (
            format!(
                "typeof({name}) <> 'text' OR {name} NOT GLOB '{DATE}{TIME}' OR {name} GLOB '0000*' \
                 OR strftime('%Y-%m-%dT%H:%M:%S', substr({name}, 1, 19), '+0 days') IS NOT substr({name}, 1, 19)"
            ),
            format!(
                "are no moments, or are not written as 2026-01-31T12:00:00.000000Z; this converts texts like 2026-01-31 12:00:00, as UTC, and keeps \
                 all others: {}",
                to_moments(table, &name)
            ),
        ),
        ColumnType::Date => (
            format!(
                "typeof({name}) <> 'text' OR {name} NOT GLOB '{DATE}' OR {name} GLOB '0000*' \
                 OR date({name}, '+0 days') IS NOT {name}"
            ),
            "are no days, or are not written as 2026-01-31".to_owned(),
        ),
        ColumnType::Json => (format!("json_valid({name}) = 0"), "are not JSON".to_owned()),
    };
    Some((format!("{name} IS NOT NULL AND ({those})"), why))
}

/// The condition on texts that are not written as the gateway writes decimals: one text for each number.
fn not_decimal(name: &str, scale: u32) -> String {
    let number = format!("CASE WHEN {name} GLOB '-*' THEN substr({name}, 2) ELSE {name} END");
    let digits = match scale {
        0 => format!("instr({name}, '.') > 0"),
        _ => format!(
            "instr({number}, '.') < 2 OR length({number}) - instr({number}, '.') <> {scale} \
             OR substr({name}, -{scale}) GLOB '*.*'"
        ),
    };
    format!(
        "{number} GLOB '*[^0-9.]*' OR {number} = '' OR {digits} OR length({name}) > 40 OR {number} GLOB '0[0-9]*' \
         OR {name} GLOB '-*' AND {name} NOT GLOB '*[1-9]*'"
    )
}

/// A decimal as the gateway writes it.
fn sample(scale: u32) -> String {
    Decimal::parse("12").map(|decimal| decimal.canonical(scale)).unwrap_or_default()
}

/// Only the number of the row itself is counted up: an `INTEGER PRIMARY KEY`, for which there is no index.
pub fn counter(session: &mut dyn Session, table: &str) -> Result<Counter, Error> {
    let sql = "SELECT 1 FROM pragma_table_xinfo($1) WHERE name = 'id' AND pk = 1 AND lower(type) = 'integer' \
               AND NOT EXISTS (SELECT 1 FROM pragma_index_list($1) WHERE origin = 'pk')";
    let counts = !session.rows(sql, &[Param::Text(table.to_owned())])?.is_empty();
    Ok(if counts {
        Counter::Ready
    } else {
        Counter::Unfit {
            why: "SQLite does not count its `id` up".to_owned(),
            help: format!(
                "only `\"id\" INTEGER PRIMARY KEY` is counted: create a table with it, copy the rows, drop `{table}`, and give \
                 the new table its name"
            ),
        }
    })
}

/// The statement that writes texts such as `2026-01-31 12:00:00` and `2026-01-31T12:00:00.123456Z` as the gateway does. It
/// leaves everything else as it is: other types, other zones, more than six digits, and days that do not exist.
fn to_moments(table: &str, name: &str) -> String {
    let second = format!("substr({name}, 1, 19)");
    format!(
        "UPDATE \"{table}\" SET {name} = replace({second}, ' ', 'T') || '.' || \
         substr(rtrim(substr({name}, 21), 'Z') || '000000', 1, 6) || 'Z' \
         WHERE strftime('%Y-%m-%d %H:%M:%S', {second}, '+0 days') = replace({second}, 'T', ' ') \
         AND julianday({name}) IS NOT NULL AND substr({name}, 20) NOT GLOB '*[^.0-9Z]*' \
         AND length(rtrim({name}, 'Z')) <= 26;"
    )
}

/// A column that is added later cannot have a random default, so the rows of other programs have version 0.
pub fn add_version(table: &str, version: &str) -> Vec<String> {
    vec![
        format!("ALTER TABLE \"{table}\" ADD COLUMN \"_version\" INTEGER NOT NULL DEFAULT 0"),
        format!("UPDATE \"{table}\" SET \"_version\" = {version}"),
    ]
}

pub fn columns(session: &mut dyn Session, table: &str) -> Result<Vec<StrangeColumn>, Error> {
    let sql = "SELECT name, type, \"notnull\", dflt_value, hidden > 1 FROM pragma_table_xinfo($1) ORDER BY cid";
    let rows = session.rows(sql, &[Param::Text(table.to_owned())])?;
    let column = |row| StrangeColumn {
        name: text(row, 0),
        kind: text(row, 1),
        not_null: row.cell(2) == Cell::Integer(1),
        default: Some(text(row, 3)).filter(|default| !default.is_empty()),
        generated: row.cell(4) == Cell::Integer(1),
    };
    Ok(rows.iter().map(column).collect())
}

/// The columns of `UNIQUE` within the definition of the table.
pub fn constraints(session: &mut dyn Session, table: &str) -> Result<Vec<Vec<String>>, Error> {
    let sql = "SELECT name FROM pragma_index_list($1) WHERE origin = 'u'";
    let mut found = Vec::new();
    for row in session.rows(sql, &[Param::Text(table.to_owned())])? {
        let columns = session.rows(KEYS, &[Param::Text(table.to_owned()), Param::Text(text(&row, 0))])?;
        // The order does not matter for what is rejected.
        let name = |column: String| column.strip_suffix(" DESC").map(str::to_owned).unwrap_or(column);
        found.push(columns.iter().map(|column| name(text(column, 0))).collect());
    }
    Ok(found)
}

/// What gives a table the primary key `id`.
pub fn give_key(table: &str, key: &[String], has_id: bool) -> String {
    match key {
        [only] if !has_id => {
            format!("run this on the database: ALTER TABLE \"{table}\" RENAME COLUMN \"{only}\" TO \"id\";")
        }
        _ => format!(
            "SQLite cannot give a table another primary key: create a new one with `\"id\" INTEGER PRIMARY KEY` and the columns of \
             `{table}`{}, copy the rows with INSERT INTO … SELECT, drop `{table}`, and give the new table its name",
            if key.is_empty() { String::new() } else { format!(" and UNIQUE ({})", list(key)) }
        ),
    }
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}
