//! What the delete of an item does to the items that refer to it, in the same transaction.
//!
//! The gateway does it, and not the database, so that items that change get new versions, and sessions of deleted accounts
//! end. What is declared as `restrict`, or is not declared any more, is left to the foreign keys: they refuse the delete.
//!
//! Items of resources with `soft_delete` are copied to the table of deleted items before they are deleted.

mod kept;
mod nodes;

use super::contract::{OVERTAKEN, prevented};
use super::dialect::Dialect;
use super::field::Source;
use super::model::Model;
use super::moment::Moment;
use super::store::{Error, ForeignKey, Param, Sql, Tree};
use super::table::ColumnType;
use super::version;
use crate::config::document::resource::OnDelete;
use std::fmt::Write;
use std::sync::Arc;
use uuid::Uuid;

pub use self::kept::Restore;
use self::nodes::{Of, gone, nodes, order, referring};

/// The statements before the delete of an item.
#[derive(Default)]
pub struct Cascade {
    steps: Vec<Step>,
    none: Vec<(usize, String)>,
    trees: Vec<Own>,
}

/// A resource whose items refer to each other by `cascade`.
struct Own {
    /// The step that deletes them.
    at: usize,
    /// Counts them.
    count: String,
    table: String,
    fields: Vec<String>,
    reason: String,
}

struct Step {
    text: String,
    binds: Binds,
}

/// The parameters before the id.
enum Binds {
    Nothing,
    /// A new version, and the values that the server sets on every change.
    Change(Vec<Source>),
    /// The table of the accounts.
    Accounts(String),
    /// The time, and the mark of the delete.
    Keep,
    /// The mark of the delete.
    Mark,
}

impl Cascade {
    /// `all` are the resources of the document.
    pub fn of(root: &Model, all: &[(String, Arc<Model>)]) -> Self {
        let dialect = root.sql.dialect();
        let nodes = nodes(all, root);
        let gone = |at: usize, number: usize| gone(dialect, &nodes, at, number, Of::Live);
        let mut cascade = Self::default();
        // Whoever adds an item that refers to one of these waits, and then finds it gone.
        let changing = nodes.iter().enumerate().filter(|(at, node)| *at > 0 || !node.own.is_empty());
        for (at, node) in changing.clone().filter(|_| dialect == Dialect::Postgres) {
            let (table, lock) = (&node.model.table.name, dialect.locked());
            cascade.step(
                format!(
                    "SELECT count(*) FROM (SELECT 1 FROM \"{table}\" WHERE \"id\" IN ({}){lock}) AS \"_l\"",
                    gone(at, 1)
                ),
                Binds::Nothing,
            );
            if !node.own.is_empty() {
                // Others may have added items below some of these before they were locked.
                let new = "xmax <> pg_current_xact_id()::xid";
                let count = dialect.must_count(0, OVERTAKEN);
                let added = format!("SELECT {count} FROM \"{table}\" WHERE \"id\" IN ({}) AND {new}", gone(at, 1));
                cascade.step(added, Binds::Nothing);
            }
        }
        for (at, node) in nodes.iter().enumerate() {
            for (other, field, _) in referring(all, node.model).filter(|(_, _, effect)| *effect == OnDelete::SetNull) {
                let mut text = format!(
                    "UPDATE \"{}\" SET \"{field}\" = NULL, \"_version\" = {}",
                    other.table.name,
                    dialect.value(1, ColumnType::Integer)
                );
                let mut stamps = Vec::new();
                for stamped in &other.fields {
                    let Some(source) = &stamped.on_write else { continue };
                    stamps.push(source.clone());
                    let value = dialect.value(stamps.len().saturating_add(1), stamped.kind.column());
                    let _ = write!(text, ", \"{}\" = {value}", stamped.name);
                }
                let number = stamps.len().saturating_add(2);
                cascade.step(format!("{text} WHERE \"{field}\" IN ({})", gone(at, number)), Binds::Change(stamps));
                let table = &other.table.name;
                let left = format!("\"{table}\" WHERE \"{field}\" IN ({})", gone(at, 1));
                cascade.no_rows(dialect, (&left, Binds::Nothing), format!("not all rows of `{table}` were changed"));
            }
        }
        for (at, node) in changing.clone().filter(|(_, node)| node.model.has_passwords()) {
            let ids = format!("SELECT CAST(\"id\" AS text) FROM ({}) AS \"_a\"", gone(at, 2));
            let table = dialect.value(1, ColumnType::Text);
            let those = format!("\"_gw_sessions\" WHERE accounts = {table} AND account IN ({ids})");
            cascade.step(format!("DELETE FROM {those}"), Binds::Accounts(node.model.table.name.clone()));
            let accounts = Binds::Accounts(node.model.table.name.clone());
            cascade.no_rows(dialect, (&those, accounts), "not all rows of `_gw_sessions` were deleted".to_owned());
        }
        // What `set_null` does stays done, so it comes first.
        for (at, node) in nodes.iter().enumerate().filter(|(_, node)| node.model.deleted.is_some()) {
            kept::keep(&mut cascade, node.model, &|number| gone(at, number));
        }
        for at in order(&nodes) {
            // The item itself is deleted last, unless others of its resource go with it: they may refer to each other.
            let Some(node) = nodes.get(at).filter(|node| at > 0 || !node.own.is_empty()) else { continue };
            let table = &node.model.table.name;
            let those = format!("\"{table}\" WHERE \"id\" IN ({})", gone(at, 1));
            let otherwise = format!("not all rows of `{table}` were deleted");
            if !node.own.is_empty() {
                cascade.trees.push(Own {
                    at: cascade.steps.len(),
                    count: format!("SELECT count(*) FROM {those}"),
                    table: table.clone(),
                    fields: node.own.iter().map(|field| (*field).to_owned()).collect(),
                    reason: prevented(&otherwise),
                });
            }
            cascade.step(format!("DELETE FROM {those}"), Binds::Nothing);
            cascade.no_rows(dialect, (&those, Binds::Nothing), otherwise);
        }
        cascade
    }

    fn step(&mut self, text: String, binds: Binds) {
        self.steps.push(Step { text, binds });
    }

    /// There must be no rows of these: otherwise the database has discarded a part of the statement before, and what follows fails, or
    /// loses an item.
    fn no_rows(&mut self, dialect: Dialect, (those, binds): (&str, Binds), otherwise: String) {
        let reason = prevented(&otherwise);
        let text = format!("SELECT {} FROM {those}", dialect.must_count(0, &reason));
        self.none.push((self.steps.len(), reason));
        self.step(text, binds);
    }

    /// Which of the statements must count no rows, and what it means if they do.
    pub fn none(&self) -> Vec<(usize, String)> {
        self.none.clone()
    }

    /// Which of the statements delete items that refer to each other.
    pub fn trees(&self, id: &Param) -> Vec<Tree> {
        let tree = |Own { at, count, reason, .. }: &Own| Tree {
            at: *at,
            count: Sql::new(&**count, [id.clone()]),
            reason: reason.clone(),
        };
        self.trees.iter().map(tree).collect()
    }

    /// What the foreign key means that failed: if items refer to each other, those that the database did not delete.
    pub fn failed(&self, error: Error) -> Error {
        let Error::Referenced(ForeignKey { table, columns, .. }) = &error else { return error };
        let [column] = columns.as_slice() else { return error };
        let own = self.trees.iter().find(|own| own.table == *table && own.fields.contains(column));
        own.map_or(error.clone(), |own| Error::Internal(own.reason.clone()))
    }

    /// The statements to run before the item with this id is deleted.
    pub fn statements(&self, id: &Param, at: Moment) -> Vec<Sql> {
        let mark = Uuid::now_v7().to_string();
        let before = |binds: &Binds| match binds {
            Binds::Nothing => Vec::new(),
            Binds::Accounts(table) => vec![Param::Text(table.clone())],
            Binds::Change(stamps) => changed(version::fresh(), stamps, at),
            Binds::Keep => vec![Param::Text(at.datetime()), Param::Text(mark.clone())],
            Binds::Mark => vec![Param::Text(mark.clone())],
        };
        let statements = self.steps.iter().map(|step| {
            let mut parameters = before(&step.binds);
            parameters.push(id.clone());
            Sql::new(&*step.text, parameters)
        });
        statements.collect()
    }
}

/// A version, and the values that the server sets on every change.
fn changed(version: i64, stamps: &[Source], at: Moment) -> Vec<Param> {
    let stamps = stamps.iter().map(|source| match source {
        Source::Now => Param::Text(at.datetime()),
        Source::Today => Param::Text(at.date()),
        _ => Param::Null,
    });
    std::iter::once(Param::Integer(version)).chain(stamps).collect()
}
