//! Spans of plugins, created from the timings of a request once its response is ready.

use super::decision::{Decision, Outcome};
use super::plugin_timings::{PluginLabel, PluginTiming, PluginTimings};
use super::tracer::Tracing;
use crate::config::document::telemetry::PluginSpans;
use opentelemetry::trace::{Span as _, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// A plugin whose own time is at least this is slow and gets a span.
const SLOW: Duration = Duration::from_millis(10);

/// The response phase of a plugin is reported if it takes at least this.
const NOTABLE: Duration = Duration::from_millis(1);

/// The work of a plugin for one request.
struct SpanPart<'a> {
    label: &'a PluginLabel,
    start: Instant,
    /// When the request moved on, or the response was made.
    end: Instant,
    /// The time between the inner response and its own.
    response: Duration,
}

/// Creates the spans of plugins, as children of `parent`.
pub(super) fn report(timings: &PluginTimings, wanted: PluginSpans, decision: Option<&Decision>, parent: &Context) {
    let (now, today) = (Instant::now(), SystemTime::now());
    let time = |at: Instant| today - now.saturating_duration_since(at);
    for (index, timing) in timings.0.iter().enumerate() {
        let Some(label) = &timing.label else { continue };
        let inner = timings.0.get(index + 1..).unwrap_or_default();
        let decided = decision.filter(|decision| decision.plugin.as_ref() == Some(&label.place));
        let part = part(timing, label, inner, decided.is_some(), now);
        let own = part.end.saturating_duration_since(part.start) + part.response;
        if wanted != PluginSpans::Always && decided.is_none() && own < SLOW {
            continue;
        }
        let (start, end) = (time(part.start), time(part.end));
        Tracing::with(|tracer| make(tracer, &part, (start, end), decided, parent));
    }
}

fn part<'a>(
    timing: &PluginTiming,
    label: &'a Arc<PluginLabel>,
    inner: &[PluginTiming],
    decided: bool,
    now: Instant,
) -> SpanPart<'a> {
    let left = timing.left.unwrap_or(now);
    // The next inner service was reached after it, unless the request got no further.
    let passed = inner.first().map(|next| next.entered).filter(|entered| *entered <= left);
    // It may have called the inner service more than once; calls after it had responded do not count.
    let back = inner.iter().filter_map(|timing| timing.left).filter(|back| *back <= left).max();
    let response = back.zip(timing.left).map_or(Duration::ZERO, |(back, left)| left.saturating_duration_since(back));
    let end = if decided { left } else { passed.unwrap_or(left) };
    SpanPart { label, start: timing.entered, end, response: if decided { Duration::ZERO } else { response } }
}

fn make(
    tracer: &SdkTracer,
    part: &SpanPart<'_>,
    (start, end): (SystemTime, SystemTime),
    decided: Option<&Decision>,
    parent: &Context,
) {
    let outcome = decided.map_or(Outcome::Passed, |decision| decision.outcome);
    let mut attributes = Vec::with_capacity(5);
    attributes.push(KeyValue::new("gateway.plugin", Arc::clone(&part.label.place)));
    attributes.push(KeyValue::new("gateway.plugin.type", Arc::clone(&part.label.kind)));
    attributes.push(KeyValue::new("gateway.outcome", outcome.as_str()));
    if let Some(reason) = decided.and_then(|decision| decision.reason.clone()) {
        attributes.push(KeyValue::new("gateway.reason", reason));
    }
    if part.response >= NOTABLE {
        attributes.push(KeyValue::new("gateway.plugin.response_ms", part.response.as_secs_f64() * 1000.0));
    }
    let builder = tracer.span_builder(part.label.span.to_string()).with_start_time(start).with_attributes(attributes);
    tracer.build_with_context(builder, parent).end_with_timestamp(end);
}

#[cfg(test)]
mod tests;
