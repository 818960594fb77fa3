//! Measurements: a few nanoseconds to take, read at each scrape.
//!
//! An [`Instrument`] says what is measured; a series is one instrument with one set of attributes. The code that measures holds
//! the series: a new snapshot asks for the same one while the old still holds it and goes on counting, and the series of a
//! route, a plugin or an upstream that an edit removed ends with the last snapshot that had it.

mod cells;
mod registry;

pub use cells::{Counter, Exemplar, Histogram, Level, Observed};
pub use registry::{Distribution, Family, Meters, OVERFLOW, Point, Reading};

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

/// What is measured: once in the code, once in the documentation.
#[derive(Debug)]
pub struct Instrument {
    /// A name of the semantic conventions of OpenTelemetry where there is one: `http.server.request.duration`.
    pub name: &'static str,
    pub measure: Measure,
    /// UCUM, as OpenTelemetry wants it: `s`, `By`, `1`, `{request}`.
    pub unit: &'static str,
    /// One sentence without a full stop.
    pub help: &'static str,
    /// The attributes its series may have.
    pub attributes: &'static [&'static str],
}

/// How an instrument adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Only rises.
    Counter,
    /// Rises and falls, and adds up over processes.
    UpDownCounter,
    /// A state of the moment, which does not add up.
    Gauge,
    Histogram(Buckets),
}

/// The upper bounds of a histogram's buckets, each included, in the steps that are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buckets {
    /// At most [`Buckets::MOST`], rising.
    pub bounds: &'static [u64],
    /// How many steps make one of the instrument's unit.
    pub steps: u64,
}

impl Buckets {
    /// The most bounds a histogram can have.
    pub const MOST: usize = 15;

    /// Durations: recorded in nanoseconds, told in seconds, with the bounds that the semantic conventions advise.
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

    /// Short durations, of work that ends within milliseconds.
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

    /// Sizes in bytes. Few bounds: each is a series of every route, method and status.
    pub const SIZE: Self = {
        let bounds = &[256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 16 << 20];
        Self { bounds, steps: 1 }
    };
}

/// One attribute of a series. Its values come from a bounded set: never a path, an address or anything else that a client
/// makes up.
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

/// The counter of `instrument` with these attributes: the one that is held already, or a new one.
pub fn counter(instrument: &'static Instrument, attributes: impl Into<Vec<Attribute>>) -> Arc<Counter> {
    METERS.counter(instrument, attributes.into())
}

/// The level of `instrument` with these attributes: the one that is held already, or a new one.
pub fn level(instrument: &'static Instrument, attributes: impl Into<Vec<Attribute>>) -> Arc<Level> {
    METERS.level(instrument, attributes.into())
}

/// The histogram of `instrument` with these attributes: the one that is held already, or a new one.
pub fn histogram(instrument: &'static Instrument, attributes: impl Into<Vec<Attribute>>) -> Arc<Histogram> {
    METERS.histogram(instrument, attributes.into())
}

/// A series whose value is asked of `read` at each scrape, for as long as the answer is held. Where there is
/// one with these attributes already, this one takes its place.
pub fn observe(
    instrument: &'static Instrument,
    attributes: impl Into<Vec<Attribute>>,
    read: impl Fn() -> f64 + Send + Sync + 'static,
) -> Arc<Observed> {
    METERS.observe(instrument, attributes.into(), read)
}

/// A count as the reading of an observed series.
#[expect(clippy::cast_precision_loss, reason = "beyond 2^53 the last digits do not matter")]
pub fn number(count: impl TryInto<u64>) -> f64 {
    count.try_into().unwrap_or(u64::MAX) as f64
}

#[cfg(test)]
mod tests;
