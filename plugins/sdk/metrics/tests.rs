//! Measurements are reported while their series is held.

use super::*;
use std::thread;

static REQUESTS: Instrument = Instrument {
    name: "test.requests",
    measure: Measure::Counter,
    unit: "{request}",
    help: "Requests",
    attributes: &["kind"],
};
static TIMES: Instrument = Instrument {
    name: "test.time",
    measure: Measure::Histogram(Buckets::DURATION),
    unit: "s",
    help: "Times",
    attributes: &[],
};

fn kind(kind: &'static str) -> Vec<Attribute> {
    vec![("kind", kind.into())]
}

#[test]
fn threads_count_separately_and_are_reported_together() {
    let meters = Meters::default();
    let counter = meters.counter(&REQUESTS, kind("a"));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..1000).for_each(|_| counter.add(1)));
        }
    });
    let families = meters.collect();
    assert_eq!(families[0].points[0].reading, Reading::Count(8000));
    assert_eq!(&*families[0].points[0].attributes, kind("a"));
}

#[test]
fn a_series_continues_while_held_and_is_gone_afterwards() {
    let meters = Meters::default();
    let first = meters.counter(&REQUESTS, kind("a"));
    first.add(1);
    let second = meters.counter(&REQUESTS, kind("a"));
    drop(first);
    second.add(1);
    assert_eq!(meters.collect()[0].points[0].reading, Reading::Count(2));
    drop(second);
    assert!(meters.collect().is_empty());
    assert_eq!(meters.counter(&REQUESTS, kind("a")).total(), 0);
}

#[test]
fn a_value_belongs_to_the_bucket_whose_bound_it_does_not_exceed() {
    let meters = Meters::default();
    let times = meters.histogram(&TIMES, Vec::new());
    let bounds = Buckets::DURATION.bounds;
    for value in [0, bounds[0], bounds[0] + 1, u64::MAX / 2] {
        times.record(value);
    }
    times.record_traced(bounds[1], [7; 16], [8; 8]);
    let Reading::Distribution(read) = meters.collect().remove(0).points.remove(0).reading else { panic!() };
    assert_eq!((read.counts[0], read.counts[1], read.counts[bounds.len()]), (2, 2, 1));
    assert_eq!(read.counts.iter().sum::<u64>(), 5);
    assert_eq!(read.exemplars[1].map(|exemplar| (exemplar.value, exemplar.trace)), Some((bounds[1], [7; 16])));
    assert_eq!(read.exemplars[0], None);
}

#[test]
fn the_newest_live_observer_is_read() {
    static STATE: Instrument =
        Instrument { name: "test.state", measure: Measure::Gauge, unit: "1", help: "A state", attributes: &[] };
    let meters = Meters::default();
    let old = meters.observe(&STATE, Vec::new(), || 1.0);
    let new = meters.observe(&STATE, Vec::new(), || 2.0);
    drop(old);
    assert_eq!(meters.collect()[0].points[0].reading, Reading::Value(2.0));
    let refused = meters.observe(&STATE, Vec::new(), || 3.0);
    drop(refused);
    assert_eq!(meters.collect()[0].points[0].reading, Reading::Value(2.0), "the one that serves is heard again");
    drop(new);
    assert!(meters.collect().is_empty());
}

#[test]
fn series_are_bounded_in_number() {
    let meters = Meters::default();
    let held: Vec<_> =
        (0..2_500).map(|number| meters.counter(&REQUESTS, vec![("kind", Value::Integer(number))])).collect();
    held.iter().for_each(|counter| counter.add(1));
    let points = meters.collect().remove(0).points;
    assert_eq!(points.len(), 2_001);
    let overflow = points.iter().find(|point| point.attributes[0].0 == "otel.metric.overflow").unwrap();
    assert_eq!(overflow.reading, Reading::Count(500));
}

#[test]
fn bounds_rise_and_fit() {
    for buckets in [Buckets::DURATION, Buckets::SHORT_DURATION, Buckets::SIZE] {
        assert!(buckets.bounds.is_sorted() && buckets.bounds.len() <= Buckets::MOST);
    }
}
