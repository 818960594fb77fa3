//! SQL text, built from names that were validated when the resource was compiled; values are always bound.

pub mod list;

use super::dialect::Dialect;
use super::field::Field;
use super::field_type::FieldType;
use super::predicate::{Column, Comparison, Predicate};
use super::store::{Param, Sql};
use super::table::{ColumnType, Table};
use crate::config::document::resource::FilterOp;
use std::fmt::Write;
use std::sync::Arc;

/// The position of the id in a row.
pub const ID: usize = 1;
/// The position of the first field in a row: `_version` and `id` come first.
pub const FIRST_FIELD: usize = 2;

/// The fixed pieces of a resource's statements.
pub struct Texts {
    dialect: Dialect,
    /// Quoted names.
    table: String,
    columns: Vec<String>,
    /// The types of the columns.
    id_kind: ColumnType,
    kinds: Vec<ColumnType>,
    /// The columns in conditions and orders, and the id.
    compared: Vec<String>,
    compared_id: String,
    /// The id as a cell.
    id: String,
    /// The columns of a response; those that clients cannot see are NULL.
    shown: String,
    /// The same and, if the store tells it within a statement, the revision of the database: the last column.
    revised: String,
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

fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

impl Texts {
    pub fn new(dialect: Dialect, table: &Table, fields: &[Field]) -> Self {
        let columns: Vec<String> = fields.iter().map(|field| quoted(&field.name)).collect();
        let kinds: Vec<ColumnType> = fields.iter().map(|field| field.kind.column()).collect();
        let (name, id) = (quoted(&table.name), dialect.cell("\"id\"", table.id));
        let list = |there: &dyn Fn(&Field) -> bool| {
            let named = fields.iter().zip(columns.iter().zip(&kinds));
            named.fold(format!("\"_version\", {id}"), |list, (field, (column, kind))| {
                let cell = if there(field) { dialect.cell(column, *kind) } else { "NULL".to_owned() };
                list + ", " + &cell
            })
        };
        let shown = list(&|field| field.visible());
        let whole = list(&|field| !matches!(field.kind, FieldType::Password));
        let insert = |with_id: Option<ColumnType>| {
            let names = with_id.map(|_| "\"id\"").into_iter().chain(columns.iter().map(String::as_str));
            let kinds = std::iter::once(ColumnType::Integer).chain(with_id).chain(kinds.iter().copied());
            let values = kinds.enumerate().map(|(at, kind)| dialect.value(at.saturating_add(1), kind));
            let names = names.fold("\"_version\"".to_owned(), |list, name| list + ", " + name);
            let values = values.collect::<Vec<_>>().join(", ");
            format!("INSERT INTO {name} ({names}) VALUES ({values}) RETURNING {id}")
        };
        let mut texts = Self {
            dialect,
            compared: columns.iter().zip(&kinds).map(|(column, kind)| dialect.compared(&name, column, *kind)).collect(),
            compared_id: dialect.compared(&name, "\"id\"", table.id),
            id_kind: table.id,
            read: "".into(),
            insert: insert(Some(table.id)),
            insert_counted: insert(None),
            taken: Vec::new(),
            id,
            table: name,
            columns,
            kinds,
            revised: dialect.revision().into_iter().fold(shown.clone(), |list, revision| list + ", " + revision),
            shown,
            whole,
        };
        let by_id = texts.equals(Column::Id, false, 1);
        texts.read = format!("SELECT {} FROM {} WHERE {by_id}", texts.shown, texts.table).into();
        let alone = table.indexes.iter().filter(|index| index.unique && index.columns.len() == 1);
        let taken = alone.filter_map(|index| {
            let position = fields.iter().position(|field| index.columns.first() == Some(&field.name))?;
            Some((position, texts.columns_by(&[], Column::Field(position), index.ignore_case).into()))
        });
        texts.taken = taken.collect();
        texts
    }

    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Whether a column equals the parameter with this number.
    fn equals(&self, column: Column, fold: bool, number: usize) -> String {
        let (name, value) = (self.name(column), self.dialect.value(number, self.kind(column)));
        match (fold, self.dialect) {
            (false, _) => format!("{name} = {value}"),
            (true, Dialect::Sqlite) => format!("{} = {value}", self.dialect.folded(name)),
            (true, Dialect::Postgres) => format!("{} = {}", self.dialect.folded(name), self.dialect.folded(&value)),
        }
    }

    /// Some columns of the item with a value in `by`: version and id come first. The value is bound later.
    pub fn columns_by(&self, columns: &[Column], by: Column, fold: bool) -> String {
        let cells = columns.iter().map(|column| match column {
            Column::Id => self.id.clone(),
            Column::Field(at) => {
                self.dialect.cell(self.columns.get(*at).map_or("NULL", String::as_str), self.kind(*column))
            }
        });
        let cells = cells.fold(format!("\"_version\", {}", self.id), |list, cell| list + ", " + &cell);
        format!("SELECT {cells} FROM {} WHERE {} LIMIT 1", self.table, self.equals(by, fold, 1))
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
        let found = self.equals(Column::Field(position), false, 1);
        format!("SELECT {} FROM {} WHERE {found} LIMIT 1", self.whole, self.table)
    }

    /// Sets the version and the field at `set` of the item with a value in the field at `position`. Binds them in this order.
    pub fn set_by(&self, position: usize, set: usize) -> String {
        let (column, kind) = (self.columns.get(set).map_or("NULL", String::as_str), self.kind(Column::Field(set)));
        let (version, value) = (self.dialect.value(1, ColumnType::Integer), self.dialect.value(2, kind));
        let found = self.equals(Column::Field(position), false, 3);
        format!("UPDATE {} SET \"_version\" = {version}, {column} = {value} WHERE {found}", self.table)
    }

    /// The item with a value in a unique column, with everything that a change needs.
    pub fn read_whole_by(&self, column: Column, fold: bool, value: Param, condition: Option<&Predicate>) -> Sql {
        let text = format!("SELECT {} FROM {} WHERE {}", self.whole, self.table, self.equals(column, fold, 1));
        let mut sql = Sql { text, parameters: vec![value] };
        if let Some(condition) = condition {
            sql.text.push_str(" AND ");
            self.predicate(&mut sql, condition);
        }
        sql
    }

    fn item(&self, columns: &str, id: Param, condition: Option<&Predicate>) -> Sql {
        let mut sql = Sql { text: format!("SELECT {columns} FROM {} WHERE ", self.table), parameters: Vec::new() };
        self.is_id(&mut sql, id);
        if let Some(condition) = condition {
            sql.text.push_str(" AND ");
            self.predicate(&mut sql, condition);
        }
        sql
    }

    fn is_id(&self, sql: &mut Sql, id: Param) {
        let _ = write!(sql.text, "{} = ", self.compared_id);
        self.bind(sql, id, Column::Id);
    }

    /// Appends a value for a column.
    fn bind(&self, sql: &mut Sql, value: Param, column: Column) {
        sql.parameters.push(value);
        sql.text.push_str(&self.dialect.value(sql.parameters.len(), self.kind(column)));
    }

    /// Appends a number.
    fn bind_number(&self, sql: &mut Sql, number: u64) {
        sql.parameters.push(Param::Integer(i64::try_from(number).unwrap_or(i64::MAX)));
        sql.text.push_str(&self.dialect.value(sql.parameters.len(), ColumnType::Integer));
    }

    /// Inserts an item; without an `id`, the store counts one up. Returns the id.
    pub fn insert(&self, version: i64, id: Option<Param>, fields: &[Param]) -> Sql {
        let text = if id.is_some() { &self.insert } else { &self.insert_counted };
        let parameters = std::iter::once(Param::Integer(version)).chain(id).chain(fields.iter().cloned());
        Sql { text: text.clone(), parameters: parameters.collect() }
    }

    /// Changes some columns and the version of the row.
    pub fn update(&self, version: i64, id: Param, changes: &[(usize, Param)]) -> Sql {
        let value = self.dialect.value(1, ColumnType::Integer);
        let text = format!("UPDATE {} SET \"_version\" = {value}", self.table);
        let mut sql = Sql { text, parameters: vec![Param::Integer(version)] };
        for (position, value) in changes {
            let _ = write!(sql.text, ", {} = ", self.columns.get(*position).map_or("NULL", String::as_str));
            self.bind(&mut sql, value.clone(), Column::Field(*position));
        }
        sql.text.push_str(" WHERE ");
        self.is_id(&mut sql, id);
        sql
    }

    pub fn delete(&self, id: Param) -> Sql {
        let mut sql = Sql { text: format!("DELETE FROM {} WHERE ", self.table), parameters: Vec::new() };
        self.is_id(&mut sql, id);
        sql
    }

    /// A column in conditions and orders.
    fn name(&self, column: Column) -> &str {
        match column {
            Column::Id => &self.compared_id,
            Column::Field(position) => self.compared.get(position).map_or("NULL", String::as_str),
        }
    }

    fn kind(&self, column: Column) -> ColumnType {
        match column {
            Column::Id => self.id_kind,
            Column::Field(position) => self.kinds.get(position).copied().unwrap_or(ColumnType::Text),
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
        let column = comparison.column;
        let folded = comparison.fold.then(|| self.dialect.folded(self.name(column)));
        let name = folded.as_deref().unwrap_or_else(|| self.name(column));
        let first = comparison.values.first().cloned().unwrap_or(Param::Null);
        let sign = match comparison.operator {
            FilterOp::Eq => "=",
            FilterOp::Ne => "<>",
            FilterOp::Lt => "<",
            FilterOp::Lte => "<=",
            FilterOp::Gt => ">",
            FilterOp::Gte => ">=",
            FilterOp::Null => {
                let not = if first == Param::Integer(1) { "" } else { " NOT" };
                let _ = write!(sql.text, "{} IS{not} NULL", self.name(column));
                return;
            }
            // Nothing is in an empty list, which PostgreSQL does not accept.
            FilterOp::In if comparison.values.is_empty() => return sql.text.push_str("FALSE"),
            FilterOp::In => {
                let _ = write!(sql.text, "{name} IN (");
                for (at, value) in comparison.values.iter().enumerate() {
                    sql.text.push_str(if at > 0 { ", " } else { "" });
                    self.bind_folded(sql, value.clone(), comparison);
                }
                sql.text.push(')');
                return;
            }
            FilterOp::Prefix => return self.prefix(sql, column, first),
            FilterOp::Contains => {
                let _ = write!(sql.text, "{}({}, ", self.dialect.position(), self.name(column));
                self.bind(sql, first, column);
                sql.text.push_str(") > 0");
                return;
            }
        };
        let _ = write!(sql.text, "{name} {sign} ");
        self.bind_folded(sql, first, comparison);
    }

    /// A value to compare with. In SQLite the column alone says how.
    fn bind_folded(&self, sql: &mut Sql, value: Param, comparison: &Comparison) {
        if !comparison.fold || self.dialect == Dialect::Sqlite {
            return self.bind(sql, value, comparison.column);
        }
        sql.parameters.push(value);
        let value = self.dialect.value(sql.parameters.len(), self.kind(comparison.column));
        sql.text.push_str(&self.dialect.folded(&value));
    }

    /// As a range, which can use an index and has no wildcards.
    fn prefix(&self, sql: &mut Sql, column: Column, start: Param) {
        let name = self.name(column);
        let end = match &start {
            Param::Text(text) => after_all_with(text),
            _ => None,
        };
        let _ = write!(sql.text, "({name} >= ");
        self.bind(sql, start, column);
        if let Some(end) = end {
            let _ = write!(sql.text, " AND {name} < ");
            self.bind(sql, Param::Text(end), column);
        }
        sql.text.push(')');
    }
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
