//! Exports when the receiver accepts everything, some or nothing, and when it changes.

use super::collector::{self, Collector, Fault};
use super::*;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(60);

async fn collector_of(protocol: &str) -> Collector {
    if protocol == "grpc" { Collector::grpc().await } else { Collector::http().await }
}

fn make_spans(observer: &Observer, count: usize) {
    (0..count).for_each(|_| drop(observer.begin(&mut request("/x", &[]), &facts(false), None)));
}

#[tokio::test]
async fn rejected_items_count_as_failed_and_the_rest_as_exported() {
    for protocol in ["grpc", "http/protobuf"] {
        let collector = collector_of(protocol).await;
        collector.fails_with([Fault::Rejects(2)]);
        let spec = exporting(&collector.endpoint, protocol);
        let (telemetry, lines, _guard) = telemetry(&spec);
        make_spans(&observer(&spec), 5);
        telemetry.flush_and_stop(PATIENCE).await;
        let traces = telemetry.counters().traces;
        assert_eq!((traces.exported, traces.failed, collector.received().len()), (3, 2, 3));
        assert_eq!(traces.last_error.as_deref(), Some("the receiver rejected 2 of 5: old"));
        assert!(traces.failing_since.unwrap().parse::<jiff::Timestamp>().is_ok());
        drop(telemetry);
        assert_eq!(lines.text().matches("cannot export telemetry").count(), 1);
    }
}

#[tokio::test]
async fn a_receiver_that_was_unavailable_gets_each_span_once() {
    for protocol in ["grpc", "http/protobuf"] {
        let collector = collector_of(protocol).await;
        collector.fails_with([Fault::Unavailable, Fault::Unavailable]);
        let spec = exporting(&collector.endpoint, protocol);
        let (telemetry, _, _guard) = telemetry(&spec);
        make_spans(&observer(&spec), 5);
        telemetry.flush_and_stop(PATIENCE).await;
        let traces = telemetry.counters().traces;
        assert_eq!((traces.exported, traces.failed, traces.exports, traces.state), (5, 0, 1, Export::Working));
        assert_eq!(collector.received().len(), 5);
    }
}

#[tokio::test]
async fn a_receiver_that_recovers_is_reported_once_and_what_it_refused_stays_counted() {
    let collector = Collector::grpc().await;
    collector.fails_with([Fault::Refused]);
    let spec = exporting(&collector.endpoint, "grpc");
    let (telemetry, lines, _guard) = telemetry(&spec);
    // Two batches.
    make_spans(&observer(&spec), 600);
    telemetry.flush_and_stop(PATIENCE).await;
    let traces = telemetry.counters().traces;
    assert_eq!((traces.exported, traces.failed, traces.dropped), (88, 512, 0));
    assert_eq!((traces.state, traces.failing_since), (Export::Working, None));
    assert_eq!(traces.last_error.as_deref(), Some("gRPC status InvalidArgument: never"));
    drop(telemetry);
    assert_eq!(lines.text().matches("telemetry export recovered").count(), 1);
}

#[tokio::test]
async fn an_export_that_waits_goes_to_the_receiver_of_a_reload() {
    let collector = Collector::grpc().await;
    let hanging = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", hanging.local_addr().unwrap());
    // Only the reload ends this export.
    let spec = spec(json!({ "traces": { "otlp": { "endpoint": endpoint, "timeout": "1h" } } }));
    let (telemetry, _, _guard) = telemetry(&spec);
    make_spans(&observer(&spec), 5);
    let _connection = hanging.accept().await.unwrap();
    telemetry.apply_with(&exporting(&collector.endpoint, "grpc"), Path::new(""), &|_| None).unwrap();
    telemetry.flush_and_stop(PATIENCE).await;
    let traces = telemetry.counters().traces;
    assert_eq!((traces.exported, traces.failed, traces.dropped, collector.received().len()), (5, 0, 0, 5));
}

#[tokio::test]
async fn every_item_is_exported_failed_dropped_or_waiting() {
    let collector = Collector::grpc().await;
    collector.fails_with([Fault::Silence]);
    let spec = spec(json!({ "traces": { "otlp": { "endpoint": collector.endpoint, "timeout": "1h" } } }));
    let (telemetry, _, _guard) = telemetry(&spec);
    let sum = |telemetry: &Telemetry| {
        let traces = telemetry.counters().traces;
        traces.exported + traces.failed + traces.dropped + traces.waiting
    };
    for made in 1..=50_u64 {
        make_spans(&observer(&spec), 100);
        tokio::task::yield_now().await;
        assert_eq!(sum(&telemetry), made * 100);
    }
    assert!(telemetry.counters().traces.dropped >= 5_000 - 2_048 - 512);
    telemetry.flush_and_stop(Duration::from_millis(50)).await;
    assert_eq!((sum(&telemetry), telemetry.counters().traces.waiting), (5_000, 0));
}

#[tokio::test]
async fn a_change_of_receiver_and_protocol_under_load_loses_no_span() {
    let collectors = [Collector::grpc().await, Collector::http().await, Collector::grpc().await];
    let specs: Vec<_> = (collectors.iter().zip(["grpc", "http/protobuf", "grpc"]))
        .map(|(collector, protocol)| exporting(&collector.endpoint, protocol))
        .collect();
    let (telemetry, _, _guard) = telemetry(&specs[0]);
    let mut made = 0;
    for round in 0..30 {
        let spec = &specs[round % 3];
        telemetry.apply_with(spec, Path::new(""), &|_| None).unwrap();
        make_spans(&observer(spec), 300);
        made += 300;
        while telemetry.counters().traces.waiting > 1_000 {
            tokio::task::yield_now().await;
        }
    }
    telemetry.flush_and_stop(PATIENCE).await;
    let received: std::collections::HashSet<_> =
        collectors.iter().flat_map(Collector::received).map(|span| span.id).collect();
    let traces = telemetry.counters().traces;
    assert_eq!((traces.exported, traces.failed + traces.dropped), (made, 0));
    assert_eq!(received.len(), usize::try_from(made).unwrap());
}

#[tokio::test]
async fn a_batch_that_the_former_receiver_would_not_take_goes_to_the_next() {
    let (gone, collector) = (Collector::grpc().await, Collector::grpc().await);
    gone.fails_with([Fault::Unavailable; 1_000]);
    let spec = spec(json!({ "traces": { "otlp": { "endpoint": gone.endpoint, "timeout": "1s" } } }));
    let (telemetry, _, _guard) = telemetry(&spec);
    make_spans(&observer(&spec), 512);
    while telemetry.counters().traces.waiting == 0 {
        tokio::task::yield_now().await;
    }
    telemetry.apply_with(&exporting(&collector.endpoint, "grpc"), Path::new(""), &|_| None).unwrap();
    telemetry.flush_and_stop(PATIENCE).await;
    assert_eq!((telemetry.counters().traces.exported, collector.received().len()), (512, 512));
}

fn logging(endpoint: &str, rest: serde_json::Value) -> Spec {
    let mut spec = spec(rest);
    spec.logs.otlp = serde_json::from_value(json!({ "endpoint": endpoint, "compression": "gzip" })).unwrap();
    spec
}

fn body(record: &LogRecord) -> String {
    match record.body.clone().and_then(|body| body.value) {
        Some(Value::StringValue(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn log_events_are_exported_as_typed_records_with_traces() {
    let collector = Collector::http().await;
    let mut spec = logging(&collector.endpoint, json!({ "logs": { "access": {} } }));
    let otlp = spec.logs.otlp.as_mut().unwrap();
    otlp.protocol = serde_json::from_value(json!("http/protobuf")).unwrap();
    spec.traces.otlp = spec.logs.otlp.clone();
    let (telemetry, lines, _guard) = telemetry(&spec);
    let observer = observer(&spec);
    exchange(&observer, request("/x?token=hidden", &[]), &facts(false), || {
        tracing::warn!(target: "gatewright::x", number = 7, share = 0.5, yes = true, most = u64::MAX, r#type = "t", "inside");
        Reply::ready(Response::new(Body::from("ok")))
    })
    .await;
    tracing::debug!(target: "gatewright::x", "below the level");
    tracing::error!(target: "tonic::transport", "about the export itself");
    telemetry.flush_and_stop(PATIENCE).await;
    let records = collector.records();
    let span = &collector.received()[0];
    let inside = records.iter().find(|record| body(record) == "inside").unwrap();
    assert_eq!((inside.severity_number, inside.severity_text.as_str()), (13, "WARN"));
    let attributes = collector::attributes(&inside.attributes);
    for (name, value) in [
        ("target", "gatewright::x"),
        ("number", "7"),
        ("share", "DoubleValue(0.5)"),
        ("yes", "BoolValue(true)"),
        ("most", "18446744073709551615"),
        ("type", "t"),
    ] {
        assert_eq!(attributes.get(name).map(String::as_str), Some(value), "{name} of {attributes:?}");
    }
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!((hex(&inside.trace_id), hex(&inside.span_id)), (span.trace.clone(), span.id.clone()));
    assert!(inside.time_unix_nano > 0);
    let access = records.iter().find(|record| record.attributes.iter().any(|pair| pair.key == "status")).unwrap();
    assert_eq!(hex(&access.trace_id), span.trace);
    let access = collector::attributes(&access.attributes);
    assert_eq!((access["status"].as_str(), access["query"].as_str()), ("200", "token=***"));
    assert_eq!(records.len(), 2, "{records:#?}");
    assert_eq!(telemetry.counters().logs.exported, 2);
    drop(telemetry);
    assert!(lines.text().contains("about the export itself"));
}

#[tokio::test]
async fn fields_of_the_access_log_are_attributes_with_types() {
    let collector = Collector::grpc().await;
    let fields = ["path", "status", "duration_ms", "trace_id", "headers"];
    let access = json!({ "fields": fields, "headers": ["x-a", "x-long"] });
    let mut spec = logging(&collector.endpoint, json!({ "logs": { "access": access } }));
    spec.traces.otlp = spec.logs.otlp.clone();
    let (telemetry, _, _guard) = telemetry(&spec);
    let long = "\"".repeat(4_000);
    let request = request("/a\"b", &[("x-a", "b\""), ("x-long", &long)]);
    exchange(&observer(&spec), request, &facts(false), || Reply::ready(Response::new(Body::from("ok")))).await;
    telemetry.flush_and_stop(PATIENCE).await;
    let record = collector.records().remove(0);
    assert_eq!(body(&record), "request");
    let attributes = collector::attributes(&record.attributes);
    for (name, value) in [("target", "gatewright::access"), ("path", "/a\"b"), ("status", "200")] {
        assert_eq!(attributes.get(name).map(String::as_str), Some(value), "{name} of {attributes:?}");
    }
    assert!(attributes["duration_ms"].starts_with("DoubleValue("), "{attributes:?}");
    let headers = &attributes["headers"];
    assert!(headers.contains("x-a") && headers.contains('…') && headers.len() < 2_000, "{headers}");
    assert!(!attributes.contains_key("trace_id"), "{attributes:?}");
    let trace = record.trace_id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(trace, collector.received()[0].trace);
}

#[tokio::test]
async fn failed_exports_of_records_do_not_create_more_records() {
    let collector = Collector::grpc().await;
    collector.fails_with([Fault::Refused; 100]);
    let spec = logging(&collector.endpoint, json!({}));
    let (telemetry, lines, _guard) = telemetry(&spec);
    tracing::info!(target: "gatewright::x", "one");
    // The event itself, and the one about the failure of its export.
    while telemetry.counters().logs.failed < 2 {
        tokio::task::yield_now().await;
    }
    telemetry.flush_and_stop(PATIENCE).await;
    let logs = telemetry.counters().logs;
    assert_eq!((logs.exported, logs.failed, logs.dropped, logs.waiting), (0, 2, 0, 0));
    drop(telemetry);
    assert_eq!(lines.json().len(), 2);
}

#[tokio::test]
async fn records_are_bounded_each_and_together() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let spec = logging(&format!("http://{}", silent.local_addr().unwrap()), json!({}));
    let (telemetry, _, _guard) = telemetry(&spec);
    let long = "é".repeat(50_000);
    for _ in 0..2_048 {
        tracing::info!(target: "gatewright::x", a = long, b = long, c = long, d = long, e = long, f = long, "long");
    }
    let logs = telemetry.counters().logs;
    assert!((450..550).contains(&logs.waiting), "8 KiB each and 4 MiB together: {logs:?}");
    assert_eq!(logs.waiting + logs.dropped, 2_048);
    telemetry.flush_and_stop(Duration::ZERO).await;
}

#[tokio::test]
async fn metrics_are_pushed_every_interval_and_once_more_at_the_end() {
    let collector = Collector::grpc().await;
    let with = |interval: &str| {
        spec(json!({ "metrics": { "otlp": { "endpoint": collector.endpoint, "interval": interval } } }))
    };
    let (telemetry, _, _guard) = telemetry(&with("1h"));
    let _process = metrics::Process::observe();
    assert_eq!(telemetry.counters().metrics.exports, 0);
    telemetry.apply_with(&with("10ms"), Path::new(""), &|_| None).unwrap();
    while telemetry.counters().metrics.exports < 2 {
        tokio::task::yield_now().await;
    }
    telemetry.apply_with(&with("1h"), Path::new(""), &|_| None).unwrap();
    let before = telemetry.counters().metrics.exports;
    telemetry.flush_and_stop(PATIENCE).await;
    let metrics = telemetry.counters().metrics;
    assert!(metrics.exports > before, "{metrics:?}");
    let points: usize = collector.metrics().iter().map(points).sum();
    assert_eq!((metrics.exported, metrics.failed), (u64::try_from(points).unwrap(), 0));
    assert!(collector.metrics().iter().any(|metric| metric.name == "process.cpu.time"), "{:?}", collector.metrics());
}

fn points(metric: &opentelemetry_proto::tonic::metrics::v1::Metric) -> usize {
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    match metric.data.as_ref().unwrap() {
        Data::Sum(sum) => sum.data_points.len(),
        Data::Gauge(gauge) => gauge.data_points.len(),
        Data::Histogram(histogram) => histogram.data_points.len(),
        other => panic!("{other:?}"),
    }
}
