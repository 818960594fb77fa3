//! Migrates tables: finds what exists and what was recorded about it, and runs the steps of the plan.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::copied::FORMAT;
use super::session::{Catalog, Session, number, text};
use super::{Demands, Ours, Step, TableState, copied, hidden, indexes, respell};
use crate::resource::contract::{Error, Param, Planned, RefusedTable};
use crate::resource::moment::Moment;
use crate::resource::table::{ColumnType, Table};

/// The table of records.
const RECORDS: &str = "_gw_schema";

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

/// Migrates the tables. Nothing is changed before the whole plan is known to be possible.
/// Returns what was done, which counts once the transaction is committed.
pub fn prepare(
    session: &mut dyn Session,
    catalog: &dyn Catalog,
    wanted: &[Table],
) -> Result<Result<Vec<Applied>, Vec<RefusedTable>>, Error> {
    if let Some(unfinished) = copied::unfinished(session, catalog)? {
        return Ok(Err(vec![unfinished]));
    }
    copied::is_over(session, catalog)?;
    for statement in catalog.own_tables() {
        session.execute(statement, &[])?;
    }
    let states = states(session, catalog, wanted)?;
    let steps = match super::plan(wanted, |name| states.get(name).cloned(), catalog) {
        Ok(steps) => steps,
        Err(refused) => return Ok(Err(refused)),
    };
    let mut applied = Vec::with_capacity(steps.len());
    for step in steps {
        let warning = apply(session, catalog, &step)?;
        applied.push(Applied { text: describe(&step), minor: matches!(step, Step::Record(..)), warning });
    }
    Ok(Ok(applied))
}

/// What [`prepare`] would do, or why it would not. The steps are tried within the transaction and rolled back.
pub fn rehearse(
    session: &mut dyn Session,
    catalog: &dyn Catalog,
    wanted: &[Table],
) -> Result<Result<Planned, Vec<RefusedTable>>, Error> {
    if let Some(unfinished) = copied::unfinished(session, catalog)? {
        return Ok(Err(vec![unfinished]));
    }
    let states = states(session, catalog, wanted)?;
    let steps = match super::plan(wanted, |name| states.get(name).cloned(), catalog) {
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
    if catalog.exists(session, RECORDS)? {
        planned.unused = hidden::unused(session, catalog, wanted)?;
    }
    session.execute("SAVEPOINT rehearsal", &[])?;
    let tried = attempt(session, catalog, &steps);
    session.execute("ROLLBACK TO SAVEPOINT rehearsal", &[])?;
    session.execute("RELEASE SAVEPOINT rehearsal", &[])?;
    tried.map(|()| Ok(planned))
}

fn attempt(session: &mut dyn Session, catalog: &dyn Catalog, steps: &[Step]) -> Result<(), Error> {
    for statement in catalog.own_tables() {
        session.execute(statement, &[])?;
    }
    steps.iter().try_for_each(|step| apply(session, catalog, step).map(|_| ()))
}

fn states<'a>(
    session: &mut dyn Session,
    catalog: &dyn Catalog,
    wanted: &'a [Table],
) -> Result<BTreeMap<&'a str, TableState>, Error> {
    let records = catalog.exists(session, RECORDS)?;
    let mut states = BTreeMap::new();
    for table in wanted {
        states.insert(table.name.as_str(), state(session, catalog, table, records)?);
    }
    Ok(states)
}

/// What [`prepare`] would do where there is nothing yet.
pub fn plan_anew(catalog: &dyn Catalog, wanted: &[Table]) -> Result<Planned, Vec<RefusedTable>> {
    let steps = super::plan(wanted, |_| None, catalog)?;
    let empty = wanted.iter().map(|table| table.name.clone()).collect();
    Ok(Planned { changes: !steps.is_empty(), empty, ..Planned::default() })
}

/// Runs one step; returns a warning for the operator, if any.
fn apply(session: &mut dyn Session, catalog: &dyn Catalog, step: &Step) -> Result<Option<String>, Error> {
    match step {
        Step::Create(table) => {
            session.execute(&catalog.create_table(table)?, &[])?;
            for index in &table.indexes {
                session.execute(&catalog.create_index(&table.name, index), &[])?;
            }
        }
        Step::DropIndex { table, index } => catalog.drop_index(session, table, index)?,
        Step::AddColumn { table, column } => {
            session.execute(&format!("ALTER TABLE \"{table}\" ADD COLUMN {}", catalog.define(column)?), &[])?;
        }
        Step::CreateIndex { table, index } => {
            session.execute(&catalog.create_index(table, index), &[])?;
        }
        Step::GuardIndex { table, index } => {
            catalog.guard(session, table, index)?;
            return Ok(Some(format!(
                "items in table {table} with duplicate {} were kept: the unique rule applies only to new writes",
                index.columns.join(", ")
            )));
        }
        Step::Respell { table, column } => return respell::respell(session, table, column),
        Step::Record(table, demands) => record(session, table, demands)?,
    }
    Ok(None)
}

fn record(session: &mut dyn Session, table: &Table, demands: &Demands) -> Result<(), Error> {
    let record = Record { format: FORMAT, table: table.clone(), demands: Some(demands.clone()) };
    let model = serde_json::to_string(&record).map_err(|error| Error::Internal(error.to_string()))?;
    let fingerprint = Sha256::digest(&model).iter().map(|byte| format!("{byte:02x}")).collect();
    let values = [
        Param::Text(table.name.clone()),
        Param::Text(model),
        Param::Text(fingerprint),
        Param::Text(env!("CARGO_PKG_VERSION").to_owned()),
        Param::Text(Moment::now().datetime()),
    ];
    let sql = "INSERT INTO _gw_schema (resource, model_json, fingerprint, gateway_version, applied_at)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (resource) DO UPDATE SET model_json = excluded.model_json, fingerprint = excluded.fingerprint,
        gateway_version = excluded.gateway_version, applied_at = excluded.applied_at";
    session.execute(sql, &values).map(|_| ())
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

/// `records`: whether the table of records exists.
fn state(session: &mut dyn Session, catalog: &dyn Catalog, wanted: &Table, records: bool) -> Result<TableState, Error> {
    let name = &wanted.name;
    let exists = catalog.exists(session, name)?;
    let kept = "SELECT model_json, gateway_version FROM _gw_schema WHERE resource = $1";
    let kept = if records { session.rows(kept, &[Param::Text(name.clone())])? } else { Vec::new() };
    let Some((model, version)) = kept.first().map(|row| (text(row, 0), text(row, 1))) else {
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
    let rows = session.rows(&hidden::count_rows(name), &[])?.first().map_or(0, |row| number(row, 0));
    let mut ours = Ours::new(recorded, demands, rows);
    let columns = catalog.columns(session, name)?;
    let fields: Vec<_> = columns.iter().map(|(name, _)| name.clone()).filter(|name| !OWN.contains(&&**name)).collect();
    ours.follow_renames(&fields, wanted);
    ours.drift = drift_of_columns(catalog, columns, &ours.recorded);
    if ours.drift.is_none() {
        indexes::look(session, catalog, wanted, &mut ours)?;
        ours.nulls = nulls(session, wanted, &ours)?;
        ours.hidden = hidden::columns(session, wanted, &ours)?;
        ours.uneven = hidden::uneven(session, catalog, wanted, &ours)?;
    }
    Ok(TableState::Ours(Box::new(ours)))
}

/// Columns that are required from now on and have rows without a value.
fn nulls(session: &mut dyn Session, wanted: &Table, ours: &Ours) -> Result<Vec<String>, Error> {
    let Some(demands) = &ours.demands else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for column in wanted.columns.iter().filter(|column| column.required && !demands.required.contains(&column.name)) {
        if ours.recorded.columns.iter().any(|old| old.name == column.name) {
            let sql = format!("SELECT 1 FROM \"{}\" WHERE \"{}\" IS NULL LIMIT 1", wanted.name, column.name);
            if !session.rows(&sql, &[])?.is_empty() {
                found.push(column.name.clone());
            }
        }
    }
    Ok(found)
}

/// `found`: the names and types of the columns.
fn drift_of_columns(catalog: &dyn Catalog, found: Vec<(String, String)>, recorded: &Table) -> Option<String> {
    let found: BTreeMap<_, _> = found.into_iter().collect();
    let [id, version] = OWN;
    let kind = |kind| catalog.type_name(kind);
    let own = [(id, kind(recorded.id)), (version, kind(ColumnType::Integer))];
    let columns = recorded.columns.iter().map(|column| (column.name.as_str(), kind(column.kind)));
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
