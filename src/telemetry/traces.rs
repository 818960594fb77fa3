//! Spans: which are created, how they are sampled, and where they are sent.

use super::exporter::scope;
use super::ids::Ids;
use super::queue::{Item, Queue};
use super::signal::Signal;
use opentelemetry::trace::{Link, SpanKind, TraceContextExt, TraceId, TracerProvider};
use opentelemetry::{Context as OtelContext, KeyValue};
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::{resource::v1 as proto, trace::v1 as proto_trace};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    SamplingDecision, SamplingResult, SdkTracer, SdkTracerProvider, ShouldSample, Span, SpanData, SpanProcessor,
};
use prost::Message as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter, Layer};
use tracing_subscriber::registry::LookupSpan;

/// Decides which spans are created: only our own, and none while nothing is exported. Otherwise spans of the exporter's
/// own HTTP client would be exported in turn.
///
/// A span is created only below a request's span, or below another such span, so that work for an unsampled request
/// costs nothing. On a blocking thread, enter a span of the request first.
#[derive(Clone, Default)]
pub(super) struct TraceGate(Arc<AtomicBool>);

impl TraceGate {
    /// The caller must rebuild tracing's interest cache afterwards.
    pub(super) fn set(&self, open: bool) {
        self.0.store(open, Relaxed);
    }

    fn passes<S>(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        self.may_pass(metadata) && (context.lookup_current().is_some() || is_traced())
    }

    fn may_pass(&self, metadata: &Metadata<'_>) -> bool {
        self.0.load(Relaxed)
            && *metadata.level() <= Level::INFO
            && metadata.target().starts_with("gatewright")
            && metadata.target() != super::logs::ACCESS
    }
}

/// Whether the current request on this thread is traced.
pub fn is_traced() -> bool {
    OtelContext::map_current(|context| context.span().span_context().is_sampled())
}

/// In front of the span layer: decides which spans and events become part of a trace.
impl<S: Subscriber + for<'a> LookupSpan<'a>> Filter<S> for TraceGate {
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        self.passes(metadata, context)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.may_pass(metadata) { Interest::sometimes() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(if self.0.load(Relaxed) { LevelFilter::INFO } else { LevelFilter::OFF })
    }
}

/// In front of everything, so that a span that no layer wants is not created at all. With per-layer filters alone, the
/// registry would still store it.
impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for TraceGate {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        match (metadata.is_span(), self.may_pass(metadata)) {
            (false, _) => Interest::always(),
            (true, true) => Interest::sometimes(),
            (true, false) => Interest::never(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, context: Context<'_, S>) -> bool {
        !metadata.is_span() || self.passes(metadata, &context)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        // Adds nothing to the levels that the other layers require.
        Some(LevelFilter::OFF)
    }
}

/// The sampler of the SDK. The decision was made before the span was created: a request's span and its descendants are
/// sampled, everything else is not.
#[derive(Debug, Clone)]
struct Decided;

impl ShouldSample for Decided {
    fn should_sample(
        &self,
        parent: Option<&OtelContext>,
        _: TraceId,
        _: &str,
        kind: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let parent = parent.map(|parent| parent.span().span_context().clone()).filter(|parent| parent.is_valid());
        let sampled = parent.as_ref().map_or(*kind == SpanKind::Server, opentelemetry::trace::SpanContext::is_sampled);
        SamplingResult {
            decision: if sampled { SamplingDecision::RecordAndSample } else { SamplingDecision::Drop },
            attributes: Vec::new(),
            trace_state: parent.map(|parent| parent.trace_state().clone()).unwrap_or_default(),
        }
    }
}

/// Creates spans; finished ones go to `queue`.
pub(super) fn tracer(queue: Queue<Finished>) -> SdkTracer {
    let provider = SdkTracerProvider::builder()
        .with_sampler(Decided)
        .with_id_generator(Ids)
        .with_span_processor(queue)
        // The exporter adds the resource, so that a reload can change it.
        .with_resource(Resource::builder_empty().build());
    provider.build().tracer("gatewright")
}

/// A finished span, encoded. It is encoded where it ends: allocating two dozen short texts on one thread and freeing
/// them on another costs more than the span.
pub(super) struct Finished(Vec<u8>);

/// An `ExportTraceServiceRequest` whose spans are already encoded; the bytes are the same.
#[derive(Clone, PartialEq, prost::Message)]
struct Request {
    #[prost(message, repeated, tag = "1")]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<proto::Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ScopeSpans {
    #[prost(message, optional, tag = "1")]
    scope: Option<InstrumentationScope>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    spans: Vec<Vec<u8>>,
}

impl Item for Finished {
    const SIGNAL: Signal = Signal::Traces;

    fn weight(&self) -> usize {
        self.0.len()
    }

    fn request(items: Vec<Self>, resource: proto::Resource) -> Vec<u8> {
        let spans = items.into_iter().map(|Self(span)| span).collect();
        let scope_spans = vec![ScopeSpans { scope: Some(scope()), spans }];
        Request { resource_spans: vec![ResourceSpans { resource: Some(resource), scope_spans }] }.encode_to_vec()
    }
}

impl SpanProcessor for Queue<Finished> {
    fn on_start(&self, _: &mut Span, _: &OtelContext) {}

    fn on_end(&self, span: SpanData) {
        self.push_with(|| Finished(proto_trace::Span::from(span).encode_to_vec()));
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        self.stop();
        Ok(())
    }
}
