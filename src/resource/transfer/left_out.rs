//! What a copy leaves out: tables, views and columns of other programs, and rules of the database.

use super::side::Side;
use crate::resource::contract::{Found, Sql};
use crate::resource::dialect::Dialect;
use crate::resource::migrate::copied::Record;
use crate::resource::migrate::keys::clauses;
use crate::resource::migrate::session::text;
use serde::Serialize;

/// What is in the source, and not in the copy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    pub tables: Vec<String>,
    pub views: Vec<String>,
    pub columns: Vec<LeftColumn>,
    /// What the database does with the rows of tables that are copied.
    pub rules: Vec<LeftRule>,
}

/// A column of a table that is copied without it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftColumn {
    pub table: String,
    pub column: String,
}

/// A trigger, a rule or a `CHECK` of a table that is copied without it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftRule {
    pub kind: &'static str,
    pub table: String,
    /// Its name, or the text of a `CHECK`.
    pub name: String,
}

impl LeftOut {
    /// What no record of gatewright describes.
    pub(super) fn of(source: &mut Side, records: &[&Record]) -> Result<Self, String> {
        let mut left = Self::default();
        for (name, is_view) in others(source)? {
            if !records.iter().any(|record| record.table.name == name) {
                if is_view { left.views.push(name) } else { left.tables.push(name) }
            }
        }
        for record in records {
            let table = &record.table;
            for (column, _) in source.columns(&table.name)? {
                let own = column == "id" || column == "_version";
                if !own && !table.columns.iter().any(|known| known.name == column) {
                    left.columns.push(LeftColumn { table: table.name.clone(), column });
                }
            }
        }
        left.rules = rules(source)?;
        left.rules.retain(|rule| records.iter().any(|record| record.table.name == rule.table));
        Ok(left)
    }

    pub const fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.views.is_empty() && self.columns.is_empty() && self.rules.is_empty()
    }
}

impl std::fmt::Display for LeftOut {
    /// A line for each.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.tables.iter().try_for_each(|name| writeln!(f, "  table {}", name.escape_debug()))?;
        self.views.iter().try_for_each(|name| writeln!(f, "  view {}", name.escape_debug()))?;
        let mut columns = self.columns.iter();
        columns.try_for_each(|left| writeln!(f, "  column {}.{}", left.table, left.column.escape_debug()))?;
        self.rules.iter().try_for_each(|LeftRule { kind, table, name }| match *kind {
            "check" => writeln!(f, "  constraint of {table}: {}", name.replace(char::is_control, " ")),
            kind => writeln!(f, "  {kind} {table}.{}", name.escape_debug()),
        })
    }
}

/// The tables and views that do not belong to gatewright itself, to the database or to an extension; and which are views.
fn others(source: &mut Side) -> Result<Vec<(String, bool)>, String> {
    let sql = match source.dialect {
        Dialect::Sqlite => {
            "SELECT name, type FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT GLOB 'sqlite_*' \
             AND name NOT GLOB '_gw_*' ORDER BY name"
        }
        Dialect::Postgres => {
            "SELECT c.relname::text, CASE WHEN c.relkind IN ('v', 'm') THEN 'view' ELSE 'table' END FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT starts_with(c.relname, '_gw_') \
             AND NOT EXISTS ( \
             SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') \
             ORDER BY c.relname"
        }
    };
    Ok(source.rows(&Sql::new(sql, Vec::new()))?.iter().map(|row| (text(row, 0), text(row, 1) == "view")).collect())
}

/// What the database does with rows, but for the triggers that gatewright itself has made.
fn rules(source: &mut Side) -> Result<Vec<LeftRule>, String> {
    let sql = match source.dialect {
        Dialect::Sqlite => {
            "SELECT type, tbl_name, name, sql FROM sqlite_schema WHERE type = 'table' OR type = 'trigger' AND name NOT GLOB 'gwu_*' \
             ORDER BY type DESC, tbl_name, name"
        }
        Dialect::Postgres => {
            "SELECT x.kind, c.relname::text, x.name, '' FROM ( \
             SELECT 'trigger', tgrelid, tgname::text FROM pg_trigger WHERE NOT tgisinternal AND NOT starts_with(tgname, 'gwu_') \
             UNION ALL SELECT 'rule', ev_class, rulename::text FROM pg_rewrite WHERE rulename <> '_RETURN' \
             UNION ALL SELECT 'check', conrelid, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'c' \
             ) AS x(kind, relation, name) JOIN pg_class c ON c.oid = x.relation JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = current_schema() ORDER BY x.kind DESC, c.relname, x.name"
        }
    };
    let rows = source.rows(&Sql::new(sql, Vec::new()))?;
    let of = |row: &Found| {
        let (table, name) = (text(row, 1), text(row, 2));
        match &*text(row, 0) {
            "table" => {
                let checks = clauses::checks(&text(row, 3)).into_iter();
                checks.map(|name| LeftRule { kind: "check", table: table.clone(), name }).collect()
            }
            "trigger" => vec![LeftRule { kind: "trigger", table, name }],
            "rule" => vec![LeftRule { kind: "rule", table, name }],
            _ => vec![LeftRule { kind: "check", table, name }],
        }
    };
    Ok(rows.iter().flat_map(of).collect())
}
