//! The source of spans created without the macros of `tracing`: spans of requests, because there are so many, and spans
//! of plugins, which are created after the fact.

use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context as OtelContext, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;
use std::fmt;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Makes the tracer available to the code that creates spans, and turns the log events of a traced request into span
/// events.
pub(in crate::telemetry) struct Tracing(pub SdkTracer);

impl Tracing {
    /// Calls `make` with the tracer of this process, or of this thread in a test.
    pub(super) fn with<T>(make: impl FnOnce(&SdkTracer) -> T) -> Option<T> {
        let mut make = Some(make);
        tracing::dispatcher::get_default(|dispatch| {
            let Self(tracer) = dispatch.downcast_ref()?;
            make.take().map(|make| make(tracer))
        })
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Tracing {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        // The layer of tracing-opentelemetry does this if a span below the request's is current.
        if context.lookup_current().is_some() {
            return;
        }
        OtelContext::map_current(|current| {
            let mut text = EventText { message: String::new(), attributes: Vec::new() };
            event.record(&mut text);
            text.attributes.push(KeyValue::new("level", event.metadata().level().as_str()));
            current.span().add_event(text.message, text.attributes);
        });
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        // Adds nothing to the levels that the other layers require.
        Some(LevelFilter::OFF)
    }
}

/// The text of an event.
struct EventText {
    message: String,
    attributes: Vec<KeyValue>,
}

impl Visit for EventText {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.attributes.push(KeyValue::new(field.name(), format!("{value:?}")));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.attributes.push(KeyValue::new(field.name(), value.to_owned()));
    }
}
