//! The ids of traces and spans. The id of a trace is drawn before it is decided whether the trace is sampled, which hangs on it.

use super::sampling::random;
use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::IdGenerator;
use std::cell::Cell;

thread_local! {
    static NEXT: Cell<Option<TraceId>> = const { Cell::new(None) };
}

/// Sixteen random bytes that are a valid id.
pub(super) fn draw() -> TraceId {
    TraceId::from((u128::from(random()) << 64) | u128::from(random() | 1))
}

/// Runs `make`; a trace that begins in it has the id `trace`.
pub(super) fn with<T>(trace: TraceId, make: impl FnOnce() -> T) -> T {
    NEXT.set(Some(trace));
    let made = make();
    NEXT.set(None);
    made
}

/// Gives the SDK its ids.
#[derive(Debug)]
pub(super) struct Ids;

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        NEXT.take().unwrap_or_else(draw)
    }

    fn new_span_id(&self) -> SpanId {
        SpanId::from(random() | 1)
    }
}
