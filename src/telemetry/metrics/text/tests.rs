//! The text that Prometheus scrapes.

use super::*;
use gatewright_sdk::metrics::{Buckets, Meters};

static REQUESTS: Instrument = Instrument {
    name: "gateway.test.requests",
    measure: Measure::Counter,
    unit: "{request}",
    help: "Requests",
    attributes: &["http.route"],
};
static TIMES: Instrument = Instrument {
    name: "gateway.test.duration",
    measure: Measure::Histogram(Buckets::DURATION),
    unit: "s",
    help: "Times",
    attributes: &[],
};

fn told(format: TextFormat) -> String {
    let meters = Meters::default();
    let requests = meters.counter(&REQUESTS, vec![("http.route", "/a\"\\\n".into())]);
    requests.add(3);
    let times = meters.histogram(&TIMES, Vec::new());
    times.record(7_000_000);
    times.record_traced(20_000_000_000, [0xab; 16], [0xcd; 8]);
    write(&meters.collect(), format)
}

#[test]
fn the_older_format_names_a_counter_by_its_samples_without_exemplars() {
    let text = told(TextFormat::Prometheus);
    assert!(text.contains("# HELP gateway_test_requests_total Requests\n# TYPE gateway_test_requests_total counter\n"));
    assert!(text.contains("gateway_test_requests_total{http_route=\"/a\\\"\\\\\\n\"} 3\n"), "{text}");
    assert!(text.contains("# TYPE gateway_test_duration_seconds histogram\n"));
    assert!(text.contains("gateway_test_duration_seconds_bucket{le=\"0.005\"} 0\n"));
    assert!(text.contains("gateway_test_duration_seconds_bucket{le=\"0.01\"} 1\n"));
    assert!(text.contains("gateway_test_duration_seconds_bucket{le=\"+Inf\"} 2\n"), "{text}");
    assert!(text.contains("gateway_test_duration_seconds_sum 20.007\n"));
    assert!(text.contains("gateway_test_duration_seconds_count 2\n"));
    assert!(!text.contains("EOF"));
}

#[test]
fn openmetrics_has_units_exemplars_and_an_end() {
    let text = told(TextFormat::OpenMetrics);
    assert!(text.contains("# TYPE gateway_test_requests counter\n"));
    assert!(text.contains("gateway_test_requests_total{"));
    assert!(text.contains("gateway_test_duration_seconds_bucket{le=\"1.0\"} "), "{text}");
    assert!(text.contains("# UNIT gateway_test_duration_seconds seconds\n"));
    let exemplar = format!("le=\"+Inf\"}} 2 # {{trace_id=\"{}\",span_id=\"{}\"}} 20 ", "ab".repeat(16), "cd".repeat(8));
    assert!(text.contains(&exemplar), "{text}");
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn bounds_are_written_as_openmetrics_writes_numbers() {
    for (bound, written) in [
        (1.0, "1.0"),
        (10.0, "10.0"),
        (0.005, "0.005"),
        (0.0001, "0.0001"),
        (0.000_01, "1e-05"),
        (2.5, "2.5"),
        (100_000.0, "100000.0"),
        (1_000_000.0, "1e+06"),
        (1_048_576.0, "1.048576e+06"),
        (1e10, "1e+10"),
        (0.0, "0.0"),
    ] {
        assert_eq!(canonical(bound), written);
    }
}

#[test]
fn the_preferred_format_is_chosen() {
    for (accept, openmetrics) in [
        ("application/openmetrics-text; version=1.0.0", true),
        (
            "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;q=0.3",
            true,
        ),
        ("Application/OpenMetrics-Text", true),
        ("application/openmetrics-text;q=0", false),
        ("application/openmetrics-text;q=0.2, text/plain", false),
        ("application/openmetrics-text;q=0, */*", false),
        ("application/openmetrics-textual", false),
        ("*/*", false),
        ("", false),
    ] {
        let headers = HeaderMap::from_iter([(http::header::ACCEPT, accept.parse().unwrap())]);
        let expected = if openmetrics { TextFormat::OpenMetrics } else { TextFormat::Prometheus };
        assert_eq!(TextFormat::of(&headers), expected, "{accept}");
    }
    assert_eq!(TextFormat::of(&HeaderMap::new()), TextFormat::Prometheus);
}

#[test]
fn every_instrument_can_be_reported() {
    let mut names = std::collections::HashSet::new();
    for instrument in crate::telemetry::instruments::ALL {
        let help = instrument.help;
        assert!(!help.contains(['"', '\\', '\n']) && !help.ends_with('.'), "{help}");
        assert!(names.insert(name(instrument)), "{} has the name of another one", instrument.name);
        if !matches!(instrument.measure, Measure::Histogram(_)) {
            assert!(!name(instrument).ends_with("_count"), "{} would look like a histogram", instrument.name);
        }
    }
}
