//! Encodes the current value of every series as OTLP requests of bounded size.

use crate::telemetry::exporter::{attribute, scope};
use gatewright_sdk::metrics::{
    Attribute, Buckets, Distribution, Exemplar, Family, Measure, Point, Reading, Value as Text,
};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar as SentExemplar, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, exemplar, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use std::time::{SystemTime, UNIX_EPOCH};

/// The number of data points after which a request is full. Receivers accept 4 MiB, and a point takes a few hundred
/// bytes.
const FULL: usize = 2_000;

/// An encoded request, and its number of data points.
pub(in crate::telemetry) struct Batch {
    pub points: u64,
    pub request: Vec<u8>,
}

/// Encodes `families`, read at `now`, as requests.
pub(in crate::telemetry) fn batches(families: &[Family], resource: &Resource, now: SystemTime) -> Vec<Batch> {
    let (mut batches, mut metrics, mut points) = (Vec::new(), Vec::new(), 0);
    for family in families {
        let (metric, count) = metric(family, now);
        metrics.push(metric);
        points += count;
        if points >= FULL {
            batches.push(batch(std::mem::take(&mut metrics), std::mem::take(&mut points), resource));
        }
    }
    if points > 0 {
        batches.push(batch(metrics, points, resource));
    }
    batches
}

fn batch(metrics: Vec<Metric>, points: usize, resource: &Resource) -> Batch {
    let scope_metrics = vec![ScopeMetrics { scope: Some(scope()), metrics, ..ScopeMetrics::default() }];
    let resource_metrics =
        ResourceMetrics { resource: Some(resource.clone()), scope_metrics, ..ResourceMetrics::default() };
    let request = ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] }.encode_to_vec();
    Batch { points: u64::try_from(points).unwrap_or(u64::MAX), request }
}

/// Encodes a family; also returns its number of data points.
fn metric(family: &Family, now: SystemTime) -> (Metric, usize) {
    let instrument = family.instrument;
    let cumulative = AggregationTemporality::Cumulative.into();
    let numbers = || family.points.iter().filter_map(|point| number(point, now)).collect::<Vec<_>>();
    let sum = |is_monotonic| {
        let data_points = numbers();
        let count = data_points.len();
        (Data::Sum(Sum { data_points, aggregation_temporality: cumulative, is_monotonic }), count)
    };
    let (data, count) = match instrument.measure {
        Measure::Counter => sum(true),
        Measure::UpDownCounter => sum(false),
        Measure::Gauge => {
            let data_points = numbers();
            let count = data_points.len();
            (Data::Gauge(Gauge { data_points }), count)
        }
        Measure::Histogram(_) => {
            let data_points: Vec<_> = family.points.iter().filter_map(|point| distribution(point, now)).collect();
            let count = data_points.len();
            (Data::Histogram(Histogram { data_points, aggregation_temporality: cumulative }), count)
        }
    };
    let metric = Metric {
        name: instrument.name.to_owned(),
        description: instrument.help.to_owned(),
        unit: instrument.unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    };
    (metric, count)
}

/// `None` if the value could not be read, which is reported as NaN.
fn number(point: &Point, now: SystemTime) -> Option<NumberDataPoint> {
    let value = match &point.reading {
        Reading::Count(count) => number_data_point::Value::AsInt(i64::try_from(*count).unwrap_or(i64::MAX)),
        Reading::Level(level) => number_data_point::Value::AsInt(*level),
        Reading::Value(value) if value.is_nan() => return None,
        Reading::Value(value) => number_data_point::Value::AsDouble(*value),
        Reading::Distribution(_) => return None,
    };
    Some(NumberDataPoint {
        attributes: attributes(&point.attributes),
        start_time_unix_nano: nanos(point.since),
        time_unix_nano: nanos(now),
        value: Some(value),
        ..NumberDataPoint::default()
    })
}

fn distribution(point: &Point, now: SystemTime) -> Option<HistogramDataPoint> {
    let Reading::Distribution(Distribution { buckets, sum, counts, exemplars }) = &point.reading else { return None };
    Some(HistogramDataPoint {
        attributes: attributes(&point.attributes),
        start_time_unix_nano: nanos(point.since),
        time_unix_nano: nanos(now),
        count: counts.iter().sum(),
        sum: Some(in_units(*sum, buckets)),
        bucket_counts: counts.clone(),
        explicit_bounds: buckets.bounds.iter().map(|bound| in_units(*bound, buckets)).collect(),
        exemplars: exemplars.iter().flatten().map(|exemplar| traced(exemplar, buckets)).collect(),
        ..HistogramDataPoint::default()
    })
}

fn traced(exemplar: &Exemplar, buckets: &Buckets) -> SentExemplar {
    SentExemplar {
        time_unix_nano: nanos(exemplar.at),
        value: Some(exemplar::Value::AsDouble(in_units(exemplar.value, buckets))),
        trace_id: exemplar.trace.to_vec(),
        span_id: exemplar.span.to_vec(),
        ..SentExemplar::default()
    }
}

/// Converts steps to the unit of the instrument.
#[expect(clippy::cast_precision_loss, reason = "beyond 2^53 the last digits do not matter")]
fn in_units(value: u64, buckets: &Buckets) -> f64 {
    value as f64 / buckets.steps as f64
}

fn attributes(attributes: &[Attribute]) -> Vec<KeyValue> {
    let value = |value: &Text| match value {
        Text::Text(text) => Value::StringValue(text.clone().into_owned()),
        Text::Integer(number) => Value::IntValue(*number),
        Text::Flag(flag) => Value::BoolValue(*flag),
    };
    attributes.iter().map(|(name, given)| attribute((*name).to_owned(), value(given))).collect()
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
