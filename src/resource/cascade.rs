//! What the delete of an item does to the items that refer to it, in the same transaction.
//!
//! The gateway does it, and not the database, so that items that change get new versions, and sessions of deleted accounts
//! end. What is declared as `restrict`, or is not declared any more, is left to the foreign keys: they refuse the delete.

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
}

/// A resource whose items are deleted.
struct Node<'a> {
    model: &'a Model,
    /// The fields that refer to deleted items, and the nodes of those.
    by: Vec<(&'a str, usize)>,
    /// The fields that refer to items of the same resource.
    own: Vec<&'a str>,
}

/// A field that refers to items of a resource: its own resource, its name, and what a delete does.
fn referring<'a>(
    all: &'a [(String, Arc<Model>)],
    to: &'a Model,
) -> impl Iterator<Item = (&'a Model, &'a str, OnDelete)> {
    let models = all.iter().map(|(_, model)| &**model).filter(|model| model.store == to.store);
    models.flat_map(move |model| {
        let fields = model.fields.iter().filter_map(|field| Some((field, field.reference.as_ref()?)));
        let fields = fields.filter(|(_, reference)| reference.to == *to.name);
        fields.map(move |(field, reference)| (model, &*field.name, reference.on_delete))
    })
}

/// The resources whose items are deleted with those of `model`, each after all whose delete leads to it.
fn reached<'a>(all: &'a [(String, Arc<Model>)], model: &'a Model, found: &mut Vec<&'a Model>) {
    for (other, _, effect) in referring(all, model) {
        let is_new = !found.iter().any(|known| known.name == other.name);
        if effect == OnDelete::Cascade && other.name != model.name && is_new {
            reached(all, other, found);
        }
    }
    found.push(model);
}

fn nodes<'a>(all: &'a [(String, Arc<Model>)], root: &'a Model) -> Vec<Node<'a>> {
    let mut order = Vec::new();
    reached(all, root, &mut order);
    order.reverse();
    let mut nodes: Vec<Node<'a>> = order.iter().map(|model| Node { model, by: Vec::new(), own: Vec::new() }).collect();
    for (to, model) in order.iter().enumerate() {
        for (other, field, _) in referring(all, model).filter(|(_, _, effect)| *effect == OnDelete::Cascade) {
            match nodes.iter_mut().enumerate().find(|(_, node)| node.model.name == other.name) {
                Some((at, node)) if at == to => node.own.push(field),
                Some((_, node)) => node.by.push((field, to)),
                None => {}
            }
        }
    }
    nodes
}

impl Cascade {
    /// `all` are the resources of the document.
    pub fn of(root: &Model, all: &[(String, Arc<Model>)]) -> Self {
        let dialect = root.sql.dialect();
        let nodes = nodes(all, root);
        let gone = |at: usize, number: usize| gone(dialect, &nodes, at, number);
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
        let before = |binds: &Binds| match binds {
            Binds::Nothing => Vec::new(),
            Binds::Accounts(table) => vec![Param::Text(table.clone())],
            Binds::Change(stamps) => {
                let stamps = stamps.iter().map(|source| match source {
                    Source::Now => Param::Text(at.datetime()),
                    Source::Today => Param::Text(at.date()),
                    _ => Param::Null,
                });
                std::iter::once(Param::Integer(version::fresh())).chain(stamps).collect()
            }
        };
        let statements = self.steps.iter().map(|step| {
            let mut parameters = before(&step.binds);
            parameters.push(id.clone());
            Sql::new(&*step.text, parameters)
        });
        statements.collect()
    }
}

/// A statement for the ids of the items of a node that are deleted. The id of the first one is the parameter with this `number`.
fn gone(dialect: Dialect, nodes: &[Node<'_>], at: usize, number: usize) -> String {
    let mut text = "WITH RECURSIVE ".to_owned();
    for (index, node) in nodes.iter().enumerate().take(at.saturating_add(1)) {
        let comma = if index > 0 { ", " } else { "" };
        let table = &node.model.table.name;
        let _ = write!(text, "{comma}\"_g{index}\" (\"id\") AS (");
        if index == 0 {
            let text_id = dialect == Dialect::Postgres && node.model.table.id == ColumnType::Text;
            // Texts of a recursive query have one collation: that of the columns.
            let collation = if text_id { " COLLATE \"C\"" } else { "" };
            let _ = write!(text, "SELECT {}{collation}", dialect.value(number, node.model.table.id));
        }
        for (nth, (field, from)) in node.by.iter().enumerate() {
            let union = if nth > 0 { " UNION " } else { "" };
            let _ = write!(
                text,
                "{union}SELECT \"id\" FROM \"{table}\" WHERE \"{field}\" IN (SELECT \"id\" FROM \"_g{from}\")"
            );
        }
        if !node.own.is_empty() {
            let fields = node.own.iter().map(|field| format!("\"{table}\".\"{field}\" = \"_g{index}\".\"id\""));
            let fields = fields.collect::<Vec<_>>().join(" OR ");
            let _ = write!(text, " UNION SELECT \"{table}\".\"id\" FROM \"{table}\" JOIN \"_g{index}\" ON {fields}");
        }
        text.push(')');
    }
    let _ = write!(text, " SELECT \"id\" FROM \"_g{at}\"");
    text
}

/// The order of the deletes: items that refer to others before those, as far as that is possible.
fn order(nodes: &[Node<'_>]) -> Vec<usize> {
    let mut left: Vec<usize> = (0..nodes.len()).collect();
    let mut order = Vec::new();
    let refers = |from: &usize, to: &usize, always: bool| {
        let (Some(from), Some(to_node)) = (nodes.get(*from), nodes.get(*to)) else { return false };
        if !always {
            return from.by.iter().any(|(_, node)| node == to);
        }
        let mut references = from.model.fields.iter().filter_map(|field| field.reference.as_ref());
        references.any(|reference| reference.to == *to_node.model.name)
    };
    while !left.is_empty() {
        let free = |always: bool| {
            let others = |to: &usize| left.iter().any(|from| from != to && refers(from, to, always));
            left.iter().position(|to| !others(to))
        };
        let Some(at) = free(true).or_else(|| free(false)) else { break };
        order.push(left.remove(at));
    }
    order
}
