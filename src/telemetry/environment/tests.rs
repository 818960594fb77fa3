//! `OTEL_*` variables and YAML together, as a table.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::config::document::telemetry::{OtlpCompression, OtlpProtocol, OtlpTls};

fn spec(json: serde_json::Value) -> Telemetry {
    serde_json::from_value(json).unwrap()
}

fn plan(json: serde_json::Value, variables: &[(&str, &str)]) -> Result<Plan, Fault> {
    let lookup = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    Plan::new(&spec(json), &lookup)
}

#[test]
fn nothing_is_exported_unless_somebody_says_where() {
    assert!(plan(serde_json::json!({}), &[]).unwrap().target.is_none());
}

#[test]
fn variables_win_over_the_document() {
    let written = serde_json::json!({ "traces": { "otlp": { "endpoint": "http://a:4317" }, "sampler": "always_off" },
        "service_name": "written", "resource": { "team": "a" } });
    let plan = plan(
        written,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://b:4318/"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"),
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.5"),
            ("OTEL_RESOURCE_ATTRIBUTES", "team=b%20c, zone=z"),
            ("OTEL_SERVICE_NAME", "named"),
        ],
    )
    .unwrap();
    let target = plan.target.unwrap();
    assert_eq!(target.endpoint, "http://b:4318/v1/traces");
    assert_eq!(target.protocol, OtlpProtocol::HttpProtobuf);
    assert_eq!(target.timeout, Duration::from_millis(1500));
    assert!(plan.sampling == Sampling::new(false, 0.5));
    let last = |name: &str| plan.resource.iter().rfind(|(known, _)| known == name).map(|(_, value)| value.as_str());
    assert_eq!(last("service.name"), Some("named"));
    assert_eq!(last("team"), Some("b c"));
    assert_eq!(last("zone"), Some("z"));
}

#[test]
fn the_endpoint_of_the_signal_is_taken_as_it_is() {
    let variables = [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://b:4318/own/path"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
    ];
    assert_eq!(plan(serde_json::json!({}), &variables).unwrap().target.unwrap().endpoint, "http://b:4318/own/path");
}

#[test]
fn each_signal_has_its_own_variables_and_metrics_and_logs_want_to_be_asked_for() {
    let general = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");
    let alone = plan(serde_json::json!({}), &[general]).unwrap();
    assert!(alone.target.is_some() && alone.metrics.is_none() && alone.logs.is_none());
    let written = serde_json::json!({ "metrics": { "otlp": { "endpoint": "http://a:1", "interval": "10s" } },
        "logs": { "otlp": { "endpoint": "http://a:1" } } });
    let variables = [
        general,
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://d:4317"),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", "/ca.pem"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/key.pem"),
    ];
    let both = plan(written.clone(), &variables).unwrap();
    let (metrics, logs) = (both.metrics.unwrap(), both.logs.unwrap());
    assert_eq!((metrics.endpoint.as_str(), metrics.compression), ("http://c:4318/v1/metrics", OtlpCompression::Gzip));
    let key = Some("/key.pem".into());
    assert!(metrics.tls == OtlpTls { ca_file: Some("/ca.pem".into()), cert_file: None, key_file: key.clone() });
    assert_eq!((logs.endpoint.as_str(), logs.protocol), ("http://d:4317", OtlpProtocol::Grpc));
    assert_eq!((logs.compression, logs.tls.ca_file, logs.tls.key_file), (OtlpCompression::None, None, key));
    assert_eq!(both.interval, Duration::from_secs(10));
    let quick = plan(written.clone(), &[("OTEL_METRIC_EXPORT_INTERVAL", "1500")]).unwrap();
    assert_eq!(quick.interval, Duration::from_millis(1500));
    let off = plan(written, &[("OTEL_METRICS_EXPORTER", "none"), ("OTEL_LOGS_EXPORTER", "none")]).unwrap();
    assert!(off.metrics.is_none() && off.logs.is_none());
    assert!(
        plan(serde_json::json!({}), &[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://m:1")])
            .unwrap()
            .metrics
            .is_some()
    );
}

#[test]
fn header_fields_of_the_environment_win_over_those_of_the_file_one_by_one() {
    let written = serde_json::json!({ "traces": { "otlp": { "endpoint": "http://a:4317",
        "headers": { "X-Tenant": "file", "X-Other": "file" } } } });
    let variables = [("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=a%20b%2C, x-new=1,")];
    let headers = plan(written, &variables).unwrap().target.unwrap().headers;
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    assert_eq!(headers, [("x-other", "file"), ("x-tenant", "a b,"), ("x-new", "1")]);
}

#[test]
fn endpoints_and_header_fields_that_cannot_work_are_faults() {
    for (endpoint, message) in [
        ("http://u:SECRET@host:4317", "credentials belong"),
        ("http://host/x?token=SECRET", "a query"),
        ("http://host:99999", "no such port"),
        ("http://host:0", "no such port"),
        ("grpc://host:1", "not an http URL"),
    ] {
        let fault = plan(serde_json::json!({ "logs": { "otlp": { "endpoint": endpoint } } }), &[]).err().unwrap();
        assert!(fault.path == "logs.otlp.endpoint" && fault.message.contains(message), "{endpoint}: {fault}");
        assert!(!fault.to_string().contains("SECRET"));
    }
    for fine in ["http://[::1]:4317", "https://host", "http://host/base"] {
        assert!(plan(serde_json::json!({ "traces": { "otlp": { "endpoint": fine } } }), &[]).is_ok(), "{fine}");
    }
    for name in ["Content-Length", "transfer-encoding", "grpc-timeout", "host"] {
        let written =
            serde_json::json!({ "traces": { "otlp": { "endpoint": "http://a:1", "headers": { name: "1" } } } });
        let fault = plan(written, &[]).err().unwrap();
        assert!(fault.message.contains("itself"), "{name}: {fault}");
    }
}

#[test]
fn propagators_of_the_environment_win() {
    let with = |list| plan(serde_json::json!({}), &[("OTEL_PROPAGATORS", list)]).map(|plan| plan.propagators);
    assert!(with("b3, tracecontext").unwrap() == [Propagator::B3, Propagator::Tracecontext]);
    assert!(with("none").unwrap().is_empty());
    assert!(with("jaeger").is_err_and(|fault| fault.path == "traces.propagators" && fault.message.contains("jaeger")));
}

#[test]
fn a_disabled_sdk_exports_nothing() {
    let written = serde_json::json!({ "traces": { "otlp": { "endpoint": "http://a:4317" } } });
    assert!(plan(written, &[("OTEL_SDK_DISABLED", "TRUE")]).unwrap().target.is_none());
}

#[test]
fn what_cannot_work_is_a_fault_that_names_its_place() {
    let with = |endpoint: &str| serde_json::json!({ "traces": { "otlp": { "endpoint": endpoint } } });
    for (json, variables, path) in [
        (with("a:4317"), vec![], "traces.otlp.endpoint"),
        (with("ftp://a"), vec![], "traces.otlp.endpoint"),
        (with("http://a b"), vec![], "traces.otlp.endpoint"),
        (with("http://a:4317"), vec![("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")], "traces.otlp.protocol"),
        (with("http://a:4317"), vec![("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd")], "traces.otlp.compression"),
        (with("http://a:4317"), vec![("OTEL_EXPORTER_OTLP_HEADERS", "a=b,c")], "traces.otlp.headers"),
        (with("http://a:4317"), vec![("OTEL_EXPORTER_OTLP_HEADERS", "a=%0A")], "traces.otlp.headers.a"),
        (serde_json::json!({ "metrics": { "otlp": { "endpoint": "a" } } }), vec![], "metrics.otlp.endpoint"),
        (with("http://a:4317"), vec![("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "b")], "logs.otlp.endpoint"),
        (with("http://a:4317"), vec![("OTEL_TRACES_SAMPLER", "sometimes")], "traces.sampler"),
        (
            with("http://a:4317"),
            vec![("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "NaN")],
            "traces.sampler",
        ),
        (
            serde_json::json!({ "traces": { "otlp": { "endpoint": "http://a:1", "headers": { "b c": "d" } } } }),
            vec![],
            "traces.otlp.headers.b c",
        ),
    ] {
        let fault = plan(json, &variables).err().unwrap();
        assert_eq!(fault.path, path, "{fault}");
    }
}
