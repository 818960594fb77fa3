//! Migrates tables: runs the steps of the plan, or tries them.

use super::run::{Ran, run};
use super::session::{Catalog, Session};
use super::states::survey;
use super::{By, MANY_ROWS, Step, TableState, copied, hidden};
use crate::resource::contract::{Error, Found, Param, Planned, PlannedStep, RefusedTable};
use crate::resource::table::Table;

/// A step that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// What was done: `created table users`.
    pub text: String,
    /// Whether it follows other steps and means little without them.
    pub minor: bool,
    pub warning: Option<String>,
}

impl Applied {
    fn new(step: &Step, warning: Option<String>) -> Self {
        Self { text: step.after(), minor: step.is_minor() || matches!(step, Step::Own(_)), warning }
    }

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
