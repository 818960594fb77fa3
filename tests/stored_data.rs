//! Stored values that an edit or a rename hides, returns or misses: each has a warning or an error with what to do.

use crate::harness::{Answer, Gateway, HEAD, command, command_after};
use serde_json::{Value, json};
use std::path::Path;

/// A resource with these fields, besides `title`.
fn notes(store: &str, resource: &str, fields: &str) -> String {
    format!(
        r#"
listeners: {{ web: {{ address: "127.0.0.1:0" }} }}
stores: {{ main: {{ url: "sqlite://{store}" }} }}
resources:
  {resource}:
    store: main
    access: {{ default: public }}
    fields:
      title: {{ type: string }}
{fields}
routes:
  notes: {{ path: /notes, resource: {resource} }}
"#
    )
}

const STORE: &str = "data/notes.db";

fn made(gateway: &Gateway, item: &Value) {
    assert_eq!(gateway.json("POST", "/notes", item).status, 201);
}

/// The only warning or error of a reload with this code.
fn found(answer: &Answer, code: &str) -> (String, String) {
    let (body, list) = (answer.json(), if answer.status == 200 { "warnings" } else { "diagnostics" });
    let mut with_code = body[list].as_array().unwrap().iter().filter(|found| found["code"] == code);
    let (Some(found), None) = (with_code.next(), with_code.next()) else { panic!("{body}") };
    (found["message"].as_str().unwrap().to_owned(), found["help"].as_str().unwrap().to_owned())
}

/// Runs the UPDATE at the end of a help.
fn run_update(gateway: &Gateway, help: &str) -> usize {
    let sql = &help[help.find("UPDATE ").unwrap()..];
    rusqlite::Connection::open(gateway.folder().join(STORE)).unwrap().execute(sql, []).unwrap()
}

#[test]
fn a_reload_and_the_status_show_the_warnings_of_the_generation() {
    let gateway = Gateway::start(&notes(STORE, "notes", "      qty: { type: integer }"));
    made(&gateway, &json!({"qty": 1}));
    std::fs::write(gateway.file(), format!("{HEAD}{}", notes(STORE, "notes", "      number: { type: integer }")))
        .unwrap();
    let client = |name: &str| {
        let output = command(gateway.folder()).args([name, "--address", &gateway.admin.to_string()]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout))
    };
    let reloaded = client("reload");
    for part in ["warning[GW0633]", "UPDATE \"notes\" SET \"number\" = \"qty\"", "reloaded: generation 2 is serving"] {
        assert!(reloaded.contains(part), "{part}: {reloaded}");
    }
    let status = gateway.admin("GET", "/status").json();
    let codes: Vec<_> = status["warnings"].as_array().unwrap().iter().map(|warning| warning["code"].clone()).collect();
    assert!(codes.contains(&json!("GW0633")), "{status}");
    let shown = client("status");
    assert!(
        shown.contains("warning[GW0633]: resources.notes.fields: ") && shown.contains("  help: nothing"),
        "{shown}"
    );
}

#[test]
fn a_resource_that_was_renamed_while_the_gateway_was_stopped_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("notes.db").display().to_string();
    let mut gateway = Gateway::start(&notes(&data, "authors", ""));
    made(&gateway, &json!({"title": "x"}));
    gateway.signal("TERM");
    assert_eq!(gateway.wait(), Some(0));
    // Not a table of this program.
    rusqlite::Connection::open(&data)
        .unwrap()
        .execute_batch("CREATE TABLE other (x); INSERT INTO other VALUES (1)")
        .unwrap();
    for _ in 0..2 {
        let mut gateway = Gateway::start(&notes(&data, "bards", ""));
        let warning = gateway.wait_for_log(|line| line["code"] == "GW0633");
        assert_eq!(warning["path"], "resources.bards");
        assert_eq!(warning["detail"], "no resource uses the table `authors`, which has 1 row");
        let help = warning["help"].as_str().unwrap();
        assert!(help.contains("if it is the table of `bards`, add `table: authors` to it"), "{help}");
        assert!(help.ends_with("DELETE FROM \"authors\";"), "{help}");
        assert_eq!(gateway.log().matches("GW0633").count(), 1);
        assert_eq!(gateway.get("/notes").json(), json!([]));
    }
    let named = notes(&data, "bards", "").replace("    store: main", "    store: main\n    table: authors");
    let mut gateway = Gateway::start(&named);
    assert_eq!(gateway.get("/notes").json()[0]["title"], "x");
    assert!(!gateway.log().contains("GW0633"));
}

#[test]
fn a_field_whose_nulls_were_allowed_for_good_does_not_become_required_without_a_value() {
    let loose = notes(STORE, "notes", "      name: { type: string, required: true, nullable: true }");
    let strict = loose.replace(", nullable: true", "");
    let gateway = Gateway::start(&loose);
    made(&gateway, &json!({"name": null}));
    let (message, help) = found(&gateway.reload(&strict), "GW0630");
    assert_eq!(message, "`name` is required, but some items in table `notes` do not have it");
    assert_eq!(run_update(&gateway, &help), 1);
    assert_eq!(gateway.reload(&strict).status, 200);
    assert_eq!(gateway.get("/notes").json()[0]["name"], "VALUE");
    // An edit can be undone, whatever was written in the meantime.
    assert_eq!(gateway.reload(&loose).status, 200);
    made(&gateway, &json!({"name": null}));
    let (message, help) = found(&gateway.reload(&strict), "GW0635");
    assert_eq!(message, "field `name` of `notes` is required, but 1 item has no value");
    assert_eq!(run_update(&gateway, &help), 1);
    let again = gateway.admin("POST", "/reload");
    assert!(!again.body.contains("GW0635"), "{again:?}");
}

#[test]
fn a_field_that_is_declared_again_is_a_warning_if_it_brings_back_values() {
    let with = notes(STORE, "notes", "      qty: { type: integer }");
    let without = notes(STORE, "notes", "");
    let gateway = Gateway::start(&with);
    made(&gateway, &json!({"qty": 7}));
    assert_eq!(gateway.reload(&without).status, 200);
    let (message, help) = found(&gateway.reload(&with), "GW0635");
    assert_eq!(message, "field `qty` of `notes` has 1 value from before it was removed");
    assert_eq!(gateway.get("/notes").json()[0]["qty"], 7);
    assert_eq!(run_update(&gateway, &help), 1);
    assert!(gateway.get("/notes").json()[0]["qty"].is_null());
    assert_eq!(gateway.reload(&without).status, 200);
    assert!(!gateway.reload(&with).body.contains("GW0635"));
}

#[test]
fn a_reload_does_not_replace_a_database_that_was_moved_away() {
    let gateway = Gateway::start(&notes(STORE, "notes", ""));
    made(&gateway, &json!({"title": "x"}));
    let (file, aside) = (gateway.folder().join(STORE), gateway.folder().join("aside.db"));
    rusqlite::Connection::open(&file).unwrap().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    std::fs::rename(&file, &aside).unwrap();
    let edited = notes(STORE, "notes", "      qty: { type: integer }");
    let (message, help) = found(&gateway.reload(&edited), "GW0810");
    assert!(message.contains("notes.db was moved or deleted while it was in use"), "{message}");
    assert!(help.starts_with("no tables were changed"), "{help}");
    assert!(!file.exists());
    std::fs::rename(&aside, &file).unwrap();
    assert_eq!(gateway.reload(&edited).status, 200);
    assert_eq!(gateway.get("/notes").json()[0]["title"], "x");
}

#[test]
fn an_empty_database_at_the_configured_place_does_not_hide_one_with_items_at_the_former_place() {
    let start = |prepare: &dyn Fn(&Path)| {
        Gateway::start_as(&format!("{HEAD}{}", notes(STORE, "notes", "")), |folder| {
            std::fs::create_dir_all(folder.join("work/data")).unwrap();
            prepare(folder);
            command_after("cd work && set -- run ../gateway.yaml", folder)
        })
    };
    let old = tempfile::tempdir().unwrap();
    let full = old.path().join("notes.db");
    let mut first = Gateway::start(&notes(&full.display().to_string(), "notes", ""));
    made(&first, &json!({"title": "x"}));
    first.signal("TERM");
    assert_eq!(first.wait(), Some(0));
    let copy = |folder: &Path, name: &str| {
        std::fs::create_dir_all(folder.join(name)).unwrap();
        std::fs::copy(&full, folder.join(name).join("notes.db")).unwrap();
    };
    let mut gateway = start(&|folder| {
        copy(folder, "work/data");
        std::fs::create_dir(folder.join("data")).unwrap();
        std::fs::write(folder.join(STORE), "").unwrap();
    });
    let warning = gateway.wait_for_log(|line| line["code"] == "GW0634");
    let old = gateway.folder().canonicalize().unwrap().join("work/data/notes.db");
    assert!(warning["help"].as_str().unwrap().starts_with(&format!("write `sqlite://{}`", old.display())), "{warning}");
    // With items in both, the configured place is meant.
    let mut gateway = start(&|folder| {
        copy(folder, "work/data");
        copy(folder, "data");
    });
    assert_eq!(gateway.get("/notes").json()[0]["title"], "x");
    assert!(!gateway.log().contains("GW0634"));
}

#[test]
fn another_type_of_the_id_is_an_error_at_the_id() {
    let gateway = Gateway::start(&notes(STORE, "notes", ""));
    made(&gateway, &json!({"title": "x"}));
    let other = notes(STORE, "notes", "").replace("    access:", "    id: { type: integer }\n    access:");
    let refused = gateway.reload(&other).json();
    let found = refused["diagnostics"].as_array().unwrap().iter().find(|found| found["code"] == "GW0630").unwrap();
    assert_eq!(found["path"], "resources.notes.id", "{refused}");
    assert!(found["line"].is_number(), "{refused}");
}
