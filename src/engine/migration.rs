//! Plans and makes the changes of tables that a configuration needs, for `gatewright migrate`.
//!
//! The same plans as those of a start and a reload, with more permissions.

use crate::config::diagnostic::{Diagnostic, Diagnostics};
use crate::config::document::process::Migrate;
use crate::config::sources::Sources;
use crate::engine::prepare::{kept, refused, uneven};
use crate::engine::snapshot::Snapshot;
use crate::engine::stores::Used;
use crate::resource::model::deleted;
use crate::resource::store::Applied;
use crate::resource::store::{By, Duplicate, KeptDuplicates, Orders, Planned, PlannedStep, RefusedTable};
use crate::resource::table::Table;
use std::path::PathBuf;
use std::sync::Arc;

/// What the command is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wishes {
    /// Drop columns and tables that are no longer declared.
    pub prune: bool,
    /// Take tables that gatewright did not create.
    pub adopt: bool,
}

/// The plan for one store.
pub struct StorePlan<'a> {
    used: &'a Used,
    tables: Vec<Table>,
    by: By,
    pub steps: Vec<PlannedStep>,
}

/// Values that are not unique.
pub struct Duplicates {
    /// The path of the field in the document.
    pub path: String,
    pub found: Vec<Duplicate>,
}

/// The plans for all stores, or what is against them.
pub struct Migration<'a> {
    pub plans: Vec<StorePlan<'a>>,
    pub refused: Diagnostics,
    /// What the operator should know beside the plan.
    pub warnings: Diagnostics,
    pub duplicates: Vec<Duplicates>,
}

impl StorePlan<'_> {
    pub fn store(&self) -> &str {
        &self.used.name
    }

    /// The file of a SQLite store.
    pub fn file(&self) -> Option<PathBuf> {
        self.used.store.file()
    }

    pub fn is_destructive(&self) -> bool {
        self.steps.iter().any(|step| step.destructive)
    }

    /// Whether the store leaves all changes to others.
    pub fn is_left_to_others(&self) -> bool {
        self.used.migrate == Migrate::None && !self.steps.is_empty()
    }

    /// Whether gateways may use the store while its tables are changed.
    pub fn may_be_in_use(&self) -> bool {
        self.file().is_none()
    }

    /// Copies the file of the store, if it has one.
    pub async fn backup(&self) -> Result<Option<PathBuf>, String> {
        self.used.store.backup().await
    }

    /// Makes the changes: all of them or none.
    pub async fn apply(&self, sources: &Sources) -> Result<Vec<Applied>, Diagnostics> {
        let applied = self.used.store.migrate(&self.tables, &self.by).await;
        applied.map_err(|refused| {
            let mut found = Diagnostics::default();
            refused.into_iter().for_each(|refused| found.push(diagnostic(self.used, refused, sources)));
            found
        })
    }
}

/// Plans the changes of all stores. Nothing is changed.
pub async fn plan<'a>(snapshot: &'a Snapshot, sources: &Sources, wishes: Wishes) -> Migration<'a> {
    let (refused, warnings) = (Diagnostics::default(), Diagnostics::default());
    let mut migration = Migration { plans: Vec::new(), refused, warnings, duplicates: Vec::new() };
    for (number, used) in snapshot.stores.iter().enumerate() {
        // Two names of one database: the first one stands for both.
        let same = |other: &Used| Arc::ptr_eq(&other.store, &used.store);
        if snapshot.stores.iter().take(number).any(same) {
            continue;
        }
        let tables = snapshot.stores.iter().filter(|other| same(other)).flat_map(|other| &other.tables);
        let tables: Vec<_> = tables.map(|(_, table)| table.clone()).collect();
        if tables.is_empty() && !wishes.prune {
            continue;
        }
        let orders = Orders { prune: wishes.prune, keep: declared(snapshot, used), adopt: wishes.adopt };
        let by = By::Command(orders);
        match used.store.plan(&tables, &by).await {
            Ok(Planned { steps, doubled, kept, .. }) => {
                for kept in kept {
                    migration.keep(used, kept, sources);
                }
                for column in doubled {
                    let resource = used.tables.iter().find(|(_, table)| table.name == column.table);
                    let found = resource.map(|(name, _)| uneven::doubled(name, used, &column));
                    let found = found.map(|found| Diagnostic { at: sources.locate(&found.path), ..found });
                    found.into_iter().for_each(|found| migration.warnings.push(found));
                }
                migration.plans.push(StorePlan { used, tables, by, steps });
            }
            Err(refused) => refused.into_iter().for_each(|refused| migration.refuse(used, refused, sources)),
        }
    }
    migration
}

impl Migration<'_> {
    /// Items that are equal under a unique rule that came back.
    fn keep(&mut self, used: &Used, kept: KeptDuplicates, sources: &Sources) {
        let Some((resource, _)) = used.tables.iter().find(|(_, table)| table.name == kept.table) else { return };
        let mut found = kept::duplicates(resource, used, &kept);
        found.help = found.help.map(|help| help.replace("then reload", "then run this again"));
        self.duplicates.push(Duplicates { path: found.path.clone(), found: kept.found });
        self.warnings.push(Diagnostic { at: sources.locate(&found.path), ..found });
    }

    fn refuse(&mut self, used: &Used, mut refused: RefusedTable, sources: &Sources) {
        let found = std::mem::take(&mut refused.duplicates);
        let diagnostic = diagnostic(used, refused, sources);
        if !found.is_empty() {
            self.duplicates.push(Duplicates { path: diagnostic.path.clone(), found });
        }
        self.refused.push(diagnostic);
    }
}

fn diagnostic(used: &Used, mut refused: RefusedTable, sources: &Sources) -> Diagnostic {
    refused.help = refused.help.replace("no tables were changed", "nothing was changed");
    refused.help = refused.help.replace("then reload or start again", "then run this command again");
    refused.help = refused.help.replace("then reload", "then run this again");
    let file = sources.root().display();
    let advice = refused.command.map(|command| format!("run `gatewright migrate {} {file}`", refused::flags(command)));
    let diagnostic = refused::diagnostic(used, refused, advice);
    Diagnostic { at: sources.locate(&diagnostic.path), ..diagnostic }
}

/// The tables of all resources in the database of `used`, whether or not a route serves them.
fn declared(snapshot: &Snapshot, used: &Used) -> Vec<String> {
    let same = |store: &str| {
        snapshot.stores.iter().any(|other| *other.name == *store && Arc::ptr_eq(&other.store, &used.store))
    };
    let resources = snapshot.plan.document.resources.iter().filter(|(_, spec)| same(&spec.store));
    let tables = resources.flat_map(|(name, spec)| {
        let table = spec.table.clone().unwrap_or_else(|| name.to_owned());
        let deleted = spec.soft_delete.on.then(|| deleted::table_name(&table));
        std::iter::once(table).chain(deleted)
    });
    tables.collect()
}
