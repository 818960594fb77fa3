//! Tables of other programs in PostgreSQL: which of their types can become ours, and what their columns have.

use super::indexes::TABLE;
use crate::resource::contract::{Cell, Error, Param, Row};
use crate::resource::migrate::session::{Session, StrangeColumn, text};
use crate::resource::migrate::widen;
use crate::resource::table::{Column, ColumnType};

/// The types that a user of the database made of a list of values start with this word here.
const ENUM: &str = "enum ";

/// Whether a type can become ours without a loss.
pub fn becomes(kind: ColumnType, found: &str) -> bool {
    match kind {
        ColumnType::Text | ColumnType::Password => found.starts_with("character varying") || found.starts_with(ENUM),
        ColumnType::Integer => matches!(found, "integer" | "smallint"),
        ColumnType::Number => found == "real",
        ColumnType::Decimal => found.starts_with("numeric("),
        ColumnType::Json => found == "jsonb",
        // `timestamp(3) with time zone` has fewer digits than a field.
        ColumnType::Datetime => found == "timestamp without time zone" || found.starts_with("timestamp("),
        ColumnType::Uuid | ColumnType::Boolean | ColumnType::Date => false,
    }
}

/// The statement that gives a column type `kind`. A time without a zone is one in UTC. The default of an enumeration has its type.
pub fn convert(table: &str, column: &StrangeColumn, own: &str, kind: ColumnType) -> String {
    let name = format!("\"{}\"", column.name);
    let values = match kind {
        ColumnType::Datetime if column.kind.ends_with("without time zone") => format!("{name} AT TIME ZONE 'UTC'"),
        _ => format!("{name}::text::{own}"),
    };
    let of_enum = column.default.as_ref().filter(|_| column.kind.starts_with(ENUM));
    let (before, after) = match of_enum {
        Some(default) => (
            format!("ALTER COLUMN {name} DROP DEFAULT, "),
            format!(", ALTER COLUMN {name} SET DEFAULT ({default})::text"),
        ),
        None => Default::default(),
    };
    format!("ALTER TABLE \"{table}\" {before}ALTER COLUMN {name} TYPE {own} USING {values}{after}")
}

/// The condition on values that a field cannot have, and why. Types allow most of them.
pub fn misfit(column: &Column) -> Option<(String, String)> {
    let name = format!("\"{}\"", column.name);
    match column.kind {
        ColumnType::Password => Some((format!("{name} NOT LIKE '$argon2id$%'"), "are not Argon2id hashes".to_owned())),
        ColumnType::Decimal => {
            let scale = widen::scale(column);
            Some((
                format!("scale({name}) <> {scale} OR {name}::text IN ('NaN', 'Infinity', '-Infinity')"),
                format!("do not have {scale} digits after the point, or are no numbers"),
            ))
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

/// Each value of a `numeric(10,4)` has four digits after the point, so changing the values does not help a field with two.
pub fn other_digits(table: &str, column: &Column, found: &str) -> Option<(String, String)> {
    let digits = found.strip_prefix("numeric(")?.strip_suffix(')')?;
    let (precision, has) = digits.split_once(',')?;
    let (precision, has) = (precision.trim().parse::<i64>().ok()?, has.trim().parse::<i64>().ok()?);
    let scale = widen::scale(column);
    if column.kind != ColumnType::Decimal || has == i64::from(scale) {
        return None;
    }
    let name = format!("\"{}\"", column.name);
    let why = format!(
        "its column `{}` is {found}, so each value has {has} digits after the point, and its field has `scale: {scale}`",
        column.name
    );
    // The digits before the point stay.
    let wanted = (precision - has + i64::from(scale)).max(i64::from(scale)).max(1);
    let alter = format!("ALTER TABLE \"{table}\" ALTER COLUMN {name} TYPE numeric({wanted},{scale});");
    let alter = match has > i64::from(scale) {
        true => format!(
            "{alter} it rounds values with more digits; to see them: SELECT \"id\", {name} FROM \"{table}\" WHERE {name} <> \
             round({name}, {scale});"
        ),
        false => alter,
    };
    let field = match column.declared.precision {
        _ if !(0..=38).contains(&has) => None,
        Some(declared) if i64::from(declared) < precision.max(has) => {
            Some(format!("`precision: {}` and `scale: {has}`", precision.max(has)))
        }
        _ => Some(format!("`scale: {has}`")),
    };
    let help = match field {
        Some(keys) => format!("write {keys} at `{}`; or run this on the database: {alter}", column.name),
        None => format!("run this on the database: {alter}"),
    };
    Some((why, help))
}

pub fn columns(session: &mut dyn Session, table: &str) -> Result<Vec<StrangeColumn>, Error> {
    let sql = format!(
        "SELECT attname::text, CASE typtype WHEN 'e' THEN 'enum ' ELSE '' END || format_type(atttypid, atttypmod), \
         attnotnull, COALESCE(pg_get_expr(adbin, adrelid), NULLIF(attidentity::text, '')), \
         attgenerated::text <> '' OR (attidentity::text = 'a' AND attname <> 'id') \
         FROM pg_attribute JOIN pg_type t ON t.oid = atttypid \
         LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum \
         WHERE attrelid = {TABLE} AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
    );
    let rows = session.rows(&sql, &[Param::Text(table.to_owned())])?;
    let column = |row| StrangeColumn {
        name: text(row, 0),
        kind: text(row, 1),
        not_null: row.cell(2) == Cell::Integer(1),
        default: Some(text(row, 3)).filter(|default| !default.is_empty()),
        generated: row.cell(4) == Cell::Integer(1),
    };
    Ok(rows.iter().map(column).collect())
}

/// What gives a table the primary key `id`.
pub fn give_key(table: &str, key: &[String], has_id: bool) -> String {
    let list = key.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    let unique = if key.is_empty() { String::new() } else { format!(", ADD UNIQUE ({list})") };
    // Its name may be another one, and foreign keys may need it.
    let drop = if key.is_empty() { String::new() } else { format!("DROP CONSTRAINT \"{table}_pkey\", ") };
    let sql = match key {
        [only] if !has_id => format!("ALTER TABLE \"{table}\" RENAME COLUMN \"{only}\" TO \"id\";"),
        _ if has_id => format!("ALTER TABLE \"{table}\" {drop}ADD PRIMARY KEY (\"id\"){unique};"),
        _ => format!(
            "ALTER TABLE \"{table}\" {drop}ADD COLUMN \"id\" bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY{unique};"
        ),
    };
    format!("run this on the database: {sql}")
}
