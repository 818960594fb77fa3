//! Finds what a store has, and what was recorded about it.

use std::collections::BTreeMap;

use super::adopt::rows::Rows;
use super::drift::OWN;
use super::record::RECORDS;
use super::run::run;
use super::session::{Catalog, Session, number};
use super::step::own_name;
use super::{By, Ours, Step, TableState, adopt, drift, hidden, indexes, keys, record, renamed, unwanted, widen};
use crate::resource::contract::{Error, RefusedTable};
use crate::resource::table::Table;

/// Old names and new ones, by table.
type Renames = BTreeMap<String, Vec<(String, String)>>;

/// What a store has.
pub struct Survey<'a> {
    pub states: BTreeMap<&'a str, TableState>,
    /// What is still to be done. Columns have been renamed already: the rest of the plan is made with the new names.
    pub steps: Vec<Step>,
    /// What was done, with its statements.
    pub renamed: Vec<(Step, Vec<String>)>,
    pub has_records: bool,
}

/// Looks at the store and plans. Call it in a savepoint: it renames columns.
pub fn survey<'a>(
    session: &mut dyn Session,
    catalog: &dyn Catalog,
    wanted: &'a [Table],
    by: &By,
) -> Result<Result<Survey<'a>, Vec<RefusedTable>>, Error> {
    let has_records = catalog.exists(session, RECORDS)?;
    let mut steps = Vec::new();
    // What no resource needs is not created, only dropped.
    for statement in catalog.own_tables().iter().filter(|_| !wanted.is_empty()) {
        if !catalog.exists(session, own_name(statement))? {
            steps.push(Step::Own((*statement).to_owned()));
        }
    }
    let (mut renames, mut renamed) = (Renames::new(), Vec::new());
    if by.is_command() && has_records {
        for table in wanted {
            let found = rename(session, catalog, table)?;
            renames.insert(table.name.clone(), found.iter().filter_map(|(step, _)| pair(step)).collect());
            renamed.extend(found);
        }
    }
    let mut states = BTreeMap::new();
    for table in wanted {
        let done = renames.remove(&table.name).unwrap_or_default();
        states.insert(table.name.as_str(), state(session, catalog, (table, done), by, has_records)?);
    }
    for (table, acting) in keys::acting(session, catalog, wanted)? {
        match states.get_mut(table.as_str()) {
            Some(TableState::Ours(ours)) => ours.acting = acting,
            Some(TableState::Strange(strange)) => strange.acting = acting,
            _ => {}
        }
    }
    match super::plan(wanted, |name| states.get(name).cloned(), catalog, by) {
        Ok(planned) => steps.extend(planned),
        Err(refused) => return Ok(Err(refused)),
    }
    if let (By::Command(orders), true) = (by, by.prunes() && has_records) {
        match unwanted::tables(session, catalog, wanted, orders)? {
            Ok(dropped) => steps.extend(dropped),
            Err(refused) => return Ok(Err(refused)),
        }
    }
    let (own, others): (Vec<_>, Vec<_>) =
        steps.iter().filter(|step| !by.may(step)).partition(|step| matches!(step, Step::Own(_)));
    let refused: Vec<_> = own.into_iter().take(1).chain(others).map(|step| by.refusal(step)).collect();
    Ok(if refused.is_empty() { Ok(Survey { states, steps, renamed, has_records }) } else { Err(refused) })
}

fn pair(step: &Step) -> Option<(String, String)> {
    match step {
        Step::RenameColumn { from, to, .. } => Some((from.clone(), to.clone())),
        _ => None,
    }
}

/// Renames the columns of a table that have new names in the document.
fn rename(session: &mut dyn Session, catalog: &dyn Catalog, wanted: &Table) -> Result<Vec<(Step, Vec<String>)>, Error> {
    let mut done = Vec::new();
    let Some((Some(record), _)) = record::read(session, &wanted.name)? else { return Ok(done) };
    let columns = catalog.columns(session, &wanted.name)?;
    let has = |name: &str| columns.iter().any(|(column, _)| column == name);
    for (from, to) in renamed::renames(wanted, &record.table) {
        // One that was renamed by hand, or is missing, is found later.
        if has(&from) && !has(&to) {
            let step = Step::RenameColumn { table: wanted.name.clone(), from, to };
            done.push((step.clone(), run(session, catalog, &step)?.sql));
        }
    }
    Ok(done)
}

/// `has_records`: whether the table of records exists. `done`: the columns that were just renamed.
fn state(
    session: &mut dyn Session,
    catalog: &dyn Catalog,
    (wanted, done): (&Table, Vec<(String, String)>),
    by: &By,
    has_records: bool,
) -> Result<TableState, Error> {
    let name = &wanted.name;
    let exists = catalog.exists(session, name)?;
    let (recorded, demands) = match has_records.then(|| record::read(session, name)).transpose()?.flatten() {
        None if exists && by.adopts() => {
            return Ok(TableState::Strange(Box::new(adopt::look(session, catalog, wanted)?)));
        }
        None => return Ok(if exists { TableState::Foreign } else { TableState::Absent }),
        Some((None, version)) => return Ok(TableState::Newer(version)),
        Some((Some(record), _)) => (record.table, record.demands),
    };
    if !exists {
        let gone = drift::Drift::new("it is gone".to_owned());
        return Ok(TableState::Ours(Box::new(Ours { drift: vec![gone], ..Ours::new(recorded, demands, 0) })));
    }
    let rows = session.rows(&hidden::count_rows(name), &[])?.first().map_or(0, |row| number(row, 0));
    let others = demands.as_ref().map(|demands| demands.others.clone()).unwrap_or_default();
    let mut columns = catalog.columns(session, name)?;
    columns.retain(|(name, _)| !others.contains(name));
    let fields: Vec<_> = columns.iter().map(|(name, _)| name.clone()).filter(|name| !OWN.contains(&&**name)).collect();
    let mut ours = Ours::new(recorded, demands, rows);
    if done.is_empty() {
        ours.follow_renames(&fields, wanted);
    } else {
        ours.rename(done);
    }
    let renames = renamed::renames(wanted, &ours.recorded);
    if !renames.is_empty() && renames.iter().all(|(old, _)| fields.contains(old)) {
        return Ok(TableState::Renamed(renames));
    }
    ours.drift = drift::of_columns(catalog, &columns, &ours.recorded);
    ours.drift.extend(drift::of_key(catalog, &catalog.primary_key(session, name)?, name));
    if ours.drift.is_empty() {
        indexes::look(session, catalog, wanted, &mut ours)?;
    }
    if ours.drift.is_empty() {
        ours.nulls = nulls(session, wanted, &ours)?;
        ours.unfit = unfit(session, wanted, &ours)?;
        ours.lost = lost(session, catalog, wanted, &mut ours)?;
        ours.hidden = hidden::columns(session, catalog, wanted, &ours)?;
        ours.doubled = renamed::doubled(session, catalog, wanted, &ours)?;
        ours.uneven = hidden::uneven(session, catalog, wanted, &ours)?;
        if by.prunes() {
            ours.orphans = unwanted::columns(session, wanted, &ours)?;
        }
    }
    Ok(TableState::Ours(Box::new(ours)))
}

/// Columns with values that their new type does not include, and why.
fn unfit(session: &mut dyn Session, wanted: &Table, ours: &Ours) -> Result<Vec<(String, String)>, Error> {
    let mut found = Vec::new();
    for column in &wanted.columns {
        let old = ours.recorded.columns.iter().find(|old| old.name == column.name);
        let kind = old.map(|old| old.kind).filter(|kind| widen::is_widening(*kind, column));
        let Some((those, why)) = kind.and_then(|kind| widen::unfit(kind, column)) else { continue };
        let sql = format!("SELECT 1 FROM \"{}\" WHERE {those} LIMIT 1", wanted.name);
        if !session.rows(&sql, &[])?.is_empty() {
            found.push((column.name.clone(), why));
        }
    }
    Ok(found)
}

/// Columns that become references and have values that refer to nothing. References that other programs declared are noted.
fn lost(
    session: &mut dyn Session,
    catalog: &dyn Catalog,
    wanted: &Table,
    ours: &mut Ours,
) -> Result<Vec<(String, Rows)>, Error> {
    let (table, mut found) = (&wanted.name, Vec::new());
    for column in &wanted.columns {
        let old = ours.recorded.columns.iter().find(|old| old.name == column.name);
        let becomes = old.is_some_and(|old| old.references.is_none() && old.kind == column.kind);
        let Some(to) = column.references.as_ref().filter(|_| becomes) else { continue };
        let name = &column.name;
        let mut those = format!("\"{name}\" IS NOT NULL");
        if catalog.exists(session, to)? {
            let same = format!("_t.\"id\" = \"{table}\".\"{name}\"");
            those = format!("{those} AND NOT EXISTS (SELECT 1 FROM \"{to}\" AS _t WHERE {same})");
            if catalog.referring(session, to)?.contains(&(table.clone(), name.clone())) {
                ours.referring.push(name.clone());
            }
        }
        let shown = format!("\"id\", \"{name}\"");
        found.extend(Rows::of(session, (table, &shown), true, &those)?.map(|rows| (name.clone(), rows)));
    }
    Ok(found)
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
