//! What was changed outside gatewright: how a table differs from its record.

use std::collections::BTreeMap;

use super::session::Catalog;
use super::{Index, Table};
use crate::resource::table::ColumnType;

/// The columns that are not fields.
pub const OWN: [&str; 2] = ["id", "_version"];

/// One difference between a table and its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    pub what: String,
    /// The column it is about, when it is about one.
    pub column: Option<String>,
    /// The statement that undoes it, if there is one.
    pub undo: Option<String>,
}

impl Drift {
    pub const fn new(what: String) -> Self {
        Self { what, column: None, undo: None }
    }
}

/// How the columns differ; `found` are their names and types.
pub fn of_columns(catalog: &dyn Catalog, found: &[(String, String)], recorded: &Table) -> Vec<Drift> {
    let found: BTreeMap<_, _> = found.iter().map(|(name, kind)| (name.as_str(), kind.as_str())).collect();
    let table = &recorded.name;
    let [id, version] = OWN;
    let own = [(id, recorded.id), (version, ColumnType::Integer)];
    let columns = recorded.columns.iter().map(|column| (column.name.as_str(), column.kind));
    let expected: BTreeMap<_, _> = own.into_iter().chain(columns).collect();
    let added: Vec<_> = found.keys().filter(|name| !expected.contains_key(*name)).copied().collect();
    let missing: Vec<_> = expected.keys().filter(|name| !found.contains_key(*name)).copied().collect();
    if let (&[old], &[new]) = (&*missing, &*added) {
        let what = format!("the column `{old}` is missing");
        let undo = Some(catalog.rename_column(table, new, old) + ";");
        return vec![Drift { what, column: Some(old.to_owned()), undo }];
    }
    let mut drift = Vec::new();
    for name in missing {
        // A column that was added may have the values.
        let column = recorded.columns.iter().find(|column| column.name == name && added.is_empty());
        let undo = column.and_then(|column| catalog.define(column).ok());
        let undo = undo.map(|column| format!("ALTER TABLE \"{table}\" ADD COLUMN {column};"));
        let what = format!("the column `{name}` is missing");
        drift.push(Drift { what, column: Some(name.to_owned()), undo });
    }
    for (name, kind) in &expected {
        let wanted = catalog.type_name(*kind);
        if let Some(other) = found.get(name).filter(|other| !catalog.fits(*kind, other)) {
            let (what, column) = (format!("the column `{name}` is {other}, not {wanted}"), Some((*name).to_owned()));
            drift.push(Drift { what, column, undo: catalog.restore_type(table, name, *kind) });
        }
    }
    drift.extend(added.iter().map(|name| Drift::new(format!("the column `{name}` was added"))));
    drift
}

/// How the primary key differs; `key` are its columns.
pub fn of_key(catalog: &dyn Catalog, key: &[String], table: &str) -> Option<Drift> {
    if key == ["id"] {
        return None;
    }
    let what = match key {
        [] => "the primary key is missing".to_owned(),
        key => format!("the primary key is `{}`, not `id`", key.join("`, `")),
    };
    Some(Drift { what, column: None, undo: catalog.restore_key(table).filter(|_| key.is_empty()) })
}

/// A wanted index that was dropped.
pub fn missing_index(catalog: &dyn Catalog, table: &str, index: &Index) -> Drift {
    let what = format!("the index `{}` is missing", index.name(table));
    let undo = catalog.create_index(table, index) + ";";
    Drift { what, column: index.columns.first().cloned(), undo: Some(undo) }
}
