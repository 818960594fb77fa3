//! Log lines: bounded, escaped, one JSON object or one human-readable line each, never waiting for their reader; and
//! the same events as records for an OTLP receiver.

mod clock;
mod encoder;
mod escape;
mod floods;
mod line;
mod reason;
mod record;
mod short;
mod style;

pub(super) use encoder::Encoder;
pub(super) use floods::Floods;

use short::Short;
use style::Style;

use super::console::Console;
use super::lines::Lines;
use super::queue::{Queue, QueueLimits};
use crate::config::document::telemetry::{LogLevel, Logs};
use arc_swap::ArcSwap;
use opentelemetry::Context as OtelContext;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;
use tracing::dispatcher::WeakDispatch;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};
use tracing_opentelemetry::get_otel_context;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Filter};

/// The target of access log lines.
pub(super) const ACCESS: &str = "gatewright::access";

/// The target of audit records. The general level does not apply to them either: what is missing in an audit log is a
/// hole.
pub(super) const AUDIT: &str = "gatewright::audit";

/// Dependencies that log too much.
const CHATTY: [&str; 10] = [
    "h2",
    "hickory_net",
    "hickory_proto",
    "hickory_resolver",
    "hyper",
    "hyper_util",
    "opentelemetry",
    "opentelemetry_sdk",
    "tonic",
    "tower",
];

/// The one among them that warns about frames sent by clients.
const SILENT: &str = "h2";

/// The log settings that a reload may change.
#[derive(Clone)]
pub(super) struct LiveLogs {
    levels: Arc<ArcSwap<Targets>>,
    human: Arc<AtomicBool>,
    console: Console,
}

impl LiveLogs {
    pub(super) fn new(spec: &Logs, rust_log: Option<&str>, console: Console) -> Self {
        let levels = Arc::new(ArcSwap::from_pointee(levels(spec, rust_log, console)));
        Self { levels, human: Arc::new(AtomicBool::new(console.is_human(spec))), console }
    }

    /// The caller rebuilds tracing's interest cache afterwards.
    pub(super) fn set(&self, spec: &Logs, rust_log: Option<&str>) {
        self.levels.store(Arc::new(levels(spec, rust_log, self.console)));
        self.human.store(self.console.is_human(spec), Relaxed);
    }

    pub(super) const fn console(&self) -> Console {
        self.console
    }

    /// Whether lines are written for people.
    pub(super) fn is_human(&self) -> bool {
        self.human.load(Relaxed)
    }

    fn style(&self) -> Style {
        match self.is_human() {
            true => Style::Human { terminal: self.console.terminal, color: self.console.color },
            false => Style::Json,
        }
    }
}

/// Whether a value of `RUST_LOG` is valid and not empty.
pub(super) fn is_readable(rust_log: &str) -> bool {
    targets(rust_log).is_some()
}

/// Parses `RUST_LOG`. The library treats anything that is not a level as the name of a module.
fn targets(rust_log: &str) -> Option<Targets> {
    let is_module = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-:".contains(&byte));
    rust_log.parse::<Targets>().ok().filter(|targets| targets.iter().all(|(name, _)| is_module(name)))
}

/// `rust_log` wins if it is valid.
fn levels(spec: &Logs, rust_log: Option<&str>, console: Console) -> Targets {
    let has_access = console.access(spec).is_some();
    if let Some((text, targets)) = rust_log.and_then(|text| Some((text, targets(text)?))) {
        let targets = audited(quieten(targets), !text.contains(AUDIT));
        let silent = has_access && !text.contains(ACCESS);
        return if silent { targets.with_target(ACCESS, LevelFilter::INFO) } else { targets };
    }
    let level = match spec.level {
        LogLevel::Trace => LevelFilter::TRACE,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    };
    let targets = audited(quieten(Targets::new().with_default(level)), true);
    // A configured access log is not disabled by the general level.
    if has_access { targets.with_target(ACCESS, level.max(LevelFilter::INFO)) } else { targets }
}

fn audited(targets: Targets, wanted: bool) -> Targets {
    if wanted { targets.with_target(AUDIT, LevelFilter::INFO) } else { targets }
}

/// Limits dependencies to important messages, unless they are named explicitly: a general level is not meant for them.
/// [`SILENT`] is turned off completely.
fn quieten(mut targets: Targets) -> Targets {
    let Some(level) = targets.default_level() else { return targets };
    for name in CHATTY {
        if !targets.iter().any(|(target, _)| is_of(name, target)) {
            let quiet = if name == SILENT { LevelFilter::OFF } else { level.min(LevelFilter::WARN) };
            targets = targets.with_target(name, quiet);
        }
    }
    targets
}

/// Whether `target` is the crate `name` or one of its modules.
fn is_of(name: &str, target: &str) -> bool {
    target.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Decides which events are logged: never spans, which belong to traces. Unlogged warnings of [`SILENT`] are counted
/// here, before they are formatted. For everything else, tracing caches the decision per callsite.
pub(super) struct Levels {
    pub live: LiveLogs,
    pub floods: Floods,
}

impl Levels {
    fn writes(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && self.live.levels.load().would_enable(metadata.target(), metadata.level())
    }
}

fn is_counted(metadata: &Metadata<'_>) -> bool {
    metadata.is_event() && *metadata.level() <= Level::WARN && is_of(SILENT, metadata.target())
}

impl<S: Subscriber> Filter<S> for Levels {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        let writes = self.writes(metadata);
        if !writes && is_counted(metadata) {
            self.floods.count();
        }
        writes
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.writes(metadata) {
            Interest::always()
        } else if is_counted(metadata) {
            Interest::sometimes()
        } else {
            Interest::never()
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let levels = self.live.levels.load();
        levels.iter().map(|(_, level)| level).chain(levels.default_level()).max()
    }
}

/// Exports events as OTLP records while enabled.
#[derive(Clone)]
pub(super) struct Records {
    pub queue: Queue<LogRecord>,
    open: Arc<AtomicBool>,
}

impl Records {
    pub(super) fn new(limits: QueueLimits) -> Self {
        Self { queue: Queue::new(limits), open: Arc::new(AtomicBool::new(false)) }
    }

    pub(super) fn set(&self, open: bool) {
        self.open.store(open, Relaxed);
    }
}

/// Writes events as lines, and exports them as records.
pub(super) struct LogLayer {
    live: LiveLogs,
    lines: Lines,
    records: Records,
    floods: Floods,
    /// Used to look up the trace of the span that contains an event.
    dispatch: std::sync::OnceLock<WeakDispatch>,
}

impl LogLayer {
    pub(super) fn new(live: LiveLogs, lines: Lines, records: Records, floods: Floods) -> Self {
        Self { live, lines, records, floods, dispatch: std::sync::OnceLock::new() }
    }

    fn trace<S: Subscriber>(&self, event: &Event<'_>, context: &Context<'_, S>) -> Option<line::Trace> {
        if event.is_root() {
            return None;
        }
        let current = context.current_span();
        let found = match event.parent().or_else(|| current.id()) {
            Some(id) => get_otel_context(id, &self.dispatch.get()?.upgrade()?)?.span().span_context().clone(),
            // Directly below the request's own span.
            None => OtelContext::map_current(|context| context.span().span_context().clone()),
        };
        found.is_valid().then(|| line::Trace::of(&found))
    }
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        // Only one subscriber holds this layer, so a second call sets the same value.
        let _ = self.dispatch.set(dispatch.downgrade());
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(suppressed) = self.floods.admit(event.metadata(), Instant::now()) else { return };
        let trace = self.trace(event, &context);
        let (level, target) = (*event.metadata().level(), event.metadata().target());
        let write = |line: &mut line::Line<'_>| line.event(event, trace.as_ref(), suppressed);
        line::with(self.live.style(), level, target, write, |line| self.lines.put(line));
        if self.records.open.load(Relaxed) && record::is_sent(event) {
            self.records.queue.push_with(|| record::of_event(event, trace.as_ref(), suppressed));
        }
    }
}

/// One record of the access log.
pub(super) struct Access<'a> {
    pub level: Level,
    /// The trace it belongs to. A line contains it only if that is asked for; an OTLP receiver gets it in any case.
    pub trace: Option<&'a SpanContext>,
    /// Whether the fields are the default ones.
    pub usual: bool,
}

/// Writes a record of the access log with the fields from `encode` to the subscriber of this thread.
pub(super) fn write_access(access: &Access<'_>, encode: impl Fn(&mut dyn Encoder)) {
    tracing::dispatcher::get_default(|dispatch| {
        let Some(log) = dispatch.downcast_ref::<LogLayer>() else { return };
        if !log.live.levels.load().would_enable(ACCESS, &access.level) {
            return;
        }
        let style = log.live.style();
        let write = |line: &mut line::Line<'_>| match style {
            Style::Json => {
                line.text("message", "request");
                encode(line);
            }
            Style::Human { .. } => {
                let mut short = Short::new(access.usual);
                encode(&mut short);
                short.write(line);
            }
        };
        line::with(style, access.level, ACCESS, write, |line| log.lines.put(line));
        if log.records.open.load(Relaxed) {
            let trace = access.trace.map(line::Trace::of);
            let write = |fields: &mut record::Fields| {
                fields.text("message", "request");
                encode(fields);
            };
            log.records.queue.push_with(|| record::with(access.level, ACCESS, trace.as_ref(), write));
        }
    });
}

#[cfg(test)]
mod tests;
