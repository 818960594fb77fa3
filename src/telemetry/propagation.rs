//! Propagates the trace context: reads it from callers, and sends ours to upstreams.

mod b3;
mod w3c;

use super::query::Words;
use super::sampling::random;
use crate::config::document::telemetry::Propagator;
use http::{HeaderMap, HeaderName};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags};
use std::sync::Arc;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

const BAGGAGE: HeaderName = HeaderName::from_static("baggage");

/// A format of the trace context in header fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Codec {
    /// W3C Trace Context.
    Traceparent,
    B3,
    B3Multi,
}

const ALL: [Codec; 3] = [Codec::Traceparent, Codec::B3, Codec::B3Multi];

/// A caller's trace context.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Caller {
    /// Its span. Without valid ids if it sent only its decision.
    pub span: SpanContext,
    /// Whether it decided about sampling. B3 may leave that to us.
    pub decided: bool,
}

/// The formats to read, in order, and to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Codecs {
    read: Arc<[Codec]>,
    baggage: bool,
}

/// The settings that spans below a request's need; carried by the OpenTelemetry context.
#[derive(Debug, Clone)]
pub(super) struct Carried {
    pub codecs: Codecs,
    pub words: Words,
}

impl Codec {
    fn is_in(self, headers: &HeaderMap) -> bool {
        match self {
            Self::Traceparent => headers.contains_key(w3c::TRACEPARENT),
            Self::B3 => headers.contains_key(b3::SINGLE),
            Self::B3Multi => b3::FIELDS.iter().any(|name| headers.contains_key(name)),
        }
    }

    fn read(self, headers: &HeaderMap) -> Option<Caller> {
        match self {
            Self::Traceparent => w3c::read(headers),
            Self::B3 => b3::read(headers),
            Self::B3Multi => b3::read_fields(headers),
        }
    }

    fn write(self, span: &SpanContext, headers: &mut HeaderMap) {
        match self {
            Self::Traceparent => w3c::write(span, headers),
            Self::B3 => b3::write(span, headers),
            Self::B3Multi => b3::write_fields(span, headers),
        }
    }

    /// Marks the trace as not sampled.
    fn unsample(self, headers: &mut HeaderMap) {
        match self.read(headers).filter(|caller| caller.span.is_valid()) {
            Some(Caller { span, .. }) => {
                let ours = SpanId::from_bytes((random() | 1).to_be_bytes());
                let flags = span.trace_flags() & !TraceFlags::SAMPLED;
                let (trace, state) = (span.trace_id(), span.trace_state().clone());
                self.write(&SpanContext::new(trace, ours, flags, true, state), headers);
            }
            // Other servers may be able to parse it.
            None => self.clear(headers),
        }
    }

    fn clear(self, headers: &mut HeaderMap) {
        let names: &[HeaderName] = match self {
            Self::Traceparent => &[w3c::TRACEPARENT, w3c::TRACESTATE],
            Self::B3 => &[b3::SINGLE],
            Self::B3Multi => &b3::FIELDS,
        };
        for name in names {
            headers.remove(name);
        }
    }
}

/// Whether there is any trace context. Most requests have none and pay only for one look at each field name.
fn is_about_traces(headers: &HeaderMap) -> bool {
    let of_traces = |name: &str| name == "traceparent" || name == "b3" || name.starts_with("x-b3-");
    headers.keys().any(|name| of_traces(name.as_str()))
}

impl Codecs {
    pub(super) fn new(propagators: &[Propagator]) -> Self {
        let codec = |propagator: &Propagator| match propagator {
            Propagator::Tracecontext => Some(Codec::Traceparent),
            Propagator::B3 => Some(Codec::B3),
            Propagator::B3Multi => Some(Codec::B3Multi),
            Propagator::Baggage => None,
        };
        let baggage = propagators.contains(&Propagator::Baggage);
        Self { read: propagators.iter().filter_map(codec).collect(), baggage }
    }

    /// Removes `baggage` if it is not forwarded, and untrusted sampling fields in formats that we do not read but
    /// others may. Returns whether an untrusted client sent any trace context.
    pub(super) fn screen(&self, headers: &mut HeaderMap, trusted: bool) -> bool {
        if !self.baggage {
            headers.remove(BAGGAGE);
        }
        if trusted || !is_about_traces(headers) {
            return false;
        }
        for codec in ALL.into_iter().filter(|codec| !self.read.contains(codec)) {
            match codec {
                _ if !codec.is_in(headers) => {}
                Codec::Traceparent => codec.unsample(headers),
                _ => codec.clear(headers),
            }
        }
        true
    }

    /// The caller's trace, in the first format that is present and valid.
    pub(super) fn read(&self, headers: &HeaderMap) -> Option<Caller> {
        self.read.iter().filter(|codec| codec.is_in(headers)).find_map(|codec| codec.read(headers))
    }

    /// Writes `span` as the parent, in every configured format, or as `traceparent` if there is none.
    fn write(&self, span: &SpanContext, headers: &mut HeaderMap) {
        let codecs: &[Codec] = if self.read.is_empty() { &[Codec::Traceparent] } else { &self.read };
        codecs.iter().for_each(|codec| codec.write(span, headers));
    }

    /// Marks an untrusted trace as not sampled for upstreams, whatever it says. They trust us, so otherwise a client
    /// could make them sample everything with one header. Changing the flag makes us the new parent (W3C Trace Context,
    /// section 3.4); the trace keeps its id.
    pub(super) fn unsample(&self, headers: &mut HeaderMap) {
        for codec in &*self.read {
            if codec.is_in(headers) {
                codec.unsample(headers);
            }
        }
    }
}

/// Writes `span` as the parent into the headers of an upstream request, in the formats of `propagators`. Without a
/// span, the headers are forwarded unchanged.
pub fn inject(span: &Span, headers: &mut HeaderMap) {
    if span.is_disabled() {
        return;
    }
    let context = span.context();
    let parent = context.span().span_context().clone();
    match context.get::<Carried>() {
        Some(carried) => carried.codecs.write(&parent, headers),
        None => Codec::Traceparent.write(&parent, headers),
    }
}

#[cfg(test)]
mod tests;
