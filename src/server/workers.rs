//! The worker threads: each runs its own connections on its own runtime, and sweeps their deadlines.

use super::clock::Clock;
use super::deadlines::Deadlines;
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::{Builder, Handle};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How often deadlines are checked, and so how exact they are.
const SWEEP: Duration = Duration::from_millis(250);

/// How long work on blocking threads may delay the end of a worker.
const FAREWELL: Duration = Duration::from_secs(1);

/// A worker thread as seen by others.
pub(super) struct Worker {
    handle: Handle,
    clock: Arc<Clock>,
    seats: AtomicUsize,
    connections: Mutex<Vec<Arc<Deadlines>>>,
    /// Notified when the sweep must run now: for a first connection, or a listener whose stage has changed.
    call: Notify,
    stage_changed: AtomicBool,
}

impl Worker {
    pub(super) const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The number of its connections.
    pub(super) fn load(&self) -> usize {
        self.seats.load(Relaxed)
    }

    /// Counts one more connection until the seat is dropped.
    pub(super) fn seat(self: &Arc<Self>) -> Seat {
        self.seats.fetch_add(1, Relaxed);
        Seat(Arc::clone(self))
    }

    fn watch(&self, deadlines: &Arc<Deadlines>) {
        let mut connections = self.connections.lock();
        connections.push(Arc::clone(deadlines));
        if connections.len() == 1 {
            self.call.notify_one();
        }
    }

    /// Sweeps all connections now, because the stage of a listener has changed.
    pub(super) fn stage_changed(&self) {
        self.stage_changed.store(true, Relaxed);
        self.call.notify_one();
    }

    /// Sweeps all connections at intervals, while there are any.
    async fn sweep(&self) {
        loop {
            let now = self.clock.tick();
            let all = self.stage_changed.swap(false, Relaxed);
            let empty = {
                let mut connections = self.connections.lock();
                connections.retain(|deadlines| Arc::strong_count(deadlines) > 1);
                connections.iter().for_each(|deadlines| deadlines.sweep(now, all));
                connections.is_empty()
            };
            if empty {
                self.call.notified().await;
            } else {
                // Usually the time runs out; otherwise there is something to check now.
                let _ = tokio::time::timeout(SWEEP, self.call.notified()).await;
            }
        }
    }
}

/// The place of one connection on its worker.
pub(super) struct Seat(Arc<Worker>);

impl Seat {
    pub(super) fn clock(&self) -> Arc<Clock> {
        Arc::clone(&self.0.clock)
    }

    /// Adds the deadlines of this connection to the sweep.
    pub(super) fn watch(&self, deadlines: &Arc<Deadlines>) {
        self.0.watch(deadlines);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.seats.fetch_sub(1, Relaxed);
    }
}

/// All worker threads. Dropping this ends them, along with any remaining connections.
pub(super) struct Workers {
    all: Vec<Arc<Worker>>,
    threads: Vec<JoinHandle<()>>,
    stop: CancellationToken,
}

impl Workers {
    /// Starts `count` threads, at least one.
    pub(super) fn start(count: usize) -> io::Result<Self> {
        let count = count.max(1);
        let first = crate::worker::reserve(count);
        let mut workers = Self { all: Vec::new(), threads: Vec::new(), stop: CancellationToken::new() };
        for index in first..first + count {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let worker = Arc::new(Worker {
                handle: runtime.handle().clone(),
                clock: Arc::new(Clock::new()),
                seats: AtomicUsize::new(0),
                connections: Mutex::default(),
                call: Notify::new(),
                stage_changed: AtomicBool::new(false),
            });
            let stop = workers.stop.clone();
            workers.all.push(Arc::clone(&worker));
            workers.threads.push(std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
                crate::worker::become_worker(index);
                runtime.block_on(async {
                    tokio::select! {
                        () = worker.sweep() => {}
                        () = stop.cancelled() => {}
                    }
                });
                runtime.shutdown_timeout(FAREWELL);
            })?);
        }
        Ok(workers)
    }

    pub(super) fn all(&self) -> &[Arc<Worker>] {
        &self.all
    }

    pub(super) fn stage_changed(&self) {
        self.all.iter().for_each(|worker| worker.stage_changed());
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.cancel();
        let here = std::thread::current().id();
        for thread in self.threads.drain(..).filter(|thread| thread.thread().id() != here) {
            // A panic of a worker has already been reported.
            let _ = thread.join();
        }
    }
}
