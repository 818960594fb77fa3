//! Tables in SQLite: their statements, and what the catalog says about them.

use std::collections::BTreeMap;

use super::rows::Writer;
use super::{foreign_keys, indexes, retype, strange};
use crate::resource::contract::{Cell, Error, Found, Param, Row};
use crate::resource::migrate::Retype;
use crate::resource::migrate::key::{Actions, Key};
use crate::resource::migrate::session::{Catalog, Counter, Dialect, Kind, Session, StrangeColumn, is_literal, text};
use crate::resource::table::{Column, ColumnType, Index, Table};

/// The records of [`migrate`](crate::resource::migrate), and the sessions of accounts that sign in: see
/// [`sessions`](crate::resource::sessions), where tokens are stored as SHA-256, and of repeated requests: see
/// [`idempotency`](crate::resource::idempotency).
const OWN: [&str; 6] = [
    "CREATE TABLE IF NOT EXISTS _gw_schema (
    resource TEXT PRIMARY KEY NOT NULL,
    model_json TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    applied_at TEXT NOT NULL,
    gateway_version TEXT NOT NULL
) STRICT, WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS _gw_sessions (
    id TEXT PRIMARY KEY NOT NULL,
    accounts TEXT NOT NULL,
    account TEXT NOT NULL,
    proof TEXT NOT NULL,
    secret TEXT NOT NULL,
    generation INTEGER NOT NULL,
    started INTEGER NOT NULL,
    used INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS _gw_sessions_account ON _gw_sessions (accounts, account, used)",
    "CREATE INDEX IF NOT EXISTS _gw_sessions_expires ON _gw_sessions (expires)",
    "CREATE TABLE IF NOT EXISTS _gw_idempotency (
    resource TEXT NOT NULL,
    principal TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    item TEXT NOT NULL,
    tag TEXT NOT NULL,
    rest TEXT NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (resource, principal, key)
) STRICT",
    "CREATE INDEX IF NOT EXISTS _gw_idempotency_expires ON _gw_idempotency (expires)",
];

/// The SQL dialect of this store.
pub struct SqliteCatalog;

impl Session for Writer<'_> {
    fn execute(&mut self, sql: &str, parameters: &[Param]) -> Result<u64, Error> {
        Self::execute(self, sql, parameters).map(|changed| u64::try_from(changed).unwrap_or(0))
    }

    fn rows(&mut self, sql: &str, parameters: &[Param]) -> Result<Vec<Found>, Error> {
        self.query(sql, parameters, |rows| {
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(Found::of(row));
            }
            Ok(found)
        })
    }

    fn broken_texts(&mut self, sql: &str, most: usize) -> Result<(u64, Vec<Found>), Error> {
        self.query(sql, &[], |rows| {
            let (mut count, mut first) = (0, Vec::new());
            while let Some(row) = rows.next()? {
                // Text that is not UTF-8 is read as null.
                if row.cell(1) == Cell::Null {
                    count += 1;
                    if first.len() < most {
                        first.push(Found(vec![row.cell(0).owned()]));
                    }
                }
            }
            Ok((count, first))
        })
    }
}

impl Dialect for SqliteCatalog {
    fn own_tables(&self) -> &[&str] {
        &OWN
    }

    fn create_table(&self, table: &Table) -> Result<String, Error> {
        create_table(table)
    }

    fn define(&self, column: &Column) -> Result<String, Error> {
        define(column)
    }

    fn type_name(&self, kind: ColumnType) -> &'static str {
        sql_type(kind)
    }

    fn create_index(&self, table: &str, index: &Index) -> String {
        indexes::create_index(table, index)
    }

    fn folds_names(&self) -> bool {
        true
    }

    fn equal(&self, table: &str, index: &Index) -> String {
        indexes::equal(table, index)
    }

    fn fresh_version(&self) -> &'static str {
        "random() & 4611686018427387903"
    }

    fn moves_retyped(&self) -> bool {
        true
    }

    fn fits(&self, kind: ColumnType, found: &str) -> bool {
        strange::fits(kind, sql_type(kind), found)
    }

    fn joined_ids(&self) -> &'static str {
        "group_concat(\"id\", ', ')"
    }

    fn misfit(&self, table: &str, column: &Column) -> Option<(String, String)> {
        strange::misfit(table, column)
    }

    fn give_key(&self, table: &str, key: &[String], has_id: bool) -> String {
        strange::give_key(table, key, has_id)
    }

    fn add_version(&self, table: &str) -> Vec<String> {
        strange::add_version(table, self.fresh_version())
    }
}

impl Catalog for SqliteCatalog {
    /// Tables, views and indexes share their names.
    fn exists(&self, session: &mut dyn Session, name: &str) -> Result<bool, Error> {
        let sql = "SELECT 1 FROM sqlite_schema WHERE type IN ('table', 'view', 'index') AND name = $1";
        Ok(!session.rows(sql, &[Param::Text(name.to_owned())])?.is_empty())
    }

    fn columns(&self, session: &mut dyn Session, table: &str) -> Result<Vec<(String, String)>, Error> {
        let sql = "SELECT name, type FROM pragma_table_xinfo($1) ORDER BY cid";
        let rows = session.rows(sql, &[Param::Text(table.to_owned())])?;
        Ok(rows.iter().map(|row| (text(row, 0), text(row, 1))).collect())
    }

    fn strange(&self, session: &mut dyn Session, table: &str) -> Result<Vec<StrangeColumn>, Error> {
        strange::columns(session, table)
    }

    fn definition(&self, session: &mut dyn Session, index: &str) -> Result<String, Error> {
        let sql = "SELECT sql FROM sqlite_schema WHERE type = 'index' AND name = $1";
        let rows = session.rows(sql, &[Param::Text(index.to_owned())])?;
        Ok(rows.first().map(|row| text(row, 0)).unwrap_or_default())
    }

    fn constraints(&self, session: &mut dyn Session, table: &str) -> Result<Vec<Vec<String>>, Error> {
        strange::constraints(session, table)
    }

    fn primary_key(&self, session: &mut dyn Session, table: &str) -> Result<Vec<String>, Error> {
        let sql = "SELECT name FROM pragma_table_xinfo($1) WHERE pk > 0 ORDER BY pk";
        let rows = session.rows(sql, &[Param::Text(table.to_owned())])?;
        Ok(rows.iter().map(|row| text(row, 0)).collect())
    }

    fn kind(&self, session: &mut dyn Session, table: &str) -> Result<Kind, Error> {
        let sql = "SELECT type, sql LIKE 'create virtual %' FROM sqlite_schema \
                   WHERE type IN ('table', 'view', 'index') AND name = $1";
        let rows = session.rows(sql, &[Param::Text(table.to_owned())])?;
        let row = rows.first();
        Ok(match row.map(|row| (text(row, 0), row.cell(1))) {
            Some((kind, _)) if kind == "view" => Kind::Other("a view"),
            Some((kind, _)) if kind == "index" => Kind::Other("an index"),
            Some((_, Cell::Integer(1))) => Kind::Other("a virtual table"),
            _ => Kind::Table,
        })
    }

    fn counter(&self, session: &mut dyn Session, table: &str) -> Result<Counter, Error> {
        strange::counter(session, table)
    }

    fn retype(&self, session: &mut dyn Session, retype: &Retype) -> Result<(), Error> {
        retype::retype(session, retype, define, self.fresh_version())
    }

    fn indexes(&self, session: &mut dyn Session, table: &str) -> Result<BTreeMap<String, (Index, bool)>, Error> {
        indexes::found(session, table)
    }

    fn referring(&self, session: &mut dyn Session, table: &str) -> Result<Vec<(String, String)>, Error> {
        let sql = "SELECT t.name, f.\"from\" FROM sqlite_schema AS t, pragma_foreign_key_list(t.name) AS f \
                   WHERE t.type = 'table' AND lower(f.\"table\") = lower($1) ORDER BY t.name, f.\"from\"";
        let rows = session.rows(sql, &[Param::Text(table.to_owned())])?;
        Ok(rows.iter().map(|row| (text(row, 0), text(row, 1))).collect())
    }

    fn keys(&self, session: &mut dyn Session) -> Result<Vec<Key>, Error> {
        foreign_keys::all(session)
    }

    fn without_actions(&self, session: &mut dyn Session, keys: &[(&Key, Actions)]) -> Result<Vec<Vec<String>>, Error> {
        foreign_keys::without_actions(session, keys)
    }

    /// A foreign key is part of the definition of a table. Without values, it is in no one's way.
    fn let_go(&self, _: &mut dyn Session, table: &str, column: &str) -> Result<Vec<String>, Error> {
        Ok(vec![format!("UPDATE \"{table}\" SET \"{column}\" = NULL WHERE \"{column}\" IS NOT NULL")])
    }

    fn drop_index(&self, session: &mut dyn Session, table: &str, index: &Index) -> Result<(), Error> {
        indexes::drop(session, table, index)
    }

    fn guard(&self, session: &mut dyn Session, table: &str, index: &Index) -> Result<(), Error> {
        indexes::guard(session, table, index)
    }

    fn is_guarded(&self, session: &mut dyn Session, table: &str, index: &Index) -> Result<bool, Error> {
        indexes::is_guarded(session, &index.name(table))
    }
}

/// Ids a store counts are never given twice, not even after the last item was deleted. With other ids the row is kept
/// in the tree of the key itself, so that one search finds it; wide rows would make that tree slow to walk.
fn create_table(table: &Table) -> Result<String, Error> {
    let wide = table.columns.iter().any(|column| column.kind == ColumnType::Json);
    let (id, options) = match (table.id_counts, sql_type(table.id)) {
        (true, _) => ("INTEGER PRIMARY KEY AUTOINCREMENT", "STRICT"),
        (false, "INTEGER") => ("INTEGER PRIMARY KEY NOT NULL", "STRICT"),
        (false, _) if wide => ("TEXT PRIMARY KEY NOT NULL", "STRICT"),
        (false, _) => ("TEXT PRIMARY KEY NOT NULL", "STRICT, WITHOUT ROWID"),
    };
    // A row inserted by hand gets a version, too.
    let version = "INTEGER NOT NULL DEFAULT (random() & 4611686018427387903)";
    let mut sql = format!("CREATE TABLE \"{}\" (\"id\" {id}, \"_version\" {version}", table.name);
    for column in &table.columns {
        sql.push_str(", ");
        sql.push_str(&define(column)?);
    }
    Ok(sql + ") " + options)
}

fn define(column: &Column) -> Result<String, Error> {
    let definition = format!("\"{}\" {}", column.name, sql_type(column.kind));
    match &column.default {
        // Checked at the end of each statement, and added with the column: SQLite has no other way.
        _ if let Some(table) = &column.references => Ok(format!("{definition} REFERENCES \"{table}\" (\"id\")")),
        None => Ok(definition),
        Some(default) if is_literal(default) => Ok(format!("{definition} DEFAULT {default}")),
        Some(_) => Err(Error::Internal(format!("the default of `{}` is not a literal", column.name))),
    }
}

/// Text compares byte by byte, so uuids, dates and times of fixed width sort as they should; decimals do not.
fn sql_type(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Integer | ColumnType::Boolean => "INTEGER",
        ColumnType::Number => "REAL",
        ColumnType::Text
        | ColumnType::Password
        | ColumnType::Uuid
        | ColumnType::Decimal
        | ColumnType::Datetime
        | ColumnType::Date
        | ColumnType::Json => "TEXT",
    }
}
