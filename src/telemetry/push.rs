//! Exports metrics to an OTLP receiver: at an interval, and once more at the end.

use super::export_stats::{ExportStats, Exports, log_lost};
use super::exporter::Exporter;
use super::metrics::{exports::duration, otlp::batches};
use super::signal::Signal;
use bytes::Bytes;
use gatewright_sdk::metrics::{Family, Histogram};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Returns the current value of every series.
pub(super) type Collect = fn() -> Vec<Family>;

/// Where metrics are exported, and how often.
#[derive(Clone, Default)]
struct Settings {
    exporter: Option<Arc<Exporter>>,
    interval: Option<Duration>,
    stopping: bool,
}

/// The periodic export of metrics. Its task ends with [`Push::stop`].
#[derive(Clone)]
pub(super) struct Push {
    settings: Arc<watch::Sender<Settings>>,
    stats: Arc<Mutex<ExportStats>>,
    duration: Arc<Histogram>,
    collect: Collect,
}

impl Push {
    pub(super) fn new(collect: Collect) -> Self {
        Self { settings: Arc::default(), stats: Arc::default(), duration: duration(Signal::Metrics), collect }
    }

    /// Sets the interval, `None` for never, and the exporter if it has changed.
    pub(super) fn push_with(&self, exporter: Option<Exporter>, interval: Option<Duration>) {
        self.settings.send_modify(|settings| {
            if let Some(exporter) = exporter {
                settings.exporter = Some(Arc::new(exporter));
            }
            settings.interval = interval;
        });
    }

    pub(super) fn exports(&self, on: bool) -> Exports {
        self.stats.lock().report(on, 0, 0)
    }

    /// Tells the task to export once more and end.
    pub(super) fn stop(&self) {
        self.settings.send_modify(|settings| settings.stopping = true);
    }

    /// Counts what was not sent, once the task has ended.
    pub(super) fn abandon(&self) {
        let lost = self.stats.lock().abandon(0);
        log_lost(Signal::Metrics, lost);
    }

    /// Exports until [`Push::stop`].
    pub(super) async fn run(self) {
        let mut settings = self.settings.subscribe();
        let mut last = Instant::now();
        loop {
            let now = settings.borrow_and_update().clone();
            if !now.stopping {
                let due = now.interval.and_then(|interval| last.checked_add(interval));
                tokio::select! {
                    () = at(due) => {}
                    _ = settings.changed() => continue,
                }
            }
            last = Instant::now();
            if let (Some(exporter), Some(_)) = (&now.exporter, now.interval) {
                self.push(exporter).await;
            }
            if now.stopping {
                return;
            }
        }
    }

    async fn push(&self, exporter: &Exporter) {
        for batch in batches(&(self.collect)(), &exporter.resource(), SystemTime::now()) {
            self.stats.lock().sending = batch.points;
            let start = Instant::now();
            let outcome = exporter.send(Bytes::from(batch.request)).await;
            let took = start.elapsed();
            self.duration.record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
            let change = self.stats.lock().settle(outcome, took);
            change.log(Signal::Metrics, exporter.endpoint());
        }
    }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
