//! SQL text, built from names that were validated when the resource was compiled; values are always bound.

pub mod list;

use super::field::Field;
use super::field_type::FieldType;
use super::predicate::{Column, Comparison, Predicate};
use super::store::Param;
use super::table::Table;
use crate::config::document::resource::FilterOp;
use std::fmt::Write;
use std::sync::Arc;

/// The position of the id in a row.
pub const ID: usize = 1;
/// The position of the first field in a row: `_version` and `id` come first.
pub const FIRST_FIELD: usize = 2;

/// The fixed pieces of a resource's statements.
pub struct Texts {
    /// Quoted names.
    table: String,
    columns: Vec<String>,
    /// The columns of a response; those that clients cannot see are NULL.
    shown: String,
    /// The columns of a change: all but passwords.
    whole: String,
    /// One item by id, without a condition.
    pub read: Arc<str>,
    /// Inserts an item with its id, and one with an id that the store counts up.
    insert: String,
    insert_counted: String,
    /// Fields with their own unique index: their position, and a statement for the id of the row with a value.
    pub taken: Vec<(usize, Arc<str>)>,
}

/// A statement being built.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Sql {
    pub text: String,
    pub parameters: Vec<Param>,
}

impl Sql {
    pub fn bind(&mut self, value: Param) {
        self.text.push('?');
        self.parameters.push(value);
    }
}

fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

impl Texts {
    pub fn new(table: &Table, fields: &[Field]) -> Self {
        let columns: Vec<String> = fields.iter().map(|field| quoted(&field.name)).collect();
        let list = |there: &dyn Fn(&Field) -> bool| {
            fields.iter().zip(&columns).fold("\"_version\", \"id\"".to_owned(), |mut list, (field, column)| {
                list.push_str(", ");
                list.push_str(if there(field) { column } else { "NULL" });
                list
            })
        };
        let shown = list(&|field| field.visible());
        let whole = list(&|field| !matches!(field.kind, FieldType::Password));
        let table_name = quoted(&table.name);
        let insert = |first: &str, columns: &[String]| {
            let names =
                std::iter::once(first).chain(columns.iter().map(String::as_str)).filter(|name| !name.is_empty());
            let names: Vec<&str> = names.collect();
            let marks = vec!["?"; names.len()].join(", ");
            let comma = if names.is_empty() { "" } else { ", " };
            let names = names.join(", ");
            format!("INSERT INTO {table_name} (\"_version\"{comma}{names}) VALUES (?{comma}{marks}) RETURNING \"id\"")
        };
        let alone = table.indexes.iter().filter(|index| index.unique && index.columns.len() == 1);
        let taken = alone.filter_map(|index| {
            let position = fields.iter().position(|field| index.columns.first() == Some(&field.name))?;
            let column = columns.get(position)?;
            let fold = if index.ignore_case { " COLLATE NOCASE" } else { "" };
            Some((
                position,
                format!("SELECT \"_version\", \"id\" FROM {table_name} WHERE {column}{fold} = ? LIMIT 1").into(),
            ))
        });
        Self {
            read: format!("SELECT {shown} FROM {table_name} WHERE \"id\" = ?").into(),
            insert: insert("\"id\"", &columns),
            insert_counted: insert("", &columns),
            taken: taken.collect(),
            table: table_name,
            columns,
            shown,
            whole,
        }
    }

    /// One item as a response shows it, under a condition.
    pub fn read_where(&self, id: Param, condition: &Predicate) -> Sql {
        self.item(&self.shown, id, Some(condition))
    }

    /// One item with everything that a change needs.
    pub fn read_whole(&self, id: Param, condition: Option<&Predicate>) -> Sql {
        self.item(&self.whole, id, condition)
    }

    /// The item with a value in the field at `position`, with everything that is not a password. The value is bound later.
    pub fn read_by(&self, position: usize) -> String {
        let column = self.name(Column::Field(position));
        format!("SELECT {} FROM {} WHERE {column} = ? LIMIT 1", self.whole, self.table)
    }

    /// Sets the version and the field at `set` of the item with a value in the field at `position`. Binds them in this order.
    pub fn set_by(&self, position: usize, set: usize) -> String {
        let (column, set) = (self.name(Column::Field(position)), self.name(Column::Field(set)));
        format!("UPDATE {} SET \"_version\" = ?, {set} = ? WHERE {column} = ?", self.table)
    }

    fn item(&self, columns: &str, id: Param, condition: Option<&Predicate>) -> Sql {
        let mut sql =
            Sql { text: format!("SELECT {columns} FROM {} WHERE \"id\" = ", self.table), parameters: Vec::new() };
        sql.bind(id);
        if let Some(condition) = condition {
            sql.text.push_str(" AND ");
            self.predicate(&mut sql, condition);
        }
        sql
    }

    /// Inserts an item; without an `id`, the store counts one up. Returns the id.
    pub fn insert(&self, version: i64, id: Option<Param>, fields: &[Param]) -> Sql {
        let text = if id.is_some() { &self.insert } else { &self.insert_counted };
        let parameters = std::iter::once(Param::Integer(version)).chain(id).chain(fields.iter().cloned());
        Sql { text: text.clone(), parameters: parameters.collect() }
    }

    /// Changes some columns and the version of the row.
    pub fn update(&self, version: i64, id: Param, changes: &[(usize, Param)]) -> Sql {
        let mut sql = Sql { text: format!("UPDATE {} SET \"_version\" = ", self.table), parameters: Vec::new() };
        sql.bind(Param::Integer(version));
        for (position, value) in changes {
            let _ = write!(sql.text, ", {} = ", self.name(Column::Field(*position)));
            sql.bind(value.clone());
        }
        sql.text.push_str(" WHERE \"id\" = ");
        sql.bind(id);
        sql
    }

    pub fn delete(&self, id: Param) -> Sql {
        let mut sql = Sql { text: format!("DELETE FROM {} WHERE \"id\" = ", self.table), parameters: Vec::new() };
        sql.bind(id);
        sql
    }

    /// The quoted name of a column.
    fn name(&self, column: Column) -> &str {
        match column {
            Column::Id => "\"id\"",
            Column::Field(position) => self.columns.get(position).map_or("NULL", String::as_str),
        }
    }

    fn predicate(&self, sql: &mut Sql, predicate: &Predicate) {
        let (word, parts) = match predicate {
            Predicate::Is(comparison) => return self.comparison(sql, comparison),
            Predicate::All(parts) => (" AND ", parts),
            Predicate::Any(parts) => (" OR ", parts),
        };
        sql.text.push('(');
        for (at, part) in parts.iter().enumerate() {
            if at > 0 {
                sql.text.push_str(word);
            }
            self.predicate(sql, part);
        }
        sql.text.push(')');
    }

    fn comparison(&self, sql: &mut Sql, comparison: &Comparison) {
        let name = self.name(comparison.column);
        let fold = if comparison.fold { " COLLATE NOCASE" } else { "" };
        let mut values = comparison.values.iter().cloned();
        let first = values.next().unwrap_or(Param::Null);
        let sign = match comparison.operator {
            FilterOp::Eq => "=",
            FilterOp::Ne => "<>",
            FilterOp::Lt => "<",
            FilterOp::Lte => "<=",
            FilterOp::Gt => ">",
            FilterOp::Gte => ">=",
            FilterOp::Null => {
                let not = if first == Param::Integer(1) { "" } else { " NOT" };
                let _ = write!(sql.text, "{name} IS{not} NULL");
                return;
            }
            FilterOp::In => {
                let _ = write!(sql.text, "{name}{fold} IN (");
                for (at, value) in comparison.values.iter().enumerate() {
                    sql.text.push_str(if at > 0 { ", " } else { "" });
                    sql.bind(value.clone());
                }
                sql.text.push(')');
                return;
            }
            FilterOp::Prefix => return prefix(sql, name, first),
            FilterOp::Contains => {
                let _ = write!(sql.text, "instr({name}, ");
                sql.bind(first);
                sql.text.push_str(") > 0");
                return;
            }
        };
        let _ = write!(sql.text, "{name}{fold} {sign} ");
        sql.bind(first);
    }
}

/// As a range, which can use an index and has no wildcards.
fn prefix(sql: &mut Sql, name: &str, start: Param) {
    let end = match &start {
        Param::Text(text) => after_all_with(text),
        _ => None,
    };
    let _ = write!(sql.text, "({name} >= ");
    sql.bind(start);
    if let Some(end) = end {
        let _ = write!(sql.text, " AND {name} < ");
        sql.bind(Param::Text(end));
    }
    sql.text.push(')');
}

/// The smallest text that is greater than every text starting with `start`.
fn after_all_with(start: &str) -> Option<String> {
    let mut letters: Vec<char> = start.chars().collect();
    while let Some(last) = letters.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            letters.push(next);
            return Some(letters.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_next_text_that_does_not_begin_with_it() {
        assert_eq!(after_all_with("ab").as_deref(), Some("ac"));
        assert_eq!(after_all_with("a\u{10FFFF}").as_deref(), Some("b"));
        assert_eq!(after_all_with("\u{D7FF}").as_deref(), Some("\u{E000}"));
        assert_eq!(after_all_with("\u{10FFFF}"), None);
        assert_eq!(after_all_with(""), None);
    }
}
