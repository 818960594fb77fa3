//! A read transaction that stays open while nobody writes, so that other reads need no lock of the file.
//!
//! Each read transaction holds a lock on a read mark of the WAL index (<https://sqlite.org/walformat.html>, section 2.3.2). The
//! connections of one process count who holds such a lock, and only the first and the last make a system call. Once the WAL is
//! folded into the file, all reads have the same mark: while this transaction holds it, they make no system call at all.

use super::connection::{Open, Role};
use super::shared::Shared;

/// The connection with that transaction, opened on first use.
#[derive(Debug, Default)]
pub struct ReadMark(Option<Open>);

impl ReadMark {
    /// Begins the transaction, unless something was committed since the last call: another program may be writing, and then the
    /// WAL would grow for as long as the mark is held. It only makes reads faster, so failures are ignored.
    pub fn hold(&mut self, shared: &Shared) {
        let current = shared.generation();
        let open = self.0.take().filter(|open| open.generation == current);
        self.0 = open.or_else(|| shared.connect(Role::Now).ok()).filter(|open| match open.foreign_commits() {
            // SQLite takes the lock with the first read.
            Ok(false) => open.connection.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema").is_ok(),
            Ok(true) => true,
            Err(_) => false,
        });
    }

    /// Ends the transaction, if it was begun: while it is open, nothing more can be folded into the file.
    pub fn release(&mut self) {
        let ended = |open: &Open| open.connection.is_autocommit() || open.connection.execute_batch("ROLLBACK").is_ok();
        self.0 = self.0.take().filter(ended);
    }
}
