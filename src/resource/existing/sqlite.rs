//! Reads a table of SQLite from its catalog.

use super::{Column, Existing, FoundIndex, Kind};
use crate::resource::contract::{Cell, Found, Param, Row, Sql};
use crate::resource::migrate::keys::clauses;
use crate::resource::migrate::session::{number, text};
use crate::resource::transfer::side::Side;

pub fn read(side: &mut Side, table: &str) -> Result<Existing, String> {
    let of_table = |sql: &str| Sql::new(sql, [Param::Text(table.to_owned())]);
    let mut found = Existing { table: table.to_owned(), place: side.place.clone(), loose: true, ..Existing::default() };
    let is_table = of_table("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = $1");
    let Some(created) = side.rows(&is_table)?.first().map(|row| text(row, 0)) else { return Ok(found) };
    let columns =
        of_table("SELECT name, type, \"notnull\", dflt_value, hidden FROM pragma_table_xinfo($1) ORDER BY cid");
    found.columns = side.rows(&columns)?.iter().map(read_column).collect();
    found.key = side.key(table)?;
    let indexes = "SELECT l.name, l.\"unique\", l.partial, coalesce(s.sql, '') FROM pragma_index_list($1) AS l \
                   LEFT JOIN sqlite_schema AS s ON s.name = l.name WHERE l.origin <> 'pk' ORDER BY l.seq DESC";
    for row in side.rows(&of_table(indexes))? {
        let keys = "SELECT name, coll FROM pragma_index_xinfo($1) WHERE key = 1 ORDER BY seqno";
        let keys = side.rows(&Sql::new(keys, [Param::Text(text(&row, 0))]))?;
        let columns: Vec<String> = keys.iter().map(|key| text(key, 0)).collect();
        let written = text(&row, 3);
        found.indexes.push(FoundIndex {
            written: if written.is_empty() { format!("UNIQUE ({})", columns.join(", ")) } else { written },
            columns: Some(columns).filter(|columns| columns.iter().all(|name| !name.is_empty())),
            ignore_case: !keys.is_empty() && keys.iter().all(|key| text(key, 1).eq_ignore_ascii_case("nocase")),
            unique: number(&row, 1) == 1,
            partial: number(&row, 2) == 1,
        });
    }
    keys(side, &of_table(KEYS), &created, &mut found)?;
    found.others.extend(clauses::checks(&created));
    for row in side.rows(&of_table(TRIGGERS))? {
        found.others.push(until_body(&text(&row, 0)));
    }
    Ok(found)
}

/// The columns of all foreign keys, the key that was declared first before the others.
const KEYS: &str = "SELECT id, \"from\", \"table\", coalesce(\"to\", ''), on_update, on_delete FROM pragma_foreign_key_list($1) \
                    ORDER BY id DESC, seq";
const TRIGGERS: &str = "SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND lower(tbl_name) = lower($1) AND name NOT GLOB 'gwu_*' \
                        ORDER BY name";

/// Adds the foreign keys. When they are checked is only in the statement that made the table.
fn keys(side: &mut Side, select: &Sql, created: &str, found: &mut Existing) -> Result<(), String> {
    let places = clauses::references(created);
    let mut rows = side.rows(select)?.into_iter().peekable();
    let mut number = 0;
    while let Some(first) = rows.next() {
        let (id, mut columns, mut to) = (first.cell(0).owned(), vec![text(&first, 1)], vec![text(&first, 3)]);
        while let Some(row) = rows.next_if(|row| row.cell(0).owned() == id) {
            columns.push(text(&row, 1));
            to.push(text(&row, 3));
        }
        let mut note = format!("REFERENCES {}", text(&first, 2));
        if to.iter().all(|name| !name.is_empty()) {
            note = format!("{note}({})", to.join(", "));
        }
        for (event, action) in [("UPDATE", text(&first, 4)), ("DELETE", text(&first, 5))] {
            if action != "NO ACTION" {
                note = format!("{note} ON {event} {action}");
            }
        }
        let clause = places.get(number).and_then(|place| created.get(place.clone())).unwrap_or_default();
        if let Some(timing) = clauses::timing(clause) {
            note = format!("{note} {timing}");
        }
        number += 1;
        let note = format!("FOREIGN KEY ({}) {note}", columns.join(", "));
        match columns.pop().filter(|_| columns.is_empty()) {
            Some(only) => found.notes.push((only, note)),
            None => found.others.push(note),
        }
    }
    Ok(())
}

/// The statement that made a trigger, up to what it does.
fn until_body(sql: &str) -> String {
    let words: Vec<_> = sql.split_whitespace().collect();
    let body = words.iter().position(|word| word.eq_ignore_ascii_case("begin")).unwrap_or(words.len());
    format!("{} …", words.get(..body).unwrap_or_default().join(" "))
}

pub fn tables(side: &mut Side) -> Result<Vec<String>, String> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB '_gw_*' AND name NOT GLOB 'sqlite_*' \
               ORDER BY name";
    Ok(side.rows(&Sql::new(sql, Vec::new()))?.iter().map(|row| text(row, 0)).collect())
}

fn read_column(row: &Found) -> Column {
    let written = text(row, 1);
    let default = match row.cell(3) {
        Cell::Text(text) => Some(text.to_owned()),
        _ => None,
    };
    let kind = kind(&written);
    Column { name: text(row, 0), kind, nullable: number(row, 2) == 0, default, generated: number(row, 4) > 1, written }
}

/// SQLite takes any name for a type: these are the usual ones.
fn kind(written: &str) -> Kind {
    let lower = written.to_ascii_lowercase();
    let (name, size) = lower.split_once('(').unwrap_or((&lower, ""));
    let numbers: Vec<u64> =
        size.trim_end_matches(')').split(',').filter_map(|number| number.trim().parse().ok()).collect();
    match name.trim() {
        "uuid" | "guid" => Kind::Uuid,
        "json" | "jsonb" => Kind::Json,
        "date" => Kind::Date,
        "bool" | "boolean" => Kind::Boolean,
        "decimal" | "numeric" => {
            Kind::Decimal { digits: numbers.first().map(|all| (*all, numbers.get(1).copied().unwrap_or(0))) }
        }
        name if name.starts_with("datetime") || name.starts_with("timestamp") => Kind::Datetime,
        // The rules of SQLite itself, in their order.
        name if name.contains("int") => Kind::Integer { bits: 64 },
        name if ["char", "clob", "text"].iter().any(|word| name.contains(word)) => {
            Kind::Text { max: numbers.first().copied() }
        }
        name if ["real", "floa", "doub"].iter().any(|word| name.contains(word)) => Kind::Number,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declared_type_becomes_a_type_of_a_field() {
        for (written, wanted) in [
            ("VARCHAR(40)", Kind::Text { max: Some(40) }),
            ("DECIMAL(12, 2)", Kind::Decimal { digits: Some((12, 2)) }),
            ("bigint unsigned", Kind::Integer { bits: 64 }),
            ("TIMESTAMP", Kind::Datetime),
            ("DOUBLE", Kind::Number),
            ("BLOB", Kind::Other),
            ("", Kind::Other),
        ] {
            assert_eq!(kind(written), wanted, "{written}");
        }
    }
}
