//! Encodes a family of each kind and decodes it again.

use super::*;
use gatewright_sdk::metrics::{Instrument, Meters};

const fn instrument(name: &'static str, measure: Measure) -> Instrument {
    Instrument { name, measure, unit: "s", help: "Help", attributes: &["a", "n", "f"] }
}

static COUNTER: Instrument = instrument("counter", Measure::Counter);
static LEVEL: Instrument = instrument("level", Measure::UpDownCounter);
static GAUGE: Instrument = instrument("gauge", Measure::Gauge);
static TIMES: Instrument = instrument("times", Measure::Histogram(Buckets::DURATION));

fn decoded(meters: &Meters) -> (Vec<Metric>, Vec<u64>) {
    let resource = Resource::default();
    let (mut metrics, mut points) = (Vec::new(), Vec::new());
    for batch in batches(&meters.collect(), &resource, SystemTime::now()) {
        points.push(batch.points);
        let request = ExportMetricsServiceRequest::decode(&*batch.request).unwrap();
        metrics
            .extend(request.resource_metrics.into_iter().flat_map(|group| group.scope_metrics).flat_map(|s| s.metrics));
    }
    (metrics, points)
}

fn data(metrics: &[Metric], name: &str) -> Data {
    metrics.iter().find(|metric| metric.name == name).unwrap().data.clone().unwrap()
}

#[test]
fn each_kind_is_sent_as_what_it_is() {
    let meters = Meters::default();
    let text: gatewright_sdk::metrics::Value = "b".into();
    let counter = meters.counter(&COUNTER, vec![("a", text), ("n", 404_u16.into()), ("f", Text::Flag(true))]);
    counter.add(3);
    let level = meters.level(&LEVEL, Vec::new());
    level.add(-2);
    let _gauge = meters.observe(&GAUGE, Vec::new(), || 1.5);
    let (metrics, points) = decoded(&meters);
    assert_eq!(points, [3]);
    assert_eq!((metrics[0].unit.as_str(), metrics[0].description.as_str()), ("s", "Help"));
    let Data::Sum(sum) = data(&metrics, "counter") else { panic!() };
    let point = &sum.data_points[0];
    assert!(sum.is_monotonic && sum.aggregation_temporality == 2);
    assert_eq!(point.value, Some(number_data_point::Value::AsInt(3)));
    assert!(point.start_time_unix_nano > 0 && point.start_time_unix_nano <= point.time_unix_nano);
    let values: Vec<_> = point.attributes.iter().map(|pair| pair.value.clone().unwrap().value.unwrap()).collect();
    assert_eq!(values, [Value::StringValue("b".into()), Value::IntValue(404), Value::BoolValue(true)]);
    let Data::Sum(sum) = data(&metrics, "level") else { panic!() };
    assert_eq!((sum.is_monotonic, sum.data_points[0].value), (false, Some(number_data_point::Value::AsInt(-2))));
    let Data::Gauge(gauge) = data(&metrics, "gauge") else { panic!() };
    assert_eq!(gauge.data_points[0].value, Some(number_data_point::Value::AsDouble(1.5)));
}

#[test]
fn a_histogram_is_reported_in_its_unit_with_exemplars() {
    let meters = Meters::default();
    let times = meters.histogram(&TIMES, Vec::new());
    times.record(7_000_000);
    times.record_traced(20_000_000_000, [0xab; 16], [0xcd; 8]);
    let (metrics, _) = decoded(&meters);
    let Data::Histogram(histogram) = data(&metrics, "times") else { panic!() };
    let point = &histogram.data_points[0];
    assert_eq!((point.count, point.sum, histogram.aggregation_temporality), (2, Some(20.007), 2));
    assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
    assert_eq!((point.explicit_bounds[0], point.explicit_bounds[1]), (0.005, 0.01));
    assert_eq!((point.bucket_counts[1], *point.bucket_counts.last().unwrap()), (1, 1));
    let exemplar = &point.exemplars[0];
    assert_eq!((exemplar.trace_id.as_slice(), exemplar.span_id.as_slice()), (&[0xab; 16][..], &[0xcd; 8][..]));
    assert_eq!(exemplar.value, Some(exemplar::Value::AsDouble(20.0)));
    assert!(exemplar.time_unix_nano > 0);
}

#[test]
fn unreadable_values_are_omitted_and_many_points_make_several_requests() {
    static MANY: Instrument = instrument("many", Measure::Counter);
    let meters = Meters::default();
    let _unread = meters.observe(&GAUGE, Vec::new(), || f64::NAN);
    assert_eq!(decoded(&meters).1, [0; 0]);
    let number = |n: usize| vec![("n", Text::Integer(n.try_into().unwrap()))];
    let _held: Vec<_> =
        (0..1_500).flat_map(|n| [&COUNTER, &LEVEL, &MANY].map(|each| meters.counter(each, number(n)))).collect();
    assert_eq!(decoded(&meters).1, [3_000, 1_500]);
}
