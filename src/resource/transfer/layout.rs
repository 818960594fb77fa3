//! The statements that copy a table: pages of rows in the order of the key, rows by key, and inserts.

use crate::resource::contract::{Found, Param, Sql};
use crate::resource::dialect::Dialect;
use crate::resource::digest::{self, Digest};
use crate::resource::table::ColumnType;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The maximum number of rows in memory.
pub const PAGE: usize = 500;
/// The maximum number of values of a statement: SQLite allows 32,766, PostgreSQL 65,535.
const VALUES: usize = 30_000;

/// A table as both sides have it. Names were validated by the catalog they come from.
#[derive(Debug)]
pub struct Layout {
    pub name: String,
    pub columns: Vec<(String, ColumnType)>,
    /// The positions of the primary key.
    pub key: Vec<usize>,
    /// The columns whose numbers PostgreSQL gives this many digits after the point, by position.
    pub scales: BTreeMap<usize, u32>,
}

/// The key of a row, to find it by.
pub type Key = Vec<u8>;

impl Layout {
    /// How many rows a page has.
    pub fn page_size(&self) -> usize {
        (VALUES / self.columns.len().max(1)).clamp(1, PAGE)
    }

    fn keys(&self) -> impl Iterator<Item = (usize, &str, ColumnType)> {
        self.key.iter().filter_map(|at| self.columns.get(*at).map(|(name, kind)| (*at, name.as_str(), *kind)))
    }

    /// The columns of the key in a list. They are qualified: without that, PostgreSQL orders by the cells that are selected
    /// under the same names, which are texts, and no index has their order.
    fn key_list(&self) -> String {
        let table = quoted(&self.name);
        self.keys().map(|(_, name, _)| format!("{table}.{}", quoted(name))).collect::<Vec<_>>().join(", ")
    }

    fn select(&self, dialect: Dialect) -> String {
        let cells = self.columns.iter().enumerate().map(|(at, (name, kind))| match self.scales.get(&at) {
            Some(scale) if dialect == Dialect::Postgres => format!("round({}, {scale})::text", quoted(name)),
            _ => dialect.cell(&quoted(name), *kind),
        });
        format!("SELECT {} FROM {}", cells.collect::<Vec<_>>().join(", "), quoted(&self.name))
    }

    /// The rows after one, in the order of the key, as this side orders it.
    pub fn page(&self, dialect: Dialect, after: Option<&Found>) -> Sql {
        let keys = self.key_list();
        let mut sql = Sql::new(self.select(dialect), Vec::new());
        if let Some(after) = after {
            let values = self.keys().map(|(at, _, kind)| {
                sql.parameters.push(cell(after, at));
                dialect.value(sql.parameters.len(), kind)
            });
            let values = values.collect::<Vec<_>>().join(", ");
            let _ = write!(sql.text, " WHERE ({keys}) > ({values})");
        }
        let _ = write!(sql.text, " ORDER BY {keys} LIMIT {}", self.page_size());
        sql
    }

    /// The rows that have the keys of `rows`.
    pub fn with_keys(&self, dialect: Dialect, rows: &[Found]) -> Sql {
        self.among(dialect, self.select(dialect), rows)
    }

    /// The keys of `rows` that there are.
    pub fn keys_of(&self, dialect: Dialect, rows: &[Found]) -> Sql {
        let cells = self.keys().map(|(_, name, kind)| dialect.cell(&quoted(name), kind));
        let cells = cells.collect::<Vec<_>>().join(", ");
        self.among(dialect, format!("SELECT {cells} FROM {}", quoted(&self.name)), rows)
    }

    /// Deletes the rows that have the keys of `rows`.
    pub fn delete(&self, dialect: Dialect, rows: &[Found]) -> Sql {
        self.among(dialect, format!("DELETE FROM {}", quoted(&self.name)), rows)
    }

    fn among(&self, dialect: Dialect, text: String, rows: &[Found]) -> Sql {
        let mut sql = Sql::new(text + " WHERE ", Vec::new());
        if let ([at], Some((_, name, kind))) = (self.key.as_slice(), self.keys().next()) {
            sql.parameters.extend(rows.iter().map(|row| cell(row, *at)));
            let values = (1..=rows.len()).map(|number| dialect.value(number, kind)).collect::<Vec<_>>().join(", ");
            let _ = write!(sql.text, "{} IN ({values})", quoted(name));
            return sql;
        }
        for (number, row) in rows.iter().enumerate() {
            sql.text.push_str(if number > 0 { " OR (" } else { "(" });
            for (part, (at, name, kind)) in self.keys().enumerate() {
                sql.parameters.push(cell(row, at));
                let and = if part > 0 { " AND " } else { "" };
                let _ = write!(sql.text, "{and}{} = {}", quoted(name), dialect.value(sql.parameters.len(), kind));
            }
            sql.text.push(')');
        }
        sql
    }

    pub fn insert(&self, dialect: Dialect, rows: &[Found]) -> Sql {
        let names = self.columns.iter().map(|(name, _)| quoted(name)).collect::<Vec<_>>().join(", ");
        let mut sql = Sql::new(format!("INSERT INTO {} ({names}) VALUES ", quoted(&self.name)), Vec::new());
        for (number, row) in rows.iter().enumerate() {
            sql.text.push_str(if number > 0 { ", (" } else { "(" });
            for (at, (_, kind)) in self.columns.iter().enumerate() {
                sql.parameters.push(cell(row, at));
                sql.text.push_str(if at > 0 { ", " } else { "" });
                sql.text.push_str(&dialect.value(sql.parameters.len(), *kind));
            }
            sql.text.push(')');
        }
        sql
    }

    /// The key of a row.
    pub fn key_of(&self, row: &Found) -> Key {
        key(&Found(self.key.iter().map(|at| cell(row, *at)).collect()))
    }

    /// The columns with texts that PostgreSQL may not be able to index.
    pub fn long_texts(&self, row: &Found) -> Vec<String> {
        let sizes = self.columns.iter().zip(&row.0).map(|((name, _), value)| match value {
            Param::Text(text) => (name, text.len()),
            _ => (name, 0),
        });
        sizes.filter(|(_, size)| *size > 2000).map(|(name, size)| format!("`{name}` ({size} bytes)")).collect()
    }

    /// The key of a row, for people.
    pub fn shown(&self, row: &Found) -> String {
        let parts = self.keys().map(|(at, name, _)| match cell(row, at) {
            Param::Null => format!("{name} null"),
            Param::Integer(number) => format!("{name} {number}"),
            Param::Real(number) => format!("{name} {number}"),
            Param::Text(text) => format!("{name} {}", text.escape_debug()),
        });
        parts.collect::<Vec<_>>().join(", ")
    }
}

/// A key by itself.
pub fn key(values: &Found) -> Key {
    let mut key = Key::new();
    values.0.iter().for_each(|value| digest::write(&mut key, value));
    key
}

fn cell(row: &Found, at: usize) -> Param {
    row.0.get(at).cloned().unwrap_or(Param::Null)
}

pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// How many rows a table has, and a sum of their digests: it does not depend on their order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    pub rows: u64,
    pub checksum: u128,
}

impl Sum {
    pub fn add(&mut self, row: &Found) {
        let mut digest = Digest::new("gatewright copy");
        digest.values(&row.0);
        self.rows += 1;
        self.checksum = self.checksum.wrapping_add(u128::from_be_bytes(digest.finish()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_ordered_by_the_key_itself() {
        let columns = vec![("id".to_owned(), ColumnType::Uuid), ("_version".to_owned(), ColumnType::Integer)];
        let layout = Layout { name: "t".to_owned(), columns, key: vec![0], scales: BTreeMap::new() };
        let after = Found(vec![Param::Text("x".to_owned()), Param::Integer(1)]);
        let sql = layout.page(Dialect::Postgres, Some(&after));
        let text = "SELECT \"id\"::text, \"_version\" FROM \"t\" WHERE (\"t\".\"id\") > ($1::text::uuid) ORDER BY \"t\".\"id\" LIMIT 500";
        assert_eq!((sql.text.as_str(), sql.parameters.as_slice()), (text, &after.0[..1]));
    }
}
