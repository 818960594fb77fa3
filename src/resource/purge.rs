//! Removes deleted items for good when they have been kept long enough: `soft_delete: { keep: 90d }`.

use super::measure::Statements;
use super::model::Model;
use super::model::deleted::DELETED_AT;
use super::moment::Moment;
use super::store::{Error, Param, Sql, Store};
use super::table::ColumnType;
use gatewright_sdk::{Keep, Services, WithTask};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::sleep;

/// How often it looks for such items.
const PAUSE: Duration = Duration::from_secs(60 * 60);
/// How many items one statement removes, at most: others wait for it.
const MOST: u64 = 1000;

/// The deleted items of one resource.
pub struct Purge {
    resource: Arc<str>,
    store: Arc<Store>,
    statements: Arc<Statements>,
    text: String,
    keep: Duration,
    timeout: Duration,
}

impl Purge {
    /// The task for a resource, if it does not keep deleted items for ever.
    pub fn of(
        model: &Model,
        store: &Arc<Store>,
        statements: &Arc<Statements>,
        keep: &Keep,
    ) -> Option<Arc<WithTask<Self>>> {
        let time = model.keep?;
        let key = format!("deleted items {} {} {time:?}", model.store, model.table.name);
        let owner = format!("resources.{}.soft_delete", model.name);
        let made = Self::new(model, store, statements)?;
        Some(keep.get_or_begin(&key, || WithTask::new(&owner, made, run)))
    }

    pub(super) fn new(model: &Model, store: &Arc<Store>, statements: &Arc<Statements>) -> Option<Self> {
        let (table, dialect) = (&model.deleted.as_ref()?.table.name, model.sql.dialect());
        let (before, most) = (dialect.value(1, ColumnType::Datetime), dialect.value(2, ColumnType::Integer));
        let text = format!(
            "DELETE FROM \"{table}\" WHERE \"id\" IN (SELECT \"id\" FROM \"{table}\" WHERE \"{DELETED_AT}\" < {before} \
             ORDER BY \"{DELETED_AT}\" LIMIT {most}{})",
            dialect.skip_locked()
        );
        Some(Self {
            resource: Arc::clone(&model.name),
            store: Arc::clone(store),
            statements: Arc::clone(statements),
            text,
            keep: model.keep?,
            timeout: model.timeout,
        })
    }

    /// Removes what was deleted too long ago; returns how many items that were.
    pub(super) async fn sweep(&self) -> Result<u64, Error> {
        let before = Moment::now().before(self.keep).datetime();
        let most = i64::try_from(MOST).unwrap_or(i64::MAX);
        let mut removed: u64 = 0;
        loop {
            let sql = Sql::new(&*self.text, [Param::Text(before.clone()), Param::Integer(most)]);
            let running = self.statements.begin("DELETE");
            let done = self.store.execute(self.timeout, sql).await;
            running.ends(&done);
            let changed = done?.changed;
            removed = removed.saturating_add(changed);
            if changed < MOST {
                return Ok(removed);
            }
        }
    }
}

/// Sweeps at the start, and then from time to time. The items are not held while the task waits.
async fn run(purge: Weak<WithTask<Purge>>, _: Arc<dyn Services>) {
    while let Some(items) = purge.upgrade() {
        let resource = &*items.resource;
        match items.sweep().await {
            Ok(0) => {}
            Ok(removed) => {
                let human = format!("removed {removed} deleted items of {resource} for good");
                tracing::info!(resource, removed, human, "deleted items removed");
            }
            Err(error) => {
                let human = format!("cannot remove deleted items of {resource}: {error}; it is tried again in an hour");
                tracing::warn!(resource, %error, human, "cannot remove deleted items");
            }
        }
        drop(items);
        sleep(PAUSE).await;
    }
}
