//! All deadlines of a connection, checked by one sweep per worker.
//!
//! A timer per request would cost more than many requests do. Instead a connection records what it is doing and since
//! when, using the worker's coarse clock, and the sweep checks all connections a few times a second.

use super::clock::Clock;
use super::closed::Closed;
use super::listening::{Listening, Stage};
use super::notice::Notice;
use crate::terms::Times;
use futures_util::task::AtomicWaker;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Phase {
    /// In the TLS handshake.
    Handshake,
    /// Waiting for or reading a request head: the first, or a later one whose first byte has arrived.
    Head,
    /// Open, with nothing to do.
    Idle,
    /// Serving at least one request.
    Busy,
    /// No longer HTTP; its new owner sets its own deadlines.
    Upgraded,
}

/// How the last sweep wants a connection to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Ending {
    NotYet,
    /// Idle for too long, or idle while its listener drains: end it as the protocol requires.
    Retire,
    /// A head took too long, or the client has left: close it.
    Close,
    /// The client reads nothing of its response: reset it, so that the kernel drops unsent data.
    Reset,
}

/// A shorter write does not count as progress of an HTTP/2 response: pings, acknowledgements and window updates are
/// shorter, and so is a response that a client reads byte by byte.
const PROGRESS: usize = 64;

/// How long an idle connection may take to end once asked to, in milliseconds. It never exceeds the idle time.
const FAREWELL: u64 = 5_000;

/// How long a newly accepted connection may take to send its first byte while its listener drains, in milliseconds. The
/// request was sent before the client could know.
const MOMENT: u64 = 250;

/// How long a TLS handshake may take once its listener drains, in milliseconds: it needs several round trips.
const HANDSHAKE_MOMENT: u64 = 1_000;

/// The state of one connection, shared by its socket, its exchanges and the sweep. Only its own worker changes it, so
/// plain loads and stores are enough.
pub(super) struct Deadlines {
    pub(super) listening: Arc<Listening>,
    /// What [`Listening::handshakes`] was when it was accepted.
    handshakes: u32,
    pub(super) waker: AtomicWaker,
    clock: Arc<Clock>,
    times: Times,
    phase: AtomicU8,
    since: AtomicU64,
    exchanges: AtomicU32,
    /// The number of open tunnels. They may end on any thread.
    tunnels: AtomicU32,
    /// The number of HTTP/2 responses with data that we hold until the client reads it.
    blocked: AtomicU32,
    blocked_since: AtomicU64,
    progress: AtomicU64,
    /// When the socket stopped accepting bytes; 0 while it accepts them.
    stalled: AtomicU64,
    /// When the client ended its sending half while waiting for a response; 0 if it has not.
    finished: AtomicU64,
    /// Whether the next sweep wakes it, to find out whether the client is still there.
    unread: AtomicBool,
    ending: AtomicU8,
    /// What becomes of an HTTP/2 connection that an edit has outdated.
    notice: Notice,
    multiplexed: AtomicBool,
    /// Whether a request has arrived.
    used: AtomicBool,
    /// Whether the last request had a body, part of which may still be on its way.
    leftovers: AtomicBool,
}

impl Deadlines {
    pub(super) fn new((listening, handshakes): (Arc<Listening>, u32), clock: Arc<Clock>, times: Times) -> Arc<Self> {
        let now = clock.tick();
        Arc::new(Self {
            listening,
            handshakes,
            waker: AtomicWaker::new(),
            times,
            phase: AtomicU8::new(Phase::Head as u8),
            since: AtomicU64::new(now),
            exchanges: AtomicU32::new(0),
            tunnels: AtomicU32::new(0),
            blocked: AtomicU32::new(0),
            blocked_since: AtomicU64::new(now),
            progress: AtomicU64::new(now),
            stalled: AtomicU64::new(0),
            finished: AtomicU64::new(0),
            unread: AtomicBool::new(false),
            ending: AtomicU8::new(Ending::NotYet as u8),
            notice: Notice::default(),
            multiplexed: AtomicBool::new(false),
            used: AtomicBool::new(false),
            leftovers: AtomicBool::new(false),
            clock,
        })
    }

    /// Makes this an HTTP/2 connection: idle until its first stream opens.
    pub(super) fn multiplex(&self) {
        self.multiplexed.store(true, Relaxed);
        self.turn(Phase::Idle);
    }

    pub(super) fn is_multiplexed(&self) -> bool {
        self.multiplexed.load(Relaxed)
    }

    /// The TLS handshake begins.
    pub(super) fn begin_handshake(&self) {
        self.turn(Phase::Handshake);
    }

    /// It is complete; a request head may follow.
    pub(super) fn end_handshake(&self) {
        self.turn(Phase::Head);
    }

    fn turn(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
        self.since.store(self.clock.now(), Relaxed);
    }

    /// Bytes arrived from the client.
    pub(super) fn received(&self) {
        if self.phase.load(Relaxed) == Phase::Idle as u8 && !self.is_multiplexed() {
            self.turn(Phase::Head);
        }
    }

    /// The client has shut down its sending half while waiting for a response.
    pub(super) fn finish(&self) {
        self.finished.store(self.clock.now(), Relaxed);
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished.load(Relaxed) != 0
    }

    /// There are unread bytes, so nothing reports that the client has left: the next sweep wakes the connection.
    pub(super) fn look_again(&self) {
        self.unread.store(true, Relaxed);
    }

    /// The client is gone: no one is waiting for the response.
    pub(super) fn leave(&self) {
        if self.ending() < Ending::Close {
            self.ending.store(Ending::Close as u8, Relaxed);
        }
    }

    /// Whether an HTTP/1 request is being served.
    pub(super) fn is_answering(&self) -> bool {
        self.phase.load(Relaxed) == Phase::Busy as u8 && !self.is_multiplexed()
    }

    /// Whether it is waiting for or reading a request head.
    pub(super) fn awaits_head(&self) -> bool {
        self.phase.load(Relaxed) == Phase::Head as u8
    }

    /// The client received `bytes`.
    pub(super) fn sent(&self, bytes: usize) {
        if bytes >= PROGRESS || !self.is_multiplexed() {
            self.progress.store(self.clock.now(), Relaxed);
        }
        self.stalled.store(0, Relaxed);
    }

    /// Everything written so far was handed to the kernel.
    pub(super) fn flushed(&self) {
        self.stalled.store(0, Relaxed);
    }

    /// The client's receive window is closed (RFC 9293 section 3.8.6).
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

    /// A stream becomes a tunnel, or may soon.
    pub(super) fn begin_tunnel(&self) {
        self.tunnels.fetch_add(1, Relaxed);
    }

    pub(super) fn end_tunnel(&self) {
        self.since.store(self.clock.now(), Relaxed);
        self.tunnels.fetch_sub(1, Relaxed);
    }

    /// The connection switches to another protocol (RFC 9110 section 7.8).
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

    /// An HTTP/2 response has handed over data and waits to be polled for more.
    pub(super) fn block(&self) {
        let blocked = self.blocked.load(Relaxed);
        if blocked == 0 {
            self.blocked_since.store(self.clock.now(), Relaxed);
        }
        self.blocked.store(blocked + 1, Relaxed);
    }

    /// It was polled for more, or has ended.
    pub(super) fn unblock(&self) {
        self.blocked.store(self.blocked.load(Relaxed).saturating_sub(1), Relaxed);
    }

    /// The result of the last sweep.
    pub(super) fn ending(&self) -> Ending {
        match self.ending.load(Relaxed) {
            0 => Ending::NotYet,
            1 => Ending::Retire,
            2 => Ending::Close,
            _ => Ending::Reset,
        }
    }

    /// Counts this connection as closed early.
    pub(super) fn count(&self, reason: Closed) {
        self.listening.counts.add(reason);
    }

    /// Whether its listener establishes something else in the handshake by now, so that the client must connect anew.
    pub(super) fn is_outdated(&self) -> bool {
        self.listening.handshakes() != self.handshakes
    }

    /// Whether its client has ignored GOAWAY for so long that nothing new is served.
    pub(super) fn refuses_streams(&self) -> bool {
        self.notice.has_ended()
    }

    /// Whether the listener cuts its connections now.
    pub(super) fn is_cut(&self) -> bool {
        self.listening.stage() == Stage::Cut
    }

    /// Checks the connection and wakes it if there is something to do; always, with `all`, when its listener's stage
    /// has changed.
    pub(super) fn sweep(&self, now: u64, all: bool) {
        if self.is_multiplexed() && self.is_used() && self.is_outdated() {
            self.notice.advance(now, self.listening.terms().times.leave);
        }
        let ending = self.judge(now);
        if ending > self.ending() {
            self.ending.store(ending as u8, Relaxed);
            if ending == Ending::Retire {
                self.since.store(now, Relaxed);
            }
            self.waker.wake();
        } else if all || (self.is_answering() && (self.is_finished() || self.unread.load(Relaxed))) {
            // Polling finds out whether the client is still connected.
            self.unread.store(false, Relaxed);
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
        let phase = self.phase.load(Relaxed);
        if phase == Phase::Handshake as u8 {
            let draining = self.listening.stage() >= Stage::Draining;
            let limit = if draining { self.times.head.min(HANDSHAKE_MOMENT) } else { self.times.head };
            return if over(since, limit) { Ending::Close } else { Ending::NotYet };
        }
        let fresh = !self.is_used() && self.ending() == Ending::NotYet;
        if fresh && self.listening.stage() >= Stage::Draining && over(since, MOMENT) {
            return Ending::Retire;
        }
        if phase == Phase::Head as u8 {
            return if over(since, self.times.head) { Ending::Close } else { Ending::NotYet };
        }
        if phase == Phase::Idle as u8 && self.tunnels.load(Relaxed) == 0 {
            // HTTP/2 may still be sending buffered data after the exchange has ended.
            let progress = if self.is_multiplexed() { since.max(self.progress.load(Relaxed)) } else { since };
            if self.notice.is_over(now, since) || (self.refuses_streams() && over(progress, FAREWELL)) {
                return Ending::Close;
            }
            return match self.ending() {
                Ending::NotYet if over(progress, self.times.idle) => Ending::Retire,
                Ending::Retire if over(progress, self.times.idle.min(FAREWELL)) => Ending::Close,
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
