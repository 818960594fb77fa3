//! Every series of a process, found by instrument and attributes.

use super::{Attribute, Buckets, Counter, Exemplar, Histogram, Instrument, Level, Observed, Value};
use parking_lot::{Mutex, MutexGuard};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};
use std::time::SystemTime;

/// The maximum number of series of one instrument; any beyond it are counted in a series with the attribute
/// [`OVERFLOW`], as the OpenTelemetry specification requires.
const MOST: usize = 2_000;
/// The attribute of the series that counts everything beyond the maximum.
pub const OVERFLOW: &str = "otel.metric.overflow";

/// All series currently held.
#[derive(Default)]
pub struct Meters(Mutex<BTreeMap<&'static str, Series>>);

struct Series {
    instrument: &'static Instrument,
    held: HashMap<Arc<[Attribute]>, Held>,
}

impl Series {
    fn new(instrument: &'static Instrument) -> Self {
        Self { instrument, held: HashMap::default() }
    }

    /// The slot of the series with these attributes, or of the overflow series.
    fn place(&mut self, attributes: Vec<Attribute>) -> Entry<'_, Arc<[Attribute]>, Held> {
        let mut attributes: Arc<[Attribute]> = attributes.into();
        if !self.held.contains_key(&attributes) && self.held.len() >= MOST {
            self.held.retain(|_, held| held.cell.is_held());
            if self.held.len() >= MOST {
                attributes = Arc::new([(OVERFLOW, Value::Flag(true))]);
            }
        }
        self.held.entry(attributes)
    }
}

struct Held {
    since: SystemTime,
    cell: Cell,
}

impl Held {
    fn new(cell: Cell) -> Self {
        Self { since: SystemTime::now(), cell }
    }
}

#[derive(Clone)]
enum Cell {
    Counter(Weak<Counter>),
    Level(Weak<Level>),
    Histogram(Weak<Histogram>),
    /// The newest last. A configuration that is built and then rejected must not silence the current one.
    Observed(Vec<Weak<Observed>>),
}

impl Cell {
    fn is_held(&self) -> bool {
        match self {
            Self::Counter(cell) => cell.strong_count() > 0,
            Self::Level(cell) => cell.strong_count() > 0,
            Self::Histogram(cell) => cell.strong_count() > 0,
            Self::Observed(cells) => cells.iter().any(|cell| cell.strong_count() > 0),
        }
    }

    fn read(&self) -> Option<Reading> {
        Some(match self {
            Self::Counter(cell) => Reading::Count(cell.upgrade()?.total()),
            Self::Level(cell) => Reading::Level(cell.upgrade()?.total()),
            Self::Histogram(cell) => Reading::Distribution(cell.upgrade()?.read()),
            Self::Observed(cells) => Reading::Value(cells.iter().rev().find_map(Weak::upgrade)?.read()),
        })
    }
}

/// A series found while it was held.
type Found = (Arc<[Attribute]>, SystemTime, Cell);

/// An instrument and the current values of its series.
#[derive(Debug)]
pub struct Family {
    pub instrument: &'static Instrument,
    /// Ordered by their attributes.
    pub points: Vec<Point>,
}

/// The current value of one series.
#[derive(Debug)]
pub struct Point {
    pub attributes: Arc<[Attribute]>,
    /// When it started to count.
    pub since: SystemTime,
    pub reading: Reading,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    Count(u64),
    Level(i64),
    Value(f64),
    Distribution(Distribution),
}

/// The contents of a histogram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    pub buckets: Buckets,
    /// In the steps of `buckets`.
    pub sum: u64,
    /// The count for each bound, and for larger values; not cumulative.
    pub counts: Vec<u64>,
    /// The last traced value of each bucket; empty if there has never been one.
    pub exemplars: Vec<Option<Exemplar>>,
}

impl Meters {
    pub fn counter(&self, instrument: &'static Instrument, attributes: Vec<Attribute>) -> Arc<Counter> {
        let known = |cell: &Cell| if let Cell::Counter(cell) = cell { cell.upgrade() } else { None };
        self.find(instrument, attributes, known, Counter::new, Cell::Counter)
    }

    pub fn level(&self, instrument: &'static Instrument, attributes: Vec<Attribute>) -> Arc<Level> {
        let known = |cell: &Cell| if let Cell::Level(cell) = cell { cell.upgrade() } else { None };
        self.find(instrument, attributes, known, Level::new, Cell::Level)
    }

    pub fn histogram(&self, instrument: &'static Instrument, attributes: Vec<Attribute>) -> Arc<Histogram> {
        let known = |cell: &Cell| if let Cell::Histogram(cell) = cell { cell.upgrade() } else { None };
        self.find(instrument, attributes, known, || Histogram::new(instrument), Cell::Histogram)
    }

    /// Of several with the same attributes, the newest is read.
    pub fn observe(
        &self,
        instrument: &'static Instrument,
        attributes: Vec<Attribute>,
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) -> Arc<Observed> {
        let made = Arc::new(Observed::new(read));
        let weak = Arc::downgrade(&made);
        let mut families = self.families();
        let held = families.entry(instrument.name).or_insert_with(|| Series::new(instrument)).place(attributes);
        match held {
            Entry::Occupied(mut held) => match &mut held.get_mut().cell {
                Cell::Observed(cells) => {
                    cells.retain(|cell| cell.strong_count() > 0);
                    cells.push(weak);
                }
                other => *other = Cell::Observed(vec![weak]),
            },
            Entry::Vacant(place) => {
                place.insert(Held::new(Cell::Observed(vec![weak])));
            }
        }
        made
    }

    fn find<T>(
        &self,
        instrument: &'static Instrument,
        attributes: Vec<Attribute>,
        known: impl Fn(&Cell) -> Option<Arc<T>>,
        make: impl FnOnce() -> T,
        cell: impl FnOnce(Weak<T>) -> Cell,
    ) -> Arc<T> {
        let mut families = self.families();
        let held = families.entry(instrument.name).or_insert_with(|| Series::new(instrument)).place(attributes);
        if let Entry::Occupied(held) = &held
            && let Some(found) = known(&held.get().cell)
        {
            return found;
        }
        let made = Arc::new(make());
        held.insert_entry(Held::new(cell(Arc::downgrade(&made))));
        made
    }

    fn families(&self) -> MutexGuard<'_, BTreeMap<&'static str, Series>> {
        self.0.lock()
    }

    /// The current values of all held series, by name and attributes.
    pub fn collect(&self) -> Vec<Family> {
        let mut read = Vec::new();
        {
            let mut families = self.families();
            families.retain(|_, series| {
                series.held.retain(|_, held| held.cell.is_held());
                !series.held.is_empty()
            });
            for series in families.values() {
                let held = series.held.iter();
                let held: Vec<_> = held.map(|(key, held)| (Arc::clone(key), held.since, held.cell.clone())).collect();
                read.push((series.instrument, held));
            }
        }
        // Observers may themselves look up series, so they run without the lock.
        let family = |(instrument, held): (&'static Instrument, Vec<Found>)| {
            let mut points: Vec<_> = (held.into_iter())
                .filter_map(|(attributes, since, cell)| Some(Point { attributes, since, reading: cell.read()? }))
                .collect();
            points.sort_by(|one, other| one.attributes.cmp(&other.attributes));
            Family { instrument, points }
        };
        read.into_iter().map(family).filter(|family| !family.points.is_empty()).collect()
    }
}
