//! Foreign keys of other programs that change rows of resources when others are deleted or changed.
//!
//! The rows would get no new versions, and `on_delete: restrict` would restrict nothing. Where `on_delete` says `cascade` or
//! `set_null`, the gateway comes first, so that nothing is left to the database. All other keys are changed to check only, by
//! `gatewright migrate`; see `docs/decisions/035-relations.md`.

pub mod clauses;

use super::key::{Acting, Action, Actions, Key};
use super::reason::Reason;
use super::session::{Catalog, Session};
use super::{By, Step};
use crate::resource::contract::{Command, Error};
use crate::resource::table::Table;
use std::collections::BTreeMap;

/// The keys that act on the rows of these tables, by table.
pub fn acting(
    session: &mut dyn Session,
    catalog: &dyn Catalog,
    wanted: &[Table],
) -> Result<BTreeMap<String, Vec<Acting>>, Error> {
    let keys = catalog.keys(session)?;
    let acts = |key: &&Key| key.on_delete != Action::Check || key.on_update != Action::Check;
    // What the gateway deletes or changes may lead the database to the rows of a resource over tables of other programs.
    let mut reached: Vec<&str> = wanted.iter().map(|table| table.name.as_str()).collect();
    let mut known = 0;
    while known != reached.len() {
        known = reached.len();
        for key in keys.iter().filter(acts) {
            if reached.contains(&key.parent.as_str()) && !reached.contains(&key.table.as_str()) {
                reached.push(&key.table);
            }
        }
    }
    let mut found = BTreeMap::new();
    for table in wanted {
        let own: Vec<_> = keys.iter().filter(|key| key.table == table.name).collect();
        let meant: Vec<_> = own.iter().map(|key| key.meant(table, reached.contains(&key.parent.as_str()))).collect();
        if meant.iter().all(|actions| !actions.delete && !actions.update) {
            continue;
        }
        let pairs: Vec<_> = own.iter().copied().zip(meant).collect();
        let statements = catalog.without_actions(session, &pairs)?;
        let changed = pairs.iter().filter(|(_, actions)| actions.delete || actions.update);
        let acting = changed.zip(statements).map(|((key, actions), sql)| key.acting(table, *actions, sql));
        found.insert(table.name.clone(), acting.collect());
    }
    Ok(found)
}

impl Key {
    /// Which of its actions the gateway sets off, and does not do itself.
    fn meant(&self, table: &Table, is_reached: bool) -> Actions {
        let handled = self.field(table).is_some_and(|acts| acts);
        // No one changes an id.
        let fixed = self.to == ["id"];
        Actions {
            delete: is_reached && self.on_delete != Action::Check && !handled,
            update: is_reached && self.on_update != Action::Check && !fixed,
        }
    }

    /// Whether the gateway acts before the database, if a field refers to the same ids.
    fn field(&self, table: &Table) -> Option<bool> {
        let [column] = self.columns.as_slice() else { return None };
        let field = table.columns.iter().find(|field| field.name == *column)?;
        let same = field.references.as_ref() == Some(&self.parent) && self.to == ["id"];
        same.then_some(field.declared.acts_on_delete)
    }

    fn acting(&self, table: &Table, actions: Actions, sql: Vec<String>) -> Acting {
        let mut clauses = Vec::new();
        if actions.delete {
            clauses.push(format!("ON DELETE {}", self.on_delete.word()));
        }
        if actions.update {
            clauses.push(format!("ON UPDATE {}", self.on_update.word()));
        }
        Acting {
            table: table.name.clone(),
            columns: self.columns.clone(),
            parent: self.parent.clone(),
            clauses: clauses.join(" "),
            contradicts: actions.delete && self.field(table) == Some(false),
            sql,
        }
    }
}

/// The steps that change such keys of a table. A start and a reload do not change them: they are an error if the file says otherwise.
pub(super) fn steps(keys: &[Acting], table: &Table, by: &By, refuse: &mut dyn FnMut(Reason)) -> Vec<Step> {
    let mut steps = Vec::new();
    for key in keys {
        let column = key.column(table);
        if by.is_command() {
            let column = column.map(str::to_owned);
            steps.push(Step::CheckOnly { column, key: key.clone() });
        } else if key.contradicts {
            let message = format!(
                "`{}` has `on_delete: restrict`, but its foreign key to `{}` has {}: the database would not restrict a delete, but \
                 change the rows of `{}`",
                key.columns.join("`, `"),
                key.parent,
                key.clauses,
                key.table
            );
            let help = "write `on_delete: cascade` or `set_null`, which the gateway does before the database";
            refuse(Reason::new(column, message, help).by(Command::Apply));
        }
    }
    steps
}

/// What the operator should know about such a key that becomes a check.
pub(super) fn warning(key: &Acting) -> String {
    let Acting { table, parent, clauses, .. } = key;
    let what = if clauses.starts_with("ON DELETE") { "a delete" } else { "a change of what they refer to" };
    let instead = match key.columns.as_slice() {
        [column] if !key.contradicts && clauses.starts_with("ON DELETE") => {
            format!("; to delete or to clear them, too, declare `{column}` with `type: ref` and `on_delete`")
        }
        _ => String::new(),
    };
    format!(
        "as long as rows of {table} refer to a row of {parent}, {what} is rejected, also if another program asks for it{instead}"
    )
}
