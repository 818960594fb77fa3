//! What a connection is doing and since when: all deadlines of a connection, judged by one sweep per worker.
//!
//! A timer per request would cost more than many a request. So a connection notes what it does, with the worker's
//! coarse clock, and the sweep looks at all of them a few times a second.

use super::clock::Clock;
use super::closed::Closed;
use super::listening::{Listening, Stage};
use crate::terms::Times;
use futures_util::task::AtomicWaker;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Phase {
    /// A request head is awaited or arriving: the first one, or a later one of which a byte has come.
    Head,
    /// Kept, with nothing to do.
    Idle,
    /// At least one request is being answered.
    Busy,
    /// Not HTTP any more; its new owner has its own deadlines.
    Upgraded,
}

/// How a connection is to end, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Ending {
    NotYet,
    /// Idle for too long, or for a moment while its listener drains: end it as the protocol says.
    Retire,
    /// A head took too long, or the client has left: close it.
    Close,
    /// The client takes no byte of its answer: reset it, so that the kernel forgets what is unsent.
    Reset,
}

/// A write shorter than this does not count as progress of an HTTP/2 answer: pings, acknowledgements and window updates are
/// shorter, and so is an answer that a client draws byte by byte.
const PROGRESS: usize = 64;

/// How long an idle connection may take to end after it was asked to, in milliseconds: no longer than it may be idle.
const FAREWELL: u64 = 5_000;

/// How long a connection that has just been accepted is given to send its first byte while its listener drains, in
/// milliseconds: the request was on its way before the client could know.
const MOMENT: u64 = 250;

/// The state of one connection, shared by its socket, its exchanges and the sweep. Only its own worker changes it, so
/// that plain loads and stores are enough.
pub(super) struct Deadlines {
    pub(super) listening: Arc<Listening>,
    pub(super) waker: AtomicWaker,
    clock: Arc<Clock>,
    times: Times,
    phase: AtomicU8,
    since: AtomicU64,
    exchanges: AtomicU32,
    /// HTTP/2 answers with data that the client makes us keep.
    blocked: AtomicU32,
    blocked_since: AtomicU64,
    progress: AtomicU64,
    /// Since when the socket takes no byte; 0 when it does.
    stalled: AtomicU64,
    /// Since when the client has nothing more to send while it waits for a response; 0 when it may send more.
    finished: AtomicU64,
    ending: AtomicU8,
    multiplexed: AtomicBool,
    /// A request has come.
    used: AtomicBool,
    /// The last request had a body, of which a part may still be on its way.
    leftovers: AtomicBool,
}

impl Deadlines {
    pub(super) fn new(listening: Arc<Listening>, clock: Arc<Clock>, times: Times) -> Arc<Self> {
        let now = clock.tick();
        Arc::new(Self {
            listening,
            waker: AtomicWaker::new(),
            times,
            phase: AtomicU8::new(Phase::Head as u8),
            since: AtomicU64::new(now),
            exchanges: AtomicU32::new(0),
            blocked: AtomicU32::new(0),
            blocked_since: AtomicU64::new(now),
            progress: AtomicU64::new(now),
            stalled: AtomicU64::new(0),
            finished: AtomicU64::new(0),
            ending: AtomicU8::new(Ending::NotYet as u8),
            multiplexed: AtomicBool::new(false),
            used: AtomicBool::new(false),
            leftovers: AtomicBool::new(false),
            clock,
        })
    }

    /// From now on this is an HTTP/2 connection: idle until its first stream opens.
    pub(super) fn multiplex(&self) {
        self.multiplexed.store(true, Relaxed);
        self.turn(Phase::Idle);
    }

    pub(super) fn is_multiplexed(&self) -> bool {
        self.multiplexed.load(Relaxed)
    }

    fn turn(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
        self.since.store(self.clock.now(), Relaxed);
    }

    /// Bytes came from the client.
    pub(super) fn received(&self) {
        if self.phase.load(Relaxed) == Phase::Idle as u8 && !self.is_multiplexed() {
            self.turn(Phase::Head);
        }
    }

    /// The client has shut its sending half down while it waits for a response.
    pub(super) fn finish(&self) {
        self.finished.store(self.clock.now(), Relaxed);
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished.load(Relaxed) != 0
    }

    /// The client is gone: no one waits for the response any more.
    pub(super) fn leave(&self) {
        if self.ending() < Ending::Close {
            self.ending.store(Ending::Close as u8, Relaxed);
        }
    }

    /// Whether an HTTP/1 request is being answered.
    pub(super) fn is_answering(&self) -> bool {
        self.phase.load(Relaxed) == Phase::Busy as u8 && !self.is_multiplexed()
    }

    /// Whether a request head is awaited or arriving.
    pub(super) fn awaits_head(&self) -> bool {
        self.phase.load(Relaxed) == Phase::Head as u8
    }

    /// The client took `bytes`.
    pub(super) fn sent(&self, bytes: usize) {
        if bytes >= PROGRESS || !self.is_multiplexed() {
            self.progress.store(self.clock.now(), Relaxed);
        }
        self.stalled.store(0, Relaxed);
    }

    /// The client's window is shut (RFC 9293 section 3.8.6).
    pub(super) fn stall(&self) {
        if self.stalled.load(Relaxed) == 0 {
            self.stalled.store(self.clock.now(), Relaxed);
        }
    }

    pub(super) fn begin_exchange(&self, with_body: bool) {
        self.exchanges.store(self.exchanges.load(Relaxed) + 1, Relaxed);
        self.leftovers.store(with_body, Relaxed);
        self.used.store(true, Relaxed);
        self.phase.store(Phase::Busy as u8, Relaxed);
    }

    pub(super) fn end_exchange(&self) {
        let left = self.exchanges.load(Relaxed).saturating_sub(1);
        self.exchanges.store(left, Relaxed);
        if left == 0 && self.phase.load(Relaxed) == Phase::Busy as u8 {
            self.turn(Phase::Idle);
        }
    }

    /// The next thing on this connection is another protocol (RFC 9110 section 7.8).
    pub(super) fn upgrade(&self) {
        self.turn(Phase::Upgraded);
    }

    pub(super) fn is_upgraded(&self) -> bool {
        self.phase.load(Relaxed) == Phase::Upgraded as u8
    }

    pub(super) fn is_used(&self) -> bool {
        self.used.load(Relaxed)
    }

    pub(super) fn has_leftovers(&self) -> bool {
        self.leftovers.load(Relaxed)
    }

    /// An HTTP/2 answer has handed over data and waits to be asked for more.
    pub(super) fn block(&self) {
        let blocked = self.blocked.load(Relaxed);
        if blocked == 0 {
            self.blocked_since.store(self.clock.now(), Relaxed);
        }
        self.blocked.store(blocked + 1, Relaxed);
    }

    /// It was asked for more, or is over.
    pub(super) fn unblock(&self) {
        self.blocked.store(self.blocked.load(Relaxed).saturating_sub(1), Relaxed);
    }

    /// What the last sweep found.
    pub(super) fn ending(&self) -> Ending {
        match self.ending.load(Relaxed) {
            0 => Ending::NotYet,
            1 => Ending::Retire,
            2 => Ending::Close,
            _ => Ending::Reset,
        }
    }

    /// Counts this connection as closed before its time.
    pub(super) fn count(&self, reason: Closed) {
        self.listening.counts.add(reason);
    }

    /// Whether the time of the whole listener is up.
    pub(super) fn is_cut(&self) -> bool {
        self.listening.stage() == Stage::Cut
    }

    /// Judges the connection and wakes it when there is something to do. `all` when its listener's stage has changed.
    pub(super) fn sweep(&self, now: u64, all: bool) {
        let ending = self.judge(now);
        if ending > self.ending() {
            self.ending.store(ending as u8, Relaxed);
            if ending == Ending::Retire {
                self.since.store(now, Relaxed);
            }
            self.waker.wake();
        } else if all || (self.is_finished() && self.is_answering()) {
            // Whether a client that sends nothing more is still there has to be asked.
            self.waker.wake();
        }
    }

    fn judge(&self, now: u64) -> Ending {
        let over = |since: u64, limit: u64| now.saturating_sub(since) > limit;
        let stalled = self.stalled.load(Relaxed);
        if stalled != 0 && over(stalled, self.times.write) {
            return Ending::Reset;
        }
        let since = self.since.load(Relaxed);
        let fresh = !self.is_used() && self.ending() == Ending::NotYet;
        if fresh && self.listening.stage() >= Stage::Draining && over(since, MOMENT) {
            return Ending::Retire;
        }
        let phase = self.phase.load(Relaxed);
        if phase == Phase::Head as u8 {
            return if over(since, self.times.head) { Ending::Close } else { Ending::NotYet };
        }
        if phase == Phase::Idle as u8 {
            // Data of the last answers may still be flowing: HTTP/2 buffers it after the exchange is over.
            let since = if self.is_multiplexed() { since.max(self.progress.load(Relaxed)) } else { since };
            return match self.ending() {
                Ending::NotYet if over(since, self.times.idle) => Ending::Retire,
                Ending::Retire if over(since, self.times.idle.min(FAREWELL)) => Ending::Close,
                _ => Ending::NotYet,
            };
        }
        let finished = self.finished.load(Relaxed);
        if finished != 0 && over(finished.max(self.progress.load(Relaxed)), self.times.half_close) {
            return Ending::Close;
        }
        let waiting = self.blocked_since.load(Relaxed).max(self.progress.load(Relaxed));
        if self.blocked.load(Relaxed) > 0 && over(waiting, self.times.write) {
            return Ending::Reset;
        }
        Ending::NotYet
    }
}
