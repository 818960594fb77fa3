//! Copies a whole store to another one: `gatewright db copy`.
//!
//! Each run makes the target equal to the source: it deletes rows that differ, inserts those that are missing, and leaves the
//! others. So a run that was killed goes on with the next one, and a second run copies only what has changed since.

mod decimals;
mod layout;
mod left_out;
pub(super) mod side;
mod tables;

pub use self::layout::Sum;
use self::layout::{Key, Layout, key};
pub use self::left_out::LeftOut;
use self::side::Side;
use self::tables::Tables;
use super::contract::Found;
use super::dialect::Dialect;
use super::migrate::copied;
use crate::config::document::store_url::{StoreKind, StoreUrl};
use std::collections::{HashMap, HashSet};
use tokio::runtime::Handle;

/// What a copy is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    Compare,
    Copy,
    Check,
}

/// What is reported while it works.
pub trait Progress {
    /// Rows of a table were worked on.
    fn rows(&mut self, work: Work, table: &str, rows: u64, of: u64);
}

/// A table after the copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    pub table: String,
    pub inserted: u64,
    pub deleted: u64,
    pub source: Sum,
    pub target: Sum,
}

impl Copied {
    pub fn is_equal(&self) -> bool {
        self.source == self.target
    }
}

/// What a copy has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub tables: Vec<Copied>,
    pub left_out: LeftOut,
}

/// Why a copy did not end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stopped {
    /// Nothing was copied, because something would be left out.
    LeavesOut(LeftOut),
    /// Another reason, for the operator.
    Failed(String),
}

impl From<String> for Stopped {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

/// Copies `from` to `to`. Gateways may use `from`, and none may use `to`. What no gateway has made is copied nowhere: that must
/// be wanted, by `leave_out`.
///
/// # Errors
/// Why it did not end.
pub fn copy(
    from: &StoreUrl,
    to: &StoreUrl,
    leave_out: bool,
    runtime: &Handle,
    progress: &mut dyn Progress,
) -> Result<Outcome, Stopped> {
    let mut source = Side::reading(from, runtime)?;
    source.freeze()?;
    let half = copied::unfinished(source.session.as_mut(), source.catalog).map_err(|error| source.failed(&error))?;
    if let Some(half) = half {
        return Err(format!("{}: {}\n  help: {}", source.place, half.message, half.help).into());
    }
    let both = |place: &str| format!("both sides are {place}");
    if let StoreKind::SqliteFile(path) = &to.store
        && path.canonicalize().is_ok_and(|path| path.display().to_string() == source.place)
    {
        return Err(both(&source.place).into());
    }
    let recorded = tables::records(&mut source)?;
    let records: Vec<_> = recorded.iter().map(|(_, record, _)| record).collect();
    let left_out = LeftOut::of(&mut source, &records)?;
    if !left_out.is_empty() && !leave_out {
        return Err(Stopped::LeavesOut(left_out));
    }
    if matches!(to.store, StoreKind::SqliteFile(_)) {
        decimals::check(&mut source, &records)?;
    }
    if let StoreKind::SqliteFile(path) = &to.store
        && path.exists()
    {
        // Opening a database for writing changes it.
        tables::accept(&source, &mut Side::looking(to, runtime)?)?;
    }
    let mut target = Side::writing(to, runtime)?;
    if source.place == target.place {
        return Err(both(&source.place).into());
    }
    tables::lock(&mut target)?;
    let tables = Tables::prepare(&mut source, &mut target, recorded)?;
    let mut copied = Vec::new();
    for layout in &tables.layouts {
        let rows = if tables.has_rows(&layout.name) { target.count(&layout.name)? } else { 0 };
        let deleted = remove(&mut source, &mut target, layout, rows, progress)?;
        let (table, source, target) = (layout.name.clone(), Sum::default(), Sum::default());
        copied.push(Copied { table, inserted: 0, deleted, source, target });
    }
    for (layout, copied) in tables.layouts.iter().zip(&mut copied) {
        let rows = source.count(&layout.name)?;
        let fresh = !tables.has_rows(&layout.name);
        (copied.inserted, copied.source) = add(&mut source, &mut target, layout, (rows, fresh), progress)?;
    }
    tables.finish(&mut source, &mut target)?;
    for (layout, copied) in tables.layouts.iter().zip(&mut copied) {
        let (name, all) = (&layout.name, copied.source.rows);
        copied.target = target.sum(layout, |rows| progress.rows(Work::Check, name, rows, all))?;
    }
    if copied.iter().all(Copied::is_equal) {
        let failed = |error| format!("{error}");
        target.transaction(|target| copied::finish(target.session.as_mut()).map_err(failed))?;
    }
    Ok(Outcome { tables: copied, left_out })
}

/// Deletes the rows of the target that are not the same in the source.
fn remove(
    source: &mut Side,
    target: &mut Side,
    layout: &Layout,
    all: u64,
    progress: &mut dyn Progress,
) -> Result<u64, String> {
    let (mut deleted, mut last) = (0, None);
    if all == 0 {
        return Ok(0);
    }
    loop {
        let page = target.rows(&layout.page(target.dialect, last.as_ref()))?;
        let Some(end) = page.last().cloned() else { break };
        let wanted = by_key(layout, source.rows(&layout.with_keys(source.dialect, &page))?);
        progress.rows(Work::Compare, &layout.name, count(page.len()), all);
        let wrong = page.into_iter().filter(|row| wanted.get(&layout.key_of(row)) != Some(row));
        let wrong: Vec<Found> = wrong.collect();
        if !wrong.is_empty() {
            let delete = layout.delete(target.dialect, &wrong);
            let run = |target: &mut Side| target.execute(&delete).map_err(|error| target.failed(&error));
            deleted += target.transaction(run)?;
        }
        last = Some(end);
    }
    Ok(deleted)
}

/// Inserts the rows that the target does not have. `fresh`: it has none. Also returns the sum of the source.
fn add(
    source: &mut Side,
    target: &mut Side,
    layout: &Layout,
    (all, fresh): (u64, bool),
    progress: &mut dyn Progress,
) -> Result<(u64, Sum), String> {
    let (mut inserted, mut sum, mut last) = (0, Sum::default(), None);
    loop {
        let page = source.rows(&layout.page(source.dialect, last.as_ref()))?;
        let Some(end) = page.last().cloned() else { break };
        page.iter().for_each(|row| sum.add(row));
        let size = count(page.len());
        let missing = if fresh {
            page
        } else {
            let there = target.rows(&layout.keys_of(target.dialect, &page))?;
            let there: HashSet<Key> = there.iter().map(key).collect();
            page.into_iter().filter(|row| !there.contains(&layout.key_of(row))).collect()
        };
        if !missing.is_empty() {
            insert(target, layout, &missing)?;
            inserted += count(missing.len());
        }
        progress.rows(Work::Copy, &layout.name, size, all);
        last = Some(end);
    }
    Ok((inserted, sum))
}

/// Inserts rows, all or none. If that fails, it finds the first row that cannot be inserted.
fn insert(target: &mut Side, layout: &Layout, rows: &[Found]) -> Result<(), String> {
    let run = |target: &mut Side, rows: &[Found]| {
        let sql = layout.insert(target.dialect, rows);
        target.transaction(|target| target.execute(&sql).map_err(|error| target.failed(&error)))
    };
    let Err(failed) = run(target, rows) else { return Ok(()) };
    // If the connection is gone, it is not about a row.
    target.run("SELECT 1").map_err(|_| failed.clone())?;
    for row in rows {
        if let Err(why) = run(target, std::slice::from_ref(row)) {
            let long = layout.long_texts(row);
            let long = if long.is_empty() {
                String::new()
            } else {
                format!(" (the longest texts are in {})", long.join(", "))
            };
            return Err(format!(
                "the row with {} of the table `{}` cannot be copied: {why}{long}",
                layout.shown(row),
                layout.name
            ));
        }
    }
    // Each of them could be inserted by itself: the failure has passed.
    tracing::debug!(failed, "rows were inserted one by one");
    Ok(())
}

fn by_key(layout: &Layout, rows: Vec<Found>) -> HashMap<Key, Found> {
    rows.into_iter().map(|row| (layout.key_of(&row), row)).collect()
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
