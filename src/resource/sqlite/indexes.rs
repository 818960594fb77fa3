//! Indexes in SQLite: the statements that create them, and which exist.

use std::collections::BTreeMap;

use crate::resource::contract::{Cell, Error, Found, Param, Row};
use crate::resource::dialect::Dialect;
use crate::resource::migrate::session::{Session, text};
use crate::resource::table::{ColumnType, Index};

/// All names were validated: small letters, digits and `_`.
pub fn create_index(table: &str, index: &Index) -> String {
    let unique = if index.unique { "UNIQUE " } else { "" };
    format!("CREATE {unique}{}", on_columns(table, index))
}

fn on_columns(table: &str, index: &Index) -> String {
    let fold = fold(index);
    let key = |column| match index.ordered {
        true => order(column),
        false => format!("\"{column}\"{fold}"),
    };
    let columns: Vec<_> = index.columns.iter().map(key).collect();
    format!("INDEX \"{}\" ON \"{table}\" ({})", index.name(table), columns.join(", "))
}

/// What an index of the order of decimals contains.
fn order(column: &String) -> String {
    let column = format!("\"{column}\"");
    Dialect::Sqlite.ordered(&column, ColumnType::Decimal).unwrap_or(column)
}

/// The column of whose decimals an index has the order.
fn ordered(sql: &str) -> Option<String> {
    let column = sql.split_once("(CASE WHEN \"")?.1.split_once('"')?.0.to_owned();
    sql.ends_with(&format!(" ({})", order(&column))).then_some(column)
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
    let sql = "SELECT l.name, l.\"unique\", l.partial, s.sql FROM pragma_index_list($1) l \
               JOIN sqlite_schema s ON s.type = 'index' AND s.name = l.name WHERE l.origin = 'c'";
    let is = |row: &Found, column| row.cell(column) == Cell::Integer(1);
    let mut found = BTreeMap::new();
    for row in session.rows(sql, &[Param::Text(table.to_owned())])? {
        let name = text(&row, 0);
        let keys = session.rows(KEYS, &[Param::Text(table.to_owned()), Param::Text(name.clone())])?;
        let ignore_case = !keys.is_empty() && keys.iter().all(|key| text(key, 1) == "NOCASE");
        let ordered = ordered(&text(&row, 3));
        let is_ordered = ordered.is_some();
        let columns = ordered.map_or_else(|| keys.iter().map(|key| text(key, 0)).collect(), |column| vec![column]);
        found.insert(name, (Index { columns, unique: is(&row, 1), ignore_case, ordered: is_ordered }, is(&row, 2)));
    }
    Ok(found)
}

pub fn is_guarded(session: &mut dyn Session, name: &str) -> Result<bool, Error> {
    let sql = "SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND name IN ($1, $2)";
    let names = ["insert", "update"].map(|kind| Param::Text(format!("{name}.{kind}")));
    Ok(session.rows(sql, &names)?.len() == 2)
}
