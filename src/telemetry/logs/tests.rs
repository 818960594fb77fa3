//! Log lines: one object each, escaped and bounded.

use crate::telemetry::Console;
use crate::telemetry::tests::{spec, telemetry, telemetry_on};
use serde_json::json;
use std::path::Path;

const HOSTILE: &str = "a\u{1b}[31mred\r\n{\"level\":\"ERROR\"}\u{0}\u{7f}\u{85}\u{2028}\u{202e}\\\"é";

#[tokio::test]
async fn a_line_is_one_line_whatever_it_says() {
    for format in ["json", "human"] {
        let (telemetry, lines, _guard) = telemetry(&spec(json!({ "logs": { "format": format } })));
        tracing::info!(target: "gatewright::x", text = HOSTILE, debug = ?HOSTILE, display = %HOSTILE, "it said {HOSTILE}");
        drop(telemetry);
        let text = lines.text();
        assert_eq!(text.matches('\n').count(), 1);
        let line = text.strip_suffix('\n').unwrap();
        assert!(!line.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{202e}')), "{line}");
        if format == "json" {
            let line = &lines.json()[0];
            assert_eq!(line["text"], HOSTILE);
            assert_eq!(line["display"], HOSTILE);
            assert_eq!((&line["level"], &line["target"]), (&json!("INFO"), &json!("gatewright::x")));
            assert!(line["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
        } else {
            assert!(line.contains(" INFO  gatewright::x it said a\\u001b[31mred"), "{line}");
        }
    }
}

#[tokio::test]
async fn no_line_is_longer_than_eight_kibibytes() {
    let (telemetry, lines, _guard) = telemetry(&spec(json!({})));
    let long = "\u{1}é".repeat(10_000);
    tracing::info!(a = long, b = long, c = long, d = long, e = long, f = long, number = 1, "long");
    tracing::info!(a = long, number = 1, "shorter");
    drop(telemetry);
    assert!(lines.text().lines().all(|line| line.len() <= 8 * 1024));
    let lines = lines.json();
    assert_eq!(lines[0]["truncated"], true);
    assert!(lines[1]["a"].as_str().unwrap().ends_with('…'));
    assert_eq!((&lines[1]["number"], &lines[1]["truncated"]), (&json!(1), &json!(null)));
}

#[tokio::test]
async fn level_and_format_change_while_the_process_runs() {
    let (telemetry, lines, _guard) = telemetry(&spec(json!({})));
    let say = || tracing::debug!(target: "gatewright::x", "detail");
    say();
    telemetry.apply_with(&spec(json!({ "logs": { "level": "debug" } })), Path::new(""), &|_| None).unwrap();
    say();
    telemetry
        .apply_with(&spec(json!({ "logs": { "level": "debug", "format": "human" } })), Path::new(""), &|_| None)
        .unwrap();
    say();
    telemetry.apply_with(&spec(json!({})), Path::new(""), &|_| None).unwrap();
    say();
    drop(telemetry);
    let text = lines.text();
    let text: Vec<_> = text.lines().collect();
    assert_eq!(text.len(), 2, "{text:?}");
    assert!(text[0].starts_with('{') && text[1].ends_with("DEBUG gatewright::x detail"), "{text:?}");
}

#[tokio::test]
async fn rust_log_wins_and_dependencies_are_quiet() {
    let (telemetry, lines, _guard) = telemetry(&spec(json!({ "logs": { "level": "debug" } })));
    tracing::info!(target: "h2::client", "chatter");
    tracing::warn!(target: "hyper::proto", "trouble");
    let rust_log = |name: &str| (name == "RUST_LOG").then(|| "error,gatewright::y=info".to_owned());
    telemetry.apply_with(&spec(json!({ "logs": { "level": "debug" } })), Path::new(""), &rust_log).unwrap();
    tracing::warn!(target: "gatewright::x", "not asked for");
    tracing::info!(target: "gatewright::y", "asked for");
    drop(telemetry);
    let messages: Vec<_> = lines.json().into_iter().map(|line| line["message"].clone()).collect();
    assert_eq!(messages, ["trouble", "asked for"]);
}

#[tokio::test]
async fn a_general_level_does_not_apply_to_dependencies() {
    for level in ["info", "debug", "trace", "debug,gatewright::y=trace"] {
        let (telemetry, lines, _guard) = telemetry(&spec(json!({})));
        let rust_log = |name: &str| (name == "RUST_LOG").then(|| level.to_owned());
        telemetry.apply_with(&spec(json!({})), Path::new(""), &rust_log).unwrap();
        tracing::warn!(target: "h2::proto", "for a frame of a client");
        tracing::info!(target: "hyper::proto", "chatter");
        tracing::info!(target: "gatewright::x", "told");
        drop(telemetry);
        assert_eq!(lines.json().iter().map(|line| &line["message"]).collect::<Vec<_>>(), ["told"], "{level}");
    }
    let (telemetry, lines, _guard) = telemetry(&spec(json!({})));
    let rust_log = |name: &str| (name == "RUST_LOG").then(|| "info,h2=debug".to_owned());
    telemetry.apply_with(&spec(json!({})), Path::new(""), &rust_log).unwrap();
    tracing::debug!(target: "h2::proto", "asked for by name");
    drop(telemetry);
    assert_eq!(lines.json().len(), 1);
}

#[tokio::test]
async fn an_invalid_rust_log_silences_nothing() {
    for text in ["[[[", "info debug", "gatewright=lots", "*", "warn;info"] {
        let (telemetry, lines, _guard) = telemetry(&spec(json!({})));
        let rust_log = |name: &str| (name == "RUST_LOG").then(|| text.to_owned());
        telemetry.apply_with(&spec(json!({})), Path::new(""), &rust_log).unwrap();
        tracing::info!(target: "gatewright::x", "told");
        drop(telemetry);
        assert_eq!(lines.json().len(), 1, "{text}");
    }
}

#[tokio::test]
async fn a_repeated_warning_is_logged_ten_times_a_minute_and_counted() {
    let (telemetry, lines, _guard) = telemetry(&spec(json!({})));
    for _ in 0..1000 {
        tracing::warn!(target: "gatewright::x", "again");
        tracing::info!(target: "gatewright::x", "not a warning");
        tracing::warn!(target: "gatewright::audit", "kept");
    }
    tracing::error!(target: "gatewright::x", "another place");
    drop(telemetry);
    let lines = lines.json();
    let count = |message: &str| lines.iter().filter(|line| line["message"] == *message).count();
    assert_eq!((count("again"), count("not a warning"), count("kept"), count("another place")), (10, 1000, 1000, 1));
}

/// Lines without their times.
fn at_a_terminal(color: bool, log: impl FnOnce()) -> Vec<String> {
    let (telemetry, lines, _guard) = telemetry_on(Console { terminal: true, color }, &spec(json!({})));
    log();
    drop(telemetry);
    lines.text().lines().map(|line| line.get("00:00:00".len()..).unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_terminal_gets_short_lines() {
    let lines = at_a_terminal(false, || {
        tracing::info!(target: "gatewright::x", route = "a", text = "two words", count = 2, "something happened");
        tracing::warn!(target: "gatewright::x", text = HOSTILE, "trouble");
        tracing::info!(target: "gatewright::x", generation = 2, human = "reloaded: routes.a (generation 2)", "reloaded");
    });
    assert_eq!(lines[0], "  something happened  route=a  text=\"two words\"  count=2");
    assert!(lines[1].starts_with("  warn  trouble  text=") && !lines[1].contains('\u{1b}'), "{lines:?}");
    assert_eq!(lines[2], "  reloaded: routes.a (generation 2)");
    let colored = at_a_terminal(true, || tracing::warn!(target: "gatewright::x", text = HOSTILE, "trouble"));
    assert!(colored[0].starts_with("  \u{1b}[33mwarn\u{1b}[0m  trouble"), "{colored:?}");
    assert_eq!(colored[0].matches('\u{1b}').count(), 4, "{colored:?}");
}

#[tokio::test]
async fn programs_get_the_fields_and_not_the_sentence() {
    let (telemetry, lines, _guard) = telemetry(&spec(json!({})));
    tracing::info!(generation = 2, human = "reloaded (generation 2)", "configuration reloaded");
    drop(telemetry);
    let line = &lines.json()[0];
    assert_eq!((&line["message"], &line["generation"]), (&json!("configuration reloaded"), &json!(2)));
    assert_eq!(line["human"], json!(null));
}
