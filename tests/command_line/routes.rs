//! `gatewright routes`.

use super::{out, run, run_with};
use serde_json::Value;
use std::path::Path;

const TOLD_APART: &str = r#"
version: 1
listeners: { web: { address: "127.0.0.1:0" }, inner: { address: "127.0.0.1:0" } }
upstreams:
  a: { targets: [{ url: "http://10.0.0.1:81" }, { url: "http://10.0.0.2:82" }] }
routes:
  canary: { path: /x, headers: { x-canary: "1" }, upstream: a }
  usual:  { path: /x, upstream: a }
  ops:    { path: /y, listeners: [inner], respond: {} }
  named:  { path: /z, hosts: [z.example], respond: {} }
"#;

#[test]
fn routes_are_a_table() {
    let table = out(&run(&["routes", "config/examples/jwt.yaml"]));
    let row = table.lines().find(|line| line.starts_with("admin")).unwrap();
    assert!(row.contains("/admin") && row.contains("login, only-admin") && row.contains("respond 200"), "{table}");
    assert!(!["LISTENERS", "HOSTS", "HEADERS"].iter().any(|heading| table.contains(heading)), "{table}");
}

#[test]
fn what_tells_routes_apart_is_shown_and_where_they_lead() {
    let table = out(&run_with(Path::new("."), &["routes", "-"], TOLD_APART));
    let words = |name: &str| -> Vec<String> {
        let row = table.lines().find(|line| line.starts_with(name)).unwrap();
        row.split("  ").filter(|cell| !cell.is_empty()).map(|cell| cell.trim().to_owned()).collect()
    };
    let upstream = "upstream a (http://10.0.0.1:81, http://10.0.0.2:82)";
    assert_eq!(words("ROUTE"), ["ROUTE", "LISTENERS", "HOSTS", "PATH", "METHODS", "HEADERS", "PLUGINS", "TARGET"]);
    assert_eq!(words("canary"), ["canary", "*", "*", "/x", "*", "x-canary", "-", upstream]);
    assert_eq!(words("usual"), ["usual", "*", "*", "/x", "*", "*", "-", upstream]);
    assert_eq!(words("ops"), ["ops", "inner", "*", "/y", "*", "*", "-", "respond 200"]);
    assert_eq!(words("named"), ["named", "*", "z.example", "/z", "*", "*", "-", "respond 200"]);
}

#[test]
fn routes_are_json_for_programs() {
    let json = run_with(Path::new("."), &["routes", "-", "--format", "json"], TOLD_APART);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["listeners"][0]["name"], "web");
    let canary = json["routes"].as_array().unwrap().iter().find(|route| route["name"] == "canary").unwrap();
    assert_eq!(canary["target"]["targets"][1], "http://10.0.0.2:82");
    assert_eq!(canary["headers"][0], "x-canary");
}
