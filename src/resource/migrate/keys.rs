//! Foreign keys of other programs that change rows of resources when others are deleted or changed.
//!
//! The rows would get no new versions, and `on_delete: restrict` would restrict nothing. Where `on_delete` says `cascade` or
//! `set_null`, the gateway comes first, so that nothing is left to the database. All other keys are changed to check only, by
//! `gatewright migrate`; see `docs/decisions/035-relations.md`.

pub mod clauses;

use super::families::Families;
use super::key::{Acting, Action, Actions, Key};
use super::reason::Reason;
use super::session::{Catalog, Session};
use super::{By, Step};
use crate::resource::contract::{Command, Error};
use crate::resource::model::{is_identifier, taken};
use crate::resource::table::{Column, Table};
use std::collections::{BTreeMap, BTreeSet};

/// The keys that act on the rows of these tables, by table.
pub fn acting(
    session: &mut dyn Session,
    catalog: &dyn Catalog,
    wanted: &[Table],
) -> Result<BTreeMap<String, Vec<Acting>>, Error> {
    let (keys, families) = (catalog.keys(session)?, catalog.families(session)?);
    let scope = Scope::new(wanted, &keys, &families);
    let mut found = BTreeMap::new();
    for table in wanted {
        let is_own = |key: &&Key| scope.served(&key.table).is_some_and(|served| served.name == table.name);
        let own: Vec<_> = keys.iter().filter(is_own).map(|key| (key, scope.meant(key))).collect();
        if own.iter().all(|(_, actions)| !actions.delete && !actions.update) {
            continue;
        }
        let statements = catalog.without_actions(session, &own)?;
        let changed = own.iter().filter(|(_, actions)| actions.delete || actions.update);
        let acting = changed.zip(statements).map(|((key, actions), sql)| scope.acting(key, table, *actions, sql));
        found.insert(table.name.clone(), acting.collect());
    }
    Ok(found)
}

/// What the gateway deletes and changes.
struct Scope<'a> {
    wanted: &'a [Table],
    families: &'a Families,
    /// The tables with such rows, and those whose rows the database then deletes or changes, also tables of other programs.
    reached: BTreeSet<&'a str>,
}

impl<'a> Scope<'a> {
    fn new(wanted: &'a [Table], keys: &'a [Key], families: &'a Families) -> Self {
        let mut reached: BTreeSet<&str> = wanted.iter().flat_map(|table| families.rows(&table.name)).collect();
        let mut known = 0;
        while known != reached.len() {
            known = reached.len();
            for key in keys.iter().filter(|key| key.acts()) {
                if !reached.is_disjoint(&families.keyed(&key.parent)) {
                    reached.extend(families.keyed(&key.table));
                }
            }
        }
        Self { wanted, families, reached }
    }

    /// The tables of resources that have rows which keys of this table, or to it, are about.
    fn sharing(&self, table: &str) -> Vec<&'a Table> {
        let keyed = self.families.keyed(table);
        let shares = |wanted: &&Table| !self.families.rows(&wanted.name).is_disjoint(&keyed);
        self.wanted.iter().filter(shares).collect()
    }

    /// The table of the resource whose rows the keys of this table are about.
    fn served(&self, table: &str) -> Option<&'a Table> {
        self.wanted.iter().find(|wanted| wanted.name == table).or_else(|| self.sharing(table).first().copied())
    }

    /// Which of its actions the gateway sets off, and does not do itself.
    fn meant(&self, key: &Key) -> Actions {
        let is_reached = !self.reached.is_disjoint(&self.families.keyed(&key.parent));
        // No one changes an id.
        let fixed = key.to == ["id"];
        Actions {
            delete: is_reached && key.on_delete != Action::Check && !self.is_first(key),
            update: is_reached && key.on_update != Action::Check && !fixed,
        }
    }

    /// Whether the gateway acts before the database on all rows of a key.
    fn is_first(&self, key: &Key) -> bool {
        let (rows, referred) = (self.families.keyed(&key.table), self.families.keyed(&key.parent));
        let all = |table: &str, of: &BTreeSet<&str>| of.is_subset(&self.families.rows(table));
        let deleted = referred.intersection(&self.reached).copied().collect();
        key.is_exact
            && self.fields(key).into_iter().any(|(table, field, to)| {
                let only = self.sharing(&key.parent).iter().all(|other| other.name == to);
                field.declared.acts_on_delete && only && all(&table.name, &rows) && all(to, &deleted)
            })
    }

    /// The fields that are this key, and what they refer to.
    fn fields(&self, key: &Key) -> Vec<(&'a Table, &'a Column, &'a str)> {
        let name = key.columns.first().filter(|_| key.columns.len() == 1 && key.to == ["id"]);
        let parents = self.sharing(&key.parent);
        let field = |table: &'a Table| {
            let field = table.columns.iter().find(|column| Some(&column.name) == name)?;
            let to = field.references.as_deref()?;
            parents.iter().any(|parent| parent.name == to).then_some((table, field, to))
        };
        self.sharing(&key.table).into_iter().filter_map(field).collect()
    }

    fn acting(&self, key: &Key, served: &Table, actions: Actions, sql: Vec<String>) -> Acting {
        let mut clauses = Vec::new();
        if actions.delete {
            clauses.push(format!("ON DELETE {}", key.on_delete.word()));
        }
        if actions.update {
            clauses.push(format!("ON UPDATE {}", key.on_update.word()));
        }
        let fields = self.fields(key);
        let is_field = !fields.is_empty();
        let can_be = |name: &String| name != "id" && is_identifier(name) && taken(name).is_none();
        let can_refer = actions.delete && key.is_exact && key.to == ["id"] && !self.sharing(&key.parent).is_empty();
        Acting {
            served: served.name.clone(),
            table: key.table.clone(),
            columns: key.columns.clone(),
            parent: key.parent.clone(),
            actions,
            clauses: clauses.join(" "),
            contradicts: actions.delete
                && is_field
                && fields.iter().all(|(_, field, _)| !field.declared.acts_on_delete),
            can_refer: can_refer && !is_field && matches!(key.columns.as_slice(), [only] if can_be(only)),
            by_collation: is_field && !key.is_exact,
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
    let Acting { table, parent, columns, .. } = key;
    let what = if key.actions.delete { "a delete" } else { "a change of what they refer to" };
    let instead = match columns.first() {
        Some(column) if key.can_refer => {
            format!("; to delete or to clear them, too, declare `{column}` with `type: ref` and `on_delete`")
        }
        Some(column) if key.by_collation => format!("; {}", by_collation(column)),
        _ => String::new(),
    };
    format!(
        "as long as rows of {table} refer to a row of {parent}, {what} is rejected, also if another program asks for it{instead}"
    )
}

/// Why the gateway does not do what `on_delete` says.
pub fn by_collation(column: &str) -> String {
    format!(
        "`on_delete` at `{column}` cannot do more, because the database compares these ids by a collation such as NOCASE, and the \
         gateway byte by byte"
    )
}
