//! Conditions on rows as SQL: comparisons, and what is asked of the items that rows refer to.

use super::Texts;
use crate::config::document::resource::FilterOp;
use crate::resource::dialect::Dialect;
use crate::resource::predicate::{Column, Comparison, Predicate};
use crate::resource::store::{Param, Sql};
use std::fmt::Write;

impl Texts {
    pub(super) fn predicate(&self, sql: &mut Sql, predicate: &Predicate) {
        let (word, parts) = match predicate {
            Predicate::Is(comparison) => return self.comparison(sql, comparison),
            Predicate::All(parts) => (" AND ", parts),
            Predicate::Any(parts) => (" OR ", parts),
            Predicate::Refers(position, predicate) => return self.refers(sql, *position, predicate),
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

    /// The item that the field refers to fulfils the condition. Names within the parentheses are those of its table, even if it
    /// is the same table.
    fn refers(&self, sql: &mut Sql, position: usize, predicate: &Predicate) {
        let Some(texts) = self.through(position) else { return sql.text.push_str("FALSE") };
        let column = self.columns.get(position).map_or("NULL", String::as_str);
        let _ = write!(sql.text, "{}.{column} IN (SELECT \"id\" FROM {} WHERE ", self.table, texts.table);
        texts.predicate(sql, predicate);
        sql.text.push(')');
    }

    /// A field of the item that a field refers to. The table may be the same, so it has another name here.
    fn comparison_of(&self, sql: &mut Sql, (through, position): (usize, usize), comparison: &Comparison) {
        let Some(texts) = self.through(through) else { return sql.text.push_str("FALSE") };
        let (own, table) = (self.columns.get(through).map_or("NULL", String::as_str), &self.table);
        let _ = write!(
            sql.text,
            "EXISTS (SELECT 1 FROM {} AS \"_of\" WHERE \"_of\".\"id\" = {table}.{own} AND ",
            texts.table
        );
        let compared = texts.columns.get(position).zip(texts.kinds.get(position)).map(|(column, kind)| {
            let name = self.dialect.compared("\"_of\"", column, *kind);
            if self.dialect == Dialect::Sqlite { format!("\"_of\".{name}") } else { name }
        });
        let column = Column::Field(position);
        let renamed = Comparison { column, ..comparison.clone() };
        texts.compare(sql, &renamed, compared.as_deref().unwrap_or("NULL"));
        sql.text.push(')');
    }

    pub(super) fn comparison(&self, sql: &mut Sql, comparison: &Comparison) {
        match comparison.column {
            Column::Of(through, position) => self.comparison_of(sql, (through, position), comparison),
            column => self.compare(sql, comparison, self.name(column)),
        }
    }

    /// Compares the column, which is called `name` here.
    fn compare(&self, sql: &mut Sql, comparison: &Comparison, name: &str) {
        let (column, own) = (comparison.column, name);
        if let Some(sign) = order_sign(comparison.operator)
            && let Some(ordered) = self.dialect.ordered(own, self.kind(column))
        {
            let _ = write!(sql.text, "{ordered} {sign} ");
            return self.bind_ordered(sql, comparison.values.first().cloned().unwrap_or(Param::Null), column);
        }
        let folded = match comparison.fold {
            true => Some(self.dialect.folded(own)),
            false => self.dialect.exact(own, self.kind(column)),
        };
        let name = folded.as_deref().unwrap_or(own);
        let first = comparison.values.first().cloned().unwrap_or(Param::Null);
        let sign = match comparison.operator {
            FilterOp::Eq => "=",
            FilterOp::Ne => "<>",
            FilterOp::Lt | FilterOp::Lte | FilterOp::Gt | FilterOp::Gte => {
                order_sign(comparison.operator).unwrap_or_default()
            }
            FilterOp::Null => {
                let not = if first == Param::Integer(1) { "" } else { " NOT" };
                let _ = write!(sql.text, "{own} IS{not} NULL");
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
            FilterOp::Prefix => return self.prefix(sql, (column, own), first),
            FilterOp::Contains => {
                let _ = write!(sql.text, "{}({own}, ", self.dialect.position());
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
    fn prefix(&self, sql: &mut Sql, (column, name): (Column, &str), start: Param) {
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

/// The sign of an operator that asks which of two values is greater.
const fn order_sign(operator: FilterOp) -> Option<&'static str> {
    match operator {
        FilterOp::Lt => Some("<"),
        FilterOp::Lte => Some("<="),
        FilterOp::Gt => Some(">"),
        FilterOp::Gte => Some(">="),
        _ => None,
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
