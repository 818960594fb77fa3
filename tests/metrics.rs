//! Metrics: counts are exact, survive reloads, and are readable only with permission.

mod connections;
mod sources;

use crate::harness::{Answer, Gateway, HEAD, PATIENCE, connect, read_answer, send};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Instant;

/// The beginning of a configuration with metrics at `/metrics`.
fn measured(rest: &str) -> String {
    HEAD.replace("telemetry: {", "telemetry: { metrics: { prometheus: {} },") + rest
}

fn start(rest: &str) -> Gateway {
    Gateway::start_whole(&measured(rest))
}

fn reload(gateway: &Gateway, rest: &str) -> Answer {
    std::fs::write(gateway.file(), measured(rest)).unwrap();
    gateway.admin("POST", "/reload")
}

/// A scrape.
pub struct Scraped(String);

impl Scraped {
    pub fn of(gateway: &Gateway) -> Self {
        let answer = gateway.admin("GET", "/metrics");
        assert_eq!(answer.status, 200, "{answer:?}");
        Self(answer.body)
    }

    /// The values of all samples with this name that have these labels.
    fn values(&self, name: &str, labels: &[(&str, &str)]) -> Vec<f64> {
        let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let labelled = |line: &&str| labels.iter().all(|(key, value)| line.contains(&format!("{key}=\"{value}\"")));
        let value = |line: &str| line.rsplit(' ').next().unwrap().parse().unwrap();
        self.0.lines().filter(of_name).filter(labelled).map(value).collect()
    }

    /// The value of the only sample with this name and these labels.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        match *self.values(name, labels) {
            [value] => value,
            ref values => panic!("{values:?} for {name} {labels:?} in\n{}", self.0),
        }
    }

    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.values(name, labels).iter().sum()
    }
}

/// Scrapes until `wanted` holds: the series of a snapshot end when its last user releases it.
pub fn wait_for(gateway: &Gateway, wanted: impl Fn(&Scraped) -> bool) -> Scraped {
    let until = Instant::now() + PATIENCE;
    loop {
        let scraped = Scraped::of(gateway);
        if wanted(&scraped) {
            return scraped;
        }
        assert!(Instant::now() < until, "it never came:\n{}", scraped.0);
    }
}

const HELLO: &str = r#"
listeners: { web: { address: "127.0.0.1:0" } }
routes: { root: { path: /, respond: { text: hello } } }
"#;

#[test]
fn metrics_are_off_by_default_and_a_reload_turns_them_on_and_off() {
    let gateway = Gateway::start(HELLO);
    assert_eq!(gateway.admin("GET", "/metrics").status, 404);
    assert_eq!(reload(&gateway, HELLO).status, 200);
    assert_eq!(gateway.admin("GET", "/metrics").status, 200);
    assert_eq!(gateway.admin("POST", "/metrics").status, 405);
    assert_eq!(send(gateway.admin, "GET", "/metrics", &[], "").status, 401);
    let moved = measured(HELLO).replace("prometheus: {}", "prometheus: { path: /scrape, open: true }");
    std::fs::write(gateway.file(), moved).unwrap();
    assert_eq!(gateway.admin("POST", "/reload").status, 200);
    assert_eq!(gateway.admin("GET", "/metrics").status, 404);
    assert_eq!(send(gateway.admin, "GET", "/scrape", &[], "").status, 200);
    assert_eq!(send(gateway.admin, "GET", "/status", &[], "").status, 401, "only metrics are open");
    assert_eq!(gateway.get("/metrics").status, 404, "clients get nothing of it");
    assert_eq!(gateway.reload(HELLO).status, 200);
    assert_eq!(gateway.admin("GET", "/scrape").status, 404);
}

#[test]
fn the_admin_address_accepts_its_additional_names() {
    let yaml = measured(HELLO).replace("admin: {", "admin: { hosts: [gateway],").replace("{}", "{ open: true }");
    let gateway = Gateway::start_whole(&yaml);
    for (host, status) in [("gateway:9901", 200), ("GATEWAY", 200), ("elsewhere:9901", 403)] {
        let mut stream = connect(gateway.admin);
        stream.write_all(format!("GET /metrics HTTP/1.1\r\nhost: {host}\r\n\r\n").as_bytes()).unwrap();
        assert_eq!(read_answer(&mut stream).unwrap().status, status, "{host}");
    }
}

#[test]
fn the_text_comes_in_both_formats() {
    let gateway = start(HELLO);
    let old = gateway.admin("GET", "/metrics");
    assert_eq!(old.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(!old.body.contains("# EOF"));
    let bearer = format!("Bearer {}", crate::harness::ADMIN_TOKEN);
    let headers = [("authorization", &*bearer), ("accept", "application/openmetrics-text;version=1.0.0")];
    let new = send(gateway.admin, "GET", "/metrics", &headers, "");
    assert_eq!(new.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert!(new.body.ends_with("# EOF\n") && new.body.contains("# UNIT process_uptime_seconds seconds\n"));
    let head = gateway.admin("HEAD", "/metrics");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[test]
fn reloads_are_counted_and_the_generation_is_reported() {
    let gateway = start(HELLO);
    let before = Scraped::of(&gateway);
    assert_eq!(before.value("gateway_config_generation", &[]), 1.0);
    assert_eq!(before.sum("gateway_reloads_total", &[]), 0.0, "the start is not a reload");
    assert_eq!(reload(&gateway, "listeners: {}\n").status, 422);
    let refused = Scraped::of(&gateway);
    assert_eq!(refused.value("gateway_config_refused", &[]), 1.0);
    assert_eq!(refused.value("gateway_config_generation", &[]), 1.0);
    assert_eq!(reload(&gateway, &HELLO.replace("hello", "again")).status, 200);
    let after = wait_for(&gateway, |scraped| scraped.values("gateway_config_generations_alive", &[]) == [1.0]);
    assert_eq!(after.value("gateway_config_refused", &[]), 0.0);
    assert_eq!(after.value("gateway_config_generation", &[]), 2.0);
    assert_eq!(gateway.admin("POST", "/reload").json()["changed"], false);
    let accepted = |scraped: &Scraped| scraped.value("gateway_config_accepted_time_seconds", &[]);
    assert!(accepted(&before) > 1.7e9 && accepted(&after) > accepted(&before));
    let after = Scraped::of(&gateway);
    for (outcome, count) in [("accepted", 1.0), ("refused", 1.0), ("unchanged", 1.0)] {
        let outcome = [("gateway_outcome", outcome)];
        assert_eq!(after.value("gateway_reloads_total", &outcome), count);
        assert_eq!(after.value("gateway_reload_duration_seconds_count", &outcome), count);
    }
}

#[test]
fn the_process_is_measured() {
    let gateway = start(HELLO);
    let scraped = Scraped::of(&gateway);
    assert_eq!(scraped.value("gateway_build_info", &[("service_version", env!("CARGO_PKG_VERSION"))]), 1.0);
    assert_eq!(scraped.value("gateway_panics_total", &[]), 0.0);
    for name in ["process_uptime_seconds", "process_resident_memory_bytes", "process_threads", "process_open_fds"] {
        assert!(scraped.value(name, &[]) > 0.0, "{name}");
    }
    let cpu = |scraped: &Scraped| scraped.sum("process_cpu_seconds_total", &[]);
    wait_for(&gateway, |later| cpu(later) > cpu(&scraped));
}

#[test]
fn open_connections_are_counted_by_listener() {
    let gateway = start(HELLO);
    let open = |scraped: &Scraped| scraped.value("gateway_connections", &[("gateway_listener", "web")]);
    assert_eq!(open(&Scraped::of(&gateway)), 0.0);
    let mut client = connect(gateway.address);
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    assert_eq!(read_answer(&mut client).unwrap().status, 200);
    assert_eq!(open(&Scraped::of(&gateway)), 1.0);
    assert_eq!(reload(&gateway, &HELLO.replace("hello", "again")).status, 200);
    assert_eq!(open(&Scraped::of(&gateway)), 1.0, "it is still there");
    drop(client);
    wait_for(&gateway, |scraped| open(scraped) == 0.0);
}

/// No output of `promtool check metrics` means that names, units and types are valid.
#[test]
fn promtool_has_nothing_to_say() {
    let gateway = start(sources::EVERYTHING);
    sources::use_everything(&gateway);
    let text = Scraped::of(&gateway).0;
    let started =
        Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    // Without promtool, only the tests of the writer check the text.
    let Ok(mut promtool) = started else { return };
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}
