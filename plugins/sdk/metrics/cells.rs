//! Stores measurements in cells that threads do not share, so that none waits for another.

use super::{Buckets, Distribution, Instrument, Measure};
use parking_lot::Mutex;
use std::array;
use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{LazyLock, OnceLock};
use std::thread::available_parallelism;
use std::time::SystemTime;

/// The number of cells of a series: as many as threads can run at once, up to a maximum.
static CELLS: LazyLock<usize> = LazyLock::new(|| available_parallelism().map_or(1, usize::from).clamp(1, 64));
static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static NUMBER: Cell<usize> = Cell::new(THREADS.fetch_add(1, Relaxed));
}

/// One cell for each thread that can run at once, spaced by two cache lines.
struct Striped<T>(Box<[Apart<T>]>);

#[repr(align(128))]
struct Apart<T>(T);

impl<T: Default> Striped<T> {
    fn new() -> Self {
        Self((0..*CELLS).map(|_| Apart(T::default())).collect())
    }
}

impl<T> Striped<T> {
    /// The cell of this thread.
    fn mine(&self) -> Option<&T> {
        self.0.get(NUMBER.get() % self.0.len()).map(|Apart(cell)| cell)
    }

    fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|Apart(cell)| cell)
    }
}

/// A number that only increases.
pub struct Counter(Striped<AtomicU64>);

impl Counter {
    pub(super) fn new() -> Self {
        Self(Striped::new())
    }

    pub fn add(&self, count: u64) {
        if let Some(cell) = self.0.mine() {
            cell.fetch_add(count, Relaxed);
        }
    }

    pub fn total(&self) -> u64 {
        self.0.all().fold(0, |total, cell| total.wrapping_add(cell.load(Relaxed)))
    }
}

/// A number that increases and decreases.
pub struct Level(Striped<AtomicI64>);

impl Level {
    pub(super) fn new() -> Self {
        Self(Striped::new())
    }

    /// `change` may be negative; another thread may subtract what this one added.
    pub fn add(&self, change: i64) {
        if let Some(cell) = self.0.mine() {
            cell.fetch_add(change, Relaxed);
        }
    }

    pub fn total(&self) -> i64 {
        self.0.all().fold(0, |total, cell| total.wrapping_add(cell.load(Relaxed)))
    }
}

/// A distribution of values.
pub struct Histogram {
    buckets: Buckets,
    stripes: Striped<Stripe>,
    /// The last traced value of each bucket, if any.
    exemplars: OnceLock<[Mutex<Option<Exemplar>>; Buckets::MOST + 1]>,
}

struct Stripe {
    sum: AtomicU64,
    /// One for each bound, and one for larger values.
    counts: [AtomicU64; Buckets::MOST + 1],
}

impl Default for Stripe {
    fn default() -> Self {
        Self { sum: AtomicU64::new(0), counts: array::from_fn(|_| AtomicU64::new(0)) }
    }
}

/// A recorded value that links to its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exemplar {
    /// In the steps of the histogram's [`Buckets`].
    pub value: u64,
    pub trace: [u8; 16],
    pub span: [u8; 8],
    pub at: SystemTime,
}

impl Histogram {
    pub(super) fn new(instrument: &Instrument) -> Self {
        let buckets = match instrument.measure {
            Measure::Histogram(buckets) => buckets,
            _ => Buckets::SIZE,
        };
        Self { buckets, stripes: Striped::new(), exemplars: OnceLock::new() }
    }

    /// Records a value, in the steps of the instrument's [`Buckets`].
    pub fn record(&self, value: u64) {
        let Some(stripe) = self.stripes.mine() else { return };
        stripe.sum.fetch_add(value, Relaxed);
        if let Some(count) = stripe.counts.get(self.place(value)) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// Records a value of traced work, so that dashboards can link from the histogram to the trace.
    pub fn record_traced(&self, value: u64, trace: [u8; 16], span: [u8; 8]) {
        self.record(value);
        let exemplars = self.exemplars.get_or_init(|| array::from_fn(|_| Mutex::new(None)));
        // If another thread is writing one, that one is just as good.
        if let Some(Some(mut slot)) = exemplars.get(self.place(value)).map(Mutex::try_lock) {
            *slot = Some(Exemplar { value, trace, span, at: SystemTime::now() });
        }
    }

    /// The recorded distribution: the sum, and for each bucket its count and last traced value.
    pub(super) fn read(&self) -> Distribution {
        let places = self.buckets.bounds.len() + 1;
        let mut read = Distribution { buckets: self.buckets, sum: 0, counts: vec![0; places], exemplars: Vec::new() };
        for stripe in self.stripes.all() {
            read.sum = read.sum.wrapping_add(stripe.sum.load(Relaxed));
            for (total, count) in read.counts.iter_mut().zip(&stripe.counts) {
                *total += count.load(Relaxed);
            }
        }
        if let Some(exemplars) = self.exemplars.get() {
            let slot = |slot: &Mutex<Option<Exemplar>>| *slot.lock();
            read.exemplars = exemplars.iter().take(places).map(slot).collect();
        }
        read
    }

    fn place(&self, value: u64) -> usize {
        self.buckets.bounds.partition_point(|bound| *bound < value)
    }
}

/// A value obtained at each scrape.
pub struct Observed(Box<dyn Fn() -> f64 + Send + Sync>);

impl Observed {
    pub(super) fn new(read: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        Self(Box::new(read))
    }

    pub(super) fn read(&self) -> f64 {
        (self.0)()
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.total().fmt(f)
    }
}

impl fmt::Debug for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.total().fmt(f)
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read().fmt(f)
    }
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observed")
    }
}
