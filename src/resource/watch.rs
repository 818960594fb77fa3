//! Facts about a table that hold until the next write: its revision, and counts of its rows.

use super::digest::Digest;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// The state of a table. Nothing was written between two equal revisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision {
    /// The opened store: random, so that no revision returns after a restart or a restore.
    pub store: u128,
    /// Commits by other programs, and files that were replaced.
    pub others: u64,
    /// Commits to this table.
    pub table: u64,
}

impl Revision {
    /// The state that a database describes with this text, see [`Dialect::revision`](super::dialect::Dialect::revision).
    pub fn described(text: &str) -> Self {
        let mut digest = Digest::new("gatewright revision");
        digest.text(text);
        Self { store: u128::from_be_bytes(digest.finish()), others: 0, table: 0 }
    }
}

/// Counts kept for each table: one for each combination of filters and rules.
const COUNTS: usize = 256;

/// A watched table.
#[derive(Debug, Default)]
pub struct Watch {
    written: AtomicU64,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    /// When they were taken.
    at: Option<Revision>,
    rows: HashMap<[u8; 16], u64>,
}

impl Watch {
    /// Notes a commit that wrote to the table. Called after the commit and before its jobs get their results.
    pub fn wrote(&self) {
        self.written.fetch_add(1, Ordering::AcqRel);
    }

    pub fn commits(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// How many rows a count found, if nothing was written since. `of` is a digest of its statement.
    pub fn count(&self, revision: Revision, of: [u8; 16]) -> Option<u64> {
        let counts = self.counts.lock();
        counts.rows.get(&of).copied().filter(|_| counts.at == Some(revision))
    }

    /// Keeps the result of a count that started after `revision` was taken.
    pub fn counted(&self, revision: Revision, of: [u8; 16], rows: u64) {
        let mut counts = self.counts.lock();
        if counts.at != Some(revision) || counts.rows.len() >= COUNTS {
            counts.rows.clear();
            counts.at = Some(revision);
        }
        counts.rows.insert(of, rows);
    }
}
