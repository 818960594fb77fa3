//! Finished spans on their way out: a bounded queue that never blocks, and the task that empties it.

use super::environment::Lookup;
use opentelemetry::Context;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter as _, SpanProcessor};
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;

/// How much is held and how often it is sent; `OTEL_BSP_*` variables win.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Spans that wait; what comes on top is dropped and counted.
    pub queue: usize,
    /// Spans of one export.
    pub batch: usize,
    /// The longest a span waits before it is sent.
    pub delay: Duration,
}

impl Limits {
    pub(super) fn new(environment: Lookup<'_>) -> Self {
        let number = |name: &str| environment(name).and_then(|text| text.trim().parse::<u32>().ok());
        let count = |name: &str, default: usize| {
            number(name).and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0).unwrap_or(default)
        };
        let queue = count("OTEL_BSP_MAX_QUEUE_SIZE", 2_048);
        // One second instead of the SDK's five: who looks for a trace has just made the request.
        let delay = number("OTEL_BSP_SCHEDULE_DELAY").unwrap_or(1_000);
        let batch = count("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512).min(queue);
        Self { queue, batch, delay: Duration::from_millis(delay.into()) }
    }
}

/// An exporter and how long one export may take.
pub(super) struct Exporter {
    pub sender: SpanExporter,
    pub timeout: Duration,
}

/// The queue. The batch processor of the SDK has one too, but it says neither how much it dropped nor that exports
/// fail, and its exporter cannot be changed while it runs.
#[derive(Clone)]
pub(super) struct Queue(Arc<Inner>);

struct Inner {
    limits: Limits,
    waiting: Mutex<VecDeque<SpanData>>,
    exporter: Mutex<Option<Arc<Exporter>>>,
    /// Signals the first span of a batch, a full batch, and the end. Not every span: waking a task costs more than
    /// making the span did.
    wake: Notify,
    stopping: AtomicBool,
    /// Spans of the export that is on its way.
    sending: AtomicU64,
    exported: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
    failing: AtomicBool,
}

/// What became of spans since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub exported: u64,
    pub failed: u64,
    pub dropped: u64,
    pub failing: bool,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Queue")
    }
}

/// A panic elsewhere leaves nothing half done here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Queue {
    pub(super) fn new(limits: Limits) -> Self {
        Self(Arc::new(Inner {
            limits,
            waiting: Mutex::default(),
            exporter: Mutex::default(),
            wake: Notify::new(),
            stopping: AtomicBool::new(false),
            sending: AtomicU64::new(0),
            exported: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            failing: AtomicBool::new(false),
        }))
    }

    /// Takes `exporter` for what is sent from now on, the waiting spans included: none is lost. An export that is on
    /// its way still ends with the former one.
    pub(super) fn export_with(&self, exporter: Exporter) {
        *lock(&self.0.exporter) = Some(Arc::new(exporter));
    }

    pub(super) fn counts(&self) -> Counts {
        self.0.counts()
    }

    /// Tells the task to send what waits and to end; spans that end later are dropped and counted.
    pub(super) fn stop(&self) {
        let waiting = lock(&self.0.waiting);
        self.0.stopping.store(true, Relaxed);
        drop(waiting);
        self.0.wake.notify_one();
    }

    /// Counts what was not sent, once the task is gone.
    pub(super) fn abandon(&self) {
        let waiting = std::mem::take(&mut *lock(&self.0.waiting)).len();
        let (dropped, failed) = (u64::try_from(waiting).unwrap_or(u64::MAX), self.0.sending.swap(0, Relaxed));
        self.0.dropped.fetch_add(dropped, Relaxed);
        self.0.failed.fetch_add(failed, Relaxed);
        if dropped + failed > 0 {
            tracing::warn!(target: "gatewright::telemetry", spans = dropped + failed, "spans were lost at the end");
        }
    }

    /// Sends spans until [`Queue::stop`].
    pub(super) async fn run(self) {
        let inner = &*self.0;
        loop {
            if !inner.stopping.load(Relaxed) {
                inner.wake.notified().await;
            }
            if !inner.stopping.load(Relaxed) {
                // A full batch, or the end, cuts the wait short.
                let _ = timeout(inner.limits.delay, inner.wake.notified()).await;
            }
            let last = inner.stopping.load(Relaxed);
            loop {
                let batch = inner.take();
                if batch.is_empty() {
                    break;
                }
                inner.send(batch).await;
            }
            if last {
                return;
            }
        }
    }
}

impl Inner {
    fn counts(&self) -> Counts {
        Counts {
            exported: self.exported.load(Relaxed),
            failed: self.failed.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            failing: self.failing.load(Relaxed),
        }
    }

    fn take(&self) -> Vec<SpanData> {
        let mut waiting = lock(&self.waiting);
        let count = waiting.len().min(self.limits.batch);
        waiting.drain(..count).collect()
    }

    async fn send(&self, batch: Vec<SpanData>) {
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let exporter = lock(&self.exporter).clone();
        let Some(exporter) = exporter else {
            self.dropped.fetch_add(count, Relaxed);
            return;
        };
        self.sending.store(count, Relaxed);
        let outcome = match timeout(exporter.timeout, exporter.sender.export(batch)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("no answer in time".to_owned()),
        };
        self.sending.store(0, Relaxed);
        match outcome {
            Ok(()) => {
                self.exported.fetch_add(count, Relaxed);
                if self.failing.swap(false, Relaxed) {
                    let Counts { failed, dropped, .. } = self.counts();
                    tracing::info!(target: "gatewright::telemetry", failed, dropped, "spans are exported again");
                }
            }
            Err(error) => {
                self.failed.fetch_add(count, Relaxed);
                if !self.failing.swap(true, Relaxed) {
                    tracing::warn!(target: "gatewright::telemetry", error, "spans cannot be exported and are lost");
                }
            }
        }
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        let inner = &*self.0;
        let length = {
            let mut waiting = lock(&inner.waiting);
            if waiting.len() < inner.limits.queue && !inner.stopping.load(Relaxed) {
                waiting.push_back(span);
                waiting.len()
            } else {
                0
            }
        };
        match length {
            0 => {
                inner.dropped.fetch_add(1, Relaxed);
            }
            length if length == 1 || length == inner.limits.batch => inner.wake.notify_one(),
            _ => {}
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        self.stop();
        Ok(())
    }
}
