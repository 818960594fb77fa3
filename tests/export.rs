//! Exports traces, metrics and logs to a real OTLP receiver, and checks the status when the receiver fails.

use crate::collector::{self, Collector, Fault};
use crate::harness::{Gateway, HEAD, PATIENCE, refusing, send};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::Value;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Instant;
use tonic::transport::{Identity, ServerTlsConfig};

const YAML: &str = r#"
listeners: { web: { address: "127.0.0.1:0" } }
routes: { hello: { path: /hello, respond: { text: hello } } }
"#;

/// A gateway that exports all three signals to one receiver. A request has one span, however slow a plugin is.
fn exporting(otlp: &str, yaml: &str) -> String {
    let telemetry = format!(
        "telemetry: {{ traces: {{ plugin_spans: never, otlp: {{ {otlp} }} }}, metrics: {{ otlp: {{ {otlp}, interval: 50ms }} }}, \
         logs: {{ access: {{ sample: 1.0 }}, otlp: {{ {otlp} }}, "
    );
    format!("{}{yaml}", HEAD.replace("telemetry: { logs: { ", &telemetry))
}

fn wait_until(what: &str, mut reached: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !reached() {
        assert!(Instant::now() < until, "{what} does not happen");
        std::thread::yield_now();
    }
}

fn telemetry(gateway: &Gateway, signal: &str) -> Value {
    gateway.admin("GET", "/status").json()["telemetry"][signal].clone()
}

fn made(exports: &Value) -> u64 {
    ["exported", "failed", "dropped", "waiting"].iter().map(|name| exports[name].as_u64().unwrap()).sum()
}

/// One request produces a trace, an access log record with the id of that trace, and a point of a histogram.
fn check_three_signals(gateway: &Gateway, collector: &Collector) {
    assert_eq!(gateway.get("/hello").status, 200);
    wait_until("the span", || !collector.received().is_empty());
    let span = collector.received().remove(0);
    let of_trace = || {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        collector.records().into_iter().find(|record| hex(&record.trace_id) == span.trace)
    };
    wait_until("the record", || of_trace().is_some());
    let attributes = collector::attributes(&of_trace().unwrap().attributes);
    assert_eq!((attributes["path"].as_str(), attributes["status"].as_str()), ("/hello", "200"));
    let duration = || {
        let metrics = collector.metrics();
        let points = metrics.into_iter().filter(|metric| metric.name == "http.server.request.duration");
        let points = points.filter_map(|metric| match metric.data {
            Some(Data::Histogram(histogram)) => Some(histogram.data_points),
            _ => None,
        });
        points
            .flatten()
            .find(|point| collector::attributes(&point.attributes).get("gateway.route") == Some(&"hello".into()))
    };
    wait_until("the histogram", || duration().is_some());
    let point = duration().unwrap();
    assert_eq!((point.count, point.exemplars.len()), (1, 1));
    assert_eq!(collector::attributes(&point.attributes)["http.response.status_code"], "200");
    for headers in collector.headers() {
        assert_eq!(headers["x-tenant"], "blue");
        assert_eq!(headers["grpc-encoding"], "gzip", "as the collector translates it");
    }
    // The export is measured like everything else.
    for name in ["gateway.telemetry.exported", "gateway.telemetry.export.duration", "gateway.telemetry.dropped"] {
        wait_until(name, || collector.metrics().iter().any(|metric| metric.name == name));
    }
    for signal in ["traces", "metrics", "logs"] {
        // The receiver has it before it responds.
        wait_until("the count", || telemetry(gateway, signal)["exported"].as_u64() > Some(0));
        let exports = telemetry(gateway, signal);
        assert_eq!((exports["state"].as_str(), exports["failed"].as_u64()), (Some("working"), Some(0)), "{exports}");
        assert!(exports["last_ms"].as_f64().unwrap() > 0.0, "{exports}");
    }
}

#[test]
fn a_request_is_exported_as_trace_metric_and_log_over_grpc_with_tls() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let cert = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let identity = Identity::from_pem(cert.pem(), key.serialize_pem());
    let collector = runtime.block_on(Collector::grpc_with(ServerTlsConfig::new().identity(identity)));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    let otlp = format!(
        "endpoint: \"{}\", tls: {{ ca_file: \"{}\" }}, compression: gzip, headers: {{ X-Tenant: blue }}",
        collector.endpoint,
        file.display()
    );
    let mut gateway = Gateway::start_whole(&exporting(&otlp, YAML));
    check_three_signals(&gateway, &collector);

    // The certificates are part of the configuration: changed ones are applied, and an empty file is a fault at its
    // setting.
    std::fs::write(&file, format!("{0}{0}", authority.pem())).unwrap();
    assert_eq!(gateway.admin("POST", "/reload").status, 200);
    wait_until("the reload", || gateway.generation() == 2);
    std::fs::remove_file(&file).unwrap();
    let refused = gateway.admin("POST", "/reload");
    assert_eq!(refused.status, 422, "{refused:?}");
    assert!(
        refused.body.contains("telemetry.traces.otlp.tls.ca_file") && refused.body.contains("cannot read"),
        "{refused:?}"
    );
    gateway.signal("TERM");
    assert_eq!(gateway.wait(), Some(0));
}

#[test]
fn a_request_is_exported_as_trace_metric_and_log_over_http() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let collector = runtime.block_on(Collector::http());
    let otlp = format!(
        "endpoint: \"{}\", protocol: http/protobuf, compression: gzip, headers: {{ X-Tenant: blue }}",
        collector.endpoint
    );
    check_three_signals(&Gateway::start_whole(&exporting(&otlp, YAML)), &collector);
}

#[test]
fn rejected_items_are_reported_with_the_reason() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let collector = runtime.block_on(Collector::grpc());
    collector.fails_with([Fault::Rejects(1)]);
    let traces = format!("telemetry: {{ traces: {{ otlp: {{ endpoint: \"{}\" }} }}, logs:", collector.endpoint);
    let gateway = Gateway::start_whole(&format!("{}{YAML}", HEAD.replace("telemetry: { logs:", &traces)));
    assert_eq!(gateway.get("/hello").status, 200);
    wait_until("the failure", || telemetry(&gateway, "traces")["failed"] == 1);
    let traces = telemetry(&gateway, "traces");
    assert_eq!(traces["last_error"], "the receiver rejected 1 of 1: old");
    assert_eq!((&traces["state"], traces["exported"].as_u64()), (&"failing".into(), Some(0)));
    assert!(traces["failing_since"].as_str().unwrap().ends_with('Z'), "{traces}");
    assert_eq!((traces["capacity"].as_u64(), traces["waiting"].as_u64()), (Some(2_048), Some(0)));
}

#[test]
fn no_bad_receiver_falsifies_a_count_or_delays_shutdown() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let (_socket, closed) = refusing();
    let garbage = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let garbage_address = garbage.local_addr().unwrap();
    runtime.spawn(async move {
        while let Ok((mut stream, _)) = garbage.accept().await {
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, &[0xff; 100]).await;
        }
    });
    let refusing = runtime.block_on(Collector::http());
    refusing.fails_with([Fault::Refused; 10_000]);
    for (endpoint, protocol) in [
        (format!("http://{}", silent.local_addr().unwrap()), "grpc"),
        (format!("http://{}", silent.local_addr().unwrap()), "http/protobuf"),
        (format!("http://{closed}"), "grpc"),
        (format!("http://{garbage_address}"), "grpc"),
        (format!("http://{garbage_address}"), "http/protobuf"),
        (refusing.endpoint.clone(), "http/protobuf"),
    ] {
        let otlp = format!("endpoint: \"{endpoint}\", protocol: {protocol}, timeout: 100ms");
        let mut gateway = Gateway::start_whole(&exporting(&otlp, YAML));
        for requests in 1..=30 {
            assert_eq!(gateway.get("/hello").status, 200);
            let traces = telemetry(&gateway, "traces");
            assert_eq!(made(&traces), requests, "{protocol} to {endpoint}: {traces}");
        }
        wait_until("an export", || telemetry(&gateway, "traces")["failed"].as_u64() >= Some(1));
        let traces = telemetry(&gateway, "traces");
        assert_eq!((made(&traces), &traces["exported"], &traces["state"]), (30, &0.into(), &"failing".into()));
        gateway.signal("TERM");
        assert_eq!(gateway.wait(), Some(0));
        let log = gateway.whole_log();
        assert_eq!(log.matches(r#""signal":"traces","error""#).count(), 1, "{log}");
    }
}

#[test]
fn edits_of_receiver_protocol_and_sampler_under_load_lose_no_span() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (grpc, http) = (runtime.block_on(Collector::grpc()), runtime.block_on(Collector::http()));
    let rest = |endpoint: &str, protocol: &str, sampler: &str| {
        let traces = format!(
            "telemetry: {{ traces: {{ otlp: {{ endpoint: \"{endpoint}\", protocol: {protocol} }}, sampler: {sampler}, \
             plugin_spans: never }}, logs:"
        );
        format!("{}{YAML}", HEAD.replace("telemetry: { logs:", &traces))
    };
    let gateway = Gateway::start_whole(&rest(&grpc.endpoint, "grpc", "always_on"));
    let address = gateway.address;
    let (over, sent, exported) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Relaxed) {
                    // Spans that find the queue full are dropped and counted.
                    if sent.load(Relaxed) > exported.load(Relaxed) + 1_000 {
                        std::thread::yield_now();
                        continue;
                    }
                    assert_eq!(send(address, "GET", "/hello", &[], "").status, 200);
                    sent.fetch_add(1, Relaxed);
                }
            });
        }
        for round in 0..3 {
            let count = || telemetry(&gateway, "traces")["exported"].as_u64().unwrap();
            let before = count();
            wait_until("an export", || {
                exported.store(count(), Relaxed);
                exported.load(Relaxed) > before
            });
            let yaml = match round {
                0 => rest(&http.endpoint, "http/protobuf", "always_on"),
                1 => rest(&http.endpoint, "http/protobuf", "{ parentbased_traceidratio: 1.0 }"),
                _ => rest(&grpc.endpoint, "grpc", "always_on"),
            };
            std::fs::write(gateway.file(), yaml).unwrap();
            assert_eq!(gateway.admin("POST", "/reload").status, 200);
        }
        over.store(true, Relaxed);
    });
    let sent = sent.load(Relaxed);
    wait_until("the last span", || telemetry(&gateway, "traces")["exported"].as_u64() == Some(sent));
    let received: std::collections::HashSet<_> =
        [&grpc, &http].into_iter().flat_map(Collector::received).map(|span| span.id).collect();
    assert_eq!(received.len() as u64, sent);
    assert!(!grpc.received().is_empty() && !http.received().is_empty());
}
