//! Telemetry of the process: traces over OTLP, log lines, and the access log.

mod environment;
pub mod instruments;
mod logs;
pub mod metrics;
mod observe;
pub mod panics;
pub mod propagation;
mod queue;
pub mod reference;
mod sampling;
mod traces;

pub use observe::{
    METHOD_NAMES, Observation, Observer, PluginLabel, RouteLabel, describe_url, method, method_index, probe,
};

use crate::config::document::telemetry::Telemetry as Spec;
use environment::{Lookup, Plan};
use gatewright_sdk::Fault;
use queue::{Limits, Queue};
use serde::Serialize;
use std::io::{BufWriter, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tracing::Dispatch;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::layer::{Layer, SubscriberExt};

/// Log lines that wait for whoever reads standard output; what comes on top is dropped and counted.
const WAITING_LINES: usize = 8_192;

/// Bytes of lines that are written at once. With no line left to write, what there is goes out at once.
const AT_ONCE: usize = 64 * 1024;

/// Why telemetry could not start or change.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting, relative to `telemetry`.
    #[error("telemetry.{0}")]
    Setting(Fault),
    #[error("the exporter of traces cannot be built: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    #[error("another subscriber receives the events of this process")]
    Installed,
    #[error("telemetry needs a Tokio runtime to start in")]
    Runtime(#[from] tokio::runtime::TryCurrentError),
}

/// What is wrong with the settings and the `OTEL_*` variables together; paths are relative to `telemetry`.
pub fn check(spec: &Spec) -> Result<(), Fault> {
    Plan::new(spec, &environment::process).map(drop)
}

/// Whether requests are measured: somebody reads metrics, or they are sent somewhere.
pub fn measures(spec: &Spec) -> bool {
    spec.metrics.is_some() || environment::process("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT").is_some()
}

/// What became of telemetry itself since the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Whether spans are sent anywhere, and whether the last export failed.
    pub traces: Export,
    pub spans_exported: u64,
    /// Spans of exports that failed.
    pub spans_failed: u64,
    /// Spans that found the queue full.
    pub spans_dropped: u64,
    /// Log lines that nobody took in time.
    pub log_lines_dropped: u64,
}

/// The state of the export of spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Export {
    Off,
    Working,
    Failing,
}

/// The process's telemetry: made once at the start, told of every accepted generation.
pub struct Telemetry {
    /// Where exports run, whoever applies a change.
    runtime: Handle,
    gate: traces::Gate,
    logs: logs::Live,
    queue: Queue,
    sender: Mutex<Option<JoinHandle<()>>>,
    plan: Mutex<Plan>,
    lines: ErrorCounter,
    /// Writes out the last lines when it is dropped.
    _writer: WorkerGuard,
}

impl Telemetry {
    /// Starts telemetry and makes it the receiver of every event and span of the process. Exports run on the Tokio
    /// runtime this is called in.
    pub fn start(spec: &Spec) -> Result<Self, Error> {
        let (telemetry, dispatch) = Self::build(spec, &environment::process, std::io::stdout())?;
        tracing::dispatcher::set_global_default(dispatch).map_err(|_| Error::Installed)?;
        // For callsites that other threads met in between.
        tracing::callsite::rebuild_interest_cache();
        if environment::process("RUST_LOG").is_some_and(|text| !logs::is_readable(&text)) {
            tracing::warn!(target: "gatewright::telemetry", "RUST_LOG cannot be read; write target=level pairs with commas");
        }
        Ok(telemetry)
    }

    /// Telemetry that writes its lines to `output`, and the subscriber that feeds it.
    fn build(
        spec: &Spec,
        environment: Lookup<'_>,
        output: impl Write + Send + 'static,
    ) -> Result<(Self, Dispatch), Error> {
        let runtime = Handle::try_current()?;
        let plan = Plan::new(spec, environment).map_err(Error::Setting)?;
        let (writer, guard) = NonBlockingBuilder::default()
            .lossy(true)
            .buffered_lines_limit(WAITING_LINES)
            .thread_name("gatewright-log")
            .finish(BufWriter::with_capacity(AT_ONCE, output));
        let (gate, queue) = (traces::Gate::default(), Queue::new(Limits::new(environment)));
        let logs = logs::Live::new(&spec.logs, environment("RUST_LOG").as_deref());
        let tracer = traces::tracer(queue.clone());
        let spans = tracing_opentelemetry::layer()
            .with_tracer(tracer.clone())
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_context_activation(false);
        let lines = writer.error_counter();
        let layer = logs::LogLayer::new(logs.clone(), writer).with_filter(logs::Levels(logs.clone()));
        let sender = runtime.spawn(queue.clone().run());
        let telemetry = Self {
            runtime,
            gate: gate.clone(),
            logs,
            queue,
            sender: Mutex::new(Some(sender)),
            plan: Mutex::new(plan.clone()),
            lines,
            _writer: guard,
        };
        // Before the subscriber is registered, which is when it is asked what it wants to see.
        telemetry.export(&plan)?;
        let subscriber = tracing_subscriber::registry().with(spans.with_filter(gate.clone()));
        Ok((
            telemetry,
            Dispatch::new(subscriber.with(layer).with(observe::Tracing(tracer).with_filter(gate.clone())).with(gate)),
        ))
    }

    /// Takes over the settings of an accepted generation: log level and form, and where spans go. Which requests are
    /// traced is up to the [`Observer`] of each snapshot. Nothing changes when this fails.
    pub fn apply(&self, spec: &Spec) -> Result<(), Error> {
        self.apply_with(spec, &environment::process)
    }

    fn apply_with(&self, spec: &Spec, environment: Lookup<'_>) -> Result<(), Error> {
        let wanted = Plan::new(spec, environment).map_err(Error::Setting)?;
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let moved = plan.target != wanted.target || plan.resource != wanted.resource;
        if moved {
            self.export(&wanted)?;
        }
        *plan = wanted;
        self.logs.set(&spec.logs, environment("RUST_LOG").as_deref());
        tracing::callsite::rebuild_interest_cache();
        Ok(())
    }

    /// Without a target the former exporter stays, for spans of requests that are still being answered.
    fn export(&self, plan: &Plan) -> Result<(), Error> {
        if let Some(target) = &plan.target {
            let _entered = self.runtime.enter();
            self.queue.export_with(traces::exporter(plan, target)?);
        }
        self.gate.set(plan.target.is_some());
        Ok(())
    }

    /// What became of telemetry so far.
    pub fn counters(&self) -> Counters {
        let counts = self.queue.counts();
        let exported = self.plan.lock().unwrap_or_else(PoisonError::into_inner).target.is_some();
        let traces = match (exported, counts.failing) {
            (false, _) => Export::Off,
            (true, false) => Export::Working,
            (true, true) => Export::Failing,
        };
        Counters {
            traces,
            spans_exported: counts.exported,
            spans_failed: counts.failed,
            spans_dropped: counts.dropped,
            log_lines_dropped: u64::try_from(self.lines.dropped_lines()).unwrap_or(u64::MAX),
        }
    }

    /// Sends the spans that wait and ends the export, within `within` at most. Log lines are written out when this
    /// value is dropped.
    pub async fn flush_and_stop(&self, within: Duration) {
        self.queue.stop();
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut sender) = sender
            && tokio::time::timeout(within, &mut sender).await.is_err()
        {
            sender.abort();
            // It ends at its next pause, which is where it is.
            let _ = sender.await;
            self.queue.abandon();
        }
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        // The task that sends spans ends with its owner.
        self.queue.stop();
    }
}

#[cfg(test)]
mod tests;
