//! The trace context on its way out: what an upstream is told about the trace it works for.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::{Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, TraceContextExt};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Writes `span` as the parent into the headers of a request to an upstream (W3C Trace Context). Without a span the
/// headers stay as they are: an untraced gateway hands on what it got.
pub fn inject(span: &Span, headers: &mut HeaderMap) {
    if !span.is_disabled() {
        TraceContextPropagator::new().inject_context(&span.context(), &mut Headers(headers));
    }
}

/// Writes `parent` into the headers of a request, as it is.
pub(super) fn inject_parent(parent: SpanContext, headers: &mut HeaderMap) {
    let context = Context::new().with_remote_span_context(parent);
    TraceContextPropagator::new().inject_context(&context, &mut Headers(headers));
}

struct Headers<'a>(&'a mut HeaderMap);

impl Injector for Headers<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (key.parse::<HeaderName>(), HeaderValue::try_from(value)) {
            // An empty `tracestate` says nothing, and some servers refuse an empty field.
            if value.is_empty() {
                self.0.remove(name);
            } else {
                self.0.insert(name, value);
            }
        }
    }
}
