//! Stores and their files, through the real program.

use crate::harness::{Answer, Gateway, HEAD, command, command_after};
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

/// The error when the program does not start with file `url` in `folder`.
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
        assert!(said.contains(&format!("url: \"sqlite://{name}\"")), "{name}: {said}");
    }
    assert_eq!(first.json("POST", "/notes", &json!({"title": "two"})).status, 201);
    assert_eq!(first.get("/notes").json().as_array().unwrap().len(), 2);
}

#[test]
fn a_trigger_that_rolls_back_leaves_the_gateway_ready_and_the_log_shows_which_request_it_was() {
    let head = HEAD.replace("level: info", "level: info, access: {}");
    let mut gateway = Gateway::start_whole(&format!("{head}{}", notes("sqlite://data/notes.db")));
    rusqlite::Connection::open(gateway.folder().join("data/notes.db"))
        .unwrap()
        .execute_batch("CREATE TRIGGER t BEFORE INSERT ON notes BEGIN SELECT RAISE(ROLLBACK, 'not on Sundays'); END")
        .unwrap();
    let refused = gateway.json("POST", "/notes", &json!({"title": "one"}));
    assert_eq!(refused.status, 500);
    assert!(!refused.body.contains("Sundays"), "{}", refused.body);
    assert_eq!(gateway.get("/health/ready").status, 200);
    let line = gateway.wait_for_log(|line| line["path"] == "/notes");
    assert_eq!((&line["reason"], &line["error"]), (&json!("store_failed"), &json!("not on Sundays")), "{line}");
    assert_eq!(line["request_id"].as_str(), refused.header("x-request-id"), "{line}");
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
    std::os::unix::fs::symlink("data", gateway.folder().join("linked")).unwrap();
    let two = notes("sqlite://data/notes.db")
        .replace("routes:", "routes:\n  more: { path: /more, resource: more }")
        .replace("stores: {", "stores: { other: { url: \"sqlite://linked/notes.db\" },")
        .replace(
            "resources:",
            "resources:\n  more: { store: other, access: { default: public }, fields: { a: { type: string } } }",
        );
    let answer = gateway.reload(&two);
    assert_eq!(answer.status, 422, "{answer:?}");
    assert!(answer.body.contains("uses the same file"), "{}", answer.body);
    assert_eq!(gateway.json("POST", "/notes", &json!({"title": "one"})).status, 201);
}

/// A gateway whose working directory is the folder `work` in the folder of its configuration.
fn from_elsewhere(url: &str, prepare: impl FnOnce(&Path)) -> Gateway {
    Gateway::start_as(&format!("{HEAD}{}", notes(url)), |folder| {
        std::fs::create_dir(folder.join("work")).unwrap();
        prepare(folder);
        command_after("cd work && set -- run ../gateway.yaml", folder)
    })
}

#[test]
fn a_relative_path_starts_in_the_folder_of_the_configuration() {
    let mut gateway = from_elsewhere("sqlite://data/notes.db", |_| ());
    let folder = gateway.folder().canonicalize().unwrap();
    let file = folder.join("data/notes.db");
    assert!(file.is_file() && !folder.join("work/data").exists());
    let line = gateway.wait_for_log(|line| line["message"] == "store opened");
    assert_eq!((&line["store"], &line["path"]), (&json!("main"), &json!(file)));
    assert_eq!(gateway.admin("GET", "/status").json()["stores"], json!({ "main": file }));
}

#[test]
fn a_database_that_is_only_in_the_working_directory_is_used_with_a_warning() {
    let mut gateway = from_elsewhere("sqlite://data/notes.db", |folder| {
        std::fs::create_dir(folder.join("work/data")).unwrap();
        std::fs::write(folder.join("work/data/notes.db"), "").unwrap();
    });
    let folder = gateway.folder().canonicalize().unwrap();
    let (old, new) = (folder.join("work/data/notes.db"), folder.join("data/notes.db"));
    let warning = gateway.wait_for_log(|line| line["path"] == "stores.main.url");
    let (fault, help) = (warning["detail"].as_str().unwrap(), warning["help"].as_str().unwrap());
    assert!(fault.contains(old.to_str().unwrap()) && fault.contains(new.to_str().unwrap()), "{fault}");
    assert!(help.starts_with(&format!("write `sqlite://{}`", old.display())), "{help}");
    assert!(!new.exists());
    assert_eq!(gateway.json("POST", "/notes", &json!({"title": "one"})).status, 201);
    // What the warning says to write is the same store: nothing moves.
    let written = gateway.reload(&notes(&format!("sqlite://{}", old.display())));
    assert_eq!(written.status, 200, "{written:?}");
    assert_eq!(gateway.get("/notes").json()[0]["title"], "one");
}

#[test]
fn a_path_that_leaves_the_working_directory_is_looked_up_in_one_place() {
    let yaml = format!("{HEAD}{}", notes("sqlite://../notes.db"));
    let mut gateway = Gateway::start_as(&yaml, |folder| {
        // Relative to the working directory, this would be the file.
        std::fs::write(folder.join("notes.db"), "of another program").unwrap();
        command_after(
            "mkdir -p a/config work && cp gateway.yaml a/config/ && cd work && set -- run ../a/config/gateway.yaml",
            folder,
        )
    });
    let folder = gateway.folder().canonicalize().unwrap();
    let line = gateway.wait_for_log(|line| line["message"] == "store opened");
    assert_eq!(line["path"], json!(folder.join("a/notes.db")));
    assert_eq!(std::fs::read(folder.join("notes.db")).unwrap(), b"of another program");
    assert!(!gateway.log().contains("relative to the working directory"));
}

#[test]
fn a_field_that_is_renamed_while_it_has_values_is_a_warning_with_the_sql_that_copies_them() {
    let mut gateway = Gateway::start(&with_field("notes", "qty"));
    for at in 0..3 {
        assert_eq!(gateway.json("POST", "/notes", &json!({"title": "x", "qty": at})).status, 201);
    }
    assert_eq!(gateway.reload(&with_field("notes", "quantity")).status, 200);
    let warning = gateway.wait_for_log(|line| line["path"] == "resources.notes.fields");
    assert_eq!(warning["detail"], "field `qty` of `notes` is no longer served; its column still has 3 values");
    let help = warning["help"].as_str().unwrap();
    assert!(help.contains("if you renamed it to `quantity`"), "{help}");
    let before = gateway.get("/notes");
    let sql = &help[help.find("UPDATE ").unwrap()..];
    let database = rusqlite::Connection::open(gateway.folder().join("data/notes.db")).unwrap();
    assert_eq!(database.execute(sql, []).unwrap(), 3);
    let after = gateway.get("/notes");
    assert_eq!(after.json()[2]["quantity"], 2);
    assert_ne!(before.header("etag"), after.header("etag"));
    // It is reported once.
    assert_eq!(gateway.admin("POST", "/reload").status, 200);
    assert_eq!(gateway.log().matches("is no longer served").count(), 1);
}

#[test]
fn a_resource_that_is_renamed_while_it_has_rows_is_a_warning() {
    let mut gateway = Gateway::start(&with_field("notes", "qty"));
    assert_eq!(gateway.json("POST", "/notes", &json!({"title": "x"})).status, 201);
    assert_eq!(gateway.reload(&with_field("memos", "qty")).status, 200);
    let warning = gateway.wait_for_log(|line| line["path"] == "resources.memos");
    assert_eq!(warning["detail"], "resource `notes` is no longer served; its table `notes` still has 1 row");
    let help = warning["help"].as_str().unwrap();
    assert!(help.ends_with("if you renamed it to `memos`, add `table: notes` to it"), "{help}");
    assert_eq!(gateway.get("/notes").json(), json!([]));
    let named = with_field("memos", "qty").replace("  memos:\n", "  memos:\n    table: notes\n");
    assert_eq!(gateway.reload(&named).status, 200);
    assert_eq!(gateway.get("/notes").json()[0]["title"], "x");
    assert_eq!(gateway.log().matches("no longer served").count(), 1);
}

fn with_field(resource: &str, field: &str) -> String {
    notes("sqlite://data/notes.db")
        .replace("  notes:\n    store", &format!("  {resource}:\n    store"))
        .replace("resource: notes", &format!("resource: {resource}"))
        .replace("required: true }", &format!("required: true }}\n      {field}: {{ type: integer }}"))
}

/// Stops a gateway, runs the SQL that a help contains, and starts another gateway on the same file.
fn restart_after_sql(mut gateway: Gateway, data: &Path, help: &str, rest: &str) -> Gateway {
    gateway.signal("TERM");
    assert_eq!(gateway.wait(), Some(0));
    let from = help.find("ALTER TABLE").unwrap();
    let sql = help[from..].split(';').next().unwrap();
    rusqlite::Connection::open(data).unwrap().execute(sql, []).unwrap();
    Gateway::start(rest)
}

/// Message and help of the only diagnostic of a rejected reload.
fn rejection(answer: &Answer) -> (String, String) {
    assert_eq!(answer.status, 422, "{answer:?}");
    let found = answer.json();
    let mut errors = found["diagnostics"].as_array().unwrap().iter().filter(|found| found["severity"] == "error");
    let (Some(found), None) = (errors.next(), errors.next()) else { panic!("{found}") };
    let text = |key: &str| found[key].as_str().unwrap().to_owned();
    (text("message"), text("help"))
}

#[test]
fn following_the_rejection_of_a_renamed_required_field_loses_nothing_and_can_be_undone() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("notes.db");
    let old = notes(&format!("sqlite://{}", data.display())).replace("required: true", "required: true, unique: true");
    let new = old.replace("title:", "name:");
    let values = |gateway: &Gateway, field: &str| {
        let rows = gateway.get("/notes").json();
        let rows: Vec<_> = rows.as_array().unwrap().iter().map(|row| row[field].clone()).collect();
        let again = gateway.json("POST", "/notes", &json!({ field: "one" }));
        assert_eq!(again.status, 409, "{again:?}");
        rows
    };
    let gateway = Gateway::start(&old);
    for title in ["one", "two"] {
        assert_eq!(gateway.json("POST", "/notes", &json!({ "title": title })).status, 201);
    }
    let (message, help) = rejection(&gateway.reload(&new));
    let is_lost = "`name` is required, but existing items in table `notes` do not have it; the file no longer has `title`, \
                   which has 2 values";
    assert_eq!(message, is_lost);
    let steps = "stop the gateway, run this on the database, and start it with this file: ALTER TABLE \"notes\" RENAME COLUMN \
                 \"title\" TO \"name\";";
    assert!(help.contains(steps), "{help}");
    assert_eq!(values(&gateway, "title"), ["one", "two"]);
    let gateway = restart_after_sql(gateway, &data, &help, &new);
    assert_eq!(values(&gateway, "name"), ["one", "two"]);
    assert_eq!(gateway.admin("POST", "/reload").status, 200);
    // The way back is the same.
    let (_, help) = rejection(&gateway.reload(&old));
    assert!(help.contains("RENAME COLUMN \"name\" TO \"title\";"), "{help}");
    let gateway = restart_after_sql(gateway, &data, &help, &old);
    assert_eq!(values(&gateway, "title"), ["one", "two"]);
}

#[test]
fn a_column_that_is_renamed_under_a_running_gateway_is_an_error_until_the_reload_and_never_another_value() {
    let gateway = Gateway::start(&notes("sqlite://data/notes.db"));
    assert_eq!(gateway.json("POST", "/notes", &json!({"title": "one"})).status, 201);
    let database = rusqlite::Connection::open(gateway.folder().join("data/notes.db")).unwrap();
    database.execute("ALTER TABLE notes RENAME COLUMN title TO name", []).unwrap();
    assert_eq!(gateway.get("/notes").status, 500);
    assert_eq!(gateway.json("POST", "/notes", &json!({"title": "two"})).status, 500);
    let (message, _) = rejection(&gateway.admin("POST", "/reload"));
    assert!(message.ends_with("changed outside gatewright: the column `title` is missing"), "{message}");
    assert_eq!(gateway.reload(&notes("sqlite://data/notes.db").replace("title:", "name:")).status, 200);
    assert_eq!(gateway.get("/notes").json()[0]["name"], "one");
}

#[test]
fn a_required_field_that_may_have_been_renamed_to_an_optional_one_is_rejected_with_the_statement() {
    let gateway = Gateway::start(&notes("sqlite://data/notes.db"));
    assert_eq!(gateway.json("POST", "/notes", &json!({"title": "one"})).status, 201);
    let new = notes("sqlite://data/notes.db").replace("title: { type: string, required: true", "name: { type: string");
    let (message, help) = rejection(&gateway.reload(&new));
    assert_eq!(
        message,
        "table `notes` gets the new field `name`, and the file no longer has the required field `title`, which has 1 value"
    );
    assert!(
        help.contains("RENAME COLUMN \"title\" TO \"name\"; otherwise keep `title` with `nullable: true`"),
        "{help}"
    );
}
