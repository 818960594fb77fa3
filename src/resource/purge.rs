//! Removes what has been kept long enough: deleted items (`soft_delete: { keep: 90d }`), and idempotency keys.

use super::contract::prevented;
use super::idempotency;
use super::measure::Statements;
use super::model::Model;
use super::model::deleted::DELETED_AT;
use super::moment::Moment;
use super::sessions::now;
use super::store::{Error, Param, Sql, Statement, Store};
use super::table::ColumnType;
use crate::telemetry::instruments::PURGES;
use gatewright_sdk::metrics::{Counter, counter};
use gatewright_sdk::{Keep, Services, WithTask};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::sleep;

/// How often it looks for expired rows, and how soon again if that failed.
const PAUSE: Duration = Duration::from_secs(60 * 60);
const RETRY: Duration = Duration::from_secs(60);
/// How many rows one statement removes, at most: others wait for it.
const MOST: u64 = 1000;
/// How long a statement about idempotency keys may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The expired rows of one table.
pub struct Purge {
    /// For people.
    what: String,
    table: String,
    store: Arc<Store>,
    statements: Arc<Statements>,
    /// Removes some of those that expired before the first parameter.
    remove: Arc<str>,
    /// Finds one of them, unless another gateway is removing it.
    find: Arc<str>,
    age: Age,
    timeout: Duration,
    done: Arc<Counter>,
    failed: Arc<Counter>,
}

/// When a row has expired.
enum Age {
    /// This long after the item was deleted.
    Deleted(Duration),
    /// At the time in the row.
    Expires,
}

impl Age {
    fn before(&self) -> Param {
        match self {
            Self::Deleted(keep) => Param::Text(Moment::now().before(*keep).datetime()),
            Self::Expires => Param::Integer(now()),
        }
    }
}

impl Purge {
    /// The task for a resource, if it does not keep deleted items for ever.
    pub fn of(
        model: &Model,
        store: &Arc<Store>,
        statements: &Arc<Statements>,
        keep: &Keep,
    ) -> Option<Arc<WithTask<Self>>> {
        let made = Self::new(model, store, statements)?;
        let key = format!("deleted items {:p} {} {:?}", Arc::as_ptr(store), model.table.name, model.keep);
        let owner = format!("resources.{}.soft_delete", model.name);
        Some(keep.get_or_begin(&key, || WithTask::new(&owner, made, run)))
    }

    /// The task for the idempotency keys of the store with this name.
    pub fn of_keys(name: &str, store: &Arc<Store>, keep: &Keep) -> Arc<WithTask<Self>> {
        let made = || WithTask::new(&format!("stores.{name}"), Self::keys(name, store), run);
        keep.get_or_begin(&format!("idempotency keys {:p} {name}", Arc::as_ptr(store)), made)
    }

    /// Whether it is about idempotency keys.
    pub const fn is_of_keys(&self) -> bool {
        matches!(self.age, Age::Expires)
    }

    pub(super) fn new(model: &Model, store: &Arc<Store>, statements: &Arc<Statements>) -> Option<Self> {
        let (table, dialect) = (model.deleted.as_ref()?.table.name.clone(), model.sql.dialect());
        let (before, most) = (dialect.value(1, ColumnType::Datetime), dialect.value(2, ColumnType::Integer));
        let (expired, skip) = (format!("FROM \"{table}\" WHERE \"{DELETED_AT}\" < {before}"), dialect.skip_locked());
        let remove = format!(
            "DELETE FROM \"{table}\" WHERE \"id\" IN (SELECT \"id\" {expired} ORDER BY \"{DELETED_AT}\" LIMIT {most}{skip})"
        );
        Some(Self {
            what: format!("deleted items of {}", model.name),
            store: Arc::clone(store),
            statements: Arc::clone(statements),
            remove: remove.into(),
            find: format!("SELECT 1 {expired} LIMIT 1{skip}").into(),
            age: Age::Deleted(model.keep?),
            timeout: model.timeout,
            done: runs(&model.store, &table, "done"),
            failed: runs(&model.store, &table, "failed"),
            table,
        })
    }

    /// The idempotency keys of the store with this name.
    pub(super) fn keys(name: &str, store: &Arc<Store>) -> Self {
        let table = idempotency::TABLE;
        Self {
            what: format!("idempotency keys of store {name}"),
            table: table.to_owned(),
            store: Arc::clone(store),
            statements: Arc::new(Statements::new(store, name, table)),
            remove: idempotency::sweep(store.dialect()).into(),
            find: idempotency::expired(store.dialect()).into(),
            age: Age::Expires,
            timeout: PATIENCE,
            done: runs(name, table, "done"),
            failed: runs(name, table, "failed"),
        }
    }

    /// Removes what has expired; returns how many rows that were.
    ///
    /// # Errors
    /// The store is busy or cannot be used, or it kept rows that it should have removed.
    pub(super) async fn sweep(&self) -> Result<u64, Error> {
        let before = self.age.before();
        let mut removed: u64 = 0;
        // A write that changes nothing is a commit, too.
        while self.finds(&before).await? {
            let most = i64::try_from(MOST).unwrap_or(i64::MAX);
            let sql = Sql::new(&*self.remove, [before.clone(), Param::Integer(most)]);
            let running = self.statements.begin("DELETE");
            let done = self.store.execute(self.timeout, sql).await;
            running.ends(&done);
            let changed = done?.changed;
            removed = removed.saturating_add(changed);
            // Another gateway may have been faster.
            if changed == 0 && self.finds(&before).await? {
                let why = prevented(&format!("not all expired rows of `{}` were deleted", self.table));
                return Err(Error::Internal(why));
            }
        }
        Ok(removed)
    }

    /// Whether there are expired rows that no other gateway removes now.
    async fn finds(&self, before: &Param) -> Result<bool, Error> {
        let parameters = vec![before.clone()];
        let find = Statement { sql: Arc::clone(&self.find), parameters, deadline: self.timeout };
        let running = self.statements.begin("SELECT");
        let found = self.store.query(find, |rows| Ok(rows.next()?.is_some())).await;
        running.ends(&found);
        found
    }
}

fn runs(store: &str, table: &str, outcome: &'static str) -> Arc<Counter> {
    let [store, table] = [store, table].map(|name| name.to_owned().into());
    let outcome = ("gateway.outcome", outcome.into());
    counter(&PURGES, [("gateway.store", store), ("db.collection.name", table), outcome])
}

/// Sweeps at the start, and then from time to time. The rows are not held while the task waits.
async fn run(purge: Weak<WithTask<Purge>>, _: Arc<dyn Services>) {
    let mut turns = Turns::default();
    while let Some(rows) = purge.upgrade() {
        let swept = rows.sweep().await;
        if swept.is_ok() { &rows.done } else { &rows.failed }.add(1);
        rows.report(turns.ended(&swept), &swept);
        let pause = if swept.is_ok() { PAUSE } else { RETRY };
        drop(rows);
        sleep(pause).await;
    }
}

/// The turns so far.
#[derive(Default)]
struct Turns {
    /// How many have failed in a row.
    failed: u32,
}

/// What the log has to say about a turn.
#[derive(Debug, PartialEq, Eq)]
enum News {
    Nothing,
    Removed,
    Fails,
}

impl Turns {
    /// A single turn that fails is made up for a minute later: it is news, once, if that lasts.
    fn ended(&mut self, swept: &Result<u64, Error>) -> News {
        let failed = if swept.is_err() { self.failed.saturating_add(1) } else { 0 };
        let before = std::mem::replace(&mut self.failed, failed);
        match (swept, before) {
            (Ok(0), 0 | 1) => News::Nothing,
            (Ok(_), _) => News::Removed,
            (Err(_), 1) => News::Fails,
            (Err(_), _) => News::Nothing,
        }
    }
}

impl Purge {
    fn report(&self, news: News, swept: &Result<u64, Error>) {
        let Self { what, table, .. } = self;
        match (news, swept) {
            (News::Removed, Ok(removed)) => {
                let human = format!("removed {removed} {what} for good");
                tracing::info!(table, removed, human, "removed expired data");
            }
            (News::Fails, Err(error)) => {
                let human = format!("cannot remove {what}: {error}; it is tried again every minute");
                tracing::warn!(table, %error, human, "cannot remove expired data");
            }
            (_, Err(error)) => tracing::debug!(table, %error, "cannot remove expired data now"),
            (_, Ok(_)) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_turn_that_fails_is_no_news_but_two_are_and_so_is_the_one_that_works_again() {
        let mut turns = Turns::default();
        let turns =
            [Ok(0), Ok(3), Err(Error::Busy), Ok(0), Err(Error::Busy), Err(Error::Busy), Err(Error::Busy), Ok(0)]
                .map(|swept| turns.ended(&swept));
        let expected = [
            News::Nothing,
            News::Removed,
            News::Nothing,
            News::Nothing,
            News::Nothing,
            News::Fails,
            News::Nothing,
            News::Removed,
        ];
        assert_eq!(turns, expected);
    }
}
