//! The notice that an HTTP/2 client gets with GOAWAY: streams that it opens in that time are served, later ones are refused.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The least notice, in milliseconds: GOAWAY has to arrive, and the streams that crossed it.
const LEAST: u64 = 1_000;

/// The notice of one connection, on the clock of its worker. 0 is never a time.
#[derive(Debug, Default)]
pub(super) struct Notice {
    given: AtomicU64,
    ended: AtomicU64,
    length: AtomicU64,
}

impl Notice {
    /// Gives notice of `length`, or ends it when its time is over.
    pub(super) fn advance(&self, now: u64, length: u64) {
        let given = self.given.load(Relaxed);
        if given == 0 {
            self.given.store(now, Relaxed);
            self.length.store(length.max(LEAST), Relaxed);
        } else if !self.has_ended() && now.saturating_sub(given) > self.length.load(Relaxed) {
            self.ended.store(now, Relaxed);
        }
    }

    /// Whether its time is over.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Relaxed) != 0
    }

    /// Whether the connection has had as long again since then, and since `last`, the end of its last stream: what is buffered of that may
    /// take as long to be sent, and refused streams must not prolong it.
    pub(super) fn is_over(&self, now: u64, last: u64) -> bool {
        self.has_ended() && now.saturating_sub(self.ended.load(Relaxed).max(last)) > self.length.load(Relaxed)
    }
}
