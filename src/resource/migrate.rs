//! What has to be done to a store's tables so that they match the document, and what must not be done.
//!
//! A change is made by a reload when reloading the old document undoes it. Everything else is refused.

use super::store::Refused;
use super::table::{Column, Index, Table};

/// Up to this many rows an index is built while others wait.
pub const MANY_ROWS: u64 = 100_000;

/// What a store has under the name of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Absent,
    /// A table that gatewright did not make.
    Foreign,
    /// Made by a gatewright that writes another kind of record.
    Newer(String),
    Ours(Ours),
}

/// A table of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ours {
    /// Its shape as it was made, with columns that are no longer declared.
    pub recorded: Table,
    /// How many rows it has, counted up to just over [`MANY_ROWS`].
    pub rows: u64,
    /// Indexes somebody made by hand as we would have, to get over a refusal.
    pub made: Vec<Index>,
    /// How the catalog differs from the record, in words.
    pub drift: Option<String>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Create(Table),
    DropIndex {
        table: String,
        index: Index,
    },
    AddColumn {
        table: String,
        column: Column,
    },
    CreateIndex {
        table: String,
        index: Index,
    },
    /// Write the shape down, columns that are no longer declared included.
    Record(Table),
}

/// The steps that bring the store from its present state to `wanted`, or everything that speaks against it.
/// `create_index` writes the statement an operator can run himself.
pub fn plan(
    wanted: &[Table],
    state: impl Fn(&str) -> Option<State>,
    create_index: impl Fn(&str, &Index) -> String,
) -> Result<Vec<Step>, Vec<Refused>> {
    let mut steps = Vec::new();
    let mut refused = Vec::new();
    for (number, table) in wanted.iter().enumerate() {
        let mut refuse = |column: Option<&str>, message: String, help: String| {
            refused.push(Refused { table: Some(table.name.clone()), column: column.map(str::to_owned), message, help });
        };
        let name = &table.name;
        if wanted.iter().take(number).any(|other| other.name == *name) {
            refuse(None, format!("two resources use the table `{name}`"), "give each its own table".into());
            continue;
        }
        match state(name).unwrap_or(State::Absent) {
            State::Absent => steps.extend([Step::Create(table.clone()), Step::Record(table.clone())]),
            State::Foreign => refuse(
                None,
                format!("the table `{name}` exists and was not made by gatewright"),
                "choose another table name, or move that table out of the way".into(),
            ),
            State::Newer(version) => refuse(
                None,
                format!(
                    "the table `{name}` was made by gatewright {version}, which writes records this one cannot read"
                ),
                "run that version or a later one".into(),
            ),
            State::Ours(ours) => match &ours.drift {
                Some(drift) => refuse(
                    None,
                    format!("the table `{name}` was changed outside gatewright: {drift}"),
                    "undo that change in the database, then reload".into(),
                ),
                None => change(table, &ours, &mut steps, &mut refuse, &create_index),
            },
        }
    }
    if refused.is_empty() { Ok(steps) } else { Err(refused) }
}

/// Compares one table of ours with what is wanted of it.
fn change(
    wanted: &Table,
    ours: &Ours,
    steps: &mut Vec<Step>,
    refuse: &mut impl FnMut(Option<&str>, String, String),
    create_index: &impl Fn(&str, &Index) -> String,
) {
    let name = &wanted.name;
    let recorded = &ours.recorded;
    if (wanted.id, wanted.id_counts) != (recorded.id, recorded.id_counts) {
        refuse(
            Some("id"),
            format!("the id of `{name}` cannot change its kind: items are known by it"),
            "keep the id as it was, or use another table".into(),
        );
    }
    let mut shape = recorded.clone();
    let mut added: Vec<&Column> = Vec::new();
    for column in &wanted.columns {
        let field = &column.name;
        match recorded.columns.iter().find(|old| old.name == *field) {
            // One that was no longer declared comes back with what it held.
            Some(old) if old.kind == column.kind => {}
            Some(old) => refuse(
                Some(field),
                format!("`{field}` holds {} values in the table `{name}` and cannot become {}", old.kind, column.kind),
                "keep its type and add a field with another name".into(),
            ),
            None if column.required && column.default.is_none() && ours.rows > 0 => refuse(
                Some(field),
                format!("`{field}` is required, but the items already in the table `{name}` have none"),
                "give it a default, or do not require it".into(),
            ),
            None => {
                added.push(column);
                shape.columns.push(column.clone());
            }
        }
    }
    let gone = |index: &&Index| !wanted.indexes.contains(index);
    let drop = recorded.indexes.iter().filter(gone).cloned();
    steps.extend(drop.map(|index| Step::DropIndex { table: name.clone(), index }));
    steps.extend(added.iter().map(|&column| Step::AddColumn { table: name.clone(), column: column.clone() }));
    for index in &wanted.indexes {
        if recorded.indexes.contains(index) || ours.made.contains(index) {
            continue;
        }
        // Where all rows have null in a column, no two are equal.
        let fresh = |name: &String| added.iter().any(|column| column.name == *name && column.default.is_none());
        let duplicates = index.unique && ours.rows > 0 && !index.columns.iter().any(fresh);
        if duplicates || ours.rows > MANY_ROWS {
            let why = if duplicates {
                "is to be unique, but the table has items, and some may be equal"
            } else {
                "is to be indexed, but the table has so many items that all writes would wait for it"
            };
            refuse(
                index.columns.first().map(String::as_str),
                format!("`{}` of the table `{name}` {why}", index.columns.join("`, `")),
                format!("run this on the database, then reload: {};", create_index(name, index)),
            );
        }
        steps.push(Step::CreateIndex { table: name.clone(), index: index.clone() });
    }
    shape.indexes.clone_from(&wanted.indexes);
    if shape != *recorded {
        steps.push(Step::Record(shape));
    }
}

#[cfg(test)]
mod tests;
