//! A table of `OTEL_*` variables combined with YAML.

use super::*;
use crate::config::document::telemetry::{OtlpCompression, OtlpProtocol, OtlpTls};

fn spec(json: serde_json::Value) -> Telemetry {
    serde_json::from_value(json).unwrap()
}

fn plan(json: serde_json::Value, variables: &[(&str, &str)]) -> Result<TelemetryPlan, Fault> {
    let lookup = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    TelemetryPlan::new(&spec(json), &lookup)
}

#[test]
fn nothing_is_exported_without_a_receiver() {
    assert!(plan(serde_json::json!({}), &[]).unwrap().traces.is_none());
}

#[test]
fn variables_override_the_document() {
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
    let receiver = plan.traces.unwrap();
    assert_eq!(receiver.endpoint.to_string(), "http://b:4318/v1/traces");
    assert_eq!(receiver.protocol, OtlpProtocol::HttpProtobuf);
    assert_eq!(receiver.timeout, Duration::from_millis(1500));
    assert!(plan.sampling == Sampling::new(false, 0.5));
    let last = |name: &str| plan.resource.iter().rfind(|(known, _)| known == name).map(|(_, value)| value.as_str());
    assert_eq!(last("service.name"), Some("named"));
    assert_eq!(last("team"), Some("b c"));
    assert_eq!(last("zone"), Some("z"));
}

#[test]
fn the_endpoint_of_a_signal_is_used_unchanged() {
    let variables = [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://b:4318/own/path"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
    ];
    assert_eq!(
        plan(serde_json::json!({}), &variables).unwrap().traces.unwrap().endpoint.to_string(),
        "http://b:4318/own/path"
    );
}

#[test]
fn each_signal_has_its_own_variables_and_metrics_and_logs_are_opt_in() {
    let general = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");
    let alone = plan(serde_json::json!({}), &[general]).unwrap();
    assert!(alone.traces.is_some() && alone.metrics.is_none() && alone.logs.is_none());
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
    assert_eq!(
        (&*metrics.endpoint.to_string(), metrics.compression),
        ("http://c:4318/v1/metrics", OtlpCompression::Gzip)
    );
    let key = Some("/key.pem".into());
    assert!(metrics.tls == OtlpTls { ca_file: Some("/ca.pem".into()), cert_file: None, key_file: key.clone() });
    assert_eq!((&*logs.endpoint.to_string(), logs.protocol), ("http://d:4317", OtlpProtocol::Grpc));
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
fn header_fields_from_the_environment_override_those_from_the_file_individually() {
    let written = serde_json::json!({ "traces": { "otlp": { "endpoint": "http://a:4317",
        "headers": { "X-Tenant": "file", "X-Other": "file" } } } });
    let variables = [("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=a%20b%2C, x-new=1,")];
    let headers = plan(written, &variables).unwrap().traces.unwrap().headers;
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    assert_eq!(headers, [("x-other", "file"), ("x-tenant", "a b,"), ("x-new", "1")]);
}

#[test]
fn header_fields_that_the_gateway_sets_itself_are_faults() {
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
    assert!(with("B3,b3, TraceContext,").unwrap() == [Propagator::B3, Propagator::Tracecontext]);
    assert!(with("tracecontext,xray").unwrap() == [Propagator::Tracecontext]);
    let usual = [Propagator::Tracecontext, Propagator::Baggage];
    assert!(with("jaeger").unwrap() == usual, "nothing is left of it, so it counts as not set");
}

#[test]
fn a_disabled_sdk_exports_nothing() {
    let written = serde_json::json!({ "traces": { "otlp": { "endpoint": "http://a:4317" } } });
    assert!(plan(written, &[("OTEL_SDK_DISABLED", "TRUE")]).unwrap().traces.is_none());
}

#[test]
fn a_variable_that_is_not_valid_is_ignored_and_named_once_and_no_secret_is_shown() {
    let written = || {
        let otlp = serde_json::json!({ "endpoint": "http://a:4317", "timeout": "7s", "headers": { "x-a": "file" } });
        serde_json::json!({ "traces": { "otlp": otlp, "sampler": "always_off" }, "metrics": { "otlp": otlp },
            "logs": { "otlp": otlp }, "service_name": "written" })
    };
    let usual = plan(written(), &[]).unwrap();
    assert_eq!(usual.ignored, []);
    for (name, value) in [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "thrift"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "5s"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "-1"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
        ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "lots"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "S3CRET"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-b=S3CRET%0A"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "host=S3CRET"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "b c=S3CRET"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4317"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://u:S3CRET@h:1"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "b"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_TRACES_SAMPLER_ARG", "NaN"),
        ("OTEL_TRACES_SAMPLER_ARG", "1.5"),
        ("OTEL_TRACES_EXPORTER", "console"),
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1m"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
        ("OTEL_PROPAGATORS", "xray"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=b,c"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=%FF"),
        ("OTEL_RESOURCE_ATTRIBUTES", "=b"),
        ("OTEL_SDK_DISABLED", "yes"),
    ] {
        let mut with = plan(written(), &[(name, value)]).unwrap();
        let ignored = std::mem::take(&mut with.ignored);
        let names: Vec<_> = ignored.iter().map(|ignored| ignored.variable.as_str()).collect();
        assert_eq!(names, [name], "{value}");
        assert!(!ignored[0].reason.contains("S3CRET"), "{ignored:?}");
        assert!(with == usual, "{name}={value} changes nothing");
    }
}

#[test]
fn values_from_the_environment_are_case_insensitive() {
    let written = serde_json::json!({ "traces": { "otlp": { "endpoint": "http://a:4317" } } });
    let variables = [
        ("OTEL_TRACES_SAMPLER", "ParentBased_Always_Off"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "HTTP/Protobuf"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "GZip"),
        ("OTEL_SDK_DISABLED", "False"),
        ("OTEL_TRACES_EXPORTER", "OTLP"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", " 1500 "),
    ];
    let plan = plan(written.clone(), &variables).unwrap();
    assert_eq!(plan.ignored, []);
    assert!(plan.sampling == Sampling::new(true, 0.0));
    let receiver = plan.traces.unwrap();
    assert_eq!((receiver.protocol, receiver.compression), (OtlpProtocol::HttpProtobuf, OtlpCompression::Gzip));
    assert!(self::plan(written, &[("OTEL_TRACES_EXPORTER", "None")]).unwrap().traces.is_none());
}

#[test]
fn the_resource_names_the_sdk_and_the_configuration_wins() {
    let last = |plan: &TelemetryPlan, name: &str| {
        plan.resource.iter().rfind(|(known, _)| known == name).map(|(_, value)| value.clone()).unwrap()
    };
    let usual = plan(serde_json::json!({}), &[]).unwrap();
    assert_eq!(
        (last(&usual, "telemetry.sdk.name"), last(&usual, "telemetry.sdk.language")),
        ("opentelemetry".into(), "rust".into())
    );
    assert!(last(&usual, "telemetry.sdk.version").starts_with("0."));
    let own =
        plan(serde_json::json!({}), &[("OTEL_RESOURCE_ATTRIBUTES", "telemetry.sdk.name=mine,a%20b=c%2Cd,")]).unwrap();
    assert_eq!((last(&own, "telemetry.sdk.name"), last(&own, "a b")), ("mine".into(), "c,d".into()));
}
