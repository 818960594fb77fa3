//! The trace context on its way in and out: who a caller says its span is, and what an upstream is told of ours.

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

/// A form in which a trace context stands in header fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Codec {
    /// W3C Trace Context.
    Traceparent,
    B3,
    B3Multi,
}

const ALL: [Codec; 3] = [Codec::Traceparent, Codec::B3, Codec::B3Multi];

/// What a caller says of its trace.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Caller {
    /// Its span. Without valid ids where it gave only its decision.
    pub span: SpanContext,
    /// Whether it has decided if the trace is sampled. B3 may leave that to us.
    pub decided: bool,
}

/// The forms that are read, in order, and written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Codecs {
    read: Arc<[Codec]>,
    baggage: bool,
}

/// What the spans below a request's need of its settings; it travels with the OpenTelemetry context.
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

    /// Says that the trace is not sampled.
    fn unsample(self, headers: &mut HeaderMap) {
        match self.read(headers).filter(|caller| caller.span.is_valid()) {
            Some(Caller { span, .. }) => {
                let ours = SpanId::from_bytes((random() | 1).to_be_bytes());
                let flags = span.trace_flags() & !TraceFlags::SAMPLED;
                let (trace, state) = (span.trace_id(), span.trace_state().clone());
                self.write(&SpanContext::new(trace, ours, flags, true, state), headers);
            }
            // Others may read more into it than we can.
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

/// Whether there is anything to look at. Most requests carry no trace: they pay for one look at the name of each field.
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

    /// Takes `baggage` out of a request where it is not handed on, and what a stranger says about sampling in forms that
    /// we do not read but others may. Says whether a stranger wants something with a trace.
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

    /// The caller's trace, by the first form that is there and can be read.
    pub(super) fn read(&self, headers: &HeaderMap) -> Option<Caller> {
        self.read.iter().filter(|codec| codec.is_in(headers)).find_map(|codec| codec.read(headers))
    }

    /// Writes `span` as the parent, in every form that is read; as `traceparent` where none is.
    fn write(&self, span: &SpanContext, headers: &mut HeaderMap) {
        let codecs: &[Codec] = if self.read.is_empty() { &[Codec::Traceparent] } else { &self.read };
        codecs.iter().for_each(|codec| codec.write(span, headers));
    }

    /// Tells upstreams that a stranger's trace is not sampled, whatever it says: they trust us, and sampling all they do
    /// would be one header away. Who changes the flag is the new parent (W3C Trace Context, section 3.4); the trace
    /// keeps its id.
    pub(super) fn unsample(&self, headers: &mut HeaderMap) {
        for codec in &*self.read {
            if codec.is_in(headers) {
                codec.unsample(headers);
            }
        }
    }
}

/// Writes `span` as the parent into the headers of a request to an upstream, in the forms of `propagators`. Without a
/// span the headers stay as they are: an untraced gateway hands on what it got.
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
