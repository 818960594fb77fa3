//! `OTEL_*` variables and YAML together, as a table.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;

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
fn a_disabled_sdk_exports_nothing() {
    let written = serde_json::json!({ "traces": { "otlp": { "endpoint": "http://a:4317" } } });
    assert!(plan(written, &[("OTEL_SDK_DISABLED", "TRUE")]).unwrap().target.is_none());
}

#[test]
fn what_cannot_work_is_a_fault_that_names_its_place() {
    let with = |endpoint: &str| serde_json::json!({ "traces": { "otlp": { "endpoint": endpoint } } });
    for (json, variables, path) in [
        (with("https://a:4317"), vec![], "traces.otlp.endpoint"),
        (with("ftp://a"), vec![], "traces.otlp.endpoint"),
        (with("http://a b"), vec![], "traces.otlp.endpoint"),
        (with("http://a:4317"), vec![("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")], "traces.otlp.protocol"),
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
