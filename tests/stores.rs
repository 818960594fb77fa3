//! Stores and their files, through the real program.

use crate::harness::{Gateway, HEAD, command};
use serde_json::json;
use std::path::Path;

fn notes(url: &str) -> String {
    format!(
        r#"
listeners: {{ web: {{ address: "127.0.0.1:0" }} }}
stores: {{ main: {{ url: "{url}" }} }}
resources:
  notes:
    store: main
    access: {{ default: public }}
    fields:
      title: {{ type: string, required: true }}
routes:
  notes: {{ path: /notes, resource: notes }}
"#
    )
}

/// The error when the program does not start with the file `url` in `folder`.
fn refusal(folder: &Path, url: &str) -> String {
    std::fs::write(folder.join("second.yaml"), format!("{HEAD}{}", notes(url))).unwrap();
    let output = command(folder).args(["run", "second.yaml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn two_gateways_cannot_share_a_file_under_any_name() {
    let first = Gateway::start(&notes("sqlite://data/notes.db"));
    assert_eq!(first.json("POST", "/notes", &json!({"title": "one"})).status, 201);
    let folder = first.folder().to_owned();
    std::fs::hard_link(folder.join("data/notes.db"), folder.join("hard.db")).unwrap();
    std::os::unix::fs::symlink("data/notes.db", folder.join("soft.db")).unwrap();
    std::os::unix::fs::symlink("data", folder.join("linked")).unwrap();
    for name in ["data/notes.db", "hard.db", "soft.db", "linked/notes.db", "data/../data/notes.db"] {
        let said = refusal(&folder, &format!("sqlite://{name}"));
        assert!(said.contains("in use by another gatewright"), "{name}: {said}");
    }
    assert_eq!(first.json("POST", "/notes", &json!({"title": "two"})).status, 201);
    assert_eq!(first.get("/notes").json().as_array().unwrap().len(), 2);
}

#[test]
fn a_gateway_that_was_killed_leaves_no_lock() {
    let first = Gateway::start(&notes("sqlite://data/notes.db"));
    assert_eq!(first.json("POST", "/notes", &json!({"title": "one"})).status, 201);
    let kept = tempfile::tempdir().unwrap();
    let link = kept.path().join("notes.db");
    std::fs::hard_link(first.folder().join("data/notes.db"), &link).unwrap();
    // Under another name there would be another log: the contents of this one must be in the file first.
    rusqlite::Connection::open(first.folder().join("data/notes.db"))
        .unwrap()
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    drop(first);
    let second = Gateway::start(&notes(&format!("sqlite://{}", link.display())));
    assert_eq!(second.get("/notes").json()[0]["title"], "one");
}

#[test]
fn one_file_under_two_names_is_one_store_too_many() {
    let gateway = Gateway::start(&notes("sqlite://data/notes.db"));
    let two = notes("sqlite://data/notes.db")
        .replace("routes:", "routes:\n  more: { path: /more, resource: more }")
        .replace("stores: {", "stores: { other: { url: \"sqlite://./data/notes.db\" },")
        .replace(
            "resources:",
            "resources:\n  more: { store: other, access: { default: public }, fields: { a: { type: string } } }",
        );
    let answer = gateway.reload(&two);
    assert_eq!(answer.status, 422, "{answer:?}");
    assert!(answer.body.contains("uses the same file"), "{}", answer.body);
    assert_eq!(gateway.json("POST", "/notes", &json!({"title": "one"})).status, 201);
}
