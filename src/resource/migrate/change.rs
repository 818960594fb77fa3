//! Compares one table of ours with its declaration.

mod retype;

use super::reason::Reason;
use super::{
    By, Column, Demands, Dialect, Index, MANY_ROWS, Ours, Step, Table, declared, duplicates, renamed, required,
};
use crate::resource::contract::{Command, HiddenColumn};
use crate::resource::form::Form;
use crate::resource::table::{ColumnType, Declared};

type Refuse<'a> = dyn FnMut(Reason) + 'a;

/// A comparison in progress.
pub(super) struct Change<'a> {
    wanted: &'a Table,
    ours: &'a Ours,
    statements: &'a dyn Dialect,
    by: &'a By,
    refuse: &'a mut Refuse<'a>,
    /// What will be recorded.
    shape: Table,
    demands: Demands,
    steps: Vec<Step>,
    /// Columns that get another type: as they are, and as they will be.
    retyped: Vec<(ColumnType, Column)>,
    /// Added columns that may be old ones with new names, and those.
    renames: Vec<(&'a str, Vec<&'a HiddenColumn>)>,
}

impl<'a> Change<'a> {
    pub fn new(
        wanted: &'a Table,
        ours: &'a Ours,
        (statements, by): (&'a dyn Dialect, &'a By),
        refuse: &'a mut Refuse<'a>,
    ) -> Self {
        let demands = ours.demands.clone().unwrap_or_default();
        let mut change = Self {
            wanted,
            ours,
            statements,
            by,
            refuse,
            shape: ours.recorded.clone(),
            demands,
            steps: Vec::new(),
            retyped: Vec::new(),
            renames: Vec::new(),
        };
        change.renames = change.renames();
        change
    }

    pub fn plan(mut self) -> Vec<Step> {
        let (wanted, recorded) = (self.wanted, &self.ours.recorded);
        if (wanted.id, wanted.id_counts) != (recorded.id, recorded.id_counts) {
            let message = format!("the type of `id` in table `{}` cannot change", wanted.name);
            let help = "keep the previous `id` type, or use another table";
            (self.refuse)(Reason::new(Some("id"), message, help));
        }
        self.taken_out();
        let mut added = Vec::new();
        for column in &wanted.columns {
            match recorded.columns.iter().position(|old| old.name == column.name) {
                Some(at) => self.declared(at, column),
                None => {
                    self.added(column);
                    added.push(column);
                }
            }
        }
        self.demands.declared = declared(wanted);
        self.demands.required = required(wanted);
        // Columns come before indexes on them, and a dropped index before one that reuses its name.
        let columns = std::mem::replace(&mut self.steps, self.ours.rename_indexes());
        self.indexes_no_longer_wanted();
        self.retype();
        self.steps.extend(columns);
        self.drop_orphans();
        for index in &wanted.indexes {
            self.index_wanted(index, &added);
        }
        if self.shape != *recorded || !self.ours.renamed.is_empty() || Some(&self.demands) != self.ours.demands.as_ref()
        {
            self.steps.push(Step::Record(self.shape, self.demands));
        }
        self.steps
    }

    /// Added columns that cannot simply be added, or that replace ones that cannot simply be removed.
    fn renames(&self) -> Vec<(&'a str, Vec<&'a HiddenColumn>)> {
        let (wanted, ours) = (self.wanted, self.ours);
        let is_new = |column: &&Column| !ours.recorded.columns.iter().any(|old| old.name == column.name);
        let mut renames = Vec::new();
        for column in wanted.columns.iter().filter(is_new) {
            let former = ours.former(column);
            if !former.is_empty() && (self.lacks_values(column) || former.iter().any(|hidden| self.is_stuck(hidden))) {
                renames.push((&*column.name, former));
            }
        }
        renames
    }

    /// Whether a column cannot be removed in one step.
    fn is_stuck(&self, hidden: &HiddenColumn) -> bool {
        let pinned = self.ours.demands.as_ref().is_some_and(|demands| demands.pinned.contains(&hidden.column));
        pinned && !has_default(&self.ours.recorded, &hidden.column)
    }

    /// How a required column can be added to a table with items. If it is unique, a constant would be a duplicate.
    fn addition(&self, column: &Column) -> String {
        let unique = self.wanted.indexes.iter().any(|index| index.unique && index.columns.contains(&column.name));
        let (name, only_null) =
            (&column.name, unique || column.kind == ColumnType::Password || column.references.is_some());
        let default = if only_null { "" } else { "a constant `default` or " };
        format!("add {default}`nullable: true` to `{name}`")
    }

    /// Whether existing items have no value for a new column and must have one.
    fn lacks_values(&self, column: &Column) -> bool {
        column.required && column.default.is_none() && self.ours.rows > 0
    }

    /// Rejects a field that may be an old one with a new name, with the statement that renames the column.
    fn refuse_rename(&mut self, column: &Column, former: &[&HiddenColumn]) {
        let (table, new) = (&self.wanted.name, &column.name);
        let names = former.iter().map(|hidden| format!("`{}`", hidden.column)).collect::<Vec<_>>().join(" or ");
        let lost = former.iter().map(|HiddenColumn { column, values, .. }| match values.found {
            0 => format!("`{column}`, which may have values"),
            _ => format!("`{column}`, which has {}", values.of("value")),
        });
        let lost = lost.collect::<Vec<_>>().join(", and ");
        let (message, otherwise) = if self.lacks_values(column) {
            let stuck = former.iter().filter(|hidden| self.is_stuck(hidden));
            let stuck: Vec<_> = stuck.map(|hidden| format!("`{}`", hidden.column)).collect();
            let kept = match stuck.as_slice() {
                [] => String::new(),
                stuck => format!(", and keep {} with `nullable: true` for one reload", stuck.join(" and ")),
            };
            (
                format!(
                    "`{new}` is required, but existing items in table `{table}` do not have it; the file no longer has \
                     {lost}"
                ),
                format!("{}{kept}", self.addition(column)),
            )
        } else {
            (
                format!(
                    "table `{table}` gets the new field `{new}`, and the file no longer has the required field {lost}"
                ),
                format!("keep {names} with `nullable: true` for one reload, then remove it"),
            )
        };
        let gaps = former.iter().any(|hidden| hidden.values.found < self.ours.rows);
        let gaps = if column.required && gaps {
            format!("write `nullable: true` at `{new}`, because some items have no value; ")
        } else {
            String::new()
        };
        let keys = former.iter().map(|hidden| format!("`renamed_from: {}`", hidden.column));
        let keys = keys.collect::<Vec<_>>().join(" or ");
        let sql = former.iter().map(|hidden| self.statements.rename_column(table, &hidden.column, new) + ";");
        let sql = sql.collect::<Vec<_>>().join(" or ");
        let help = format!(
            "if `{new}` is {names} with a new name: {gaps}write {keys} at `{new}`, or stop the gateway, run this on the \
             database, and start it with this file: {sql} otherwise {otherwise}"
        );
        (self.refuse)(Reason::new(Some(new), message, help));
    }

    /// A field that every item must have cannot be removed: items created without it could not be shown if it returns.
    fn taken_out(&mut self) {
        for name in self.demands.pinned.iter().filter(|_| !self.by.prunes()) {
            let kept = self.wanted.columns.iter().any(|column| column.name == *name);
            let renamed = self.renames.iter().any(|(_, former)| former.iter().any(|hidden| hidden.column == *name));
            if !kept && !renamed && !has_default(&self.ours.recorded, name) {
                let message = format!(
                    "required field `{name}` of table `{}` cannot be removed in one step: items created without it \
                     would be invalid if it were added back",
                    self.wanted.name
                );
                let help = format!("set `nullable: true` on `{name}` and reload, then remove it");
                (self.refuse)(Reason::new(None, message, help));
            }
        }
        let kept = |name: &String| self.wanted.columns.iter().any(|column| column.name == *name && column.required);
        self.demands.pinned.retain(kept);
        // A field that was removed comes back as optional: from then on, that is the document to restore. One with a default may
        // come back as required, and its items without a value are still there.
        let declares = |name: &String| self.wanted.columns.iter().any(|column| column.name == *name);
        self.demands.loosened.retain(|name| declares(name) || has_default(&self.ours.recorded, name));
    }

    /// A column that exists. One that was not declared for a while returns with its values.
    fn declared(&mut self, at: usize, column: &Column) {
        let (table, field) = (&self.wanted.name, &column.name);
        let Some(old) = self.ours.recorded.columns.get(at) else { return };
        // Records without demands did not distinguish hashes from other text.
        let unclear =
            self.ours.demands.is_none() && old.kind == ColumnType::Text && column.kind == ColumnType::Password;
        if self.becomes_reference(old, column) {
            if !self.refers(column) {
                return;
            }
        } else if old.references != column.references {
            let (is, becomes) = (refers(old), refers(column));
            let message = format!("`{field}` of table `{table}` {is} and cannot become one that {becomes}");
            let help = "keep it as it is, add a field with another name, and copy the values";
            return (self.refuse)(Reason::new(Some(field), message, help));
        }
        if old.kind != column.kind && !unclear {
            if !self.widens(old, column) {
                return;
            }
        } else if !self.keeps_form(old, column) {
            return;
        }
        if let Some(shape) = self.shape.columns.get_mut(at) {
            (shape.kind, shape.form) = (column.kind, column.form);
            shape.references.clone_from(&column.references);
        }
        let was_required = self.demands.required.contains(field);
        if !column.required {
            if was_required && !self.demands.loosened.contains(field) {
                self.demands.loosened.push(field.clone());
            }
            return;
        }
        if was_required {
            return;
        }
        let known = self.ours.demands.is_some();
        let comes_back = known && !self.demands.declared.contains(field);
        if comes_back && old.default.is_none() && self.ours.rows > 0 {
            let message =
                format!("`{field}` is added back to table `{table}` as required, but some items may not have it");
            let help = format!("set `nullable: true` on `{field}` and reload; remove it once all items have a value");
            (self.refuse)(Reason::new(Some(field), message, help));
        } else if known && self.ours.nulls.contains(field) && !self.demands.loosened.contains(field) {
            let message = format!("`{field}` is required, but some items in table `{table}` do not have it");
            let help = format!(
                "write `nullable: true`, or give those items a value with this SQL, then reload: {}",
                self.statements.fill(table, column)
            );
            (self.refuse)(Reason::new(Some(field), message, help));
        }
        if !comes_back {
            self.demands.pinned.push(field.clone());
        }
    }

    /// Whether the column keeps the form of its texts, or the table is empty.
    fn keeps_form(&mut self, old: &Column, column: &Column) -> bool {
        let (table, field) = (&self.wanted.name, &column.name);
        let wanted = column.form.unwrap_or_default();
        let Some(stored) = old.form else {
            if wanted.email && self.ours.rows > 0 {
                self.steps.push(Step::Respell { table: table.clone(), column: field.clone() });
            }
            return true;
        };
        // The column's default is a text in the old form.
        if stored == wanted || (old.default.is_none() && self.ours.rows == 0) {
            return true;
        }
        let otherwise = if wanted == Form::default() { "without it".to_owned() } else { wanted.to_string() };
        let message = format!(
            "the values of `{field}` in table `{table}` were stored {stored}; {otherwise} they would compare differently"
        );
        let help = "keep the previous setting, or add a field with another name";
        (self.refuse)(Reason::new(Some(field), message, help));
        false
    }

    /// The table existed without it and may do so again, so a required one is not pinned.
    fn added(&mut self, column: &Column) {
        let (table, field) = (&self.wanted.name, &column.name);
        let former_of_others =
            column.declared.renamed_from.as_ref().filter(|former| self.demands.others.contains(former));
        let former = self.renames.iter().find(|(new, _)| new == field).map(|(_, former)| former.clone());
        if let Some(former) = former_of_others {
            (self.refuse)(renamed::of_others(table, field, former));
        } else if let Some(reason) = self.unknown(column) {
            (self.refuse)(reason);
        } else if let Some(former) = former {
            self.refuse_rename(column, &former);
        } else if let Some(other) = self.demands.others.iter().find(|other| self.same_name(other, field)) {
            let message = format!("table `{table}` has a column `{other}` that no field had when it was adopted");
            (self.refuse)(Reason::new(Some(field), message, "use another name, or drop that column"));
        } else if self.lacks_values(column) {
            let help = self.addition(column);
            let message = format!("`{field}` is required, but existing items in table `{table}` do not have it");
            (self.refuse)(Reason::new(Some(field), message, help));
        }
        let column = Column { declared: Declared::default(), ..column.clone() };
        self.steps.push(Step::AddColumn { table: table.clone(), column: column.clone() });
        self.shape.columns.push(column);
    }

    /// An empty table has nothing to rename. Its other columns may be the one that is meant.
    fn unknown(&self, column: &Column) -> Option<Reason> {
        let recorded = self.ours.recorded.columns.iter().map(|known| known.name.as_str());
        let other = |name: &&str| !self.wanted.columns.iter().any(|column| column.name == *name);
        let mut hidden = recorded.clone().filter(other).peekable();
        let none = hidden.peek().is_none();
        match self.ours.rows {
            0 => None,
            _ if none => renamed::unknown(&self.wanted.name, column, recorded),
            _ => renamed::unknown(&self.wanted.name, column, recorded.filter(other)),
        }
    }

    fn indexes_no_longer_wanted(&mut self) {
        let table = &self.wanted.name;
        let declared = |name: &String| self.wanted.columns.iter().any(|column| column.name == *name);
        let filled = |name: &String| has_default(&self.ours.recorded, name);
        for index in &self.ours.recorded.indexes {
            if self.wanted.indexes.contains(index) {
                continue;
            }
            // If none of its columns get values, new rows cannot be duplicates.
            let idle = !index.columns.iter().any(|name| declared(name) || filled(name));
            let missing = self.ours.missing.contains(index);
            if !missing && (!index.unique || idle) && !self.by.prunes() {
                continue;
            }
            self.shape.indexes.retain(|kept| kept != index);
            self.demands.guarded.retain(|guarded| guarded != index);
            if index.unique && !self.demands.released.contains(index) {
                self.demands.released.push(index.clone());
            }
            if !missing {
                self.steps.push(Step::DropIndex { table: table.clone(), index: index.clone() });
            }
        }
    }

    fn index_wanted(&mut self, index: &Index, added: &[&Column]) {
        let table = &self.wanted.name;
        let guarded = self.demands.guarded.contains(index);
        let duplicates = self.ours.equal.iter().find(|(other, _)| other == index).map(|(_, found)| found.clone());
        let equal = duplicates.is_some();
        if self.shape.indexes.contains(index) {
            if guarded && !equal {
                self.demands.guarded.retain(|other| other != index);
                self.steps.push(Step::DropIndex { table: table.clone(), index: index.clone() });
                self.steps.push(Step::CreateIndex { table: table.clone(), index: index.clone() });
            }
            return;
        }
        self.shape.indexes.push(index.clone());
        if self.ours.made.contains(index) {
            return;
        }
        let step = Step::CreateIndex { table: table.clone(), index: index.clone() };
        if self.demands.released.contains(index) {
            if equal {
                self.demands.guarded.push(index.clone());
            }
            let guard = Step::GuardIndex { table: table.clone(), index: index.clone() };
            return self.steps.push(if equal { guard } else { step });
        }
        let columns = index.columns.join("`, `");
        let place = index.columns.first().map(String::as_str);
        let before = duplicates::before(self.wanted, index, |name| !added.iter().any(|column| column.name == name));
        let before = before.filter(|before| index.unique && (equal || before.columns.is_empty() && self.ours.rows > 1));
        if let Some(before) = before {
            let (why, help) = duplicates::why(self.statements, table, index, &before);
            let message = format!("`{columns}` of table `{table}` cannot become unique: {why}");
            let duplicates = duplicates.unwrap_or_default();
            (self.refuse)(Reason::new(place, message, help).because_of(duplicates));
        } else if self.ours.rows > MANY_ROWS && !self.by.is_command() {
            let message = format!(
                "`{columns}` of table `{table}` cannot be indexed by a reload: the table is too large, and all writes \
                 would wait"
            );
            let live = self.statements.create_index_live(table, index);
            let sql = live.unwrap_or_else(|| self.statements.create_index(table, index));
            let help = format!("run this on the database, then reload: {sql};");
            (self.refuse)(Reason::new(place, message, help).by(Command::Apply));
        }
        self.steps.push(step);
    }
}

/// What a column does, in messages.
fn refers(column: &Column) -> String {
    column.references.as_ref().map_or_else(|| "refers to nothing".to_owned(), |to| format!("refers to `{to}`"))
}

/// Whether rows that are written without a column have a value there: the default it was made with.
fn has_default(table: &Table, name: &str) -> bool {
    table.columns.iter().any(|column| column.name == name && column.default.is_some())
}
