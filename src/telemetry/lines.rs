//! The output of log lines: a buffer that never blocks its writers, and the thread that empties it.

use parking_lot::{Condvar, Mutex};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// The size of the buffer in bytes; lines beyond it are dropped and counted. As much again may be in the process of
/// being written.
const MOST: usize = 4 << 20;

/// How long lines are collected before they are written together: a system call and a thread wakeup for each line would
/// cost more than formatting it.
const COLLECT: Duration = Duration::from_millis(2);

/// How long shutdown waits for the last lines, in total and without progress.
const LAST: Duration = Duration::from_secs(1);
const STUCK: Duration = Duration::from_millis(250);

/// The maximum written to the output at once.
const PIECE: usize = 64 << 10;

/// A handle for appending lines. Clones append to the same buffer.
#[derive(Clone)]
pub(super) struct Lines(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<Buffer>,
    /// Notified when there is something to write, or at the end.
    wake: Condvar,
    /// Notified when the thread has ended.
    gone: Condvar,
    dropped: AtomicU64,
    /// Bytes written so far.
    taken: AtomicU64,
}

#[derive(Default)]
struct Buffer {
    waiting: Vec<u8>,
    /// Until when nothing is written.
    held_until: Option<Instant>,
    ended: bool,
    gone: bool,
}

/// Writes the last lines when it is dropped.
pub(super) struct Guard(Arc<Shared>);

impl Lines {
    /// Starts a thread that writes lines to `output`.
    pub(super) fn new(output: impl Write + Send + 'static) -> io::Result<(Self, Guard)> {
        let shared = Arc::new(Shared::default());
        let writer = Arc::clone(&shared);
        thread::Builder::new().name("gatewright-log".into()).spawn(move || writer.run(output))?;
        Ok((Self(Arc::clone(&shared)), Guard(shared)))
    }

    /// Writes nothing until [`Lines::print`], for at most `within`.
    pub(super) fn hold(&self, within: Duration) {
        self.0.state.lock().held_until = Some(Instant::now() + within);
    }

    /// Writes `text` before the lines that wait.
    pub(super) fn print(&self, text: &[u8]) {
        let mut state = self.0.state.lock();
        state.waiting.splice(..0, text.iter().copied());
        state.held_until = None;
        drop(state);
        self.0.wake.notify_one();
    }

    /// Appends a complete line, with its newline, or drops it if there is no room.
    pub(super) fn put(&self, line: &[u8]) {
        let mut state = self.0.state.lock();
        if state.ended || state.waiting.len() + line.len() > MOST {
            drop(state);
            self.0.dropped.fetch_add(1, Relaxed);
            return;
        }
        let first = state.waiting.is_empty();
        state.waiting.extend_from_slice(line);
        drop(state);
        if first {
            self.0.wake.notify_one();
        }
    }

    /// Lines dropped since the start.
    pub(super) fn dropped(&self) -> u64 {
        self.0.dropped.load(Relaxed)
    }
}

impl Shared {
    fn run(&self, mut output: impl Write) {
        let mut lines = Vec::new();
        while self.take(&mut lines) {
            self.write(&mut output, &lines);
            lines.clear();
            // A burst must not hold its memory forever.
            lines.shrink_to(MOST / 16);
        }
        self.state.lock().gone = true;
        self.gone.notify_all();
    }

    /// Waits for lines and swaps them with `lines`, which is empty. Returns false if there will be no more.
    fn take(&self, lines: &mut Vec<u8>) -> bool {
        let mut state = self.state.lock();
        while state.waiting.is_empty() && !state.ended {
            self.wake.wait(&mut state);
        }
        while let Some(until) = state.held_until.filter(|until| !state.ended && Instant::now() < *until) {
            self.wake.wait_until(&mut state, until);
        }
        if !state.ended {
            // Only the end cuts this short.
            self.wake.wait_while_for(&mut state, |state| !state.ended, COLLECT);
        }
        std::mem::swap(&mut state.waiting, lines);
        !lines.is_empty()
    }

    fn write(&self, output: &mut impl Write, lines: &[u8]) {
        let mut rest = lines;
        while !rest.is_empty() {
            match output.write(rest.get(..PIECE).unwrap_or(rest)) {
                Ok(0) => break,
                Ok(written) => {
                    rest = rest.get(written..).unwrap_or_default();
                    self.taken.fetch_add(u64::try_from(written).unwrap_or(u64::MAX), Relaxed);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The pipe is non-blocking.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !self.state.lock().ended => {
                    thread::sleep(COLLECT)
                }
                Err(_) => break,
            }
        }
        let lost = rest.iter().filter(|byte| **byte == b'\n').count();
        self.dropped.fetch_add(u64::try_from(lost).unwrap_or(u64::MAX), Relaxed);
    }
}

impl Guard {
    /// Writes the last lines. Those that come later are dropped.
    pub(super) fn end(&self) {
        let mut state = self.0.state.lock();
        state.ended = true;
        self.0.wake.notify_one();
        // Does not wait for a reader that still does not read.
        let (start, mut taken) = (Instant::now(), self.0.taken.load(Relaxed));
        while !state.gone && start.elapsed() < LAST {
            self.0.gone.wait_for(&mut state, STUCK);
            if std::mem::replace(&mut taken, self.0.taken.load(Relaxed)) == taken {
                return;
            }
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests;
