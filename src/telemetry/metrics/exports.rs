//! Metrics about the export of telemetry.

use crate::telemetry::export_stats::Exports;
use crate::telemetry::instruments::{
    EXPORT_DROPPED, EXPORT_DURATION, EXPORT_FAILED, EXPORT_WAITING, EXPORTED, LINES_DROPPED, LINES_SUPPRESSED,
};
use crate::telemetry::signal::Signal;
use gatewright_sdk::metrics::{Histogram, Instrument, Observed, histogram, number, observe as series};
use std::sync::Arc;

/// An instrument, and the count it reports.
type Part = (&'static Instrument, fn(&Exports) -> u64);

/// Series for the export statistics of `signal` returned by `read`, while they are held.
pub(in crate::telemetry) fn observe(
    signal: Signal,
    read: impl Fn() -> Exports + Clone + Send + Sync + 'static,
) -> impl Iterator<Item = Arc<Observed>> {
    let all: [Part; 4] = [
        (&EXPORTED, |exports| exports.exported),
        (&EXPORT_FAILED, |exports| exports.failed),
        (&EXPORT_DROPPED, |exports| exports.dropped),
        (&EXPORT_WAITING, |exports| exports.waiting),
    ];
    all.into_iter().map(move |(instrument, of)| {
        let read = read.clone();
        series(instrument, [("gateway.signal", signal.name().into())], move || number(of(&read())))
    })
}

/// The duration of exports of `signal`.
pub(in crate::telemetry) fn duration(signal: Signal) -> Arc<Histogram> {
    histogram(&EXPORT_DURATION, [("gateway.signal", signal.name().into())])
}

/// A series for the log lines that were dropped.
pub(in crate::telemetry) fn lines(read: impl Fn() -> u64 + Send + Sync + 'static) -> Arc<Observed> {
    series(&LINES_DROPPED, [], move || number(read()))
}

/// A series for the log lines that were suppressed.
pub(in crate::telemetry) fn suppressed(read: impl Fn() -> u64 + Send + Sync + 'static) -> Arc<Observed> {
    series(&LINES_SUPPRESSED, [], move || number(read()))
}
