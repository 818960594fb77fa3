//! Tables of other programs in SQLite, where types are only hints: what their columns may have.

use crate::resource::contract::{Cell, Error, Param, Row};
use crate::resource::migrate::session::{Session, StrangeColumn, text};
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
        ColumnType::Number => (format!("typeof({name}) NOT IN ('real', 'integer')"), "are not numbers".to_owned()),
        ColumnType::Decimal => {
            let scale = widen::scale(column);
            let digits = match scale {
                0 => format!("instr({name}, '.') > 0"),
                _ => format!("length({name}) - instr({name}, '.') <> {scale} OR instr({name}, '.') = 0"),
            };
            (
                format!("typeof({name}) <> 'text' OR {name} GLOB '*[^0-9.-]*' OR {digits}"),
                format!("are not decimals with {scale} digits after the point"),
            )
        }
        ColumnType::Datetime => (
            format!("typeof({name}) <> 'text' OR {name} NOT GLOB '{DATE}{TIME}'"),
            format!(
                "are not written as 2026-01-31T12:00:00.000000Z; this converts texts like 2026-01-31 12:00:00, as UTC, and keeps \
                 all others: {}",
                to_moments(table, &name)
            ),
        ),
        ColumnType::Date => (
            format!("typeof({name}) <> 'text' OR {name} NOT GLOB '{DATE}'"),
            "are not written as 2026-01-31".to_owned(),
        ),
        ColumnType::Json => (format!("json_valid({name}) = 0"), "are not JSON".to_owned()),
    };
    Some((format!("{name} IS NOT NULL AND ({those})"), why))
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
    let sql = "SELECT name, type, \"notnull\", dflt_value FROM pragma_table_xinfo($1) ORDER BY cid";
    let rows = session.rows(sql, &[Param::Text(table.to_owned())])?;
    let column = |row| StrangeColumn {
        name: text(row, 0),
        kind: text(row, 1),
        not_null: row.cell(2) == Cell::Integer(1),
        default: Some(text(row, 3)).filter(|default| !default.is_empty()),
    };
    Ok(rows.iter().map(column).collect())
}

/// The columns of `UNIQUE` within the definition of the table.
pub fn constraints(session: &mut dyn Session, table: &str) -> Result<Vec<Vec<String>>, Error> {
    let sql = "SELECT name FROM pragma_index_list($1) WHERE origin = 'u'";
    let mut found = Vec::new();
    for row in session.rows(sql, &[Param::Text(table.to_owned())])? {
        let sql = "SELECT name FROM pragma_index_xinfo($1) WHERE key = 1";
        let columns = session.rows(sql, &[Param::Text(text(&row, 0))])?;
        found.push(columns.iter().map(|column| text(column, 0)).collect());
    }
    Ok(found)
}
