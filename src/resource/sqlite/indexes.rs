//! Indexes in SQLite: the statements that create them, and which exist.

use std::collections::BTreeMap;

use super::catalog::{list, text};
use super::rows::Writer;
use crate::resource::contract::{Cell, Error, Param};
use crate::resource::migrate::{Dialect, Ours};
use crate::resource::table::{Column, ColumnType, Index, Table};

/// The SQL dialect of this store, for operators.
pub struct Sql;

impl Dialect for Sql {
    fn create_index(&self, table: &str, index: &Index) -> String {
        create_index(table, index)
    }

    fn rename_column(&self, table: &str, from: &str, to: &str) -> String {
        format!("ALTER TABLE \"{table}\" RENAME COLUMN \"{from}\" TO \"{to}\"")
    }

    fn fill(&self, table: &str, column: &Column) -> String {
        let value = match column.kind {
            ColumnType::Integer | ColumnType::Boolean | ColumnType::Number => "VALUE",
            _ => "'VALUE'",
        };
        set(table, &column.name, value, "IS NULL")
    }

    fn find_equal(&self, table: &str, index: &Index) -> String {
        let columns = index.columns.iter().map(|column| format!("\"{column}\"")).collect::<Vec<_>>().join(", ");
        format!("SELECT {columns}, count(*) {}", equal(table, index))
    }
}

/// Sets the values of a column that are `IS NULL` or `IS NOT NULL`. It also gives the rows new versions, and so new entity tags.
pub fn set(table: &str, column: &str, value: &str, those: &str) -> String {
    format!(
        "UPDATE \"{table}\" SET \"{column}\" = {value}, \"_version\" = random() & 4611686018427387903 \
         WHERE \"{column}\" {those};"
    )
}

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
fn equal(table: &str, index: &Index) -> String {
    let fold = fold(index);
    let there: Vec<_> = index.columns.iter().map(|column| format!("\"{column}\" NOTNULL")).collect();
    let groups: Vec<_> = index.columns.iter().map(|column| format!("\"{column}\"{fold}")).collect();
    let (there, groups) = (there.join(" AND "), groups.join(", "));
    format!("FROM \"{table}\" WHERE {there} GROUP BY {groups} HAVING count(*) > 1")
}

pub fn drop(writer: &mut Writer<'_>, table: &str, index: &Index) -> Result<(), Error> {
    let name = index.name(table);
    writer.execute(&format!("DROP TRIGGER IF EXISTS \"{name}.insert\""), &[])?;
    writer.execute(&format!("DROP TRIGGER IF EXISTS \"{name}.update\""), &[])?;
    writer.execute(&format!("DROP INDEX \"{name}\""), &[]).map(|_| ())
}

/// Enforces a unique index for new writes; existing duplicates stay, as the returned text explains.
pub fn guard(writer: &mut Writer<'_>, table: &str, index: &Index) -> Result<String, Error> {
    let (name, fold) = (index.name(table), fold(index));
    let each =
        |join: &str, one: &dyn Fn(&String) -> String| index.columns.iter().map(one).collect::<Vec<_>>().join(join);
    let same = each(" AND ", &|column| format!("\"{column}\" = NEW.\"{column}\"{fold}"));
    let changed = each(" OR ", &|column| format!("NEW.\"{column}\" IS NOT OLD.\"{column}\""));
    let names = each(", ", &|column| format!("\"{column}\""));
    let failed = each(", ", &|column| format!("{table}.{column}"));
    let refuse = format!("BEGIN SELECT RAISE(ABORT, 'UNIQUE constraint failed: {failed}'); END");
    writer.execute(&format!("CREATE {}", on_columns(table, index)), &[])?;
    writer.execute(
        &format!(
            "CREATE TRIGGER \"{name}.insert\" BEFORE INSERT ON \"{table}\" \
             WHEN EXISTS (SELECT 1 FROM \"{table}\" WHERE {same}) {refuse}"
        ),
        &[],
    )?;
    writer.execute(
        &format!(
            "CREATE TRIGGER \"{name}.update\" BEFORE UPDATE OF {names} ON \"{table}\" WHEN ({changed}) \
             AND EXISTS (SELECT 1 FROM \"{table}\" WHERE {same} AND \"id\" IS NOT OLD.\"id\") {refuse}"
        ),
        &[],
    )?;
    Ok(format!(
        "items in table {table} with duplicate {} were kept: the unique rule applies only to \
         new writes",
        index.columns.join(", ")
    ))
}

/// Fills in the facts about indexes. Plain ones with other names belong to the operator; a unique one would
/// reject items for a reason that is not in the document.
pub fn look(writer: &mut Writer<'_>, wanted: &Table, ours: &mut Ours) -> Result<(), Error> {
    let table = ours.recorded.name.clone();
    let guarded = ours.demands.as_ref().map(|demands| demands.guarded.clone()).unwrap_or_default();
    let mut found = found(writer, &table)?;
    for index in &ours.recorded.indexes {
        let name = ours.stored(index).name(&table);
        let guard = guarded.contains(index);
        match found.remove(&name) {
            None => ours.missing.push(index.clone()),
            Some(other) if other != (Index { unique: index.unique && !guard, ..index.clone() }, false) => {
                ours.drift = Some(format!("the index `{name}` has a different definition"));
            }
            Some(_) if guard && !is_guarded(writer, &name)? => {
                ours.drift = Some(format!("a trigger of the index `{name}` is missing"));
            }
            Some(_) => {}
        }
    }
    for (name, (index, partial)) in found {
        if !partial && index.name(&table) == name {
            ours.made.push(index);
        } else if index.unique {
            ours.drift = Some(format!("the unique index `{name}` was added"));
        }
    }
    if let Some(gone) = ours.missing.iter().find(|index| wanted.indexes.contains(index)) {
        ours.drift = Some(format!("the index `{}` is missing", gone.name(&table)));
    }
    if ours.drift.is_some() {
        return Ok(());
    }
    for index in wanted.indexes.iter().filter(|index| index.unique) {
        let in_force = ours.recorded.indexes.contains(index) && !guarded.contains(index) || ours.made.contains(index);
        let there = |name: &String| ours.recorded.columns.iter().any(|column| column.name == *name);
        if !in_force && index.columns.iter().all(there) {
            let sql = format!("SELECT 1 {} LIMIT 1", equal(&table, index));
            if !list(writer, &sql, &[], |_| ())?.is_empty() {
                ours.equal.push(index.clone());
            }
        }
    }
    Ok(())
}

/// The indexes of a table by name, and whether each is partial.
fn found(writer: &mut Writer<'_>, table: &str) -> Result<BTreeMap<String, (Index, bool)>, Error> {
    let sql = "SELECT name, \"unique\", partial FROM pragma_index_list(?) WHERE origin = 'c'";
    let listed = list(writer, sql, &[Param::Text(table.to_owned())], |row| {
        (text(row, 0), row.cell(1) == Cell::Integer(1), row.cell(2) == Cell::Integer(1))
    })?;
    let mut found = BTreeMap::new();
    for (name, unique, partial) in listed {
        let sql = "SELECT name, coll FROM pragma_index_xinfo(?) WHERE key = 1 AND cid >= 0 AND \"desc\" = 0";
        let keys = list(writer, sql, &[Param::Text(name.clone())], |row| (text(row, 0), text(row, 1)))?;
        let ignore_case = !keys.is_empty() && keys.iter().all(|(_, collation)| collation == "NOCASE");
        let columns = keys.into_iter().map(|(column, _)| column).collect();
        found.insert(name, (Index { columns, unique, ignore_case }, partial));
    }
    Ok(found)
}

fn is_guarded(writer: &mut Writer<'_>, name: &str) -> Result<bool, Error> {
    let sql = "SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND name IN (?, ?)";
    let names = ["insert", "update"].map(|kind| Param::Text(format!("{name}.{kind}")));
    Ok(list(writer, sql, &names, |_| ())?.len() == 2)
}
