//! The writer thread: many jobs share one commit, and each gets its result after it.

use std::time::{Duration, Instant};

use super::connection::{Location, Open, Role};
use super::error::locked;
use super::job::WriteJob;
use super::read_mark::ReadMark;
use super::rows::Writer;
use super::shared::Shared;
use super::touched::Touched;
use crate::resource::contract::Error;
use crate::resource::queue::Taken;

/// The maximum number of jobs in one transaction.
const BATCH: usize = 64;
/// After this long without a job, the WAL is folded into the file.
const IDLE: Duration = Duration::from_millis(200);
/// How often that is done without jobs: other programs may write too, and [`ReadMark`] keeps them from folding.
const AGAIN: Duration = Duration::from_secs(1);
/// How often SQLite's planner statistics are updated, besides after every change of a table.
const OPTIMIZE: Duration = Duration::from_secs(24 * 60 * 60);

type Jobs = Vec<Box<dyn WriteJob>>;

/// Runs the thread until the queue is closed.
pub fn run(shared: &Shared) {
    let mut jobs = Jobs::with_capacity(BATCH);
    let mut optimized = Instant::now();
    let mut mark = ReadMark::default();
    let mut idle = 0_u32;
    let in_file = *shared.location() != Location::Memory;
    loop {
        let patience = if idle < 2 { IDLE } else { AGAIN };
        match shared.writes.take(&mut jobs, BATCH, in_file.then_some(patience)) {
            Taken::Jobs => {
                mark.release();
                idle = 0;
                while !jobs.is_empty() {
                    transaction(shared, &mut jobs);
                }
            }
            Taken::Idle => {
                mark.release();
                idle = idle.saturating_add(1);
                if shared.was_altered() || optimized.elapsed() >= OPTIMIZE {
                    optimized = Instant::now();
                    optimize(shared);
                }
                if fold(shared) {
                    mark.hold(shared);
                }
            }
            Taken::Closed => {
                mark.release();
                optimize(shared);
                maintain(shared, |open| Ok(open.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?));
                return;
            }
        }
    }
}

/// Folds the WAL into the file; returns whether all of it is there. If not, another connection reads or folds it now.
fn fold(shared: &Shared) -> bool {
    let slot = shared.writer().lock();
    let Some(open) = slot.as_ref() else { return false };
    open.until(None);
    let outcome = open.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
    });
    matches!(outcome, Ok((0, log, folded)) if log == folded)
}

/// Updates the statistics of SQLite's planner. They are no change that clients could see.
fn optimize(shared: &Shared) {
    maintain(shared, |open| {
        let connection = &open.connection;
        connection.execute_batch("BEGIN; PRAGMA optimize")?;
        shared.changes.quietly(open, || Ok(connection.execute_batch("COMMIT")?))
    });
}

/// Runs maintenance on the open connection. Failures are ignored.
fn maintain(shared: &Shared, work: impl FnOnce(&Open) -> Result<(), Error>) {
    if let Some(open) = shared.writer().lock().as_ref() {
        open.until(None);
        let done = work(open);
        if !open.connection.is_autocommit() {
            let _ = open.connection.execute_batch("ROLLBACK");
        }
        if let Err(error) = done {
            tracing::debug!(%error, "database maintenance postponed");
        }
    }
}

/// Runs jobs in one transaction and sends their results. Those still in `jobs` afterwards were not started.
fn transaction(shared: &Shared, jobs: &mut Jobs) {
    let mut slot = shared.writer().lock();
    let begun = match shared.open(&mut slot, Role::Write) {
        Ok(open) => begin(shared, open, jobs).map(|()| open),
        Err(error) => Err(error),
    };
    let open = match begun {
        Ok(open) => open,
        Err(error) => {
            shared.wrote(false);
            answer(jobs.drain(..), &Err(error));
            return shared.discard(&mut slot);
        }
    };
    let mut done = Jobs::with_capacity(jobs.len());
    let mut touched = Touched::default();
    let ran = run_all(open, jobs, &mut done, &mut touched);
    let suffers = done.iter().any(|job| matches!(job.error(), Some(Error::Unavailable(_))));
    if ran.is_err() && open.connection.is_autocommit() && (done.len() > 1 || !suffers) {
        // Nothing was committed, and only one of them is to blame. What it did, or how long it took, says nothing about the store.
        drop(slot);
        return apart(shared, done, &ran.map(|_| ()));
    }
    let outcome = ran.and_then(|changed| {
        open.until(None);
        let end = if changed { "COMMIT" } else { "ROLLBACK" };
        let begun = Instant::now();
        open.connection.prepare_cached(end)?.raw_execute()?;
        if changed {
            shared.changes.committed(open, &touched);
            shared.committed(begun.elapsed());
            shared.wrote(true);
            shared.keep_watch();
        } else if suffers {
            shared.wrote(false);
        }
        Ok(())
    });
    if let Err(Error::Referenced(_)) = outcome
        && open.connection.execute_batch("ROLLBACK").is_ok()
    {
        drop(slot);
        return apart(shared, done, &outcome);
    }
    if outcome.is_err() {
        shared.wrote(false);
        if !open.connection.is_autocommit() {
            let _ = open.connection.execute_batch("ROLLBACK");
        }
        shared.discard(&mut slot);
    }
    // The connection is free before anyone is woken: the woken task may read on it.
    drop(slot);
    answer(done.drain(..), &outcome);
}

/// Runs jobs again, each by itself, if SQLite has undone the transaction that they shared. It does so after a `RAISE(ROLLBACK)` of a
/// trigger, a write that took too long, and a full disk. A foreign key of another program may be checked only when the transaction
/// ends, and then SQLite does not tell whose it was.
fn apart(shared: &Shared, mut done: Jobs, outcome: &Result<(), Error>) {
    if done.len() <= 1 {
        return answer(done.drain(..), outcome);
    }
    for job in done {
        transaction(shared, &mut vec![job]);
    }
}

/// Begins a transaction, waiting for another process's lock as long as a job has time. Returns without jobs if none has.
fn begin(shared: &Shared, open: &Open, jobs: &mut Jobs) -> Result<(), Error> {
    open.until(None);
    open.confirm(shared.durability())?;
    loop {
        match open.connection.execute_batch("BEGIN IMMEDIATE") {
            Ok(()) => return Ok(()),
            Err(error) if locked(&error) && !shared.stopping() => {
                let now = Instant::now();
                let mut late = jobs.extract_if(.., |job| job.expires() <= now).peekable();
                if late.peek().is_some() {
                    shared.wrote(false);
                }
                answer(late, &Err(error.into()));
                if jobs.is_empty() {
                    return Err(Error::Busy);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Runs each job within its savepoint; returns whether any changed something. An error means the transaction is lost.
fn run_all(open: &Open, jobs: &mut Jobs, done: &mut Jobs, touched: &mut Touched) -> Result<bool, Error> {
    let connection = &open.connection;
    let run = |sql: &str| connection.prepare_cached(sql)?.raw_execute();
    let mut changed = false;
    while !jobs.is_empty() {
        let job = jobs.remove(0);
        if !job.is_wanted() {
            continue;
        }
        if job.expires() <= Instant::now() {
            job.answer(Err(Error::Deadline));
            continue;
        }
        open.until(Some(job.expires()));
        done.push(job);
        run("SAVEPOINT job")?;
        let stands = done.last_mut().is_some_and(|job| job.run(&mut Writer { connection, touched: &mut *touched }));
        if connection.is_autocommit() {
            // SQLite rolls back the whole transaction after some errors: a full disk, an interrupted write.
            return Err(Error::Unavailable("the transaction was lost to another job's failure".into()));
        }
        open.until(None);
        if stands {
            run("RELEASE job")?;
            changed = true;
        } else {
            run("ROLLBACK TO job")?;
            run("RELEASE job")?;
        }
    }
    Ok(changed)
}

fn answer(jobs: impl Iterator<Item = Box<dyn WriteJob>>, transaction: &Result<(), Error>) {
    for job in jobs {
        job.answer(transaction.clone());
    }
}
