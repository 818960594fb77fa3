//! Deleted items that can come back: the statements that copy rows to the table of deleted items, and back.

use super::{Binds, Of, Step, changed, gone, nodes, order};
use crate::config::document::resource::IdKind;
use crate::resource::model::Model;
use crate::resource::model::deleted::{DELETED_AT, DELETION, table_name};
use crate::resource::moment::Moment;
use crate::resource::store::{Done, Error, Param, Sql};
use crate::resource::table::ColumnType;
use crate::resource::version;
use std::sync::Arc;

/// The statements that copy the rows of `model` whose ids are `gone`; the function takes the number of the first parameter.
pub(super) fn keep(model: &Model, gone: &dyn Fn(usize) -> String) -> Vec<(String, Binds)> {
    let (live, deleted, dialect) = (&model.table.name, table_name(&model.table.name), model.sql.dialect());
    let mut steps = Vec::new();
    // An id that was used again: of its items, the last one is kept.
    if model.id != IdKind::Uuid {
        steps.push((format!("DELETE FROM \"{deleted}\" WHERE \"id\" IN ({})", gone(1)), Binds::Nothing));
    }
    let columns: String = model.table.columns.iter().map(|column| format!(", \"{}\"", column.name)).collect();
    let (at, mark) = (dialect.value(1, ColumnType::Datetime), dialect.value(2, ColumnType::Text));
    let text = format!(
        "INSERT INTO \"{deleted}\" (\"{DELETED_AT}\", \"{DELETION}\", \"id\", \"_version\"{columns}) \
         SELECT {at}, {mark}, \"id\", \"_version\"{columns} FROM \"{live}\" WHERE \"id\" IN ({})",
        gone(3)
    );
    steps.push((text, Binds::Keep));
    steps
}

/// The statements that bring an item back, and those that its delete took with it.
#[derive(Default)]
pub struct Restore {
    /// The first one is about the item itself, or the last one.
    inserts: Vec<Insert>,
    removes: Vec<Step>,
}

struct Insert {
    step: Step,
    /// The resource; the first one is that of the item itself.
    node: usize,
}

impl Restore {
    /// `all` are the resources of the document. Nothing if the resource does not keep deleted items.
    pub fn of(root: &Model, all: &[(String, Arc<Model>)]) -> Self {
        if root.deleted.is_none() {
            return Self::default();
        }
        let dialect = root.sql.dialect();
        let nodes = nodes(all, root);
        let gone = |at: usize, number: usize| gone(dialect, &nodes, at, number, Of::Deleted);
        let mut restore = Self::default();
        // What others refer to comes first: the other way round than in a delete.
        for at in order(&nodes).into_iter().rev() {
            let Some(node) = nodes.get(at) else { continue };
            let (live, deleted) = (&node.model.table.name, table_name(&node.model.table.name));
            let (mut names, mut values) = (String::new(), String::new());
            let mut stamps = Vec::new();
            for (column, field) in node.model.table.columns.iter().zip(&node.model.fields) {
                names.push_str(&format!(", \"{}\"", column.name));
                values.push_str(&match &field.on_write {
                    Some(source) => {
                        stamps.push(source.clone());
                        format!(", {}", dialect.value(stamps.len().saturating_add(1), column.kind))
                    }
                    None => format!(", \"{}\"", column.name),
                });
            }
            let version = dialect.value(1, ColumnType::Integer);
            let those = gone(at, stamps.len().saturating_add(2));
            let text = format!(
                "{} \"{live}\" (\"_version\", \"id\"{names}) SELECT {version}, \"id\"{values} FROM \"{deleted}\" \
                 WHERE \"id\" IN ({those})",
                dialect.insert()
            );
            restore.inserts.push(Insert { step: Step { text, binds: Binds::Change(stamps) }, node: at });
        }
        // The mark is in the row of the item itself.
        for (at, node) in nodes.iter().enumerate().rev() {
            let deleted = table_name(&node.model.table.name);
            let text = format!("DELETE FROM \"{deleted}\" WHERE \"id\" IN ({})", gone(at, 1));
            restore.removes.push(Step { text, binds: Binds::Nothing });
        }
        restore
    }

    /// The statements for the item with this id, which gets this `version`.
    pub fn statements(&self, id: &Param, version: i64, at: Moment) -> Vec<Sql> {
        let inserts = self.inserts.iter().map(|Insert { step, node }| {
            let version = if *node == 0 { version } else { version::fresh() };
            let mut parameters = match &step.binds {
                Binds::Change(stamps) => changed(version, stamps, at),
                _ => Vec::new(),
            };
            parameters.push(id.clone());
            Sql::new(&*step.text, parameters)
        });
        let removes = self.removes.iter().map(|step| Sql::new(&*step.text, [id.clone()]));
        inserts.chain(removes).collect()
    }

    /// What the statements must have done: each row that leaves the deleted items is inserted, and the item is one of them.
    pub fn check(&self) -> impl Fn(&[Done]) -> Result<(), Error> + Send + Sync + 'static {
        let last = self.inserts.len().saturating_add(self.removes.len());
        // The removes are in the opposite order of the resources.
        let remove = |node: usize| last.saturating_sub(node.saturating_add(1));
        let pairs: Vec<_> = self.inserts.iter().enumerate().map(|(at, insert)| (at, remove(insert.node))).collect();
        move |done| {
            let changed = |at: usize| done.get(at).map_or(0, |done| done.changed);
            let complete = pairs.iter().all(|(insert, remove)| changed(*insert) == changed(*remove));
            let found = last.checked_sub(1).is_some_and(|root| changed(root) > 0);
            if complete && found { Ok(()) } else { Err(Error::discarded("inserted")) }
        }
    }
}
