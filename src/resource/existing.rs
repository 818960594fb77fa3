//! A table that another program made, as the YAML of a resource: `gatewright resource`.

mod default;
mod postgres;
mod sqlite;
mod write;

use super::dialect::Dialect;
use super::migrate::{self, session::Counter};
use super::model::is_identifier;
use super::transfer::side::Side;
use crate::config::document::store_url::StoreUrl;
use tokio::runtime::Handle;

/// A table as the catalog describes it.
#[derive(Debug, Default)]
struct Existing {
    table: String,
    /// Where it is, for people.
    place: String,
    /// Types are only hints, as in SQLite.
    loose: bool,
    columns: Vec<Column>,
    /// The primary key.
    key: Vec<String>,
    indexes: Vec<FoundIndex>,
    /// Constraints that concern a column: its name and the text.
    notes: Vec<(String, String)>,
    /// Constraints that concern several columns, or none.
    others: Vec<String>,
    /// What counts the key up.
    counter: Counter,
}

#[derive(Debug)]
struct Column {
    name: String,
    /// Its type, as the catalog writes it.
    written: String,
    kind: Kind,
    nullable: bool,
    /// Its default as an expression.
    default: Option<String>,
    /// The database computes it.
    generated: bool,
}

/// What a resource can make of a type.
#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Text {
        max: Option<u64>,
    },
    Uuid,
    Integer {
        bits: u32,
    },
    Number,
    Decimal {
        digits: Option<(u64, u64)>,
    },
    Boolean,
    Datetime,
    Date,
    Enum(Vec<String>),
    Json,
    /// Nothing: binary data, lists, intervals, ….
    Other,
}

#[derive(Debug)]
struct FoundIndex {
    /// The columns, if the keys are columns.
    columns: Option<Vec<String>>,
    ignore_case: bool,
    unique: bool,
    partial: bool,
    /// The definition, for people.
    written: String,
}

/// A configuration with a resource for a table of the database at `url`. `shown` is the URL to write into it.
///
/// # Errors
/// Why there is none, for the operator.
pub fn describe(url: &StoreUrl, table: &str, runtime: &Handle) -> Result<String, String> {
    let mut side = Side::looking(url, runtime)?;
    if table.starts_with("_gw_") {
        return Err(format!("the table `{table}` belongs to gatewright itself"));
    }
    let kind = side.catalog.kind(side.session.as_mut(), table).map_err(|error| side.failed(&error))?;
    if let migrate::session::Kind::Other(what) = kind {
        let name = table.escape_debug();
        return Err(format!(
            "`{name}` in {} is {what}\n  help: a resource needs a table: use the one that has the rows",
            side.place
        ));
    }
    let mut found = match side.dialect {
        Dialect::Sqlite => sqlite::read(&mut side, table)?,
        Dialect::Postgres => postgres::read(&mut side, table)?,
    };
    if found.columns.is_empty() {
        let tables = match side.dialect {
            Dialect::Sqlite => sqlite::tables(&mut side)?,
            Dialect::Postgres => postgres::tables(&mut side)?,
        };
        let shown = tables.iter().take(20).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let more = if tables.len() > 20 { ", …" } else { "" };
        let help = if tables.is_empty() { "it has no tables".to_owned() } else { format!("it has {shown}{more}") };
        return Err(format!("there is no table `{}` in {}\n  help: {help}", table.escape_debug(), side.place));
    }
    if !is_identifier(table) {
        return Err(format!(
            "a resource cannot use the table `{}`: names have small letters, digits and `_`, and begin with a letter\n  help: \
             rename the table, or rename it and create a view with the old name for the programs that use it",
            table.escape_debug()
        ));
    }
    let counts = |column: &Column| column.name == "id" && matches!(column.kind, Kind::Integer { .. });
    if found.key == ["id"] && found.columns.iter().any(counts) {
        let counter = side.catalog.counter(side.session.as_mut(), table);
        found.counter = counter.map_err(|error| side.failed(&error))?;
    }
    Ok(write::yaml(&found, url))
}
