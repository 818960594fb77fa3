//! The resources whose items a delete takes, and the ids of these items.

use crate::config::document::resource::OnDelete;
use crate::resource::dialect::Dialect;
use crate::resource::model::Model;
use crate::resource::model::deleted::{DELETION, table_name};
use crate::resource::table::ColumnType;
use std::fmt::Write;
use std::sync::Arc;

/// A resource whose items are deleted.
pub(super) struct Node<'a> {
    pub model: &'a Model,
    /// The fields that refer to deleted items, and the nodes of those.
    pub by: Vec<(&'a str, usize)>,
    /// The fields that refer to items of the same resource.
    pub own: Vec<&'a str>,
}

/// A field that refers to items of a resource: its own resource, its name, and what a delete does.
pub(super) fn referring<'a>(
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

pub(super) fn nodes<'a>(all: &'a [(String, Arc<Model>)], root: &'a Model) -> Vec<Node<'a>> {
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

/// Which items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// Those that a delete takes.
    Live,
    /// Those that the delete of the first one took, among the deleted items.
    Deleted,
}

impl Of {
    /// The table.
    fn table(self, model: &Model) -> String {
        match self {
            Self::Live => model.table.name.clone(),
            Self::Deleted => table_name(&model.table.name),
        }
    }
}

/// A statement for the ids of the items of a node that are deleted. The id of the first one is the parameter with this `number`.
pub(super) fn gone(dialect: Dialect, nodes: &[Node<'_>], at: usize, number: usize, of: Of) -> String {
    let mut text = "WITH RECURSIVE ".to_owned();
    // Rows of other deletes are not meant.
    let marked = match (of, nodes.first()) {
        (Of::Deleted, Some(first)) => {
            let (table, id) = (of.table(first.model), dialect.value(number, first.model.table.id));
            format!(" AND \"{DELETION}\" = (SELECT \"{DELETION}\" FROM \"{table}\" WHERE \"id\" = {id})")
        }
        _ => String::new(),
    };
    for (index, node) in nodes.iter().enumerate().take(at.saturating_add(1)) {
        let comma = if index > 0 { ", " } else { "" };
        let table = of.table(node.model);
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
                "{union}SELECT \"id\" FROM \"{table}\" WHERE \"{field}\" IN (SELECT \"id\" FROM \"_g{from}\"){marked}"
            );
        }
        if !node.own.is_empty() {
            let fields = node.own.iter().map(|field| format!("\"{table}\".\"{field}\" = \"_g{index}\".\"id\""));
            let fields = fields.collect::<Vec<_>>().join(" OR ");
            let _ = write!(
                text,
                " UNION SELECT \"{table}\".\"id\" FROM \"{table}\" JOIN \"_g{index}\" ON ({fields}){marked}"
            );
        }
        text.push(')');
    }
    let _ = write!(text, " SELECT \"id\" FROM \"_g{at}\"");
    text
}

/// The order of the deletes: items that refer to others before those, as far as that is possible.
pub(super) fn order(nodes: &[Node<'_>]) -> Vec<usize> {
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
