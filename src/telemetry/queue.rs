//! Finished spans and log records on their way out: a bounded queue that never blocks, and the task that empties it.

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

/// What an item of a full queue may weigh on average, in bytes.
const ROOM: usize = 2 * 1024;

/// How long an export to a receiver that a reload has taken out may still go on, before the next one gets it.
const LET_GO: Duration = Duration::from_millis(500);

/// What a queue carries.
pub(super) trait Item: Send + Sized + 'static {
    const SIGNAL: Signal;

    /// How much memory it takes, in bytes, about.
    fn weight(&self) -> usize;

    /// The encoded OTLP request that carries `items`.
    fn request(items: Vec<Self>, resource: Resource) -> Vec<u8>;
}

/// How much is held and how often it is sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct QueueLimits {
    /// Items that wait, and each of them with [`ROOM`]; what comes on top is dropped and counted.
    pub queue: usize,
    /// Items of one export.
    pub batch: usize,
    /// The longest an item waits before it is sent.
    pub delay: Duration,
}

impl QueueLimits {
    /// `prefix` is how the names of the variables begin that win: `OTEL_BSP`, `OTEL_BLRP`.
    pub(super) fn new(prefix: &str, variables: &Variables<'_>) -> Self {
        let count = |name: &str, default: usize| {
            let number = variables.number(&format!("{prefix}_{name}"), 1);
            number.and_then(|number| usize::try_from(number).ok()).unwrap_or(default)
        };
        let queue = count("MAX_QUEUE_SIZE", 2_048);
        // One second instead of the SDK's five: who looks for a trace has just made the request.
        let delay = variables.number(&format!("{prefix}_SCHEDULE_DELAY"), 0).unwrap_or(1_000);
        let batch = count("MAX_EXPORT_BATCH_SIZE", 512).min(queue);
        Self { queue, batch, delay: Duration::from_millis(delay.into()) }
    }
}

/// The queue. The batch processors of the SDK have one too, but they say neither how much they dropped nor that exports
/// fail, and their exporter cannot be changed while they run.
pub(super) struct Queue<T>(Arc<Inner<T>>);

struct Inner<T> {
    limits: QueueLimits,
    state: Mutex<QueueState<T>>,
    exporter: Mutex<Option<Arc<Exporter>>>,
    /// Signals the first item of a batch, a full batch, and the end. Not every item: waking a task costs more than
    /// making a span did.
    wake: Notify,
    /// Signals that there is another exporter.
    changed: Notify,
    stopping: AtomicBool,
    duration: Arc<Histogram>,
}

/// Under one lock, so that the counts always add up.
struct QueueState<T> {
    /// With what each weighs.
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

    /// Takes `exporter` for what is sent from now on, the waiting items included: none is lost. An export that is on
    /// its way still ends with the former one.
    pub(super) fn export_with(&self, exporter: Exporter) {
        *self.0.exporter.lock() = Some(Arc::new(exporter));
        self.0.changed.notify_waiters();
    }

    /// What became of items so far; `on` says whether new ones are made.
    pub(super) fn exports(&self, on: bool) -> Exports {
        let state = self.0.state.lock();
        state.stats.report(on, count(state.waiting.len()), count(self.0.limits.queue))
    }

    /// Puts what `make` makes in the queue, or drops and counts it; where there is no room, nothing is made.
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

    /// Puts `item` in the queue, or drops and counts it.
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

    /// Tells the task to send what waits and to end; items that come later are dropped and counted.
    pub(super) fn stop(&self) {
        let state = self.0.state.lock();
        self.0.stopping.store(true, Relaxed);
        drop(state);
        self.0.wake.notify_one();
    }

    /// Counts what was not sent, once the task is gone.
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
            // What comes meanwhile makes the next batch: under load, batches are full.
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

    /// Waits for an item, and from then on for a full batch, the end, or as long as an item may wait.
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

    /// Sends one batch. Gives how many items it had.
    async fn send(&self) -> usize {
        let batch = self.take();
        let length = batch.len();
        let exporter = self.exporter.lock().clone();
        let Some(mut exporter) = exporter else {
            // Nothing makes items before there is an exporter.
            self.state.lock().stats.abandon(0);
            return length;
        };
        let start = Instant::now();
        let request = Bytes::from(T::request(batch, exporter.resource()));
        // A reload may have come because the former receiver is gone; then the next one gets the batch.
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
                // The same receiver was set anew.
                (None, None) => {}
            }
        };
        let took = start.elapsed();
        self.duration.record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        let change = self.state.lock().stats.settle(outcome, took);
        change.log(T::SIGNAL);
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
