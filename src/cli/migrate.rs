//! `gatewright migrate`: the changes of tables that a reload does not make by itself.

mod text;

use crate::cli::configuration::ConfigurationFile;
use crate::cli::for_people;
use crate::cli::output::{fail, say, write, write_json};
use crate::config::diagnostic::Diagnostics;
use crate::config::report::Rendering;
use crate::config::sources::Sources;
use crate::engine::compiler::Compilation;
use crate::engine::migration::{Duplicates, Migration, StorePlan, Wishes, plan};
use crate::engine::registry::Registry;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::runtime::Builder;

/// The exit code if there is something to do.
const PENDING: u8 = 2;

#[derive(Args)]
pub struct Migrate {
    #[command(flatten)]
    file: ConfigurationFile,
    /// The same as FILE.
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,
    /// Print the changes that are needed, and change nothing (default).
    #[arg(long, conflicts_with = "apply")]
    plan: bool,
    /// Make the changes.
    #[arg(long)]
    apply: bool,
    /// Drop columns and tables that are no longer declared, too.
    #[arg(long)]
    prune: bool,
    /// Take tables that the configuration names and that gatewright did not create.
    #[arg(long)]
    adopt: bool,
    /// With `--apply`: make changes that lose values. A copy of a SQLite file is made first.
    #[arg(long, requires = "apply")]
    allow_destructive: bool,
    /// With `--allow-destructive` on PostgreSQL: there is a backup of the database.
    #[arg(long, requires = "apply")]
    i_have_a_backup: bool,
    /// Output format.
    #[arg(long, value_enum, default_value_t = PlanFormat::Human)]
    format: PlanFormat,
}

/// How a plan is printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PlanFormat {
    /// Readable text.
    Human,
    /// JSON.
    Json,
    /// The statements alone, in one transaction for each store.
    Sql,
}

/// What was done in one store.
struct Outcome {
    store: String,
    done: Vec<String>,
    warnings: Vec<String>,
    backup: Option<PathBuf>,
}

impl Migrate {
    pub fn run(&self, registry: Registry) -> ExitCode {
        let file = self.config.clone().map_or_else(|| self.file.clone(), |file| ConfigurationFile::new(Some(file)));
        let compiled = match file.valid(registry) {
            Ok(compiled) => compiled,
            Err(code) => return code,
        };
        let runtime = match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return fail(&error.to_string()),
        };
        runtime.block_on(self.migrate(&compiled))
    }

    async fn migrate(&self, compiled: &Compilation) -> ExitCode {
        let Some(snapshot) = &compiled.snapshot else { return ExitCode::FAILURE };
        let sources = &*compiled.sources;
        let migration = plan(snapshot, sources, Wishes { prune: self.prune, adopt: self.adopt }).await;
        if migration.refused.has_errors() {
            return self.refused(&migration.refused, &migration.duplicates, &[], sources);
        }
        if self.format != PlanFormat::Json && migration.warnings.warnings() > 0 {
            say(&sources.render(&migration.warnings, for_people()));
            migration.duplicates.iter().for_each(|found| say(&text::duplicates(found)));
        }
        let changes: usize = migration.plans.iter().map(|plan| plan.steps.len()).sum();
        if !self.apply {
            let written = self.write_plan(&migration, sources);
            return if changes == 0 || written != ExitCode::SUCCESS { written } else { ExitCode::from(PENDING) };
        }
        if let Err(message) = self.allowed(&migration.plans, sources) {
            return fail(&message);
        }
        let mut outcomes = Vec::new();
        for store in migration.plans.iter().filter(|plan| !plan.steps.is_empty()) {
            let mut outcome =
                Outcome { store: store.store().to_owned(), done: Vec::new(), warnings: Vec::new(), backup: None };
            if store.is_destructive() {
                match store.backup().await {
                    Ok(backup) => outcome.backup = backup,
                    Err(error) => return fail(&format!("{error}; nothing was changed in `{}`", store.store())),
                }
                if let (Some(backup), PlanFormat::Human | PlanFormat::Sql) = (&outcome.backup, self.format) {
                    say(&format!("copied {} to {}\n", store.store(), backup.display()));
                }
            }
            match store.apply(sources).await {
                Ok(applied) => {
                    outcome.warnings.extend(applied.iter().filter_map(|step| step.warning.clone()));
                    outcome.done.extend(applied.into_iter().filter(|step| !step.minor).map(|step| step.text));
                }
                Err(refused) => return self.refused(&refused, &[], &outcomes, sources),
            }
            outcomes.push(outcome);
        }
        let in_use = migration.plans.iter().any(|plan| plan.may_be_in_use() && !plan.steps.is_empty());
        self.write_done(&outcomes, &migration, in_use, sources)
    }

    /// The options that are part of the plan.
    fn more(&self) -> String {
        let given = [(self.prune, " --prune"), (self.adopt, " --adopt")];
        given.into_iter().filter(|(given, _)| *given).map(|(_, option)| option).collect()
    }

    /// Whether the changes may be made, or why not.
    fn allowed(&self, plans: &[StorePlan<'_>], sources: &Sources) -> Result<(), String> {
        let file = sources.root().display();
        if let Some(store) = plans.iter().find(|plan| plan.is_left_to_others()) {
            return Err(format!(
                "store `{}` has `migrate: none`, so gatewright does not change its tables\n  help: run the SQL that \
                 `gatewright migrate --format sql {file}` prints on the database",
                store.store()
            ));
        }
        let lost = plans.iter().flat_map(|plan| &plan.steps).filter(|step| step.destructive);
        let lost: Vec<_> = lost.map(|step| format!("\n  {}", step.text)).collect();
        if !lost.is_empty() && !self.allow_destructive {
            return Err(format!(
                "these changes lose values:{}\n  help: add `--allow-destructive` if that is intended",
                lost.concat()
            ));
        }
        let on_server = plans.iter().find(|plan| plan.is_destructive() && plan.file().is_none());
        match on_server.filter(|_| !self.i_have_a_backup) {
            Some(plan) => Err(format!(
                "these changes lose values in `{}`, and gatewright makes no copy of a PostgreSQL database:{}\n  help: make \
                 one, such as with `pg_dump`, and add `--i-have-a-backup`",
                plan.store(),
                lost.concat()
            )),
            None => Ok(()),
        }
    }

    fn write_plan(&self, migration: &Migration<'_>, sources: &Sources) -> ExitCode {
        match self.format {
            PlanFormat::Human => write(&text::plan(&migration.plans, &self.more(), sources)),
            PlanFormat::Sql => write(&text::sql(&migration.plans)),
            PlanFormat::Json => write_json(&json!({
                "changes": migration.plans.iter().map(|plan| plan.steps.len()).sum::<usize>(),
                "stores": migration.plans.iter().map(|plan| json!({
                    "store": plan.store(),
                    "file": plan.file().map(|file| file.display().to_string()),
                    "steps": plan.steps,
                })).collect::<Vec<_>>(),
                "diagnostics": listed(&migration.warnings, sources),
                "duplicates": values(&migration.duplicates),
            })),
        }
    }

    fn write_done(&self, outcomes: &[Outcome], migration: &Migration<'_>, in_use: bool, sources: &Sources) -> ExitCode {
        if self.format == PlanFormat::Json {
            return write_json(&json!({
                "applied": shown(outcomes),
                "diagnostics": listed(&migration.warnings, sources),
                "duplicates": values(&migration.duplicates),
            }));
        }
        outcomes.iter().flat_map(|outcome| &outcome.warnings).for_each(|text| say(&format!("warning: {text}\n")));
        write(&text::done(outcomes, in_use, sources))
    }

    /// `before`: what was done in other stores.
    fn refused(
        &self,
        refused: &Diagnostics,
        duplicates: &[Duplicates],
        before: &[Outcome],
        sources: &Sources,
    ) -> ExitCode {
        if self.format == PlanFormat::Json {
            let list = listed(refused, sources);
            let written = write_json(&json!({
                "applied": shown(before),
                "diagnostics": list,
                "duplicates": values(duplicates),
            }));
            return if written == ExitCode::SUCCESS { ExitCode::FAILURE } else { written };
        }
        say(&sources.render(refused, for_people()));
        duplicates.iter().for_each(|found| say(&text::duplicates(found)));
        for Outcome { store, .. } in before {
            say(&format!("the changes in `{store}` were made already\n"));
        }
        ExitCode::FAILURE
    }
}

/// Diagnostics for programs.
fn listed(found: &Diagnostics, sources: &Sources) -> Value {
    serde_json::from_str(&sources.render(found, Rendering::Json)).unwrap_or_default()
}

/// Values that are not unique, for programs.
fn values(duplicates: &[Duplicates]) -> Vec<Value> {
    duplicates.iter().map(|Duplicates { path, found }| json!({ "path": path, "values": found })).collect()
}

fn shown(outcomes: &[Outcome]) -> Vec<Value> {
    let one = |outcome: &Outcome| {
        let Outcome { store, done, warnings, backup } = outcome;
        let backup = backup.as_ref().map(|path| path.display().to_string());
        json!({ "store": store, "steps": done, "warnings": warnings, "backup": backup })
    };
    outcomes.iter().map(one).collect()
}
