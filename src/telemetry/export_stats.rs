//! Exact counts of the items of one signal, and whether its export works.

use super::otlp::{ExportFailure, PartialRejection};
use super::signal::Signal;
use jiff::Timestamp;
use serde::Serialize;
use std::time::Duration;

/// The weight of a new export in the moving average.
const SHARE: f64 = 0.125;

/// The items of one signal since the start: spans, data points of metrics, or log records. Every item is either
/// exported, failed, dropped or waiting.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Exports {
    /// Whether they are exported, and whether the last export failed.
    pub state: Export,
    /// Items that the receiver accepted.
    pub exported: u64,
    /// Items in failed exports, and items that the receiver rejected.
    pub failed: u64,
    /// Items dropped because the queue was full.
    pub dropped: u64,
    /// Items in the queue and in the current export.
    pub waiting: u64,
    /// The capacity of the queue; 0 for metrics, which have no queue.
    pub capacity: u64,
    /// Completed exports, whether successful or not.
    pub exports: u64,
    /// The duration of the last export, in milliseconds.
    pub last_ms: f64,
    /// The recent duration of an export, in milliseconds: a moving average in which each new one counts one eighth.
    pub recent_ms: f64,
    /// The error of the last failed export.
    pub last_error: Option<String>,
    /// Since when exports have failed, RFC 3339; `None` while they work.
    pub failing_since: Option<String>,
}

/// The state of the export of a signal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Export {
    #[default]
    Off,
    Working,
    Failing,
}

/// The running counts.
#[derive(Default)]
pub(super) struct ExportStats {
    /// Items in the current export.
    pub sending: u64,
    pub dropped: u64,
    exported: u64,
    failed: u64,
    exports: u64,
    last: Duration,
    recent: Duration,
    error: Option<String>,
    failing_since: Option<Timestamp>,
}

/// A change in the state of an export.
#[must_use = "a change of state is logged, outside any lock"]
pub(super) enum ExportChange {
    None,
    /// Exports have started to fail.
    Failing(String),
    /// Exports work again, after this many items were lost.
    Working {
        failed: u64,
        dropped: u64,
    },
}

impl ExportStats {
    /// Counts the items of the current export once it has ended.
    pub(super) fn settle(&mut self, outcome: Result<PartialRejection, ExportFailure>, took: Duration) -> ExportChange {
        let count = std::mem::take(&mut self.sending);
        let (rejected, error) = match outcome {
            Ok(PartialRejection { count: 0, .. }) => (0, None),
            Ok(PartialRejection { count: rejected, message }) => {
                (rejected.min(count), Some(format!("the receiver rejected {rejected} of {count}: {message}")))
            }
            Err(failure) => (count, Some(failure.message)),
        };
        self.failed += rejected;
        self.exported += count - rejected;
        self.recent = if self.exports == 0 { took } else { self.recent.mul_f64(1.0 - SHARE) + took.mul_f64(SHARE) };
        self.last = took;
        self.exports += 1;
        match (error, self.failing_since) {
            (None, None) => ExportChange::None,
            (None, Some(_)) => {
                self.failing_since = None;
                ExportChange::Working { failed: self.failed, dropped: self.dropped }
            }
            (Some(error), Some(_)) => {
                self.error = Some(error);
                ExportChange::None
            }
            (Some(error), None) => {
                self.failing_since = Some(Timestamp::now());
                self.error = Some(error.clone());
                ExportChange::Failing(error)
            }
        }
    }

    /// Counts items that will not be sent: those `waiting`, and those in the current export. Returns how many were
    /// lost.
    pub(super) fn abandon(&mut self, waiting: u64) -> u64 {
        let sending = std::mem::take(&mut self.sending);
        self.dropped += waiting;
        self.failed += sending;
        waiting + sending
    }

    pub(super) fn report(&self, on: bool, waiting: u64, capacity: u64) -> Exports {
        let millis = |duration: Duration| duration.as_secs_f64() * 1e3;
        Exports {
            state: match (on, self.failing_since) {
                (false, _) => Export::Off,
                (true, None) => Export::Working,
                (true, Some(_)) => Export::Failing,
            },
            exported: self.exported,
            failed: self.failed,
            dropped: self.dropped,
            waiting: waiting + self.sending,
            capacity,
            exports: self.exports,
            last_ms: millis(self.last),
            recent_ms: millis(self.recent),
            last_error: self.error.clone(),
            failing_since: self.failing_since.map(|since| format!("{since:.0}")),
        }
    }
}

impl ExportChange {
    /// Logs the change, for the receiver at `endpoint`.
    pub(super) fn log(self, signal: Signal, endpoint: &str) {
        let signal = signal.name();
        match self {
            Self::None => {}
            Self::Failing(error) => {
                let human = format!("cannot export {signal} to {endpoint}: {error}; dropping them until it recovers");
                tracing::warn!(target: "gatewright::telemetry", signal, error, endpoint, human, "cannot export telemetry");
            }
            Self::Working { failed, dropped } => {
                let human = format!("exporting {signal} to {endpoint} again; {} were lost", failed + dropped);
                tracing::info!(
                    target: "gatewright::telemetry",
                    signal, endpoint, failed, dropped, human,
                    "telemetry export recovered"
                );
            }
        }
    }
}

/// Logs how many items were lost at the end of the process.
pub(super) fn log_lost(signal: Signal, lost: u64) {
    if lost > 0 {
        let signal = signal.name();
        tracing::warn!(target: "gatewright::telemetry", signal, lost, "telemetry lost at shutdown");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(count: u64) -> PartialRejection {
        PartialRejection { count, message: "too old".to_owned() }
    }

    #[test]
    fn rejected_items_have_failed_and_the_rest_arrived() {
        let mut stats = ExportStats { sending: 10, ..ExportStats::default() };
        assert!(matches!(stats.settle(Ok(rejected(3)), Duration::ZERO), ExportChange::Failing(_)));
        let report = stats.report(true, 0, 0);
        assert_eq!((report.exported, report.failed, report.state), (7, 3, Export::Failing));
        assert_eq!(report.last_error.as_deref(), Some("the receiver rejected 3 of 10: too old"));
        // A receiver may claim to have rejected more than it got; that must not create items.
        stats.sending = 2;
        assert!(matches!(stats.settle(Ok(rejected(u64::MAX)), Duration::ZERO), ExportChange::None));
        let report = stats.report(true, 0, 0);
        assert_eq!((report.exported, report.failed), (7, 5));
        stats.sending = 1;
        assert!(matches!(
            stats.settle(Ok(rejected(0)), Duration::ZERO),
            ExportChange::Working { failed: 5, dropped: 0 }
        ));
        assert_eq!(stats.report(true, 0, 0).failing_since, None);
    }

    #[test]
    fn at_the_end_items_in_flight_have_failed_and_queued_ones_are_dropped() {
        let mut stats = ExportStats { sending: 4, dropped: 1, ..ExportStats::default() };
        assert_eq!(stats.report(true, 3, 9).waiting, 7);
        assert_eq!(stats.abandon(3), 7);
        let report = stats.report(false, 0, 9);
        assert_eq!((report.failed, report.dropped, report.waiting, report.state), (4, 4, 0, Export::Off));
    }

    #[test]
    fn latency_is_that_of_recent_exports() {
        let mut stats = ExportStats::default();
        for millis in [8, 16] {
            let _ = stats.settle(Ok(PartialRejection::default()), Duration::from_millis(millis));
        }
        let report = stats.report(true, 0, 0);
        assert_eq!((report.exports, report.last_ms, report.recent_ms), (2, 16.0, 9.0));
    }
}
