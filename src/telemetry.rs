//! The telemetry of the process: traces, metrics and logs over OTLP, log lines, and the access log.

mod console;
mod environment;
mod export_stats;
mod exporter;
mod ids;
pub mod instruments;
mod lines;
mod logs;
mod methods;
pub mod metrics;
mod observe;
mod otlp;
pub mod panics;
pub mod propagation;
mod push;
mod query;
mod queue;
mod receiver;
pub mod reference;
mod sampling;
mod signal;
mod traces;

pub use console::Console;
pub use export_stats::Exports;
pub use methods::{METHOD_NAMES, method, method_index};
pub use observe::{
    Observation, Observer, PluginLabel, Proxied, ProxyTarget, RouteLabel, describe_url, probe, warn_of_failure,
};
pub use traces::is_traced;

use crate::config::document::telemetry::Telemetry as Spec;
use environment::{Ignored, Lookup, TelemetryPlan, Variables};
use exporter::Exporter;
use gatewright_sdk::Fault;
use gatewright_sdk::metrics::{Observed, meters};
use lines::Lines;
use metrics::exports;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use otlp::Channel;
use parking_lot::Mutex;
use push::Push;
use queue::{Queue, QueueLimits};
use serde::Serialize;
use signal::{SIGNALS, Signal};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tracing::Dispatch;
use tracing_subscriber::layer::{Layer, SubscriberExt};

/// How long log lines wait for what is to be printed before them.
const HOLD: Duration = Duration::from_secs(1);

/// Why telemetry could not start or change.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// In a setting; its path is relative to `telemetry`.
    #[error("telemetry.{0}")]
    CheckContext(Fault),
    #[error("another subscriber receives the events of this process")]
    Installed,
    #[error("the thread that writes log lines cannot start: {0}")]
    Thread(#[from] std::io::Error),
    #[error("telemetry needs a Tokio runtime to start in")]
    Runtime(#[from] tokio::runtime::TryCurrentError),
}

/// Validates the settings together with the `OTEL_*` variables; paths of faults are relative to `telemetry`. Reads the
/// certificates that they name; relative paths start in `folder`, the folder of the configuration.
pub fn check(spec: &Spec, folder: &Path) -> Result<(), Fault> {
    let plan = TelemetryPlan::new(spec, &environment::process)?;
    SIGNALS
        .iter()
        .filter_map(|signal| plan.receiver(*signal))
        .try_for_each(|receiver| Channel::new(receiver, folder).map(drop))
}

/// Whether requests are measured: metrics can be read, or are exported.
pub fn measures(spec: &Spec) -> bool {
    let read = spec.metrics.as_ref().is_some_and(|metrics| metrics.prometheus.is_some());
    read || TelemetryPlan::new(spec, &environment::process).is_ok_and(|plan| plan.metrics.is_some())
}

/// Statistics about telemetry itself since the start.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Counters {
    /// Spans.
    pub traces: Exports,
    /// Data points of metrics.
    pub metrics: Exports,
    /// Log records.
    pub logs: Exports,
    /// Log lines dropped because they were not read in time.
    pub log_lines_dropped: u64,
}

/// The telemetry of the process: created once at the start, updated for each accepted generation.
pub struct Telemetry {
    gate: traces::TraceGate,
    logs: logs::LiveLogs,
    spans: Queue<traces::Finished>,
    push: Push,
    records: logs::Records,
    /// The exporting tasks; they end with this value.
    senders: Mutex<Vec<JoinHandle<()>>>,
    plan: Mutex<TelemetryPlan>,
    /// `service.instance.id`, which keeps the metrics of two processes apart.
    instance: String,
    lines: Lines,
    /// Held so that exports are measured.
    _series: Vec<Arc<Observed>>,
    /// Writes the last lines when it is dropped.
    writer: lines::Guard,
}

impl Telemetry {
    /// Starts telemetry and makes it receive every event and span of the process. Exports run on the current Tokio
    /// runtime; relative file paths start in `folder`, the folder of the configuration.
    pub fn start(spec: &Spec, folder: &Path) -> Result<Self, TelemetryError> {
        let (console, output) = (Console::stdout(), std::io::stdout());
        let (telemetry, dispatch) = Self::build(spec, folder, &environment::process, console, output)?;
        tracing::dispatcher::set_global_default(dispatch).map_err(|_| TelemetryError::Installed)?;
        // For callsites that other threads have already registered.
        tracing::callsite::rebuild_interest_cache();
        if environment::process("RUST_LOG").is_some_and(|text| !logs::is_readable(&text)) {
            tracing::warn!(target: "gatewright::telemetry", "RUST_LOG is not valid; write TARGET=LEVEL pairs, separated by commas");
        }
        Ok(telemetry)
    }

    /// Telemetry that writes its lines to `output`, and the subscriber that feeds it.
    fn build(
        spec: &Spec,
        folder: &Path,
        environment: Lookup<'_>,
        console: Console,
        output: impl Write + Send + 'static,
    ) -> Result<(Self, Dispatch), TelemetryError> {
        let runtime = Handle::try_current()?;
        let plan = TelemetryPlan::new(spec, environment).map_err(TelemetryError::CheckContext)?;
        let (lines, guard) = Lines::new(output)?;
        let variables = Variables::new(environment);
        let (gate, spans) = (traces::TraceGate::default(), Queue::new(QueueLimits::new("OTEL_BSP", &variables)));
        let records = logs::Records::new(QueueLimits::new("OTEL_BLRP", &variables));
        let push = Push::new(|| meters().collect());
        let logs = logs::LiveLogs::new(&spec.logs, environment("RUST_LOG").as_deref(), console);
        let tracer = traces::tracer(spans.clone());
        let traced = tracing_opentelemetry::layer()
            .with_tracer(tracer.clone())
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_context_activation(false);
        let floods = logs::Floods::default();
        let layer = logs::LogLayer::new(logs.clone(), lines.clone(), records.clone(), floods.clone());
        let layer = layer.with_filter(logs::Levels { live: logs.clone(), floods: floods.clone() });
        let telemetry = Self {
            _series: series(&spans, &push, &records.queue, lines.clone(), floods),
            gate: gate.clone(),
            logs,
            spans,
            push,
            records,
            senders: Mutex::default(),
            plan: Mutex::new(plan.clone()),
            instance: uuid::Uuid::new_v4().to_string(),
            lines,
            writer: guard,
        };
        // Before the subscriber is registered, because it is then asked which events it wants.
        telemetry.export(&plan, None, folder)?;
        *telemetry.senders.lock() = vec![
            runtime.spawn(telemetry.spans.clone().run()),
            runtime.spawn(telemetry.push.clone().run()),
            runtime.spawn(telemetry.records.queue.clone().run()),
        ];
        let tracer = observe::Tracing(tracer).with_filter(gate.clone());
        let subscriber = tracing_subscriber::registry().with(traced.with_filter(gate.clone()));
        let dispatch = Dispatch::new(subscriber.with(layer).with(tracer).with(gate));
        // The environment does not change, so this is logged only once.
        tracing::dispatcher::with_default(&dispatch, || {
            plan.ignored.iter().chain(&variables.ignored()).for_each(Ignored::warn);
        });
        Ok((telemetry, dispatch))
    }

    /// Whether log lines are written for people.
    pub fn is_human(&self) -> bool {
        self.logs.is_human()
    }

    /// Whether log lines are written for people at a terminal.
    pub fn is_at_terminal(&self) -> bool {
        self.logs.is_human() && self.logs.console().terminal
    }

    /// Keeps log lines back until [`Telemetry::print`], so that what it prints comes first, but no longer than a second.
    pub fn hold(&self) {
        self.lines.hold(HOLD);
    }

    /// Prints `text` in front of the lines that are not written yet.
    pub fn print(&self, text: &str) {
        self.lines.print(text.as_bytes());
    }

    /// Prints `text` after the lines that are not written yet.
    pub fn append(&self, text: &str) {
        self.lines.put(text.as_bytes());
    }

    /// Applies the settings of an accepted generation: log level and format, and export receivers. The [`Observer`] of
    /// each snapshot decides which requests are traced. If this fails, nothing changes.
    pub fn apply(&self, spec: &Spec, folder: &Path) -> Result<(), TelemetryError> {
        self.apply_with(spec, folder, &environment::process)
    }

    fn apply_with(&self, spec: &Spec, folder: &Path, environment: Lookup<'_>) -> Result<(), TelemetryError> {
        let wanted = TelemetryPlan::new(spec, environment).map_err(TelemetryError::CheckContext)?;
        let mut plan = self.plan.lock();
        self.export(&wanted, Some(&plan), folder)?;
        *plan = wanted;
        self.logs.set(&spec.logs, environment("RUST_LOG").as_deref());
        tracing::callsite::rebuild_interest_cache();
        Ok(())
    }

    /// Creates the exporters that are in `plan` but not in `former`, and replaces those. If a receiver is removed, the
    /// former exporter of spans and records stays for requests in progress.
    fn export(
        &self,
        plan: &TelemetryPlan,
        former: Option<&TelemetryPlan>,
        folder: &Path,
    ) -> Result<(), TelemetryError> {
        let mut attributes = vec![("service.instance.id".to_owned(), self.instance.clone())];
        attributes.extend_from_slice(&plan.resource);
        let exporter = |signal| {
            let wanted = plan.receiver(signal).filter(|receiver| {
                let known = former.is_some_and(|former| former.holds(receiver) && former.resource == plan.resource);
                // The certificates may have changed.
                !known || receiver.has_files()
            });
            wanted
                .map(|receiver| Exporter::new(receiver, &attributes, folder))
                .transpose()
                .map_err(TelemetryError::CheckContext)
        };
        let (traces, metrics, logs) = (exporter(Signal::Traces)?, exporter(Signal::Metrics)?, exporter(Signal::Logs)?);
        if let Some(exporter) = traces {
            self.spans.export_with(exporter);
        }
        if let Some(exporter) = logs {
            self.records.queue.export_with(exporter);
        }
        self.push.push_with(metrics, plan.metrics.is_some().then_some(plan.interval));
        self.gate.set(plan.traces.is_some());
        self.records.set(plan.logs.is_some());
        Ok(())
    }

    /// The statistics so far.
    pub fn counters(&self) -> Counters {
        let (traces, metrics, logs) = {
            let plan = self.plan.lock();
            (plan.traces.is_some(), plan.metrics.is_some(), plan.logs.is_some())
        };
        Counters {
            traces: self.spans.exports(traces),
            metrics: self.push.exports(metrics),
            logs: self.records.queue.exports(logs),
            log_lines_dropped: self.lines.dropped(),
        }
    }

    /// Exports what is queued and the metrics once more, then stops exporting, within `within`, and writes the last log lines.
    ///
    /// They do not wait for the drop of this value: a thread that ends later than the process may hold it.
    pub async fn flush_and_stop(&self, within: Duration) {
        self.stop();
        let until = Instant::now() + within;
        let senders = std::mem::take(&mut *self.senders.lock());
        for mut sender in senders {
            if timeout_at(until, &mut sender).await.is_err() {
                sender.abort();
                // It ends at its next await, which is where it is now.
                let _ = sender.await;
            }
        }
        self.spans.abandon();
        self.push.abandon();
        self.records.queue.abandon();
        self.writer.end();
    }

    fn stop(&self) {
        self.spans.stop();
        self.push.stop();
        self.records.queue.stop();
    }
}

/// The metrics of telemetry itself.
fn series(
    spans: &Queue<traces::Finished>,
    push: &Push,
    records: &Queue<LogRecord>,
    lines: Lines,
    floods: logs::Floods,
) -> Vec<Arc<Observed>> {
    let (spans, push, records) = (spans.clone(), push.clone(), records.clone());
    let mut series = vec![exports::lines(move || lines.dropped()), exports::suppressed(move || floods.suppressed())];
    series.extend(exports::observe(Signal::Traces, move || spans.exports(true)));
    series.extend(exports::observe(Signal::Metrics, move || push.exports(true)));
    series.extend(exports::observe(Signal::Logs, move || records.exports(true)));
    series
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        // The exporting tasks end with their owner.
        self.stop();
    }
}

#[cfg(test)]
mod tests;
