//! What is measured of the export of telemetry itself.

use crate::telemetry::export_stats::Exports;
use crate::telemetry::instruments::{
    EXPORT_DROPPED, EXPORT_DURATION, EXPORT_FAILED, EXPORT_WAITING, EXPORTED, LINES_DROPPED, LINES_SUPPRESSED,
};
use crate::telemetry::signal::Signal;
use gatewright_sdk::metrics::{Histogram, Instrument, Observed, histogram, number, observe as series};
use std::sync::Arc;

/// An instrument, and what it takes of the counts of a signal.
type Part = (&'static Instrument, fn(&Exports) -> u64);

/// Makes series of what `read` says about the export of `signal`; for as long as they are held.
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

/// How long exports of `signal` take.
pub(in crate::telemetry) fn duration(signal: Signal) -> Arc<Histogram> {
    histogram(&EXPORT_DURATION, [("gateway.signal", signal.name().into())])
}

/// Makes a series of the log lines that were dropped.
pub(in crate::telemetry) fn lines(read: impl Fn() -> u64 + Send + Sync + 'static) -> Arc<Observed> {
    series(&LINES_DROPPED, [], move || number(read()))
}

/// Makes a series of the log lines that were held back.
pub(in crate::telemetry) fn suppressed(read: impl Fn() -> u64 + Send + Sync + 'static) -> Arc<Observed> {
    series(&LINES_SUPPRESSED, [], move || number(read()))
}
