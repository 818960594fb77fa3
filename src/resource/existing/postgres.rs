//! Reads a table of PostgreSQL from its catalog.

use super::{Column, Existing, FoundIndex, Kind};
use crate::resource::contract::{Cell, Found, Param, Row, Sql};
use crate::resource::migrate::session::text;
use crate::resource::postgres::indexes::{TABLE, column};
use crate::resource::transfer::side::Side;

/// Between the parts of a list in one text.
const BETWEEN: char = '\u{1f}';

/// Types of domains are those that they are made of.
const COLUMNS: &str = "SELECT a.attname::text, \
     CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) ELSE format_type(a.atttypid, a.atttypmod) END, \
     a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attgenerated::text <> '', \
     (SELECT string_agg(e.enumlabel::text, chr(31) ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = a.atttypid) \
     FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
     LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum";
const INDEXES: &str = "SELECT i.indisunique, i.indpred IS NOT NULL, pg_get_indexdef(i.indexrelid), \
     (SELECT string_agg(pg_get_indexdef(i.indexrelid, k.k, true), chr(31) ORDER BY k.k) \
     FROM generate_series(1, i.indnkeyatts::int) AS k(k)) FROM pg_index i WHERE NOT i.indisprimary";
/// A foreign key to a partitioned table is also one to each of its partitions.
const CONSTRAINTS: &str = "SELECT pg_get_constraintdef(c.oid, true), \
     (SELECT string_agg(a.attname::text, chr(31)) FROM pg_attribute a WHERE a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)) \
     FROM pg_constraint c WHERE c.contype IN ('c', 'f', 'x') \
     AND NOT EXISTS (SELECT 1 FROM pg_constraint w WHERE w.oid = c.conparentid AND w.conrelid = c.conrelid)";

/// What else the server does with rows that are written: triggers, rules and policies.
const TRIGGERS: &str = "SELECT pg_get_triggerdef(oid, true) FROM pg_trigger WHERE tgrelid = $table AND NOT tgisinternal \
     AND tgname NOT LIKE 'gwu\\_%' \
     UNION ALL SELECT pg_get_ruledef(oid, true) FROM pg_rewrite WHERE ev_class = $table AND rulename <> '_RETURN' \
     UNION ALL SELECT 'POLICY ' || quote_ident(polname) FROM pg_policy WHERE polrelid = $table";

pub fn read(side: &mut Side, table: &str) -> Result<Existing, String> {
    let of_table = |text: &str, of: &str, order: &str| {
        let word = if text.contains("WHERE NOT i") || text.contains("WHERE c.") { "AND" } else { "WHERE" };
        Sql::new(format!("{text} {word} {of} = {TABLE} {order}"), [Param::Text(table.to_owned())])
    };
    let mut found = Existing { table: table.to_owned(), place: side.place.clone(), ..Existing::default() };
    let sql = of_table(COLUMNS, "a.attrelid", "AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum");
    found.columns = side.rows(&sql)?.iter().map(read_column).collect();
    found.key = side.key(table)?;
    for row in side.rows(&of_table(INDEXES, "i.indrelid", "ORDER BY i.indexrelid"))? {
        let keys: Vec<_> = text(&row, 3).split(BETWEEN).map(column).collect();
        let known = |name: &String| found.columns.iter().any(|column| column.name == *name);
        let columns: Vec<String> = keys.iter().map(|(name, _)| name.clone()).collect();
        let plain = text(&row, 3).split(BETWEEN).all(|key| !key.contains('(') || key.starts_with("lower("));
        let even = keys.iter().all(|(_, fold)| keys.first().is_some_and(|(_, first)| fold == first));
        found.indexes.push(FoundIndex {
            columns: Some(columns).filter(|columns| plain && even && columns.iter().all(known)),
            ignore_case: keys.first().is_some_and(|(_, fold)| *fold),
            unique: is(&row, 0),
            partial: is(&row, 1),
            written: text(&row, 2),
        });
    }
    for row in side.rows(&of_table(CONSTRAINTS, "c.conrelid", "ORDER BY c.conname"))? {
        let (definition, columns) = (text(&row, 0), text(&row, 1));
        match columns.split(BETWEEN).collect::<Vec<_>>().as_slice() {
            [one] if !one.is_empty() => found.notes.push(((*one).to_owned(), definition)),
            _ => found.others.push(definition),
        }
    }
    let triggers = Sql::new(TRIGGERS.replace("$table", TABLE), [Param::Text(table.to_owned())]);
    found.others.extend(side.rows(&triggers)?.iter().map(|row| text(row, 0)));
    Ok(found)
}

pub fn tables(side: &mut Side) -> Result<Vec<String>, String> {
    let sql = "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema() AND tablename NOT LIKE '\\_gw\\_%' \
               ORDER BY tablename";
    Ok(side.rows(&Sql::new(sql, Vec::new()))?.iter().map(|row| text(row, 0)).collect())
}

fn is(row: &Found, at: usize) -> bool {
    row.cell(at) == Cell::Integer(1)
}

fn read_column(row: &Found) -> Column {
    let written = text(row, 1);
    let kind = match row.cell(5) {
        Cell::Text(values) => Kind::Enum(values.split(BETWEEN).map(str::to_owned).collect()),
        _ => kind(&written),
    };
    let default = match row.cell(3) {
        Cell::Text(text) => Some(text.to_owned()),
        _ => None,
    };
    Column { name: text(row, 0), kind, nullable: !is(row, 2), default, generated: is(row, 4), written }
}

fn kind(written: &str) -> Kind {
    let (name, size) = match written.split_once('(') {
        Some((name, rest)) => (name, rest.split(')').next().unwrap_or_default()),
        None => (written, ""),
    };
    // `timestamp(3) with time zone`
    let numbers: Vec<u64> = size.split(',').filter_map(|number| number.trim().parse().ok()).collect();
    match name.trim() {
        _ if written.ends_with("[]") => Kind::Other,
        "text" | "citext" => Kind::Text { max: None },
        "character varying" | "character" => Kind::Text { max: numbers.first().copied() },
        "uuid" => Kind::Uuid,
        "smallint" => Kind::Integer { bits: 16 },
        "integer" => Kind::Integer { bits: 32 },
        "bigint" => Kind::Integer { bits: 64 },
        "real" | "double precision" => Kind::Number,
        "numeric" => Kind::Decimal { digits: numbers.first().map(|all| (*all, numbers.get(1).copied().unwrap_or(0))) },
        "boolean" => Kind::Boolean,
        "date" => Kind::Date,
        "json" | "jsonb" => Kind::Json,
        name if name.starts_with("timestamp") => Kind::Datetime,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_of_the_catalog_becomes_a_type_of_a_field() {
        for (written, wanted) in [
            ("character varying(40)", Kind::Text { max: Some(40) }),
            ("numeric(12,2)", Kind::Decimal { digits: Some((12, 2)) }),
            ("numeric", Kind::Decimal { digits: None }),
            ("timestamp(3) with time zone", Kind::Datetime),
            ("timestamp without time zone", Kind::Datetime),
            ("smallint", Kind::Integer { bits: 16 }),
            ("text[]", Kind::Other),
            ("character varying(9)[]", Kind::Other),
            ("bytea", Kind::Other),
        ] {
            assert_eq!(kind(written), wanted, "{written}");
        }
    }
}
