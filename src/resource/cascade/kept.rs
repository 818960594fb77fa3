//! Deleted items that can come back: the statements that copy rows to the table of deleted items, and back.

use super::{Binds, Cascade, Of, Step, changed, gone, nodes, order};
use crate::config::document::resource::IdKind;
use crate::resource::contract::prevented;
use crate::resource::dialect::Dialect;
use crate::resource::model::Model;
use crate::resource::model::deleted::{DELETED_AT, DELETION, table_name};
use crate::resource::moment::Moment;
use crate::resource::store::{Done, Error, Param, Sql};
use crate::resource::table::ColumnType;
use crate::resource::version;
use std::sync::Arc;

/// Copies the rows of `model` whose ids are `gone`; the function takes the number of the first parameter.
pub(super) fn keep(cascade: &mut Cascade, model: &Model, gone: &dyn Fn(usize) -> String) {
    let (live, deleted, dialect) = (&model.table.name, table_name(&model.table.name), model.sql.dialect());
    // An id that was used again: of its items, the last one is kept.
    if model.id != IdKind::Uuid {
        let earlier = format!("\"{deleted}\" WHERE \"id\" IN ({})", gone(1));
        cascade.step(format!("DELETE FROM {earlier}"), Binds::Nothing);
        cascade.no_rows(dialect, (&earlier, Binds::Nothing), format!("not all rows of `{deleted}` were deleted"));
    }
    let columns: String = model.table.columns.iter().map(|column| format!(", \"{}\"", column.name)).collect();
    let (at, mark) = (dialect.value(1, ColumnType::Datetime), dialect.value(2, ColumnType::Text));
    let text = format!(
        "INSERT INTO \"{deleted}\" (\"{DELETED_AT}\", \"{DELETION}\", \"id\", \"_version\"{columns}) \
         SELECT {at}, {mark}, \"id\", \"_version\"{columns} FROM \"{live}\" WHERE \"id\" IN ({})",
        gone(3)
    );
    cascade.step(text, Binds::Keep);
    let copy = format!(
        "SELECT 1 FROM \"{deleted}\" AS \"_d\" WHERE \"_d\".\"id\" = \"{live}\".\"id\" AND \"_d\".\"{DELETION}\" = {}",
        dialect.value(1, ColumnType::Text)
    );
    let lost = format!("\"{live}\" WHERE NOT EXISTS ({copy}) AND \"id\" IN ({})", gone(2));
    cascade.no_rows(dialect, (&lost, Binds::Mark), format!("not all rows of `{live}` were copied to `{deleted}`"));
}

/// The statements that bring an item back, and those that its delete took with it.
#[derive(Default)]
pub struct Restore {
    /// The first one is about the item itself, or the last one.
    inserts: Vec<Insert>,
    /// Of each resource, that of the item itself first: locks and counts the rows, so that another transaction neither restores them nor
    /// removes them.
    locks: Vec<String>,
    dialect: Option<Dialect>,
    /// In the opposite order.
    removes: Vec<String>,
    back: Option<Back>,
}

struct Insert {
    step: Step,
    /// Counts the rows that are not there afterwards, of which there must be none, and what it means if there are.
    absent: (String, String),
    /// The resource; the first one is that of the item itself.
    node: usize,
}

/// The deleted items of the same resource that come back with an item.
struct Back {
    deleted: String,
    /// The id of the item, and a statement for those of the others: both have the first parameter.
    id: String,
    ids: String,
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
            let reason = prevented(&format!("not all rows of `{live}` were inserted"));
            let absent = format!(
                "SELECT {} FROM \"{deleted}\" WHERE \"id\" IN ({}) \
                 AND NOT EXISTS (SELECT 1 FROM \"{live}\" AS \"_l\" WHERE \"_l\".\"id\" = \"{deleted}\".\"id\")",
                dialect.must_count(0, &reason),
                gone(at, 1)
            );
            let step = Step { text, binds: Binds::Change(stamps) };
            restore.inserts.push(Insert { step, absent: (absent, reason), node: at });
        }
        // The mark is in the row of the item itself.
        for (at, node) in nodes.iter().enumerate().rev() {
            let deleted = table_name(&node.model.table.name);
            let (those, lock) = (format!("\"{deleted}\" WHERE \"id\" IN ({})", gone(at, 1)), dialect.locked());
            let count = format!("SELECT count(*) FROM (SELECT 1 FROM {those}{lock}) AS \"_l\"");
            restore.removes.push(format!("DELETE FROM {those}"));
            restore.locks.insert(0, count);
        }
        restore.dialect = Some(dialect);
        let (deleted, id) = (table_name(&root.table.name), dialect.value(1, root.table.id));
        restore.back = Some(Back { deleted, id, ids: gone(0, 1) });
        restore
    }

    /// A look at what `field` of the deleted item with this id refers to, an item of the same resource, if that comes back with it.
    pub fn back(&self, field: &str, id: &Param) -> Option<Sql> {
        let Back { deleted, id: own, ids } = self.back.as_ref()?;
        let text = format!(
            "SELECT \"_version\", \"id\" FROM \"{deleted}\" \
             WHERE \"id\" = (SELECT \"{field}\" FROM \"{deleted}\" WHERE \"id\" = {own}) AND \"id\" IN ({ids})"
        );
        Some(Sql::new(text, [id.clone()]))
    }

    /// The statements for the item with this id, which gets this `version`.
    pub fn statements(&self, id: &Param, version: i64, at: Moment) -> Vec<Sql> {
        let inserts = self.inserts.iter().flat_map(|Insert { step, absent: (absent, _), node }| {
            let version = if *node == 0 { version } else { version::fresh() };
            let mut parameters = match &step.binds {
                Binds::Change(stamps) => changed(version, stamps, at),
                _ => Vec::new(),
            };
            parameters.push(id.clone());
            [Sql::new(&*step.text, parameters), Sql::new(&**absent, [id.clone()])]
        });
        let sql = |text: &String| Sql::new(&**text, [id.clone()]);
        let locks = self.locks.iter().take(self.first()).map(sql);
        locks.chain(inserts).chain(self.removes.iter().map(sql)).collect()
    }

    /// The position of the first insert: SQLite has only one transaction at a time, and needs no locks.
    fn first(&self) -> usize {
        if self.dialect == Some(Dialect::Postgres) { self.locks.len() } else { 0 }
    }

    /// Which of the statements must count no rows, and what it means if they do: each second one, after an insert.
    pub fn none(&self) -> Vec<(usize, String)> {
        let reasons = self.inserts.iter().map(|insert| insert.absent.1.clone());
        (self.first().saturating_add(1)..).step_by(2).zip(reasons).collect()
    }

    /// The statements that remove the item with this id for good, with those that its delete took.
    pub fn removal(&self, id: &Param) -> Vec<Sql> {
        let sql = |text: &String| Sql::new(&**text, [id.clone()]);
        self.locks.iter().chain(&self.removes).map(sql).collect()
    }

    /// What these statements must have done: all rows are removed that were counted.
    pub fn removed(done: &[Done]) -> Result<(), Error> {
        let changed = |done: &Done| Param::Integer(i64::try_from(done.changed).unwrap_or(i64::MAX));
        let (counts, removes) = done.split_at(done.len() / 2);
        let all = counts.iter().zip(removes.iter().rev()).all(|(count, remove)| count.first == changed(remove));
        if all { Ok(()) } else { Err(Error::Internal(prevented("not all rows of deleted items were removed"))) }
    }

    /// What the statements must have done: each row that leaves the deleted items is inserted, and the item is one of them.
    pub fn check(&self) -> impl Fn(&[Done]) -> Result<(), Error> + Send + Sync + 'static {
        let first = self.first();
        let last = first.saturating_add(self.inserts.len().saturating_mul(2)).saturating_add(self.removes.len());
        // The removes are in the opposite order of the resources.
        let remove = |node: usize| last.saturating_sub(node.saturating_add(1));
        let pairs: Vec<_> =
            (first..).step_by(2).zip(&self.inserts).map(|(at, insert)| (at, remove(insert.node))).collect();
        move |done| {
            let changed = |at: usize| done.get(at).map_or(0, |done| done.changed);
            let complete = pairs.iter().all(|(insert, remove)| changed(*insert) == changed(*remove));
            let found = last.checked_sub(1).is_some_and(|root| changed(root) > 0);
            if complete && found { Ok(()) } else { Err(Error::discarded("inserted")) }
        }
    }
}
