//! Tables of other programs in PostgreSQL: which of their types can become ours, and what their columns have.

use super::indexes::TABLE;
use crate::resource::contract::{Cell, Error, Param, Row};
use crate::resource::migrate::session::{Session, StrangeColumn, text};
use crate::resource::migrate::widen;
use crate::resource::table::{Column, ColumnType};

/// Whether a type can become ours without a loss.
pub fn becomes(kind: ColumnType, found: &str) -> bool {
    match kind {
        ColumnType::Text | ColumnType::Password => found.starts_with("character varying"),
        ColumnType::Integer => matches!(found, "integer" | "smallint"),
        ColumnType::Number => found == "real",
        ColumnType::Decimal => found.starts_with("numeric("),
        ColumnType::Json => found == "jsonb",
        ColumnType::Uuid | ColumnType::Boolean | ColumnType::Datetime | ColumnType::Date => false,
    }
}

/// The condition on values that a field cannot have, and why. Types allow most of them.
pub fn misfit(column: &Column) -> Option<(String, String)> {
    let name = format!("\"{}\"", column.name);
    match column.kind {
        ColumnType::Password => Some((format!("{name} NOT LIKE '$argon2id$%'"), "are not Argon2id hashes".to_owned())),
        ColumnType::Decimal => {
            let scale = widen::scale(column);
            Some((format!("scale({name}) <> {scale}"), format!("do not have {scale} digits after the point")))
        }
        ColumnType::Number => Some((
            format!("{name}::text IN ('NaN', 'Infinity', '-Infinity')"),
            "are no numbers, or are infinite".to_owned(),
        )),
        ColumnType::Date | ColumnType::Datetime => Some((
            format!("NOT isfinite({name}) OR {name} < '0001-01-01' OR {name} >= '10000-01-01'"),
            "are not between the years 1 and 9999".to_owned(),
        )),
        _ => None,
    }
}

pub fn columns(session: &mut dyn Session, table: &str) -> Result<Vec<StrangeColumn>, Error> {
    let sql = format!(
        "SELECT attname::text, format_type(atttypid, atttypmod), attnotnull, \
         atthasdef OR attidentity <> '' OR attgenerated <> '' \
         FROM pg_attribute WHERE attrelid = {TABLE} AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
    );
    let rows = session.rows(&sql, &[Param::Text(table.to_owned())])?;
    let column = |row| StrangeColumn {
        name: text(row, 0),
        kind: text(row, 1),
        not_null: row.cell(2) == Cell::Integer(1),
        has_default: row.cell(3) == Cell::Integer(1),
    };
    Ok(rows.iter().map(column).collect())
}
