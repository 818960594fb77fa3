//! What the delete of an item does to the items that refer to it, in the same transaction.
//!
//! The gateway does it, and not the database, so that items that change get new versions, and sessions of deleted accounts
//! end. What is declared as `restrict`, or is not declared any more, is left to the foreign keys: they refuse the delete.
//!
//! Items of resources with `soft_delete` are copied to the table of deleted items before they are deleted.

mod kept;
mod nodes;

use super::dialect::Dialect;
use super::field::Source;
use super::model::Model;
use super::moment::Moment;
use super::store::{Param, Sql};
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
}

impl Cascade {
    /// `all` are the resources of the document.
    pub fn of(root: &Model, all: &[(String, Arc<Model>)]) -> Self {
        let dialect = root.sql.dialect();
        let nodes = nodes(all, root);
        let gone = |at: usize, number: usize| gone(dialect, &nodes, at, number, Of::Live);
        let mut steps = Vec::new();
        let mut step = |text: String, binds| steps.push(Step { text, binds });
        // Whoever adds an item that refers to one of these waits, and then finds it gone.
        let changing = nodes.iter().enumerate().filter(|(at, node)| *at > 0 || !node.own.is_empty());
        for (at, node) in changing.clone().filter(|_| dialect == Dialect::Postgres) {
            let (table, lock) = (&node.model.table.name, dialect.locked());
            step(
                format!(
                    "SELECT count(*) FROM (SELECT 1 FROM \"{table}\" WHERE \"id\" IN ({}){lock}) AS \"_l\"",
                    gone(at, 1)
                ),
                Binds::Nothing,
            );
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
                step(format!("{text} WHERE \"{field}\" IN ({})", gone(at, number)), Binds::Change(stamps));
            }
        }
        for (at, node) in changing.clone().filter(|(_, node)| node.model.has_passwords()) {
            let ids = format!("SELECT CAST(\"id\" AS text) FROM ({}) AS \"_a\"", gone(at, 2));
            let table = dialect.value(1, ColumnType::Text);
            step(
                format!("DELETE FROM \"_gw_sessions\" WHERE accounts = {table} AND account IN ({ids})"),
                Binds::Accounts(node.model.table.name.clone()),
            );
        }
        // What `set_null` does stays done, so it comes first.
        for (at, node) in nodes.iter().enumerate().filter(|(_, node)| node.model.deleted.is_some()) {
            for (text, binds) in kept::keep(node.model, &|number| gone(at, number)) {
                step(text, binds);
            }
        }
        for at in order(&nodes) {
            // The item itself is deleted last, unless others of its resource go with it: they may refer to each other.
            let Some(node) = nodes.get(at).filter(|node| at > 0 || !node.own.is_empty()) else { continue };
            let table = &node.model.table.name;
            step(format!("DELETE FROM \"{table}\" WHERE \"id\" IN ({})", gone(at, 1)), Binds::Nothing);
        }
        Self { steps }
    }

    /// The statements to run before the item with this id is deleted.
    pub fn statements(&self, id: &Param, at: Moment) -> Vec<Sql> {
        let mark = Uuid::now_v7().to_string();
        let before = |binds: &Binds| match binds {
            Binds::Nothing => Vec::new(),
            Binds::Accounts(table) => vec![Param::Text(table.clone())],
            Binds::Change(stamps) => changed(version::fresh(), stamps, at),
            Binds::Keep => vec![Param::Text(at.datetime()), Param::Text(mark.clone())],
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
