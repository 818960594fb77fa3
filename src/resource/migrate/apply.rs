//! Migrates tables: runs the steps of the plan, or tries them.

use super::key::Acting;
use super::run::{Ran, run};
use super::session::{Catalog, Session};
use super::states::{Survey, survey};
use super::{By, MANY_ROWS, Step, TableState, copied, duplicates, hidden};
use crate::resource::contract::{Error, Found, Param, Planned, PlannedStep, RefusedTable};
use crate::resource::table::{Index, Table};

/// A step that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// What was done: `created table users`.
    pub text: String,
    /// Whether it follows other steps and means little without them.
    pub minor: bool,
    pub warning: Option<String>,
    /// What the warning is about.
    pub table: Option<String>,
    pub column: Option<String>,
}

impl Applied {
    fn new(step: &Step, warning: Option<String>) -> Self {
        let minor = step.is_minor() || matches!(step, Step::Own(_));
        let (table, column) = step.place();
        let (table, column) = (table.map(str::to_owned), column.map(str::to_owned));
        Self { text: step.after(), minor, warning, table, column }
    }

    pub fn log(&self) {
        let step = self.text.as_str();
        if let Some(warning) = &self.warning {
            let (table, field) = (self.table.as_deref(), self.column.as_deref());
            tracing::warn!(table, field, detail = warning, human = warning, "database schema warning");
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
    by: &By,
) -> Result<Result<Vec<Applied>, Vec<RefusedTable>>, Error> {
    if let Some(unfinished) = copied::unfinished(session, catalog)? {
        return Ok(Err(vec![unfinished]));
    }
    session.execute("SAVEPOINT migration", &[])?;
    copied::is_over(session, catalog)?;
    let survey = match survey(session, catalog, wanted, by)? {
        Ok(survey) => survey,
        Err(refused) => {
            session.execute("ROLLBACK TO SAVEPOINT migration", &[])?;
            session.execute("RELEASE SAVEPOINT migration", &[])?;
            return Ok(Err(refused));
        }
    };
    let mut applied: Vec<_> = survey.renamed.iter().map(|(step, _)| Applied::new(step, None)).collect();
    for step in survey.steps {
        let Ran { warning, .. } = run(session, catalog, &step)?;
        applied.push(Applied::new(&step, warning));
    }
    session.execute("RELEASE SAVEPOINT migration", &[])?;
    Ok(Ok(applied))
}

/// What [`prepare`] would do, or why it would not. The steps are tried within the transaction and rolled back; those of a
/// command on large tables are only written down.
pub fn rehearse(
    session: &mut dyn Session,
    catalog: &dyn Catalog,
    wanted: &[Table],
    by: &By,
) -> Result<Result<Planned, Vec<RefusedTable>>, Error> {
    if let Some(unfinished) = copied::unfinished(session, catalog)? {
        return Ok(Err(vec![unfinished]));
    }
    session.execute("SAVEPOINT rehearsal", &[])?;
    let planned = attempt(session, catalog, wanted, by);
    session.execute("ROLLBACK TO SAVEPOINT rehearsal", &[])?;
    session.execute("RELEASE SAVEPOINT rehearsal", &[])?;
    planned
}

/// The indexes that [`prepare`] would create on large tables, and that can be created before it while others write.
pub fn live(
    session: &mut dyn Session,
    catalog: &dyn Catalog,
    wanted: &[Table],
    by: &By,
) -> Result<Vec<(String, Index)>, Error> {
    if copied::unfinished(session, catalog)?.is_some() {
        return Ok(Vec::new());
    }
    session.execute("SAVEPOINT survey", &[])?;
    // What is against the plan is reported when it is made.
    let live = match survey(session, catalog, wanted, by)? {
        Ok(survey) => survey
            .steps
            .iter()
            .filter_map(|step| is_live(&survey, catalog, step))
            .map(|(table, index, _)| (table, index))
            .collect(),
        Err(_) => Vec::new(),
    };
    session.execute("ROLLBACK TO SAVEPOINT survey", &[])?;
    Ok(live)
}

/// Whether a step creates an index on a large table whose columns are there, and have their types and names already; the table,
/// the index and the statement.
fn is_live(survey: &Survey<'_>, catalog: &dyn Catalog, step: &Step) -> Option<(String, Index, String)> {
    let Step::CreateIndex { table, index } = step else { return None };
    let Some(TableState::Ours(ours)) = survey.states.get(table.as_str()) else { return None };
    let recorded = |name: &String| ours.recorded.columns.iter().any(|column| column.name == *name);
    let renamed = |name: &String| ours.renamed.iter().any(|(_, new)| new == name);
    let ready = ours.rows > MANY_ROWS && index.columns.iter().all(|name| recorded(name) && !renamed(name));
    let comes_later = survey.steps.iter().any(|other| match other {
        Step::DropIndex { table: of, index: dropped } => of == table && dropped.name(of) == index.name(table),
        Step::Retype(retype) => retype.table == *table && index.columns.contains(&retype.column.name),
        _ => false,
    });
    let sql = catalog.create_index_live(table, index)?;
    (ready && !comes_later).then(|| (table.clone(), index.clone(), sql))
}

fn attempt(
    session: &mut dyn Session,
    catalog: &dyn Catalog,
    wanted: &[Table],
    by: &By,
) -> Result<Result<Planned, Vec<RefusedTable>>, Error> {
    let survey = match survey(session, catalog, wanted, by)? {
        Ok(survey) => survey,
        Err(refused) => return Ok(Err(refused)),
    };
    let mut planned = Planned::default();
    for (name, state) in &survey.states {
        let ours = match state {
            TableState::Ours(ours) => Some(ours),
            _ => None,
        };
        if ours.is_none_or(|ours| ours.rows == 0) {
            planned.empty.push((*name).to_owned());
        }
        planned.hidden.extend(ours.iter().flat_map(|ours| ours.hidden.iter().cloned()));
        planned.uneven.extend(ours.iter().flat_map(|ours| ours.uneven.iter().cloned()));
        let acting = ours.iter().flat_map(|ours| &ours.acting).filter(|_| !by.is_command());
        planned.acting.extend(acting.map(Acting::shown));
        // A rule that is not in force yet would have been refused.
        let kept = ours.iter().flat_map(|ours| &ours.equal);
        planned.kept.extend(kept.map(|(index, found)| duplicates::kept(catalog, name, index, found)));
        planned.doubled.extend(ours.iter().flat_map(|ours| ours.doubled.iter().cloned()));
    }
    if survey.has_records {
        planned.unused = hidden::unused(session, catalog, wanted)?;
    }
    let renamed = survey.renamed.iter();
    let renamed = renamed.map(|(step, sql)| described(step, Ran { sql: sql.clone(), warning: None }));
    planned.steps.extend(renamed);
    // To try the steps on a large table would keep others waiting.
    let large = |name: &str| matches!(survey.states.get(name), Some(TableState::Ours(ours)) if ours.rows > MANY_ROWS);
    for step in &survey.steps {
        if let Some((.., sql)) = is_live(&survey, catalog, step).filter(|_| by.is_command()) {
            let text = format!("{} while others can write", step.before());
            let ran = Ran { sql: vec![sql + ";"], warning: None };
            planned.steps.push(PlannedStep { live: true, text, ..described(step, ran) });
            continue;
        }
        let tried = !by.is_command() || !step.place().0.is_some_and(large);
        let ran = if tried { run(session, catalog, step)? } else { run(&mut Nowhere, catalog, step)? };
        planned.steps.push(described(step, ran));
    }
    Ok(Ok(planned))
}

fn described(step: &Step, Ran { sql, warning }: Ran) -> PlannedStep {
    let (table, column) = step.place();
    PlannedStep {
        kind: step.kind(),
        table: table.map(str::to_owned),
        column: column.map(str::to_owned),
        text: step.before(),
        destructive: step.destroys(),
        live: false,
        sql,
        warning,
    }
}

/// What [`prepare`] would do where there is nothing yet.
pub fn plan_anew(catalog: &dyn Catalog, wanted: &[Table], by: &By) -> Result<Planned, Vec<RefusedTable>> {
    attempt(&mut Nowhere, catalog, wanted, by).unwrap_or_else(|error| Err(RefusedTable::unusable(&error)))
}

/// A session of a store that does not exist yet.
struct Nowhere;

impl Session for Nowhere {
    fn execute(&mut self, _: &str, _: &[Param]) -> Result<u64, Error> {
        Ok(0)
    }

    fn rows(&mut self, _: &str, _: &[Param]) -> Result<Vec<Found>, Error> {
        Ok(Vec::new())
    }
}
