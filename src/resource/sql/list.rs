//! The statements of a list: pages by number, pages by cursor, and the count.

use super::Texts;
use crate::resource::order::SortKey;
use crate::resource::predicate::{Column, Comparison, Predicate};
use crate::resource::store::{Cell, Param, Row, Sql};
use crate::resource::watch::Revision;
use std::fmt::Write;

/// Which rows come after the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// Rows whose first key has a value.
    Valued,
    /// Rows whose first key is null. They come last, in a separate statement, so that both can use an index.
    Null,
}

impl Texts {
    /// `limit` rows in order, after skipping `offset`.
    pub fn page(
        &self,
        only: Option<&Predicate>,
        filters: &[Comparison],
        keys: &[SortKey],
        limit: u64,
        offset: u64,
    ) -> Sql {
        let by_id = matches!(keys, [SortKey { column: Column::Id, .. }]);
        let mut sql = Sql::default();
        if offset == 0 || by_id {
            let _ = write!(sql.text, "SELECT {} FROM {}", self.revised, self.table);
            self.conditions(&mut sql, only, filters);
            self.order(&mut sql, keys);
            self.limit_to(&mut sql, limit, offset);
            return sql;
        }
        // Ids first, so that skipped rows are never looked up.
        let _ = write!(sql.text, "SELECT {} FROM (SELECT \"id\" AS \"_i\" FROM {}", self.revised, self.table);
        self.conditions(&mut sql, only, filters);
        self.order(&mut sql, keys);
        self.limit_to(&mut sql, limit, offset);
        let _ = write!(sql.text, ") AS \"_p\" JOIN {} ON \"id\" = \"_i\"", self.table);
        self.order(&mut sql, keys);
        sql
    }

    /// `limit` rows in order, after the one with these `values` of its keys; `None` if there can be no such rows.
    pub fn after(
        &self,
        only: Option<&Predicate>,
        filters: &[Comparison],
        (keys, values): (&[SortKey], &[Param]),
        limit: u64,
        which: After,
    ) -> Option<Sql> {
        let (key, rest_keys) = keys.split_first()?;
        let (value, rest_values) = values.split_first()?;
        let name = self.ordered(key.column);
        let nullable = key.column != Column::Id;
        let mut sql = Sql::new(format!("SELECT {} FROM {}", self.revised, self.table), []);
        let word = if self.conditions(&mut sql, only, filters) { " AND " } else { " WHERE " };
        sql.text.push_str(word);
        let sign = if key.descending { '<' } else { '>' };
        match (which, value) {
            (After::Valued, Param::Null) => return None,
            (After::Valued, value) => {
                let _ = write!(sql.text, "{name} {sign}= ");
                self.bind_ordered(&mut sql, value.clone(), key.column);
                let _ = write!(sql.text, " AND ({name} {sign} ");
                self.bind_ordered(&mut sql, value.clone(), key.column);
                if !rest_keys.is_empty() {
                    let _ = write!(sql.text, " OR ");
                    self.beyond(&mut sql, rest_keys, rest_values);
                }
                sql.text.push(')');
            }
            (After::Null, _) if !nullable => return None,
            (After::Null, value) => {
                let _ = write!(sql.text, "{name} IS NULL");
                if *value == Param::Null {
                    sql.text.push_str(" AND ");
                    self.beyond(&mut sql, rest_keys, rest_values);
                }
            }
        }
        self.order(&mut sql, keys);
        sql.text.push_str(" LIMIT ");
        self.bind_number(&mut sql, limit);
        Some(sql)
    }

    /// Whether a row comes after the one with `values`, if the preceding keys are equal.
    fn beyond(&self, sql: &mut Sql, keys: &[SortKey], values: &[Param]) {
        let (Some((key, rest_keys)), Some((value, rest_values))) = (keys.split_first(), values.split_first()) else {
            sql.text.push_str("FALSE");
            return;
        };
        let name = self.ordered(key.column);
        let sign = if key.descending { '<' } else { '>' };
        if *value == Param::Null {
            let _ = write!(sql.text, "({name} IS NULL AND ");
            self.beyond(sql, rest_keys, rest_values);
            sql.text.push(')');
            return;
        }
        let _ = write!(sql.text, "({name} {sign} ");
        self.bind_ordered(sql, value.clone(), key.column);
        if key.column == Column::Id {
            sql.text.push(')');
            return;
        }
        let _ = write!(sql.text, " OR {name} IS NULL OR ({name} = ");
        self.bind_ordered(sql, value.clone(), key.column);
        sql.text.push_str(" AND ");
        self.beyond(sql, rest_keys, rest_values);
        sql.text.push_str("))");
    }

    /// What the database's revision was for the statement of a page or a count that returned `row`, if the store tells it there.
    pub fn revision(&self, row: &dyn Row) -> Option<Revision> {
        self.dialect.revision()?;
        match row.cell(row.width().checked_sub(1)?) {
            Cell::Text(text) => Some(Revision::described(text)),
            _ => None,
        }
    }

    /// How many rows there are, counting at most `cap`.
    pub fn count(&self, only: Option<&Predicate>, filters: &[Comparison], cap: Option<u64>) -> Sql {
        let mut sql = Sql::default();
        let revision = self.dialect.revision().map(|revision| format!(", {revision}")).unwrap_or_default();
        let Some(cap) = cap else {
            let _ = write!(sql.text, "SELECT count(*){revision} FROM {}", self.table);
            self.conditions(&mut sql, only, filters);
            return sql;
        };
        let _ = write!(sql.text, "SELECT count(*){revision} FROM (SELECT 1 FROM {}", self.table);
        self.conditions(&mut sql, only, filters);
        sql.text.push_str(" LIMIT ");
        self.bind_number(&mut sql, cap);
        sql.text.push_str(") AS \"_c\"");
        sql
    }

    /// Whether there are any.
    fn conditions(&self, sql: &mut Sql, only: Option<&Predicate>, filters: &[Comparison]) -> bool {
        let mut word = " WHERE ";
        if let Some(only) = only {
            sql.text.push_str(word);
            self.predicate(sql, only);
            word = " AND ";
        }
        for filter in filters {
            sql.text.push_str(word);
            self.comparison(sql, filter);
            word = " AND ";
        }
        word == " AND "
    }

    fn order(&self, sql: &mut Sql, keys: &[SortKey]) {
        sql.text.push_str(" ORDER BY ");
        for (at, key) in keys.iter().enumerate() {
            sql.text.push_str(if at > 0 { ", " } else { "" });
            sql.text.push_str(self.ordered(key.column));
            sql.text.push_str(if key.descending { " DESC" } else { "" });
            sql.text.push_str(if key.column == Column::Id { "" } else { " NULLS LAST" });
        }
    }

    /// Appends a value for a column, to ask which of the two is greater.
    pub(super) fn bind_ordered(&self, sql: &mut Sql, value: Param, column: Column) {
        sql.parameters.push(value);
        let value = self.dialect.value(sql.parameters.len(), self.kind(column));
        sql.text.push_str(&self.dialect.ordered(&value, self.kind(column)).unwrap_or(value));
    }

    /// A column in orders.
    pub(super) fn ordered(&self, column: Column) -> &str {
        let ordered = match column {
            Column::Field(at) => self.ordered.get(at).and_then(Option::as_deref),
            Column::Id | Column::Of(..) => None,
        };
        ordered.unwrap_or_else(|| self.name(column))
    }

    fn limit_to(&self, sql: &mut Sql, limit: u64, offset: u64) {
        sql.text.push_str(" LIMIT ");
        self.bind_number(sql, limit);
        sql.text.push_str(" OFFSET ");
        self.bind_number(sql, offset);
    }
}
