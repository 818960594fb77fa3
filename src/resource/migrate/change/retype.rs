//! Columns that get another type, and columns that are dropped.

use super::{Change, Reason};
use crate::resource::contract::Command;
use crate::resource::migrate::{Retype, Step, widen};
use crate::resource::table::{Column, Index};

impl Change<'_> {
    /// Whether the column gets a type that includes the values it has.
    pub(super) fn widens(&mut self, old: &Column, column: &Column) -> bool {
        let (table, field) = (&self.wanted.name, &column.name);
        let (from, to) = (old.kind, column.kind);
        if !widen::is_widening(from, column) {
            let message = format!("`{field}` has {from} values in table `{table}` and cannot become {to}");
            (self.refuse)(Reason::new(Some(field), message, "keep its type, and add a field with another name"));
            return false;
        }
        if let Some((_, why)) = self.ours.unfit.iter().find(|(name, _)| name == field) {
            let message = format!("`{field}` of table `{table}` cannot become {to}: some of its values {why}");
            (self.refuse)(Reason::new(Some(field), message, "keep its type, or change those values first"));
            return false;
        }
        if !self.by.is_command() {
            let message = format!(
                "`{field}` of table `{table}` changes from {from} to {to}, which only `gatewright migrate` does"
            );
            (self.refuse)(Reason::new(Some(field), message, "").by(Command::Apply));
            return false;
        }
        let default = old.default.as_ref().map(|default| widen::default(default, column));
        self.retyped.push((from, Column { default, ..column.clone() }));
        true
    }

    /// Whether a column with the type of ids is declared to refer to them.
    pub(super) fn becomes_reference(&self, old: &Column, column: &Column) -> bool {
        old.references.is_none() && column.references.is_some() && old.kind == column.kind
    }

    /// Makes a column refer to items, if all of its values do.
    pub(super) fn refers(&mut self, column: &Column) -> bool {
        let (table, field) = (&self.wanted.name, &column.name);
        let to = column.references.as_deref().unwrap_or_default();
        if let Some((_, rows)) = self.ours.lost.iter().find(|(name, _)| name == field) {
            let message = format!(
                "`{field}` of table `{table}` cannot refer to `{to}`: some of its values are no ids there ({rows})"
            );
            let help = format!("give those rows another value or null; to see them: {}", rows.find);
            (self.refuse)(Reason::new(Some(field), message, help));
            return false;
        }
        if !self.by.is_command() {
            let message = format!(
                "`{field}` of table `{table}` becomes a reference to `{to}`, which only `gatewright migrate` makes"
            );
            (self.refuse)(Reason::new(Some(field), message, "").by(Command::Apply));
            return false;
        }
        if !self.ours.referring.contains(field) {
            self.retyped.push((column.kind, column.clone()));
        }
        true
    }

    /// The steps that change types, once it is known which indexes there are.
    pub(super) fn retype(&mut self) {
        for (from, column) in std::mem::take(&mut self.retyped) {
            let there =
                |index: &&Index| self.ours.recorded.indexes.contains(index) && !self.ours.missing.contains(index);
            let on_it = self.shape.indexes.iter().filter(there).filter(|index| index.columns.contains(&column.name));
            let indexes = on_it.map(|index| (index.clone(), self.demands.guarded.contains(index))).collect();
            let at = self.shape.columns.iter().position(|known| known.name == column.name);
            if let Some(at) = at {
                let mut shape = self.shape.columns.remove(at);
                shape.default.clone_from(&column.default);
                let at = if self.statements.moves_retyped() { self.shape.columns.len() } else { at };
                self.shape.columns.insert(at, shape);
            }
            let table = self.wanted.name.clone();
            self.steps.push(Step::Retype(Retype { table, from, column, indexes }));
        }
    }

    /// Whether a column of the table stands in the way of a field.
    pub(super) fn same_name(&self, column: &str, field: &str) -> bool {
        column == field || self.statements.folds_names() && column.eq_ignore_ascii_case(field)
    }

    /// Drops the columns that are not declared, if that is wanted.
    pub(super) fn drop_orphans(&mut self) {
        for (column, values) in &self.ours.orphans {
            self.shape.columns.retain(|kept| kept.name != *column);
            self.demands.forget(column);
            let table = self.wanted.name.clone();
            self.steps.push(Step::DropColumn { table, column: column.clone(), values: *values });
        }
    }
}
