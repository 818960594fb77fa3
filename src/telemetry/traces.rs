//! Spans: which are made, who samples them, where they go.

use super::environment::{Plan, Target};
use super::queue::{Exporter, Queue};
use crate::config::document::telemetry::OtlpProtocol;
use http::HeaderValue;
use opentelemetry::trace::{Link, SpanKind, TraceContextExt, TraceId, TracerProvider};
use opentelemetry::{Context as OtelContext, KeyValue};
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_otlp::{
    ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig, tonic_types,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    SamplingDecision, SamplingResult, SdkTracer, SdkTracerProvider, ShouldSample, SpanExporter as _,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter, Layer};
use tracing_subscriber::registry::LookupSpan;

/// Which spans are made: our own only, and none while nothing is exported. Spans of the exporter's own HTTP client
/// would otherwise be exported in turn.
///
/// A span is made only below a request's, or below another one that is, so that work for an unsampled request costs
/// nothing: on a blocking thread, enter a span of the request first.
#[derive(Clone, Default)]
pub(super) struct Gate(Arc<AtomicBool>);

impl Gate {
    /// The caller rebuilds tracing's interest cache afterwards.
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

/// Whether the request that is being answered on this thread is traced.
pub(super) fn is_traced() -> bool {
    OtelContext::map_current(|context| context.span().span_context().is_sampled())
}

/// In front of the span layer: which spans and events become part of a trace.
impl<S: Subscriber + for<'a> LookupSpan<'a>> Filter<S> for Gate {
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

/// In front of everything: a span that no layer wants is not made at all. With filters of single layers alone, the
/// registry would still keep it.
impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Gate {
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
        // No more than the layers below ask for.
        Some(LevelFilter::OFF)
    }
}

/// The sampler of the SDK. The decision was taken before the span was made, so a request's span is sampled, what is
/// below it too, and everything else is not.
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

/// What makes spans; finished ones go to `queue`.
pub(super) fn tracer(queue: Queue) -> SdkTracer {
    let provider = SdkTracerProvider::builder()
        .with_sampler(Decided)
        .with_span_processor(queue)
        // The exporter carries the resource, so that a reload can change it.
        .with_resource(Resource::builder_empty().build());
    provider.build().tracer("gatewright")
}

/// Builds the exporter of a plan. It connects when it first sends. Must run inside a Tokio runtime.
pub(super) fn exporter(plan: &Plan, target: &Target) -> Result<Exporter, ExporterBuildError> {
    let mut sender = match target.protocol {
        OtlpProtocol::Grpc => {
            let headers =
                target.headers.iter().filter_map(|(name, value)| Some((name.clone(), sensitive(value.expose())?)));
            let builder =
                SpanExporter::builder().with_tonic().with_endpoint(&target.endpoint).with_timeout(target.timeout);
            let metadata = tonic_types::metadata::MetadataMap::from_headers(headers.collect());
            builder.with_metadata(metadata).build()?
        }
        OtlpProtocol::HttpProtobuf => {
            let headers = target.headers.iter().map(|(name, value)| (name.to_string(), value.expose().to_owned()));
            let builder =
                SpanExporter::builder().with_http().with_endpoint(&target.endpoint).with_timeout(target.timeout);
            builder
                .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
                .with_headers(headers.collect::<HashMap<_, _>>())
                .with_http_client(HyperClient::with_default_connector(target.timeout, None))
                .build()?
        }
    };
    let attributes = plan.resource.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
    sender.set_resource(&Resource::builder_empty().with_attributes(attributes).build());
    Ok(Exporter { sender, timeout: target.timeout })
}

fn sensitive(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}
