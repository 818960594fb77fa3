//! Metrics: recording takes a few nanoseconds, and values are read at each scrape.
//!
//! An [`Instrument`] describes a metric; a series is one instrument with one set of attributes. The measuring code
//! holds the series. A new snapshot gets the same series while the old snapshot still holds it, and continues to count.
//! If an edit removes a route, plugin or upstream, its series end with the last snapshot that contained it.

mod cells;
mod registry;

pub use cells::{Counter, Exemplar, Histogram, Level, Observed};
pub use registry::{Distribution, Family, Meters, OVERFLOW, Point, Reading};

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

/// A metric, defined once for code and documentation.
#[derive(Debug)]
pub struct Instrument {
    /// The name from the OpenTelemetry semantic conventions if there is one: `http.server.request.duration`.
    pub name: &'static str,
    pub measure: Measure,
    /// UCUM, as in OpenTelemetry: `s`, `By`, `1`, `{request}`.
    pub unit: &'static str,
    /// One sentence without a full stop.
    pub help: &'static str,
    /// The attributes its series may have.
    pub attributes: &'static [&'static str],
}

/// The kind of an instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Only increases.
    Counter,
    /// Increases and decreases; can be summed over processes.
    UpDownCounter,
    /// A current value, which cannot be summed.
    Gauge,
    Histogram(Buckets),
}

/// The upper bounds of a histogram's buckets, inclusive, in recorded steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buckets {
    /// At most [`Buckets::MOST`], in ascending order.
    pub bounds: &'static [u64],
    /// The number of steps in one unit of the instrument.
    pub steps: u64,
}

impl Buckets {
    /// The maximum number of bounds of a histogram.
    pub const MOST: usize = 15;

    /// Durations: recorded in nanoseconds, reported in seconds, with the bounds recommended by the semantic
    /// conventions.
    pub const DURATION: Self = {
        const MS: u64 = 1_000_000;
        let bounds = &[
            5 * MS,
            10 * MS,
            25 * MS,
            50 * MS,
            75 * MS,
            100 * MS,
            250 * MS,
            500 * MS,
            750 * MS,
            1_000 * MS,
            2_500 * MS,
            5_000 * MS,
            7_500 * MS,
            10_000 * MS,
        ];
        Self { bounds, steps: 1_000_000_000 }
    };

    /// Durations of work that takes a few milliseconds.
    pub const SHORT_DURATION: Self = {
        const US: u64 = 1_000;
        let bounds = &[
            20 * US,
            50 * US,
            100 * US,
            250 * US,
            500 * US,
            1_000 * US,
            2_500 * US,
            5_000 * US,
            10_000 * US,
            50_000 * US,
            100_000 * US,
            500_000 * US,
            1_000_000 * US,
            5_000_000 * US,
            10_000_000 * US,
        ];
        Self { bounds, steps: 1_000_000_000 }
    };

    /// Sizes in bytes. Few bounds, because each adds a series for every route, method and status.
    pub const SIZE: Self = {
        let bounds = &[256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 16 << 20];
        Self { bounds, steps: 1 }
    };
}

/// One attribute of a series. Its values come from a bounded set: never a path, an address or anything else that a
/// client can choose.
pub type Attribute = (&'static str, Value);

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Value {
    Text(Cow<'static, str>),
    Integer(i64),
    Flag(bool),
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Integer(number.into())
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Integer(number) => number.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
        }
    }
}

static METERS: LazyLock<Meters> = LazyLock::new(Meters::default);

/// All series of this process.
pub fn meters() -> &'static Meters {
    &METERS
}

/// The counter of `instrument` with these attributes: the existing one if held, or a new one.
pub fn counter(instrument: &'static Instrument, attributes: impl Into<Vec<Attribute>>) -> Arc<Counter> {
    METERS.counter(instrument, attributes.into())
}

/// The level of `instrument` with these attributes: the existing one if held, or a new one.
pub fn level(instrument: &'static Instrument, attributes: impl Into<Vec<Attribute>>) -> Arc<Level> {
    METERS.level(instrument, attributes.into())
}

/// The histogram of `instrument` with these attributes: the existing one if held, or a new one.
pub fn histogram(instrument: &'static Instrument, attributes: impl Into<Vec<Attribute>>) -> Arc<Histogram> {
    METERS.histogram(instrument, attributes.into())
}

/// A series whose value is obtained from `read` at each scrape, while the returned value is held. It replaces an
/// existing series with the same attributes.
pub fn observe(
    instrument: &'static Instrument,
    attributes: impl Into<Vec<Attribute>>,
    read: impl Fn() -> f64 + Send + Sync + 'static,
) -> Arc<Observed> {
    METERS.observe(instrument, attributes.into(), read)
}

/// Converts a count to the value of an observed series.
#[expect(clippy::cast_precision_loss, reason = "beyond 2^53 the last digits do not matter")]
pub fn number(count: impl TryInto<u64>) -> f64 {
    count.try_into().unwrap_or(u64::MAX) as f64
}

#[cfg(test)]
mod tests;
