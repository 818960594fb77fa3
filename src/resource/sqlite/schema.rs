//! Tables in SQLite: which exist, what was recorded about them, and the statements that change them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::catalog::{list, text};
use super::hidden;
use super::indexes::{self, Sql, create_index};
use super::respell::respell;
use super::rows::Writer;
use super::touched::Touched;
use crate::resource::contract::{Cell, Error, Param, Planned, RefusedTable};
use crate::resource::migrate::{self, Demands, MANY_ROWS, Ours, Step, TableState};
use crate::resource::table::{Column, ColumnType, Table};

/// The format of [`Record`]. A store with a higher number is not touched.
const FORMAT: u64 = 1;
const RECORDS: &str = "CREATE TABLE IF NOT EXISTS _gw_schema (
    resource TEXT PRIMARY KEY NOT NULL,
    model_json TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    applied_at TEXT NOT NULL,
    gateway_version TEXT NOT NULL
) STRICT, WITHOUT ROWID";

/// The sessions of accounts that sign in: see [`sessions`](crate::resource::sessions). Tokens are stored as SHA-256.
const SESSIONS: [&str; 3] = [
    "CREATE TABLE IF NOT EXISTS _gw_sessions (
    id TEXT PRIMARY KEY NOT NULL,
    accounts TEXT NOT NULL,
    account TEXT NOT NULL,
    proof TEXT NOT NULL,
    secret TEXT NOT NULL,
    generation INTEGER NOT NULL,
    started INTEGER NOT NULL,
    used INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS _gw_sessions_account ON _gw_sessions (accounts, account, used)",
    "CREATE INDEX IF NOT EXISTS _gw_sessions_expires ON _gw_sessions (expires)",
];

/// The columns that are not fields.
const OWN: [&str; 2] = ["id", "_version"];

/// `model_json`: the table as it was created.
#[derive(Serialize, Deserialize)]
struct Record {
    format: u64,
    table: Table,
    #[serde(default)]
    demands: Option<Demands>,
}

/// The part of a record that every version can read.
#[derive(Deserialize)]
struct FileFormat {
    format: u64,
}

/// A step that was made, for the log.
pub struct Applied {
    text: String,
    /// Whether it follows other steps and means little without them.
    minor: bool,
    warning: Option<String>,
}

impl Applied {
    pub fn log(&self) {
        let step = self.text.as_str();
        if let Some(warning) = &self.warning {
            tracing::warn!(detail = warning, human = warning, "database schema warning");
        }
        if self.minor {
            tracing::debug!(step, human = step, "changed the database schema");
        } else {
            tracing::info!(step, human = step, "changed the database schema");
        }
    }
}

/// Migrates the tables within the job's transaction. Nothing is changed before the whole plan is known to be possible.
/// Returns what was done, which counts once the transaction is committed.
pub fn prepare(writer: &mut Writer<'_>, wanted: &[Table]) -> Result<Result<Vec<Applied>, Vec<RefusedTable>>, Error> {
    writer.execute(RECORDS, &[])?;
    for statement in SESSIONS {
        writer.execute(statement, &[])?;
    }
    let states = states(writer, wanted)?;
    let steps = match migrate::plan(wanted, |name| states.get(name).cloned(), &Sql) {
        Ok(steps) => steps,
        Err(refused) => return Ok(Err(refused)),
    };
    let mut applied = Vec::with_capacity(steps.len());
    for step in steps {
        let warning = apply(writer, &step)?;
        applied.push(Applied { text: describe(&step), minor: matches!(step, Step::Record(..)), warning });
    }
    Ok(Ok(applied))
}

/// What [`prepare`] would do, or why it would not. The steps are tried within the transaction and rolled back.
pub fn rehearse(writer: &mut Writer<'_>, wanted: &[Table]) -> Result<Result<Planned, Vec<RefusedTable>>, Error> {
    let states = states(writer, wanted)?;
    let steps = match migrate::plan(wanted, |name| states.get(name).cloned(), &Sql) {
        Ok(steps) => steps,
        Err(refused) => return Ok(Err(refused)),
    };
    let mut planned = Planned { changes: !steps.is_empty(), ..Planned::default() };
    for (name, state) in &states {
        let ours = match state {
            TableState::Ours(ours) => Some(ours),
            _ => None,
        };
        if ours.is_none_or(|ours| ours.rows == 0) {
            planned.empty.push((*name).to_owned());
        }
        planned.hidden.extend(ours.iter().flat_map(|ours| ours.hidden.iter().cloned()));
        planned.uneven.extend(ours.iter().flat_map(|ours| ours.uneven.iter().cloned()));
    }
    if has_records(writer)? {
        planned.unused = hidden::unused(writer, wanted)?;
    }
    let mut trial = Writer { connection: writer.connection, touched: &mut Touched::default() };
    trial.execute("SAVEPOINT rehearsal", &[])?;
    let tried =
        trial.execute(RECORDS, &[]).and_then(|_| steps.iter().try_for_each(|step| apply(&mut trial, step).map(|_| ())));
    trial.execute("ROLLBACK TO rehearsal", &[])?;
    trial.execute("RELEASE rehearsal", &[])?;
    tried.map(|()| Ok(planned))
}

fn states<'a>(writer: &mut Writer<'_>, wanted: &'a [Table]) -> Result<BTreeMap<&'a str, TableState>, Error> {
    let records = has_records(writer)?;
    let mut states = BTreeMap::new();
    for table in wanted {
        states.insert(table.name.as_str(), state(writer, table, records)?);
    }
    Ok(states)
}

fn has_records(writer: &mut Writer<'_>) -> Result<bool, Error> {
    let records = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '_gw_schema'";
    Ok(!list(writer, records, &[], |_| ())?.is_empty())
}

/// What [`prepare`] would do where there is no file yet.
pub fn plan_anew(wanted: &[Table]) -> Result<Planned, Vec<RefusedTable>> {
    let steps = migrate::plan(wanted, |_| None, &Sql)?;
    let empty = wanted.iter().map(|table| table.name.clone()).collect();
    Ok(Planned { changes: !steps.is_empty(), empty, ..Planned::default() })
}

/// Runs one step; returns a warning for the operator, if any.
fn apply(writer: &mut Writer<'_>, step: &Step) -> Result<Option<String>, Error> {
    match step {
        Step::Create(table) => {
            writer.execute(&create_table(table)?, &[])?;
            for index in &table.indexes {
                writer.execute(&create_index(&table.name, index), &[])?;
            }
        }
        Step::DropIndex { table, index } => indexes::drop(writer, table, index)?,
        Step::AddColumn { table, column } => {
            writer.execute(&format!("ALTER TABLE \"{table}\" ADD COLUMN {}", define(column)?), &[])?;
        }
        Step::CreateIndex { table, index } => {
            writer.execute(&create_index(table, index), &[])?;
        }
        Step::GuardIndex { table, index } => return indexes::guard(writer, table, index).map(Some),
        Step::Respell { table, column } => return respell(writer, table, column),
        Step::Record(table, demands) => record(writer, table, demands)?,
    }
    Ok(None)
}

fn record(writer: &mut Writer<'_>, table: &Table, demands: &Demands) -> Result<(), Error> {
    let record = Record { format: FORMAT, table: table.clone(), demands: Some(demands.clone()) };
    let model = serde_json::to_string(&record).map_err(|error| Error::Internal(error.to_string()))?;
    let fingerprint = Sha256::digest(&model).iter().map(|byte| format!("{byte:02x}")).collect();
    let values = [
        Param::Text(table.name.clone()),
        Param::Text(model),
        Param::Text(fingerprint),
        Param::Text(env!("CARGO_PKG_VERSION").to_owned()),
    ];
    let sql = "INSERT OR REPLACE INTO _gw_schema (resource, model_json, fingerprint, gateway_version, applied_at)
        VALUES (?, ?, ?, ?, strftime('%Y-%m-%dT%H:%M:%fZ'))";
    writer.execute(sql, &values).map(|_| ())
}

fn describe(step: &Step) -> String {
    match step {
        Step::Create(table) => format!("created table {}", table.name),
        Step::DropIndex { table, index } => format!("dropped index {}", index.name(table)),
        Step::AddColumn { table, column } => format!("added column {table}.{}", column.name),
        Step::CreateIndex { table, index } => format!("created index {}", index.name(table)),
        Step::GuardIndex { table, index } => format!("guarded index {}", index.name(table)),
        Step::Respell { table, column } => format!("normalized the addresses in {table}.{column}"),
        Step::Record(table, _) => format!("saved the schema of table {}", table.name),
    }
}

// --- statements. All names were validated: small letters, digits and `_`.

/// Ids a store counts are never given twice, not even after the last item was deleted. With other ids the row is kept
/// in the tree of the key itself, so that one search finds it; wide rows would make that tree slow to walk.
fn create_table(table: &Table) -> Result<String, Error> {
    let wide = table.columns.iter().any(|column| column.kind == ColumnType::Json);
    let (id, options) = match (table.id_counts, sql_type(table.id)) {
        (true, _) => ("INTEGER PRIMARY KEY AUTOINCREMENT", "STRICT"),
        (false, "INTEGER") => ("INTEGER PRIMARY KEY NOT NULL", "STRICT"),
        (false, _) if wide => ("TEXT PRIMARY KEY NOT NULL", "STRICT"),
        (false, _) => ("TEXT PRIMARY KEY NOT NULL", "STRICT, WITHOUT ROWID"),
    };
    // A row inserted by hand gets a version, too.
    let version = "INTEGER NOT NULL DEFAULT (random() & 4611686018427387903)";
    let mut sql = format!("CREATE TABLE \"{}\" (\"id\" {id}, \"_version\" {version}", table.name);
    for column in &table.columns {
        sql.push_str(", ");
        sql.push_str(&define(column)?);
    }
    Ok(sql + ") " + options)
}

fn define(column: &Column) -> Result<String, Error> {
    let definition = format!("\"{}\" {}", column.name, sql_type(column.kind));
    match &column.default {
        None => Ok(definition),
        Some(default) if is_literal(default) => Ok(format!("{definition} DEFAULT {default}")),
        Some(_) => Err(Error::Internal(format!("the default of `{}` is not a literal", column.name))),
    }
}

/// `'…'` with quotes doubled, or a number: nothing else gets into a statement.
fn is_literal(text: &str) -> bool {
    match text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        Some(inner) => !inner.contains('\0') && !inner.replace("''", "").contains('\''),
        None => {
            text.parse::<f64>().is_ok_and(f64::is_finite) && text.bytes().all(|byte| b"+-.eE0123456789".contains(&byte))
        }
    }
}

/// Text compares byte by byte, so uuids, dates and times of fixed width sort as they should; decimals do not.
fn sql_type(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Integer | ColumnType::Boolean => "INTEGER",
        ColumnType::Number => "REAL",
        ColumnType::Text
        | ColumnType::Password
        | ColumnType::Uuid
        | ColumnType::Decimal
        | ColumnType::Datetime
        | ColumnType::Date
        | ColumnType::Json => "TEXT",
    }
}

// --- what exists

/// `records`: whether the table of records exists.
fn state(writer: &mut Writer<'_>, wanted: &Table, records: bool) -> Result<TableState, Error> {
    let name = &wanted.name;
    let named = [Param::Text(name.clone())];
    // Tables, views and indexes share their names.
    let exists = "SELECT 1 FROM sqlite_schema WHERE type IN ('table', 'view', 'index') AND name = ?";
    let exists = !list(writer, exists, &named, |_| ())?.is_empty();
    let kept = "SELECT model_json, gateway_version FROM _gw_schema WHERE resource = ?";
    let kept = if records { list(writer, kept, &named, |row| (text(row, 0), text(row, 1)))? } else { Vec::new() };
    let Some((model, version)) = kept.into_iter().next() else {
        return Ok(if exists { TableState::Foreign } else { TableState::Absent });
    };
    let known = serde_json::from_str::<FileFormat>(&model).is_ok_and(|record| record.format <= FORMAT);
    let (recorded, demands) = match serde_json::from_str::<Record>(&model) {
        Ok(record) if known => (record.table, record.demands),
        _ => return Ok(TableState::Newer(version)),
    };
    if !exists {
        let drift = Some("it is gone".to_owned());
        return Ok(TableState::Ours(Box::new(Ours { drift, ..Ours::new(recorded, demands, 0) })));
    }
    let count = format!("SELECT count(*) FROM (SELECT 1 FROM \"{name}\" LIMIT {})", MANY_ROWS + 1);
    let rows = list(writer, &count, &[], |row| match row.cell(0) {
        Cell::Integer(rows) => u64::try_from(rows).unwrap_or(0),
        _ => 0,
    })?;
    let rows = rows.first().copied().unwrap_or(0);
    let mut ours = Ours::new(recorded, demands, rows);
    let columns = "SELECT name, type FROM pragma_table_xinfo(?) ORDER BY cid";
    let columns = list(writer, columns, &named, |row| (text(row, 0), text(row, 1)))?;
    let fields: Vec<_> = columns.iter().map(|(name, _)| name.clone()).filter(|name| !OWN.contains(&&**name)).collect();
    ours.follow_renames(&fields, wanted);
    ours.drift = drift_of_columns(columns, &ours.recorded);
    if ours.drift.is_none() {
        indexes::look(writer, wanted, &mut ours)?;
        ours.nulls = nulls(writer, wanted, &ours)?;
        ours.hidden = hidden::columns(writer, wanted, &ours)?;
        ours.uneven = hidden::uneven(writer, wanted, &ours)?;
    }
    Ok(TableState::Ours(Box::new(ours)))
}

/// Columns that are required from now on and have rows without a value.
fn nulls(writer: &mut Writer<'_>, wanted: &Table, ours: &Ours) -> Result<Vec<String>, Error> {
    let Some(demands) = &ours.demands else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for column in wanted.columns.iter().filter(|column| column.required && !demands.required.contains(&column.name)) {
        if ours.recorded.columns.iter().any(|old| old.name == column.name) {
            let sql = format!("SELECT 1 FROM \"{}\" WHERE \"{}\" IS NULL LIMIT 1", wanted.name, column.name);
            if !list(writer, &sql, &[], |_| ())?.is_empty() {
                found.push(column.name.clone());
            }
        }
    }
    Ok(found)
}

/// `found`: the names and types of the columns.
fn drift_of_columns(found: Vec<(String, String)>, recorded: &Table) -> Option<String> {
    let found: BTreeMap<_, _> = found.into_iter().collect();
    let [id, version] = OWN;
    let own = [(id, sql_type(recorded.id)), (version, "INTEGER")];
    let columns = recorded.columns.iter().map(|column| (column.name.as_str(), sql_type(column.kind)));
    let expected: BTreeMap<_, _> = own.into_iter().chain(columns).collect();
    for (name, kind) in &expected {
        match found.get(*name) {
            None => return Some(format!("the column `{name}` is missing")),
            Some(other) if other != kind => return Some(format!("the column `{name}` is {other}, not {kind}")),
            Some(_) => {}
        }
    }
    let extra = found.keys().find(|name| !expected.contains_key(name.as_str()));
    extra.map(|name| format!("the column `{name}` was added"))
}
