//! Indexes in SQLite: the statements that create them, and which exist.

use std::collections::BTreeMap;

use crate::resource::contract::{Cell, Error, Found, Param, Row};
use crate::resource::migrate::session::{Session, text};
use crate::resource::table::Index;

/// All names were validated: small letters, digits and `_`.
pub fn create_index(table: &str, index: &Index) -> String {
    let unique = if index.unique { "UNIQUE " } else { "" };
    format!("CREATE {unique}{}", on_columns(table, index))
}

fn on_columns(table: &str, index: &Index) -> String {
    let fold = fold(index);
    let columns: Vec<_> = index.columns.iter().map(|column| format!("\"{column}\"{fold}")).collect();
    format!("INDEX \"{}\" ON \"{table}\" ({})", index.name(table), columns.join(", "))
}

fn fold(index: &Index) -> &'static str {
    if index.ignore_case { " COLLATE NOCASE" } else { "" }
}

/// The rows that a unique index would reject, in groups.
pub fn equal(table: &str, index: &Index) -> String {
    let fold = fold(index);
    let there: Vec<_> = index.columns.iter().map(|column| format!("\"{column}\" NOTNULL")).collect();
    let groups: Vec<_> = index.columns.iter().map(|column| format!("\"{column}\"{fold}")).collect();
    let (there, groups) = (there.join(" AND "), groups.join(", "));
    format!("FROM \"{table}\" WHERE {there} GROUP BY {groups} HAVING count(*) > 1")
}

pub fn drop(session: &mut dyn Session, table: &str, index: &Index) -> Result<(), Error> {
    let name = index.name(table);
    session.execute(&format!("DROP TRIGGER IF EXISTS \"{name}.insert\""), &[])?;
    session.execute(&format!("DROP TRIGGER IF EXISTS \"{name}.update\""), &[])?;
    session.execute(&format!("DROP INDEX \"{name}\""), &[]).map(|_| ())
}

/// Enforces a unique index for new writes; existing duplicates stay.
pub fn guard(session: &mut dyn Session, table: &str, index: &Index) -> Result<(), Error> {
    let (name, fold) = (index.name(table), fold(index));
    let each =
        |join: &str, one: &dyn Fn(&String) -> String| index.columns.iter().map(one).collect::<Vec<_>>().join(join);
    let same = each(" AND ", &|column| format!("\"{column}\" = NEW.\"{column}\"{fold}"));
    let changed = each(" OR ", &|column| format!("NEW.\"{column}\" IS NOT OLD.\"{column}\""));
    let names = each(", ", &|column| format!("\"{column}\""));
    let failed = each(", ", &|column| format!("{table}.{column}"));
    let refuse = format!("BEGIN SELECT RAISE(ABORT, 'UNIQUE constraint failed: {failed}'); END");
    session.execute(&format!("CREATE {}", on_columns(table, index)), &[])?;
    session.execute(
        &format!(
            "CREATE TRIGGER \"{name}.insert\" BEFORE INSERT ON \"{table}\" \
             WHEN EXISTS (SELECT 1 FROM \"{table}\" WHERE {same}) {refuse}"
        ),
        &[],
    )?;
    session.execute(
        &format!(
            "CREATE TRIGGER \"{name}.update\" BEFORE UPDATE OF {names} ON \"{table}\" WHEN ({changed}) \
             AND EXISTS (SELECT 1 FROM \"{table}\" WHERE {same} AND \"id\" IS NOT OLD.\"id\") {refuse}"
        ),
        &[],
    )?;
    Ok(())
}

/// What an index of a table is on, and how it compares: the table is the first parameter. An id that it compares in another way than the primary key is no column.
pub const KEYS: &str = "SELECT CASE WHEN cid < 0 THEN '(expression)' WHEN name = 'id' AND coll <> coalesce((SELECT k.coll FROM \
                        pragma_index_list($1) AS l, pragma_index_xinfo(l.name) AS k WHERE l.origin = 'pk' AND k.key = 1), 'BINARY') \
                        THEN 'id COLLATE ' || coll WHEN \"desc\" = 1 THEN name || ' DESC' ELSE name END, coll \
                        FROM pragma_index_xinfo($2) WHERE key = 1 ORDER BY seqno";

/// The indexes of a table by name, and whether each is partial.
pub fn found(session: &mut dyn Session, table: &str) -> Result<BTreeMap<String, (Index, bool)>, Error> {
    let sql = "SELECT name, \"unique\", partial FROM pragma_index_list($1) WHERE origin = 'c'";
    let is = |row: &Found, column| row.cell(column) == Cell::Integer(1);
    let mut found = BTreeMap::new();
    for row in session.rows(sql, &[Param::Text(table.to_owned())])? {
        let name = text(&row, 0);
        let keys = session.rows(KEYS, &[Param::Text(table.to_owned()), Param::Text(name.clone())])?;
        let ignore_case = !keys.is_empty() && keys.iter().all(|key| text(key, 1) == "NOCASE");
        let columns = keys.iter().map(|key| text(key, 0)).collect();
        found.insert(name, (Index { columns, unique: is(&row, 1), ignore_case }, is(&row, 2)));
    }
    Ok(found)
}

pub fn is_guarded(session: &mut dyn Session, name: &str) -> Result<bool, Error> {
    let sql = "SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND name IN ($1, $2)";
    let names = ["insert", "update"].map(|kind| Param::Text(format!("{name}.{kind}")));
    Ok(session.rows(sql, &names)?.len() == 2)
}
