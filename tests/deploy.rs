//! The files for operators match the program: dashboards and alerts use only metrics and labels that exist.

use crate::harness::{Gateway, HEAD, command};
use regex::Regex;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

type Labels = BTreeSet<String>;

/// PromQL keywords that are neither functions, metrics nor labels.
const WORDS: [&str; 6] = ["and", "or", "unless", "bool", "offset", "vector"];
/// Keywords followed by a list of labels.
const LISTS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
/// Labels that Prometheus adds to everything it scrapes.
const SCRAPED: [&str; 2] = ["job", "instance"];

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

/// One row of the metrics tables that `gatewright docs telemetry` prints.
struct Instrument {
    /// Whether it belongs to the gateway rather than to a plugin.
    own: bool,
    prometheus: String,
    kind: String,
    labels: Labels,
}

/// Every documented instrument.
fn instruments() -> Vec<Instrument> {
    let printed = command(&deploy()).args(["docs", "telemetry"]).output().unwrap();
    let text = String::from_utf8(printed.stdout).unwrap();
    let (mut found, mut section) = (Vec::new(), "");
    for line in text.lines() {
        section = line.strip_prefix("### ").unwrap_or(section);
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let ([_, prometheus, kind, _, attributes, _], true) = (cells.as_slice(), section.starts_with("Metrics")) else {
            continue;
        };
        if let Some(prometheus) = prometheus.strip_prefix('`').and_then(|name| name.strip_suffix('`')) {
            let names = attributes.split(", ").map(|name| name.trim_matches('`').replace('.', "_"));
            let labels = names.filter(|name| !name.is_empty()).chain(SCRAPED.map(str::to_owned)).collect();
            let (own, prometheus) = (section == "Metrics of the gateway", prometheus.to_owned());
            found.push(Instrument { own, prometheus, kind: (*kind).to_owned(), labels });
        }
    }
    assert!(found.iter().any(|one| one.own) && found.iter().any(|one| !one.own), "no tables in {text}");
    found
}

/// Every sample that the program exposes to Prometheus, with its labels.
fn exposed() -> BTreeMap<String, Labels> {
    let mut samples = BTreeMap::from([("up".to_owned(), SCRAPED.map(str::to_owned).into())]);
    for Instrument { prometheus: name, kind, mut labels, .. } in instruments() {
        if kind == "histogram" {
            samples.insert(format!("{name}_sum"), labels.clone());
            samples.insert(format!("{name}_count"), labels.clone());
            labels.insert("le".to_owned());
            samples.insert(format!("{name}_bucket"), labels);
        } else {
            samples.insert(name, labels);
        }
    }
    samples
}

const SERVED: &str = r#"
listeners: { web: { address: "127.0.0.1:0", chain: edge } }
stores: { main: { url: "sqlite://data/measured.db" } }
plugins:
  limited: { rate_limit: { key: client.ip, quota: 1, window: 1h } }
chains: { edge: [] }
resources: { notes: { store: main, access: { default: public }, fields: { title: { type: string, required: true } } } }
upstreams: { gone: { targets: [{ url: "http://127.0.0.1:1" }] } }
routes:
  notes:   { path: /api/notes, resource: notes }
  limited: { path: /limited, plugins: [limited], respond: { text: once } }
  gone:    { path: /gone, upstream: gone }
"#;

#[test]
fn a_scrape_contains_the_documented_series_and_nothing_else() {
    let metrics = "telemetry: { metrics: { prometheus: { path: /metrics } }, logs:";
    let gateway = Gateway::start_whole(&format!("{}{SERVED}", HEAD.replace("telemetry: { logs:", metrics)));
    assert_eq!(gateway.json("POST", "/api/notes", &serde_json::json!({ "title": "measured" })).status, 201);
    assert_eq!(
        ["/limited", "/limited", "/gone", "/nowhere"].map(|path| gateway.get(path).status),
        [200, 429, 502, 404]
    );
    let (exposed, scrape) = (exposed(), gateway.admin("GET", "/metrics"));
    assert_eq!(scrape.status, 200, "{scrape:?}");
    let (sample, label) = (Regex::new(r"^(\w+)(?:\{(.*)\})? \S+$").unwrap(), Regex::new(r#"(\w+)="[^"]*""#).unwrap());
    let mut seen = BTreeSet::new();
    for line in scrape.body.lines().filter(|line| !line.starts_with('#')) {
        let parts = sample.captures(line).unwrap_or_else(|| panic!("no sample: {line}"));
        let labels = exposed.get(&parts[1]).unwrap_or_else(|| panic!("in no table: {line}"));
        for found in parts.get(2).into_iter().flat_map(|labels| label.captures_iter(labels.as_str())) {
            assert!(labels.contains(&found[1]), "{} is in no table: {line}", &found[1]);
        }
        seen.insert(parts[1].to_owned());
    }
    for name in [
        "http_server_request_duration_seconds_bucket",
        "http_client_request_duration_seconds_count",
        "db_client_operation_duration_seconds_count",
        "gateway_plugin_decisions_total",
        "gateway_config_generation",
        "gateway_config_refused",
        "process_cpu_seconds_total",
        "process_open_fds",
        "process_uptime_seconds",
        "gateway_log_lines_dropped_total",
    ] {
        assert!(seen.contains(name), "{name} is not in the scrape: {seen:?}");
    }
}

/// The names used in an expression.
#[derive(Default)]
struct Named {
    metrics: BTreeSet<String>,
    /// Labels in braces, with their metric.
    selected: BTreeSet<(String, String)>,
    /// Labels in `by (…)` and similar lists.
    listed: Labels,
}

impl Named {
    fn of(expression: &str) -> Self {
        let values = Regex::new(r#""[^"]*"|'[^']*'|\[[^\]]*\]|\$+\{?\w+\}?"#).unwrap();
        let tokens = Regex::new(r"[A-Za-z_:][\w:]*|\S").unwrap();
        let bare = values.replace_all(expression, "\"\"");
        let tokens: Vec<&str> = tokens.find_iter(&bare).map(|found| found.as_str()).collect();
        let (mut named, mut metric, mut braces, mut list) = (Self::default(), "", false, false);
        for (place, token) in tokens.iter().enumerate() {
            let next = tokens.get(place + 1).copied().unwrap_or_default();
            match *token {
                "{" => braces = true,
                "}" => braces = false,
                ")" => list = false,
                word if !word.starts_with(|first: char| first.is_alphabetic() || first == '_') => {}
                word if LISTS.contains(&word) => list = true,
                word if list => drop(named.listed.insert(word.to_owned())),
                word if braces => drop(named.selected.insert((metric.to_owned(), word.to_owned()))),
                // Functions, and aggregations such as `sum by (…) (…)`.
                word if next == "(" || LISTS.contains(&next) || WORDS.contains(&word) => {}
                word => {
                    metric = word;
                    named.metrics.insert(word.to_owned());
                }
            }
        }
        named
    }

    /// The names that the program does not expose. `shown` is text that displays labels of the expression.
    fn unknown(&self, exposed: &BTreeMap<String, Labels>, shown: &str) -> Vec<String> {
        let has = |metric: &String, label: &str| exposed.get(metric).is_some_and(|labels| labels.contains(label));
        let metrics = self.metrics.iter().filter(|metric| !exposed.contains_key(*metric)).cloned();
        let selected = self.selected.iter().filter(|(metric, label)| !has(metric, label));
        let selected = selected.map(|(metric, label)| format!("{metric}{{{label}}}"));
        let templates = Regex::new(r"\{\{\s*(?:\$labels\.)?([a-z]\w*)\s*\}\}").unwrap();
        let shown = templates.captures_iter(shown).map(|found| found[1].to_owned());
        let labels = self.listed.iter().cloned().chain(shown);
        let labels = labels.filter(|label| !self.metrics.iter().any(|metric| has(metric, label)));
        metrics.chain(selected).chain(labels).collect()
    }
}

/// Every expression of a document, with the text that displays its labels.
fn expressions(value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        Value::Object(fields) => {
            let text = |key: &str| fields.get(key).and_then(Value::as_str);
            let shown = ["legendFormat", "textFormat"].into_iter().filter_map(text).collect::<String>();
            let shown = shown + &fields.get("annotations").map(Value::to_string).unwrap_or_default();
            let written = ["expr", "query", "definition"].into_iter().filter_map(text);
            // A variable's `label_values(metric, label)` names a label as `by` does; a word alone is not an expression.
            let values = Regex::new(r"^label_values\((.*),\s*(\w+)\)$").unwrap();
            for written in written.filter(|text| text.contains(['(', '{', '_'])) {
                found.push((values.replace(written, "group by ($2) ($1)").into_owned(), shown.clone()));
            }
            fields.values().for_each(|value| expressions(value, found));
        }
        _ => {}
    }
}

/// Every JSON and YAML file below `folder`.
fn documents(folder: &Path, found: &mut Vec<(PathBuf, Value)>) {
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            documents(&path, found);
        } else if path
            .extension()
            .is_some_and(|extension| ["json", "yaml", "yml"].iter().any(|known| extension == *known))
        {
            let text = std::fs::read_to_string(&path).unwrap();
            // JSON is YAML.
            found.push((path, serde_yaml::from_str(&text).unwrap()));
        }
    }
}

#[test]
fn dashboards_and_alerts_name_only_what_is_measured() {
    let (exposed, mut shipped) = (exposed(), Vec::new());
    ["grafana", "prometheus"].into_iter().for_each(|folder| documents(&deploy().join(folder), &mut shipped));
    let (mut wrong, mut used) = (Vec::new(), BTreeSet::new());
    for (path, document) in &shipped {
        let mut found = Vec::new();
        expressions(document, &mut found);
        for (expression, shown) in found {
            let named = Named::of(&expression);
            let unknown = named.unknown(&exposed, &shown);
            assert!(!named.metrics.is_empty(), "{}: no metric in {expression}", path.display());
            used.extend(named.metrics);
            wrong.extend(unknown.iter().map(|unknown| format!("{}: {unknown} in {expression}", path.display())));
        }
    }
    assert!(wrong.is_empty(), "not measured: {wrong:#?}");
    // A new instrument must be shown somewhere.
    let families =
        instruments().into_iter().filter(|instrument| instrument.own).map(|instrument| instrument.prometheus);
    let shows = |used: &str, family: &str| {
        let suffix = used.strip_prefix(family);
        suffix.is_some_and(|suffix| ["", "_bucket", "_sum", "_count"].contains(&suffix))
    };
    let unseen: Vec<_> = families.filter(|family| !used.iter().any(|used| shows(used, family))).collect();
    assert!(unseen.is_empty(), "on no dashboard and in no alert: {unseen:?}");
}

#[test]
fn a_misspelled_metric_or_label_is_found() {
    let exposed = exposed();
    let unknown = |expression: &str, shown: &str| Named::of(expression).unknown(&exposed, shown);
    let good = r#"sum by (gateway_route, le) (rate(http_server_request_duration_seconds_bucket{instance=~"$i"}[$__rate_interval])) > 0.05"#;
    assert_eq!(unknown(good, "{{gateway_route}} {{ $labels.gateway_route }} {{ $value }}"), [""; 0]);
    for (misspelled, found) in [
        ("rate(http_server_request_seconds_count[5m])", "http_server_request_seconds_count"),
        ("gateway_panics", "gateway_panics"),
        (r#"gateway_plugin_decisions_total{plugin="x"}"#, "gateway_plugin_decisions_total{plugin}"),
        (r#"process_open_fds{le="1"} / process_max_fds"#, "process_open_fds{le}"),
        ("sum by (route) (http_server_active_requests)", "route"),
    ] {
        assert_eq!(unknown(misspelled, ""), [found], "{misspelled}");
    }
    assert_eq!(unknown("gateway_connections", "{{ $labels.route }}"), ["route"]);
}

#[test]
fn the_configuration_is_valid_with_the_variables_of_compose() {
    let compose = std::fs::read_to_string(deploy().join("compose.yaml")).unwrap();
    let compose: Value = serde_yaml::from_str(&compose).unwrap();
    let variables = compose["services"]["gateway"]["environment"].as_object().unwrap();
    let default = Regex::new(r"\$\{\w+:-([^}]*)\}").unwrap();
    let variables =
        variables.iter().map(|(name, value)| (name, default.replace(value.as_str().unwrap(), "$1").into_owned()));
    let output = command(&deploy()).envs(variables).args(["check", "../config/gateway.yaml"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
