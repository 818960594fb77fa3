//! Reads by primary key that run at the same time share a connection: their statements are sent together, and their rows
//! come back together.
//!
//! Such reads take the server microseconds, so waiting for the one before costs less than a message of its own. What may
//! take long never runs here.

use std::ops::Deref;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::lease::Lease;

/// How many reads are under way on a connection at most.
const MOST: usize = 16;
/// A connection from which no row has come for this long gets no more reads, and those on it run elsewhere.
pub const STALLED: Duration = Duration::from_millis(50);

/// The connection that the next read joins, if there is one.
#[derive(Default)]
pub struct Sharing(Mutex<Weak<Shared>>);

/// A connection that is returned when the last read has left it.
struct Shared {
    lease: Lease,
    state: Mutex<State>,
}

struct State {
    /// How many reads are under way.
    reads: usize,
    /// When the last one came back, or the first one began.
    progress: Instant,
}

/// A read's part in a connection.
pub struct Share(Arc<Shared>);

impl Sharing {
    /// Joins the reads that are under way, if there are any and their connection is well.
    pub fn join(&self) -> Option<Share> {
        let shared = self.0.lock().upgrade()?;
        let joined = !shared.lease.is_closed() && shared.state.lock().join();
        joined.then_some(Share(shared))
    }

    /// The first read on a connection, which others may join.
    pub fn begin(&self, lease: Lease) -> Share {
        let state = State { reads: 1, progress: Instant::now() };
        let shared = Arc::new(Shared { lease, state: Mutex::new(state) });
        *self.0.lock() = Arc::downgrade(&shared);
        Share(shared)
    }
}

impl State {
    fn join(&mut self) -> bool {
        let joins = self.reads < MOST && self.progress.elapsed() < STALLED;
        self.reads = self.reads.saturating_add(usize::from(joins));
        joins
    }
}

impl Share {
    /// The read has come back. One that leaves otherwise may still be under way: then the connection is not used again.
    pub fn finish(self) {
        let mut state = self.0.state.lock();
        state.reads = state.reads.saturating_sub(1);
        state.progress = Instant::now();
    }

    /// Whether others have come back lately.
    pub fn progresses(&self) -> bool {
        self.0.state.lock().progress.elapsed() < STALLED
    }
}

impl Deref for Share {
    type Target = Lease;

    fn deref(&self) -> &Lease {
        &self.0.lease
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if self.state.get_mut().reads == 0 {
            self.lease.finish();
        }
    }
}
