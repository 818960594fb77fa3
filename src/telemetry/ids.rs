//! Trace and span ids. A trace id is drawn before the sampling decision, which depends on it.

use super::sampling::random;
use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::IdGenerator;
use std::cell::Cell;

thread_local! {
    static NEXT: Cell<Option<TraceId>> = const { Cell::new(None) };
}

/// Draws a valid random trace id.
pub(super) fn draw() -> TraceId {
    TraceId::from((u128::from(random()) << 64) | u128::from(random() | 1))
}

/// Runs `make`; a trace that starts in it gets the id `trace`.
pub(super) fn with<T>(trace: TraceId, make: impl FnOnce() -> T) -> T {
    NEXT.set(Some(trace));
    let made = make();
    NEXT.set(None);
    made
}

/// The id generator of the SDK.
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
