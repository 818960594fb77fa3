//! Items with equal values that were kept when a unique rule came back: they are named until they differ.

use crate::harness::{Gateway, HEAD, command};
use crate::moved_data::server;
use serde_json::{Value, json};

const CONFIGURATION: &str = r#"
listeners: { web: { address: "127.0.0.1:0" } }
stores: { main: { url: "STORE" } }
resources:
  notes:
    store: main
    id: { type: integer }
    access: { default: public }
    fields:
      title: { type: string RULE }
      by: { type: string }
routes:
  notes: { path: /notes, resource: notes }
"#;

const RULE: &str = ", unique: { ignore_case: true }";

fn warnings(list: &Value) -> Vec<&Value> {
    list.as_array().unwrap().iter().filter(|found| found["code"] == "GW0638").collect()
}

/// A gateway on the store whose rule came back after a second `tea` was made, and its configuration.
fn kept(folder: &std::path::Path, rule: &str) -> (Gateway, String, String) {
    let store = server::empty(folder);
    let strict = CONFIGURATION.replace("STORE", &store).replace("RULE", rule);
    let gateway = Gateway::start(&strict);
    let loose = CONFIGURATION.replace("STORE", &store).replace("RULE", "");
    let made =
        |title: &str| assert_eq!(gateway.json("POST", "/notes", &json!({ "title": title, "by": "ann" })).status, 201);
    made("tea");
    assert_eq!(gateway.reload(&loose).status, 200);
    made("Tea");
    made("milk");
    let back = gateway.reload(&strict);
    assert_eq!(back.status, 200, "{back:?}");
    assert_eq!(warnings(&back.json()["warnings"]).len(), 1, "{back:?}");
    (gateway, strict, store)
}

#[test]
fn equal_items_are_said_with_their_sql_until_they_differ() {
    let folder = tempfile::tempdir().unwrap();
    let (mut gateway, strict, store) = kept(folder.path(), RULE);
    gateway.signal("TERM");
    assert_eq!(gateway.wait(), Some(0));
    // A restart says it again, and so does each reload.
    let mut gateway = Gateway::start(&strict);
    let logged = gateway.wait_for_log(|line| line["code"] == "GW0638");
    assert_eq!(logged["path"], "resources.notes.fields.title");
    assert!(!gateway.log().contains("database schema warning"));
    for _ in 0..2 {
        let status = gateway.admin("GET", "/status").json();
        let found = warnings(&status["warnings"]);
        let [found] = found.as_slice() else { panic!("{status}") };
        let message = "`title` of `notes` is unique, but some items have equal values from before the rule came back (1 value): it \
                       holds for new writes only";
        assert_eq!(found["message"], message);
        let help = found["help"].as_str().unwrap();
        let sql = &help[help.find("SELECT ").unwrap()..=help.find(';').unwrap()];
        let ids = server::text(&store, sql, 1);
        let mut ids: Vec<_> = ids.split(", ").collect();
        ids.sort_unstable();
        assert_eq!(ids, ["1", "2"], "{help}");
        assert!(help.ends_with("give them other values or delete some, then reload"), "{help}");
        assert_eq!(gateway.admin("POST", "/reload").status, 200);
    }
    let shown = command(gateway.folder()).args(["status", "--address", &gateway.admin.to_string()]).output().unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("warning[GW0638]: resources.notes.fields.title: "), "{shown}");
    assert_eq!(gateway.json("PATCH", "/notes/2", &json!({ "title": "coffee" })).status, 200);
    let mended = gateway.admin("POST", "/reload");
    assert_eq!((mended.status, warnings(&mended.json()["warnings"]).len()), (200, 0), "{mended:?}");
    assert_eq!(gateway.json("PATCH", "/notes/2", &json!({ "title": "TEA" })).status, 409);
}

#[test]
fn the_command_shows_equal_items_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut gateway, strict, _) = kept(folder.path(), RULE);
    gateway.signal("TERM");
    assert_eq!(gateway.wait(), Some(0));
    let file = folder.path().join("gateway.yaml");
    std::fs::write(&file, format!("{HEAD}{strict}")).unwrap();
    let run = |arguments: &[&str]| {
        let output = command(folder.path()).arg("migrate").args(arguments).arg(&file).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    for arguments in [&[][..], &["--apply"]] {
        let (out, err) = run(arguments);
        assert!(err.contains("warning[GW0638]") && err.contains("then run this again"), "{err}");
        assert!(err.contains("duplicates of `resources.notes.fields.title`:\n  \"Tea\": 2 items\n"), "{err}");
        assert_eq!(out, "the tables are as the configuration needs them\n");
        let (out, _) = run(&[arguments, &["--format", "json"]].concat());
        let out: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(warnings(&out["diagnostics"]).len(), 1, "{out}");
        assert_eq!(out["duplicates"][0]["values"][0], json!({ "values": ["Tea"], "items": 2 }), "{out}");
    }
}

#[test]
fn values_that_are_unique_together_and_hidden_ones_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (mut gateway, ..) = kept(folder.path(), ", unique: { with: [by], ignore_case: true }, write_only: true");
    let warning = gateway.wait_for_log(|line| line["code"] == "GW0638");
    let detail = warning["detail"].as_str().unwrap();
    assert!(detail.contains("are unique together, but") && !detail.to_lowercase().contains("tea"), "{detail}");
}
