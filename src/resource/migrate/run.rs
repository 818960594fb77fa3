//! Runs the steps of a plan.

use super::recorder::Recorder;
use super::session::{Catalog, Session};
use super::{Step, keys, long, record, respell};
use crate::resource::contract::{Error, Param};
use crate::resource::unusable::obstacle;

/// A step that was run: its statements.
pub struct Ran {
    pub sql: Vec<String>,
    /// What the operator should know.
    pub warning: Option<String>,
}

/// Runs one step.
pub fn run(session: &mut dyn Session, catalog: &dyn Catalog, step: &Step) -> Result<Ran, Error> {
    // What is in the way of an index can only be looked at after a failure that is undone.
    let index = match step {
        Step::CreateIndex { table, index } if catalog.limits_keys() => Some((table, index)),
        _ => None,
    };
    if index.is_some() {
        session.execute("SAVEPOINT step", &[])?;
    }
    let mut recorder = Recorder::new(session);
    let done = change(&mut recorder, catalog, step);
    let statements = recorder.statements;
    let warning = match (done, index) {
        (Err(Error::TooLong), Some((table, index))) => {
            session.execute("ROLLBACK TO SAVEPOINT step", &[])?;
            let long = long::longest(session, table, index)?;
            return Err(Error::Blocked { why: long.why, help: long.help.to_owned() });
        }
        (Err(Error::Internal(why)), _) => {
            let help = obstacle(&why).unwrap_or("change what the database rejects").to_owned();
            return Err(Error::Blocked { why: format!("cannot {}: {why}", step.before()), help });
        }
        (done, _) => done?,
    };
    if index.is_some() {
        session.execute("RELEASE SAVEPOINT step", &[])?;
    }
    // Which addresses are rewritten depends on each of them.
    let sql = if matches!(step, Step::Respell { .. }) { Vec::new() } else { statements };
    Ok(Ran { sql, warning })
}

/// Returns a warning for the operator, if any.
fn change(session: &mut dyn Session, catalog: &dyn Catalog, step: &Step) -> Result<Option<String>, Error> {
    match step {
        Step::Own(statement) => {
            session.execute(statement, &[])?;
        }
        Step::Create(table) => {
            session.execute(&catalog.create_table(table)?, &[])?;
            for index in &table.indexes {
                session.execute(&catalog.create_index(&table.name, index), &[])?;
            }
        }
        Step::Adopt { sql, .. } => {
            for statement in sql {
                session.execute(statement, &[])?;
            }
        }
        Step::RenameColumn { table, from, to } => {
            session.execute(&catalog.rename_column(table, from, to), &[])?;
        }
        Step::DropIndex { table, index } => catalog.drop_index(session, table, index)?,
        Step::AddColumn { table, column } => {
            session.execute(&format!("ALTER TABLE \"{table}\" ADD COLUMN {}", catalog.define(column)?), &[])?;
        }
        Step::Refer { table, column, to } => {
            if let Some(statement) = catalog.refer(table, column, to) {
                session.execute(&statement, &[])?;
            }
        }
        Step::CheckOnly { key, .. } => {
            let before = key.count(&catalog.keys(session)?);
            for statement in &key.sql {
                session.execute(statement, &[])?;
            }
            // Where steps are only written down, there is none.
            if before > 0 && key.count(&catalog.keys(session)?) >= before {
                return Err(Error::Internal(format!(
                    "the definition of table `{}` is not the one that was read",
                    key.table
                )));
            }
            return Ok(Some(keys::warning(key)));
        }
        Step::Retype(retype) => catalog.retype(session, retype)?,
        Step::CreateIndex { table, index } => {
            if let Some(statement) = catalog.leftover(session, table, index)? {
                session.execute(&statement, &[])?;
            }
            session.execute(&catalog.create_index(table, index), &[])?;
        }
        Step::GuardIndex { table, index } => {
            // The warning about it lasts as long as the duplicates, see [`Planned::kept`].
            catalog.guard(session, table, index)?;
        }
        Step::Respell { table, column } => return respell::respell(session, table, column),
        Step::DropColumn { table, column, .. } => {
            session.execute(&format!("ALTER TABLE \"{table}\" DROP COLUMN \"{column}\""), &[])?;
        }
        Step::LetGo { table, column, .. } => {
            for statement in catalog.let_go(session, table, column)? {
                session.execute(&statement, &[])?;
            }
        }
        Step::DropTable { table, .. } => drop_table(session, table)?,
        Step::Record(table, demands) => record::write(session, table, demands)?,
    }
    Ok(None)
}

/// A table that is created again later must not have the sessions and the repeated requests of this one.
fn drop_table(session: &mut dyn Session, table: &str) -> Result<(), Error> {
    session.execute(&format!("DROP TABLE IF EXISTS \"{table}\""), &[])?;
    let name = [Param::Text(table.to_owned())];
    for (own, column) in [("_gw_sessions", "accounts"), ("_gw_idempotency", "resource"), ("_gw_schema", "resource")] {
        session.execute(&format!("DELETE FROM {own} WHERE {column} = $1"), &name)?;
    }
    Ok(())
}
