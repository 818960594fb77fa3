//! The export queue of finished spans and log records: bounded and never blocking, with the task that empties it.

use super::environment::Variables;
use super::export_stats::{ExportStats, Exports, log_lost};
use super::exporter::Exporter;
use super::metrics::exports::duration;
use super::signal::Signal;
use bytes::Bytes;
use gatewright_sdk::metrics::Histogram;
use opentelemetry_proto::tonic::resource::v1::Resource;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};

/// The average size that an item of a full queue may have, in bytes.
const ROOM: usize = 2 * 1024;

/// How long an export to a removed receiver may continue after a reload, before its batch goes to the next one.
const LET_GO: Duration = Duration::from_millis(500);

/// What a queue carries.
pub(super) trait Item: Send + Sized + 'static {
    const SIGNAL: Signal;

    /// Its approximate size in memory, in bytes.
    fn weight(&self) -> usize;

    /// Encodes `items` as an OTLP request.
    fn request(items: Vec<Self>, resource: Resource) -> Vec<u8>;
}

/// The size of the queue and how often it is sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct QueueLimits {
    /// The maximum number of queued items, [`ROOM`] bytes each; any beyond it are dropped and counted.
    pub queue: usize,
    /// The maximum number of items in one export.
    pub batch: usize,
    /// The maximum time an item waits before it is sent.
    pub delay: Duration,
}

impl QueueLimits {
    /// Variables override the defaults; `prefix` is the prefix of their names: `OTEL_BSP`, `OTEL_BLRP`.
    pub(super) fn new(prefix: &str, variables: &Variables<'_>) -> Self {
        let count = |name: &str, default: usize| {
            let number = variables.number(&format!("{prefix}_{name}"), 1);
            number.and_then(|number| usize::try_from(number).ok()).unwrap_or(default)
        };
        let queue = count("MAX_QUEUE_SIZE", 2_048);
        // One second instead of the SDK's five, because people look for a trace right after making the request.
        let delay = variables.number(&format!("{prefix}_SCHEDULE_DELAY"), 0).unwrap_or(1_000);
        let batch = count("MAX_EXPORT_BATCH_SIZE", 512).min(queue);
        Self { queue, batch, delay: Duration::from_millis(delay.into()) }
    }
}

/// The queue. The batch processors of the SDK also have one, but they report neither drops nor failed exports, and
/// their exporter cannot be changed while they run.
pub(super) struct Queue<T>(Arc<Inner<T>>);

struct Inner<T> {
    limits: QueueLimits,
    state: Mutex<QueueState<T>>,
    exporter: Mutex<Option<Arc<Exporter>>>,
    /// Notified for the first item of a batch, a full batch, and the end. Not for every item, because waking a task
    /// costs more than creating a span.
    wake: Notify,
    /// Notified when the exporter changes.
    changed: Notify,
    stopping: AtomicBool,
    duration: Arc<Histogram>,
}

/// Under one lock, so that the counts always add up.
struct QueueState<T> {
    /// Each with its size.
    waiting: VecDeque<(usize, T)>,
    weight: usize,
    stats: ExportStats,
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Queue")
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

impl<T: Item> Queue<T> {
    pub(super) fn new(limits: QueueLimits) -> Self {
        Self(Arc::new(Inner {
            limits,
            state: Mutex::new(QueueState { waiting: VecDeque::new(), weight: 0, stats: ExportStats::default() }),
            exporter: Mutex::default(),
            wake: Notify::new(),
            changed: Notify::new(),
            stopping: AtomicBool::new(false),
            duration: duration(T::SIGNAL),
        }))
    }

    /// Uses `exporter` from now on, including for queued items: none is lost. An export in progress still ends with the
    /// former one.
    pub(super) fn export_with(&self, exporter: Exporter) {
        *self.0.exporter.lock() = Some(Arc::new(exporter));
        self.0.changed.notify_waiters();
    }

    /// The statistics so far; `on` is whether new items are created.
    pub(super) fn exports(&self, on: bool) -> Exports {
        let state = self.0.state.lock();
        state.stats.report(on, count(state.waiting.len()), count(self.0.limits.queue))
    }

    /// Queues the result of `make`, or counts a drop; if there is no room, `make` is not called.
    pub(super) fn push_with(&self, make: impl FnOnce() -> T) {
        {
            let mut state = self.0.state.lock();
            if state.waiting.len() >= self.0.limits.queue {
                state.stats.dropped += 1;
                return;
            }
        }
        self.push(make());
    }

    /// Queues `item`, or drops and counts it.
    fn push(&self, item: T) {
        let inner = &*self.0;
        let weight = item.weight();
        let length = {
            let mut state = inner.state.lock();
            let room = state.waiting.len() < inner.limits.queue
                && state.weight + weight <= inner.limits.queue.saturating_mul(ROOM);
            if !room || inner.stopping.load(Relaxed) {
                state.stats.dropped += 1;
                return;
            }
            state.weight += weight;
            state.waiting.push_back((weight, item));
            state.waiting.len()
        };
        if length == 1 || length == inner.limits.batch {
            inner.wake.notify_one();
        }
    }

    /// Tells the task to send what is queued and end; later items are dropped and counted.
    pub(super) fn stop(&self) {
        let state = self.0.state.lock();
        self.0.stopping.store(true, Relaxed);
        drop(state);
        self.0.wake.notify_one();
    }

    /// Counts what was not sent, once the task has ended.
    pub(super) fn abandon(&self) {
        let lost = {
            let mut state = self.0.state.lock();
            let waiting = count(std::mem::take(&mut state.waiting).len());
            state.stats.abandon(waiting)
        };
        log_lost(T::SIGNAL, lost);
    }

    /// Sends items until [`Queue::stop`].
    pub(super) async fn run(self) {
        let inner = &*self.0;
        loop {
            inner.gather().await;
            let last = inner.stopping.load(Relaxed);
            // Items that arrive in the meantime form the next batch: under load, batches are full.
            let mut left = inner.length();
            while left > 0 {
                left = left.saturating_sub(inner.send().await);
            }
            if last {
                return;
            }
        }
    }
}

impl<T: Item> Inner<T> {
    fn length(&self) -> usize {
        self.state.lock().waiting.len()
    }

    /// Waits for an item, and then for a full batch, the end, or the maximum delay.
    async fn gather(&self) {
        while self.length() == 0 && !self.stopping.load(Relaxed) {
            self.wake.notified().await;
        }
        let until = Instant::now() + self.limits.delay;
        while self.length() < self.limits.batch && !self.stopping.load(Relaxed) {
            if timeout_at(until, self.wake.notified()).await.is_err() {
                return;
            }
        }
    }

    /// Sends one batch. Returns its number of items.
    async fn send(&self) -> usize {
        let batch = self.take();
        let length = batch.len();
        let exporter = self.exporter.lock().clone();
        let Some(mut exporter) = exporter else {
            // No items are created before there is an exporter.
            self.state.lock().stats.abandon(0);
            return length;
        };
        let start = Instant::now();
        let request = Bytes::from(T::request(batch, exporter.resource()));
        // A reload may have removed the receiver because it is gone; the next one then gets the batch.
        let outcome = loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            let present = Arc::clone(&exporter);
            let mut sending = pin!(present.send(request.clone()));
            let current = self.exporter.lock().clone().filter(|current| !Arc::ptr_eq(current, &exporter));
            let outcome = tokio::select! {
                outcome = &mut sending => Some(outcome),
                () = changed, if current.is_none() => timeout(LET_GO, &mut sending).await.ok(),
            };
            let current = self.exporter.lock().clone().filter(|current| !Arc::ptr_eq(current, &exporter));
            match (outcome, current) {
                (Some(Ok(rejected)), _) => break Ok(rejected),
                (_, Some(next)) => exporter = next,
                (Some(failed), None) => break failed,
                // The same receiver was set again.
                (None, None) => {}
            }
        };
        let took = start.elapsed();
        self.duration.record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        let change = self.state.lock().stats.settle(outcome, took);
        change.log(T::SIGNAL, exporter.endpoint());
        length
    }

    fn take(&self) -> Vec<T> {
        let mut state = self.state.lock();
        let length = state.waiting.len().min(self.limits.batch);
        let mut weight = 0;
        let mut batch = Vec::with_capacity(length);
        for (each, item) in state.waiting.drain(..length) {
            weight += each;
            batch.push(item);
        }
        state.weight = state.weight.saturating_sub(weight);
        state.stats.sending = count(batch.len());
        batch
    }
}
